"""Clock offsets and drift of cameras whose views share ground: the shift in time at which ways run along each other.

For every pair of cameras the shift is first searched on a grid of offset and rate, by how many ways of one meet one
of the other (a Hough transform over clocks); then every pair of ways that meet gives its own shift, along its
speed, and a robust line through them gives offset and rate with their errors. Calibrations are off by metres, which
looks like time to all who drive in one direction, and like the opposite to those who come the other way, so that
displacement is fitted along, small ones expected. Pairs are reconciled by weighted least squares over all cameras,
one camera of each group being the reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mtmc.geometry.ground import project
from mtmc.site.trajectories import STEP_S, Trajectory
from mtmc.types import Array

__all__ = ["ClockFit", "PairClock", "fit_clocks", "fit_pair", "meetings"]

_NEAR_M = 5.0
_LEAST_COMMON = 4
_LEAST_SPEED = 2.0  # metres per second: what is slower tells little about time
_RATES = np.arange(-0.06, 0.0601, 0.005)
_RATE_COSTS = 0.12  # a rate must bring this much more than none
_LEAST_WAYS = 5
_DISPLACED_M = 2.0  # usual distance of two calibrations


@dataclass(frozen=True, slots=True)
class PairClock:
    """Two cameras' clocks: second clock = first clock + offset + rate · (time − middle).

    Attributes:
        cameras: The two.
        offset_s, offset_error_s: At ``middle_s``, and its standard error.
        rate, rate_error: Seconds per second, and its standard error.
        middle_s: Mean time of what it rests on.
        ways: Pairs of ways it rests on.
        spread_s: Robust spread of their shifts.
    """

    cameras: tuple[str, str]
    offset_s: float
    offset_error_s: float
    rate: float
    rate_error: float
    middle_s: float
    ways: int
    spread_s: float


@dataclass(frozen=True, slots=True)
class ClockFit:
    """What is to be added to a camera's clock: offset + rate · (time − middle).

    Attributes:
        camera: Which one.
        reference: The camera of its group whose clock is taken as right.
        offset_s, error_s: At ``middle_s``, with its standard error.
        rate, rate_error: Seconds per second, with its standard error.
        middle_s: The moment the offset is for.
        ways: Pairs of ways that it rests on.
    """

    camera: str
    reference: str
    offset_s: float
    error_s: float
    rate: float
    rate_error: float
    middle_s: float
    ways: int


class _Samples:
    """Samples of a camera's moving ways on the ground: way, tick, place, velocity (complex metres, per second)."""

    def __init__(self, ways: Sequence[Trajectory], ground_from_image: Array) -> None:
        way, tick, place, speed = (
            [np.zeros(0, int)],
            [np.zeros(0, int)],
            [np.zeros(0, complex)],
            [np.zeros(0, complex)],
        )
        for k, w in enumerate(ways):
            ground = project(w.px, ground_from_image)
            z = ground[:, 0] + 1j * ground[:, 1]
            velocity = np.gradient(z, w.tick * STEP_S)
            rows = np.flatnonzero(
                w.whole & np.isfinite(z) & (np.abs(velocity) > _LEAST_SPEED) & (np.abs(velocity) < 60)
            )
            way.append(np.full(len(rows), k))
            tick.append(w.tick[rows])
            place.append(z[rows])
            speed.append(velocity[rows])
        self.way, self.tick = np.concatenate(way), np.concatenate(tick)
        self.place, self.speed = np.concatenate(place), np.concatenate(speed)
        self.order = np.argsort(self.tick, kind="stable")
        self.middle = {k: float(self.tick[self.way == k].mean()) * STEP_S for k in np.unique(self.way).tolist()}


def fit_pair(
    cameras: tuple[str, str],
    first: Sequence[Trajectory],
    second: Sequence[Trajectory],
    ground_from_image: tuple[Array, Array],
    most_s: float = 5.0,
) -> PairClock | None:
    """Offset and rate between two cameras' clocks; None where too few ways meet."""
    a, b = (_Samples(ways, g) for ways, g in zip((first, second), ground_from_image, strict=True))
    if not len(a.tick) or not len(b.tick):
        return None
    reach = round(most_s / STEP_S)
    shifts = np.arange(-3 * reach, 3 * reach + 1)
    found = [_meet(a, b, int(shift)) for shift in shifts]
    line = _coarse(found, a, reach)
    if line is None:
        return None
    offset, rate = line
    time_s, shift_s, slowness, pairs = [], [], [], set()
    for k, (first_way, second_way, support, wait, slow, _) in enumerate(found):
        columns = (values.tolist() for values in (first_way, second_way, support, wait, slow))
        for i, j, s, w, per_m in zip(*columns, strict=True):
            here = (offset + rate * a.middle[i]) / STEP_S
            if abs(shifts[k] - here) <= 0.5 and s > 0 and (i, j) not in pairs:
                pairs.add((i, j))
                time_s.append(a.middle[i])
                shift_s.append(shifts[k] * STEP_S + w)
                slowness.append(per_m)
    return _line(cameras, np.array(time_s), np.array(shift_s), np.array(slowness))


