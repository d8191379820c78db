"""Pictures inside a page, so that it needs no other file."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from mtmc.types import Array

__all__ = ["jpeg_data_url"]


def jpeg_data_url(image: Array, quality: int) -> str:
    """An image as the address of a JPEG picture.

    Args:
        image: uint8 (H, W, 3) RGB.
        quality: Of the compression, from 0 to 100.
    """
    bgr = np.ascontiguousarray(image[..., ::-1])
    jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode("ascii")
