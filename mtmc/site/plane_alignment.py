r"""Plane alignment: the approximate transform between ground planes that share no road, from transitions.

If one ground plane is rotated and translated in some way, a vehicle that leaves a camera of one plane and enters a
camera of the other drives a known distance, at the speed and in the directions that its trajectories have at both
ends. The rigid transform is taken under which most vehicles arrive when and where they should. Appearance counts by
similarity weights. All cameras and both directions count together, so that few vehicles suffice.

*Model.* Of the vehicles that leave towards the other plane, a share s arrives there. With leaving vehicle i, entering
vehicle j and the straight line from i's exit to j's entry:

    h_ij = exp(κ (cos ∠(v_i, line) − 1)),   e_ij = exp(κ (cos ∠(v_j, line) − 1))     von Mises, 1 at best
    f_ij = p(t_ij | distance, speed) · T · w_ij / w₀                                   1 on average by chance

where p is the density of travel times (:func:`mtmc.multiview.likelihoods.drive_density`), T the time in which a
vehicle can arrive and w the similarity weights. Vehicle i heads for the other plane with a_i = Σ_j e_ij h_ij / Σ_j
e_ij, and its travel times and appearance have the likelihood ratio r_i = Σ_j e_ij f_ij / max(Σ_j e_ij, 1). The log
likelihood ratio against independent traffic is

    L(s) = Σ_i log(1 + s a_i (r_i − 1)),

and likewise over the entering vehicles. Of the two the smaller one counts, since in a queue every vehicle could
otherwise be paired with all others. L is averaged over the shares s.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
from scipy.special import logit

from mtmc.geometry.ground import project
from mtmc.geometry.similarity2d import as_complex
from mtmc.multiview.arrays import ranges
from mtmc.multiview.likelihoods import ENDPOINT_KAPPA, drive_density, vector_cosine
from mtmc.progress import progress_bar
from mtmc.scene import PlaneAlignment
from mtmc.site.controls import mirrored_time_s
from mtmc.site.pose_graph import PairSimilarity, spanning_forest
from mtmc.site.similarity import NEGATIVE_PAIR_WEIGHT
from mtmc.site.trajectories import STEP_S, ImageTrajectory
from mtmc.types import Array

__all__ = ["Endpoints", "PlaneAlignmentEstimate", "TransitionSet", "align_planes", "trajectory_endpoints"]

_CONTROLS = 4
_TRAVEL_TIMES_S = 0.5, 40.0
_MIN_SPEED_MPS = 2.0
_MIN_END_SAMPLES, _MAX_END_SAMPLES = 4, 7  # of a trajectory, for position and velocity at one end
_SHARES = (0.1, 0.3, 0.6, 0.9)  # s
_MAX_ENTERING_SHARE = 0.95
_MAX_PAIRS = 12_000  # of leaving and entering vehicles of two cameras; more give no further information
_MIN_VEHICLES = 1.0  # denominator of shares

# The grid over rotation, direction and distance of the other plane, and the refinement of its best points.
_ROTATIONS, _DIRECTIONS, _DISTANCES_M = 24, 24, np.geomspace(20.0, 250.0, 16)
_REFINED, _REFINEMENT_ROUNDS = 8, 5
_ROTATION_STEP_RAD, _TRANSLATION_STEP_M = 0.13, 15.0  # of the first round; halved in each
_TRANSFORMS_PER_BATCH = 32


@dataclass(frozen=True, slots=True, eq=False)
class Endpoints:
    """Where, when and how fast W trajectories of one camera begin, or end, on its ground plane.

    Attributes:
        position: complex128 (W,), meters; NaN where there are too few samples.
        velocity: complex128 (W,), meters per second.
        time_s: float64 (W,).
    """

    position: Array
    velocity: Array
    time_s: Array


@dataclass(frozen=True, slots=True)
class PlaneAlignmentEstimate:
    """A plane alignment and its evidence.

    Attributes:
        alignment: What is written into the scene.
        distance_m: Distance between the centers of the two planes' entries.
        log_odds: Posterior log odds of a connection against independent traffic.
    """

    alignment: PlaneAlignment
    distance_m: float
    log_odds: float

    @property
    def confidence(self) -> float:
        """Probability in [0, 1]."""
        return float(1 / (1 + np.exp(-self.log_odds)))


#: Entries and exits of each camera of a ground plane.
PlaneEndpoints = Mapping[str, tuple[Endpoints, Endpoints]]


def trajectory_endpoints(
    trajectories: Sequence[ImageTrajectory], is_near: Callable[[Array], Array], ground_from_image: Array
) -> tuple[Endpoints, Endpoints]:
    """Begins and ends of a camera's trajectories, by straight lines through their first and last samples.

    Args:
        trajectories: W of them.
        is_near: Which of (K, 2) pixels are near enough for a reliable position.
        ground_from_image: float64 (3, 3).
    """
    usable = [np.flatnonzero(t.is_whole & is_near(t.ground_point_px)) for t in trajectories]
    begins = [rows[:_MAX_END_SAMPLES] for rows in usable]
    ends = [rows[-_MAX_END_SAMPLES:] for rows in usable]
    return (
        _fit_endpoints(trajectories, begins, ground_from_image, at=0),
        _fit_endpoints(trajectories, ends, ground_from_image, at=-1),
    )


def _fit_endpoints(
    trajectories: Sequence[ImageTrajectory], rows: Sequence[Array], ground_from_image: Array, at: int
) -> Endpoints:
    """Least-squares lines through some samples of each trajectory, evaluated at the first (0) or last (−1)."""
    position, velocity = np.full((2, len(trajectories)), np.nan, complex)
    time_s = np.full(len(trajectories), np.nan)
    for k, (trajectory, used) in enumerate(zip(trajectories, rows, strict=True)):
        if len(used) < _MIN_END_SAMPLES:
            continue
        samples = as_complex(project(trajectory.ground_point_px[used], ground_from_image))
        sample_time_s = trajectory.tick[used] * STEP_S
        centered_s = sample_time_s - sample_time_s.mean()
        slope = (centered_s * (samples - samples.mean())).sum() / np.square(centered_s).sum()
        position[k] = samples.mean() + slope * centered_s[at]
        velocity[k] = slope
        time_s[k] = sample_time_s[at]
    return Endpoints(position, velocity, time_s)


def align_planes(
    planes: Mapping[str, PlaneEndpoints], similarity: PairSimilarity, span_s: float, min_probability: float = 0.9
) -> list[PlaneAlignmentEstimate]:
    """Alignments that join ground planes into trees, the most certain first; only those with a high probability.

    The likelihood ratio of a connection is the mean over all transforms of the grid. Traffic is not independent
    within a camera: platoons, and one vehicle in several tracklets, make some transform fit unrelated traffic, too.
    How well is measured with the order of time reversed on one plane (as in :func:`mtmc.site.links.find_links`), and
    the largest likelihood ratio R of these controls is what a true connection is compared with. A priori a plane is
    connected with one of the P − 1 others, so the prior odds of a pair are 1 / (P − 1), and the posterior log odds

        log(mean of exp L) − max(log R, 0) − log(P − 1).

    Args:
        planes: Entries and exits by camera, by ground plane.
        similarity: Similarity weights of the trajectories of two cameras.
        span_s: Duration of the recording, seconds.
        min_probability: Of a connection; an alignment that is wrong joins vehicles that never met.
    """
    estimates = []
    pairs = list(combinations(sorted(planes), 2))
    prior_log_odds = -float(np.log(max(len(planes) - 1, 1)))
    with progress_bar("ground planes aligned", unit="pair") as progress:
        for number, (reference, plane) in enumerate(pairs, start=1):
            estimate = _align(plane, reference, planes, similarity, span_s, prior_log_odds, min_probability)
            if estimate is not None:
                estimates.append(estimate)
            progress(number, len(pairs))
    estimates.sort(key=lambda e: (-e.log_odds, e.alignment.reference_plane, e.alignment.plane))
    edges, _ = spanning_forest([(e.alignment.reference_plane, e.alignment.plane) for e in estimates])
    return _rooted([estimates[k] for k in edges])


def _rooted(edges: Sequence[PlaneAlignmentEstimate]) -> list[PlaneAlignmentEstimate]:
    """The same trees, with edges inverted so that every plane is aligned at most once."""
    rooted: list[PlaneAlignmentEstimate] = []
    waiting = sorted(edges, key=lambda e: (e.alignment.reference_plane, e.alignment.plane))
    reached: set[str] = set()
    while waiting:
        touching = (e for e in waiting if {e.alignment.reference_plane, e.alignment.plane} & reached)
        edge = next(touching, waiting[0])
        waiting.remove(edge)
        alignment = edge.alignment
        if alignment.plane in reached:
            alignment = _inverse(alignment)
        reached |= {alignment.reference_plane, alignment.plane}
        rooted.append(PlaneAlignmentEstimate(alignment, edge.distance_m, edge.log_odds))
    return rooted


def _inverse(alignment: PlaneAlignment) -> PlaneAlignment:
    back = np.exp(-1j * np.deg2rad(alignment.rotation_deg))
    translation = _rounded_xy(-back * complex(*alignment.translation_m))
    return PlaneAlignment(alignment.reference_plane, alignment.plane, -alignment.rotation_deg, translation)


def _rounded_xy(position: complex) -> tuple[float, float]:
    return (round(float(position.real), 1), round(float(position.imag), 1))


# One pair of planes


@dataclass(frozen=True, slots=True)
class _Transform:
    """A rotation of the plane about its center, and the offset of its center from the reference plane's center."""

    log_likelihood_ratio: float
    rotation_rad: float
    offset: complex


