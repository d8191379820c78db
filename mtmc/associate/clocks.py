"""Clocks that disagree: what each camera's is to gain, and when, from vehicles that two cameras see at one place.

No labels are needed. Two samples of different cameras at one place and in one direction say: if this is one vehicle,
the clocks are so much apart. For the right pairs all say the same, for the wrong ones anything, so the path through
time with the most votes is the truth. A path may creep, as clocks drift, and, at a price, jump, as those of videos do
that lose frames.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from mtmc.associate.meetings import group_median
from mtmc.associate.ways import TICK_S, Ways
from mtmc.types import Array

__all__ = ["clock_shifts"]

_LATEST_S = 20.0  # disagreement that is still looked for
_MOVING_MPS = 2.5
_ALIKE = 0.85  # cosine of two directions of travel
_BIN_S = 0.5
_STEP_S = 5.0
_AROUND_S = 12.0  # votes this near in time refine the path
_JUMP, _CREEP = 4.0, 0.5  # votes that a jump, and a step of one bin, must bring
_LEAST_SHARE = 1.5  # of the votes that chance gives the best of all paths
_TRUST = 0.7  # clocks as given stand while they explain this much of what the best path explains
_PASSAGES = 400  # of a camera that vote, evenly
_HOLD = 0.05  # pull towards the step before


def clock_shifts(ways: Ways, camera: Array, reach_m: float = 6.0) -> Array:
    """Seconds to add to each passage's times so that overlapping views agree: float64 (N,).

    Pairs of cameras whose votes follow no path better than the given clocks say nothing. Only differences between
    cameras can be seen: the median camera keeps its clock.

    Args:
        ways: Of N passages.
        camera: int64 (N,), from 0 to C − 1.
        reach_m: How near to each other one place is, metres.
    """
    none = np.zeros(len(camera))
    votes = _votes(ways, camera, reach_m)
    if not len(votes):
        return none
    origin = float(ways.start_s.min())
    steps = int((float(ways.end_s.max()) - origin) / _STEP_S) + 1
    paths = []
    for a, b in np.unique(votes[:, :2], axis=0).astype(int).tolist():
        here = votes[(votes[:, 0] == a) & (votes[:, 1] == b)]
        difference, weight = _path((here[:, 2] - origin) / _STEP_S, here[:, 3], steps)
        if weight.any():
            paths.append((a, b, difference, weight))
    if not any(difference.any() for _, _, difference, _ in paths):
        return none
    shift = _reconcile(paths, int(camera.max()) + 1, steps)
    moment = np.clip(((ways.start_s + ways.end_s) / 2 - origin) / _STEP_S, 0, steps - 1).astype(np.int64)
    return np.asarray(shift[moment, camera])


def _reconcile(paths: list[tuple[int, int, Array, Array]], cameras: int, steps: int) -> Array:
    """Each camera's shift at each step, by least squares over its pairs: float64 (steps, C)."""
    out = np.zeros((steps, cameras))
    before: Array = np.zeros(cameras)
    seen = np.unique([k for a, b, *_ in paths for k in (a, b)])
    for step in range(steps):
        normal, right = np.eye(cameras) * _HOLD, before * _HOLD
        for a, b, difference, weight in paths:
            w = weight[step]
            normal[[a, b, a, b], [a, b, b, a]] += np.array([w, w, -w, -w])
            right[a] += w * difference[step]
            right[b] -= w * difference[step]
        before = np.linalg.solve(normal, right)
        before = before - np.where(np.isin(np.arange(cameras), seen), np.median(before[seen]), 0.0)
        out[step] = before
    return out


