"""Clock offsets between cameras with overlapping views, from trajectories, without labels.

Two samples of different cameras at one position and in one direction vote: if they are one vehicle, the clocks differ
by the time between them. Correct pairs all vote for the same difference, wrong pairs for any, so the path through
(time, difference) with the most votes is what the clocks differ by. A path may drift, as clocks do, and, at a price,
jump, as the clock of a video does that has lost frames. The best path is found by the Viterbi algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy.spatial import cKDTree

from mtmc.multiview.arrays import group_median
from mtmc.multiview.trajectories import TICK_S, Trajectories
from mtmc.types import Array

__all__ = ["ClockOffsets", "estimate_clock_offsets"]

_SEARCHED_S = 20.0  # the largest difference that is searched for
_BIN_S = 0.5  # of a difference
_STEP_S = 5.0  # of time, along a path
_MOVING_MPS = 2.5  # slower samples do not vote: a vehicle that waits is at one position for long
_SAME_DIRECTION = 0.85  # cosine of two directions of travel
_PASSAGES = 400  # of a camera that vote, spread evenly
_BLOCK = 20_000  # samples searched at a time

_JUMP_COST, _DRIFT_COST = 4.0, 0.5  # votes that a jump, and a step to the next bin, cost
_OFFSET_COST_PER_S = 0.05  # votes that a path's first difference costs, so that of equal paths the smallest wins
_MIN_VOTES = 8
_MIN_RATIO = 1.5  # votes of a path, over those that chance gives the best of all paths
_KEEP_RATIO = 0.7  # the given clocks are kept if they have this share of the best path's votes
_REFINE_S = 12.0  # votes that are this near in time refine a path
_INERTIA = 0.05  # weight of the step before in the reconciliation of all pairs


@dataclass(frozen=True, slots=True, eq=False)
class ClockOffsets:
    """Seconds to add to each camera's times, as a function of time.

    Attributes:
        origin_s: Time at which the first step begins.
        offset_s: float64 (S, C), one row for every five seconds; the last row holds for all later times, too.
    """

    origin_s: float
    offset_s: Array

    def at(self, time_s: Array, camera: Array) -> Array:
        """Offsets at the given times of the given cameras: float64 (N,).

        >>> offsets = ClockOffsets(10.0, np.array([[0.0, 1.0], [0.0, 2.0]]))
        >>> offsets.at(np.array([11.0, 12.0, 17.0, 99.0]), np.array([0, 1, 1, 1])).tolist()
        [0.0, 1.0, 2.0, 2.0]
        """
        step = np.clip((time_s - self.origin_s) / _STEP_S, 0, len(self.offset_s) - 1).astype(np.int64)
        return np.asarray(self.offset_s[step, camera])


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    """How much camera_b's clock is ahead of camera_a's at each step, float64 (S,), and the votes for it."""

    camera_a: int
    camera_b: int
    b_minus_a_s: Array
    votes: Array


def estimate_clock_offsets(
    trajectories: Trajectories, camera: Array, max_distance_m: float = 6.0
) -> ClockOffsets | None:
    """Offsets that make overlapping views agree, or None if the given clocks are kept.

    Pairs of cameras without a clear path are ignored. Only differences between cameras can be observed: the median of
    the cameras keeps its clock.

    Args:
        trajectories: Of N passages.
        camera: int64 (N,), from 0 to C − 1.
        max_distance_m: Positions nearer than this are one position.
    """
    votes = _votes(trajectories, camera, max_distance_m)
    if not len(votes):
        return None

    origin_s = float(trajectories.start_s.min())
    duration_s = float(trajectories.end_s.max()) - origin_s
    steps = int(duration_s / _STEP_S) + 1
    paths = _paths_of_pairs(votes, origin_s, steps)
    if not any(path.b_minus_a_s.any() for path in paths):
        return None

    cameras = int(camera.max()) + 1
    offsets = ClockOffsets(origin_s, _reconcile(paths, cameras, steps))

    # Offsets that are 0 whenever a passage is seen change nothing.
    middle_s = (trajectories.start_s + trajectories.end_s) / 2
    is_used = offsets.at(middle_s, camera).any()
    return offsets if is_used else None


def _paths_of_pairs(votes: Array, origin_s: float, steps: int) -> list[_Path]:
    """The best path of each pair of cameras that has a clear one.

    Args:
        votes: float64 (V, 4), see :func:`_votes`.
        origin_s: Time at which the first step begins.
        steps: S.
    """
    paths = []
    camera_pairs = np.unique(votes[:, :2], axis=0).astype(int)
    for a, b in camera_pairs.tolist():
        is_of_pair = (votes[:, 0] == a) & (votes[:, 1] == b)
        _, _, time_s, difference_s = votes[is_of_pair].T
        found = _best_path((time_s - origin_s) / _STEP_S, difference_s, steps)
        if found is None:
            continue

        b_minus_a_s, votes_of_step = found
        if votes_of_step.any():
            paths.append(_Path(a, b, b_minus_a_s, votes_of_step))
    return paths


# Votes


def _votes(trajectories: Trajectories, camera: Array, max_distance_m: float) -> Array:
    """One vote for each pair of passages that share a position and a direction.

    Returns:
        float64 (V, 4): camera a, camera b > a, time of a, time of b − time of a.
    """
    speed = np.hypot(*trajectories.velocity.T)
    rows = _voting_rows(trajectories, camera, speed)
    time_s = trajectories.tick * TICK_S

    # Blocks of consecutive times need to be compared with the samples around them only.
    by_time = rows[np.argsort(time_s[rows], kind="stable")]
    block_count = max(1, len(rows) // _BLOCK)
    found = [np.zeros((0, 4))]
    for block in np.array_split(by_time, block_count):
        if not len(block):
            continue
        first_s, last_s = time_s[block[0]], time_s[block[-1]]
        middle_s = (first_s + last_s) / 2
        half_width_s = (last_s - first_s) / 2 + _SEARCHED_S
        others = rows[np.abs(time_s[rows] - middle_s) <= half_width_s]

        a, b = _similar_motion(trajectories, camera, speed, block, others, max_distance_m)
        if len(a):
            found.append(_votes_of_pairs(trajectories, camera, a, b))
    return np.concatenate(found)


def _voting_rows(trajectories: Trajectories, camera: Array, speed: Array) -> Array:
    """Moving samples of at most some hundred passages of each camera: int64 (K,)."""
    if not len(trajectories.owner):
        return np.zeros(0, int)

    # Every n-th passage of a camera votes, n rounded up.
    rank = np.zeros(len(camera), np.int64)
    for c in np.unique(camera):
        own = np.flatnonzero(camera == c)
        every = -(-len(own) // _PASSAGES)
        rank[own] = np.arange(len(own)) % every

    is_moving = speed > _MOVING_MPS
    is_chosen = rank[trajectories.owner] == 0
    return np.flatnonzero(is_moving & is_chosen)


def _similar_motion(
    trajectories: Trajectories, camera: Array, speed: Array, block: Array, others: Array, max_distance_m: float
) -> tuple[Array, Array]:
    """Samples a of ``block`` and b of ``others`` at one position and in one direction, camera of a < camera of b."""
    tree = cKDTree(trajectories.xy[block])
    other_tree = cKDTree(trajectories.xy[others])
    found = tree.query_ball_tree(other_tree, max_distance_m)
    a = np.repeat(block, [len(near) for near in found])
    b = others[np.fromiter(chain.from_iterable(found), np.int64)]

    # Each pair of cameras is counted in one order only.
    keep = camera[trajectories.owner[a]] < camera[trajectories.owner[b]]

    difference_s = (trajectories.tick[b] * TICK_S) - (trajectories.tick[a] * TICK_S)
    keep &= np.abs(difference_s) <= _SEARCHED_S

    # The product is |v_a| |v_b| cos φ; the comparison needs no division, so a speed of 0 does no harm.
    product = (trajectories.velocity[a] * trajectories.velocity[b]).sum(axis=1)
    keep &= product > _SAME_DIRECTION * speed[a] * speed[b]
    return a[keep], b[keep]


def _votes_of_pairs(trajectories: Trajectories, camera: Array, a: Array, b: Array) -> Array:
    """Medians over the samples of each pair of passages, so that every pair has one vote: float64 (V, 4)."""
    order = np.lexsort([trajectories.owner[b], trajectories.owner[a]])
    a, b = a[order], b[order]
    owner_a, owner_b = trajectories.owner[a], trajectories.owner[b]
    first = np.flatnonzero(np.diff(owner_a, prepend=-1) | np.diff(owner_b, prepend=-1))
    begin = np.append(first, len(a))
    time_a, time_b = trajectories.tick[a] * TICK_S, trajectories.tick[b] * TICK_S
    columns = [
        camera[owner_a[first]],
        camera[owner_b[first]],
        group_median(time_a, begin),
        group_median(time_b - time_a, begin),
    ]
    return np.stack(columns, axis=1)


# The best path of a pair of cameras


def _best_path(step: Array, difference_s: Array, steps: int) -> tuple[Array, Array] | None:
    """The path with the most votes, as differences and votes at each step, both float64 (S,); None if unclear.

    Args:
        step: float64 (V,), time of each vote in steps.
        difference_s: float64 (V,), what each votes for.
        steps: S.
    """
    zero_bin = round(_SEARCHED_S / _BIN_S)
    bins = 2 * zero_bin + 1
    row = np.clip(step.astype(np.int64), 0, steps - 1)
    column = np.clip(np.round(difference_s / _BIN_S).astype(np.int64) + zero_bin, 0, bins - 1)
    table = _vote_table(row, column, steps, bins)
    path = _viterbi(table, zero_bin)

    won = table[np.arange(steps), path].sum()
    given = table[:, zero_bin].sum()
    by_chance = 2 * len(difference_s) / bins
    if won < _MIN_VOTES or won < _MIN_RATIO * (by_chance + 3 * np.sqrt(by_chance)):
        return None
    keep_given = bool(given >= _KEEP_RATIO * won)
    if keep_given:
        path[:] = zero_bin
    return _refined(path, step, row, difference_s, zero_bin, keep_given)


def _vote_table(row: Array, column: Array, steps: int, bins: int) -> Array:
    """Votes per step and bin, half of a bin's votes added to each of its neighbors: float64 (S, B)."""
    table = np.zeros((steps, bins))
    np.add.at(table, (row, column), 1.0)
    table[:, 1:-1] = table[:, 1:-1] + 0.5 * (table[:, :-2] + table[:, 2:])
    return table