@dataclass(frozen=True, slots=True, eq=False)
class _PlanePair:
    """What decides on the alignment of two planes.

    Attributes:
        forth: Transitions from the reference plane's cameras to the plane's cameras.
        back: Transitions from the plane's cameras to the reference plane's.
        reference_center, center: Mean position of the entries on either plane.
    """

    forth: tuple[TransitionSet, ...]
    back: tuple[TransitionSet, ...]
    reference_center: complex
    center: complex

    def translation(self, rotation: Array, offset: Array) -> Array:
        """The translation after a rotation about the origin that has the same effect: complex (H,)."""
        return np.asarray(self.reference_center + offset - rotation * self.center)

    def log_likelihood_ratio(self, rotation_rad: Array, offset: Array) -> Array:
        """Of H transforms, against independent traffic: float64 (H,), float64 (H,)."""
        rotation = np.exp(1j * rotation_rad)
        translation = self.translation(rotation, offset)
        total = np.zeros(len(rotation))
        for begin in range(0, len(rotation), _TRANSFORMS_PER_BATCH):
            batch = slice(begin, begin + _TRANSFORMS_PER_BATCH)
            r, t = rotation[batch], translation[batch]
            total[batch] = sum(transitions.log_likelihood_ratio(r, t) for transitions in self.forth)
            total[batch] += sum(transitions.log_likelihood_ratio(1 / r, -t / r) for transitions in self.back)
        return total


