"""Region-of-interest images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mtmc.errors import SceneError
from mtmc.types import Array

__all__ = ["read_roi"]


def read_roi(path: Path, size_wh: tuple[int, int] | None = None, *, official: bool = False) -> Array:
    """Read an image whose white part is the region of interest: bool (H, W).

    Args:
        path: A gray or colored image.
        size_wh: Width and height it must have, pixels; None for any.
        official: Count only pixels that are fully white (255), as the AI City evaluation does. Otherwise light ones
            (128 or more) do, which forgives the halos that JPEG draws around edges.

    Raises:
        SceneError: The file is missing or no image, or its size is not ``size_wh`` (width, height).
    """
    import cv2

    if not path.is_file():
        raise SceneError("expected a region-of-interest image, found no file", path=path)
    gray = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE) if path.stat().st_size else None
    if gray is None:
        raise SceneError(
            "expected a region-of-interest image (jpg or png), got something else",
            path=path,
            remedy="replace it, or remove it to use the whole picture",
        )
    height, width = gray.shape
    if size_wh is not None and (width, height) != size_wh:
        raise SceneError(
            f"expected a region of interest of {size_wh[0]}×{size_wh[1]} px like its video, got {width}×{height}",
            path=path,
            remedy="export it at the video's size",
        )
    return np.asarray(gray >= (255 if official else 128))