def meetings(
    first: Sequence[Trajectory], second: Sequence[Trajectory], ground_from_image: tuple[Array, Array]
) -> list[tuple[int, int]]:
    """Pairs (index in first, index in second) of ways that run along each other on the ground, one to one."""
    a, b = (_Samples(ways, g) for ways, g in zip((first, second), ground_from_image, strict=True))
    if not len(a.tick) or not len(b.tick):
        return []
    one, two, *_ = _meet(a, b, 0)
    return list(zip(one.tolist(), two.tolist(), strict=True))


_Met = tuple[Array, Array, Array, Array, Array, Array]


def _meet(a: _Samples, b: _Samples, shift: int) -> _Met:
    """Ways that run along each other when a's ticks are moved by ``shift``.

    Returns:
        Mutually best pairs: way of a, way of b, support in [0, 1], seconds that b is later still (by its speed),
        seconds per metre in the direction they drive (complex); and float64 (ways of a,), the support of each.
    """
    low, high = (np.searchsorted(b.tick[b.order], a.tick + shift, side) for side in ("left", "right"))
    count = high - low
    row_a = np.repeat(np.arange(len(a.tick)), count)
    row_b = b.order[np.repeat(low, count) + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)]
    gap = b.place[row_b] - a.place[row_a]
    speed = (a.speed[row_a] + b.speed[row_b]) / 2
    names, group = np.unique(a.way[row_a] * (b.way.max() + 1) + b.way[row_b], return_inverse=True)
    size = np.maximum(np.bincount(group, minlength=len(names)), 1)
    mean = np.bincount(group, np.minimum(np.abs(gap) / _NEAR_M, 2.0) ** 2, minlength=len(names)) / size
    support = np.where((size >= _LEAST_COMMON) & (mean < 1), (1 - mean) * np.minimum(size, 12) / 12, 0.0)
    first, second = np.divmod(names, b.way.max() + 1)
    best_a, best_b = np.zeros(a.way.max() + 1), np.zeros(b.way.max() + 1)
    np.maximum.at(best_a, first, support)
    np.maximum.at(best_b, second, support)
    mutual = (support > 0) & (support == best_a[first]) & (support == best_b[second])
    along = np.bincount(group, (gap * speed.conj()).real, minlength=len(names))
    power = np.maximum(np.bincount(group, np.abs(speed) ** 2, minlength=len(names)), 1e-9)
    # b is ahead by `gap` along the way at that shift, so the true shift is smaller by gap / speed.
    wait = np.clip(-along / power, -1.0, 1.0)
    slow = (np.bincount(group, speed.real, len(names)) + 1j * np.bincount(group, speed.imag, len(names))) / power
    each = np.zeros(a.way.max() + 1)
    np.maximum.at(each, first[mutual], support[mutual])
    return first[mutual], second[mutual], support[mutual], wait[mutual], slow[mutual], each


def _coarse(found: Sequence[_Met], a: _Samples, reach: int) -> tuple[float, float] | None:
    """(offset at time 0 in seconds, rate) at which most ways meet."""
    table = np.array([each for *_, each in found])  # (shift, way)
    ways = np.array(sorted(a.middle))
    middle = np.array([a.middle[k] for k in ways.tolist()])
    centre = middle.mean()
    best: dict[bool, tuple[float, float, float]] = {}
    for rate in _RATES:
        for offset in range(-reach, reach + 1):
            row = np.round(offset + rate * (middle - centre) / STEP_S).astype(int) + 3 * reach
            inside = (row >= 0) & (row < len(table))
            score = float(table[row[inside], ways[inside]].sum())
            # Of equal ones the smaller offset.
            entry = (score - 1e-6 * abs(offset), offset * STEP_S - rate * centre, float(rate))
            drifts = abs(rate) > 1e-9
            if drifts not in best or entry[0] > best[drifts][0]:
                best[drifts] = entry
    steady, drifting = best[False], best[True]
    score, offset_s, rate = drifting if drifting[0] > (1 + _RATE_COSTS) * steady[0] + 1.0 else steady
    return (offset_s, rate if abs(rate) > 1e-9 else 0.0) if score >= 2.0 else None


