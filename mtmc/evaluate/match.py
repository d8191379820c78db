"""Which boxes overlap, for all frames of all cameras at once.

Boxes are sorted by frame and left edge. A pair that overlaps enough has its left edges close together, so every
box is compared with a short run of its neighbors only: to the right of the truth, and to the right of the prediction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mtmc.evaluate.rows import frame_keys
from mtmc.formats.table import Table
from mtmc.types import Array

__all__ = ["Pairs", "overlapping_pairs"]

_CANDIDATES_AT_ONCE = 1 << 19  # bounds the memory of the search to some 50 MB


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of a true and a predicted box in the same frame, in order of frame.

    Attributes:
        truth: int64 (K,), row of the truth.
        predicted: int64 (K,), row of the predictions.
        iou: float64 (K,), intersection over union, > 0.
        frame_key: int64 (K,), number of the (camera, frame).
    """

    truth: Array
    predicted: Array
    iou: Array
    frame_key: Array

    def __len__(self) -> int:
        return len(self.truth)

    def at_least(self, min_iou: float) -> Pairs:
        """The pairs that may match. A distance 1 − IoU of exactly 1 − ``min_iou`` still does, as in motmetrics."""
        return self[1 - self.iou <= 1 - min_iou]

    def __getitem__(self, rows: Array) -> Pairs:
        return Pairs(self.truth[rows], self.predicted[rows], self.iou[rows], self.frame_key[rows])


def overlapping_pairs(truth: Table, predicted: Table, min_iou: float = 0.0) -> Pairs:
    """All pairs of the same camera and frame whose IoU is positive and may match at ``min_iou``.

    The IoU is computed from (left, top, left + width, top + height) in double precision, with the operations and in
    the order of motmetrics and TrackEval: values on the threshold fall on the same side.
    """
    truth_key, predicted_key = frame_keys(truth, predicted)
    if not len(truth) or not len(predicted):
        none = np.zeros(0, np.int64)
        return Pairs(none, none, np.zeros(0), none)
    left = min(truth.xyxy[:, 0].min(), predicted.xyxy[:, 0].min())
    stride = max(truth.xyxy[:, 0].max(), predicted.xyxy[:, 0].max()) - left + 1.0
    a = _Sorted(truth, truth_key, left, stride)
    b = _Sorted(predicted, predicted_key, left, stride)
    parts = [_scored(a, b, i, j, min_iou) for i, j in _neighbors(a, b, min_iou, side="left")]
    parts += [_scored(a, b, i, j, min_iou) for j, i in _neighbors(b, a, min_iou, side="right")]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(columns[3], kind="stable")
    return Pairs(*(column[order] for column in columns))


class _Sorted:
    """Columns of a table in order of frame and left edge; ``key`` grows in that order."""

    def __init__(self, table: Table, frame: Array, left: float, stride: float) -> None:
        key = frame * stride + (table.xyxy[:, 0] - left)
        self.row = np.argsort(key, kind="stable")
        self.key, self.frame = key[self.row], frame[self.row]
        self.x1, self.y1, self.x2, self.y2 = np.ascontiguousarray(table.xyxy[self.row].T)
        self.area = (self.x2 - self.x1) * (self.y2 - self.y1)


def _neighbors(
    a: _Sorted, b: _Sorted, min_iou: float, side: Literal["left", "right"]
) -> Iterator[tuple[Array, Array]]:
    """Positions in ``a`` and ``b`` of boxes of ``b`` that begin inside a box of ``a``, early enough to matter.

    IoU ≥ t needs an overlap of at least t times the width of either box, so ``b`` begins within the first 1 − t of
    ``a``. Rounding may add pairs, of the neighboring frame even, but never loses one; both directions together
    give every pair once, because ``side`` decides who owns equal keys.
    """
    reach = (1 - min_iou) * (a.x2 - a.x1) + 8 * np.spacing(max(a.key[-1], b.key[-1]))
    begin = np.searchsorted(b.key, a.key, side)
    end = np.searchsorted(b.key, a.key + reach, "right")
    count = np.maximum(end - begin, 0)
    total = np.cumsum(count)
    start = 0
    while start < len(count):
        done = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, done + _CANDIDATES_AT_ONCE, "right")), start + 1)
        some = count[start:stop]
        i = np.repeat(np.arange(start, stop), some)
        first = begin[start:stop] - (total[start:stop] - some - done)
        yield i, np.arange(len(i)) + np.repeat(first, some)
        start = stop


def _scored(a: _Sorted, b: _Sorted, i: Array, j: Array, min_iou: float) -> tuple[Array, Array, Array, Array]:
    """The candidate pairs at positions ``i`` and ``j`` that pass, as the columns of :class:`Pairs`."""
    # Most candidates have no common row of pixels, so their widths need not be compared.
    height = _overlap(a.y1[i], a.y2[i], b.y1[j], b.y2[j])
    is_near = (height > 0) & (a.frame[i] == b.frame[j])
    near = np.flatnonzero(is_near)
    i, j = i[near], j[near]

    width = _overlap(a.x1[i], a.x2[i], b.x1[j], b.x2[j])
    intersection = np.maximum(width, 0) * height[near]
    union = a.area[i] + b.area[j] - intersection
    iou = intersection / union

    # The condition is on distances, 1 − IoU, as in the metrics: its rounding decides at the threshold itself.
    is_match = (iou > 0) & (1 - iou <= 1 - min_iou)
    keep = np.flatnonzero(is_match)
    i, j = i[keep], j[keep]
    return a.row[i], b.row[j], iou[keep], a.frame[i]


def _overlap(first_low: Array, first_high: Array, second_low: Array, second_high: Array) -> Array:
    """Length that two intervals have in common, negative where there is a gap between them."""
    return np.asarray(np.minimum(first_high, second_high) - np.maximum(first_low, second_low))
