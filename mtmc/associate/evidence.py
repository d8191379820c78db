"""Candidate pairs, and everything measured about them, before anything is weighed.

A pair is a candidate if two cameras see something near one position at one time, or if one passage can be the other's
continuation: along a link of the scene, or over the ground, or, where neither is known, within ``max_gap_s``; or if
one camera has tracked one vehicle twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtmc.associate.aligned_planes import cross_plane_transitions, to_common_plane
from mtmc.associate.config import AssociateConfig, GraphConfig
from mtmc.associate.constraints import Constraints
from mtmc.associate.continuations import Continuations, continuation_candidates
from mtmc.associate.correlation_clustering import PairwiseLogOdds, greedy_edge_contraction
from mtmc.associate.duplicates import duplicate_candidates
from mtmc.associate.scene_model import Positions, SceneModel
from mtmc.associate.transitions import (
    Transitions,
    ground_transitions,
    link_transitions,
    unconstrained_transitions,
)
from mtmc.associate.travel_times import Sightings
from mtmc.multiview.appearance import CameraMeans, embeddings_of, pair_cosines
from mtmc.multiview.arrays import group_median, mutual_nearest, unique_sorted
from mtmc.multiview.co_observation import CoObservations, find_co_observations
from mtmc.multiview.likelihoods import co_observation_log_odds, heading_log_odds, iou_log_odds
from mtmc.multiview.trajectories import Trajectories, ground_planes_of, sample_trajectories
from mtmc.scene import Scene
from mtmc.types import CLASSES, COLORS, Array, Passage, class_index

__all__ = [
    "LIMIT",
    "AlignedPassages",
    "Cue",
    "Evidence",
    "align",
    "cameras_of",
    "gather_evidence",
    "on_common_planes",
    "sampled",
]

#: Largest log odds of a pair, for or against.
LIMIT = 20.0

_ANY_VEHICLE = class_index("vehicle")
_MOVING_MPS = 2.0  # slower vehicles have no direction
_MIN_CO_OBSERVATION = -12.0  # log odds of a distance
_SAME_CAMERA = 1.0  # log odds against a continuation within a camera: a tracker seldom loses what it could follow
_UNLINKED = 1.5  # log odds against a transition that no link names, in a scene with links
_CERTAIN_LOG_ODDS, _CERTAIN_TICKS = 3.0, 3  # from which on a co-observation is one vehicle beyond doubt

_POSITIONS = Positions(sigma_m=1.5, per_m2=0.002)  # where nothing was co-observed
_MAX_SIGMA_M = 5.0
_CLUTTER_PER_M2 = 2e-4, 0.02  # least and most


@dataclass(frozen=True, slots=True, eq=False)
class AlignedPassages:
    """N passages on one clock and on common ground planes.

    Attributes:
        passages: In order of (camera_id, track_id).
        model: Whose clock offsets and calibration correction are applied.
        camera: int64 (N,), index of each passage's camera among the model's.
        trajectories: With clock offsets and calibration corrections applied, on common planes.
        own_plane: int64 (N,), number of the plane that each passage's camera is calibrated to, −1 without.
    """

    passages: Sequence[Passage]
    model: SceneModel
    camera: Array
    trajectories: Trajectories
    own_plane: Array

    @property
    def track(self) -> Array:
        """Track ids: int64 (N,)."""
        return np.array([p.tracklet.track_id for p in self.passages], np.int64)

    @property
    def class_probability(self) -> Array:
        """Probability of each class: float32 (N, K), by an attribute network, else by the detector's class.

        A row of zeros stands for a vehicle of unknown class.
        """
        rows = np.zeros((len(self.passages), len(CLASSES)), np.float32)
        for row, passage in zip(rows, self.passages, strict=True):
            if len(passage.class_probability):
                row[:] = passage.class_probability
            elif passage.tracklet.class_id != _ANY_VEHICLE:
                row[passage.tracklet.class_id] = 1.0
        return rows

    @property
    def color_probability(self) -> Array:
        """Probability of each color: float32 (N, K), rows of zeros where nothing is known."""
        rows = np.zeros((len(self.passages), len(COLORS)), np.float32)
        for row, passage in zip(rows, self.passages, strict=True):
            if len(passage.color_probability):
                row[:] = passage.color_probability
        return rows

    @property
    def sightings(self) -> Sightings:
        """When and by which camera each passage was seen."""
        return Sightings(self.camera, self.track, self.trajectories.start_s, self.trajectories.end_s)


@dataclass(frozen=True, slots=True, eq=False)
class Cue:
    """Log odds of some of the candidate pairs.

    Attributes:
        rows: int32 (K,), rows of the pairs, in any order; a pair may occur more than once.
        log_odds: float (K,).
    """

    rows: Array
    log_odds: Array


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """P candidate pairs of N passages, and what is known about them.

    Attributes:
        aligned: The passages.
        model: As given, with the precision of positions and the means of embeddings filled in.
        constraints: What can never be one vehicle.
        pairs: int32 (P, 2), first < second, sorted.
        position: Distance on the ground of co-observed pairs, over chance.
        heading: Directions of the same pairs, in the same order.
        continued_position: Distance between the extrapolations of a continuation.
        continued_heading: Directions, in the same order.
        same_camera: Penalty for a continuation within one camera, in the same order.
        duplicate: Overlap of two boxes of one camera.
        transitions: Possible transitions.
        transition_rows: int32 (T,), their rows.
        cosine: float32 (P,), cosine of the embeddings, NaN where unknown; None if appearance is not used.
        certain: int64 (K, 2), pairs that are one vehicle beyond doubt.
        co_observed_group: int64 (N,), label of passages that are one vehicle by position and time alone.
    """

    aligned: AlignedPassages
    model: SceneModel
    constraints: Constraints
    pairs: Array
    position: Cue
    heading: Cue
    continued_position: Cue
    continued_heading: Cue
    same_camera: Cue
    duplicate: Cue
    transitions: Transitions
    transition_rows: Array
    cosine: Array | None
    certain: Array
    co_observed_group: Array

    @property
    def keys(self) -> Array:
        """``first * N + second`` of each pair: int64 (P,), sorted."""
        return _keys(self.pairs[:, 0], self.pairs[:, 1], len(self.aligned.passages))

    def embeddings(self) -> Array:
        """Without their camera's mean: float32 (N, D). Computed anew, since only fitting needs them again."""
        return _centered_embeddings(replace(self.aligned, model=self.model))[1]


