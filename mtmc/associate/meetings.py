"""Vehicles near each other at the same moment in two cameras, and the small errors of calibrations and clocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from mtmc.associate.ways import Ways
from mtmc.types import Array

__all__ = ["Meetings", "find_meetings", "register"]

_FAR = 1e5  # metres that part one tick from the next, more than any place is wide
_ROUNDS_M = (12.0, 8.0, 6.0, 5.0, 4.0, 3.0, 3.0)  # distance beyond which a pair counts less, round by round
_REACH_M = 30.0  # a calibration's error is taken to be linear in places, this many metres apart
_PRIOR_PLACE_M, _PRIOR_BEND_M, _PRIOR_TIME_S = 6.0, 2.0, 0.4  # errors that would surprise nobody
_SAMPLES = 12  # per pair, so that a queue does not outvote those who pass


@dataclass(frozen=True, slots=True, eq=False)
class Meetings:
    """Moments at which two passages of different cameras were within some distance.

    Attributes:
        pairs: int64 (P, 2), first < second, sorted.
        row: int64 (Q, 2), samples of the first and the second passage, grouped by pair.
        begin: int64 (P + 1,), where each pair's rows begin and end.
        metres: float64 (P,), median distance at those moments.
    """

    pairs: Array
    row: Array
    begin: Array
    metres: Array


def find_meetings(ways: Ways, camera: Array, radius_m: float) -> Meetings:
    """All of them, by a search tree per stretch of time, so that the cost grows with their number.

    Args:
        ways: Of N passages.
        camera: int64 (N,).
        radius_m: Largest distance.
    """
    order = np.argsort(ways.tick, kind="stable")
    found = [np.zeros((0, 2), np.int64)]
    for block in np.array_split(order, max(1, len(order) // 200_000)):
        # a tick cut in two by a block's edge loses little: its neighbours have the same pairs
        place = np.column_stack([ways.xy[block], (ways.tick[block] - ways.tick[block].min(initial=0)) * _FAR])
        if len(block) > 1:
            found.append(block[cKDTree(place).query_pairs(radius_m, output_type="ndarray")])
    row = np.concatenate(found)
    row = row[camera[ways.owner[row[:, 0]]] != camera[ways.owner[row[:, 1]]]]
    swap = ways.owner[row[:, 0]] > ways.owner[row[:, 1]]
    row[swap] = row[swap][:, ::-1]
    a, b = ways.owner[row].T if len(row) else np.zeros((2, 0), np.int64)
    order = np.lexsort([ways.tick[row[:, 0]], b, a])
    row, a, b = row[order], a[order], b[order]
    new = np.flatnonzero(np.diff(a, prepend=-1).astype(bool) | np.diff(b, prepend=-1).astype(bool))
    begin = np.append(new, len(row))
    distance = np.hypot(*(ways.xy[row[:, 0]] - ways.xy[row[:, 1]]).T)
    return Meetings(np.stack([a[new], b[new]], axis=1), row, begin, group_median(distance, begin))


def group_median(values: Array, begin: Array) -> Array:
    """Median of each stretch ``values[begin[k]:begin[k + 1]]``; stretches are not empty: (P,)."""
    size = np.diff(begin)
    group = np.repeat(np.arange(len(size)), size)
    ordered = values[np.lexsort([values, group])]
    return np.asarray((ordered[begin[:-1] + (size - 1) // 2] + ordered[begin[:-1] + size // 2]) / 2)


def mutual_best(pairs: Array, metres: Array, camera: Array) -> Array:
    """Pairs each of whose passages is the other's nearest in that camera: rows of ``pairs``."""
    best = np.ones(len(pairs), bool)
    cameras = int(camera.max(initial=0)) + 1
    for mine, other in ((0, 1), (1, 0)):
        key = pairs[:, mine].astype(np.int64) * cameras + camera[pairs[:, other]]
        order = np.argsort(key, kind="stable")
        begin = np.flatnonzero(np.diff(key[order], prepend=-1))
        size = np.diff(begin, append=len(order))
        ordered = metres[order]
        least = np.minimum.reduceat(ordered, begin) if len(order) else ordered
        tied = np.flatnonzero(ordered == np.repeat(least, size))
        group = np.searchsorted(begin, tied, side="right")
        nearest = np.zeros(len(pairs), bool)
        nearest[order[tied[np.diff(group, prepend=-1) > 0]]] = True  # of equals the first
        best &= nearest
    return np.flatnonzero(best)


