"""Common ground planes: one coordinate system for all cameras that see the same road.

All pairs of cameras are registered (:mod:`mtmc.site.registration`) and joined into trees
(:mod:`mtmc.site.pose_graph`), whose cameras are then adjusted together (:mod:`mtmc.site.bundle_adjustment`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mtmc.site.bundle_adjustment import CameraPose, Correspondences, ImageSamples, bundle_adjust, residuals_m
from mtmc.site.camera_model import GroundScale
from mtmc.site.pose_graph import PairSimilarity, attach_camera, build_pose_graph
from mtmc.site.registration import Registration, register_cameras
from mtmc.site.trajectories import ImageTrajectory
from mtmc.types import Array

__all__ = ["CommonGround", "learn_common_grounds"]

_MAX_RESIDUAL_M = 1.0  # median, of a pair of cameras whose clocks were changed


@dataclass(frozen=True, slots=True, eq=False)
class CommonGround:
    """The common ground plane of some cameras.

    Attributes:
        ground_from_image: float64 (3, 3) by camera, pixels → meters; the first camera's ground plane sets the axes.
        clock_correction_s: By camera, what must be added to its clock; 0 for the first.
        co_observed: By camera, the number of trajectories that coincide with one of another camera.
        median_residual_m: Median distance of corresponding samples, meters; NaN without any.
        pair_residual_m: The same for each pair of cameras.
        edges: The registrations that join the cameras.
    """

    ground_from_image: dict[str, Array]
    clock_correction_s: dict[str, float]
    co_observed: dict[str, int]
    median_residual_m: float
    pair_residual_m: dict[tuple[str, str], float]
    edges: tuple[Registration, ...]


def learn_common_grounds(
    trajectories: Mapping[str, Sequence[ImageTrajectory]],
    scales: Mapping[str, GroundScale],
    max_clock_offset_s: float = 3.0,
    similarity: PairSimilarity = lambda a, b: None,
    min_probability: float = 0.0,
) -> tuple[list[CommonGround], list[Registration]]:
    """Common ground planes of cameras that see the same road, the largest first, and the registration of all pairs.

    Two views that nearly share road can be made to coincide by a wrong clock and a wrong scale, but then the
    residuals stay large. Pairs with a changed clock and a median residual above 1 m are registered again with the
    given clocks.

    Args:
        trajectories: By camera.
        scales: By camera.
        max_clock_offset_s: How far two clocks may differ.
        similarity: Similarity weights of the trajectories of two cameras.
        min_probability: Least probability of a registration that joins two cameras.
    """
    cameras = sorted(camera for camera in trajectories if camera in scales and trajectories[camera])
    pairs = combinations(cameras, 2)
    registrations = _register(pairs, trajectories, scales, max_clock_offset_s, similarity)
    tried = len(cameras) * (len(cameras) - 1) // 2
    registrations = [r for r in registrations if r.probability(tried) >= min_probability]
    ground_planes = _join(registrations, trajectories, scales, similarity)

    doubtful = {edge for ground in ground_planes for edge in ground.edges if _has_doubtful_clock(edge, ground)}
    if doubtful:
        pairs_again = sorted(edge.cameras for edge in doubtful)
        again = _register(pairs_again, trajectories, scales, 0.0, similarity)
        again = [r for r in again if r.probability(tried) >= min_probability]
        kept = [r for r in registrations if r not in doubtful]
        registrations = sorted([*kept, *again], key=lambda r: r.cameras)
        ground_planes = _join(registrations, trajectories, scales, similarity)

    ground_planes.sort(key=lambda ground: (-len(ground.co_observed), min(ground.co_observed)))
    return ground_planes, registrations


def _has_doubtful_clock(edge: Registration, ground: CommonGround) -> bool:
    residual_m = ground.pair_residual_m.get(edge.cameras, 0.0)
    return edge.clock_b_minus_a_s != 0 and residual_m > _MAX_RESIDUAL_M


def _register(
    pairs: Iterable[tuple[str, str]],
    trajectories: Mapping[str, Sequence[ImageTrajectory]],
    scales: Mapping[str, GroundScale],
    max_clock_offset_s: float,
    similarity: PairSimilarity,
) -> list[Registration]:
    found = (
        register_cameras(
            trajectories[a], trajectories[b], (scales[a], scales[b]), max_clock_offset_s, similarity(a, b)
        )
        for a, b in pairs
    )
    return [registration for registration in found if registration is not None]


def _join(
    registrations: Sequence[Registration],
    trajectories: Mapping[str, Sequence[ImageTrajectory]],
    scales: Mapping[str, GroundScale],
    similarity: PairSimilarity,
) -> list[CommonGround]:
    """Trees of cameras, adjusted; then the remaining cameras, one after the other."""
    ground_planes = []
    trees = build_pose_graph(registrations, trajectories, scales)
    remaining = sorted({c for r in registrations for c in r.cameras}.difference(*(poses for poses, _ in trees)))
    for tree_poses, edges in trees:
        poses, matches = bundle_adjust(tree_poses, trajectories, scales)
        for camera in remaining:
            attached = attach_camera(camera, poses, registrations, trajectories, scales, similarity)
            if attached is not None:
                pose, edge = attached
                poses, matches = bundle_adjust({**poses, camera: pose}, trajectories, scales)
                edges = (*edges, edge)
        remaining = [camera for camera in remaining if camera not in poses]
        ground_planes.append(_common_ground(poses, matches, trajectories, scales, edges))
    return ground_planes


def _common_ground(
    poses: Mapping[str, CameraPose],
    correspondences: Sequence[Correspondences],
    trajectories: Mapping[str, Sequence[ImageTrajectory]],
    scales: Mapping[str, GroundScale],
    edges: tuple[Registration, ...],
) -> CommonGround:
    samples = {camera: ImageSamples.of(trajectories[camera], scales[camera]) for camera in poses}
    distances = {m.cameras: np.hypot(*residuals_m(m, poses, samples, scales).T) for m in correspondences}
    all_distances = np.concatenate([np.zeros(0), *distances.values()])
    co_observed: dict[str, set[int]] = {camera: set() for camera in poses}
    for matches in correspondences:
        for side, camera in enumerate(matches.cameras):
            co_observed[camera] |= {pair[side] for pair in matches.trajectories}
    return CommonGround(
        {camera: pose.matrix(scales[camera]) for camera, pose in poses.items()},
        {camera: pose.clock_correction_s for camera, pose in poses.items()},
        {camera: len(members) for camera, members in co_observed.items()},
        float(np.median(all_distances)) if len(all_distances) else float("nan"),
        {cameras: float(np.median(distance)) for cameras, distance in distances.items()},
        edges,
    )
