"""What the ground plane says of pairs of passages: how near they were, and which cannot be one vehicle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtmc.associate.config import AssociateConfig
from mtmc.types import Array, Passage

__all__ = ["ground_evidence"]

_MOMENTS = 5  # at which two ways are compared


def ground_evidence(passages: Sequence[Passage], pairs: Array, config: AssociateConfig) -> tuple[Array, Array]:
    """Nearness and impossibility of pairs whose cameras are calibrated.

    Args:
        passages: N of them.
        pairs: int64 (P, 2).
        config: The gates.

    Returns:
        float64 (P,), median distance in metres at common moments, NaN where there are none; and bool (P,), whether
        the two are farther apart than ``max_ground_m`` at common moments, or than ``max_speed_mps`` allows between
        the end of one and the start of the other.
    """
    metres, apart = np.full(len(pairs), np.nan), np.zeros(len(pairs), bool)
    ways = [_known_way(p) for p in passages]
    plane = np.unique([p.ground_plane for p in passages], return_inverse=True)[1]
    if config.max_ground_m is None or not any(len(time) for time, _ in ways):
        return metres, apart
    start = np.array([time[0] if len(time) else np.nan for time, _ in ways])
    end = np.array([time[-1] if len(time) else np.nan for time, _ in ways])
    first, second = pairs.T
    common = plane[first] == plane[second]
    since, until = np.maximum(start[first], start[second]), np.minimum(end[first], end[second])

    together = np.flatnonzero(common & (until - since >= config.min_overlap_s))  # false for NaN
    metres[together] = _common_distance(ways, pairs[together], since[together], until[together])
    apart[together] = metres[together] > config.max_ground_m

    in_turn = np.flatnonzero(common & (since >= until))
    a, b = pairs[in_turn].T
    earlier, later = np.where(start[a] <= start[b], a, b), np.where(start[a] <= start[b], b, a)
    first_place, last_place = (np.array([xy[k] if len(xy) else (np.nan,) * 2 for _, xy in ways]) for k in (0, -1))
    jump = np.hypot(*(first_place[later] - last_place[earlier]).T)
    apart[in_turn] = jump > config.max_ground_m + config.max_speed_mps * (since - until)[in_turn]
    return metres, apart


def _known_way(passage: Passage) -> tuple[Array, Array]:
    """Times and places of the observations that lie on the ground: (K,), (K, 2)."""
    known = np.isfinite(passage.ground_m).all(axis=1)
    return passage.tracklet.time_s[known], passage.ground_m[known]


def _common_distance(ways: Sequence[tuple[Array, Array]], pairs: Array, since: Array, until: Array) -> Array:
    """Median distance at moments from ``since`` to ``until``: float64 (P,), metres.

    All ways are laid one behind the other on one long time axis, so that a single interpolation answers for all
    passages and moments.
    """
    origin = min(time[0] for time, _ in ways if len(time))
    stride = max(time[-1] for time, _ in ways if len(time)) - origin + 1.0
    axis = np.concatenate([time - origin + k * stride for k, (time, _) in enumerate(ways)])
    place = np.concatenate([xy for _, xy in ways])
    moment = np.linspace(since, until, _MOMENTS, axis=1) - origin
    here, there = (
        np.stack([np.interp(moment + k[:, None] * stride, axis, column) for column in place.T]) for k in pairs.T
    )
    return np.asarray(np.median(np.hypot(*(here - there)), axis=1))