def cameras_of(passages: Sequence[Passage]) -> tuple[tuple[str, ...], Array]:
    """Names of the cameras, sorted, and the index of each passage's camera, int64 (N,)."""
    names, camera = np.unique([p.tracklet.camera_id for p in passages], return_inverse=True)
    return tuple(names.tolist()), camera.astype(np.int64)


def sampled(passages: Sequence[Passage], clock_offset_s: Array, use_ground: bool) -> Trajectories:
    """:func:`sample_trajectories`; without the ground, nothing but the times of the N passages."""
    if use_ground:
        return sample_trajectories(passages, clock_offset_s)
    nothing = sample_trajectories([])
    unplaced = np.full(len(passages), -1)
    start_s = np.array([p.tracklet.start_s for p in passages]) + clock_offset_s
    end_s = np.array([p.tracklet.end_s for p in passages]) + clock_offset_s
    return replace(nothing, first=unplaced, last=unplaced, plane=unplaced, start_s=start_s, end_s=end_s)


def align(passages: Sequence[Passage], scene: Scene, config: AssociateConfig, model: SceneModel) -> AlignedPassages:
    """Apply a model's clock offsets and calibration correction, and the scene's alignment of ground planes.

    Args:
        passages: N of them, in order of (camera_id, track_id).
        scene: The alignment of its ground planes is used.
        config: The choices.
        model: Of any cameras.
    """
    camera_ids, camera = cameras_of(passages)
    model = model.for_cameras(camera_ids)
    trajectories = sampled(passages, model.clock_offset_of(passages, camera), config.use_ground)
    if model.calibration is not None:
        trajectories = model.calibration.apply(trajectories, camera)
    return on_common_planes(passages, scene, model, camera, trajectories)


def on_common_planes(
    passages: Sequence[Passage], scene: Scene, model: SceneModel, camera: Array, trajectories: Trajectories
) -> AlignedPassages:
    """Corrected trajectories with the scene's alignment of ground planes applied."""
    common = to_common_plane(trajectories, ground_planes_of(passages), scene.plane_transforms())
    return AlignedPassages(passages, model, camera, common, trajectories.plane)


