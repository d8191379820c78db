"""Conflicts of two vehicles in the view of a calibrated camera, with their spread.

**Post-encroachment time (PET)** of two paths that cross: the time from when the first vehicle's rear leaves the area
that both sweep to when the second one's front enters it. With θ the angle of the paths at their crossing, the area
reaches along the first one's path, of width w₁, to both sides of the crossing by

    e₁ = (w₂ + w₁ |cos θ|) / (2 sin θ),

and its center has left at e₁ + l₁/2 behind the crossing. The second one's center enters at e₂ + l₂/2 before it.
An error δ of the first one's position along its path and ε across it, which moves the crossing, delays its passing by
(ε cot θ − δ) / v₁ and that of the second one by ε / (v₂ sin θ), and likewise for the second one's. With σ₁, σ₂ the
standard deviations of the positions in each direction, v the speeds there, θ from 0 to 180° and τ = σ_l / v the
standard deviations of half lengths over the speeds,

    σ² = (σ₁² + σ₂²) / sin² θ · (1 / v₁² + 1 / v₂² − 2 cos θ / (v₁ v₂)) + τ₁² + τ₂².

**Time to collision (TTC)** in the plane: the time until the outlines of two vehicles touch if their velocities stay.
Two rectangles touch when their projections overlap on the directions of all their sides, which gives an interval of
time for each. Positions and velocities are drawn from normal distributions, and the time is known only if nine in
ten draws collide. The least median of an encounter is reported.

Paths that cross at less than 30° merge or diverge, and have none. A value is unknown where it cannot be told:
positions are not sure on the whole way through the area, a vehicle is slower there than 1 m/s or three standard
deviations of its speed, the paths cross several times, σ exceeds one second, or the vehicles may merge all the same:
where it enters and leaves the area, each center must be outside the way that the other one sweeps, w/2 from its path,
by 1.6 standard deviations.

Sources: Allen, Shin, Cooper: Analysis of traffic conflicts and collisions, Transportation Research Record 667, 1978
(PET); Hayward: Near-miss determination through use of a scale of danger, Highway Research Record 384, 1972 (TTC);
Gottschalk, Lin, Manocha: OBBTree, SIGGRAPH 1996 (separating axes).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from mtmc.scene import Camera
from mtmc.traffic.outlines import STEP_S, Outlines, outlines_of
from mtmc.types import Array, GlobalTrack

__all__ = ["Conflict", "conflicts", "post_encroachment", "time_to_collision"]

_MAX_PET_S, _MAX_TTC_S = 5.0, 3.0  # longer ones are no conflict
_MAX_SD_S = 1.0
_MIN_SINE, _MIN_SPEED_MPS, _MIN_SPEED_SDS = 0.5, 1.0, 3.0
_MAX_STEP_GAP = 5  # missing outlines that a path may pass, half a second

_DRAWS, _MIN_SHARE, _SEED = 200, 0.9, 0
_TTC_EVERY = 2  # outlines
_LOW, _HIGH = 5.0, 95.0
_Z = 1.6449  # the 95 % quantile of the normal distribution


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two vehicles that came near to one another in the view of a camera.

    Attributes:
        camera: Name of the camera.
        measure: "PET" or "TTC".
        first_vehicle, second_vehicle: Identities, the first one passes first (PET), or has the lower number (TTC).
        first_class, second_class: Their classes.
        at_s: Scene time when the second vehicle enters the common area (PET), or of the least time (TTC), seconds.
        x_m, y_m: Crossing of the paths (PET), or the middle between the vehicles (TTC), on the ground plane.
        angle_deg: Angle between the two directions of travel, 0 to 180.
        first_kmh, second_kmh: Speeds there.
        value_s: The time; NaN where it cannot be told.
        low_s, high_s: Its 90 % interval, NaN with it.
    """

    camera: str
    measure: str
    first_vehicle: int
    second_vehicle: int
    first_class: str
    second_class: str
    at_s: float
    x_m: float
    y_m: float
    angle_deg: float
    first_kmh: float
    second_kmh: float
    value_s: float
    low_s: float
    high_s: float


def conflicts(tracks: Iterable[GlobalTrack], cameras: Sequence[Camera]) -> list[Conflict]:
    """Post-encroachment times up to 5 s and times to collision up to 3 s in calibrated cameras, by camera and time.

    Two cameras that see one conflict have a row each.

    Args:
        tracks: The vehicles.
        cameras: The cameras of the scene.
    """
    vehicles = list(tracks)
    rows = []
    for camera in cameras:
        for first, second in _near_pairs(outlines_of(vehicles, camera)):
            rows += [row for row in (post_encroachment(first, second), time_to_collision(first, second)) if row]
    return sorted(rows, key=lambda row: (row.camera, row.at_s, row.measure, row.first_vehicle, row.second_vehicle))


