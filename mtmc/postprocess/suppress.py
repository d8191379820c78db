"""Which boxes to suppress: of parked vehicles, small boxes, truncated boxes, and duplicates of another identity."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from mtmc.geometry.boxes import area, displacement, iou_matrix
from mtmc.types import Array

__all__ = ["duplicate_boxes", "is_moving", "min_size", "repeated_boxes", "truncation"]

_BORDER_PX = 1.0  # a box that ends this close to the border touches it


def is_moving(xyxy: Array, tracklet: Array, vehicle: Array, min_displacement: float) -> Array:
    """Which boxes belong to vehicles that move in at least one camera: bool (R,).

    A vehicle that waits in this camera is kept if it moves in another one.

    Args:
        xyxy: float64 (R, 4), pixels.
        tracklet: int64 (R,), equal for boxes of one tracklet; its rows are consecutive, in order of frame.
        vehicle: int64 (R,), the identity.
        min_displacement: Distance between the outermost points of a tracklet's path, in diagonals of its box.
    """
    moving = [rows.start for rows in _consecutive(tracklet) if displacement(xyxy[rows]) >= min_displacement]
    return np.isin(vehicle, vehicle[moving])


def min_size(xyxy: Array, size_wh: Array, min_area_px: float, min_area_share: float) -> Array:
    """Which boxes reach both minima: bool (R,). Where the image size (R, 2) is NaN, the share is not required.

    CityFlow leaves distant vehicles out of its annotation: no box of S02 (version 2) is below 0.3 % of the image.
    """
    area_px = area(xyxy)
    share_px = np.nan_to_num(size_wh.prod(axis=1) * min_area_share, nan=0.0)
    return np.asarray((area_px >= min_area_px) & (area_px >= share_px))


def truncation(xyxy: Array, tracklet: Array, frame: Array, size_wh: Array) -> Array:
    """Share of each vehicle that lies beyond the image border: float64 (R,) in [0, 1].

    A box that touches the border is compared with the nearest box in time of the same tracklet that does not touch
    it: the share is 1 − area / area of that box. It is 0 where every box of the tracklet touches the border, and
    where the size of the image is not known.

    Args:
        xyxy: float64 (R, 4), pixels, clipped to the image.
        tracklet: int64 (R,), equal for boxes of one tracklet; its rows are consecutive, in order of frame.
        frame: int64 (R,).
        size_wh: float64 (R, 2), NaN where it is not known.
    """
    at_low_border = (xyxy[:, :2] <= _BORDER_PX).any(axis=1)
    at_high_border = (xyxy[:, 2:] >= size_wh - _BORDER_PX).any(axis=1)
    touching = np.asarray((at_low_border | at_high_border) & np.isfinite(size_wh).all(axis=1))

    area_px = area(xyxy)
    share = np.zeros(len(xyxy))
    for rows in _consecutive(tracklet):
        whole = np.flatnonzero(~touching[rows]) + rows.start
        truncated = np.flatnonzero(touching[rows]) + rows.start
        if not len(whole) or not len(truncated):
            continue
        frames_between = np.abs(frame[whole][None, :] - frame[truncated][:, None])
        nearest = whole[np.argmin(frames_between, axis=1)]
        share[truncated] = np.clip(1 - area_px[truncated] / np.maximum(area_px[nearest], 1e-9), 0, 1)
    return share


def _consecutive(labels: Array) -> Iterator[slice]:
    """The runs of equal values, one slice each."""
    bounds = np.flatnonzero(np.diff(labels, prepend=labels[:1] - 1, append=labels[-1:] + 1)).tolist()
    return (slice(start, stop) for start, stop in pairwise(bounds))


def duplicate_boxes(xyxy: Array, picture: Array, vehicle: Array, support: Array, min_iou: float) -> Array:
    """Boxes that almost coincide with a better supported box of another vehicle in the same picture: bool (R,).

    Two tracks of one vehicle coincide; a real occlusion rarely hides so much (the challenge's winners of 2022
    suppress at 0.8). This is non-maximum suppression: in order of support, each box that stays removes those that
    overlap it by more than ``min_iou``.

    Args:
        xyxy: float64 (R, 4), pixels.
        picture: int64 (R,), equal for boxes of one frame of one camera.
        vehicle: int64 (R,), the identity.
        support: float64 (R, K), evidence for a box, the most important first, larger is better. Equal rows are
            ordered by the identity, the smaller first.
        min_iou: IoU above which two boxes are one vehicle.
    """
    suppressed = np.zeros(len(xyxy), bool)
    if min_iou >= 1 or not len(xyxy):
        return suppressed
    best_first = np.lexsort([vehicle, *(-support.T)[::-1], picture])
    bounds = np.flatnonzero(np.diff(picture[best_first])) + 1
    for rows in np.split(best_first, bounds):
        if len(rows) < 2:
            continue
        overlaps_worse = np.triu(iou_matrix(xyxy[rows], xyxy[rows]) > min_iou, 1)
        for k in np.flatnonzero(overlaps_worse.any(axis=1)).tolist():
            if suppressed[rows[k]]:
                continue
            others = rows[overlaps_worse[k]]
            suppressed[others[vehicle[others] != vehicle[rows[k]]]] = True
    return suppressed


def repeated_boxes(picture: Array, vehicle: Array, support: Array) -> Array:
    """Boxes of an identity that has a better supported box in the same picture: bool (R,).

    Association joins tracklets of one camera that overlap in time if they are duplicates of each other. An identity
    is nevertheless in a picture once.

    Args:
        picture: int64 (R,), equal for boxes of one frame of one camera.
        vehicle: int64 (R,), the identity.
        support: float64 (R, K), evidence for a box, the most important first, larger is better. Of equal rows the
            first stays.

    >>> support = np.array([[0.5], [0.9], [0.1], [0.2]])
    >>> repeated_boxes(np.array([1, 1, 1, 2]), np.array([7, 7, 8, 7]), support).tolist()
    [True, False, False, False]
    """
    best_first = np.lexsort([*(-support.T)[::-1], vehicle, picture])
    same_picture = np.diff(picture[best_first], prepend=-1) == 0
    same_vehicle = np.diff(vehicle[best_first], prepend=-1) == 0
    repeated = np.zeros(len(picture), bool)
    repeated[best_first] = same_picture & same_vehicle
    return repeated
