"""Expand boxes about their center, and clip them to the image."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array

__all__ = ["clip_to_image", "expand_boxes"]


def expand_boxes(xyxy: Array, scale: Array, max_expansion_px: float | None = None) -> Array:
    """Boxes expanded about their center: float64 (R, 4).

    Width w becomes min(w · scale, w + ``max_expansion_px``), and height likewise. A detector trained on tight boxes
    loses every vehicle whose annotation is loose enough to push IoU below 0.5. Entrants of the AI City Challenge
    expanded theirs to min(1.2·w, w + 40 px) (2021, first place), by 20 % below 120 px and else by 20 px (2022, first
    place), or by half (an entry on scenario S02).

    Args:
        xyxy: float (R, 4), pixels.
        scale: float (R, 2), factors of each box's width and height.
        max_expansion_px: Upper limit of the increase of width and of height; None for no limit.

    >>> expand_boxes(np.array([[10.0, 10, 30, 20]]), np.array([[1.5, 2.0]])).tolist()
    [[5.0, 5.0, 35.0, 25.0]]
    """
    corners = xyxy.astype(np.float64)
    size = corners[:, 2:] - corners[:, :2]
    increase = size * (scale - 1)
    if max_expansion_px is not None:
        increase = np.minimum(increase, max_expansion_px)
    return np.concatenate([corners[:, :2] - increase / 2, corners[:, 2:] + increase / 2], axis=1)


def clip_to_image(xyxy: Array, size_wh: Array) -> Array:
    """Boxes clipped to their images: float64 (R, 4). A box that lies wholly outside its image stays as it is.

    Args:
        xyxy: float64 (R, 4), pixels.
        size_wh: float64 (R, 2), width and height of each box's image, NaN where they are not known.
    """
    known = ~np.isnan(size_wh)
    lower = np.where(known, 0.0, -np.inf)
    upper = np.where(known, size_wh, np.inf)
    clipped = np.concatenate([np.maximum(xyxy[:, :2], lower), np.minimum(xyxy[:, 2:], upper)], axis=1)
    visible = np.asarray((clipped[:, 2:] > clipped[:, :2]).all(axis=1))
    return np.where(visible[:, None], clipped, xyxy)