def _near_pairs(outlines: Sequence[Outlines]) -> Iterator[tuple[Outlines, Outlines]]:
    """Pairs of vehicles that are in view within the longest post-encroachment time of one another."""
    slack = round((_MAX_PET_S + 2 * _MAX_SD_S) / STEP_S)
    for a, b in combinations(outlines, 2):
        is_near = a.step[0] - slack <= b.step[-1] and b.step[0] - slack <= a.step[-1]
        if is_near and a.movement.vehicle != b.movement.vehicle:
            yield a, b


# Post-encroachment time


@dataclass(frozen=True, slots=True)
class _Crossing:
    """One vehicle at the crossing of two paths.

    Attributes:
        outlines: The vehicle.
        along_m: Length of its path to the crossing.
        time_s: When its center is there.
        speed_mps, speed_sd_mps: How fast, and the standard deviation of that.
        sd_m: Standard deviation of its center there.
        extent_m: How far the common area reaches along its path to both sides, and half its length.
    """

    outlines: Outlines
    along_m: float
    time_s: float
    speed_mps: float
    speed_sd_mps: float
    sd_m: float
    extent_m: float

    @property
    def has_sure_speed(self) -> bool:
        """Whether it is at least 1 m/s and three times its standard deviation."""
        return self.speed_mps >= max(_MIN_SPEED_MPS, _MIN_SPEED_SDS * self.speed_sd_mps)

    def time_at_s(self, offset_m: float) -> float:
        """When its center is ``offset_m`` beyond the crossing; NaN where positions on the way are not sure."""
        path_m = _path_m(self.outlines)
        wanted_m = self.along_m + offset_m
        if not path_m[0] <= wanted_m <= path_m[-1]:
            return math.nan
        low, high = sorted(int(np.searchsorted(path_m, m)) for m in (self.along_m, wanted_m))
        on_the_way = self.outlines.step[max(low - 1, 0) : high + 1]
        if len(on_the_way) > 1 and np.diff(on_the_way).max() > _MAX_STEP_GAP:
            return math.nan
        return float(np.interp(wanted_m, path_m, self.outlines.step * STEP_S))

    def crosses(self, other: _Crossing) -> bool:
        """Whether its center is surely outside the way that another one sweeps at both ends of the common area."""
        step = self.outlines.step * STEP_S
        ends_s = np.array([self.time_at_s(-self.extent_m), self.time_at_s(self.extent_m)])
        ends_m = np.stack([np.interp(ends_s, step, axis) for axis in self.outlines.center_m.T], axis=1)
        margin_m = other.outlines.width_m / 2 + _Z * math.hypot(self.sd_m, other.sd_m)
        return bool((_distance_m(ends_m, other.outlines.center_m) >= margin_m).all())


def post_encroachment(a: Outlines, b: Outlines) -> Conflict | None:
    """The post-encroachment time of two vehicles.

    Returns:
        None if their paths do not cross at 30° or more, or the time is certainly above 5 s.
    """
    crossing = _crossing(a, b)
    if crossing is None:
        return None
    first, second, at_m, cosine, is_single = crossing
    if first.time_s > second.time_s:
        first, second = second, first
    sine = math.sqrt(1 - cosine**2)
    if sine < _MIN_SINE:
        return None
    leave_s, enter_s = first.time_at_s(first.extent_m), second.time_at_s(-second.extent_m)
    sd_s = _sd_s(first, second, cosine)
    value_s = enter_s - leave_s
    is_sure = is_single and sd_s <= _MAX_SD_S
    is_sure = is_sure and all(
        own.has_sure_speed and own.crosses(other) for own, other in permutations((first, second))
    )
    if not is_sure:
        value_s = math.nan
    if (second.time_s - first.time_s if math.isnan(value_s) else value_s - _Z * sd_s) > _MAX_PET_S:
        return None
    is_known = math.isfinite(value_s)
    return Conflict(
        camera=a.movement.camera,
        measure="PET",
        first_vehicle=first.outlines.movement.vehicle,
        second_vehicle=second.outlines.movement.vehicle,
        first_class=first.outlines.movement.vehicle_class,
        second_class=second.outlines.movement.vehicle_class,
        at_s=enter_s if math.isfinite(enter_s) else second.time_s,
        x_m=float(at_m[0]),
        y_m=float(at_m[1]),
        angle_deg=math.degrees(math.acos(cosine)),
        first_kmh=3.6 * first.speed_mps,
        second_kmh=3.6 * second.speed_mps,
        value_s=value_s,
        low_s=value_s - _Z * sd_s if is_known else math.nan,
        high_s=value_s + _Z * sd_s if is_known else math.nan,
    )


