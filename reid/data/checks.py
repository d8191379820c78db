"""Saying clearly what a data set folder lacks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from reid.errors import DataError

__all__ = [
    "PICTURES",
    "check_present",
    "compare_counts",
    "files",
    "lines",
    "need",
    "pictures_below",
    "whole_number",
]

#: Suffixes of what counts as a picture, in small letters.
PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def pictures_below(folder: Path) -> list[Path]:
    """The pictures of a folder and its subfolders by name, in any of the usual formats; links are followed.

    Raises:
        DataError: Links to pictures are broken, a link leads back to a folder around it, or a folder is not open to
            this user: pictures would be left out in silence.
    """
    found = sorted(path for path in _files_below(folder) if _names_a_picture(path))
    broken = [path for path in found if path.is_symlink() and not path.exists()]
    if broken:
        raise DataError(
            f"found {len(broken)} links to pictures that are not there, {broken[0].relative_to(folder)} the first",
            path=folder,
            remedy="restore what they point to, or remove the links",
        )
    return found


def _names_a_picture(path: Path) -> bool:
    """Whether a file has a picture's ending and is not hidden, as ``._0001.jpg`` by macOS is."""
    return path.suffix.lower() in PICTURES and not path.name.startswith(".")


def _files_below(folder: Path, around: tuple[tuple[int, int], ...] = ()) -> Iterator[Path]:
    """All but folders, at any depth; ``around`` is (device, inode) of the folders that this one is in."""
    try:
        status = folder.stat()
        entries = [(path, path.is_dir()) for path in folder.iterdir()]
    except OSError as cause:
        raise DataError(
            f"cannot open this folder ({cause.strerror})", path=folder, remedy="give folders that can be opened"
        ) from cause
    itself = status.st_dev, status.st_ino
    if itself in around:
        raise DataError("this link leads back to a folder that it is in", path=folder, remedy="remove the link")
    for path, is_folder in entries:
        if is_folder:
            yield from _files_below(path, (*around, itself))
        else:
            yield path


def need(path: Path, what: str, remedy: str) -> Path:
    """``path``, if it exists.

    Raises:
        DataError: It does not; the message says ``what`` was expected there.
    """
    if not path.exists():
        raise DataError(f"expected {what}, found nothing", path=path, remedy=remedy)
    return path


def files(folder: Path, depth: int, expected: str, remedy: str) -> list[Path]:
    """The pictures of a folder by name, in any of the usual formats.

    Args:
        folder: Where they lie.
        depth: 1 for pictures in the folder itself, 2 for those in its subfolders, and so on.
        expected: A name as it should be, for the message.
        remedy: What to do if there are none.

    Raises:
        DataError: The folder is missing or holds no picture at that depth, or it holds others at another depth, which
            would be left out in silence; or see :func:`pictures_below`.
    """
    need(folder, "a folder of pictures", remedy)
    pictures = pictures_below(folder)
    found = [path for path in pictures if len(path.relative_to(folder).parts) == depth]
    if not found:
        raise DataError(f"expected pictures such as {expected}, found none", path=folder, remedy=remedy)
    if len(found) < len(pictures):
        elsewhere = next(path for path in pictures if len(path.relative_to(folder).parts) != depth)
        raise DataError(
            f"expected pictures such as {expected}, found {len(pictures) - len(found)} at another depth, "
            f"{elsewhere.relative_to(folder)} the first",
            path=folder,
            remedy="move them there, or out of this folder",
        )
    return found


def whole_number(text: str) -> int | None:
    """The number that a text of ASCII digits means; None for any other text.

    Example:
        >>> [whole_number(text) for text in ("0012", "²", "1_0", "")]
        [12, None, None, None]
    """
    return int(text) if text.isascii() and text.isdecimal() else None


def lines(path: Path, what: str, remedy: str) -> list[tuple[int, str]]:
    """The lines of a text file that are not empty, each with its number counted from 1."""
    try:
        text = need(path, what, remedy).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as cause:
        raise DataError(f"expected {what} as UTF-8 text", path=path, remedy=remedy) from cause
    return [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1) if line.strip()]


def compare_counts(name: str, root: Path, found: Mapping[str, int], official: Mapping[str, int]) -> None:
    """Compare what was found with the published numbers.

    Raises:
        DataError: Any number differs; the message lists all that do.
    """
    wrong = [f"{official[k]:,} {k} (found {found[k]:,})" for k in official if found[k] != official[k]]
    if wrong:
        raise DataError(
            f"{name} should have {', '.join(wrong)}",
            path=root,
            remedy="unpack the complete archive, or set check_counts to false to work with a part of it",
        )


def check_present(paths: Iterable[Path], remedy: str) -> None:
    """Every listed picture exists, looked up one folder at a time; a broken link is no picture.

    Raises:
        DataError: Some are missing; the message names the first and says how many.
    """
    seen: dict[Path, set[str]] = {}
    missing = []
    for path in paths:
        folder = path.parent
        if folder not in seen:
            seen[folder] = set(_present(folder)) if folder.is_dir() else set()
        if path.name not in seen[folder]:
            missing.append(path)
    if missing:
        raise DataError(
            f"the lists name {len(missing)} pictures that are not there, this first", path=missing[0], remedy=remedy
        )


def _present(folder: Path) -> Iterator[str]:
    """Names in a folder; only links are looked up one by one, because that is slow for many files."""
    for entry in os.scandir(folder):
        if not entry.is_symlink() or Path(entry.path).exists():
            yield entry.name
