"""A homography from pairs of points that a person has matched by eye."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from scipy.optimize import least_squares

from mtmc.errors import SceneError
from mtmc.types import Array

__all__ = ["HomographyFit", "fit_homography"]

_MINIMAL = 4
_MAX_SAMPLES = 500
_CLICK_PX = 1.0  # standard error of a point that a person clicks on
_MAX_DEVIATIONS = 2.5  # of an inlier
_MIN_HEIGHT = 0.01  # of a triangle whose corners do not count as collinear, relative to the extent of all points
_COLLINEAR = "spread them over the ground: no three of four points on one line"


@dataclass(frozen=True, slots=True, eq=False)
class HomographyFit:
    """The homography of N pairs of points.

    Attributes:
        target_from_source: float64 (3, 3), positive depth at all inliers.
        error_px: float64 (N,), reprojection error of each pair: the least displacement of both points that makes
            them correspond, to first order.
        is_inlier: bool (N,), the pairs that it was estimated from.
    """

    target_from_source: Array
    error_px: Array
    is_inlier: Array

    @property
    def rms_error_px(self) -> float:
        """Root mean square of the inliers' errors. With four pairs it is 0 whatever they are."""
        return float(np.sqrt(np.mean(self.error_px[self.is_inlier] ** 2)))


def fit_homography(source_px: Array, target_px: Array) -> HomographyFit:
    r"""Estimate the homography between two pictures of a plane; wrong pairs are found and left out.

    With points x = (x, y, 1) and x' in both pictures, e = x' × H x (its first two rows) is 0 where they correspond.
    Both points have errors of the same size, so that the reprojection error is, to first order (Sampson),

        d² = eᵀ (J Jᵀ)⁻¹ e,   J = ∂e / ∂(x, y, x', y').

    H starts from the sample of four pairs whose h-th smallest d² is the least, h = ⌊(N + 5) / 2⌋ (least median of
    squares). Pairs within 2.5 standard deviations are inliers; Σ d² over them is minimized.

    Args:
        source_px: float64 (N, 2), N ≥ 4, pixels of one picture.
        target_px: float64 (N, 2), pixels of the other.

    Raises:
        SceneError: There are fewer than four pairs, a point is not finite, all choices of four pairs have three
            points on one line, or no homography has the points on one side of the horizon.

    Source: Hartley, Zisserman: Multiple View Geometry in Computer Vision, 2004, sections 4.2.6 and 4.4; Rousseeuw,
    Leroy: Robust Regression and Outlier Detection, 1987, chapter 5.
    """
    source_px, target_px = np.asarray(source_px, np.float64), np.asarray(target_px, np.float64)
    _check(source_px, target_px)
    samples = _general_samples(source_px, target_px)
    if not len(samples):
        raise SceneError("the points do not determine a homography: they lie on a line", remedy=_COLLINEAR)
    to_source, to_target = _normalization(source_px), _normalization(target_px)
    source, target = _mapped(source_px, to_source), _mapped(target_px, to_target)
    px = 1 / np.array([to_source[0, 0], to_target[0, 0]])  # pixels of one unit, in both pictures

    found = _direct_linear(source[samples], target[samples])
    found = found[_is_in_front(found, source, samples)]
    if not len(found):
        message = "no homography has the points on one side of the horizon"
        raise SceneError(message, remedy="check that each pair is the same point of the ground")
    squared = np.stack([_squared_error(matrix, source, target, px) for matrix in found])
    rank = (len(source) + _MINIMAL + 1) // 2 - 1
    order_statistic = np.sort(squared, axis=1)[:, rank]
    best = int(np.argmin(order_statistic))
    matrix = found[best]
    correction = 1 + 5 / max(len(source) - _MINIMAL, 1)
    deviation_px = max(_CLICK_PX, 1.4826 * correction * float(np.sqrt(order_statistic[best])))
    is_inlier = squared[best] <= (_MAX_DEVIATIONS * deviation_px) ** 2
    matrix = _refined(matrix, source[is_inlier], target[is_inlier], px)
    error_px = np.sqrt(_squared_error(matrix, source, target, px))

    full = np.linalg.inv(to_target) @ matrix @ to_source
    depth = np.append(source_px[is_inlier][0], 1) @ full[2]
    full = full / (np.linalg.norm(full[2]) * np.sign(depth))
    return HomographyFit(full, error_px, is_inlier)


def _check(source: Array, target: Array) -> None:
    if source.shape != target.shape or source.ndim != 2 or source.shape[1:] != (2,):
        raise SceneError(f"expected pairs of points (x, y), got arrays of shapes {source.shape} and {target.shape}")
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise SceneError("expected points with finite coordinates")
    if len(source) < _MINIMAL:
        message = f"expected at least four pairs of points, got {len(source)}"
        raise SceneError(message, remedy="match more points of the ground")


