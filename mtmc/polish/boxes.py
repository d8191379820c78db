"""Where the boxes of a result end: grown about their centre, cut at the image."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array

__all__ = ["clip_rows", "grow"]


def grow(xyxy: Array, scale: Array, max_growth_px: float | None = None) -> Array:
    """Boxes grown about their centre: float64 (R, 4).

    A detector trained on tight boxes loses every vehicle whose annotation is loose enough to push IoU below 0.5.
    Entrants of the AI City Challenge widened theirs to min(1.2·w, w + 40 px) (2021, first place), by 20 % below
    120 px and else by 20 px (2022, first place), or by half (an entry on scenario S02).

    Args:
        xyxy: float (R, 4), pixels.
        scale: float (R, 2), factor of each box's width and height.
        max_growth_px: Most that width and height are increased by.

    >>> grow(np.array([[10.0, 10, 30, 20]]), np.array([[1.5, 2.0]])).tolist()
    [[5.0, 5.0, 35.0, 25.0]]
    """
    corners = xyxy.astype(np.float64)
    size = corners[:, 2:] - corners[:, :2]
    more = size * (scale - 1)
    if max_growth_px is not None:
        more = np.minimum(more, max_growth_px)
    return np.concatenate([corners[:, :2] - more / 2, corners[:, 2:] + more / 2], axis=1)


def clip_rows(xyxy: Array, size_wh: Array) -> Array:
    """Boxes cut at the borders of their images: float64 (R, 4). A box without a pixel in its image stays as it is.

    Args:
        xyxy: float64 (R, 4).
        size_wh: float64 (R, 2), width and height of each box's image, NaN where nobody knows.
    """
    limits = np.where(np.isnan(size_wh), np.inf, size_wh)
    low = np.where(np.isnan(size_wh), -np.inf, 0.0)
    cut = np.concatenate([np.maximum(xyxy[:, :2], low), np.minimum(xyxy[:, 2:], limits)], axis=1)
    visible = np.asarray((cut[:, 2:] > cut[:, :2]).all(axis=1))
    return np.where(visible[:, None], cut, xyxy)