def _align(
    plane: str,
    reference: str,
    planes: Mapping[str, PlaneEndpoints],
    similarity: PairSimilarity,
    span_s: float,
    prior_log_odds: float,
    min_probability: float,
) -> PlaneAlignmentEstimate | None:
    """The most likely alignment of one plane with another; None if a connection is not probable enough."""
    pair = _plane_pair(planes[reference], planes[plane], similarity, span_s)
    if pair is None:
        return None
    grid = _grid()
    values = pair.log_likelihood_ratio(*grid)
    min_log_odds = float(logit(min_probability))
    log_odds = given = _log_mean_exp(values) + prior_log_odds
    for part in range(_CONTROLS):
        if log_odds < min_log_odds:
            return None
        control = _plane_pair(planes[reference], _mirrored(planes[plane], part / _CONTROLS), similarity, span_s)
        by_chance = 0.0 if control is None else _log_mean_exp(control.log_likelihood_ratio(*grid))
        log_odds = min(log_odds, given - by_chance)
    if log_odds < min_log_odds:
        return None

    best = _best_refined(pair, values, *grid)
    rotation = np.exp(1j * best.rotation_rad)
    translation = pair.reference_center + best.offset - rotation * pair.center
    rotation_deg = round(float(np.rad2deg(best.rotation_rad)), 1)
    alignment = PlaneAlignment(plane, reference, rotation_deg, _rounded_xy(complex(translation)))
    return PlaneAlignmentEstimate(alignment, float(abs(best.offset)), log_odds)


