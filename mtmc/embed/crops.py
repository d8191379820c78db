"""Which observations represent a tracklet: large, of high score, whole, not occluded, and spread over its time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtmc.embed.config import EmbedConfig
from mtmc.geometry.boxes import area
from mtmc.types import Array, Tracklet

__all__ = ["crop_quality", "occlusion", "select_crops"]

_CANDIDATES = 2  # per stretch, among which sharpness decides
_BORDER_FACTOR = 0.5  # factor for a box that touches the border of the image
_BORDER_PX = 2.0


def crop_quality(tracklets: Sequence[Tracklet], size_wh: tuple[int, int] | None) -> list[Array]:
    """How well each box shows its vehicle, in [0, 1]: float64 (L,) per tracklet.

    The product of side length relative to the tracklet's largest box, score, share that is not occluded, and a factor
    for boxes that touch the border of the image.

    Args:
        tracklets: All of one camera, since they occlude each other.
        size_wh: Image size in pixels; without it no box is taken to touch the border.
    """
    occluded = occlusion(tracklets)
    return [_quality(t, share, size_wh) for t, share in zip(tracklets, occluded, strict=True)]


def _quality(tracklet: Tracklet, occluded: Array, size_wh: tuple[int, int] | None) -> Array:
    size = np.sqrt(area(tracklet.xyxy.astype(float)))
    quality = size / max(size.max(), 1e-9) * np.clip(tracklet.score, 0, 1) * (1 - occluded)
    if size_wh is not None:
        limits = np.array([_BORDER_PX, _BORDER_PX, size_wh[0] - _BORDER_PX, size_wh[1] - _BORDER_PX])
        x1, y1, x2, y2 = (tracklet.xyxy - limits).T
        quality = np.where((x1 <= 0) | (y1 <= 0) | (x2 >= 0) | (y2 >= 0), _BORDER_FACTOR, 1.0) * quality
    return np.asarray(quality)


def occlusion(tracklets: Sequence[Tracklet]) -> list[Array]:
    """Share of each box that the one box covers which hides most of it: float64 (L,) in [0, 1] per tracklet.

    On a road seen from above, the vehicle whose lower edge is lower in the image stands in front.
    """
    if not tracklets:
        return []
    frame = np.concatenate([t.frame for t in tracklets])
    boxes = np.concatenate([t.xyxy for t in tracklets]).astype(float)
    order = np.argsort(frame, kind="stable")
    share = np.zeros(len(frame))
    for rows in np.split(order, np.flatnonzero(np.diff(frame[order])) + 1):
        if len(rows) > 1:
            share[rows] = _occlusion_in_frame(boxes[rows])
    return np.split(share, np.cumsum([len(t) for t in tracklets])[:-1])


def _occlusion_in_frame(boxes: Array) -> Array:
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=-1)
    in_front = boxes[None, :, 3] > boxes[:, None, 3]
    return np.asarray((common * in_front).max(axis=1) / np.maximum(area(boxes), 1e-9))


def select_crops(tracklet: Tracklet, quality: Array, config: EmbedConfig) -> list[Array]:
    """Candidates among the observations: for each stretch of the tracklet up to two rows, the best first.

    The tracklet's time is cut into ``config.crops_per_tracklet`` equal stretches. Interpolated boxes and boxes
    smaller than ``min_side_px`` are left out; where nothing remains, the single best of all represents the tracklet.
    """
    side = (tracklet.xyxy[:, 2:] - tracklet.xyxy[:, :2]).min(axis=1)
    rows = np.flatnonzero((tracklet.score > 0) & (side >= config.min_side_px))
    if not len(rows):
        return [np.array([np.lexsort((-side, -quality))[0]])]
    time = tracklet.time_s[rows]
    span = max(time[-1] - time[0], 1e-9)
    stretch = np.minimum((time - time[0]) / span * config.crops_per_tracklet, config.crops_per_tracklet - 1).astype(
        int
    )
    parts = np.split(rows, np.flatnonzero(np.diff(stretch)) + 1)
    return [part[np.argsort(-quality[part], kind="stable")[:_CANDIDATES]] for part in parts]