def register(ways: Ways, camera: Array, radius_m: float) -> Ways:
    """Ways with each camera's calibration bent, and its clock moved, so that vehicles seen by two cameras coincide.

    Needs no labels: pairs that are each other's nearest are taken for the same vehicle, a smooth correction per
    camera (a polynomial of second degree for place, a constant for time) is fitted to them by robust least squares,
    and both are repeated. Where views do not overlap nothing is moved, and a few chance meetings move little, because
    small errors are expected.
    """
    cameras = int(camera.max(initial=-1)) + 1
    if not len(ways.owner):
        return ways
    seen_by = camera[ways.owner]
    count = np.maximum(np.bincount(seen_by, minlength=cameras), 1)
    middle = np.stack([np.bincount(seen_by, ways.xy[:, k], cameras) / count for k in (0, 1)], axis=1)
    x, y = ((ways.xy - middle[seen_by]) / _REACH_M).T
    bend = np.column_stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    moved = ways
    for reach in _ROUNDS_M:
        meetings = find_meetings(moved, camera, radius_m)
        chosen = mutual_best(meetings.pairs, meetings.metres, camera)
        if len(chosen) < 3:
            return moved
        rows = _spread_out(meetings, chosen)
        moved = ways.moved(ways.xy + _correction(ways, moved, seen_by, bend, rows, reach, cameras))
    return moved


def _spread_out(meetings: Meetings, chosen: Array) -> Array:
    """At most a dozen moments of each chosen pair: (Q, 2) rows of the ways."""
    out = []
    for k in chosen.tolist():
        lo, hi = meetings.begin[k], meetings.begin[k + 1]
        out.append(np.unique(np.linspace(lo, hi - 1, min(_SAMPLES, hi - lo)).astype(np.int64)))
    return np.asarray(meetings.row[np.concatenate(out)])


def _correction(
    ways: Ways, moved: Ways, seen_by: Array, bend: Array, rows: Array, reach_m: float, cameras: int
) -> Array:
    """The displacement of every sample, metres (M, 2), that brings the samples in ``rows`` together."""
    a, b = rows.T
    apart = np.hypot(*(moved.xy[a] - moved.xy[b]).T)
    weight = 1 / (1 + (apart / reach_m) ** 2)
    terms = bend.shape[1]
    each = 2 * terms + 1  # per camera: a polynomial for x, one for y, and the time
    size = each * cameras
    normal, right = np.zeros((size, size)), np.zeros(size)
    for axis in (0, 1):
        jacobian = np.zeros((len(rows), size))
        line = np.arange(len(rows))
        for sample, sign in ((a, 1.0), (b, -1.0)):
            column = each * seen_by[sample]
            for k in range(terms):
                jacobian[line, column + terms * axis + k] += sign * bend[sample, k]
            jacobian[line, column + each - 1] += sign * ways.velocity[sample, axis]
        gap = ways.xy[b, axis] - ways.xy[a, axis]
        normal += jacobian.T @ (weight[:, None] * jacobian)
        right += jacobian.T @ (weight * gap)
    expected = np.array(([_PRIOR_PLACE_M] + [_PRIOR_BEND_M] * (terms - 1)) * 2 + [_PRIOR_TIME_S])
    normal += np.diag(np.tile(reach_m**2 / expected**2, cameras))
    solution = np.linalg.solve(normal, right).reshape(cameras, each)
    place = np.stack([(bend * solution[seen_by, terms * k : terms * (k + 1)]).sum(axis=1) for k in (0, 1)], axis=1)
    return np.asarray(place + ways.velocity * solution[seen_by, -1, None])
