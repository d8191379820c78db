r"""Clock offsets between cameras with overlapping views, from trajectories, without labels.

*Evidence.* A passage i of one camera and a passage j of another that were at one position, in one direction, are
one vehicle if the clocks differ by the time between them. At the offset δ, passage i coincides with m_i(δ) passages
of the other camera; by chance it would with λ_i. If a share s of the vehicles is seen by both cameras, the log
likelihood ratio of δ against independent traffic is

.. math:: L(δ) = \sum_i \log(1 - s + s \, m_i(δ) / λ_i).

A passage without a counterpart counts against an offset, as one with a counterpart counts for it. The sum is taken
over the passages of either camera, and halved, as each vehicle is in both sums.

*Clocks.* A recording loses frames and never gains any, so the offset o_c(t) that has to be added to a camera's times
never decreases. It is constant but for jumps. With the prior probability 1/2 the given clock is right; otherwise its
offset is uniform. A jump happens in one of a hundred steps, and any size is as likely. The path with the greatest
posterior is found by the Viterbi algorithm (1967), for one camera at a time, given the others. A camera's clock is
changed only where the posterior odds against the given clock are decisive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy.spatial import cKDTree

from mtmc.multiview.arrays import group_median
from mtmc.multiview.trajectories import TICK_S, Trajectories
from mtmc.types import Array

__all__ = ["ClockOffsets", "estimate_clock_offsets"]

_SEARCHED_S = 20.0  # the largest difference that is searched for
_BIN_S = 0.5  # of an offset
_ZERO_BIN = round(_SEARCHED_S / _BIN_S)
_BINS = 2 * _ZERO_BIN + 1
_STEP_S = 5.0  # of time, along a path
_MOVING_MPS = 2.5  # a slower sample is no evidence: a vehicle that waits is at one position for long
_SAME_DIRECTION = 0.85  # cosine of two directions of travel
_PASSAGES = 400  # of a camera that are compared, spread evenly
_BLOCK = 20_000  # samples searched at a time

_SHARED = 0.5  # s, the share of vehicles that both cameras see where their views overlap
_TOLERANCE_S = 1.0  # two passages coincide, in part, up to this time between them

_JUMP_PROBABILITY = 0.01  # of a loss of frames, per step
_JUMP_COST = float(-np.log(_JUMP_PROBABILITY / _ZERO_BIN))  # log prior odds of no jump against a jump of one size
_CHANGE_COST = float(np.log(_BINS))  # log prior odds of the given clock against one particular other offset
_DECISIVE = 5.0  # posterior log odds from which a clock is changed (Kass and Raftery 1995: very strong evidence)
_MAX_SWEEPS = 6


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


def estimate_clock_offsets(
    trajectories: Trajectories, camera: Array, max_distance_m: float = 6.0
) -> ClockOffsets | None:
    """Offsets that make overlapping views agree, or None if the given clocks are kept.

    Args:
        trajectories: Of N passages.
        camera: int64 (N,), from 0 to C − 1.
        max_distance_m: Positions nearer than this are one position.
    """
    co_observations = _find_co_observations(trajectories, camera, max_distance_m)
    if not len(co_observations.first):
        return None

    cameras = int(camera.max()) + 1
    origin_s = float(trajectories.start_s.min())
    steps = int((float(trajectories.end_s.max()) - origin_s) / _STEP_S) + 1
    pairs = _pairs_of_cameras(co_observations, camera, origin_s)
    bins = _most_probable_bins(pairs, cameras, steps)
    if (bins == _ZERO_BIN).all():
        return None

    return ClockOffsets(origin_s, _refined(bins, pairs, origin_s))


# Passages of two cameras at one position


@dataclass(frozen=True, slots=True, eq=False)
class _CoObservations:
    """V pairs of passages that share a position and a direction, at any time.

    Attributes:
        first, second: int64 (V,), passages; the camera of the first has the lower number.
        first_s, second_s: float64 (V,), when either was there, by the given clocks.
    """

    first: Array
    second: Array
    first_s: Array
    second_s: Array


def _find_co_observations(trajectories: Trajectories, camera: Array, max_distance_m: float) -> _CoObservations:
    """All pairs of passages that share a position and a direction within twenty seconds."""
    speed = np.hypot(*trajectories.velocity.T)
    rows = _compared_rows(trajectories, camera, speed)
    time_s = trajectories.tick * TICK_S

    # Blocks of consecutive times need to be compared with the samples around them only.
    by_time = rows[np.argsort(time_s[rows], kind="stable")]
    block_count = max(1, len(rows) // _BLOCK)
    samples_a, samples_b = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for block in np.array_split(by_time, block_count):
        if not len(block):
            continue
        first_s, last_s = time_s[block[0]], time_s[block[-1]]
        middle_s = (first_s + last_s) / 2
        half_width_s = (last_s - first_s) / 2 + _SEARCHED_S
        others = rows[np.abs(time_s[rows] - middle_s) <= half_width_s]

        a, b = _similar_motion(trajectories, camera, speed, block, others, max_distance_m)
        samples_a.append(a)
        samples_b.append(b)
    return _co_observations_of_samples(trajectories, np.concatenate(samples_a), np.concatenate(samples_b))


def _compared_rows(trajectories: Trajectories, camera: Array, speed: Array) -> Array:
    """Moving samples of at most some hundred passages of each camera: int64 (K,)."""
    if not len(trajectories.owner):
        return np.zeros(0, int)

    # Every n-th passage of a camera is compared, n rounded up.
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


def _co_observations_of_samples(trajectories: Trajectories, a: Array, b: Array) -> _CoObservations:
    """One co-observation for each pair of passages, at the median times of the samples that they share."""
    order = np.lexsort([trajectories.owner[b], trajectories.owner[a]])
    a, b = a[order], b[order]
    owner_a, owner_b = trajectories.owner[a], trajectories.owner[b]
    first = np.flatnonzero(np.diff(owner_a, prepend=-1) | np.diff(owner_b, prepend=-1))
    begin = np.append(first, len(a))
    if not len(a):
        nothing = np.zeros(0)
        return _CoObservations(owner_a, owner_b, nothing, nothing)

    time_a, time_b = trajectories.tick[a] * TICK_S, trajectories.tick[b] * TICK_S
    first_s = group_median(time_a, begin)
    difference_s = group_median(time_b - time_a - _lead_s(trajectories, a, b), begin)
    return _CoObservations(owner_a[first], owner_b[first], first_s, first_s + difference_s)


def _lead_s(trajectories: Trajectories, a: Array, b: Array) -> Array:
    """How long b has been past the position of a, by the mean velocity v of both: float64 (K,), seconds.

    With the displacement d from a to b, this is d·v / |v|².
    """
    displacement = trajectories.xy[b] - trajectories.xy[a]
    velocity = (trajectories.velocity[a] + trajectories.velocity[b]) / 2
    return np.asarray((displacement * velocity).sum(axis=1) / (velocity * velocity).sum(axis=1))


# The evidence of a pair of cameras


@dataclass(frozen=True, slots=True, eq=False)
class _CameraPair:
    """The co-observations of a camera's passages with those of another camera.

    Attributes:
        own, other: int64 (V,), passages of either camera, counted from 0 among those that have any.
        own_s, other_s: float64 (V,), times by the given clocks, seconds since the origin.
        own_chance, other_chance: float64 (K,) and (L,), λ of each passage.
    """

    own: Array
    other: Array
    own_s: Array
    other_s: Array
    own_chance: Array
    other_chance: Array

    @property
    def swapped(self) -> _CameraPair:
        """The same co-observations from the other camera's side."""
        return _CameraPair(self.other, self.own, self.other_s, self.own_s, self.other_chance, self.own_chance)

    def log_likelihood_ratios(self, other_offset_s: Array, steps: int) -> Array:
        """Of each offset of the own camera at each step, against independent traffic: float64 (S, B).

        Args:
            other_offset_s: float64 (S,), offset of the other camera's clock at each step.
            steps: S.
        """
        # Own time + own offset = other time + other offset.
        on_common_clock_s = self.other_s + other_offset_s[_step(self.other_s, steps)]
        wanted_s = on_common_clock_s - self.own_s

        table = np.zeros((steps, _BINS))
        own_ratio = _passage_log_ratios(self.own, wanted_s, self.own_chance)
        np.add.at(table, _step(_mean_of(self.own, self.own_s), steps), own_ratio)

        # A passage of the other camera counts at the time at which the own camera's clock would have been then.
        other_ratio = _passage_log_ratios(self.other, wanted_s, self.other_chance)
        own_clock_s = _mean_of(self.other, on_common_clock_s)[:, None] - _offset_of(np.arange(_BINS))
        np.add.at(table, (_step(own_clock_s, steps), np.arange(_BINS)[None]), other_ratio)
        return table / 2


