"""Sliced inference: a detector is also applied to overlapping tiles, so that small vehicles are large enough.

Akyon, Altinuc, Temizel: Slicing aided hyper inference, 2022. The whole picture is always looked at, too: it is where
vehicles larger than a tile are seen whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from mtmc.detect.nms import suppress
from mtmc.geometry.boxes import area, iou_matrix
from mtmc.types import Array, Detections, Frame

__all__ = ["SupportsTiles", "TiledDetector", "View", "merge_views", "native_grid", "tile_views"]

#: Neighboring tiles share this part of their sides: vehicles up to this size are whole in one of them.
OVERLAP = 0.2
#: Boxes of different views are one vehicle's if they overlap by more: intersection over union, or over the smaller
#: box where a tile's border cuts one of them.
DUPLICATE_OVERLAP = 0.5
#: A box ends at a tile's border if it comes this close to it, as a part of the tile's side.
_BORDER = 0.01


@runtime_checkable
class SupportsTiles(Protocol):
    """A detector whose answer to a picture depends on that picture alone.

    Attributes:
        input_side: Longer side of the model's input, in pixels.
    """

    stateful: bool
    input_side: int

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """The detections of each frame."""
        ...


class View(NamedTuple):
    """A part of a picture, half-open, in pixels."""

    x1: int
    y1: int
    x2: int
    y2: int


def native_grid(image_wh: tuple[int, int], input_side: int) -> tuple[int, int]:
    """The least (columns, rows) of tiles that a model of this input sees without shrinking them.

    Of n tiles of side s that overlap by the share o, the row is s · (n − (n − 1) · o) long.

    >>> native_grid((1920, 1080), 640), native_grid((640, 480), 640)
    ((4, 2), (1, 1))
    """
    columns, rows = (max(1, math.ceil((length / input_side - OVERLAP) / (1 - OVERLAP) - 1e-9)) for length in image_wh)
    return columns, rows


def tile_views(image_wh: tuple[int, int], grid: tuple[int, int]) -> list[View]:
    """The whole picture, and then (columns, rows) overlapping tiles of one size; the picture alone for (1, 1).

    >>> tile_views((100, 50), (2, 1))
    [View(x1=0, y1=0, x2=100, y2=50), View(x1=0, y1=0, x2=56, y2=50), View(x1=44, y1=0, x2=100, y2=50)]
    """
    whole = View(0, 0, *image_wh)
    if grid == (1, 1):
        return [whole]
    (across, wide), (down, high) = (_starts(length, count) for length, count in zip(image_wh, grid, strict=True))
    return [whole, *(View(x, y, x + wide, y + high) for y in down for x in across)]


def _starts(length: int, count: int) -> tuple[list[int], int]:
    """Where ``count`` stretches begin that overlap and cover a length, and how long each is."""
    size = min(length, math.ceil(length / (count - (count - 1) * OVERLAP)))
    return [round(i * (length - size) / max(1, count - 1)) for i in range(count)], size


class TiledDetector:
    """A detector that is applied to the whole picture and to its tiles.

    Args:
        detector: The detector that is applied.
        grid: (columns, rows) of tiles; None for as many as the detector's input asks for (:func:`native_grid`).
    """

    stateful = False

    def __init__(self, detector: SupportsTiles, grid: tuple[int, int] | None) -> None:
        self._detector, self._grid = detector, grid

    def __call__(self, frames: Sequence[Frame]) -> list[Detections]:
        """Detections of each frame, best first; a vehicle that several views show is given once."""
        numbered = [(number, view) for number, frame in enumerate(frames) for view in self.views(frame.image)]
        # Views of one size come after each other, so that they share batches.
        numbered.sort(key=lambda item: (item[1].x2 - item[1].x1, item[1].y2 - item[1].y1, item[0], item[1]))
        found = self._detector([_cut(frames[number], view) for number, view in numbered])
        of_frame: list[list[tuple[View, Detections]]] = [[] for _ in frames]
        for (number, view), detections in zip(numbered, found, strict=True):
            of_frame[number].append((view, detections))
        return [
            merge_views(sorted(parts, key=lambda part: part[0]), _size_wh(frame.image))
            for frame, parts in zip(frames, of_frame, strict=True)
        ]

    def views(self, image: Array) -> list[View]:
        """The parts of a picture that are looked at."""
        size_wh = _size_wh(image)
        return tile_views(size_wh, self._grid or native_grid(size_wh, self._detector.input_side))


def _size_wh(image: Array) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


def _cut(frame: Frame, view: View) -> Frame:
    return Frame(frame.camera_id, frame.index, frame.time_s, frame.image[view.y1 : view.y2, view.x1 : view.x2])


def merge_views(parts: Sequence[tuple[View, Detections]], image_wh: tuple[int, int]) -> Detections:
    """Detections of several views of a picture as detections of the picture, best first.

    Of two boxes of different views that are one vehicle's, a box that no tile's border cuts is kept, then the one of
    the higher score. They are one vehicle's if their IoU exceeds :data:`DUPLICATE_OVERLAP`. Where a border cuts one
    of them, which makes it a part of the vehicle, their intersection over the smaller box is compared instead.

    Args:
        parts: Views and what was found in each, in pixels of the view.
        image_wh: Size of the picture.
    """
    moved = [_moved(found, view) for view, found in parts]
    together = Detections(
        xyxy=np.concatenate([found.xyxy for found in moved]),
        score=np.concatenate([found.score for found in moved]),
        class_id=np.concatenate([found.class_id for found in moved]),
        appearance=np.concatenate([found.appearance for found in moved]),
    )
    if len(parts) == 1 or len(together) < 2:
        return together
    view_of = np.repeat(np.arange(len(parts)), [len(found) for found in moved])
    is_cut = np.concatenate([_is_cut(found, view, image_wh) for found, (view, _) in zip(moved, parts, strict=True)])

    order = np.lexsort((-together.score, is_cut))
    duplicate = _duplicates(together.xyxy[order], view_of[order], is_cut[order])
    kept = order[suppress(duplicate)]
    return together[kept[np.argsort(-together.score[kept], kind="stable")]]


def _duplicates(xyxy: Array, view_of: Array, is_cut: Array) -> Array:
    """Which pairs of boxes are views of one vehicle: bool (N, N)."""
    union_share = iou_matrix(xyxy, xyxy)
    size = area(xyxy)
    inside = union_share / (1 + union_share) * np.add.outer(size, size)  # the area that both cover
    smaller_share = inside / np.maximum(np.minimum.outer(size, size), 1e-9)
    overlap = np.where(np.logical_or.outer(is_cut, is_cut), smaller_share, union_share)
    return np.asarray(np.not_equal.outer(view_of, view_of) & (overlap > DUPLICATE_OVERLAP))


def _moved(found: Detections, view: View) -> Detections:
    """Detections of a view in pixels of the picture."""
    offset = np.array([view.x1, view.y1, view.x1, view.y1], np.float32)
    return Detections(found.xyxy + offset, found.score, found.class_id, found.appearance)


def _is_cut(found: Detections, view: View, image_wh: tuple[int, int]) -> Array:
    """Whether a border of the view that lies inside the picture cuts a box: bool (N,)."""
    margin_x, margin_y = _BORDER * (view.x2 - view.x1), _BORDER * (view.y2 - view.y1)
    x1, y1, x2, y2 = found.xyxy.T
    left = (x1 <= view.x1 + margin_x) & (view.x1 > 0)
    top = (y1 <= view.y1 + margin_y) & (view.y1 > 0)
    right = (x2 >= view.x2 - margin_x) & (view.x2 < image_wh[0])
    bottom = (y2 >= view.y2 - margin_y) & (view.y2 < image_wh[1])
    return np.asarray(left | top | right | bottom)
