"""Non-maximum suppression: of boxes that lie on each other, the best."""

from __future__ import annotations

import numpy as np

from mtmc.geometry.boxes import area
from mtmc.types import Array

__all__ = ["nms", "suppress"]


def nms(xyxy: Array, score: Array, iou: float) -> Array:
    """Greedy suppression whatever the class: (N, 4), (N,) → int64 (K,), indices in falling order of score.

    A box falls if its IoU with a better box that stays exceeds ``iou``; of equal scores the first comes first.

    >>> nms(np.array([[0, 0, 9, 9], [0, 0, 10, 10], [20, 0, 30, 10.0]]), np.array([0.5, 0.9, 0.3]), 0.5)
    array([1, 2])
    """
    order = np.argsort(-score, kind="stable")
    boxes = xyxy[order]
    return np.asarray(order[suppress(_overlap(boxes, iou))])


def suppress(duplicate: Array) -> Array:
    """Greedy suppression of boxes that are sorted, the best first: bool (N, N) of pairs → bool (N,), which stay.

    A box falls if it is the duplicate of a better box that stays. That recursion has one solution, found here by
    iteration from "all stay": the state of the best n boxes is final after n rounds at the latest, and after two or
    three in practice.
    """
    beats = np.triu(duplicate, k=1)
    stays: Array = np.ones(len(duplicate), bool)
    while True:
        after = np.logical_not(beats[stays].any(axis=0))
        if (after == stays).all():
            return stays
        stays = after


def _overlap(xyxy: Array, iou: float) -> Array:
    """Which pairs exceed that IoU: (N, 4) → bool (N, N). Column by column, five times as fast as corner by corner."""
    x1, y1, x2, y2 = np.ascontiguousarray(xyxy.T)
    inter = np.minimum.outer(x2, x2)
    inter -= np.maximum.outer(x1, x1)
    np.maximum(inter, 0, out=inter)
    height = np.minimum.outer(y2, y2)
    height -= np.maximum.outer(y1, y1)
    inter *= np.maximum(height, 0, out=height)
    size = area(xyxy)
    return np.asarray(inter > iou * (np.add.outer(size, size) - inter))
