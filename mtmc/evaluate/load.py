"""Ground truth and predictions from wherever they lie: one file of all cameras, one of one camera, or a folder."""

from __future__ import annotations

import os
from pathlib import Path

from mtmc.errors import FormatError
from mtmc.evaluate.cameras import camera_number
from mtmc.formats.any import read_any
from mtmc.formats.mot import read_mot
from mtmc.formats.parquet import read_parquet
from mtmc.formats.table import Table

__all__ = ["load_pair", "load_table"]


def load_pair(truth_path: str | os.PathLike[str], predicted_path: str | os.PathLike[str]) -> tuple[Table, Table]:
    """Both tables. A single-camera file whose path names no camera belongs to the camera of the other one.

    Rows of the truth with a score of 0 are left out: MOTChallenge marks so what is not to be considered.

    Raises:
        FormatError: A file cannot be read, the truth is empty, or the two share no camera.
    """
    truth, predicted = load_table(truth_path), load_table(predicted_path)
    truth = truth[truth.score != 0]
    if not len(truth):
        raise FormatError("expected ground truth, got no rows", path=truth_path, remedy="check the file")
    cameras, others = set(truth.camera.tolist()), set(predicted.camera.tolist())
    if others == {0} and len(cameras) == 1:
        predicted = predicted.with_columns(camera=predicted.camera + cameras.pop())
    elif cameras == {0} and len(others) == 1:
        truth = truth.with_columns(camera=truth.camera + others.pop())
    elif others and not cameras & others:
        got = f"ground truth of {_names(cameras)} and predictions of {_names(others)}"
        remedy = "give files of the same cameras; one of a single camera is named c006.txt"
        raise FormatError(f"expected a camera in common, got {got}", path=predicted_path, remedy=remedy)
    return truth, predicted


def load_table(path: str | os.PathLike[str]) -> Table:
    """One table from a nine-column, MOT or Parquet file, or from a folder of MOT files.

    A file of one camera takes its number from its path: ``c006.txt``, ``c006/gt/gt.txt``; else it is 0. In a folder
    every ``cNNN.txt`` counts, and every ``gt.txt`` below a folder ``cNNN``.

    Raises:
        FormatError: Nothing is there, or a file is in none of the formats.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        return read_parquet(path)
    if not path.is_dir():
        number = _camera_of(path)
        return read_any(path, camera=0 if number is None else number)
    found: dict[int, Path] = {}
    for file in sorted(path.rglob("*.txt")):
        number = _camera_of(file)
        if number is None or (file.name != "gt.txt" and camera_number(file.stem) is None):
            continue
        if number in found:
            remedy = "give a folder with one file for each"
            raise FormatError(
                f"expected one file of camera {number}, got two: {found[number]}", path=file, remedy=remedy
            )
        found[number] = file
    if not found:
        remedy = "name the files c001.txt, or c001/gt/gt.txt"
        raise FormatError("expected a folder with a file for each camera, got none", path=path, remedy=remedy)
    return Table.concatenate([read_mot(file, camera=number) for number, file in sorted(found.items())])


def _camera_of(path: Path) -> int | None:
    """The camera that a path names: by its stem, or by the folders just above a ``gt.txt`` and the like."""
    names = (path.stem, path.absolute().parent.name, path.absolute().parent.parent.name)
    return next((number for number in map(camera_number, names) if number is not None), None)


def _names(cameras: set[int]) -> str:
    shown = ", ".join(f"c{camera:03d}" for camera in sorted(cameras)[:3])
    return shown + (" …" if len(cameras) > 3 else "")