def gather_evidence(aligned: AlignedPassages, scene: Scene, config: AssociateConfig) -> Evidence:
    """Find the candidate pairs and measure them.

    The precision of positions and the means of embeddings are estimated from the passages, unless their model has
    them.

    Args:
        aligned: N passages.
        scene: Its links are used.
        config: The choices.
    """
    choices = config.graph
    constraints, duplicates, iou = _constraints(aligned, config)

    # On the ground: both at one time, or one after the other.
    observed = find_co_observations(aligned.trajectories, aligned.camera, choices.max_distance_m)
    positions = aligned.model.positions or _estimate_positions(observed, aligned.camera, choices)
    position, heading = _co_observation_cues(observed, aligned.trajectories, positions, choices)
    continued = _find_continuations(aligned, positions, choices)

    # Out of sight in between; embeddings only limit the number of pairs here.
    means, embeddings = _centered_embeddings(aligned)
    transitions = _find_transitions(aligned, scene, config, embeddings)

    traveled = np.stack([transitions.a, transitions.b], axis=1)
    pairs, rows = _all_pairs(len(aligned.passages), (observed.pairs, continued.pairs, duplicates, traveled))
    at_observed, at_continued, at_duplicate, at_transition = rows
    same_camera = -_SAME_CAMERA * (aligned.camera[continued.pairs[:, 0]] == aligned.camera[continued.pairs[:, 1]])
    by_position = (
        Cue(at_observed, position + heading),
        Cue(at_continued, (continued.position + continued.heading) + same_camera),
        Cue(at_duplicate, iou_log_odds(iou)),
    )
    use_appearance = bool(choices.appearance_weight) and embeddings.shape[1] > 0
    return Evidence(
        aligned=aligned,
        model=replace(aligned.model, positions=positions, camera_means=means),
        constraints=constraints,
        pairs=pairs,
        position=Cue(at_observed, position),
        heading=Cue(at_observed, heading),
        continued_position=Cue(at_continued, continued.position),
        continued_heading=Cue(at_continued, continued.heading),
        same_camera=Cue(at_continued, same_camera),
        duplicate=Cue(at_duplicate, iou_log_odds(iou)),
        transitions=transitions,
        transition_rows=at_transition,
        cosine=pair_cosines(embeddings, pairs, aligned.trajectories.start_s) if use_appearance else None,
        certain=_certain_pairs(observed, aligned.camera, position + heading),
        co_observed_group=_co_observed_groups(len(aligned.passages), pairs, by_position, constraints),
    )


def _all_pairs(n: int, parts: Sequence[Array]) -> tuple[Array, list[Array]]:
    """The pairs of all parts, each once.

    Args:
        n: Number of passages.
        parts: int (K, 2) each, the two passages in either order.

    Returns:
        int32 (P, 2), first < second, sorted; and the rows of each part's pairs, int32 (K,).
    """
    keys_of_parts = [_keys(part[:, 0], part[:, 1], n) for part in parts]
    keys = unique_sorted(np.concatenate(keys_of_parts))
    rows = [np.searchsorted(keys, part).astype(np.int32) for part in keys_of_parts]
    pairs = np.empty((len(keys), 2), np.int32)
    np.divmod(keys, n, out=(pairs[:, 0], pairs[:, 1]), casting="same_kind")
    return pairs, rows


def _keys(first: Array, second: Array, n: int) -> Array:
    """``lower * N + higher`` of each pair: int64 (P,)."""
    return np.asarray(np.minimum(first, second).astype(np.int64) * n + np.maximum(first, second))


def _centered_embeddings(aligned: AlignedPassages) -> tuple[CameraMeans, Array]:
    """The cameras' means, and the embeddings without them, float32 (N, D)."""
    embeddings = embeddings_of(aligned.passages, np.float32)
    means = aligned.model.camera_means or CameraMeans.fit(embeddings, aligned.camera)
    return means, means.remove(embeddings, aligned.camera)


# Co-observations and continuations