def _step(time_s: Array, steps: int) -> Array:
    """The step of each time since the origin: int64."""
    return np.clip(time_s / _STEP_S, 0, steps - 1).astype(np.int64)


def _offset_of(bin_: Array) -> Array:
    """The offset that a bin stands for, seconds."""
    return np.asarray((bin_ - _ZERO_BIN) * _BIN_S)


def _mean_of(group: Array, values: Array) -> Array:
    """Mean of the values of each group, counted from 0: float64 (K,)."""
    return np.asarray(np.bincount(group, values) / np.bincount(group))


def _passage_log_ratios(passage: Array, wanted_s: Array, chance: Array) -> Array:
    """log(1 − s + s m(δ) / λ) of each passage and offset δ: float64 (K, B).

    A co-observation counts 1 at the offset that it implies, and less to either side, 0 from the tolerance on.
    """
    away_s = np.abs(wanted_s[:, None] - _offset_of(np.arange(_BINS)))
    coincidence = np.maximum(1 - away_s / _TOLERANCE_S, 0.0)
    count = np.zeros((len(chance), _BINS))
    np.add.at(count, passage, coincidence)
    return np.log(1 - _SHARED + _SHARED * count / chance[:, None])


def _pairs_of_cameras(
    co_observations: _CoObservations, camera: Array, origin_s: float
) -> dict[tuple[int, int], _CameraPair]:
    """The co-observations of each ordered pair of cameras that have any."""
    pairs = {}
    code = camera[co_observations.first] * (int(camera.max()) + 1) + camera[co_observations.second]
    for value in np.unique(code).tolist():
        rows = np.flatnonzero(code == value)
        a, b = divmod(value, int(camera.max()) + 1)
        own = np.unique(co_observations.first[rows], return_inverse=True)[1]
        other = np.unique(co_observations.second[rows], return_inverse=True)[1]
        pair = _CameraPair(
            own,
            other,
            co_observations.first_s[rows] - origin_s,
            co_observations.second_s[rows] - origin_s,
            _by_chance(own),
            _by_chance(other),
        )
        pairs[a, b], pairs[b, a] = pair, pair.swapped
    return pairs


