"""Boxes: half-open floats ``(x1, y1, x2, y2)`` in pixels, any float dtype, shape (…, 4)."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array

__all__ = [
    "area",
    "bottom_center",
    "center",
    "clip",
    "diagonal",
    "displacement",
    "expand",
    "iou_matrix",
    "iou_pairs",
    "reaches_image",
    "xywh_to_xyxy",
    "xyxy_to_xywh",
]

_SMOOTHING = 5  # boxes of a path


def xywh_to_xyxy(xywh: Array) -> Array:
    """(left, top, width, height) → (x1, y1, x2, y2)."""
    out = np.array(xywh, copy=True)
    out[..., 2:] += out[..., :2]
    return out


def xyxy_to_xywh(xyxy: Array) -> Array:
    """(x1, y1, x2, y2) → (left, top, width, height)."""
    out = np.array(xyxy, copy=True)
    out[..., 2:] -= out[..., :2]
    return out


def area(xyxy: Array) -> Array:
    """Area in px², 0 for an inverted box: (…, 4) → (…)."""
    size = np.maximum(xyxy[..., 2:] - xyxy[..., :2], 0)
    return np.asarray(size[..., 0] * size[..., 1])


def iou_pairs(a: Array, b: Array) -> Array:
    """Intersection over union of boxes pair by pair, broadcasting: (…, 4), (…, 4) → (…); 0 for two empty boxes.

    >>> float(iou_pairs(np.array([0.0, 0, 2, 2]), np.array([1.0, 0, 3, 2])))
    0.3333
    """
    # One coordinate at a time: NumPy is slow along an axis of two.
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    inter = np.maximum(width, 0) * np.maximum(height, 0)
    union = area(a) + area(b) - inter
    return np.asarray(np.divide(inter, union, out=np.zeros_like(union), where=union > 0))


def iou_matrix(a: Array, b: Array) -> Array:
    """All pairs: (N, 4), (M, 4) → (N, M)."""
    return iou_pairs(a[:, None, :], b[None, :, :])


def bottom_center(xyxy: Array) -> Array:
    """Middle of the lower edge, where the vehicle stands on the road: (…, 4) → (…, 2)."""
    return np.stack([(xyxy[..., 0] + xyxy[..., 2]) / 2, xyxy[..., 3]], axis=-1)


def clip(xyxy: Array, size_wh: tuple[int, int]) -> Array:
    """Cut boxes at the borders of an image of (width, height) px."""
    width, height = size_wh
    limits = np.array([width, height, width, height], xyxy.dtype)
    return np.clip(xyxy, 0, limits)


def expand(xyxy: Array, factor: float) -> Array:
    """Grow (or shrink) boxes about their center by a factor of width and height."""
    center = (xyxy[..., :2] + xyxy[..., 2:]) / 2
    half = (xyxy[..., 2:] - xyxy[..., :2]) * (factor / 2)
    return np.concatenate([center - half, center + half], axis=-1)


def center(xyxy: Array) -> Array:
    """Middle of boxes: (L, 4) → float64 (L, 2)."""
    corners = xyxy.astype(np.float64)
    return np.asarray((corners[:, :2] + corners[:, 2:]) / 2)


def diagonal(xyxy: Array) -> Array:
    """Length of the diagonal of boxes, the unit in which distances are judged: (L, 4) → float64 (L,), px."""
    corners = xyxy.astype(np.float64)
    return np.hypot(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])


def displacement(xyxy: Array) -> float:
    """Extent of a path of boxes (diagonal of its bounding box) in median box diagonals; jitter is smoothed: (L, 4).

    >>> displacement(np.array([[0.0, 0, 3, 4], [6.0, 8, 9, 12]]))
    2.0
    """
    path = center(xyxy)
    if len(path) >= _SMOOTHING:
        path = np.median(np.lib.stride_tricks.sliding_window_view(path, _SMOOTHING, axis=0), axis=-1)
    return float(np.hypot(*np.ptp(path, axis=0)) / np.median(diagonal(xyxy)))


def reaches_image(xyxy: Array, size_wh: tuple[int, int]) -> Array:
    """Which boxes have a pixel in the image: (N, 4) → bool (N,).

    >>> reaches_image(np.array([[-9.0, 5, 1, 9], [-9, 5, 0, 9], [3, 3, 3, 9]]), (20, 10)).tolist()
    [True, False, False]
    """
    visible = clip(xyxy, size_wh)
    return np.asarray((visible[:, 2:] > visible[:, :2]).all(axis=1))