def _sd_s(first: _Crossing, second: _Crossing, cosine: float) -> float:
    """Standard deviation σ of the post-encroachment time, where neither direction is parallel to the other."""
    per_speed = np.array([1 / max(own.speed_mps, 1e-6) for own in (first, second)])
    position_m2 = (first.sd_m**2 + second.sd_m**2) / (1 - cosine**2)
    position_s2 = position_m2 * float(per_speed @ per_speed - 2 * cosine * per_speed.prod())
    half_lengths_s = np.array([own.outlines.half_length_sd_m for own in (first, second)]) * per_speed
    return math.sqrt(position_s2 + float(half_lengths_s @ half_lengths_s))


def _crossing(a: Outlines, b: Outlines) -> tuple[_Crossing, _Crossing, Array, float, bool] | None:
    """Both vehicles at the first crossing of their paths, its place (2,), its angle's cosine, and if it is alone.

    None without a crossing.
    """
    if (a.center_m.max(axis=0) < b.center_m.min(axis=0)).any() or (
        b.center_m.max(axis=0) < a.center_m.min(axis=0)
    ).any():
        return None
    start_a, start_b = a.center_m[:-1], b.center_m[:-1]
    way_a, way_b = np.diff(a.center_m, axis=0), np.diff(b.center_m, axis=0)
    between = start_b[None] - start_a[:, None]
    determinant = _cross(way_a[:, None], way_b[None])
    with np.errstate(divide="ignore", invalid="ignore"):
        share_a = _cross(between, way_b[None]) / determinant
        share_b = _cross(between, way_a[:, None]) / determinant
        crosses = (share_a >= 0) & (share_a < 1) & (share_b >= 0) & (share_b < 1)
    found = np.argwhere(crosses)
    if not len(found):
        return None
    i, j = found[0].tolist()
    cosine = float(np.clip(a.heading[i] @ b.heading[j], -1, 1))
    at_m = start_a[i] + share_a[i, j] * way_a[i]
    sine = max(math.sqrt(1 - cosine**2), 1e-6)
    return (
        _at_crossing(a, i, float(share_a[i, j]), _extent_m(a, b, sine, abs(cosine))),
        _at_crossing(b, j, float(share_b[i, j]), _extent_m(b, a, sine, abs(cosine))),
        at_m,
        cosine,
        len(found) == 1,
    )


def _extent_m(own: Outlines, other: Outlines, sine: float, cosine: float) -> float:
    return (other.width_m + own.width_m * cosine) / (2 * sine) + own.length_m / 2


def _at_crossing(outlines: Outlines, row: int, share: float, extent_m: float) -> _Crossing:
    path_m = _path_m(outlines)
    return _Crossing(
        outlines=outlines,
        along_m=float(path_m[row] + share * (path_m[row + 1] - path_m[row])),
        time_s=float(outlines.step[row] + share * (outlines.step[row + 1] - outlines.step[row])) * STEP_S,
        speed_mps=float(np.hypot(*outlines.velocity_mps[row])),
        speed_sd_mps=float(outlines.velocity_sd_mps[row]),
        sd_m=float(outlines.sd_m[row]),
        extent_m=extent_m,
    )


