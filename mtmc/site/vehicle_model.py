"""The box that a car makes in a picture, by where it is, where it heads and how the camera looks.

A car is a body whose corners are cut and a smaller cabin on top of it, of a usual size, seen by a pinhole camera
without roll whose middle ray meets the middle of the picture. The camera's focal length, tilt and height show in how
boxes grow towards the camera, in how much higher they are when seen from above, and in how much wider when seen from
the side; so boxes tell all three.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmc.types import Array

__all__ = ["PinholeView", "box_sizes"]

_LENGTH_M, _WIDTH_M, _HEIGHT_M = 4.6, 1.85, 1.55  # of usual cars
_HOOD = 0.6  # height of the body, of the whole
_CABIN = (0.45, 0.8)  # length and width of the roof, of the whole
_CUT = (0.42, 0.25)  # where the sides end and how wide the ends are, of length and width; halves of the car are 0.5


def _corners() -> Array:
    """Forward, left and up of a car's corners, metres: float64 (C, 3), those on the ground first."""
    plan = [(0.5, _CUT[1]), (_CUT[0], 0.5)]
    levels = [(0.0, plan), (_HOOD, plan), (1.0, [(_CABIN[0] / 2, _CABIN[1] / 2)])]
    return np.array(
        [
            (front * length * _LENGTH_M, side * width * _WIDTH_M, up * _HEIGHT_M)
            for up, points in levels
            for length, width in points
            for front in (-1, 1)
            for side in (-1, 1)
        ]
    )


_CORNERS = _corners()
_GROUNDED = _CORNERS[_CORNERS[:, 2] == 0]


@dataclass(frozen=True, slots=True)
class PinholeView:
    """How a camera looks at the ground.

    Attributes:
        size_wh: Of the picture.
        horizon_px: Row of the horizon.
        focal_px: Focal length over the cosine of the tilt.
        camera_m: Height of the camera over the cosine of the tilt.
    """

    size_wh: tuple[int, int]
    horizon_px: float
    focal_px: float
    camera_m: float

    @property
    def down(self) -> float:
        """Sine of the tilt."""
        return float(np.clip((self.size_wh[1] / 2 - self.horizon_px) / self.focal_px, -0.95, 0.95))

    def ground(self, px: Array) -> Array:
        """Metres right of and ahead of the point below the camera: (…, 2) → (…, 2)."""
        below = np.maximum(px[..., 1] - self.horizon_px, 1.0)
        right = self.camera_m * (px[..., 0] - self.size_wh[0] / 2) / below
        return np.stack([right, self.focal_px * self.camera_m / below - self.camera_m * self.down], axis=-1)

    def image(self, place: Array, up: Array | float = 0.0) -> Array:
        """Pixels of points so many metres above the ground: (…, 2), (…) → (…, 2)."""
        level = np.sqrt(1 - self.down**2)
        below = self.camera_m * level - up
        far = np.maximum(place[..., 1] * level + below * self.down, 0.5)
        beside = np.stack([place[..., 0], below * level - place[..., 1] * self.down], axis=-1)
        middle = np.array(self.size_wh) / 2
        return np.asarray(self.focal_px * level * beside / far[..., None] + middle)


def box_sizes(view: PinholeView, foot_px: Array, ahead_px: Array) -> Array:
    """Width and height of cars' boxes: float64 (K, 2), pixels.

    Args:
        view: The camera's.
        foot_px: float64 (K, 2), middles of the boxes' lower edges, below the horizon.
        ahead_px: float64 (K, 2), where those will be in a moment.
    """
    place = view.ground(foot_px)
    heading, ray = _unit(view.ground(ahead_px) - place), _unit(place)
    left = np.stack([-heading[:, 1], heading[:, 0]], axis=1)
    # The lower edge is where the car is nearest: its middle is half its depth farther on.
    along, across = (heading * ray).sum(axis=1), (left * ray).sum(axis=1)
    depth = np.abs(_GROUNDED[:, 0] * along[:, None] + _GROUNDED[:, 1] * across[:, None]).max(axis=1)
    middle = place + ray * depth[:, None]
    corners = middle[:, None] + _CORNERS[:, 0, None] * heading[:, None] + _CORNERS[:, 1, None] * left[:, None]
    return np.asarray(np.ptp(view.image(corners, _CORNERS[:, 2]), axis=1))


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.hypot(*vectors.T), 1e-9)[:, None])
