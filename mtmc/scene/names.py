"""Names and numbers of cameras: one rule for scenes, results and ground truth.

A camera has a name, which is that of its file or folder, and a number, which stands for it in nine-column files. The
number is the digits that the name ends in, so that ``c006`` is 6; a camera whose name ends in none, or in the same as
another, gets the lowest number that is free.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path

from mtmc.errors import FormatError

__all__ = ["camera_files", "is_camera_name", "number_in", "number_names", "shown", "subfolders", "walk"]

#: Longer runs of digits are times and serial numbers; as camera numbers they would not fit the files.
_MOST_DIGITS = 9
_DIGITS_AT_END = re.compile(r"[0-9]+$")
_NUMBERED = re.compile(r"c[0-9]{1,9}")
#: Folders between a camera's folder and its file, and the endings of files that lie beside a video.
_INNER_FOLDERS = ("gt", "mot", "data")
_OTHER_FILES = ("_det", "_mtsc", "_roi")


def number_in(name: str) -> int | None:
    """The number that a camera's name ends in, None where it ends in none or in too many digits.

    >>> number_in("c006"), number_in("north"), number_in("cam_20230501120000123456789")
    (6, None, None)
    """
    digits = _DIGITS_AT_END.search(name)
    return int(digits[0]) if digits and len(digits[0]) <= _MOST_DIGITS else None


def number_names(names: Iterable[str], given: Mapping[str, int] | None = None) -> dict[str, int]:
    """A number for every name, each once.

    Args:
        names: The cameras' names; their order does not matter.
        given: Numbers that some of them have already, which are kept.

    >>> number_names(["c006", "c007"]), number_names(["north", "c001"]), number_names(["a1", "b1"])
    ({'c006': 6, 'c007': 7}, {'c001': 1, 'north': 2}, {'a1': 1, 'b1': 2})
    """
    numbers = dict(given or {})
    ordered = sorted(set(names) - numbers.keys())
    endings = {name: number for name in ordered if (number := number_in(name)) is not None}
    times = Counter(endings.values())
    taken = set(numbers.values())
    own = {name: n for name, n in endings.items() if times[n] == 1 and n not in taken}
    taken |= set(own.values())
    free = (number for number in count(1) if number not in taken)
    numbers |= {name: own[name] if name in own else next(free) for name in ordered}
    return numbers


def is_camera_name(name: str) -> bool:
    """Whether a name has the form ``c006``, which names a camera wherever it stands in a path."""
    return _NUMBERED.fullmatch(name) is not None


def shown(number: int, names: Mapping[int, str]) -> str:
    """A camera's name for people: its own where it is known, else ``c006``."""
    return names.get(number, f"c{number:03d}")


def camera_files(folder: Path) -> dict[str, Path]:
    """Text files of boxes below a folder, one for each camera, by the cameras' names.

    They are, whatever there is first: every ``NAME/gt/gt.txt`` or ``NAME/gt.txt``; every ``NAME_gt.txt``; every
    ``NAME.txt`` of the form ``c006.txt`` at any depth; every ``NAME.txt`` in the folder itself or in its ``data``.

    Raises:
        FormatError: A camera has two files, or there is none.
    """
    texts = sorted(path for path in walk(folder) if path.suffix == ".txt")
    listings = (
        [(_folder_name(path), path) for path in texts if path.name == "gt.txt"],
        [(path.stem.removesuffix("_gt"), path) for path in texts if path.stem.endswith("_gt")],
        [(path.stem, path) for path in texts if is_camera_name(path.stem)],
        [(p.stem, p) for p in texts if p.parent in (folder, folder / "data") and not p.stem.endswith(_OTHER_FILES)],
    )
    found: dict[str, Path] = {}
    for name, path in next((listing for listing in listings if listing), []):
        if name in found:
            remedy = "give a folder with one file for each"
            raise FormatError(f"expected one file of camera {name}, got two: {found[name]}", path=path, remedy=remedy)
        found[name] = path
    if not found:
        remedy = "name the files c001.txt or NAME_gt.txt, or c001/gt/gt.txt"
        raise FormatError("expected a folder with a file for each camera, got none", path=folder, remedy=remedy)
    return found


def walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder that may be read; hidden files and folders, and unreadable ones, are left out."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from walk(entry)
        else:
            yield entry


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted, without hidden ones; none where it may not be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []


def _folder_name(path: Path) -> str:
    """The name of the folder that a camera's ``gt.txt`` lies in, past folders such as ``gt``."""
    return next((p.name for p in path.absolute().parents if p.name not in _INNER_FOLDERS), path.stem)
