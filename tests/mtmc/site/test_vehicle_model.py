"""Boxes of cars, against another pinhole camera that draws them."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.site.vehicle_model import _CORNERS, PinholeView, box_sizes
from tests.mtmc.site.world import SIZE, Pinhole

CAMERA = Pinhole((0.0, 0.0, 7.5), np.pi / 2, 0.32, 900.0)  # looks along y, x to its right
LEVEL = np.cos(CAMERA.down)
VIEW = PinholeView(SIZE, SIZE[1] / 2 - CAMERA.focal_px * np.tan(CAMERA.down), CAMERA.focal_px / LEVEL, 7.5 / LEVEL)


def test_points_land_where_the_other_camera_sees_them() -> None:
    place = np.random.default_rng(1).uniform((-15, 8), (15, 60), (50, 2))
    up = np.random.default_rng(2).uniform(0, 3, 50)
    expected, _ = CAMERA.project(np.concatenate([place, up[:, None]], axis=1))
    np.testing.assert_allclose(VIEW.image(place, up), expected, atol=1e-6)
    np.testing.assert_allclose(VIEW.ground(VIEW.image(place)), place, atol=1e-6)


@pytest.mark.parametrize("degrees", [0, 20, 45, 90, 135, 180, 250])
def test_boxes_are_those_about_all_corners(degrees: int) -> None:
    """Where a car stands is told by its box alone, so sizes agree to a few per cent only."""
    turn = np.deg2rad(degrees)
    heading = np.array([np.cos(turn), np.sin(turn)])
    left = np.array([-heading[1], heading[0]])
    for x, y in [(-8.0, 18.0), (0.0, 25.0), (6.0, 40.0), (12.0, 60.0)]:
        boxes = []
        for meters in (0.0, 1.0):
            flat = np.array([x, y]) + meters * heading + _CORNERS[:, :1] * heading + _CORNERS[:, 1:2] * left
            px, _ = CAMERA.project(np.concatenate([flat, _CORNERS[:, 2:]], axis=1))
            boxes.append((px.min(axis=0), px.max(axis=0)))
        foot, ahead = (np.array([[(low[0] + high[0]) / 2, high[1]]]) for low, high in boxes)
        size = np.subtract(*boxes[0][::-1])
        np.testing.assert_allclose(box_sizes(VIEW, foot, ahead)[0], size, rtol=0.06)


def test_from_above_a_car_is_higher_and_from_the_side_wider() -> None:
    foot = np.array([[640.0, 500.0]])
    away, across = foot - np.array([0.0, 5.0]), foot + np.array([5.0, 0.0])
    low, high = (PinholeView(SIZE, VIEW.horizon_px, VIEW.focal_px * f, VIEW.camera_height_m * f) for f in (1.3, 0.8))
    [[width, height]], [[wide, _]] = box_sizes(VIEW, foot, away), box_sizes(VIEW, foot, across)
    assert wide > 2 * width
    flat, steep = (box_sizes(view, foot, away)[0] for view in (low, high))
    assert flat[1] / flat[0] < height / width < steep[1] / steep[0]
