"""How a tracklet moves: positions, speeds and sizes that the steps share."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array, Tracklet

__all__ = ["centre", "diagonal", "velocity_after", "velocity_before"]


def centre(xyxy: Array) -> Array:
    """Middle of boxes: (L, 4) → float64 (L, 2)."""
    corners = xyxy.astype(np.float64)
    return np.asarray((corners[:, :2] + corners[:, 2:]) / 2)


def diagonal(xyxy: Array) -> Array:
    """Length of the diagonal of boxes, the unit in which distances are judged: (L, 4) → float64 (L,), px."""
    corners = xyxy.astype(np.float64)
    return np.hypot(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])


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