def _log_mean_exp(values: Array) -> float:
    return float(np.logaddexp.reduce(values) - np.log(len(values)))


def _mirrored(plane: PlaneEndpoints, part: float) -> PlaneEndpoints:
    """The same entries and exits at :func:`mtmc.site.controls.mirrored_time_s`."""

    def mirrored(ends: Endpoints) -> Endpoints:
        return replace(ends, time_s=mirrored_time_s(ends.time_s, part))

    return {camera: (mirrored(entries), mirrored(exits)) for camera, (entries, exits) in plane.items()}


def _plane_pair(
    reference: PlaneEndpoints, plane: PlaneEndpoints, similarity: PairSimilarity, span_s: float
) -> _PlanePair | None:
    """The transitions between two planes; None where there can be none."""
    forth, back = [], []
    for a, b in product(sorted(reference), sorted(plane)):
        (entries_a, exits_a), (entries_b, exits_b) = reference[a], plane[b]
        weight = similarity(a, b)
        if weight is None:
            ratio = np.ones((len(entries_a.time_s), len(entries_b.time_s)))
        else:
            ratio = weight / NEGATIVE_PAIR_WEIGHT
        forth.append(TransitionSet.between(exits_a, entries_b, ratio, span_s))
        back.append(TransitionSet.between(exits_b, entries_a, ratio.T, span_s))
    if not any(transitions.weight.any() for transitions in (*forth, *back)):
        return None
    return _PlanePair(tuple(forth), tuple(back), _center(reference), _center(plane))


def _center(plane: PlaneEndpoints) -> complex:
    return complex(np.nanmean(np.concatenate([entries.position for entries, _ in plane.values()])))


def _grid() -> tuple[Array, Array]:
    """Rotations in radians and offsets of the grid: float64 (H,), complex128 (H,)."""
    axes = np.meshgrid(
        2 * np.pi * np.arange(_ROTATIONS) / _ROTATIONS,
        2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS,
        _DISTANCES_M,
        indexing="ij",
    )
    rotation_rad, direction_rad, distance_m = (axis.ravel() for axis in axes)
    return rotation_rad, distance_m * np.exp(1j * direction_rad)


def _best_refined(pair: _PlanePair, values: Array, rotation_rad: Array, offset: Array) -> _Transform:
    """The best transform near the best points of the grid, of which several may lie in one mode."""
    best = _Transform(-np.inf, 0.0, 0j)
    for k in np.argsort(-values, kind="stable")[:_REFINED].tolist():
        refined = _refine(pair, _Transform(values[k], rotation_rad[k], offset[k]))
        best = max(best, refined, key=lambda transform: transform.log_likelihood_ratio)
    return best


