"""One vehicle tracked twice: tracklets of one camera whose boxes lie on each other at the same moments.

A tracker that hands over late, or a vehicle half hidden by a pole, leaves two tracklets of one vehicle for a while.
Two vehicles, one behind the other, may cover each other, too, but hardly ever so that both of them have the same box
while both of them are detected. That two boxes of one picture are of two vehicles is therefore the rule, and their
overlap tells the exceptions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtmc.associate.gates import expand
from mtmc.types import Array, Passage

__all__ = ["LEAST_IOU", "doubles", "overlap_odds"]

LEAST_IOU = 0.4  # of less, two boxes at one moment are two vehicles, whatever else speaks for it
_EVEN_IOU, _PER_IOU, _MOST = 0.5, 12.0, 3.0  # overlap that says nothing; log odds per IoU beyond it, at most
_MOMENTS = 15  # at which boxes are compared
_BLOCK = 100_000


def doubles(passages: Sequence[Passage], camera: Array) -> tuple[Array, Array]:
    """Pairs of one camera that lie on each other where both have boxes.

    Args:
        passages: N of them.
        camera: int64 (N,).

    Returns:
        int64 (P, 2), first < second, sorted, and the median of their IoU at up to 15 moments, float64 (P,), at least
        :data:`LEAST_IOU`.
    """
    first = np.array([p.tracklet.frame[0] for p in passages], np.int64)
    last = np.array([p.tracklet.frame[-1] for p in passages], np.int64)
    pairs, iou = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for c in np.unique(camera).tolist():
        rows = np.flatnonzero(camera == c)
        at_once = _at_once(rows, first, last)
        if len(at_once):
            inside = np.searchsorted(rows, at_once)
            found = _overlaps([passages[k] for k in rows.tolist()], inside)
            near = found >= LEAST_IOU
            pairs.append(np.sort(at_once[near], axis=1))
            iou.append(found[near])
    both, value = np.concatenate(pairs), np.concatenate(iou)
    order = np.lexsort(both.T[::-1])
    return both[order], value[order]


def overlap_odds(iou: Array) -> Array:
    """Log odds of two boxes at one moment being one vehicle, by their IoU: straight, within limits.

    >>> overlap_odds(np.array([0.45, 0.5, 0.6, 1.0])).round(2).tolist()
    [-0.6, 0.0, 1.2, 3.0]
    """
    return np.asarray(np.clip(_PER_IOU * (np.asarray(iou) - _EVEN_IOU), -_MOST, _MOST))


def _at_once(rows: Array, first: Array, last: Array) -> Array:
    """Pairs of ``rows`` that have frames in common, as far as their first and last frames tell: (Q, 2)."""
    order = rows[np.argsort(first[rows], kind="stable")]
    row, later = expand(np.arange(len(order)) + 1, np.searchsorted(first[order], last[order], side="right"))
    return np.stack([order[row], order[later]], axis=1)


def _overlaps(passages: Sequence[Passage], pairs: Array) -> Array:
    """Median IoU of each pair where both have boxes, 0 where they never have or are always apart: float64 (Q,)."""
    length = np.array([len(p.tracklet) for p in passages])
    frame = np.concatenate([p.tracklet.frame for p in passages]).astype(np.int64)
    xyxy = np.concatenate([p.tracklet.xyxy for p in passages]).astype(float)
    begin = np.cumsum(length) - length
    stride = int(frame.max()) + 1
    key = np.repeat(np.arange(len(passages)), length) * stride + frame
    hull = np.concatenate([np.minimum.reduceat(xyxy[:, :2], begin), np.maximum.reduceat(xyxy[:, 2:], begin)], axis=1)
    out = np.zeros(len(pairs))
    able = np.flatnonzero(_iou(hull[pairs[:, 0]], hull[pairs[:, 1]]) > 0)
    for block in np.array_split(able, -(-len(able) // _BLOCK)) if len(able) else []:
        a, b = pairs[block].T
        since = np.maximum(frame[begin[a]], frame[begin[b]])
        until = np.minimum(frame[begin[a] + length[a] - 1], frame[begin[b] + length[b] - 1])
        steps = np.clip(
            until - since, 0, _MOMENTS - 1
        )  # every frame of a short time, evenly spread ones of a long one
        step = np.arange(_MOMENTS)
        moment = since[:, None] + (until - since)[:, None] * step // np.maximum(steps, 1)[:, None]
        left, right = (k[:, None] * stride + moment for k in (a, b))
        i, j = (np.minimum(np.searchsorted(key, wanted), len(key) - 1) for wanted in (left, right))
        both = (step <= steps[:, None]) & (key[i] == left) & (key[j] == right)
        iou = np.where(both, _iou(xyxy[i], xyxy[j]), np.nan)
        met = both.any(axis=1)
        out[block[met]] = np.nanmedian(iou[met], axis=1)
    return out


def _iou(a: Array, b: Array) -> Array:
    """IoU of boxes side by side, (…, 4) each: (…)."""
    size = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    common = size.prod(axis=-1)
    areas = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1)
    return np.asarray(common / np.maximum(areas - common, 1e-9))
