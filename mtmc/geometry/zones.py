"""Points in polygons."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array

__all__ = ["inside"]


def inside(points: Array, polygon: Array) -> Array:
    """Which points lie in a polygon or on its boundary (even–odd rule): (P, 2), (V, 2) → bool (P,).

    The boundary counts: the box of a vehicle at the border of the image ends on the line where the zone ends.

    >>> inside(np.array([[1.0, 1.0], [3.0, 1.0], [1.0, 2.0]]), np.array([[0, 0], [2, 0], [2, 2], [0, 2]]))
    array([ True, False,  True])
    """
    x, y = points[:, 0, None], points[:, 1, None]
    x1, y1 = polygon[:, 0], polygon[:, 1]
    x2, y2 = np.roll(x1, -1), np.roll(y1, -1)
    straddles = (y1 > y) != (y2 > y)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing_x = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
    is_inside = (straddles & (x < crossing_x)).sum(axis=1) % 2 == 1

    is_on_line = (x - x1) * (y2 - y1) == (y - y1) * (x2 - x1)
    is_beside = (np.minimum(x1, x2) <= x) & (x <= np.maximum(x1, x2))
    is_level = (np.minimum(y1, y2) <= y) & (y <= np.maximum(y1, y2))
    return np.asarray(is_inside | (is_on_line & is_beside & is_level).any(axis=1))