def _by_chance(passage: Array) -> Array:
    """λ, the coincidences of each passage at a random offset: float64 (K,).

    With n co-observations of a passage in B bins, and r on average per passage and bin, the rate per bin is the
    posterior mean (1 + n) / (1/r + B) under a gamma prior with mean r and the weight of one co-observation.
    """
    count = np.bincount(passage)
    mean_rate = count.mean() / _BINS
    rate = (1 + count) / (1 / mean_rate + _BINS)
    counted_bins = _TOLERANCE_S / _BIN_S  # sum of the weights with which a co-observation counts
    return np.asarray(rate * counted_bins)


# The most probable clocks


def _most_probable_bins(pairs: Mapping[tuple[int, int], _CameraPair], cameras: int, steps: int) -> Array:
    """Bin of each camera's offset at each step: int64 (S, C).

    Cameras are added to groups one after the other, those with the greatest posterior first, and then estimated
    again, each given all the others of its group, until nothing changes.
    """
    bins = np.full((steps, cameras), _ZERO_BIN)
    remaining = sorted({a for a, _ in pairs})
    while remaining:
        group = _grow_group(remaining, pairs, bins)
        remaining = [c for c in remaining if c not in group]
        if len(group) > 1:
            _sweep(group, pairs, bins)
            bins[:, group] = _with_most_as_given(bins[:, group])
    return bins


def _grow_group(remaining: Sequence[int], pairs: Mapping[tuple[int, int], _CameraPair], bins: Array) -> list[int]:
    """Cameras that are tied to each other by decisive evidence; their bins are filled in.

    The first two are those with the greatest posterior. If there is no such pair, the group is one camera.
    """
    found = {
        (a, b): _best_path(pairs[b, a].log_likelihood_ratios(_offset_of(bins[:, a]), len(bins)))
        for a, b in pairs
        if a < b and a in remaining and b in remaining
    }
    if not found:
        return [remaining[0]]
    (a, b), best = max(found.items(), key=lambda item: item[1].log_posterior)
    if best.log_posterior < _DECISIVE:
        return [remaining[0]]

    group = [a, b]
    bins[:, b] = best.bins
    waiting = [c for c in remaining if c not in group]
    candidates = {c: _path_given(c, group, pairs, bins) for c in waiting}
    while waiting:
        c = max(waiting, key=lambda k: candidates[k].log_posterior)
        if candidates[c].log_posterior < _DECISIVE:
            break
        bins[:, c] = candidates[c].bins
        group.append(c)
        waiting.remove(c)
        for k in waiting:
            if (k, c) in pairs:
                candidates[k] = _path_given(k, group, pairs, bins)
    return group


def _sweep(group: Sequence[int], pairs: Mapping[tuple[int, int], _CameraPair], bins: Array) -> None:
    """Estimate each camera of a group again, given the others, until nothing changes; ``bins`` is updated."""
    for _ in range(_MAX_SWEEPS):
        before = bins.copy()
        for c in group:
            bins[:, c] = _path_given(c, [k for k in group if k != c], pairs, bins).bins
        if (bins == before).all():
            break


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    """Bins of a camera's offset, int64 (S,), and their log posterior odds against independent traffic."""

    bins: Array
    log_posterior: float


