"""Regions of interest, from images whose white part is inside."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from mtmc.errors import FormatError
from mtmc.scene import read_roi
from mtmc.types import Array

__all__ = ["find_rois", "read_rois"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


def read_rois(
    source: str | os.PathLike[str] | Mapping[int, str | os.PathLike[str]],
    cameras: Iterable[int],
    *,
    skip_missing: bool = False,
) -> dict[int, Array]:
    """The regions of some cameras: bool (H, W) by camera number, true inside.

    Args:
        source: Camera number → image, or a folder with images named ``c006.png`` or ``…/c006/roi.jpg`` at any depth.
        cameras: The cameras that are wanted.
        skip_missing: Leave out a camera without an image rather than raise.

    Raises:
        FormatError: A camera has no image.
        SceneError: A file is no image.
    """
    paths = dict(source) if isinstance(source, Mapping) else find_rois(source)
    wanted = sorted(set(cameras))
    missing = [camera for camera in wanted if camera not in paths]
    if missing and not skip_missing:
        names = ", ".join(f"c{camera:03d}" for camera in missing)
        message = f"expected a region of interest for every camera, got none for {names}"
        where = None if isinstance(source, Mapping) else source
        remedy = f"add an image such as c{missing[0]:03d}.png or c{missing[0]:03d}/roi.jpg, or score without regions"
        raise FormatError(message, path=where, remedy=remedy)
    return {camera: read_roi(Path(paths[camera]), official=True) for camera in wanted if camera in paths}


def find_rois(folder: str | os.PathLike[str]) -> dict[int, Path]:
    """Images by camera number below a folder; the first in order of path if a camera has several."""
    if not Path(folder).is_dir():
        raise FormatError("expected a folder of region images, got none", path=folder, remedy="check the path")
    found: dict[int, Path] = {}
    for path in sorted(Path(folder).rglob("*")):
        name = path.parent.name if path.stem == "roi" else path.stem
        if path.suffix.lower() in _SUFFIXES and name[:1] == "c" and name[1:].isdecimal():
            found.setdefault(int(name[1:]), path)
    return found
