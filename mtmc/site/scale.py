"""A rough ground plane from the sizes of vehicles alone.

On a level plane seen by a camera without roll, whatever stands at row y lies at the distance f·H/(y − y0), where y0
is the row of the horizon, H the camera's height and f the focal length in pixels; so a thing of height h covers (y
− y0)·h/H rows (Hoiem, Efros, Hebert 2008). A straight line through the heights of boxes over their lower edges
tells y0 and h/H. On fast roads, where vehicles drive steadily, y0 is also where none seems to speed up or slow down.
It does not tell f, which stretches depth against width; until overlapping views tell it, a usual
lens is assumed. Camera height and scale rest on how high a vehicle's box is taken to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from mtmc.geometry.ground import project
from mtmc.site.ways import STEP_S, Way
from mtmc.types import Array

__all__ = ["FOCAL", "Scale", "fit_scale"]

#: Focal length in picture widths that is assumed: 58° across.
FOCAL = 0.9
_HEIGHT_M = 2.2  # of a car's box: its 1.5 m, and what of its length is seen from above
_FEWEST = 40
_LEAST_STEPS, _FEWEST_WAYS = 3, 3  # of a way; of a camera, that tell how steadily vehicles drive
_MOVING_MPS, _FAST_MPS = 6.0, 15.0  # who tells it, and how fast they must be as a rule
_HORIZON_ERROR = 0.03  # of the horizon by boxes, in heights of the picture
_HORIZONS = np.linspace(-0.1, 0.1, 41)
# Of log speed over log rows below the horizon: on any road; by what all brake alike, m²/s²; of each vehicle.
_SLOPE_ERROR, _BRAKING, _SLOPE_SPREAD = 0.05, 29.0, 0.3
_LEAST_ROWS = 0.04  # of the picture's height below the horizon: nearer to it a pixel is many metres


@dataclass(frozen=True, slots=True)
class Scale:
    """How large things are in a picture.

    Attributes:
        size_wh: Picture width and height.
        horizon_px: Row at which the ground ends.
        camera_m: Height of the camera over the ground in metres, if vehicles are as assumed.
        focal: Focal length in picture widths.
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


def fit_scale(ways: Sequence[Way], size_wh: tuple[int, int], focal: float = FOCAL) -> Scale | None:
    """Fit horizon and camera height to the heights of whole boxes, robustly; None where there are too few.

    Every way counts the same, however long it was in the picture.
    """
    rows, heights, weights = [], [], []
    for way in ways:
        if way.whole.any():
            rows.append(way.px[way.whole, 1])
            heights.append(way.box_px[way.whole, 1])
            weights.append(np.full(way.whole.sum(), 1.0 / np.sqrt(way.whole.sum())))
    if sum(map(len, rows)) < _FEWEST:
        return None
    y, h, w = np.concatenate(rows), np.concatenate(heights), np.concatenate(weights)

    def model(p: Array) -> Array:
        below = np.maximum(y - p[0], 1.0)
        return np.asarray(below * np.exp(-p[1]) * _HEIGHT_M)

    def error(p: Array) -> Array:
        return np.asarray(w * (np.log(h) - np.log(model(p))))

    best = None
    for share in (-0.3, 0.0, 0.25):  # where the search for the horizon begins
        start = np.array([min(share * size_wh[1], y.min() - 5.0), np.log(8.0)])
        bounds = ([-2.0 * size_wh[1], np.log(1.0)], [y.min() - 2.0, np.log(100.0)])
        found = least_squares(error, start, loss="soft_l1", f_scale=0.05, bounds=bounds, x_scale=[100.0, 0.3])
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    first = Scale(size_wh, float(best.x[0]), float(np.exp(best.x[1])), focal, 0.0, len(y))
    best.x[0] = _steady(ways, first, float(y.min()) - 2.0)
    best.x[1] += float(np.median(np.log(model(best.x)) - np.log(h)))
    off = np.log(h) - np.log(model(best.x))
    spread = 1.4826 * float(np.median(np.abs(off - np.median(off))))
    return Scale(size_wh, float(best.x[0]), float(np.exp(best.x[1])), focal, spread, len(y))


def _steady(ways: Sequence[Way], scale: Scale, most_px: float) -> float:
    """The row of the horizon by which, boxes considered, those on a fast road drive most steadily.

    Where the horizon is taken to lie too low, what is far away seems to drive too fast. Where vehicles are slow they
    brake and start, so this tells only of fast roads.
    """
    places: list[Array] = []
    owner: list[Array] = []
    for k, way in enumerate(ways):
        usable = way.whole & scale.near(way.px)
        rows = np.flatnonzero(usable[:-2] & usable[1:-1] & usable[2:] & (way.tick[2:] - way.tick[:-2] == 2))
        if len(rows) >= _LEAST_STEPS:
            places.append(np.stack([way.px[rows], way.px[rows + 1], way.px[rows + 2]]))
            owner.append(np.full(len(rows), k))
    if not places:
        return scale.horizon_px
    before, here, after = np.concatenate(places, axis=1)
    _, group, count = np.unique(np.concatenate(owner), return_inverse=True, return_counts=True)

    def speeds(horizon_px: float) -> Array:
        matrix = scale.ground_from_image(horizon_px=horizon_px)
        return np.asarray(np.hypot(*(project(after, matrix) - project(before, matrix)).T) / (2 * STEP_S))

    usual = np.array([np.median(v) for v in np.split(speeds(scale.horizon_px), np.cumsum(count)[:-1])])
    moving = usual > _MOVING_MPS
    if moving.sum() < _FEWEST_WAYS or np.median(usual[moving]) < _FAST_MPS:
        return scale.horizon_px
    known = moving[group]
    slope_error = np.sqrt(
        _SLOPE_ERROR**2 + (_BRAKING / np.median(usual[moving]) ** 2) ** 2 + _SLOPE_SPREAD**2 / moving.sum()
    )
    best = (np.inf, scale.horizon_px)
    for share in _HORIZONS:
        horizon = scale.horizon_px + share * scale.size_wh[1]
        if horizon > most_px:
            break
        below, speed = np.log(np.maximum(here[:, 1] - horizon, 1.0)), np.log(np.maximum(speeds(horizon), 0.1))
        below, speed = (v - (np.bincount(group, v) / count)[group] for v in (below, speed))
        slope = float((below * speed)[known].sum() / max(float((below**2)[known].sum()), 1e-9))
        cost = (share / _HORIZON_ERROR) ** 2 + (slope / slope_error) ** 2
        best = min(best, (float(cost), float(horizon)))
    return best[1]
