"""A ground plane from the boxes of vehicles alone.

On a level plane seen by a camera without roll, what stands at row y lies at the distance f·H/(y − y0), where y0 is
the row of the horizon, H the camera's height and f the focal length in pixels (both over the cosine of the tilt), on
a ground whose origin lies below the camera or a fixed length before it. How wide and how high the boxes of vehicles
are, all over the picture and whichever way they head (:mod:`mtmc.site.vehicle_model`), tells the three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from mtmc.site.trajectories import STEP_S, Trajectory
from mtmc.site.vehicle_model import PinholeView, box_sizes
from mtmc.types import Array

__all__ = ["GroundScale", "fit_ground_scale"]

_FOCAL, _FOCAL_SPREAD = 0.8, 0.25  # a usual lens, in picture widths (64° across), and the spread of its logarithm
_SIZE_SPREAD, _BOX_SPREAD = 0.12, 0.12  # of logarithms: of vehicles' sizes; of boxes about what they should be
_MOST_WAYS = 6  # for how many all together count: what is wrong with the shape is wrong with all of them
_FEWEST = 40  # whole boxes
_MOST_SAMPLES, _INDEPENDENT = 8, 3  # of a way: boxes that are looked at, and for how many they count
_LEAST_MOTION = 0.12  # diagonals of the box in half a second: who hardly moves heads nowhere
_OUTLIER = 1.5  # spreads
_LEAST_ROWS = 0.04  # of the picture's height below the horizon: nearer to it a pixel is many metres


@dataclass(frozen=True, slots=True)
class GroundScale:
    """How large things are in a picture.

    Attributes:
        size_wh: Picture width and height.
        horizon_px: Row at which the ground ends.
        camera_m: Height of the camera over the ground in metres (over the cosine of its tilt), if vehicles are as
            assumed.
        focal: Focal length in picture widths (over the cosine of the tilt).
        spread: Robust spread of box heights about the model, as a share of the height.
        boxes: How many boxes it rests on.
    """

    size_wh: tuple[int, int]
    horizon_px: float
    camera_m: float
    focal: float
    spread: float
    boxes: int

    def ground_from_image(
        self, focal: float | None = None, horizon_px: float | None = None, roll: float = 0.0
    ) -> Array:
        """Pixels → metres right of and ahead of the camera: float64 (3, 3)."""
        width, _ = self.size_wh
        y0 = self.horizon_px if horizon_px is None else horizon_px
        f = (self.focal if focal is None else focal) * width
        h = self.camera_m
        middle = width / 2
        return np.array([[h, 0.0, -h * middle], [0.0, 0.0, f * h], [roll, 1.0, -y0 - roll * middle]])

    def metres_per_px(self, row: float) -> float:
        """Across the picture, at a row."""
        return self.camera_m / (row - self.horizon_px)

    def near(self, px: Array) -> Array:
        """Which points lie far enough below the horizon: (…, 2) → bool (…)."""
        return np.asarray(px[..., 1] - self.horizon_px > _LEAST_ROWS * self.size_wh[1])


class _Boxes(NamedTuple):
    """K whole boxes of moving vehicles.

    Attributes:
        foot_px, ahead_px: float64 (K, 2), middles of the lower edges, and where those will be a step later.
        size_px: float64 (K, 2), width and height.
        way: int64 (K,), whose.
    """

    foot_px: Array
    ahead_px: Array
    size_px: Array
    way: Array


def fit_ground_scale(ways: Sequence[Trajectory], size_wh: tuple[int, int]) -> GroundScale | None:
    """Fit focal length, horizon and camera height to whole boxes, robustly; None where there are too few.

    Every way counts about the same, however long it was in the picture, and its vehicle may be larger or smaller than
    others.
    """
    boxes = _boxes(ways)
    if boxes is None or sum(int(way.whole.sum()) for way in ways) < _FEWEST:
        return None
    width, height = size_wh
    count = np.bincount(boxes.way)
    sure = 1 / (_BOX_SPREAD * np.sqrt(np.maximum(count / _INDEPENDENT, 1.0)))
    known = 2 * count * sure**2 + 1 / _SIZE_SPREAD**2

    def off(p: Array) -> Array:
        view = PinholeView(size_wh, p[1] * height, np.exp(p[0]) * width, np.exp(p[2]))
        expected = box_sizes(view, boxes.foot_px, boxes.ahead_px)
        return np.asarray(np.log(boxes.size_px) - np.log(np.maximum(expected, 1e-3)))

    def error(p: Array) -> Array:
        left = off(p)
        larger = np.bincount(boxes.way, left.sum(axis=1)) * sure**2 / known
        left = (left - larger[boxes.way, None]) * sure[boxes.way, None]
        lens = (p[0] - np.log(_FOCAL)) / (_FOCAL_SPREAD * np.sqrt(min(1.0, _MOST_WAYS / len(count))))
        return np.concatenate([left.ravel(), larger / _SIZE_SPREAD, [lens]])

    top = float(boxes.foot_px[:, 1].min()) / height
    bounds = ([np.log(0.3), -1.5, np.log(2.0)], [np.log(3.0), top - 0.005, np.log(100.0)])
    best = None
    for share in (-0.1, 0.1, 0.25):  # where the search for the horizon begins
        start = [np.log(_FOCAL), min(share, top - 0.02), np.log(7.0)]
        found = least_squares(error, start, loss="soft_l1", f_scale=_OUTLIER, bounds=bounds, x_scale=[0.2, 0.05, 0.2])
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    focal, horizon, camera = best.x
    high = off(best.x)[:, 1]
    spread = 1.4826 * float(np.median(np.abs(high - np.median(high))))
    return GroundScale(
        size_wh, float(horizon * height), float(np.exp(camera)), float(np.exp(focal)), spread, len(high)
    )


def _boxes(ways: Sequence[Trajectory]) -> _Boxes | None:
    """Some boxes of every way, evenly spread; None where nobody moves."""
    parts: list[tuple[Array, Array, Array]] = []
    for way in ways:
        velocity = np.gradient(way.px, way.tick * STEP_S, axis=0)
        moving = 0.5 * np.hypot(*velocity.T) > _LEAST_MOTION * np.hypot(*way.box_px.T)
        rows = np.flatnonzero(way.whole & moving)
        if len(rows) < _INDEPENDENT:
            continue
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST_SAMPLES)).round().astype(int)]
        parts.append((way.px[rows], way.px[rows] + STEP_S * velocity[rows], way.box_px[rows]))
    if not parts:
        return None
    foot, ahead, size = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Boxes(foot, ahead, size, np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts]))
