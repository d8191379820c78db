"""A folder of numbered pictures, read as a video.

A picture is numbered by the first digits in its name that are different in every file of the folder. Digits that only
punctuation separates count as one number, and digits that follow a letter count only where there are no others:
``cam1_000010.jpg`` is 10, ``frame_00001_c006.jpg`` is 1, ``cam1_20240501_120000_950.jpg`` goes by date and time. A
frame's index is its position in the order of numbers: a gap in the numbering does not shift the clock, and counting
may start anywhere.
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


#: Digits that stand alone, joined by punctuation only, such as a date and a time of day.
_FREE_DIGITS = re.compile(r"(?<![^\W_])\d+(?:[\W_]+\d+)*")
#: Digits that follow a letter, such as those of ``cam1`` and ``c006``.
_ATTACHED_DIGITS = re.compile(r"(?<=[^\W\d_])\d+")
#: What file managers append to the name of a copy: ``frame_3 (1)``.
_COPY_MARK = re.compile(r"(?<=\d)\s*\(\d+\)$")
#: So many digits before a point are seconds since 1970, and those after it are decimals.
_EPOCH_DIGITS = 9

#: One number of a name: the values of its runs of digits.
_Number = tuple[float, ...]


def list_images(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of their numbers; hidden files, folders and other files are ignored.

    Raises:
        VideoError: There is none, one has no number, or two have the same.
    """
    paths = sorted(path for path in folder.iterdir() if _is_picture(path))
    if not paths:
        raise VideoError(
            f"expected a folder of pictures ({', '.join(sorted(IMAGE_SUFFIXES))}), got none in it",
            path=folder,
            remedy="name the folder that holds the numbered pictures themselves",
        )
    for path in paths:
        if not re.search(r"\d", path.stem):
            raise VideoError(
                f"expected pictures numbered in order, such as frame_000010.jpg, got {path.name}",
                path=folder,
                remedy="number it or move it elsewhere",
            )
    columns = _columns(paths, _FREE_DIGITS) or _columns(paths, _ATTACHED_DIGITS)
    for column in columns:
        if len(set(column)) == len(paths):
            return [path for _, path in sorted(zip(column, paths, strict=True))]
    first, second = _twins(paths, columns)
    raise VideoError(
        f"expected every number once, got {first.name} and {second.name}",
        path=folder,
        remedy="keep the pictures of one camera, each once, in a folder",
    )


def _is_picture(path: Path) -> bool:
    """Whether a path has a picture's ending and is neither a folder nor hidden, as ``._0001.jpg`` by macOS is."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and not path.is_dir()


def _columns(paths: list[Path], pattern: re.Pattern[str]) -> list[tuple[_Number, ...]]:
    """The numbers that all names have, from left to right: of each its value in every name."""
    numbers = [_numbers(path.stem, pattern) for path in paths]
    return list(zip(*numbers, strict=False))


def _numbers(stem: str, pattern: re.Pattern[str] = _FREE_DIGITS) -> list[_Number]:
    """The numbers in a name, from left to right.

    >>> _numbers("frame_00001_c006"), _numbers("cam1_20240501_120000_950")
    ([(1,)], [(20240501, 120000, 950)])
    >>> _numbers("1714564800.95") > _numbers("1714564800.9")
    True
    """
    groups = pattern.findall(_COPY_MARK.sub("", stem))
    return [tuple(_values(group)) for group in groups]


def _values(group: str) -> Iterator[float]:
    previous = ""
    for separator, digits in re.findall(r"(\D*)(\d+)", group):
        is_decimals = separator == "." and len(previous) >= _EPOCH_DIGITS
        yield float(f"0.{digits}") if is_decimals else int(digits)
        previous = digits


def _twins(paths: list[Path], columns: list[tuple[_Number, ...]]) -> tuple[Path, Path]:
    """Two pictures of one number, by the first column that differs in any."""
    column = next((column for column in columns if len(set(column)) > 1), next(iter(columns), ()))
    seen: dict[_Number, Path] = {}
    for number, path in zip(column, paths, strict=False):
        if number in seen:
            return seen[number], path
        seen[number] = path
    return paths[0], paths[-1]  # names that share no number at all


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
