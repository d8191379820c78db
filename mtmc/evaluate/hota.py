"""HOTA, DetA and AssA.

Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021, as TrackEval computes
them: means over 19 thresholds of the overlap, boxes matched once for all thresholds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mtmc.evaluate.assignment import best_matching
from mtmc.evaluate.match import Pairs
from mtmc.formats.table import Table
from mtmc.types import Array

__all__ = ["ALPHAS", "Hota", "hota_scores"]

#: Thresholds of the overlap, computed as TrackEval computes them: 0.05, 0.1, … 0.95 up to rounding.
ALPHAS = np.arange(0.05, 0.99, 0.05)
_EPS = float(np.finfo(float).eps)


class Hota(NamedTuple):
    """Means over :data:`ALPHAS`, each in [0, 1]."""

    hota: float
    deta: float
    assa: float


def hota_scores(truth: Table, predicted: Table, pairs: Pairs) -> Hota:
    """Score detection and association, given every pair of boxes with any overlap; 0 without truth or predictions."""
    if not len(pairs):
        return Hota(0.0, 0.0, 0.0)
    meeting, total = _meetings(truth, predicted, pairs)
    # How much two identities belong together: frames shared over frames of either, in parts of a frame.
    shared = np.bincount(meeting, _share(truth, predicted, pairs))
    together = shared / (total - shared)
    chosen = best_matching(pairs.truth, pairs.predicted, together[meeting] * pairs.iou)
    met, meeting = np.unique(meeting[chosen], return_inverse=True)
    total, iou = total[met], pairs.iou[chosen]
    detection, association = np.zeros(len(ALPHAS)), np.zeros(len(ALPHAS))
    for k, alpha in enumerate(ALPHAS):
        matched = meeting[iou >= alpha - _EPS]
        frames = np.bincount(matched, minlength=len(total))
        detection[k] = len(matched) / (len(truth) + len(predicted) - len(matched))
        association[k] = (frames * (frames / (total - frames))).sum() / max(1, len(matched))
    return Hota(float(np.sqrt(detection * association).mean()), float(detection.mean()), float(association.mean()))


def _meetings(truth: Table, predicted: Table, pairs: Pairs) -> tuple[Array, Array]:
    """For each pair of boxes the number of its pair of identities, (K,), and for each of those the boxes of both."""
    _, i, of_truth = np.unique(truth.id, return_inverse=True, return_counts=True)
    _, j, of_predicted = np.unique(predicted.id, return_inverse=True, return_counts=True)
    keys, meeting = np.unique(i[pairs.truth] * len(of_predicted) + j[pairs.predicted], return_inverse=True)
    return meeting, of_truth[keys // len(of_predicted)] + of_predicted[keys % len(of_predicted)]


def _share(truth: Table, predicted: Table, pairs: Pairs) -> Array:
    """Each pair's overlap as a share of all the overlaps that its two boxes have, (K,)."""
    around = np.bincount(pairs.truth, pairs.iou, len(truth))[pairs.truth]
    around += np.bincount(pairs.predicted, pairs.iou, len(predicted))[pairs.predicted]
    around -= pairs.iou
    return np.where(around > _EPS, pairs.iou / around, 0.0)