def _viterbi(table: Array, zero_bin: int) -> Array:
    """The path that maximizes votes − costs: bin at each step, int64 (S,).

    The best score of a path that ends in bin b at step s is

        score(s, b) = table(s, b) + max(score(s−1, b), score(s−1, b ± 1) − drift cost, max score(s−1) − jump cost).
    """
    steps, bins = table.shape
    bins_from_zero = np.abs(np.arange(bins) - zero_bin)
    offset_cost = _OFFSET_COST_PER_S * bins_from_zero * _BIN_S
    score = table[0] - offset_cost
    came_from = np.zeros((steps, bins), np.int64)
    for k in range(1, steps):
        best, came_from[k] = _best_predecessors(score)
        score = best + table[k]

    # The path is read backwards, from the best of its last bins.
    path = np.zeros(steps, np.int64)
    path[-1] = int(np.argmax(score))
    for k in range(steps - 1, 0, -1):
        path[k - 1] = came_from[k, path[k]]
    return path


def _best_predecessors(score: Array) -> tuple[Array, Array]:
    """For each bin the best score with which a path comes to it, float64 (B,), and from which bin, int64 (B,)."""
    bins = len(score)
    index = np.arange(bins)

    # Of equal options the first one counts: to stay.
    stay = score
    drift_up = np.append(-np.inf, score[:-1]) - _DRIFT_COST
    drift_down = np.append(score[1:], -np.inf) - _DRIFT_COST
    jump = np.full(bins, score.max() - _JUMP_COST)
    options = np.stack([stay, drift_up, drift_down, jump])

    jump_source = np.full(bins, int(np.argmax(score)))
    sources = [index, index - 1, index + 1, jump_source]
    best_option = np.argmax(options, axis=0)
    return options.max(axis=0), np.choose(best_option, sources)


