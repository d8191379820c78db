r"""The bounding box of a car of usual size in a pinhole camera, by its position and heading.

The car is a body with cut corners, 4.6 m × 1.85 m, and a smaller cabin on it, 1.55 m high. The camera has no roll,
and its optical axis meets the middle of the image. With the focal length f, the tilt θ below the horizontal and the
height H of the camera, a point x meters to the right, y ahead and z above the ground is seen at

    u = f x / d + W/2,    v = f ((H − z) cos θ − y sin θ) / d + h/2,    d = y cos θ + (H − z) sin θ

The model's parameters are f / cos θ, H / cos θ and the row v₀ of the horizon, v₀ = h/2 − f tan θ, which give a
simple ground plane: the row v shows the distance f H / (cos² θ (v − v₀)) − H tan θ.

Focal length, tilt and height are determined by boxes alone: boxes grow towards the camera, they are higher if seen
from above, and wider if seen from the side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmc.types import Array

__all__ = ["PinholeView", "box_sizes"]

_LENGTH_M, _WIDTH_M, _HEIGHT_M = 4.6, 1.85, 1.55
_HOOD_HEIGHT = 0.6  # of the car's height
_ROOF_LENGTH, _ROOF_WIDTH = 0.45, 0.8  # of the car's length and width
# The cut corners: where the sides end (of the length) and half the width of front and rear (of the width).
_SIDE_END, _END_HALF_WIDTH = 0.42, 0.25
_MAX_SINE, _MIN_DEPTH_M, _MIN_ROWS_PX = 0.95, 0.5, 1.0  # keep the model finite while it is fitted


def _car_corners() -> Array:
    """Forward, left and up coordinates of the car's corners, meters: float64 (C, 3)."""
    outline = [(0.5, _END_HALF_WIDTH), (_SIDE_END, 0.5)]
    roof = [(_ROOF_LENGTH / 2, _ROOF_WIDTH / 2)]
    return np.array(
        [
            (front * length * _LENGTH_M, side * width * _WIDTH_M, height * _HEIGHT_M)
            for height, points in ((0.0, outline), (_HOOD_HEIGHT, outline), (1.0, roof))
            for length, width in points
            for front in (-1, 1)
            for side in (-1, 1)
        ]
    )


_CORNERS = _car_corners()
_GROUND_CORNERS = _CORNERS[_CORNERS[:, 2] == 0]


@dataclass(frozen=True, slots=True)
class PinholeView:
    """A pinhole camera without roll above a level ground plane.

    Attributes:
        size_wh: Image size.
        horizon_px: v₀, row of the horizon.
        focal_px: f / cos θ.
        camera_height_m: H / cos θ.
    """

    size_wh: tuple[int, int]
    horizon_px: float
    focal_px: float
    camera_height_m: float

    @property
    def sine(self) -> float:
        """Sin θ."""
        sine = (self.size_wh[1] / 2 - self.horizon_px) / self.focal_px
        return float(np.clip(sine, -_MAX_SINE, _MAX_SINE))

    def ground(self, px: Array) -> Array:
        """Positions of pixels on the ground, meters right of and ahead of the camera: (…, 2) → (…, 2)."""
        rows = np.maximum(px[..., 1] - self.horizon_px, _MIN_ROWS_PX)
        right = self.camera_height_m * (px[..., 0] - self.size_wh[0] / 2) / rows
        ahead = self.focal_px * self.camera_height_m / rows - self.camera_height_m * self.sine
        return np.stack([right, ahead], axis=-1)

    def image(self, position: Array, height_m: Array | float = 0.0) -> Array:
        """Pixels of points above the ground: (…, 2) meters, (…) meters → (…, 2)."""
        cosine = np.sqrt(1 - self.sine**2)
        below_camera = self.camera_height_m * cosine - height_m
        depth = np.maximum(position[..., 1] * cosine + below_camera * self.sine, _MIN_DEPTH_M)
        across = np.stack([position[..., 0], below_camera * cosine - position[..., 1] * self.sine], axis=-1)
        center = np.array(self.size_wh) / 2
        return np.asarray(self.focal_px * cosine * across / depth[..., None] + center)


def box_sizes(view: PinholeView, ground_point_px: Array, next_point_px: Array) -> Array:
    """Width and height of the boxes of usual cars: float64 (K, 2), pixels.

    Args:
        view: The camera.
        ground_point_px: float64 (K, 2), middles of the boxes' lower edges, below the horizon.
        next_point_px: float64 (K, 2), the same a moment later, which gives the heading.
    """
    ground_point = view.ground(ground_point_px)
    next_point = view.ground(next_point_px)
    forward = _unit(next_point - ground_point)
    left = np.stack([-forward[:, 1], forward[:, 0]], axis=1)

    # The lower edge of the box shows the car's nearest point. Its center is half its depth farther away.
    line_of_sight = _unit(ground_point)
    half_depth_m = _half_depth(forward, left, line_of_sight)
    center = ground_point + line_of_sight * half_depth_m[:, None]

    # The car's C corners on the ground: (K, C, 2), meters.
    corners = center[:, None]
    corners = corners + _CORNERS[:, 0, None] * forward[:, None]
    corners = corners + _CORNERS[:, 1, None] * left[:, None]
    corners_px = view.image(corners, _CORNERS[:, 2])
    return np.asarray(np.ptp(corners_px, axis=1))


def _half_depth(forward: Array, left: Array, line_of_sight: Array) -> Array:
    """How far a car reaches from its center towards the camera: float64 (K,), meters.

    Args:
        forward: float64 (K, 2), unit vectors of the heading.
        left: float64 (K, 2), unit vectors to the car's left.
        line_of_sight: float64 (K, 2), unit vectors from the camera to the car.
    """
    along = (forward * line_of_sight).sum(axis=1)
    across = (left * line_of_sight).sum(axis=1)
    by_length = _GROUND_CORNERS[:, 0] * along[:, None]
    by_width = _GROUND_CORNERS[:, 1] * across[:, None]
    extent = by_length + by_width
    return np.asarray(np.abs(extent).max(axis=1))


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.hypot(*vectors.T), 1e-9)[:, None])
