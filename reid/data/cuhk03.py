"""CUHK03: persons in five pairs of cameras; the classic protocol's 20 test lists of 100 persons.

The data set is one MATLAB file. It is unpacked once, which needs the package h5py:

::

    cuhk-03.mat                                     as published
    detected/ labeled/  1_0007_2_09.png             camera pair, person, view 1 or 2, number
    splits.json                                     20 lists of [camera pair, person]
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reid.data.checks import compare_counts, files, need
from reid.data.records import DatasetSplit, Record
from reid.errors import ConfigError, DataError, MissingDependency

__all__ = ["OFFICIAL", "load", "unpack"]

OFFICIAL = {"training identities": 1_367, "test identities": 100}

_REMEDY = "put cuhk-03.mat here"
_NAME = re.compile(r"([0-9]+)_([0-9]+)_([12])_[0-9]+\.\w+$")
#: Identities are numbered pair · 10,000 + person.
_PAIR = 10_000


def load(
    root: Path, *, boxes: Literal["detected", "labeled"] = "detected", split: int = 0, check_counts: bool = True
) -> DatasetSplit:
    """Read one of the classic splits, unpacking the published file when that has not been done.

    A query is a test person's crop of view 1, the gallery holds those of view 2; the protocol draws one per person.

    Args:
        root: The folder.
        boxes: Which crops: of a person detector or drawn by hand.
        split: Which of the 20 test lists, from 0.
        check_counts: Compare with the published numbers.

    Raises:
        ConfigError: No such split.
        DataError: Something is missing, badly named, or not as many as published.
        MissingDependency: The file must be unpacked and h5py is not installed.
    """
    if not (root / "splits.json").exists():
        unpack(need(root / "cuhk-03.mat", "cuhk-03.mat or the pictures unpacked from it", _REMEDY), root)
    path = root / "splits.json"
    try:
        splits = [
            [(int(pair), int(person)) for pair, person in tested] for tested in json.loads(path.read_text("utf-8"))
        ]
    except (ValueError, TypeError) as cause:
        remedy = "remove it, so that it is unpacked again"
        raise DataError("expected lists of [camera pair, person]", path=path, remedy=remedy) from cause
    if not 0 <= split < len(splits):
        raise ConfigError(f"expected a split 0 … {len(splits) - 1}, got {split}")
    tested = {pair * _PAIR + person for pair, person in splits[split]}
    records = _records(root / boxes)
    test = [r for r in records if r.vehicle_id in tested]
    train = tuple(r for r in records if r.vehicle_id not in tested)
    if check_counts:
        found = {
            "training identities": len({r.vehicle_id for r in train}),
            "test identities": len({r.vehicle_id for r in test}),
        }
        compare_counts("CUHK03", root, found, OFFICIAL)
    query, gallery = (tuple(r for r in test if r.camera_id == view) for view in (1, 2))
    return DatasetSplit(f"cuhk03-{boxes}-{split}", "cuhk03", train, query, gallery)


def unpack(mat: Path, root: Path) -> None:
    """Write the pictures and test lists of ``cuhk-03.mat`` to ``root``; the lists come last and mark completion.

    Raises:
        DataError: The file cannot be read or is of another layout.
        MissingDependency: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingDependency("unpacking CUHK03 needs the package h5py", remedy="pip install h5py") from error
    try:
        with h5py.File(mat, "r") as file:
            for boxes in ("detected", "labeled"):
                (root / boxes).mkdir(exist_ok=True)
                for pair, reference in enumerate(file[boxes][0], 1):
                    _unpack_pair(file, file[reference], root / boxes, pair)
            splits = [np.asarray(file[r]).T.astype(int).tolist() for r in file["testsets"][0]]
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"expected CUHK03 in MATLAB 7.3 form: {error}", path=mat, remedy=_REMEDY) from error
    (root / "splits.json").write_text(json.dumps(splits), encoding="utf-8")


def _unpack_pair(file: Any, pictures: Any, folder: Path, pair: int) -> None:
    """MATLAB stores columns first: (10, persons) references to (3, W, H) pictures, the first five of view 1."""
    import cv2

    for number, row in enumerate(pictures):
        for person, reference in enumerate(row, 1):
            picture = np.asarray(file[reference])
            if picture.ndim == 3:  # a person seen fewer than ten times has empty entries
                path = folder / f"{pair}_{person:04d}_{1 if number < 5 else 2}_{number:02d}.png"
                cv2.imwrite(str(path), np.ascontiguousarray(picture.transpose(2, 1, 0)[..., ::-1]))


def _records(folder: Path) -> tuple[Record, ...]:
    records = []
    for path in files(folder, 1, "1_0007_2_09.png", _REMEDY):
        match = _NAME.match(path.name)
        if not match:
            raise DataError("expected a name like 1_0007_2_09.png", path=path, remedy=_REMEDY)
        records.append(Record(path, int(match[1]) * _PAIR + int(match[2]), int(match[3])))
    return tuple(records)
