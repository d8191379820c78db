"""Vehicles, license plates and faces in pictures are made unrecognizable by coarse cells.

No model finds plates or faces here. The regions in which they can be are blurred instead, of every box that the
tracker or the detector holds:

* ``vehicles``: the whole box of every vehicle;
* ``plates``: the lower half of a vehicle's box, and the whole box of a two-wheeler;
* ``faces``: the upper half of every box, of people as of vehicles, whose occupants sit behind glass.

Each region is 5 % wider than the box on all sides. What is neither tracked nor detected is not
blurred.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from mtmc.types import CLASSES, Array, Detections, Tracklet

__all__ = [
    "BlurKind",
    "FrameRegions",
    "blur_crop",
    "blurred",
    "regions_of",
    "regions_of_detections",
    "regions_to_blur",
]

BlurKind = Literal["plates", "faces", "vehicles"]

_MARGIN = 0.05  # of the box's width and height, on each side
_CELLS = 4  # along the longer side of a region: a plate or face in it is one cell
_PERSON = CLASSES.index("person")
_TWO_WHEELERS = (CLASSES.index("motorcycle"), CLASSES.index("bicycle"))


@dataclass(frozen=True, slots=True, eq=False)
class FrameRegions:
    """What is blurred in the frames of a camera.

    Attributes:
        frame: int64 (K,), increasing.
        xyxy: float64 (K, 4), pixels of the original image.
    """

    frame: Array
    xyxy: Array

    def at(self, frame: int) -> Array:
        """The regions of one frame: float64 (R, 4)."""
        begin, end = np.searchsorted(self.frame, [frame, frame + 1])
        return np.asarray(self.xyxy[begin:end])

    def joined(self, other: FrameRegions) -> FrameRegions:
        """The regions of both."""
        return _ordered(np.concatenate([self.frame, other.frame]), np.concatenate([self.xyxy, other.xyxy]))


def regions_of(kinds: Sequence[BlurKind], tracklets: Iterable[Tracklet]) -> FrameRegions:
    """What is blurred in the frames of a camera with these tracklets."""
    own = list(tracklets) if kinds else []
    parts = [(t.frame, regions_to_blur(kinds, t.xyxy, t.class_id)) for t in own]
    frame = np.concatenate([np.zeros(0, np.int64), *(np.tile(f, len(r) // max(len(f), 1)) for f, r in parts)])
    xyxy = np.concatenate([np.zeros((0, 4)), *(regions for _, regions in parts)])
    return _ordered(frame, xyxy)


def regions_of_detections(kinds: Sequence[BlurKind], frames: Iterable[tuple[int, Detections]]) -> FrameRegions:
    """What is blurred in the frames of a camera with these detections, (index, detections) of each frame."""
    frame, xyxy = [np.zeros(0, np.int64)], [np.zeros((0, 4))]
    for index, found in frames:
        for class_id in np.unique(found.class_id).tolist():
            xyxy.append(regions_to_blur(kinds, found.xyxy[found.class_id == class_id], class_id))
            frame.append(np.full(len(xyxy[-1]), index))
    return _ordered(np.concatenate(frame), np.concatenate(xyxy))


def _ordered(frame: Array, xyxy: Array) -> FrameRegions:
    order = np.argsort(frame, kind="stable")
    return FrameRegions(frame[order], xyxy[order])


def regions_to_blur(kinds: Sequence[BlurKind], xyxy: Array, class_id: int) -> Array:
    """The regions of the boxes of a tracklet: (L, 4) → float64 (k·L, 4), those of one kind after the other."""
    boxes = np.asarray(xyxy, np.float64)
    top, bottom = boxes[:, 1], boxes[:, 3]
    middle = (top + bottom) / 2
    is_person, is_two_wheeler = class_id == _PERSON, class_id in _TWO_WHEELERS
    spans = {
        "vehicles": None if is_person else (top, bottom),
        "plates": None if is_person else (top if is_two_wheeler else middle, bottom),
        "faces": (top, middle),
    }
    margin_x, margin_y = _MARGIN * (boxes[:, 2] - boxes[:, 0]), _MARGIN * (bottom - top)
    regions = [
        np.stack([boxes[:, 0] - margin_x, y1 - margin_y, boxes[:, 2] + margin_x, y2 + margin_y], axis=1)
        for kind in kinds
        for y1, y2 in [span for span in [spans[kind]] if span is not None]
    ]
    return np.concatenate([np.zeros((0, 4)), *regions])


def blurred(image: Array, regions: Array) -> Array:
    """The picture with each region reduced to a few cells, which cannot be undone.

    Args:
        image: uint8 (H, W, 3); it is not changed.
        regions: float (R, 4), pixels; parts outside the picture are ignored.
    """
    if not len(regions):
        return image
    out = image.copy()
    limit = np.array([image.shape[1], image.shape[0]] * 2)
    corners = np.concatenate([np.floor(regions[:, :2]), np.ceil(regions[:, 2:])], axis=1)
    for x1, y1, x2, y2 in np.clip(corners, 0, limit).astype(int).tolist():
        if x1 < x2 and y1 < y2:
            width, height = x2 - x1, y2 - y1
            cell = max(width, height) / _CELLS
            size_wh = max(1, round(width / cell)), max(1, round(height / cell))
            coarse = cv2.resize(image[y1:y2, x1:x2], size_wh, interpolation=cv2.INTER_AREA)
            out[y1:y2, x1:x2] = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return out


def blur_crop(image: Array, class_id: int, kinds: Sequence[BlurKind]) -> Array:
    """The same for a picture that shows a box and nothing else, uint8 (H, W, 3), or several, (K, H, W, 3)."""
    height, width = image.shape[-3:-1]
    regions = regions_to_blur(kinds, np.array([[0, 0, width, height]]), class_id)
    pictures = image.reshape(-1, *image.shape[-3:])
    return np.stack([blurred(picture, regions) for picture in pictures]).reshape(image.shape)
