"""Trajectories on the ground plane, sampled at common times so that those of different cameras can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtmc.types import Array, Passage

__all__ = ["PLANE_SPACING_M", "TICK_S", "Trajectories", "ground_planes_of", "sample_trajectories"]

#: Seconds between the samples of a trajectory.
TICK_S = 0.5
#: Positions on the k-th ground plane are shifted by k times this, so that no two planes' positions are ever near.
PLANE_SPACING_M = 1e6

_HALF_WINDOW_S = 0.6  # of the line fit that gives position and velocity: a little more than one tick to each side
_MIN_TIME_SPREAD = 1e-9  # s², n Σt² − (Σt)²; below this all times of a window are one, and only rounding differs


@dataclass(frozen=True, slots=True, eq=False)
class Trajectories:
    """M samples of N trajectories, sorted by trajectory and time.

    Attributes:
        owner: int64 (M,), index of the trajectory.
        tick: int64 (M,), time in units of :data:`TICK_S` on the scene clock.
        xy: float64 (M, 2), meters on the ground plane.
        velocity: float64 (M, 2), meters per second.
        first, last: int64 (N,), rows of each trajectory's first and last sample, −1 where there is none.
        plane: int64 (N,), number of each trajectory's ground plane, −1 where it has no samples. Positions on
            different planes are :data:`PLANE_SPACING_M` apart.
        start_s, end_s: float64 (N,), first and last time of each tracklet, with its clock offset applied.
    """

    owner: Array
    tick: Array
    xy: Array
    velocity: Array
    first: Array
    last: Array
    plane: Array
    start_s: Array
    end_s: Array

    def moved_to(self, xy: Array) -> Trajectories:
        """The same trajectories at other positions, float64 (M, 2)."""
        return replace(self, xy=xy)

    def only(self, is_kept: Array) -> Trajectories:
        """Some of the samples, bool (M,), of the same N trajectories."""
        rows = np.flatnonzero(is_kept)
        owner = self.owner[rows]
        count = np.bincount(owner, minlength=len(self.first))
        last = np.cumsum(count) - 1
        return replace(
            self,
            owner=owner,
            tick=self.tick[rows],
            xy=self.xy[rows],
            velocity=self.velocity[rows],
            first=np.where(count > 0, last - count + 1, -1),
            last=np.where(count > 0, last, -1),
        )


def ground_planes_of(passages: Sequence[Passage]) -> list[str]:
    """Names of the ground planes, in the order of their numbers."""
    return sorted({p.ground_plane for p in passages})


def sample_trajectories(passages: Sequence[Passage], clock_offset_s: Array | None = None) -> Trajectories:
    """Position and velocity every half second, each from a straight line fitted to the observations around it.

    A passage that contains no full half second is sampled once, at the tick nearest to its middle.

    Args:
        passages: N of them. One without calibration, or with fewer than two positions, has no samples.
        clock_offset_s: float64 (N,), seconds to add to the times of each passage; None adds nothing.
    """
    offset_s = np.zeros(len(passages)) if clock_offset_s is None else clock_offset_s
    plane = np.full(len(passages), -1)
    count = np.zeros(len(passages), np.int64)
    plane_names = ground_planes_of(passages)

    # Each list begins with no rows, so that it has a type and a shape even if no passage has samples.
    tick = [np.zeros(0, np.int64)]
    xy = [np.zeros((0, 2))]
    velocity = [np.zeros((0, 2))]
    for k, passage in enumerate(passages):
        is_known = np.isfinite(passage.ground_m).all(axis=1)
        if is_known.sum() < 2:
            continue
        time_s = passage.tracklet.time_s[is_known] + offset_s[k]
        ticks = _ticks_between(time_s[0], time_s[-1])
        position, speed = fit_lines(time_s, passage.ground_m[is_known], ticks * TICK_S)

        plane[k] = plane_names.index(passage.ground_plane)
        count[k] = len(ticks)
        tick.append(ticks)
        xy.append(position + plane[k] * PLANE_SPACING_M)
        velocity.append(speed)

    # The rows of a passage follow those of the passages before it.
    last = np.cumsum(count) - 1
    first = last - count + 1
    return Trajectories(
        owner=np.repeat(np.arange(len(passages)), count),
        tick=np.concatenate(tick),
        xy=np.concatenate(xy),
        velocity=np.concatenate(velocity),
        first=np.where(count > 0, first, -1),
        last=np.where(count > 0, last, -1),
        plane=plane,
        start_s=np.array([p.tracklet.start_s for p in passages]) + offset_s,
        end_s=np.array([p.tracklet.end_s for p in passages]) + offset_s,
    )


def _ticks_between(start_s: float, end_s: float) -> Array:
    """Ticks within a span of time, or the one nearest to its middle if there is none: int64 (K,), K ≥ 1."""
    first = np.ceil(start_s / TICK_S)
    last = np.floor(end_s / TICK_S)
    ticks = np.arange(first, last + 1).astype(np.int64)
    if len(ticks):
        return ticks

    middle_s = (start_s + end_s) / 2
    return np.array([round(middle_s / TICK_S)], np.int64)


def fit_lines(time_s: Array, xy: Array, at_s: Array) -> tuple[Array, Array]:
    r"""Position and velocity at given times, by least squares over the observations within 0.6 s of each.

    With n observations (t, p) in a window, the line p(t) = p̄ + v·(t − t̄) has

    .. math:: v = (n Σtp − Σt Σp) / (n Σt² − (Σt)²),  p̄ = Σp / n,  t̄ = Σt / n.

    All sums come from running sums, so the cost per sample does not depend on the length of the window. A window with
    fewer than two observations is extended to the nearest ones.

    Args:
        time_s: float64 (L,), ascending.
        xy: float64 (L, 2).
        at_s: float64 (K,), the times asked for.

    Returns:
        Positions, float64 (K, 2), and velocities, float64 (K, 2); a velocity is 0 where all observations of a window
        have one time.

    >>> time = np.arange(5) / 2
    >>> xy, velocity = fit_lines(time, np.stack([3 * time, 1 - time], axis=1), np.array([1.0]))
    >>> xy.round(6).tolist(), velocity.round(6).tolist()
    ([[3.0, 0.0]], [[3.0, -1.0]])
    """
    # Times and positions relative to the first observation keep the sums, and so their rounding errors, small.
    origin_s = time_s[0]
    origin_xy = xy[0]
    begin, end = _windows(time_s, at_s)
    sums = _window_sums(time_s - origin_s, xy - origin_xy, begin, end)
    count, sum_t, sum_tt, sum_xy, sum_t_xy = np.split(sums, [1, 2, 3, 5], axis=1)

    # Without two different times there is no slope. The divisor 1 only avoids a division by zero.
    spread = count * sum_tt - sum_t * sum_t
    is_line = spread > _MIN_TIME_SPREAD
    slope = (count * sum_t_xy - sum_t * sum_xy) / np.where(is_line, spread, 1.0)
    velocity = np.where(is_line, slope, 0.0)

    # The line goes through the mean of its observations.
    mean_xy = sum_xy / count
    since_mean_s = (at_s - origin_s)[:, None] - sum_t / count
    position = mean_xy + velocity * since_mean_s + origin_xy
    return position, velocity


def _windows(time_s: Array, at_s: Array) -> tuple[Array, Array]:
    """Where the window around each time begins and ends among the observations: int64 (K,) each."""
    begin = np.searchsorted(time_s, at_s - _HALF_WINDOW_S, side="left")
    end = np.searchsorted(time_s, at_s + _HALF_WINDOW_S, side="right")

    # A line needs two observations: the window is extended to those before, then to those after.
    two_before = np.searchsorted(time_s, at_s) - 2
    begin = np.minimum(begin, np.maximum(two_before, 0))
    end = np.maximum(end, np.minimum(begin + 2, len(time_s)))
    return begin, end


def _window_sums(time: Array, xy: Array, begin: Array, end: Array) -> Array:
    """The sums of 1, t, t², x, y, t·x and t·y over each window: float64 (K, 7)."""
    terms = np.column_stack([np.ones_like(time), time, time * time, xy, xy * time[:, None]])

    # A sum over a window is the difference of two running sums. The row of zeros is the sum of nothing.
    nothing = np.zeros(terms.shape[1])
    running = np.vstack([nothing, np.cumsum(terms, axis=0)])
    return np.asarray(running[end] - running[begin])