def _find_continuations(aligned: AlignedPassages, positions: Positions, choices: GraphConfig) -> Continuations:
    return continuation_candidates(
        aligned.trajectories,
        aligned.camera,
        max_extrapolation_s=choices.max_extrapolation_s,
        max_reentry_gap_s=choices.max_reentry_gap_s,
        sigma_m=positions.sigma_m,
        extrapolation_sigma_mps=choices.extrapolation_sigma_mps,
        per_m2=positions.per_m2,
    )


def _estimate_positions(observed: CoObservations, camera: Array, choices: GraphConfig) -> Positions:
    """Precision and density from all co-observations, most of which are of two vehicles.

    The distance of two positions with standard deviation σ each way has the median σ √(2 ln 2) (Rayleigh). Mutually
    nearest pairs are taken for one vehicle each, the ticks of all other pairs for chance: twice their number, over
    the samples that saw anything and the area of the search circle, is the density.
    """
    if not len(observed.pairs):
        return _POSITIONS
    nearest = mutual_nearest(observed.pairs, observed.distance_m, camera)
    median_m = np.median(observed.distance_m[nearest])
    sigma_m = float(np.clip(median_m / np.sqrt(2 * np.log(2)), choices.min_position_sigma_m, _MAX_SIGMA_M))

    by_chance = observed.ticks.sum() - observed.ticks[nearest].sum()
    samples = len(unique_sorted(observed.rows.ravel()))
    circle_m2 = np.pi * choices.max_distance_m**2
    per_m2 = max(float(by_chance), 1.0) * 2 / max(samples, 1) / circle_m2
    return Positions(sigma_m, float(np.clip(per_m2, *_CLUTTER_PER_M2)))


def _co_observation_cues(
    observed: CoObservations, trajectories: Trajectories, positions: Positions, choices: GraphConfig
) -> tuple[Array, Array]:
    """Log odds of the distance and of the directions of each co-observed pair: float64 (P,) both."""
    position = co_observation_log_odds(observed.distance_m, positions.sigma_m, positions.per_m2)
    heading = _heading_of_pairs(observed, trajectories, choices.heading_kappa)
    return np.maximum(position, _MIN_CO_OBSERVATION), heading


def _heading_of_pairs(observed: CoObservations, trajectories: Trajectories, kappa: float) -> Array:
    """Log odds of the median angle over the ticks at which both move, 0 if these are no majority: float64 (P,)."""
    velocity_i, velocity_j = trajectories.velocity[observed.rows[:, 0]], trajectories.velocity[observed.rows[:, 1]]
    speed_i, speed_j = np.hypot(*velocity_i.T), np.hypot(*velocity_j.T)
    both_move = np.minimum(speed_i, speed_j) > _MOVING_MPS
    product = (velocity_i * velocity_j).sum(axis=1) / np.maximum(speed_i * speed_j, 1e-9)

    # Ticks without a direction sort behind all cosines, so that the median of a majority is a cosine.
    cosine = group_median(np.where(both_move, product, 2.0), observed.begin)
    moving = np.zeros(0)
    if len(observed.rows):
        moving = np.add.reduceat(both_move.astype(float), observed.begin[:-1]) / observed.ticks
    cosine = np.where(moving > 0.5, np.minimum(cosine, 1.0), np.nan)
    return np.nan_to_num(heading_log_odds(cosine, kappa), nan=0.0)


def _certain_pairs(observed: CoObservations, camera: Array, log_odds: Array) -> Array:
    """Mutually nearest pairs with large log odds at several ticks: int64 (K, 2)."""
    nearest = mutual_nearest(observed.pairs, observed.distance_m, camera)
    is_certain = (log_odds[nearest] > _CERTAIN_LOG_ODDS) & (observed.ticks[nearest] >= _CERTAIN_TICKS)
    return observed.pairs[nearest][is_certain]


def _co_observed_groups(n: int, pairs: Array, cues: Sequence[Cue], constraints: Constraints) -> Array:
    """Labels int64 (N,) of passages that are one vehicle by co-observations, continuations and duplicates alone."""
    rows = unique_sorted(np.concatenate([cue.rows for cue in cues]))
    best = np.full(len(rows), -np.inf)
    for cue in cues:
        np.maximum.at(best, np.searchsorted(rows, cue.rows), np.clip(cue.log_odds, -LIMIT, LIMIT))
    keys = _keys(pairs[rows, 0], pairs[rows, 1], n)
    return greedy_edge_contraction(PairwiseLogOdds(n, keys, best), constraints.conflict)


