"""How fast a tracklet moves before and after each of its boxes."""

from __future__ import annotations

import numpy as np

from mtmc.geometry.boxes import centre
from mtmc.types import Array, Tracklet

__all__ = ["velocity_after", "velocity_before"]


def velocity_before(tracklet: Tracklet, window_s: float) -> tuple[Array, Array]:
    """Mean velocity of the centre over the seconds before each observation.

    Returns:
        Velocity in px/s, float64 (L, 2), 0 where nothing lies before; and the seconds it was measured over, (L,),
        fewer than ``window_s`` near the beginning.
    """
    return _velocity(tracklet, -window_s)


def velocity_after(tracklet: Tracklet, window_s: float) -> tuple[Array, Array]:
    """Mean velocity of the centre over the seconds after each observation; see :func:`velocity_before`."""
    return _velocity(tracklet, window_s)


def _velocity(tracklet: Tracklet, offset_s: float) -> tuple[Array, Array]:
    time, position = tracklet.time_s, centre(tracklet.xyxy)
    other = np.clip(time + offset_s, time[0], time[-1])
    elapsed = other - time
    there = np.stack([np.interp(other, time, position[:, axis]) for axis in range(2)], axis=1)
    moved = there - position
    velocity = np.divide(moved, elapsed[:, None], out=np.zeros_like(moved), where=elapsed[:, None] != 0)
    return velocity, np.abs(elapsed)