def _refine(pair: _PlanePair, start: _Transform) -> _Transform:
    """Coordinate search: the best of 27 neighbors, at steps that are halved in every round."""
    neighbors = np.array(list(product((-1, 0, 1), repeat=3)))
    best = start
    for level in range(_REFINEMENT_ROUNDS):
        size = 0.5**level
        rotations_rad = best.rotation_rad + size * _ROTATION_STEP_RAD * neighbors[:, 0]
        offsets = best.offset + size * _TRANSLATION_STEP_M * (neighbors[:, 1] + 1j * neighbors[:, 2])
        values = pair.log_likelihood_ratio(rotations_rad, offsets)
        k = int(values.argmax())
        if values[k] > best.log_likelihood_ratio:
            best = _Transform(float(values[k]), float(rotations_rad[k]), complex(offsets[k]))
    return best


# Transitions from one camera to another


@dataclass(frozen=True, slots=True, eq=False)
class TransitionSet:
    """Pairs of leaving and entering vehicles of two cameras, no farther apart in time than the longest travel time.

    E pairs, in order of the leaving vehicle's time. Sums over "all" entering vehicles run over those of the pairs, so
    that the cost per minute of recording is constant.

    Attributes:
        by_leaving, by_entering: The pairs, grouped by either vehicle.
        exit, exit_velocity: complex128 (E,), on the first ground plane.
        entry, entry_velocity: complex128 (E,), on the second ground plane.
        travel_time_s: float64 (E,), limited to possible times.
        weight: float64 (E,), w_ij / w₀ · T; 0 for impossible travel times.
        speed_mps: float64 (E,), mean of both speeds.
    """

    by_leaving: _Grouping
    by_entering: _Grouping
    exit: Array
    exit_velocity: Array
    entry: Array
    entry_velocity: Array
    travel_time_s: Array
    weight: Array
    speed_mps: Array

    @classmethod
    def between(cls, leaving: Endpoints, entering: Endpoints, ratio: Array, span_s: float) -> TransitionSet:
        """The pairs of two cameras.

        Args:
            leaving: Exits of M vehicles from one camera.
            entering: Entries of N vehicles into the other.
            ratio: float64 (M, N), similarity weights w / w₀.
            span_s: Duration of the recording, seconds.
        """
        left, entered = _moving_in_order(leaving), _moving_in_order(entering)
        exit_time_s, entry_time_s = leaving.time_s[left], entering.time_s[entered]
        longest_s = _TRAVEL_TIMES_S[1]
        first = np.searchsorted(entry_time_s, exit_time_s - longest_s, "left")
        last = np.searchsorted(entry_time_s, exit_time_s + longest_s, "right")
        used = np.cumsum(last - first) <= _MAX_PAIRS
        index_left, index_entered = ranges(first[used], last[used])
        row, column = left[used][index_left], entered[index_entered]

        gap_s = entering.time_s[column] - leaving.time_s[row]
        travel_time_s = np.clip(gap_s, *_TRAVEL_TIMES_S)
        possible_span_s = min(span_s, 2 * longest_s)
        weight = np.where(gap_s == travel_time_s, ratio[row, column] * possible_span_s, 0.0)
        exit_velocity, entry_velocity = leaving.velocity[row], entering.velocity[column]
        return cls(
            _Grouping.by(row),
            _Grouping.by(column),
            leaving.position[row],
            exit_velocity,
            entering.position[column],
            entry_velocity,
            travel_time_s,
            weight,
            0.5 * (np.abs(exit_velocity) + np.abs(entry_velocity)),
        )

    def log_likelihood_ratio(self, rotation: Array, translation: Array) -> Array:
        """Of H transforms of the second ground plane to the first, against independent traffic: float64 (H,).

        Equations in the module's docstring.

        Args:
            rotation: complex128 (H,), of magnitude 1.
            translation: complex128 (H,), meters.
        """
        if not self.weight.any():
            return np.zeros(len(rotation))
        line = rotation[:, None] * self.entry + translation[:, None] - self.exit  # (H, E)
        turned_entry_velocity = (rotation / np.abs(rotation))[:, None] * self.entry_velocity
        exit_fit = np.exp(ENDPOINT_KAPPA * (vector_cosine(self.exit_velocity, line) - 1))
        entry_fit = np.exp(ENDPOINT_KAPPA * (vector_cosine(turned_entry_velocity, line) - 1))
        density = drive_density(self.travel_time_s, np.abs(line), self.speed_mps) * self.weight

        leaving = _Side.of(density, entry_fit, exit_fit, self.by_leaving)
        entering = _Side.of(density, exit_fit, entry_fit, self.by_entering)
        vehicles_ratio = leaving.heading_count / entering.heading_count
        values = []
        for share in _SHARES:
            # As many vehicles arrive as set out, so the shares of both sides are tied to each other.
            entering_share = np.minimum(share * vehicles_ratio, _MAX_ENTERING_SHARE)
            of_leaving = leaving.log_likelihood_ratio(share)
            of_entering = entering.log_likelihood_ratio(entering_share)
            values.append(np.minimum(of_leaving, of_entering))

        # The mean likelihood over the shares, which are equally likely.
        return np.asarray(np.logaddexp.reduce(values, axis=0) - np.log(len(_SHARES)))