def _path(step: Array, difference: Array, steps: int) -> tuple[Array, Array]:
    """The path through (time, difference) with the most votes: its height at each step and the votes there.

    Viterbi over bins of half a second; heights are then refined by the median of the votes around.
    """
    half = round(_LATEST_S / _BIN_S)
    bins = 2 * half + 1
    table = np.zeros((steps, bins))
    row = np.clip(step.astype(np.int64), 0, steps - 1)
    column = np.clip(np.round(difference / _BIN_S).astype(np.int64) + half, 0, bins - 1)
    np.add.at(table, (row, column), 1.0)
    table[:, 1:-1] = table[:, 1:-1] + 0.5 * (table[:, :-2] + table[:, 2:])
    score = table[0] - 0.05 * np.abs(np.arange(bins) - half) * _BIN_S
    came = np.zeros((steps, bins), np.int64)
    for k in range(1, steps):
        options = np.stack(
            [
                score,
                np.append(-np.inf, score[:-1]) - _CREEP,
                np.append(score[1:], -np.inf) - _CREEP,
                np.full(bins, score.max() - _JUMP),
            ]
        )
        best = np.argmax(options, axis=0)
        index = np.arange(bins)
        came[k] = np.choose(best, [index, index - 1, index + 1, np.full(bins, int(np.argmax(score)))])
        score = options.max(axis=0) + table[k]
    at = np.zeros(steps, np.int64)
    at[-1] = int(np.argmax(score))
    for k in range(steps - 1, 0, -1):
        at[k - 1] = came[k, at[k]]
    won, given = table[np.arange(steps), at].sum(), table[:, half].sum()
    chance = 2 * len(difference) / bins
    if won < 8 or won < _LEAST_SHARE * (chance + 3 * np.sqrt(chance)):
        return np.zeros(steps), np.zeros(steps)
    if given >= _TRUST * won:
        at[:] = half
    height, weight = np.zeros(steps), np.zeros(steps)
    for k in range(steps):
        middle = (at[k] - half) * _BIN_S
        same = np.abs(at[row] - at[k]) <= 1
        near = same & (np.abs(step - k - 0.5) * _STEP_S <= _AROUND_S) & (np.abs(difference - middle) < 1.5 * _BIN_S)
        weight[k] = near.sum()
        height[k] = middle if (given >= _TRUST * won or weight[k] < 2) else float(np.median(difference[near]))
    return height, weight


def _votes(ways: Ways, camera: Array, reach_m: float) -> Array:
    """One vote per pair of passages that went the same way: (V, 4), cameras a < b, a's time, b's time − a's."""
    speed = np.hypot(*ways.velocity.T)
    rank = np.zeros(len(camera), np.int64)
    for c in np.unique(camera):
        mine = np.flatnonzero(camera == c)
        rank[mine] = np.arange(len(mine)) % -(-len(mine) // _PASSAGES)
    rows = np.flatnonzero((speed > _MOVING_MPS) & (rank[ways.owner] == 0)) if len(ways.owner) else np.zeros(0, int)
    out = [np.zeros((0, 4))]
    time = ways.tick * TICK_S
    for block in np.array_split(rows[np.argsort(time[rows], kind="stable")], max(1, len(rows) // 20_000)):
        if not len(block):
            continue
        late = np.abs(time[rows] - (time[block[0]] + time[block[-1]]) / 2)
        near = rows[late <= (time[block[-1]] - time[block[0]]) / 2 + _LATEST_S]
        found = cKDTree(ways.xy[block]).query_ball_tree(cKDTree(ways.xy[near]), reach_m)
        a = np.repeat(block, [len(f) for f in found])
        b = near[np.fromiter((k for f in found for k in f), np.int64)]
        difference = time[b] - time[a]
        alike = (ways.velocity[a] * ways.velocity[b]).sum(axis=1) > _ALIKE * speed[a] * speed[b]
        keep = (camera[ways.owner[a]] < camera[ways.owner[b]]) & (np.abs(difference) <= _LATEST_S) & alike
        a, b, difference = a[keep], b[keep], difference[keep]
        if not len(a):
            continue
        order = np.lexsort([ways.owner[b], ways.owner[a]])
        a, b, difference = a[order], b[order], difference[order]
        begin = np.append(
            np.flatnonzero(np.diff(ways.owner[a], prepend=-1) | np.diff(ways.owner[b], prepend=-1)), len(a)
        )
        first = begin[:-1]
        out.append(
            np.stack(
                [
                    camera[ways.owner[a[first]]],
                    camera[ways.owner[b[first]]],
                    group_median(time[a], begin),
                    group_median(difference, begin),
                ],
                axis=1,
            )
        )
    return np.concatenate(out)
