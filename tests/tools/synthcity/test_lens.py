from __future__ import annotations

import numpy as np

from tools.synthcity.builder import Site
from tools.synthcity.lens import View

VIEW = View(Site((3.0, -8.0, 7.0), (12.0, 4.0, 0.0), 74.0), (640, 360), k1=-0.08, k2=0.01)


def test_rays_undo_the_lens() -> None:
    pixels = np.random.default_rng(0).uniform(0, 1, (200, 2)) * [640, 360]
    rays = VIEW.rays(pixels)
    world = VIEW.eye + 25.0 * (np.concatenate([rays, np.ones((200, 1))], axis=1) @ VIEW.axes)
    again, ahead = VIEW.project(world)
    np.testing.assert_allclose(again, pixels, atol=1e-6)
    np.testing.assert_allclose(ahead, 25.0)


def test_the_target_is_in_the_middle() -> None:
    pixels, _ = VIEW.project(np.array([VIEW.site.target]))
    np.testing.assert_allclose(pixels, [[320, 180]], atol=1e-9)


def test_ground_points_come_back() -> None:
    ground = np.array([[10.0, 2.0], [14.0, 9.0], [9.0, 6.0]])
    pixels, _ = VIEW.project(np.c_[ground, np.zeros(3)])
    np.testing.assert_allclose(VIEW.on_ground(pixels), ground, atol=1e-6)
    assert np.isnan(VIEW.on_ground(np.array([[320.0, -2000.0]]))).all()


def test_the_graphics_card_sees_the_same() -> None:
    pinhole = View(VIEW.site, VIEW.size_wh)
    points = np.array([[10.0, 2.0, 0.5], [20.0, 15.0, 1.0], [12.0, 4.0, 2.0]])
    clip = np.c_[points, np.ones(3)] @ pinhole.clip_from_world().T
    ndc = clip[:, :3] / clip[:, 3:]
    pixels, ahead = pinhole.project(points)
    np.testing.assert_allclose(ndc[:, 0], pixels[:, 0] / 320 - 1, atol=1e-9)
    np.testing.assert_allclose(-ndc[:, 1], pixels[:, 1] / 180 - 1, atol=1e-9)
    np.testing.assert_allclose(pinhole.distance_of_depth((ndc[:, 2] + 1) / 2), ahead, rtol=1e-6)
