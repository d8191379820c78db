"""How much larger than a result's boxes the annotated ones are, camera by camera."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mtmc.formats.table import Table
from mtmc.geometry.boxes import iou_matrix, iou_pairs
from mtmc.polish.boxes import clip_rows, grow
from mtmc.types import Array

__all__ = ["calibrate"]

_GRID = np.exp(np.linspace(np.log(0.7), np.log(1.8), 23))  # factors tried, in equal ratios of about 4 %
_LOOSE_IOU = 0.1  # boxes that overlap by less are not of one vehicle, however they grow
_GAIN = 0.01  # more pairs that match than with the boxes as they are, or they stay


def calibrate(
    gt: Table,
    tracks: Table,
    *,
    min_iou: float = 0.5,
    min_pairs: int = 50,
    sizes: Mapping[int, tuple[int, int]] | None = None,
) -> dict[int, tuple[float, float]]:
    """Factors of width and height by which boxes match the annotation best, for each camera of ``tracks``.

    Of the factors on a grid those are taken with which most boxes reach ``min_iou`` with their partner in the ground
    truth; near that maximum, the largest mean IoU decides. Partners are each other's best overlap before growing. A
    camera with too few of them, or that gains less than one per cent, keeps (1, 1). Use it on training scenes only:
    the factors are facts about an annotation and a detector, not about a street.

    Args:
        gt: Annotated boxes; those of other cameras are not used.
        tracks: A result's boxes as its detector made them, identities are not looked at.
        min_iou: The IoU that scoring asks for.
        min_pairs: Fewest partners that say something about a camera.
        sizes: (width, height) of the images by camera number; grown boxes are cut there.

    Returns:
        By camera number, (factor of the width, factor of the height), rounded to 0.01.
    """
    found = {}
    for camera in np.unique(tracks.camera).tolist():
        mine, theirs = _partners(tracks[tracks.camera == camera], gt[gt.camera == camera])
        size = np.array((sizes or {}).get(camera, (np.nan, np.nan)), float)
        found[camera] = _best(mine, theirs, size, min_iou) if len(mine) >= min_pairs else (1.0, 1.0)
    return found


def _partners(tracks: Table, gt: Table) -> tuple[Array, Array]:
    """Boxes of both that are each other's best overlap in their frame: float64 (P, 4) each."""
    pairs = []
    by_frame = {int(f): rows for f, rows in _frames(gt.frame)}
    for frame, rows in _frames(tracks.frame):
        other = by_frame.get(int(frame))
        if other is None:
            continue
        iou = iou_matrix(tracks.xyxy[rows], gt.xyxy[other])
        best = iou.argmax(axis=1)
        mutual = (iou.argmax(axis=0)[best] == np.arange(len(rows))) & (iou.max(axis=1) > _LOOSE_IOU)
        pairs.append((rows[mutual], other[best[mutual]]))
    if not pairs:
        return np.zeros((0, 4)), np.zeros((0, 4))
    i, j = (np.concatenate(column) for column in zip(*pairs, strict=True))
    return tracks.xyxy[i], gt.xyxy[j]


def _frames(frame: Array) -> list[tuple[int, Array]]:
    """(frame, its rows), in order of frame."""
    order = np.argsort(frame, kind="stable")
    cuts = np.flatnonzero(np.diff(frame[order])) + 1
    return [(int(frame[rows[0]]), rows) for rows in np.split(order, cuts) if len(rows)]


def _best(mine: Array, theirs: Array, size_wh: Array, min_iou: float) -> tuple[float, float]:
    sizes = np.broadcast_to(size_wh, (len(mine), 2))

    def judge(width: float, height: float) -> tuple[float, float]:
        """Share of pairs that match, and their mean IoU."""
        grown = clip_rows(grow(mine, np.broadcast_to([width, height], (len(mine), 2))), sizes)
        iou = iou_pairs(grown, theirs)
        return float((iou >= min_iou).mean()), float(iou.mean())

    as_they_are = judge(1.0, 1.0)[0]
    tried = {(w, h): judge(w, h) for w in _GRID.tolist() for h in _GRID.tolist()}
    most = max(matched for matched, _ in tried.values())
    if most < as_they_are + _GAIN:
        return 1.0, 1.0
    # Near the maximum the count is a plateau, and the mean IoU tells its middle.
    plateau = [factors for factors, (matched, _) in tried.items() if matched >= most - _GAIN / 2]
    width, height = max(plateau, key=lambda factors: (tried[factors][1], -factors[0], -factors[1]))
    return round(width, 2), round(height, 2)
