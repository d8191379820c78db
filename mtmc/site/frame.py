"""One ground for all cameras that see common road, from their vehicles alone.

Pairs of views that :mod:`mtmc.site.register` brought together are joined into a tree, the surest first. Then all
cameras are adjusted together: focal length, horizon, roll, place, heading, size and clock of each, such that ways
of one vehicle run along each other; which ways those are is decided anew in every round, within a narrowing
distance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import least_squares

from mtmc.geometry.ground import project
from mtmc.site.register import Registration, fit_again, register
from mtmc.site.scale import FOCAL, Scale
from mtmc.site.ways import STEP_S, Way
from mtmc.types import Array

__all__ = ["Frame", "learn_frame"]

_MOST_ERROR_M = 1.0  # of ways that meet; a ground by the clocks as given may have more
_ROUNDS_M = (8.0, 6.0, 5.0, 4.0, 3.5, 3.0)  # how near ways must be to count, round by round
_LEAST_COMMON = 4
_MOST_SAMPLES = 8  # per pair of ways
_LEAST_MOTION_PX = 1.0  # per step


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The common ground of some cameras.

    Attributes:
        ground_from_image: float64 (3, 3) by camera: pixels → metres; the first camera's own ground sets the axes.
        late_s: By camera, what is to be added to its clock; 0 for the first.
        met: By camera, how many ways meet one of another camera.
        error_m: Median distance of ways that meet, metres.
        edges: The registrations that hold it together.
    """

    ground_from_image: dict[str, Array]
    late_s: dict[str, float]
    met: dict[str, int]
    error_m: float
    edges: tuple[Registration, ...]


@dataclass(frozen=True, slots=True)
class _Pose:
    """The unknowns of one camera."""

    focal: float
    horizon_px: float
    roll: float
    turn: complex
    shift: complex
    late_s: float = 0.0

    def matrix(self, scale: Scale) -> Array:
        a, b = self.turn, self.shift
        onto = np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0.0, 0.0, 1.0]])
        return np.asarray(onto @ scale.ground_from_image(self.focal, self.horizon_px, self.roll))


def learn_frame(
    ways: Mapping[str, Sequence[Way]],
    scales: Mapping[str, Scale],
    most_late_s: float = 3.0,
    alike: Callable[[str, str], Array | None] = lambda a, b: None,
) -> tuple[list[Frame], list[Registration]]:
    """Frames of cameras that see common road, the largest first, and all registrations that were tried.

    Args:
        ways: By camera.
        scales: By camera.
        most_late_s: How far two clocks may differ.
        alike: Of two cameras, how alike the vehicles of their ways look: (W, W') in [0, 1], or None.
    """
    cameras = sorted(camera for camera in ways if camera in scales and ways[camera])
    tried = [
        found
        for a, b in combinations(cameras, 2)
        if (found := register(ways[a], ways[b], (scales[a], scales[b]), most_late_s, alike(a, b))) is not None
    ]
    frames = _frames(tried, ways, scales)
    # Views that nearly share road can be made to, by another clock and another scale; but then nobody quite meets.
    doubtful = {e for frame in frames if frame.error_m > _MOST_ERROR_M for e in frame.edges if e.late_s}
    if doubtful:
        frames = _frames([r for r in tried if r not in doubtful], ways, scales)
    frames.sort(key=lambda frame: (-len(frame.met), min(frame.met)))
    return frames, tried


def _frames(
    tried: Sequence[Registration], ways: Mapping[str, Sequence[Way]], scales: Mapping[str, Scale]
) -> list[Frame]:
    out = []
    for poses, edges in _trees(tried, ways, scales):
        poses, pairs = _adjust(poses, ways, scales)
        out.append(_frame(poses, pairs, ways, scales, edges))
    return out


