r"""Single-view calibration: focal length, horizon and camera height from the boxes of vehicles alone.

On a level plane seen by a camera without roll, row v shows the distance f H / (v − v₀), with the focal length f in
pixels, the height H of the camera (both over the cosine of the tilt) and the row v₀ of the horizon. The origin lies a
fixed length in front of the point below the camera.

The three are fitted so that a standard car (:mod:`mtmc.site.vehicle_model`) reproduces the width and height of the
observed boxes. Vehicle i has a log-normal size factor of its own, exp(sᵢ) with s ~ N(0, 0.12²), and box k of it has
log-normal errors with σ = 0.12:

    e_k = log(observed size) − log(expected size),   minimize  Σ_i [ Σ_{k∈i} ρ(((e_k − sᵢ) / σᵢ)²) + ρ((sᵢ / 0.12)²) ]
                                                             + ρ(((log f − log 0.8) / τ)²)

The boxes of one vehicle count as three independent ones (σᵢ grows with their number), and ρ is the soft L1 loss. The
size factors are the posterior means sᵢ = Σ e_k / σᵢ² / (n / σᵢ² + 1 / 0.12²). The prior on the focal length is 0.8
image widths (64° across) with a spread of 25 %. Errors of the car model are shared by all vehicles; therefore the
prior is strengthened so that all vehicles together count as six.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from mtmc.site.trajectories import STEP_S, ImageTrajectory
from mtmc.site.vehicle_model import PinholeView, box_sizes
from mtmc.types import Array

__all__ = ["GroundScale", "fit_ground_scale"]

_USUAL_FOCAL, _LOG_FOCAL_SIGMA = 0.8, 0.25  # image widths
_LOG_SIZE_SIGMA, _LOG_BOX_SIGMA = 0.12, 0.12
_INDEPENDENT_VEHICLES, _INDEPENDENT_BOXES = 6, 3
_OUTLIER = 1.5  # standard deviations, the scale of the soft L1 loss

_MIN_WHOLE_BOXES = 40
_MAX_BOXES = 8  # of a vehicle
_MIN_MOTION = 0.12  # diagonals of the box in half a second; a slower vehicle has no reliable heading
_MIN_ROWS_BELOW_HORIZON = 0.04  # of the image height: nearer to the horizon a pixel is many meters

# Bounds and start values of the search.
_FOCAL_RANGE, _HEIGHT_RANGE_M, _MIN_HORIZON = (0.3, 3.0), (2.0, 100.0), -1.5
_HORIZON_MARGIN, _START_MARGIN = 0.005, 0.02  # image heights above the uppermost box
_START_HORIZONS, _START_HEIGHT_M = (-0.1, 0.1, 0.25), 7.0
_BOUND_TOLERANCE = 1e-3  # of the logarithm


@dataclass(frozen=True, slots=True)
class GroundScale:
    """A camera's own ground plane.

    Attributes:
        size_wh: Image size.
        horizon_px: Row of the horizon.
        camera_height_m: Height of the camera in meters, over the cosine of its tilt; correct if vehicles have the
            usual size.
        focal: Focal length in image widths, over the cosine of the tilt.
        spread: Robust relative spread of the box heights about the model.
        boxes: Number of boxes used.
        at_bound: ``focal`` and ``camera_height_m`` if the search ended at its limits: they are not determined, and
            neither is any distance.
    """

    size_wh: tuple[int, int]
    horizon_px: float
    camera_height_m: float
    focal: float
    spread: float
    boxes: int
    at_bound: tuple[str, ...] = ()

    def ground_from_image(
        self, focal: float | None = None, horizon_px: float | None = None, roll: float = 0.0
    ) -> Array:
        """Homography from pixels to meters right of and ahead of the camera: float64 (3, 3).

        Args:
            focal: Another focal length in image widths.
            horizon_px: Another row of the horizon.
            roll: Slope of the horizon, radians.
        """
        width, _ = self.size_wh
        row = self.horizon_px if horizon_px is None else horizon_px
        focal_px = (self.focal if focal is None else focal) * width
        height_m, middle = self.camera_height_m, width / 2
        return np.array(
            [[height_m, 0.0, -height_m * middle], [0.0, 0.0, focal_px * height_m], [roll, 1.0, -row - roll * middle]]
        )

    def is_near(self, px: Array) -> Array:
        """Which pixels lie far enough below the horizon for a reliable position: (…, 2) → bool (…)."""
        return np.asarray(px[..., 1] - self.horizon_px > _MIN_ROWS_BELOW_HORIZON * self.size_wh[1])


class _Boxes(NamedTuple):
    """K whole boxes of moving vehicles.

    Attributes:
        ground_point_px, next_point_px: float64 (K, 2), middles of the lower edges, now and one step later.
        size_px: float64 (K, 2), width and height.
        vehicle: int64 (K,), from 0.
    """

    ground_point_px: Array
    next_point_px: Array
    size_px: Array
    vehicle: Array


def fit_ground_scale(trajectories: Sequence[ImageTrajectory], size_wh: tuple[int, int]) -> GroundScale | None:
    """Fit focal length, horizon and camera height to a camera's boxes; None where there are too few.

    Args:
        trajectories: Of the camera.
        size_wh: Its image size.
    """
    boxes = _usable_boxes(trajectories)
    if boxes is None or sum(int(t.is_whole.sum()) for t in trajectories) < _MIN_WHOLE_BOXES:
        return None
    uppermost = float(boxes.ground_point_px[:, 1].min()) / size_wh[1]
    lower = [np.log(_FOCAL_RANGE[0]), _MIN_HORIZON, np.log(_HEIGHT_RANGE_M[0])]
    upper = [np.log(_FOCAL_RANGE[1]), uppermost - _HORIZON_MARGIN, np.log(_HEIGHT_RANGE_M[1])]

    def errors(unknowns: Array) -> Array:
        return _errors(unknowns, boxes, size_wh)

    fits = []
    for horizon in _START_HORIZONS:
        start = [np.log(_USUAL_FOCAL), min(horizon, uppermost - _START_MARGIN), np.log(_START_HEIGHT_M)]
        fits.append(
            least_squares(
                errors,
                start,
                loss="soft_l1",
                f_scale=_OUTLIER,
                bounds=(lower, upper),
                x_scale=[0.2, 0.05, 0.2],
            )
        )
    unknowns = min(fits, key=lambda fit: float(fit.cost)).x

    log_focal, horizon, log_height = unknowns
    height_errors = _log_size_errors(unknowns, boxes, size_wh)[:, 1]
    spread = 1.4826 * float(np.median(np.abs(height_errors - np.median(height_errors))))
    limits = {"focal": (lower[0], log_focal, upper[0]), "camera_height_m": (lower[2], log_height, upper[2])}
    at_bound = tuple(
        name
        for name, (least, value, greatest) in limits.items()
        if min(value - least, greatest - value) < _BOUND_TOLERANCE
    )
    return GroundScale(
        size_wh,
        float(horizon * size_wh[1]),
        float(np.exp(log_height)),
        float(np.exp(log_focal)),
        spread,
        len(height_errors),
        at_bound,
    )


def _log_size_errors(unknowns: Array, boxes: _Boxes, size_wh: tuple[int, int]) -> Array:
    """e_k of width and height: float64 (K, 2).

    Args:
        unknowns: Logarithm of the focal length in image widths, horizon in image heights, logarithm of the height.
        boxes: K of them.
        size_wh: Image size.
    """
    log_focal, horizon, log_height = unknowns
    view = PinholeView(size_wh, horizon * size_wh[1], np.exp(log_focal) * size_wh[0], np.exp(log_height))
    expected = box_sizes(view, boxes.ground_point_px, boxes.next_point_px)
    return np.asarray(np.log(boxes.size_px) - np.log(np.maximum(expected, 1e-3)))


def _errors(unknowns: Array, boxes: _Boxes, size_wh: tuple[int, int]) -> Array:
    """All residuals, in standard deviations: of the boxes, of the size factors, and of the focal length."""
    count = np.bincount(boxes.vehicle)
    inverse_sigma = 1 / (_LOG_BOX_SIGMA * np.sqrt(np.maximum(count / _INDEPENDENT_BOXES, 1.0)))
    precision = 2 * count * inverse_sigma**2 + 1 / _LOG_SIZE_SIGMA**2

    errors = _log_size_errors(unknowns, boxes, size_wh)
    log_size = np.bincount(boxes.vehicle, errors.sum(axis=1)) * inverse_sigma**2 / precision
    errors = (errors - log_size[boxes.vehicle, None]) * inverse_sigma[boxes.vehicle, None]
    focal_sigma = _LOG_FOCAL_SIGMA * np.sqrt(min(1.0, _INDEPENDENT_VEHICLES / len(count)))
    focal_error = (unknowns[0] - np.log(_USUAL_FOCAL)) / focal_sigma
    return np.concatenate([errors.ravel(), log_size / _LOG_SIZE_SIGMA, [focal_error]])


def _usable_boxes(trajectories: Sequence[ImageTrajectory]) -> _Boxes | None:
    """Up to eight whole boxes of every moving vehicle, evenly spread; None without any."""
    parts: list[tuple[Array, Array, Array]] = []
    for trajectory in trajectories:
        point = trajectory.ground_point_px
        velocity = np.gradient(point, trajectory.tick * STEP_S, axis=0)
        is_moving = 0.5 * np.hypot(*velocity.T) > _MIN_MOTION * np.hypot(*trajectory.box_px.T)
        rows = np.flatnonzero(trajectory.is_whole & is_moving)
        if len(rows) < _INDEPENDENT_BOXES:
            continue
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MAX_BOXES)).round().astype(int)]
        parts.append((point[rows], point[rows] + STEP_S * velocity[rows], trajectory.box_px[rows]))
    if not parts:
        return None
    point, next_point, size = (np.concatenate(column) for column in zip(*parts, strict=True))
    vehicle = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    return _Boxes(point, next_point, size, vehicle)
