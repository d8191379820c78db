"""Which boxes to leave out: of parked vehicles, small ones, cut-off ones, and the worse of two on one vehicle."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from mtmc.geometry.boxes import area, iou_matrix, travel
from mtmc.types import Array

__all__ = ["cut_off", "driven", "duplicates", "large_enough"]

_BORDER_PX = 1.0  # a box that ends this close to the border touches it


def driven(xyxy: Array, passage: Array, vehicle: Array, min_travel: float) -> Array:
    """Which boxes are of vehicles that drive somewhere: bool (R,). One that waits in this camera may in the next.

    Args:
        xyxy: float64 (R, 4).
        passage: int64 (R,), equal for boxes of one passage; rows of one are neighbours, in order of frame.
        vehicle: int64 (R,).
        min_travel: How far one passage of a vehicle must get, in diagonals of its box.
    """
    far = [start for start, stop in _stretches(passage) if travel(xyxy[start:stop]) >= min_travel]
    return np.isin(vehicle, vehicle[far])


def large_enough(xyxy: Array, size_wh: Array, min_area_px: float, min_area_share: float) -> Array:
    """Which boxes reach both minima: bool (R,). Where the image's size (R, 2) is NaN its share is not asked for.

    CityFlow leaves distant vehicles out of its annotation: no box of S02 (version 2) is below 0.3 % of the image.
    """
    size_px = area(xyxy)
    least = np.nan_to_num(size_wh.prod(axis=1) * min_area_share, nan=0.0)
    return np.asarray((size_px >= min_area_px) & (size_px >= least))


def cut_off(xyxy: Array, passage: Array, frame: Array, size_wh: Array) -> Array:
    """Share of each vehicle that lies beyond the image's border: float64 (R,) in [0, 1].

    A box that touches the border is compared with the nearest box in time of the same passage that does not; it is
    not known (0) where all of them touch it, or the image has no known size.

    Args:
        xyxy: float64 (R, 4).
        passage: int64 (R,), equal for boxes of one passage; rows of one are neighbours, in order of frame.
        frame: int64 (R,).
        size_wh: float64 (R, 2), NaN where nobody knows.
    """
    share = np.zeros(len(xyxy))
    touching = np.asarray((xyxy[:, :2] <= _BORDER_PX).any(axis=1) | (xyxy[:, 2:] >= size_wh - _BORDER_PX).any(axis=1))
    touching &= np.isfinite(size_wh).all(axis=1)
    size_px = area(xyxy)
    for start, stop in _stretches(passage):
        here = slice(start, stop)
        whole, cut = np.flatnonzero(~touching[here]) + start, np.flatnonzero(touching[here]) + start
        if len(whole) and len(cut):
            away = np.abs(frame[whole][None, :] - frame[cut][:, None])
            nearest = whole[np.argmin(away, axis=1)]
            share[cut] = np.clip(1 - size_px[cut] / np.maximum(size_px[nearest], 1e-9), 0, 1)
    return share


def _stretches(passage: Array) -> list[tuple[int, int]]:
    """First row, and row behind the last, of each passage."""
    bounds = np.flatnonzero(np.diff(passage, prepend=passage[:1] - 1, append=passage[-1:] + 1)).tolist()
    return list(pairwise(bounds))


def duplicates(xyxy: Array, moment: Array, vehicle: Array, support: Array, min_iou: float) -> Array:
    """Boxes that cover, almost wholly, a better supported box of another vehicle in the same picture: bool (R,).

    Two tracks of one vehicle lie on each other; a real occlusion rarely hides so much (the challenge's winners of
    2022 suppress at 0.8). In order of support, each box that stays removes those that overlap it by more.

    Args:
        xyxy: float64 (R, 4).
        moment: int64 (R,), equal for boxes of one picture.
        vehicle: int64 (R,).
        support: float64 (R, K), what speaks for a box, the most important first, larger is better. Equal rows are
            decided by the smaller number of the vehicle.
        min_iou: IoU above which two boxes are one vehicle.
    """
    drop = np.zeros(len(xyxy), bool)
    if min_iou >= 1 or not len(xyxy):
        return drop
    order = np.argsort(moment, kind="stable")
    bounds = np.flatnonzero(np.diff(moment[order])) + 1
    for rows in np.split(order, bounds):
        if len(rows) < 2:
            continue
        keys = [vehicle[rows], *(-support[rows, k] for k in range(support.shape[1]))]
        rows = rows[np.lexsort([keys[0], *keys[:0:-1]])]
        close = np.triu(iou_matrix(xyxy[rows], xyxy[rows]) > min_iou, 1)
        for k in np.flatnonzero(close.any(axis=1)).tolist():
            if not drop[rows[k]]:
                others = rows[close[k]]
                drop[others[vehicle[others] != vehicle[rows[k]]]] = True
    return drop
