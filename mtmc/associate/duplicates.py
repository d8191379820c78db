"""Duplicates: one vehicle tracked twice by one camera at the same time, with overlapping boxes.

A tracker that hands over late, or a vehicle that is partly hidden by a pole, leaves two tracklets of one vehicle for
a while. Two vehicles, one behind the other, may cover each other, too, but hardly ever so that both have the same box
while both are detected. Two boxes of one image are therefore two vehicles as a rule, and the IoU shows the
exceptions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtmc.multiview.arrays import ranges
from mtmc.types import Array, Passage

__all__ = ["MIN_IOU", "duplicate_candidates"]

#: Two boxes of one image with a smaller IoU are two vehicles, whatever other cues say.
MIN_IOU = 0.4

_FRAMES = 15  # at which boxes are compared
_BLOCK = 100_000  # pairs at a time


def duplicate_candidates(passages: Sequence[Passage], camera: Array) -> tuple[Array, Array]:
    """Pairs of one camera whose boxes overlap at the frames at which both have one.

    Args:
        passages: N of them.
        camera: int64 (N,).

    Returns:
        int64 (P, 2), first < second, sorted, and the median IoU over up to 15 frames, float64 (P,), at least
        :data:`MIN_IOU`.
    """
    first = np.array([p.tracklet.frame[0] for p in passages], np.int64)
    last = np.array([p.tracklet.frame[-1] for p in passages], np.int64)
    pairs, iou = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for c in np.unique(camera).tolist():
        rows = np.flatnonzero(camera == c)
        simultaneous = _simultaneous_pairs(rows, first, last)
        if not len(simultaneous):
            continue
        own = [passages[k] for k in rows.tolist()]
        median_iou = _median_iou(own, np.searchsorted(rows, simultaneous))
        is_candidate = median_iou >= MIN_IOU
        pairs.append(np.sort(simultaneous[is_candidate], axis=1))
        iou.append(median_iou[is_candidate])
    all_pairs, all_iou = np.concatenate(pairs), np.concatenate(iou)
    order = np.lexsort(all_pairs.T[::-1])
    return all_pairs[order], all_iou[order]


def _simultaneous_pairs(rows: Array, first: Array, last: Array) -> Array:
    """Pairs of ``rows`` whose spans of frames overlap: int64 (Q, 2)."""
    order = rows[np.argsort(first[rows], kind="stable")]
    earlier, later = ranges(np.arange(len(order)) + 1, np.searchsorted(first[order], last[order], side="right"))
    return np.stack([order[earlier], order[later]], axis=1)


def _median_iou(passages: Sequence[Passage], pairs: Array) -> Array:
    """Median IoU over the common frames of each pair, 0 where there are none or no overlap: float64 (Q,).

    The boxes of all passages lie in one array, sorted by the key passage · stride + frame, so that the box of any
    passage at any frame is found by binary search.
    """
    length = np.array([len(p.tracklet) for p in passages])
    frame = np.concatenate([p.tracklet.frame for p in passages]).astype(np.int64)
    xyxy = np.concatenate([p.tracklet.xyxy for p in passages]).astype(float)
    begin = np.cumsum(length) - length
    stride = int(frame.max()) + 1
    key = np.repeat(np.arange(len(passages)), length) * stride + frame

    out = np.zeros(len(pairs))
    hull = np.concatenate([np.minimum.reduceat(xyxy[:, :2], begin), np.maximum.reduceat(xyxy[:, 2:], begin)], axis=1)
    possible = np.flatnonzero(_iou(hull[pairs[:, 0]], hull[pairs[:, 1]]) > 0)
    if not len(possible):
        return out
    for block in np.array_split(possible, -(-len(possible) // _BLOCK)):
        a, b = pairs[block].T
        since = np.maximum(frame[begin[a]], frame[begin[b]])
        until = np.minimum(frame[begin[a] + length[a] - 1], frame[begin[b] + length[b] - 1])
        compared, is_used = _compared_frames(since, until)

        wanted_a, wanted_b = a[:, None] * stride + compared, b[:, None] * stride + compared
        row_a, row_b = (np.minimum(np.searchsorted(key, wanted), len(key) - 1) for wanted in (wanted_a, wanted_b))
        have_both = is_used & (key[row_a] == wanted_a) & (key[row_b] == wanted_b)
        iou = np.where(have_both, _iou(xyxy[row_a], xyxy[row_b]), np.nan)
        has_any = have_both.any(axis=1)
        out[block[has_any]] = np.nanmedian(iou[has_any], axis=1)
    return out


def _compared_frames(since: Array, until: Array) -> tuple[Array, Array]:
    """Up to 15 frames of each span: every frame of a short one, evenly spaced frames of a long one.

    Returns:
        int64 (Q, 15), frames, and bool (Q, 15), which of them are to be used.
    """
    steps = np.clip(until - since, 0, _FRAMES - 1)
    step = np.arange(_FRAMES)
    compared = since[:, None] + (until - since)[:, None] * step // np.maximum(steps, 1)[:, None]
    return compared, step <= steps[:, None]


def _iou(a: Array, b: Array) -> Array:
    """IoU of boxes side by side, (…, 4) each: (…)."""
    overlap = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = np.clip(overlap, 0, None).prod(axis=-1)
    areas = (a[..., 2:] - a[..., :2]).prod(axis=-1) + (b[..., 2:] - b[..., :2]).prod(axis=-1)
    return np.asarray(common / np.maximum(areas - common, 1e-9))
