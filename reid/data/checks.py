"""Saying clearly what a data set folder lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from reid.errors import DataError

__all__ = ["PICTURES", "check_present", "compare_counts", "files", "is_picture", "lines", "need", "whole_number"]

#: Suffixes of what counts as a picture, in small letters.
PICTURES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def is_picture(path: Path) -> bool:
    """Whether a path is a file with a picture's ending, and not hidden, as ``._0001.jpg`` by macOS is."""
    return path.suffix.lower() in PICTURES and not path.name.startswith(".") and path.is_file()


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
            would be left out in silence.
    """
    need(folder, "a folder of pictures", remedy)
    pictures = sorted(p for p in folder.rglob("*") if is_picture(p))
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
    """Every listed picture exists, looked up one folder at a time.

    Raises:
        DataError: Some are missing; the message names the first and says how many.
    """
    seen: dict[Path, set[str]] = {}
    missing = []
    for path in paths:
        folder = path.parent
        if folder not in seen:
            seen[folder] = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
        if path.name not in seen[folder]:
            missing.append(path)
    if missing:
        raise DataError(
            f"the lists name {len(missing)} pictures that are not there, this first", path=missing[0], remedy=remedy
        )
