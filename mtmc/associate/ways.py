"""Ways over the ground, sampled at common moments so that passages of different cameras can be laid side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtmc.types import Array, Passage

__all__ = ["TICK_S", "Ways", "sample_ways"]

TICK_S = 0.5
PLANES_M = 1e6  # between ground planes that have nothing to do with each other
_SMOOTH_S = 0.6  # half-width of the window that gives place and velocity


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """M samples of N passages, sorted by passage and time.

    Attributes:
        owner: int64 (M,), index of the passage.
        tick: int64 (M,), moment in units of :data:`TICK_S` on the scene clock.
        xy: float64 (M, 2), metres.
        velocity: float64 (M, 2), metres per second.
        first, last: int64 (N,), rows of each passage's first and last sample, −1 where it has no way.
        plane: int64 (N,), number of the ground plane of each passage's way, −1 where it has none. The places of
            different planes are laid so far apart that none is near another.
        start_s, end_s: float64 (N,), when the passage was seen first and last.
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

    def moved(self, xy: Array) -> Ways:
        """The same ways at other places."""
        return replace(self, xy=xy)


def planes_of(passages: Sequence[Passage]) -> list[str]:
    """Names of ground planes by their number."""
    return sorted({p.ground_plane for p in passages})


def sample_ways(passages: Sequence[Passage], late_s: Array | None = None) -> Ways:
    """Place and velocity at every half second, by a straight line fitted to what is seen around it.

    A passage shorter than a tick, or seen at no full half second, is sampled at the moment nearest to its middle.

    Args:
        passages: N of them; without calibration, or with fewer than two places on the ground, one has no way.
        late_s: float64 (N,), seconds to add to each passage's times.
    """
    late = np.zeros(len(passages)) if late_s is None else late_s
    owner, tick, place, velocity = [], [], [], []
    first, last, plane = (np.full(len(passages), -1) for _ in range(3))
    names = planes_of(passages)
    count = 0
    for k, passage in enumerate(passages):
        known = np.isfinite(passage.ground_m).all(axis=1)
        if known.sum() < 2:
            continue
        time = passage.tracklet.time_s[known] + late[k]
        ticks = np.arange(np.ceil(time[0] / TICK_S), np.floor(time[-1] / TICK_S) + 1).astype(np.int64)
        if not len(ticks):
            ticks = np.array([round((time[0] + time[-1]) / 2 / TICK_S)], np.int64)
        xy, v = _fit(time, passage.ground_m[known], ticks * TICK_S)
        owner.append(np.full(len(ticks), k))
        tick.append(ticks)
        plane[k] = names.index(passage.ground_plane)
        place.append(xy + plane[k] * PLANES_M)
        velocity.append(v)
        first[k], last[k] = count, count + len(ticks) - 1
        count += len(ticks)
    start = np.array([p.tracklet.start_s for p in passages]) + late
    end = np.array([p.tracklet.end_s for p in passages]) + late
    if not owner:
        none = np.zeros((0, 2))
        return Ways(np.zeros(0, np.int64), np.zeros(0, np.int64), none, none, first, last, plane, start, end)
    return Ways(
        np.concatenate(owner),
        np.concatenate(tick),
        np.concatenate(place),
        np.concatenate(velocity),
        first,
        last,
        plane,
        start,
        end,
    )


def _fit(time: Array, xy: Array, moments: Array) -> tuple[Array, Array]:
    """Straight lines through the observations near each moment: places (K, 2), velocities (K, 2).

    Sums over windows come from running sums, so long tracklets cost no more per sample than short ones.
    """
    lo = np.searchsorted(time, moments - _SMOOTH_S, side="left")
    hi = np.searchsorted(time, moments + _SMOOTH_S, side="right")
    lo = np.minimum(lo, np.maximum(np.searchsorted(time, moments) - 2, 0))
    hi = np.maximum(hi, np.minimum(lo + 2, len(time)))
    origin, centre = time[0], xy[0]
    t, p = time - origin, xy - centre
    columns = np.column_stack([np.ones_like(t), t, t * t, p, p * t[:, None]])
    sums = np.vstack([np.zeros(columns.shape[1]), np.cumsum(columns, axis=0)])
    n, st, stt, sx, sy, stx, sty = (sums[hi] - sums[lo]).T
    spread = n * stt - st * st
    safe = np.where(spread > 1e-9, spread, 1.0)
    v = np.stack([(n * stx - st * sx) / safe, (n * sty - st * sy) / safe], axis=1)
    v[spread <= 1e-9] = 0.0
    mean = np.stack([sx, sy], axis=1) / n[:, None]
    return mean + v * ((moments - origin) - st / n)[:, None] + centre, v