# Constraints and duplicates


def _constraints(aligned: AlignedPassages, config: AssociateConfig) -> tuple[Constraints, Array, Array]:
    """The constraints; duplicates that are not at two positions, int64 (K, 2); and their IoU, float64 (K,)."""
    constraints = Constraints(
        aligned.camera,
        aligned.trajectories,
        max_distance_m=config.graph.max_distance_m,
        max_speed_mps=config.max_speed_mps,
        max_reentry_gap_s=config.graph.max_reentry_gap_s,
    )
    pairs, iou = duplicate_candidates(aligned.passages, aligned.camera)
    is_near = np.array([not constraints.is_too_far(i, j) for i, j in pairs.tolist()], bool)
    duplicates = pairs[is_near]
    return constraints.replaced(duplicates=map(tuple, duplicates.tolist())), duplicates, iou[is_near]


# Transitions


def _find_transitions(
    aligned: AlignedPassages, scene: Scene, config: AssociateConfig, embeddings: Array
) -> Transitions:
    """Transitions along links; between other cameras by distance, or across planes, or by nothing but time."""
    paths, camera, choices = aligned.trajectories, aligned.camera, config.graph
    max_gap_s = choices.max_unlinked_gap_s if scene.links else config.max_gap_s
    by_distance, by_time_only, across_planes = _unlinked_camera_pairs(aligned, scene)

    by_link, unlinked, aligned_only = [], [], []
    if scene.links:
        slack_s = choices.travel_time_slack_s
        by_link.append(link_transitions(aligned.passages, scene, paths.start_s, paths.end_s, slack_s))
    if max_gap_s and by_distance.any():
        kappa = choices.heading_kappa / 2
        unlinked.append(ground_transitions(by_distance, camera, paths, max_gap_s, choices.default_speed_mps, kappa))
    if max_gap_s and by_time_only.any():
        starts, ends = paths.start_s, paths.end_s
        unlinked.append(unconstrained_transitions(by_time_only, camera, starts, ends, max_gap_s, embeddings))
    if max_gap_s and across_planes.any():
        aligned_only.append(cross_plane_transitions(across_planes, camera, paths, max_gap_s, embeddings))
    if scene.links:
        unlinked = [_without_link(part) for part in unlinked]
    return Transitions.concatenate([*by_link, *unlinked, *aligned_only])


def _unlinked_camera_pairs(aligned: AlignedPassages, scene: Scene) -> tuple[Array, Array, Array]:
    """Ordered pairs of cameras between which there may be transitions that follow no link: bool (C, C) each.

    Returns:
        Those on one plane of their own, without those that a link joins; those without a common plane, whether a
        link joins them or not, since a link leads from zone to zone; those whose planes are aligned.
    """
    camera, size = aligned.camera, len(aligned.model.camera_ids)
    is_other = ~np.eye(size, dtype=bool)
    on_own_plane = _share_plane(aligned.own_plane, camera, size)
    on_common_plane = _share_plane(aligned.trajectories.plane, camera, size)
    by_distance = is_other & on_own_plane & ~_linked(scene, aligned.model.camera_ids)
    return by_distance, is_other & ~on_common_plane, is_other & on_common_plane & ~on_own_plane


def _linked(scene: Scene, camera_ids: Sequence[str]) -> Array:
    """Pairs of cameras that a link joins, in either direction: bool (C, C)."""
    index = {name: k for k, name in enumerate(camera_ids)}
    linked = np.zeros((len(index), len(index)), bool)
    for link in scene.links:
        if link.from_camera in index and link.to_camera in index:
            a, b = index[link.from_camera], index[link.to_camera]
            linked[a, b] = linked[b, a] = True
    return linked


def _share_plane(plane_of_passage: Array, camera: Array, cameras: int) -> Array:
    """Pairs of cameras that see one ground plane: bool (C, C)."""
    plane = np.full(cameras, -1)
    np.maximum.at(plane, camera, plane_of_passage)
    return np.asarray((plane[:, None] == plane) & (plane >= 0))


def _without_link(transitions: Transitions) -> Transitions:
    """Less likely transitions: most vehicles follow the links."""
    return replace(transitions, log_odds=transitions.log_odds - np.float32(_UNLINKED))