def _path_given(
    camera: int, others: Sequence[int], pairs: Mapping[tuple[int, int], _CameraPair], bins: Array
) -> _Path:
    """The most probable path of a camera, given the offsets of others."""
    table = np.zeros((len(bins), _BINS))
    for other in others:
        if (camera, other) in pairs:
            offset_s = _offset_of(bins[:, other])
            table += pairs[camera, other].log_likelihood_ratios(offset_s, len(bins))
    return _best_path(table)


def _best_path(table: Array) -> _Path:
    """The most probable path, or the given clock unless the odds against it are decisive.

    Args:
        table: float64 (S, B), log likelihood ratio of each offset at each step.
    """
    as_given = _Path(np.full(len(table), _ZERO_BIN), float(table[:, _ZERO_BIN].sum()))
    changed = _viterbi(table)
    is_decisive = changed.log_posterior > as_given.log_posterior + _DECISIVE
    return changed if is_decisive else as_given


def _viterbi(table: Array) -> _Path:
    """The most probable path that never decreases, by dynamic programming.

    The best log posterior of a path that ends in bin b at step s is

        score(s, b) = table(s, b) + max(score(s−1, b), max over b' < b of score(s−1, b') − jump cost).
    """
    steps = len(table)
    is_changed = np.arange(_BINS) != _ZERO_BIN
    score = table[0] - np.where(is_changed, _CHANGE_COST, 0.0)
    came_from = np.zeros((steps, _BINS), np.int64)
    for step in range(1, steps):
        best, came_from[step] = _best_predecessors(score)
        score = best + table[step]

    # The path is read backwards, from the best of its last bins.
    path = np.zeros(steps, np.int64)
    path[-1] = int(np.argmax(score))
    for step in range(steps - 1, 0, -1):
        path[step - 1] = came_from[step, path[step]]
    return _Path(path, float(score.max()))


def _best_predecessors(score: Array) -> tuple[Array, Array]:
    """For each bin the best score with which a path comes to it, float64 (B,), and from which bin, int64 (B,)."""
    index = np.arange(_BINS)

    # The best of all lower bins is a running maximum, moved up by one bin.
    running = np.maximum.accumulate(score)
    is_new_best = score == running
    best_so_far = np.maximum.accumulate(np.where(is_new_best, index, 0))
    jump = np.append(-np.inf, running[:-1]) - _JUMP_COST
    jump_from = np.append(0, best_so_far[:-1])

    stays = score >= jump
    return np.where(stays, score, jump), np.where(stays, index, jump_from)


def _with_most_as_given(bins: Array) -> Array:
    """The same differences between the clocks of a group with offset 0 in as many cameras and steps as possible.

    The evidence is the same, since only differences can be observed. Of equally many zeros the offsets with the
    smallest sum of magnitudes are taken.

    Args:
        bins: int64 (S, C).
    """
    offsets = bins - _ZERO_BIN
    shifts, as_given = np.unique(offsets, return_counts=True)
    magnitude = [int(np.abs(offsets - shift).sum()) for shift in shifts]
    best = min(range(len(shifts)), key=lambda k: (-as_given[k], magnitude[k]))
    return np.asarray(bins - shifts[best])


# Offsets finer than a bin


def _refined(bins: Array, pairs: Mapping[tuple[int, int], _CameraPair], origin_s: float) -> Array:
    """Each constant part of a changed clock at the median of its supporting co-observations: float64 (S, C)."""
    offset_s = _offset_of(bins)
    steps, cameras = bins.shape
    changed = [c for c in range(cameras) if (bins[:, c] != _ZERO_BIN).any()]
    for _ in range(3):
        for c in changed:
            found = [_wanted_offsets(pairs[c, other], offset_s[:, other]) for k, other in pairs if k == c]
            own_s, wanted_s = (np.concatenate(column) for column in zip(*found, strict=True))
            step = _step(own_s, steps)
            for value in np.unique(bins[:, c]):
                in_part = bins[:, c] == value
                supports = in_part[step] & (np.abs(wanted_s - _offset_of(value)) < _TOLERANCE_S)
                if supports.sum() >= 2:
                    offset_s[in_part, c] = np.median(wanted_s[supports])
    return np.asarray(offset_s)


def _wanted_offsets(pair: _CameraPair, other_offset_s: Array) -> tuple[Array, Array]:
    """Own time of each co-observation, and the own offset at which both passages coincide: float64 (V,) each."""
    other_offset = other_offset_s[_step(pair.other_s, len(other_offset_s))]
    return pair.own_s, pair.other_s + other_offset - pair.own_s
