"""One ground for all cameras that see common road, from their vehicles alone.

Pairs of views that :mod:`mtmc.site.registration` aligned are joined into trees
(:mod:`mtmc.site.pose_graph`), whose cameras are then adjusted together
(:mod:`mtmc.site.bundle_adjustment`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mtmc.site.bundle_adjustment import CameraPose, Correspondences, ImageSamples, bundle_adjust, residuals_m
from mtmc.site.camera_model import GroundScale
from mtmc.site.pose_graph import PairSimilarity, attach_camera, build_pose_graph
from mtmc.site.registration import Registration, register
from mtmc.site.trajectories import Trajectory
from mtmc.types import Array

__all__ = ["CommonGround", "learn_common_grounds"]

_MOST_ERROR_M = 1.0  # of ways that meet; a ground by the clocks as given may have more


@dataclass(frozen=True, slots=True, eq=False)
class CommonGround:
    """The common ground of some cameras.

    Attributes:
        ground_from_image: float64 (3, 3) by camera: pixels → metres; the first camera's own ground sets the axes.
        late_s: By camera, what is to be added to its clock; 0 for the first.
        met: By camera, how many ways meet one of another camera.
        error_m: Median distance of ways that meet, metres.
        pair_error_m: The same of each pair of cameras.
        edges: The registrations that hold it together.
    """

    ground_from_image: dict[str, Array]
    late_s: dict[str, float]
    met: dict[str, int]
    error_m: float
    pair_error_m: dict[tuple[str, str], float]
    edges: tuple[Registration, ...]


def learn_common_grounds(
    ways: Mapping[str, Sequence[Trajectory]],
    scales: Mapping[str, GroundScale],
    most_late_s: float = 3.0,
    alike: PairSimilarity = lambda a, b: None,
) -> tuple[list[CommonGround], list[Registration]]:
    """Frames of cameras that see common road, the largest first, and all registrations that were tried.

    Args:
        ways: By camera.
        scales: By camera.
        most_late_s: How far two clocks may differ.
        alike: Of two cameras, how alike the vehicles of their ways look: (W, W') in [0, 1], or None.
    """
    cameras = sorted(camera for camera in ways if camera in scales and ways[camera])
    pairs = list(combinations(cameras, 2))
    tried = _registered(pairs, ways, scales, most_late_s, alike)
    frames = _frames(tried, ways, scales, alike)
    # Views that nearly share road can be made to, by another clock and another scale; but then nobody quite meets.
    doubtful = {
        e
        for frame in frames
        for e in frame.edges
        if e.late_s and frame.pair_error_m.get(e.cameras, 0.0) > _MOST_ERROR_M
    }
    if doubtful:
        again = _registered(sorted(e.cameras for e in doubtful), ways, scales, 0.0, alike)
        tried = sorted([*(r for r in tried if r not in doubtful), *again], key=lambda r: r.cameras)
        frames = _frames(tried, ways, scales, alike)
    frames.sort(key=lambda frame: (-len(frame.met), min(frame.met)))
    return frames, tried


def _registered(
    pairs: Iterable[tuple[str, str]],
    ways: Mapping[str, Sequence[Trajectory]],
    scales: Mapping[str, GroundScale],
    most_late_s: float,
    alike: PairSimilarity,
) -> list[Registration]:
    every = (register(ways[a], ways[b], (scales[a], scales[b]), most_late_s, alike(a, b)) for a, b in pairs)
    return [found for found in every if found is not None]


def _frames(
    tried: Sequence[Registration],
    ways: Mapping[str, Sequence[Trajectory]],
    scales: Mapping[str, GroundScale],
    alike: PairSimilarity,
) -> list[CommonGround]:
    out = []
    grown = build_pose_graph(tried, ways, scales)
    alone = sorted({c for r in tried for c in r.cameras}.difference(*(poses for poses, _ in grown)))
    for poses, edges in grown:
        poses, pairs = bundle_adjust(poses, ways, scales)
        for camera in alone:
            joined = attach_camera(camera, poses, tried, ways, scales, alike)
            if joined is not None:
                poses, pairs = bundle_adjust({**poses, camera: joined[0]}, ways, scales)
                edges = (*edges, joined[1])
        alone = [camera for camera in alone if camera not in poses]
        out.append(_frame(poses, pairs, ways, scales, edges))
    return out


def _frame(
    poses: Mapping[str, CameraPose],
    pairs: Sequence[Correspondences],
    ways: Mapping[str, Sequence[Trajectory]],
    scales: Mapping[str, GroundScale],
    edges: tuple[Registration, ...],
) -> CommonGround:
    samples = {camera: ImageSamples(ways[camera], scales[camera]) for camera in poses}
    met: dict[str, set[int]] = {camera: set() for camera in poses}
    distances = {p.cameras: np.hypot(*residuals_m(p, poses, samples, scales).T) for p in pairs}
    for p in pairs:
        for side in (0, 1):
            met[p.cameras[side]] |= {members[side] for members in p.ways}
    together = np.concatenate([np.zeros(0), *distances.values()])
    return CommonGround(
        {camera: pose.matrix(scales[camera]) for camera, pose in poses.items()},
        {camera: pose.late_s for camera, pose in poses.items()},
        {camera: len(members) for camera, members in met.items()},
        float(np.median(together)) if len(together) else float("nan"),
        {cameras: float(np.median(apart)) for cameras, apart in distances.items()},
        edges,
    )