def _trees(
    tried: Sequence[Registration], ways: Mapping[str, Sequence[Way]], scales: Mapping[str, Scale]
) -> list[tuple[dict[str, _Pose], tuple[Registration, ...]]]:
    """Cameras joined by the surest registrations, with their poses on the ground of the first camera of each tree."""
    good = [r for r in tried if r.holds]
    good.sort(key=lambda r: (r.accident - r.met, r.cameras))
    home = {camera: camera for r in good for camera in r.cameras}
    used: list[Registration] = []
    for r in good:
        a, b = (home[camera] for camera in r.cameras)
        if a != b:
            used.append(r)
            home = {camera: a if root == b else root for camera, root in home.items()}
    out = []
    for root in sorted(set(home.values())):
        members = {camera for camera, at in home.items() if at == root}
        edges = tuple(r for r in used if r.cameras[0] in members)
        focal = _focals([r for r in good if r.cameras[0] in members])
        out.append((_walk(min(members), edges, focal, ways, scales), edges))
    return out


def _focals(good: Sequence[Registration]) -> dict[str, float]:
    """Focal length of each camera: the geometric mean of what its registrations found, by the vehicles that met."""
    logs: dict[str, list[tuple[float, float]]] = {}
    for r in good:
        for camera, focal in zip(r.cameras, r.focal, strict=True):
            logs.setdefault(camera, []).append((float(np.log(focal)), r.met))
    return {
        camera: float(np.exp(np.average([f for f, _ in values], weights=[w for _, w in values])))
        for camera, values in logs.items()
    }


def _walk(
    first: str,
    edges: Sequence[Registration],
    focal: Mapping[str, float],
    ways: Mapping[str, Sequence[Way]],
    scales: Mapping[str, Scale],
) -> dict[str, _Pose]:
    """Poses along a tree. An edge's map holds for the focal lengths it was found with, so it is fitted again."""
    poses = {first: _Pose(focal[first], scales[first].horizon_px, 0.0, 1 + 0j, 0j)}
    waiting = list(edges)
    while waiting:
        edge = next(e for e in waiting if (e.cameras[0] in poses) != (e.cameras[1] in poses))
        waiting.remove(edge)
        a, b = edge.cameras
        turn, shift = fit_again(edge, ways[a], ways[b], (scales[a], scales[b]), (focal[a], focal[b]))
        late, old, new = edge.late_s, b, a
        if a in poses:  # the edge leads from a's ground to b's: turn it round
            turn, shift, late, old, new = 1 / turn, -shift / turn, -late, a, b
        base = poses[old]
        place = base.turn * shift + base.shift
        poses[new] = _Pose(focal[new], scales[new].horizon_px, 0.0, base.turn * turn, place, base.late_s + late)
    return poses


class _Samples:
    """A camera's samples: way, tick, pixels, and pixels per second."""

    def __init__(self, ways: Sequence[Way], scale: Scale) -> None:
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
class _Pairs:
    """Rows of samples of two cameras that belong together, with the way pair of each row."""

    cameras: tuple[str, str]
    rows: tuple[Array, Array]
    gap_s: Array
    pair: Array
    ways: tuple[tuple[int, int], ...]


def _adjust(
    poses: dict[str, _Pose], ways: Mapping[str, Sequence[Way]], scales: Mapping[str, Scale]
) -> tuple[dict[str, _Pose], list[_Pairs]]:
    samples = {camera: _Samples(ways[camera], scales[camera]) for camera in poses}
    pairs: list[_Pairs] = []
    before: list[tuple[tuple[int, int], ...]] = []
    for near_m in _ROUNDS_M:
        pairs = [_match((a, b), poses, samples, scales, near_m) for a, b in combinations(sorted(poses), 2)]
        pairs = [p for p in pairs if len(p.ways) >= 2]
        members = [p.ways for p in pairs]
        if not pairs or members == before:
            break
        before = members
        poses = _solve(poses, samples, scales, pairs, near_m)
    return poses, pairs


def _match(
    cameras: tuple[str, str],
    poses: Mapping[str, _Pose],
    samples: Mapping[str, _Samples],
    scales: Mapping[str, Scale],
    near_m: float,
) -> _Pairs:
    """Ways of two cameras that run along each other, one to one (mutually the best)."""
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
    return _Pairs(cameras, found, rest, np.concatenate(pair), members)


_UNKNOWNS = 8