def _general_samples(source: Array, target: Array) -> Array:
    """Choices of four pairs without three points on one line: int (S, 4); all, or a fixed choice of many."""
    count = len(source)
    if comb(count, _MINIMAL) <= _MAX_SAMPLES:
        samples = np.array(list(combinations(range(count), _MINIMAL)))
    else:
        rng = np.random.default_rng(0)
        samples = np.sort(rng.random((_MAX_SAMPLES, count)).argsort(axis=1)[:, :_MINIMAL], axis=1)
    is_general = np.ones(len(samples), bool)
    for points in (source, target):
        extent = float(np.linalg.norm(np.ptp(points, axis=0)))
        for corners in combinations(range(_MINIMAL), 3):
            is_general &= _height(points[samples[:, corners]]) > _MIN_HEIGHT * extent
    return samples[is_general]


def _height(triangle: Array) -> Array:
    """The least height of triangles: (S, 3, 2) → (S,)."""
    sides = np.roll(triangle, -1, axis=1) - triangle
    first, second = sides[:, 0], sides[:, 1]
    double_area = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])
    return np.asarray(double_area / np.maximum(np.linalg.norm(sides, axis=2).max(axis=1), 1e-300))


def _normalization(points: Array) -> Array:
    """The similarity that moves the mean to (0, 0) and the mean distance from it to √2: (3, 3)."""
    mean = points.mean(axis=0)
    scale = np.sqrt(2) / np.linalg.norm(points - mean, axis=1).mean()
    return np.array([[scale, 0, -scale * mean[0]], [0, scale, -scale * mean[1]], [0, 0, 1]])


def _mapped(points: Array, similarity: Array) -> Array:
    return np.asarray(points * similarity[0, 0] + similarity[:2, 2])


def _direct_linear(source: Array, target: Array) -> Array:
    """Homographies of samples of four pairs (S, 4, 2) by the direct linear transform: (S, 3, 3), unit norm."""
    ones, zeros = np.ones((*source.shape[:2], 1)), np.zeros((*source.shape[:2], 3))
    points = np.concatenate([source, ones], axis=2)
    rows_x = np.concatenate([points, zeros, -target[..., :1] * points], axis=2)
    rows_y = np.concatenate([zeros, points, -target[..., 1:] * points], axis=2)
    _, _, basis = np.linalg.svd(np.concatenate([rows_x, rows_y], axis=1))
    return np.asarray(basis[:, -1].reshape(-1, 3, 3))


def _is_in_front(matrices: Array, source: Array, samples: Array) -> Array:
    """Whether the points of each sample lie on one side of the horizon: bool (S,)."""
    points = np.concatenate([source, np.ones((len(source), 1))], axis=1)[samples]
    depth = np.einsum("snk,sk->sn", points, matrices[:, 2])
    return np.asarray(np.abs(np.sign(depth).sum(axis=1)) == _MINIMAL)


def _residuals(matrix: Array, source: Array, target: Array, px: Array) -> Array:
    """J Jᵀ = L Lᵀ; L⁻¹ e, whose squared norm is d²: (N, 2), pixels."""
    points = np.concatenate([source, np.ones((len(source), 1))], axis=1)
    u, v, w = (points @ matrix.T).T
    x, y = target.T
    e = np.stack([u - x * w, v - y * w], axis=1)
    by_source = matrix[None, :2, :2] - target[:, :, None] * matrix[2, None, None, :2]
    # A pixel is 1 / px units; the derivatives by x' and y' are −w.
    a = (by_source[:, 0] ** 2).sum(axis=1) / px[0] ** 2 + w**2 / px[1] ** 2
    b = (by_source[:, 0] * by_source[:, 1]).sum(axis=1) / px[0] ** 2
    c = (by_source[:, 1] ** 2).sum(axis=1) / px[0] ** 2 + w**2 / px[1] ** 2
    first = np.sqrt(a)
    mixed = b / first
    second = np.sqrt(np.maximum(c - mixed**2, 1e-300))
    r = e[:, 0] / first
    return np.stack([r, (e[:, 1] - mixed * r) / second], axis=1)


def _squared_error(matrix: Array, source: Array, target: Array, px: Array) -> Array:
    return np.asarray((_residuals(matrix, source, target, px) ** 2).sum(axis=1))


def _refined(matrix: Array, source: Array, target: Array, px: Array) -> Array:
    """The homography with the least Σ d², in the eight directions that change it."""
    flat = matrix.ravel() / np.linalg.norm(matrix)
    directions = np.linalg.svd(flat[None])[2][1:]

    def residuals(step: Array) -> Array:
        return _residuals((flat + step @ directions).reshape(3, 3), source, target, px).ravel()

    found = least_squares(residuals, np.zeros(8), x_scale="jac", xtol=1e-12, ftol=1e-12)
    return np.asarray((flat + found.x @ directions).reshape(3, 3))