def _moving_in_order(endpoints: Endpoints) -> Array:
    """Indices of those that move, in order of time: int64 (K,)."""
    is_moving = np.isfinite(endpoints.time_s) & (np.abs(endpoints.velocity) > _MIN_SPEED_MPS)
    rows = np.flatnonzero(is_moving)
    return rows[np.argsort(endpoints.time_s[rows], kind="stable")]


@dataclass(frozen=True, slots=True, eq=False)
class _Grouping:
    """Sums over the pairs of each vehicle of one side.

    Attributes:
        order: int64 (E,), pairs sorted by vehicle.
        begin: int64 (K,), first sorted pair of each vehicle.
    """

    order: Array
    begin: Array

    @classmethod
    def by(cls, vehicle: Array) -> _Grouping:
        """Pairs grouped by a vehicle's index: int64 (E,)."""
        order = np.argsort(vehicle, kind="stable")
        return cls(order, np.flatnonzero(np.diff(vehicle[order], prepend=-1)))

    def sum(self, values: Array) -> Array:
        """(H, E) → (H, K)."""
        return np.add.reduceat(values[:, self.order], self.begin, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """The K vehicles of one side, leaving or entering, under H transforms.

    Attributes:
        heading: float64 (H, K), a: how well each heads for the other plane, 1 at best.
        ratio: float64 (H, K), r: likelihood ratio of its travel times and appearance.
    """

    heading: Array
    ratio: Array

    @classmethod
    def of(cls, density: Array, partner_fit: Array, own_fit: Array, grouping: _Grouping) -> _Side:
        """From the pairs of each vehicle i with its partners j.

            a_i = Σ_j p_ij o_ij / Σ_j p_ij,   r_i = Σ_j p_ij f_ij / max(Σ_j p_ij, 1)

        Args:
            density: float64 (H, E), f.
            partner_fit: float64 (H, E), p: agreement of the partner's direction with the line.
            own_fit: float64 (H, E), o: agreement of the vehicle's own direction with the line.
            grouping: The pairs of each vehicle.
        """
        partners = grouping.sum(partner_fit)
        heading = grouping.sum(partner_fit * own_fit) / np.maximum(partners, 1e-9)
        ratio = grouping.sum(partner_fit * density) / np.maximum(partners, _MIN_VEHICLES)
        return cls(heading, ratio)

    @property
    def heading_count(self) -> Array:
        """Number of vehicles that head for the other plane, at least one: float64 (H, 1)."""
        return np.asarray(np.maximum(self.heading.sum(axis=1, keepdims=True), _MIN_VEHICLES))

    def log_likelihood_ratio(self, share: Array | float) -> Array:
        """L(s) = Σ_i log(1 + s a_i (r_i − 1)), s being a number or float64 (H, 1): float64 (H,)."""
        return np.asarray(np.log1p(share * self.heading * (self.ratio - 1)).sum(axis=1))
