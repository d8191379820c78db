"""What the ground plane says about pairs: how near they were to each other, and which cannot be one vehicle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtmc.associate.config import AssociateConfig
from mtmc.types import Array, Passage

__all__ = ["ground_evidence"]

_TIMES = 5  # at which two trajectories are compared


def ground_evidence(passages: Sequence[Passage], pairs: Array, config: AssociateConfig) -> tuple[Array, Array]:
    """Distance and conflict of pairs whose cameras are calibrated.

    Args:
        passages: N of them.
        pairs: int64 (P, 2).
        config: The gates.

    Returns:
        float64 (P,), median distance in meters over five common times, NaN where there are none; and bool (P,),
        whether the two are farther apart than ``max_ground_m`` at common times, or than ``max_speed_mps`` allows
        between the end of one and the start of the other.
    """
    distance_m, is_conflicting = np.full(len(pairs), np.nan), np.zeros(len(pairs), bool)
    trajectories = [_known_trajectory(p) for p in passages]
    plane = np.unique([p.ground_plane for p in passages], return_inverse=True)[1]
    if not config.use_ground or not any(len(time_s) for time_s, _ in trajectories):
        return distance_m, is_conflicting
    start = np.array([time_s[0] if len(time_s) else np.nan for time_s, _ in trajectories])
    end = np.array([time_s[-1] if len(time_s) else np.nan for time_s, _ in trajectories])
    i, j = pairs.T
    same_plane = plane[i] == plane[j]
    since, until = np.maximum(start[i], start[j]), np.minimum(end[i], end[j])

    overlapping = np.flatnonzero(same_plane & (until - since >= config.hierarchical.min_overlap_s))  # false for NaN
    distance_m[overlapping] = _common_distance(
        trajectories, pairs[overlapping], since[overlapping], until[overlapping]
    )
    is_conflicting[overlapping] = distance_m[overlapping] > config.hierarchical.max_ground_m

    in_turn = np.flatnonzero(same_plane & (since >= until))
    i, j = pairs[in_turn].T
    earlier, later = np.where(start[i] <= start[j], i, j), np.where(start[i] <= start[j], j, i)
    unknown = (np.nan, np.nan)
    first_xy, last_xy = (np.array([xy[k] if len(xy) else unknown for _, xy in trajectories]) for k in (0, -1))
    jump_m = np.hypot(*(first_xy[later] - last_xy[earlier]).T)
    is_conflicting[in_turn] = (
        jump_m > config.hierarchical.max_ground_m + config.max_speed_mps * (since - until)[in_turn]
    )
    return distance_m, is_conflicting


def _known_trajectory(passage: Passage) -> tuple[Array, Array]:
    """Times and positions of the observations that lie on the ground: (K,), (K, 2)."""
    is_known = np.isfinite(passage.ground_m).all(axis=1)
    return passage.tracklet.time_s[is_known], passage.ground_m[is_known]


def _common_distance(trajectories: Sequence[tuple[Array, Array]], pairs: Array, since: Array, until: Array) -> Array:
    """Median distance over evenly spaced times from ``since`` to ``until``: float64 (P,), meters.

    All trajectories are laid one after the other on one long time axis, so that a single interpolation serves all
    passages and times.
    """
    origin = min(time_s[0] for time_s, _ in trajectories if len(time_s))
    stride = max(time_s[-1] for time_s, _ in trajectories if len(time_s)) - origin + 1.0
    axis = np.concatenate([time_s - origin + k * stride for k, (time_s, _) in enumerate(trajectories)])
    positions = np.concatenate([xy for _, xy in trajectories])
    times = np.linspace(since, until, _TIMES, axis=1) - origin
    position_i, position_j = (
        np.stack([np.interp(times + k[:, None] * stride, axis, column) for column in positions.T]) for k in pairs.T
    )
    return np.asarray(np.median(np.hypot(*(position_i - position_j)), axis=1))
