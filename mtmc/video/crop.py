"""The pixels inside boxes: pictures of one size for a re-ID model, and how sharp they are."""

from __future__ import annotations

import cv2
import numpy as np

from mtmc.types import Array

__all__ = ["cut", "sharpness"]

_GRAY = 114  # what boxes without pixels look like: near the mean of photographs, so models see "nothing"
_SHARPNESS_HW = (64, 64)
_INTERPOLATION = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}


def cut(
    image: Array, xyxy: Array, size_hw: tuple[int, int], pad: float = 0.0, interpolation: str = "linear"
) -> Array:
    """Pictures of the boxes, clipped to the image and resized without keeping their shape.

    Box edges are rounded to whole pixels.

    Args:
        image: uint8 (H, W, 3).
        xyxy: float (N, 4), pixels of that image.
        size_hw: Height and width of each picture.
        pad: Share of the box's width and height added on each side before clipping.
        interpolation: ``linear`` or ``cubic``, as the pictures that the re-ID model was trained on were resized.

    Returns:
        uint8 (N, h, w, 3); even gray where a box has no pixel in the image or is not finite.
    """
    crops = np.empty((len(xyxy), *size_hw, image.shape[2]), np.uint8)
    for crop, (x1, y1, x2, y2) in zip(crops, _pixel_boxes(image, xyxy, pad), strict=True):
        if x1 < x2 and y1 < y2:
            cv2.resize(image[y1:y2, x1:x2], size_hw[::-1], dst=crop, interpolation=_INTERPOLATION[interpolation])
        else:
            crop[:] = _GRAY
    return crops


def sharpness(image: Array, xyxy: Array) -> Array:
    """How much fine detail the boxes show: the variance of the Laplacian of each at one small size, in gray.

    All boxes are brought to the same size first, so a vehicle that is far away, and therefore enlarged, counts as
    the blurred picture it is.

    Args:
        image: uint8 (H, W, 3), RGB.
        xyxy: float (N, 4), pixels of that image.

    Returns:
        float32 (N,), ≥ 0; 0 for a box without a pixel in the image.
    """
    values = np.zeros(len(xyxy), np.float32)
    for i, crop in enumerate(cut(image, xyxy, _SHARPNESS_HW)):
        laplacian = cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_16S)
        values[i] = cv2.meanStdDev(laplacian)[1][0, 0] ** 2
    return values


def _pixel_boxes(image: Array, xyxy: Array, pad: float) -> list[tuple[int, int, int, int]]:
    """Boxes grown, rounded and clipped to the image; ``(0, 0, 0, 0)`` for those that are not finite."""
    boxes = np.array(xyxy, np.float64).reshape(-1, 4)
    boxes[~np.isfinite(boxes).all(axis=1)] = 0
    margin = pad * (boxes[:, 2:] - boxes[:, :2])
    boxes = np.hstack([boxes[:, :2] - margin, boxes[:, 2:] + margin])
    height, width = image.shape[:2]
    limits = np.array([width, height, width, height])
    return [tuple(row) for row in np.rint(boxes).clip(0, limits).astype(int).tolist()]
