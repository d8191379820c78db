"""How much larger than a result's boxes the annotated ones are, camera by camera."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from mtmc.formats.table import Table
from mtmc.geometry.boxes import iou_matrix, iou_pairs
from mtmc.postprocess.expand import clip_to_image, expand_boxes
from mtmc.types import Array

__all__ = ["calibrate"]

_FACTORS = np.exp(np.linspace(np.log(0.7), np.log(1.8), 23))  # tried, in equal ratios of about 4 %
_LOOSE_IOU = 0.1  # boxes that overlap by less are not of one vehicle, however they are expanded
_MIN_GAIN = 0.01  # share of pairs that must be gained over the unchanged boxes, or they stay unchanged


def calibrate(
    gt: Table,
    tracks: Table,
    *,
    min_iou: float = 0.5,
    min_pairs: int = 50,
    sizes: Mapping[int, tuple[int, int]] | None = None,
) -> dict[int, tuple[float, float]]:
    """Factors of width and height with which boxes match the annotation best, for each camera of ``tracks``.

    A grid of factors is searched for the one with which most boxes reach ``min_iou`` with their partner in the ground
    truth; near that maximum, the largest mean IoU decides. Partners are each other's best overlap before expansion. A
    camera with too few of them, or that gains less than one per cent, keeps (1, 1). Use it on training scenes only:
    the factors are facts about an annotation and a detector, not about a street.

    Args:
        gt: Annotated boxes; those of other cameras are ignored.
        tracks: A result's boxes as its detector made them; identities are ignored.
        min_iou: The IoU that scoring asks for.
        min_pairs: Least number of partners from which a camera is calibrated.
        sizes: (width, height) of the images by camera number; expanded boxes are clipped to them.

    Returns:
        By camera number, (factor of the width, factor of the height), rounded to 0.01.
    """
    factors = {}
    for camera in np.unique(tracks.camera).tolist():
        boxes, true_boxes = _mutual_best(tracks[tracks.camera == camera], gt[gt.camera == camera])
        size_wh = np.array((sizes or {}).get(camera, (np.nan, np.nan)), float)
        enough = len(boxes) >= min_pairs
        factors[camera] = _best_factors(boxes, true_boxes, size_wh, min_iou) if enough else (1.0, 1.0)
    return factors


def _mutual_best(tracks: Table, gt: Table) -> tuple[Array, Array]:
    """Boxes of both tables that are each other's best overlap in their frame: float64 (P, 4) each."""
    boxes = [np.zeros((0, 4))]
    true_boxes = [np.zeros((0, 4))]
    gt_rows_of = dict(_rows_by_frame(gt.frame))
    for frame, rows in _rows_by_frame(tracks.frame):
        gt_rows = gt_rows_of.get(frame)
        if gt_rows is None:
            continue
        iou = iou_matrix(tracks.xyxy[rows], gt.xyxy[gt_rows])
        best = iou.argmax(axis=1)
        mutual = (iou.argmax(axis=0)[best] == np.arange(len(rows))) & (iou.max(axis=1) > _LOOSE_IOU)
        boxes.append(tracks.xyxy[rows[mutual]])
        true_boxes.append(gt.xyxy[gt_rows[best[mutual]]])
    return np.concatenate(boxes), np.concatenate(true_boxes)


def _rows_by_frame(frame: Array) -> Iterator[tuple[int, Array]]:
    """(frame, its rows), in order of frame."""
    order = np.argsort(frame, kind="stable")
    bounds = np.flatnonzero(np.diff(frame[order])) + 1
    return ((int(frame[rows[0]]), rows) for rows in np.split(order, bounds) if len(rows))


def _best_factors(boxes: Array, true_boxes: Array, size_wh: Array, min_iou: float) -> tuple[float, float]:
    """Factors of width and height with which most boxes (P, 4) match the true boxes (P, 4)."""
    sizes = np.broadcast_to(size_wh, (len(boxes), 2))

    def score(width: float, height: float) -> tuple[float, float]:
        """Share of pairs that match, and their mean IoU."""
        scale = np.broadcast_to([width, height], (len(boxes), 2))
        iou = iou_pairs(clip_to_image(expand_boxes(boxes, scale), sizes), true_boxes)
        return float((iou >= min_iou).mean()), float(iou.mean())

    grid = {(w, h): score(w, h) for w in _FACTORS.tolist() for h in _FACTORS.tolist()}
    most = max(matched for matched, _ in grid.values())
    if most < score(1.0, 1.0)[0] + _MIN_GAIN:
        return 1.0, 1.0

    # Near its maximum the count is a plateau; the mean IoU finds the middle of it.
    plateau = [factors for factors, (matched, _) in grid.items() if matched >= most - _MIN_GAIN / 2]
    width, height = max(plateau, key=lambda factors: (grid[factors][1], -factors[0], -factors[1]))
    return round(width, 2), round(height, 2)
