"""VIPeR: 632 persons, one picture in each of two cameras, half of the persons for training.

::

    cam_a/*.bmp cam_b/*.bmp        000_45.bmp: identity, angle
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reid.data.checks import compare_counts, files, whole_number
from reid.data.records import DatasetSplit, Record
from reid.errors import DataError

__all__ = ["OFFICIAL", "load"]

OFFICIAL = {"identities": 632, "images of camera a": 632, "images of camera b": 632}

_REMEDY = "unpack VIPeR here"


def load(root: Path, *, split: int = 0, check_counts: bool = True) -> DatasetSplit:
    """Read both cameras and draw half of the persons for training.

    Args:
        root: The folder.
        split: Seed of the draw; ten of them, 0 … 9, are reported by convention.
        check_counts: Compare with the published numbers.

    Raises:
        DataError: Something is missing, badly named, or not as many as published.
    """
    first, second = (_records(root / folder, camera) for camera, folder in enumerate(("cam_a", "cam_b")))
    persons = sorted(set(first) | set(second))
    if check_counts:
        found = {
            "identities": len(persons),
            "images of camera a": len(first),
            "images of camera b": len(second),
        }
        compare_counts("VIPeR", root, found, OFFICIAL)
    order = np.random.default_rng(split).permutation(persons).tolist()
    trained, tested = (sorted(half) for half in (order[: len(order) // 2], order[len(order) // 2 :]))
    return DatasetSplit(
        f"viper-{split}",
        "viper",
        train=tuple(camera[i] for i in trained for camera in (first, second) if i in camera),
        query=tuple(first[i] for i in tested if i in first),
        gallery=tuple(second[i] for i in tested if i in second),
    )


def _records(folder: Path, camera: int) -> dict[int, Record]:
    records: dict[int, Record] = {}
    for path in files(folder, 1, "000_45.bmp", _REMEDY):
        identity = whole_number(path.stem.partition("_")[0])
        if identity is None or identity in records:
            raise DataError("expected one picture per person, named like 000_45.bmp", path=path, remedy=_REMEDY)
        records[identity] = Record(path, identity, camera)
    return records
