"""A folder of numbered pictures, read as a video.

The last run of digits in a file's name is its number (``cam1_000010.jpg`` is 10). Pictures are taken in the order of
their numbers, and a frame's index is its place in that order: a gap in the numbering does not shift the clock, and
counting may start anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from mtmc.errors import VideoError
from mtmc.types import Array
from mtmc.video import IMAGE_SUFFIXES

__all__ = ["iterate_images", "list_images", "read_image"]


def list_images(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of their numbers; other files are ignored.

    Raises:
        VideoError: There is none, one has no number, or two have the same.
    """
    by_number: dict[int, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES):
        digits = re.findall(r"\d+", path.stem)
        if not digits:
            raise VideoError(
                f"expected pictures numbered in order, such as frame_000010.jpg, got {path.name}",
                path=folder,
                remedy="number it or move it elsewhere",
            )
        twin = by_number.setdefault(int(digits[-1]), path)
        if twin is not path:
            raise VideoError(
                f"expected every number once, got {twin.name} and {path.name}",
                path=folder,
                remedy="keep the pictures of one camera, each once, in a folder",
            )
    if not by_number:
        raise VideoError(
            f"expected a folder of pictures ({', '.join(sorted(IMAGE_SUFFIXES))}), got none in it",
            path=folder,
            remedy="name the folder that holds the numbered pictures themselves",
        )
    return [by_number[number] for number in sorted(by_number)]


def read_image(path: Path) -> Array:
    """One picture: uint8 (H, W, 3), RGB.

    Raises:
        VideoError: It cannot be read or decoded.
    """
    try:
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except (OSError, cv2.error) as error:
        raise VideoError(f"expected a picture, got {error}", path=path) from None
    if image is None:
        got = "bytes that are none" if len(data) else "an empty file (0 bytes)"
        raise VideoError(f"expected a picture, got {got}", path=path, remedy="copy it again or take it away")
    rgb: Array = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return rgb


def iterate_images(folder: Path) -> Iterator[tuple[None, Callable[[], Array]]]:
    """For each picture its size, unknown before it is read, and how to get its pixels."""
    for path in list_images(folder):
        yield None, lambda path=path: read_image(path)  # type: ignore[misc]