def _solve(
    poses: dict[str, _Pose],
    samples: Mapping[str, _Samples],
    scales: Mapping[str, Scale],
    pairs: Sequence[_Pairs],
    near_m: float,
) -> dict[str, _Pose]:
    """Adjust all poses to the pairs; what is assumed of lenses, horizons, sizes and clocks pulls weakly."""
    names = sorted(poses)
    start = np.concatenate([_vector(poses[name], scales[name]) for name in names])
    free = np.ones(len(start), bool)
    free[[3, 5, 6, 7]] = False  # heading, place and clock of the first camera are the common ones
    pull = np.tile([0.4, 0.05, 0.05, np.inf, 0.2, np.inf, np.inf, 1.5], len(names))
    rest = np.concatenate([[np.log(FOCAL), 0, 0, 0, 0, 0, 0, 0] for _ in names])

    def all_of(x: Array) -> dict[str, _Pose]:
        full = start.copy()
        full[free] = x
        return {name: _pose(full[k * _UNKNOWNS : (k + 1) * _UNKNOWNS], scales[name]) for k, name in enumerate(names)}

    def error(x: Array) -> Array:
        full = start.copy()
        full[free] = x
        now = all_of(x)
        parts = [3.0 * (full - rest) / pull]
        for p in pairs:
            (a, b), (rows_a, rows_b) = p.cameras, p.rows
            # A's sample was taken at its tick + late_a, b's at its tick + late_b: move a's along for the difference.
            wait = p.gap_s + now[b].late_s - now[a].late_s
            px = samples[a].px[rows_a] + samples[a].speed[rows_a] * wait[:, None]
            gap = project(px, now[a].matrix(scales[a])) - project(samples[b].px[rows_b], now[b].matrix(scales[b]))
            distance = np.minimum(np.nan_to_num(np.hypot(*gap.T), nan=1e3), 1e3)
            share = 1 / np.sqrt(np.bincount(p.pair)[p.pair])
            bounded = distance / np.sqrt(1 + (distance / near_m) ** 2)  # far pairs do not pull without end
            parts.append((gap / np.maximum(distance, 1e-9)[:, None] * (bounded * share)[:, None]).ravel())
        return np.asarray(np.nan_to_num(np.concatenate(parts), nan=1e3))

    found = least_squares(error, start[free], x_scale="jac", tr_solver="lsmr", max_nfev=20)
    return all_of(found.x)


def _vector(pose: _Pose, scale: Scale) -> Array:
    off = (pose.horizon_px - scale.horizon_px) / scale.size_wh[1]
    size, heading = np.log(abs(pose.turn)), np.angle(pose.turn)
    metres = pose.shift
    return np.array(
        [np.log(pose.focal), off, pose.roll, heading, size, metres.real / 10, metres.imag / 10, pose.late_s]
    )


def _pose(x: Array, scale: Scale) -> _Pose:
    turn = complex(np.exp(x[4] + 1j * x[3]))
    horizon = scale.horizon_px + x[1] * scale.size_wh[1]
    return _Pose(float(np.exp(x[0])), float(horizon), float(x[2]), turn, complex(10 * x[5], 10 * x[6]), float(x[7]))


def _frame(
    poses: Mapping[str, _Pose],
    pairs: Sequence[_Pairs],
    ways: Mapping[str, Sequence[Way]],
    scales: Mapping[str, Scale],
    edges: tuple[Registration, ...],
) -> Frame:
    samples = {camera: _Samples(ways[camera], scales[camera]) for camera in poses}
    met: dict[str, set[int]] = {camera: set() for camera in poses}
    distances = [np.zeros(0)]
    for p in pairs:
        for side in (0, 1):
            met[p.cameras[side]] |= {members[side] for members in p.ways}
        a, b = p.cameras
        wait = p.gap_s + poses[b].late_s - poses[a].late_s
        px = samples[a].px[p.rows[0]] + samples[a].speed[p.rows[0]] * wait[:, None]
        gap = project(px, poses[a].matrix(scales[a])) - project(samples[b].px[p.rows[1]], poses[b].matrix(scales[b]))
        distances.append(np.hypot(*gap.T))
    together = np.concatenate(distances)
    return Frame(
        {camera: pose.matrix(scales[camera]) for camera, pose in poses.items()},
        {camera: pose.late_s for camera, pose in poses.items()},
        {camera: len(members) for camera, members in met.items()},
        float(np.median(together)) if len(together) else float("nan"),
        edges,
    )
