"""Fitting an image into a model's input without bending it, and the way back for boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmc.geometry.boxes import clip
from mtmc.types import Array

__all__ = ["GRAY", "Letterbox", "fit_fixed", "fit_side", "fit_stretched", "paste"]

#: What surrounds the image, in 0…255: the gray that YOLO models are trained with.
GRAY = 114.0


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where an image lies in a model's input; all (width, height) or (x, y) in pixels.

    Attributes:
        image_wh: The original image.
        inner_wh: The image as resized.
        offset_xy: Its top left corner on the canvas.
        canvas_wh: The model's input.
    """

    image_wh: tuple[int, int]
    inner_wh: tuple[int, int]
    offset_xy: tuple[int, int]
    canvas_wh: tuple[int, int]

    def restore(self, xyxy: Array) -> Array:
        """Boxes on the canvas → boxes in the original image, cut at its borders: float32 (N, 4)."""
        scale = np.array(self.image_wh, np.float32) / np.array(self.inner_wh, np.float32)
        offset = np.array(self.offset_xy, np.float32)
        return clip((xyxy.astype(np.float32) - np.tile(offset, 2)) * np.tile(scale, 2), self.image_wh)


def fit_fixed(image_wh: tuple[int, int], canvas_wh: tuple[int, int]) -> Letterbox:
    """The largest the image can be in the middle of a canvas of given size."""
    ratio = min(canvas_wh[0] / image_wh[0], canvas_wh[1] / image_wh[1])
    return _centered(image_wh, ratio, canvas_wh)


def fit_side(image_wh: tuple[int, int], side: int, multiple: int = 32) -> Letterbox:
    """The image with a longer side of ``side``, on the smallest canvas whose sizes are multiples of ``multiple``.

    >>> fit_side((1920, 1080), 640).canvas_wh
    (640, 384)
    """
    ratio = side / max(image_wh)
    width, height = (-(-max(1, round(n * ratio)) // multiple) * multiple for n in image_wh)
    return _centered(image_wh, ratio, (width, height))


def fit_stretched(image_wh: tuple[int, int], canvas_wh: tuple[int, int]) -> Letterbox:
    """The image stretched over the whole canvas, whatever its shape."""
    return Letterbox(image_wh, canvas_wh, (0, 0), canvas_wh)


def _centered(image_wh: tuple[int, int], ratio: float, canvas_wh: tuple[int, int]) -> Letterbox:
    width, height = (max(1, round(n * ratio)) for n in image_wh)
    offset = ((canvas_wh[0] - width) // 2, (canvas_wh[1] - height) // 2)
    return Letterbox(image_wh, (width, height), offset, canvas_wh)


def paste(image: Array, box: Letterbox, mean: Array, std: Array, bgr: bool, out: Array) -> None:
    """Write an image, resized and normalized, into its place on a canvas that holds the padding already.

    Args:
        image: uint8 (H, W, 3), RGB.
        box: Its place.
        mean: float32 (3,), in 0…255, in the model's order of channels.
        std: float32 (3,), likewise.
        bgr: The model's order of channels is blue, green, red.
        out: (3, canvas height, canvas width), written to: float32, or uint8 for a model that normalizes by itself.
    """
    import cv2

    if box.inner_wh != box.image_wh:
        image = cv2.resize(image, box.inner_wh, interpolation=cv2.INTER_LINEAR)
    planes = cv2.split(image)
    (x, y), (width, height) = box.offset_xy, box.inner_wh
    for channel, plane in enumerate(planes[::-1] if bgr else planes):
        inner = out[channel, y : y + height, x : x + width]
        if out.dtype == np.uint8:
            inner[...] = plane
            continue
        # One pass over whole planes, and no intermediate image: an eighth of what blobFromImage takes.
        np.multiply(plane, np.float32(1 / std[channel]), out=inner)
        if mean[channel]:
            inner -= np.float32(mean[channel] / std[channel])
