"""Velocity of a tracklet before and after each of its observations."""

from __future__ import annotations

import numpy as np

from mtmc.geometry.boxes import center
from mtmc.types import Array, Tracklet

__all__ = ["velocity_after", "velocity_before"]


def velocity_before(tracklet: Tracklet, window_s: float) -> tuple[Array, Array]:
    """Mean velocity of the box center over the ``window_s`` seconds before each observation.

    Returns:
        Velocity in px/s, float64 (L, 2), 0 at the first observation; and the seconds over which it was measured,
        float64 (L,), fewer than ``window_s`` near the beginning.
    """
    return _velocity(tracklet, -window_s)


def velocity_after(tracklet: Tracklet, window_s: float) -> tuple[Array, Array]:
    """Mean velocity of the box center over the ``window_s`` seconds after each observation.

    Returns:
        As :func:`velocity_before`; the velocity is 0 at the last observation.
    """
    return _velocity(tracklet, window_s)


def _velocity(tracklet: Tracklet, offset_s: float) -> tuple[Array, Array]:
    time = tracklet.time_s
    position = center(tracklet.xyxy)

    # The window ends where the tracklet does.
    other_time = np.clip(time + offset_s, time[0], time[-1])
    elapsed = other_time - time
    other_position = np.stack([np.interp(other_time, time, position[:, axis]) for axis in range(2)], axis=1)

    moved = other_position - position
    velocity = np.divide(moved, elapsed[:, None], out=np.zeros_like(moved), where=elapsed[:, None] != 0)
    return velocity, np.abs(elapsed)
