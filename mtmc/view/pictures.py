"""Pictures that a page sends, as files that may be anything."""

from __future__ import annotations

import struct

import cv2
import numpy as np

from mtmc.errors import FormatError
from mtmc.types import Array

__all__ = ["decode_picture", "stated_size"]

_MAX_PIXELS = 50_000_000  # decoded they take 150 MB
_PNG = b"\x89PNG\r\n\x1a\n"
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG markers that are followed by the size


def decode_picture(data: bytes) -> Array:
    """A PNG or JPEG file as uint8 (H, W, 3), RGB.

    Raises:
        FormatError: It is none, is damaged, or has more than 50 megapixels.
    """
    size = stated_size(data)
    if size is None:
        raise FormatError("expected a picture (PNG or JPEG), got another file", remedy="choose another file")
    if not 0 < size[0] * size[1] <= _MAX_PIXELS:
        message = f"expected a picture of at most {_MAX_PIXELS // 10**6} megapixels, got {size[0]}×{size[1]} px"
        raise FormatError(message, remedy="make it smaller")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise FormatError("expected a picture, got a damaged one", remedy="choose another file")
    return np.ascontiguousarray(image[..., ::-1])


def stated_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that the head of a file states, so that nothing large is decoded; None for other files.

    Source: PNG: ISO/IEC 15948, 11.2.2 (IHDR). JPEG: ITU-T T.81, annex B (marker segments, frame header).
    """
    if data.startswith(_PNG) and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    place = 2 if data.startswith(b"\xff\xd8") else len(data)
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], struct.unpack(">H", data[place + 2 : place + 4])[0]
        if marker in _START_OF_FRAME:
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return width, height
        place += 2 + length if marker != 0xFF else 1
    return None
