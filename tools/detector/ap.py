"""Average precision of a detector, as COCO defines it, for one class.

Source: the COCO detection evaluation (Lin et al., "Microsoft COCO", 2014, and the published protocol): greedy
matching by score, at most 100 detections per picture, precision made monotone and read at 101 recalls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.geometry.boxes import area, iou_matrix
from mtmc.types import Array

__all__ = ["COCO_THRESHOLDS", "Picture", "average_precision", "best_confidence", "match", "recall_precision"]

#: IoU 0.50, 0.55, …, 0.95.
COCO_THRESHOLDS: tuple[float, ...] = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
_RECALLS = np.linspace(0, 1, 101)
_MOST = 100


@dataclass(frozen=True, slots=True)
class Picture:
    """What was found in one picture and what is there.

    Attributes:
        found: float (M, 4), boxes x1, y1, x2, y2 in pixels.
        score: float (M,).
        truth: float (N, 4), boxes that should be found.
        ignored: float (K, 4), boxes that may be found or not: a detection that lies in one (by the matching's
            threshold, as a share of the detection's own area) and matches no truth is not counted.
    """

    found: Array
    score: Array
    truth: Array
    ignored: Array


def match(picture: Picture, threshold: float) -> tuple[Array, Array]:
    """Match detections, best score first, to the free truth that each overlaps most.

    Args:
        picture: Boxes of one picture.
        threshold: Least IoU.

    Returns:
        Order of the (at most 100) best detections, int64 (M',); in this order 1 for a hit, 0 for a false alarm,
        −1 for one that is not counted: int64 (M',).
    """
    order = np.argsort(-picture.score, kind="stable")[:_MOST]
    found = np.asarray(picture.found, float).reshape(-1, 4)[order]
    overlap = iou_matrix(found, np.asarray(picture.truth, float).reshape(-1, 4))
    inside = _share_inside(found, np.asarray(picture.ignored, float).reshape(-1, 4)).max(axis=1, initial=0.0)
    result = np.where(inside >= threshold, -1, 0)
    free = np.ones(overlap.shape[1], bool)
    for row in range(len(found)):
        candidates = np.where(free, overlap[row], -1.0)
        if len(candidates) and candidates.max() >= threshold:
            # Of equal overlaps the last, as in the reference implementation.
            best = len(candidates) - 1 - int(candidates[::-1].argmax())
            free[best], result[row] = False, 1
    return order, result


def average_precision(pictures: Sequence[Picture], threshold: float) -> float:
    """AP of a set of pictures at one IoU; NaN where there is nothing to find."""
    total = sum(len(picture.truth) for picture in pictures)
    if total == 0:
        return float("nan")
    score, hit = _pool(pictures, threshold)
    hits = np.cumsum(hit[np.argsort(-score, kind="stable")])
    recall, precision = hits / total, hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, _RECALLS, side="left")
    return float(np.append(envelope, 0.0)[np.minimum(places, len(envelope))].mean())


def recall_precision(pictures: Sequence[Picture], threshold: float, confidence: float) -> tuple[float, float]:
    """Share of the truth that is found, and share of the counted detections that are right; NaN for 0 / 0.

    Args:
        pictures: Boxes.
        threshold: Least IoU.
        confidence: Detections with a lower score are left out.
    """
    total = sum(len(picture.truth) for picture in pictures)
    score, hit = _pool(pictures, threshold)
    hit = hit[score >= confidence]
    nan = float("nan")
    return (hit.sum() / total if total else nan), (float(hit.mean()) if len(hit) else nan)


def best_confidence(pictures: Sequence[Picture], threshold: float = 0.5) -> tuple[float, float]:
    """The confidence with the largest F1 at an IoU, and that F1.

    F1 is flat near its top, so that of the confidences within 0.002 of the best F1 the middle one is taken.
    """
    steps = np.arange(1, 100) / 100
    f1 = []
    for step in steps.tolist():
        recall, precision = recall_precision(pictures, threshold, step)
        f1.append(
            0.0
            if np.isnan(recall + precision) or recall + precision == 0
            else 2 * recall * precision / (recall + precision)
        )
    near = np.flatnonzero(np.array(f1) >= max(f1) - 0.002)
    return float(steps[near[len(near) // 2]]), float(max(f1))


def _pool(pictures: Sequence[Picture], threshold: float) -> tuple[Array, Array]:
    """Scores and hits (bool) of all counted detections of all pictures."""
    scores, hits = [np.zeros(0)], [np.zeros(0, bool)]
    for picture in pictures:
        order, result = match(picture, threshold)
        scores.append(np.asarray(picture.score, float)[order][result >= 0])
        hits.append(result[result >= 0] == 1)
    return np.concatenate(scores), np.concatenate(hits)


def _share_inside(found: Array, regions: Array) -> Array:
    """Share of each detection's area that lies in each region: (M, 4), (K, 4) → (M, K)."""
    top_left = np.maximum(found[:, None, :2], regions[None, :, :2])
    bottom_right = np.minimum(found[:, None, 2:], regions[None, :, 2:])
    common = np.clip(bottom_right - top_left, 0, None).prod(axis=2)
    return np.asarray(common / np.maximum(area(found), 1e-9)[:, None])
