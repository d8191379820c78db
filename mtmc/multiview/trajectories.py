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

_HALF_WINDOW_S = 0.6  # of the line fit that gives position and velocity


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
    offset = np.zeros(len(passages)) if clock_offset_s is None else clock_offset_s
    owner, tick, xy, velocity = [], [], [], []
    first, last, plane = (np.full(len(passages), -1) for _ in range(3))
    plane_names = ground_planes_of(passages)
    count = 0
    for k, passage in enumerate(passages):
        is_known = np.isfinite(passage.ground_m).all(axis=1)
        if is_known.sum() < 2:
            continue
        time_s = passage.tracklet.time_s[is_known] + offset[k]
        ticks = _ticks_between(time_s[0], time_s[-1])
        position, speed = fit_lines(time_s, passage.ground_m[is_known], ticks * TICK_S)

        plane[k] = plane_names.index(passage.ground_plane)
        owner.append(np.full(len(ticks), k))
        tick.append(ticks)
        xy.append(position + plane[k] * PLANE_SPACING_M)
        velocity.append(speed)
        first[k], last[k] = count, count + len(ticks) - 1
        count += len(ticks)
    no_rows = np.zeros((0, 2))
    return Trajectories(
        owner=np.concatenate([np.zeros(0, np.int64), *owner]),
        tick=np.concatenate([np.zeros(0, np.int64), *tick]),
        xy=np.concatenate([no_rows, *xy]),
        velocity=np.concatenate([no_rows, *velocity]),
        first=first,
        last=last,
        plane=plane,
        start_s=np.array([p.tracklet.start_s for p in passages]) + offset,
        end_s=np.array([p.tracklet.end_s for p in passages]) + offset,
    )


def _ticks_between(start_s: float, end_s: float) -> Array:
    """Ticks within a span of time, or the one nearest to its middle if there is none: int64 (K,), K ≥ 1."""
    ticks = np.arange(np.ceil(start_s / TICK_S), np.floor(end_s / TICK_S) + 1).astype(np.int64)
    if len(ticks):
        return ticks
    return np.array([round((start_s + end_s) / 2 / TICK_S)], np.int64)


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
    begin = np.searchsorted(time_s, at_s - _HALF_WINDOW_S, side="left")
    end = np.searchsorted(time_s, at_s + _HALF_WINDOW_S, side="right")
    begin = np.minimum(begin, np.maximum(np.searchsorted(time_s, at_s) - 2, 0))
    end = np.maximum(end, np.minimum(begin + 2, len(time_s)))

    # Times and positions relative to the first observation keep the sums small.
    origin_s, origin_xy = time_s[0], xy[0]
    t, p = time_s - origin_s, xy - origin_xy
    terms = np.column_stack([np.ones_like(t), t, t * t, p, p * t[:, None]])
    running = np.vstack([np.zeros(terms.shape[1]), np.cumsum(terms, axis=0)])
    n, sum_t, sum_tt, sum_x, sum_y, sum_tx, sum_ty = (running[end] - running[begin]).T

    spread = n * sum_tt - sum_t * sum_t
    is_line = spread > 1e-9
    divisor = np.where(is_line, spread, 1.0)
    velocity = np.stack([(n * sum_tx - sum_t * sum_x) / divisor, (n * sum_ty - sum_t * sum_y) / divisor], axis=1)
    velocity[~is_line] = 0.0

    mean_xy = np.stack([sum_x, sum_y], axis=1) / n[:, None]
    since_mean = (at_s - origin_s) - sum_t / n
    return mean_xy + velocity * since_mean[:, None] + origin_xy, velocity