def _line(cameras: tuple[str, str], time_s: Array, shift_s: Array, slowness: Array) -> PairClock | None:
    """A robust line through the shifts of single pairs of ways, beside what displaced places make of them.

    Args:
        cameras: The two.
        time_s: float64 (P,), when each pair was seen.
        shift_s: float64 (P,).
        slowness: complex128 (P,), seconds per metre in the direction of each pair.
    """
    if len(time_s) < _LEAST_WAYS:
        return None
    middle = float(time_s.mean())
    design = np.stack([np.ones_like(time_s), time_s - middle, slowness.real, slowness.imag], axis=1)
    weight = np.ones_like(time_s)
    fit, spread, prior = np.array([np.median(shift_s), 0.0, 0.0, 0.0]), 0.1, np.zeros(4)
    for _ in range(30):
        prior = np.array([0.0, 0.0, 1.0, 1.0]) * (spread / _DISPLACED_M) ** 2
        weighted = design * weight[:, None]
        fit = np.linalg.pinv(weighted.T @ design + np.diag(prior)) @ (weighted.T @ shift_s)
        left = shift_s - design @ fit
        spread = max(1.4826 * float(np.median(np.abs(left))), 0.01)
        weight = 1 / (1 + (left / (1.5 * spread)) ** 2)
    information = (design * weight[:, None]).T @ design + np.diag(prior)
    error = spread * np.sqrt(np.diag(np.linalg.pinv(information)))
    return PairClock(
        cameras, float(fit[0]), float(error[0]), float(fit[1]), float(error[1]), middle, len(time_s), spread
    )


def fit_clocks(
    ways: Mapping[str, Sequence[Trajectory]], ground_from_image: Mapping[str, Array], most_s: float = 5.0
) -> tuple[list[ClockFit], list[PairClock]]:
    """Clocks of all cameras that share ground with another, and the pairs they come from."""
    names = sorted(camera for camera in ways if camera in ground_from_image)
    pairs = [
        found
        for a, b in combinations(names, 2)
        if (found := fit_pair((a, b), ways[a], ways[b], (ground_from_image[a], ground_from_image[b]), most_s))
    ]
    out = []
    for group in _groups(pairs):
        members = [p for p in pairs if p.cameras[0] in group]
        out += _reconcile(group, members)
    return sorted(out, key=lambda fit: fit.camera), pairs


def _groups(pairs: Sequence[PairClock]) -> list[list[str]]:
    home = {camera: camera for p in pairs for camera in p.cameras}
    for p in pairs:
        a, b = (home[camera] for camera in p.cameras)
        home = {camera: min(a, b) if root in (a, b) else root for camera, root in home.items()}
    return [sorted(c for c, at in home.items() if at == root) for root in sorted(set(home.values()))]


def _reconcile(group: Sequence[str], pairs: Sequence[PairClock]) -> list[ClockFit]:
    """Clocks of a group, against the camera from which the others differ least in all."""
    middle = float(np.average([p.middle_s for p in pairs], weights=[p.ways for p in pairs]))
    offsets = np.array([p.offset_s + p.rate * (middle - p.middle_s) for p in pairs])
    columns = (
        (offsets, np.array([p.offset_error_s for p in pairs])),
        (np.array([p.rate for p in pairs]), np.array([p.rate_error for p in pairs])),
    )
    first = [_balance(group, pairs, *column, 0)[0] for column in columns]
    apart = [np.abs(values[:, None] - values).sum(axis=1) for values in first]
    reference = int(np.argmin(apart[0] + abs(middle) * apart[1]))
    (offset, offset_error), (rate, rate_error) = (_balance(group, pairs, *column, reference) for column in columns)
    return [
        ClockFit(
            camera,
            group[reference],
            float(offset[k]),
            float(offset_error[k]),
            float(rate[k]),
            float(rate_error[k]),
            middle,
            sum(p.ways for p in pairs if camera in p.cameras),
        )
        for k, camera in enumerate(group)
    ]


def _balance(
    group: Sequence[str], pairs: Sequence[PairClock], value: Array, error: Array, reference: int
) -> tuple[Array, Array]:
    """Weighted least squares over cameras, robust against single wrong pairs: values and errors, 0 for one camera.

    What is to be added to a's clock minus what is to be added to b's is how far b's is ahead.
    """
    place = {camera: k for k, camera in enumerate(group)}
    design = np.zeros((len(pairs), len(group)))
    for row, p in zip(design, pairs, strict=True):
        row[place[p.cameras[0]]], row[place[p.cameras[1]]] = 1.0, -1.0
    free = np.arange(len(group)) != reference
    design = design[:, free]
    floor = np.maximum(error, 1e-6 + 0.25 * np.median(error))
    weight, left, solved = 1 / floor**2, np.zeros_like(value), np.zeros(free.sum())
    for _ in range(20):
        solved = np.linalg.pinv((design * weight[:, None]).T @ design) @ (design.T @ (weight * value))
        left = value - design @ solved
        weight = 1 / floor**2 / (1 + (left / (4 * floor)) ** 2)
    spare = len(pairs) - len(group) + 1
    # Correspondences that disagree beyond their own errors say how large the errors really are.
    excess = max(1.0, float(np.sqrt((weight * left**2).sum() / spare))) if spare > 0 else 1.0
    values, errors = np.zeros(len(group)), np.zeros(len(group))
    values[free] = solved
    errors[free] = excess * np.sqrt(np.diag(np.linalg.pinv((design * weight[:, None]).T @ design)))
    return values, errors
