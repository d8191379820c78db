"""MOTA, the accuracy of the CLEAR metrics, as motmetrics computes it.

Bernardin and Stiefelhagen, "Evaluating Multiple Object Tracking Performance", EURASIP JIVP 2008. In every frame a
true identity keeps the predicted identity that it matched last, however long ago, if the two overlap enough; what
is left is matched so that most boxes are matched and, among such matchings, the sum of distances 1 − IoU is least.
TrackEval differs: it keeps matches of the previous frame only, and maximises the sum of overlaps.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from mtmc.evaluate.match import Pairs
from mtmc.formats.table import Table
from mtmc.types import Array

__all__ = ["Clear", "clear_scores"]


class Clear(NamedTuple):
    """Boxes missed and invented, and how often a true identity changed its predicted one."""

    mota: float
    misses: int
    false_positives: int
    switches: int


def clear_scores(truth: Table, predicted: Table, pairs: Pairs) -> Clear:
    """Score detection and continuity, given the pairs of boxes that overlap enough; MOTA is 0 without truth.

    A vehicle that goes on to another camera under another identity counts as a switch, as it does within one.
    """
    true_id, predicted_id = truth.id[pairs.truth], predicted.id[pairs.predicted]
    matched = _matched(pairs, true_id, predicted_id)
    misses, false_positives = len(truth) - len(matched), len(predicted) - len(matched)
    matched = matched[np.lexsort((pairs.frame_key[matched], true_id[matched]))]
    same = true_id[matched][1:] == true_id[matched][:-1]
    switches = int((same & (predicted_id[matched][1:] != predicted_id[matched][:-1])).sum())
    mota = 1.0 - (misses + switches + false_positives) / len(truth) if len(truth) else 0.0
    return Clear(mota, misses, false_positives, switches)


def _matched(pairs: Pairs, true_id: Array, predicted_id: Array) -> Array:
    """Positions of the pairs that match, frame after frame.

    A pair whose boxes overlap nothing else matches whatever came before. Only the identities that are ever contested
    have to be followed through time.
    """
    alone = (np.bincount(pairs.truth)[pairs.truth] == 1) & (np.bincount(pairs.predicted)[pairs.predicted] == 1)
    followed = np.flatnonzero(np.isin(true_id, true_id[~alone]))
    followed = followed[np.lexsort((pairs.predicted[followed], pairs.truth[followed], pairs.frame_key[followed]))]
    bounds = np.flatnonzero(np.diff(pairs.frame_key[followed], prepend=-1, append=-1))
    last: dict[int, int] = {}
    contested: list[int] = []
    for start, stop in pairwise(bounds.tolist()):
        frame = followed[start:stop]
        open_pairs = frame[~alone[frame]]
        if len(open_pairs):
            contested += _match_frame(open_pairs, pairs, true_id, predicted_id, last)
        free = frame[alone[frame]]
        last.update(zip(true_id[free].tolist(), predicted_id[free].tolist(), strict=True))
    return np.concatenate([np.flatnonzero(alone), np.array(contested, np.int64)])


def _match_frame(frame: Array, pairs: Pairs, true_id: Array, predicted_id: Array, last: dict[int, int]) -> list[int]:
    """Match the contested pairs of one frame and note in ``last`` who matched whom."""
    kept: list[int] = []
    taken: set[int] = set()
    for k, column in zip(frame.tolist(), pairs.predicted[frame].tolist(), strict=True):
        # Two true identities may have matched the same predicted one last; the first row keeps it.
        if last.get(int(true_id[k])) == predicted_id[k] and column not in taken:
            kept.append(k)
            taken.add(column)
    settled = np.isin(pairs.truth[frame], pairs.truth[kept]) | np.isin(pairs.predicted[frame], pairs.predicted[kept])
    kept += _match_most(frame[~settled], pairs)
    last.update((int(true_id[k]), int(predicted_id[k])) for k in kept)
    return kept


def _match_most(frame: Array, pairs: Pairs) -> list[int]:
    """Of one frame's pairs, the largest one-to-one set, and among those the one with the greatest overlap."""
    if not len(frame):
        return []
    rows, i = np.unique(pairs.truth[frame], return_inverse=True)
    columns, j = np.unique(pairs.predicted[frame], return_inverse=True)
    weight = np.zeros((len(rows), len(columns)))
    weight[i, j] = pairs.iou[frame] + len(frame)
    pair = np.full(weight.shape, -1)
    pair[i, j] = frame
    found = pair[linear_sum_assignment(weight, maximize=True)]
    return [int(k) for k in found if k >= 0]