def _path_m(outlines: Outlines) -> Array:
    """Length of the path up to each outline: float64 (K,), meters."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(outlines.center_m, axis=0).T))])


def _distance_m(points: Array, path: Array) -> Array:
    """Least distance of points (P, 2) from a polyline (K, 2): float64 (P,), NaN for NaN."""
    start, way = path[:-1], np.diff(path, axis=0)
    share = ((points[:, None] - start) * way).sum(axis=2) / np.maximum((way**2).sum(axis=1), 1e-12)
    nearest = start + np.clip(share, 0, 1)[..., None] * way
    return np.asarray(np.linalg.norm(points[:, None] - nearest, axis=2).min(axis=1))


def _cross(a: Array, b: Array) -> Array:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


# Time to collision


def time_to_collision(a: Outlines, b: Outlines) -> Conflict | None:
    """The least time to collision of two vehicles; None if it is above 3 s throughout, as it is seen."""
    if a.movement.vehicle > b.movement.vehicle:
        a, b = b, a
    _, rows_a, rows_b = np.intersect1d(a.step, b.step, return_indices=True)
    rows_a, rows_b = rows_a[::_TTC_EVERY], rows_b[::_TTC_EVERY]
    nominal_s = collision_times(a, b, rows_a, rows_b, np.zeros((1, 2)), np.zeros((1, 2)))[:, 0]
    candidates = np.flatnonzero(nominal_s <= _MAX_TTC_S)
    if not len(candidates):
        return None
    rows_a, rows_b = rows_a[candidates], rows_b[candidates]

    rng = np.random.default_rng(_SEED)
    moved, faster = rng.normal(size=(2, _DRAWS, 2))
    times_s = collision_times(a, b, rows_a, rows_b, moved, faster)
    share = np.isfinite(times_s).mean(axis=1)
    median_s = np.where(share >= _MIN_SHARE, np.median(times_s, axis=1), np.inf)
    is_known = bool(np.isfinite(median_s).any())
    k = int(np.argmin(median_s if is_known else nominal_s[candidates]))
    i, j = int(rows_a[k]), int(rows_b[k])
    known_s = times_s[k][np.isfinite(times_s[k])]
    value_s, low_s, high_s = (
        np.percentile(known_s, [50, _LOW, _HIGH]).tolist() if is_known else (math.nan, math.nan, math.nan)
    )
    middle_m = (a.center_m[i] + b.center_m[j]) / 2
    return Conflict(
        camera=a.movement.camera,
        measure="TTC",
        first_vehicle=a.movement.vehicle,
        second_vehicle=b.movement.vehicle,
        first_class=a.movement.vehicle_class,
        second_class=b.movement.vehicle_class,
        at_s=float(a.step[i]) * STEP_S,
        x_m=float(middle_m[0]),
        y_m=float(middle_m[1]),
        angle_deg=math.degrees(math.acos(float(np.clip(a.heading[i] @ b.heading[j], -1, 1)))),
        first_kmh=3.6 * float(np.hypot(*a.velocity_mps[i])),
        second_kmh=3.6 * float(np.hypot(*b.velocity_mps[j])),
        value_s=value_s,
        low_s=low_s,
        high_s=high_s,
    )


def collision_times(a: Outlines, b: Outlines, rows_a: Array, rows_b: Array, moved: Array, faster: Array) -> Array:
    """When two rectangles of constant velocity touch, seconds from now; 0 if they do now, inf if they never do.

    Args:
        a: One vehicle.
        b: The other.
        rows_a: int64 (N,), its outlines.
        rows_b: int64 (N,), those of the other at the same times.
        moved: float64 (D, 2), errors of the relative position, in standard deviations.
        faster: float64 (D, 2), errors of the relative velocity, in standard deviations.

    Returns:
        float64 (N, D).
    """
    sd_m = np.hypot(a.sd_m[rows_a], b.sd_m[rows_b])[:, None, None]
    sd_mps = np.hypot(a.velocity_sd_mps[rows_a], b.velocity_sd_mps[rows_b])[:, None, None]
    distance = (b.center_m[rows_b] - a.center_m[rows_a])[:, None] + sd_m * moved
    velocity = (b.velocity_mps[rows_b] - a.velocity_mps[rows_a])[:, None] + sd_mps * faster

    along_a, along_b = a.heading[rows_a], b.heading[rows_b]
    enter, leave = np.full(distance.shape[:2], 0.0), np.full(distance.shape[:2], np.inf)
    for axis in (along_a, _left(along_a), along_b, _left(along_b)):
        reach = _half_extent(a, along_a, axis) + _half_extent(b, along_b, axis)
        begin, end = _overlap(
            (distance * axis[:, None]).sum(axis=2), (velocity * axis[:, None]).sum(axis=2), reach[:, None]
        )
        enter, leave = np.maximum(enter, begin), np.minimum(leave, end)
    return np.where(enter <= leave, enter, np.inf)


def _half_extent(outlines: Outlines, along: Array, axis: Array) -> Array:
    """Half the extent of a rectangle along unit vectors: (N, 2), (N, 2) → (N,), meters."""
    by_length = np.abs((along * axis).sum(axis=1)) * outlines.length_m
    by_width = np.abs((_left(along) * axis).sum(axis=1)) * outlines.width_m
    return np.asarray((by_length + by_width) / 2)


def _overlap(distance: Array, velocity: Array, reach: Array) -> tuple[Array, Array]:
    """Begin and end of the time in which |distance + velocity t| ≤ reach, seconds; begin > end for never."""
    speed = np.abs(velocity)
    is_fixed = speed < 1e-9
    closing = -distance * np.sign(velocity)
    with np.errstate(divide="ignore", invalid="ignore"):
        begin, end = (closing - reach) / speed, (closing + reach) / speed
    touches = np.abs(distance) <= reach
    return (
        np.where(is_fixed, np.where(touches, -np.inf, np.inf), begin),
        np.where(is_fixed, np.where(touches, np.inf, -np.inf), end),
    )


def _left(vectors: Array) -> Array:
    return np.stack([-vectors[:, 1], vectors[:, 0]], axis=1)
