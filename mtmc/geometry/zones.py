"""Points in polygons."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array

__all__ = ["inside"]


def inside(points: Array, polygon: Array) -> Array:
    """Which points lie in a polygon (even–odd rule): (P, 2), (V, 2) → bool (P,).

    >>> inside(np.array([[1.0, 1.0], [3.0, 1.0]]), np.array([[0, 0], [2, 0], [2, 2], [0, 2]]))
    array([ True, False])
    """
    x, y = points[:, 0, None], points[:, 1, None]
    x1, y1 = polygon[:, 0], polygon[:, 1]
    x2, y2 = np.roll(x1, -1), np.roll(y1, -1)
    straddles = (y1 > y) != (y2 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing_x = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
    return np.asarray((straddles & (x < crossing_x)).sum(axis=1) % 2 == 1)
