"""Regions of interest, from images whose white part is inside."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from mtmc.errors import FormatError
from mtmc.scene import read_roi
from mtmc.scene.names import is_camera_name, number_in, shown, walk
from mtmc.types import Array

__all__ = ["find_rois", "read_rois"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


def read_rois(
    source: str | os.PathLike[str] | Mapping[int, str | os.PathLike[str]],
    cameras: Iterable[int],
    names: Mapping[int, str] | None = None,
    *,
    skip_missing: bool = False,
) -> dict[int, Array]:
    """The regions of some cameras: bool (H, W) by camera number, true inside.

    Args:
        source: Camera number → image, or a folder of images, named as :func:`find_rois` says.
        cameras: The cameras that are wanted.
        names: The cameras' own names by number, as far as they are known.
        skip_missing: Leave out a camera without an image rather than raise.

    Raises:
        FormatError: A camera has no image.
        SceneError: A file is no image.
    """
    names = names or {}
    if isinstance(source, Mapping):
        paths: dict[int, Path] = {camera: Path(path) for camera, path in source.items()}
    else:
        paths = _by_number(find_rois(source), names)
    wanted = sorted(set(cameras))
    missing = [shown(camera, names) for camera in wanted if camera not in paths]
    if missing and not skip_missing:
        message = f"expected a region of interest for every camera, got none for {', '.join(missing)}"
        where = None if isinstance(source, Mapping) else source
        remedy = f"add an image such as {missing[0]}.png or {missing[0]}/roi.jpg, or score without regions"
        raise FormatError(message, path=where, remedy=remedy)
    return {camera: read_roi(paths[camera], official=True) for camera in wanted if camera in paths}


def find_rois(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Images by the name of their camera: ``NAME/roi.jpg``, ``NAME_roi.png`` or ``NAME.png``, at any depth.

    If a camera has several, the first in order of path counts.
    """
    if not Path(folder).is_dir():
        raise FormatError("expected a folder of region images, got none", path=folder, remedy="check the path")
    found: dict[str, Path] = {}
    for path in walk(Path(folder)):
        if path.suffix.lower() in _SUFFIXES:
            name = path.absolute().parent.name if path.stem == "roi" else path.stem.removesuffix("_roi")
            found.setdefault(name, path)
    return found


def _by_number(paths: Mapping[str, Path], names: Mapping[int, str]) -> dict[int, Path]:
    """The images of cameras that are known by name, and of those named like ``c006``."""
    numbered = {number: paths[name] for number, name in names.items() if name in paths}
    for name, path in paths.items():
        number = number_in(name)
        if number is not None and is_camera_name(name):
            numbered.setdefault(number, path)
    return numbered