def _refined(
    path: Array, step: Array, row: Array, difference_s: Array, zero_bin: int, keep_given: bool
) -> tuple[Array, Array]:
    """Differences finer than a bin, by the median of the votes around each step, and how many these are."""
    refined_s, votes = np.zeros(len(path)), np.zeros(len(path))
    for k in range(len(path)):
        center_s = (path[k] - zero_bin) * _BIN_S
        on_same_branch = np.abs(path[row] - path[k]) <= 1
        near_in_time = np.abs(step - k - 0.5) * _STEP_S <= _REFINE_S
        agrees = np.abs(difference_s - center_s) < 1.5 * _BIN_S
        supporting = on_same_branch & near_in_time & agrees
        votes[k] = supporting.sum()
        refined_s[k] = center_s
        if not keep_given and votes[k] >= 2:
            refined_s[k] = float(np.median(difference_s[supporting]))
    return refined_s, votes


# All pairs together


def _reconcile(paths: Sequence[_Path], cameras: int, steps: int) -> Array:
    """Each camera's offset at each step: float64 (S, C).

    At each step, the offsets o minimize Σ votes · (o_a − o_b − (b − a))² + inertia · Σ (o_c − o_c of the step
    before)². The median of the cameras that occur in a path is then subtracted.
    """
    ends = [(path.camera_a, path.camera_b) for path in paths]
    involved = np.unique(ends)
    is_involved = np.isin(np.arange(cameras), involved)

    offset_s = np.zeros((steps, cameras))
    previous: Array = np.zeros(cameras)
    for step in range(steps):
        solution = _offsets_of_step(paths, step, previous)

        # Differences do not fix a common offset: the median camera keeps its clock.
        common = np.where(is_involved, np.median(solution[involved]), 0.0)
        previous = solution - common
        offset_s[step] = previous
    return offset_s


def _offsets_of_step(paths: Sequence[_Path], step: int, previous: Array) -> Array:
    """The least-squares solution at one step, by its normal equations, before the median is subtracted: (C,)."""
    normal = np.eye(len(previous)) * _INERTIA
    right = previous * _INERTIA
    for path in paths:
        a, b = path.camera_a, path.camera_b
        votes = path.votes[step]
        weighted_s = votes * path.b_minus_a_s[step]

        normal[a, a] += votes
        normal[b, b] += votes
        normal[a, b] -= votes
        normal[b, a] -= votes
        right[a] += weighted_s
        right[b] -= weighted_s
    return np.asarray(np.linalg.solve(normal, right))
