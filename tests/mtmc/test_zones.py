"""Points in polygons against a sum of angles, and on the boundary."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.geometry.zones import inside
from mtmc.types import Array

STAR = np.array([[0.0, 0], [4, 1], [8, 0], [6, 4], [9, 8], [4, 6], [0, 9], [2, 4]])


def winding(point: Array, polygon: Array) -> float:
    """Turns of the polygon about a point: ±1 inside, 0 outside."""
    ends = polygon - point
    angle = np.arctan2(ends[:, 1], ends[:, 0])
    step = np.diff(np.append(angle, angle[0]))
    return float(((step + np.pi) % (2 * np.pi) - np.pi).sum() / (2 * np.pi))


def test_inside_as_by_angles() -> None:
    points = np.random.default_rng(0).uniform(-1, 10, (500, 2))
    expected = [abs(winding(point, STAR)) > 0.5 for point in points]
    assert inside(points, STAR).tolist() == expected
    assert inside(points, STAR[::-1]).tolist() == expected


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_the_boundary_is_inside(share: float) -> None:
    points = (1 - share) * STAR + share * np.roll(STAR, -1, axis=0)
    assert inside(points, STAR).all()


def test_beyond_the_ends_of_an_edge_is_outside() -> None:
    square = np.array([[0.0, 0], [2, 0], [2, 2], [0, 2]])
    beyond = np.array([[3.0, 0], [-1, 2], [2, 3], [0, -1]])  # on the lines of its edges
    assert not inside(beyond, square).any()
