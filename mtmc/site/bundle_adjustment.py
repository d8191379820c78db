"""Views laid on one another: grounds moved, turned and stretched until ways of one vehicle run along each other.

All cameras are adjusted together: focal length, horizon, roll, place, heading, size and clock of each. Which ways are
one vehicle's is decided anew in every round, within a narrowing distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import least_squares

from mtmc.geometry.ground import project
from mtmc.site.camera_model import GroundScale
from mtmc.site.trajectories import STEP_S, Trajectory
from mtmc.types import Array

__all__ = ["CameraPose", "Correspondences", "ImageSamples", "bundle_adjust", "match_trajectories", "residuals_m"]

_ROUNDS_M = (8.0, 6.0, 5.0, 4.0, 3.5, 3.0)  # how near ways must be to count, round by round
_LEAST_COMMON = 4
_MOST_SAMPLES = 8  # per pair of ways
_LEAST_MOTION_PX = 1.0  # per step
_UNKNOWNS = 8
_LATE_S, _AS_GIVEN_S = 1.5, 0.4  # usual error of a clock that was searched for, and of one that stands as given


@dataclass(frozen=True, slots=True)
class CameraPose:
    """The unknowns of one camera.

    Attributes:
        focal: Focal length in picture widths.
        horizon_px: Row of the horizon.
        roll: Of the camera, radians.
        turn, shift: Complex: a place z on the camera's own ground is ``turn · z + shift`` on the common one, metres.
        late_s: To be added to its clock.
    """

    focal: float
    horizon_px: float
    roll: float
    turn: complex
    shift: complex
    late_s: float = 0.0

    def matrix(self, scale: GroundScale) -> Array:
        """Pixels → metres on the common ground, (3, 3)."""
        a, b = self.turn, self.shift
        onto = np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0.0, 0.0, 1.0]])
        return np.asarray(onto @ scale.ground_from_image(self.focal, self.horizon_px, self.roll))


class ImageSamples:
    """A camera's samples: way, tick, pixels, and pixels per second."""

    def __init__(self, ways: Sequence[Trajectory], scale: GroundScale) -> None:
        way, tick, px, speed = [], [], [], []
        for k, w in enumerate(ways):
            usable = w.whole & scale.near(w.px)
            velocity = np.gradient(w.px, w.tick * STEP_S, axis=0)
            moving = np.hypot(*velocity.T) * STEP_S > _LEAST_MOTION_PX
            rows = np.flatnonzero(usable & moving)
            way.append(np.full(len(rows), k))
            tick.append(w.tick[rows])
            px.append(w.px[rows])
            speed.append(velocity[rows])
        self.way, self.tick = np.concatenate(way), np.concatenate(tick)
        self.px, self.speed = np.concatenate(px), np.concatenate(speed)


@dataclass(frozen=True, slots=True, eq=False)
class Correspondences:
    """Rows of samples of two cameras that belong together, with the way pair of each row."""

    cameras: tuple[str, str]
    rows: tuple[Array, Array]
    gap_s: Array
    pair: Array
    ways: tuple[tuple[int, int], ...]


def bundle_adjust(
    poses: dict[str, CameraPose], ways: Mapping[str, Sequence[Trajectory]], scales: Mapping[str, GroundScale]
) -> tuple[dict[str, CameraPose], list[Correspondences]]:
    """Better poses, those of the first camera by name kept, and the ways that meet by them."""
    samples = {camera: ImageSamples(ways[camera], scales[camera]) for camera in poses}
    pairs: list[Correspondences] = []
    before: list[tuple[tuple[int, int], ...]] = []
    late_s = {camera: pose.late_s for camera, pose in poses.items()}
    for near_m in _ROUNDS_M:
        pairs = [
            match_trajectories((a, b), poses, samples, scales, near_m) for a, b in combinations(sorted(poses), 2)
        ]
        pairs = [p for p in pairs if len(p.ways) >= 2]
        members = [p.ways for p in pairs]
        if not pairs or members == before:
            break
        before = members
        poses = _solve(poses, samples, scales, pairs, near_m, late_s)
    return poses, pairs


