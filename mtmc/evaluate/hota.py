"""HOTA, DetA and AssA.

Luiten et al., "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking", IJCV 2021, as TrackEval computes
them: means over 19 thresholds α of the overlap, boxes matched once for all thresholds. For one threshold, with the
matched pairs of boxes TP(α), and for each of them c the boxes of its two identities,

    DetA(α) = |TP| / (|TP| + |FN| + |FP|)
    AssA(α) = 1/|TP| · Σ_{c ∈ TP} TPA(c) / (TPA(c) + FNA(c) + FPA(c))
    HOTA(α) = √(DetA(α) · AssA(α))

where TPA(c) is the number of matched pairs of boxes of the same two identities, and TPA + FNA + FPA that of the boxes
that either identity has.
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
    # Boxes are matched by their overlap, weighted by how often their identities overlap in all frames: the Jaccard
    # index of the two identities, where frames count by the share of the overlap that is theirs.
    identity_pair, boxes_of_both = _identity_pairs(truth, predicted, pairs)
    shared = np.bincount(identity_pair, _share(truth, predicted, pairs))
    jaccard = shared / (boxes_of_both - shared)
    chosen = best_matching(pairs.truth, pairs.predicted, jaccard[identity_pair] * pairs.iou)

    # From here on, only the identities that have a matched pair of boxes are numbered.
    numbers, identity_pair = np.unique(identity_pair[chosen], return_inverse=True)
    boxes_of_both = boxes_of_both[numbers]
    iou = pairs.iou[chosen]
    detection, association = np.zeros(len(ALPHAS)), np.zeros(len(ALPHAS))
    for k, alpha in enumerate(ALPHAS):
        matched = identity_pair[iou >= alpha - _EPS]
        tpa = np.bincount(matched, minlength=len(boxes_of_both))
        detection[k] = len(matched) / (len(truth) + len(predicted) - len(matched))
        association[k] = (tpa * (tpa / (boxes_of_both - tpa))).sum() / max(1, len(matched))
    return Hota(float(np.sqrt(detection * association).mean()), float(detection.mean()), float(association.mean()))


def _identity_pairs(truth: Table, predicted: Table, pairs: Pairs) -> tuple[Array, Array]:
    """For each pair of boxes the number of its pair of identities, (K,), and for each of those the boxes of both."""
    _, i, of_truth = np.unique(truth.id, return_inverse=True, return_counts=True)
    _, j, of_predicted = np.unique(predicted.id, return_inverse=True, return_counts=True)
    width = len(of_predicted)
    keys, number = np.unique(i[pairs.truth] * width + j[pairs.predicted], return_inverse=True)
    return number, of_truth[keys // width] + of_predicted[keys % width]


def _share(truth: Table, predicted: Table, pairs: Pairs) -> Array:
    """Each pair's overlap as a share of all the overlaps that its two boxes have, (K,)."""
    around = np.bincount(pairs.truth, pairs.iou, len(truth))[pairs.truth]
    around += np.bincount(pairs.predicted, pairs.iou, len(predicted))[pairs.predicted]
    around -= pairs.iou
    return np.where(around > _EPS, pairs.iou / around, 0.0)
