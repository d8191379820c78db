"""Saying clearly what a data set folder lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from reid.errors import DataError

__all__ = ["check_present", "compare_counts", "files", "lines", "need"]


def need(path: Path, what: str, remedy: str) -> Path:
    """``path``, if it exists.

    Raises:
        DataError: It does not; the message says ``what`` was expected there.
    """
    if not path.exists():
        raise DataError(f"expected {what}, found nothing", path=path, remedy=remedy)
    return path


def files(folder: Path, pattern: str, remedy: str) -> list[Path]:
    """The files of a folder by name; the pattern is that of :meth:`pathlib.Path.glob`.

    Raises:
        DataError: The folder is missing or holds none.
    """
    found = sorted(need(folder, "a folder of pictures", remedy).glob(pattern))
    if not found:
        raise DataError(f"expected pictures named {pattern}, found none", path=folder, remedy=remedy)
    return found


def lines(path: Path, what: str, remedy: str) -> list[tuple[int, str]]:
    """The lines of a text file that are not empty, each with its number counted from 1."""
    text = need(path, what, remedy).read_text(encoding="utf-8")
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