def match_trajectories(
    cameras: tuple[str, str],
    poses: Mapping[str, CameraPose],
    samples: Mapping[str, ImageSamples],
    scales: Mapping[str, GroundScale],
    near_m: float,
) -> Correspondences:
    """Ways of two cameras that run along each other within ``near_m``, one to one (mutually the best)."""
    a, b = (samples[camera] for camera in cameras)
    gap = poses[cameras[0]].late_s - poses[cameras[1]].late_s
    shift = round(gap / STEP_S)
    place_a, place_b = (project(s.px, poses[c].matrix(scales[c])) for s, c in zip((a, b), cameras, strict=True))
    order = np.argsort(b.tick, kind="stable")
    low, high = (np.searchsorted(b.tick[order], a.tick + shift, side) for side in ("left", "right"))
    count = high - low
    row_a = np.repeat(np.arange(len(a.tick)), count)
    row_b = order[np.repeat(low, count) + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)]
    apart = np.hypot(*(place_a[row_a] - place_b[row_b]).T)
    key = a.way[row_a] * (b.way.max(initial=0) + 1) + b.way[row_b]
    names, group = np.unique(key, return_inverse=True)
    size = np.bincount(group, minlength=len(names))
    mean = np.bincount(group, np.minimum(apart / near_m, 2.0) ** 2, minlength=len(names)) / np.maximum(size, 1)
    first, second = np.divmod(names, b.way.max(initial=0) + 1)
    worth = np.where((size >= _LEAST_COMMON) & (mean < 1.0), (1.0 - mean) * np.minimum(size, 12), 0.0)
    best_a, best_b = np.zeros(first.max(initial=-1) + 1), np.zeros(second.max(initial=-1) + 1)
    np.maximum.at(best_a, first, worth)
    np.maximum.at(best_b, second, worth)
    chosen = np.flatnonzero((worth > 0) & (worth == best_a[first]) & (worth == best_b[second]))
    rows_a, rows_b, pair = [np.zeros(0, int)], [np.zeros(0, int)], [np.zeros(0, int)]
    for number, k in enumerate(chosen.tolist()):
        rows = np.flatnonzero(group == k)
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST_SAMPLES)).round().astype(int)]
        rows_a.append(row_a[rows])
        rows_b.append(row_b[rows])
        pair.append(np.full(len(rows), number))
    found = np.concatenate(rows_a), np.concatenate(rows_b)
    # The samples are shift·STEP_S apart on the given clocks; the rest of the clocks' difference is made up by speed.
    rest = b.tick[found[1]] * STEP_S - a.tick[found[0]] * STEP_S
    members = tuple(zip(first[chosen].tolist(), second[chosen].tolist(), strict=True))
    return Correspondences(cameras, found, rest, np.concatenate(pair), members)


def residuals_m(
    pairs: Correspondences,
    poses: Mapping[str, CameraPose],
    samples: Mapping[str, ImageSamples],
    scales: Mapping[str, GroundScale],
) -> Array:
    """How far apart on the ground two cameras see what belongs together: float64 (R, 2), metres."""
    (a, b), (rows_a, rows_b) = pairs.cameras, pairs.rows
    # A's sample was taken at its tick + late_a, b's at its tick + late_b: move a's along for the difference.
    wait = pairs.gap_s + poses[b].late_s - poses[a].late_s
    px = samples[a].px[rows_a] + samples[a].speed[rows_a] * wait[:, None]
    return project(px, poses[a].matrix(scales[a])) - project(samples[b].px[rows_b], poses[b].matrix(scales[b]))


def _solve(
    poses: dict[str, CameraPose],
    samples: Mapping[str, ImageSamples],
    scales: Mapping[str, GroundScale],
    pairs: Sequence[Correspondences],
    near_m: float,
    late_s: Mapping[str, float],
) -> dict[str, CameraPose]:
    """Adjust all poses to the pairs; what boxes and registrations said of lenses, horizons, sizes and clocks pulls.

    Where few ways meet, a displaced ground can be mended by a clock that is off as well, so a clock that no
    registration wanted changed is held harder.
    """
    names = sorted(poses)
    start = np.concatenate([_vector(poses[name], scales[name]) for name in names])
    free = np.ones(len(start), bool)
    free[[3, 5, 6, 7]] = False  # heading, place and clock of the first camera are the common ones
    pull = np.concatenate(
        [[0.4, 0.05, 0.05, np.inf, 0.2, np.inf, np.inf, _LATE_S if late_s[name] else _AS_GIVEN_S] for name in names]
    )
    rest = np.concatenate([[np.log(scales[name].focal), 0, 0, 0, 0, 0, 0, late_s[name]] for name in names])

    def all_of(x: Array) -> dict[str, CameraPose]:
        full = start.copy()
        full[free] = x
        return {name: _pose(full[k * _UNKNOWNS : (k + 1) * _UNKNOWNS], scales[name]) for k, name in enumerate(names)}

    def error(x: Array) -> Array:
        full = start.copy()
        full[free] = x
        now = all_of(x)
        parts = [3.0 * (full - rest) / pull]
        for p in pairs:
            gap = residuals_m(p, now, samples, scales)
            distance = np.minimum(np.nan_to_num(np.hypot(*gap.T), nan=1e3), 1e3)
            share = 1 / np.sqrt(np.bincount(p.pair)[p.pair])
            bounded = distance / np.sqrt(1 + (distance / near_m) ** 2)  # far pairs do not pull without end
            parts.append((gap / np.maximum(distance, 1e-9)[:, None] * (bounded * share)[:, None]).ravel())
        return np.asarray(np.nan_to_num(np.concatenate(parts), nan=1e3))

    found = least_squares(error, start[free], x_scale="jac", tr_solver="lsmr", max_nfev=20)
    return all_of(found.x)


def _vector(pose: CameraPose, scale: GroundScale) -> Array:
    off = (pose.horizon_px - scale.horizon_px) / scale.size_wh[1]
    size, heading = np.log(abs(pose.turn)), np.angle(pose.turn)
    metres = pose.shift
    return np.array(
        [np.log(pose.focal), off, pose.roll, heading, size, metres.real / 10, metres.imag / 10, pose.late_s]
    )


def _pose(x: Array, scale: GroundScale) -> CameraPose:
    turn = complex(np.exp(x[4] + 1j * x[3]))
    horizon = scale.horizon_px + x[1] * scale.size_wh[1]
    return CameraPose(
        float(np.exp(x[0])), float(horizon), float(x[2]), turn, complex(10 * x[5], 10 * x[6]), float(x[7])
    )
