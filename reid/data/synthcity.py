"""The synthetic city's crops: identities and cameras of the test part are not seen in training.

::

    crops/train/ crops/query/ crops/gallery/    <vehicle>/<camera>_<n>.jpg, both ending in a number: 0042/c003_7.jpg
    crops/index.csv                             optional; columns path (within crops/) and view, others are ignored
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from reid.data.checks import files, need
from reid.data.records import DatasetSplit, Record
from reid.data.veri import VIEWPOINTS
from reid.errors import DataError

__all__ = ["load"]

_REMEDY = "make the crops with python -m tools.synthcity"
_VIEWS = {str(view) for view in range(-1, len(VIEWPOINTS))}
_LAST_NUMBER = re.compile(r"([0-9]+)$")


def load(root: Path, *, check_counts: bool = True) -> DatasetSplit:
    """Read the three folders.

    Args:
        root: The folder that holds ``crops``.
        check_counts: Every query must have a right answer in another camera.

    Raises:
        DataError: Something is missing or badly named, or a query cannot be answered.
    """
    crops = need(root / "crops", "the folder of crops", _REMEDY)
    views = _views(crops / "index.csv")
    train, query, gallery = (_records(crops, part, views) for part in ("train", "query", "gallery"))
    if check_counts:
        cameras: dict[int, set[int]] = {}
        for r in gallery:
            cameras.setdefault(r.vehicle_id, set()).add(r.camera_id)
        for r in query:
            if not cameras.get(r.vehicle_id, set()) - {r.camera_id}:
                raise DataError("this query is in no other camera of the gallery", path=r.path, remedy=_REMEDY)
    return DatasetSplit("synthcity", "synthcity", train, query, gallery)


def _views(path: Path) -> dict[str, int]:
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if not {"path", "view"} <= set(rows.fieldnames or ()):
            raise DataError("expected the columns path and view", path=path, line=1, remedy=_REMEDY)
        views = {}
        for row in rows:
            if row["view"] not in _VIEWS:
                raise DataError(
                    f"expected a viewpoint -1…7 in the column view, got {row['view']!r}",
                    path=path,
                    line=rows.line_num,
                    remedy=_REMEDY,
                )
            views[row["path"]] = int(row["view"])
        return views


def _records(crops: Path, part: str, views: dict[str, int]) -> tuple[Record, ...]:
    records = []
    names: dict[tuple[str, int], str] = {}
    for path in files(crops / part, 2, "0042/c003_7.jpg", _REMEDY):
        vehicle, camera = path.parent.name, path.stem.rpartition("_")[0]
        view = views.get(path.relative_to(crops).as_posix(), -1)
        numbers: dict[str, int] = {}
        for kind, name in (("vehicle", vehicle), ("camera", camera)):
            number = _LAST_NUMBER.search(name)
            if not number:
                raise DataError("expected a name like 0042/c003_7.jpg", path=path, remedy=_REMEDY)
            numbers[kind] = int(number[1])
            other = names.setdefault((kind, numbers[kind]), name)
            if other != name:
                raise DataError(
                    f"expected every {kind} to end in a number of its own, got {other} and {name}", path=path
                )
        records.append(Record(path, numbers["vehicle"], numbers["camera"], view))
    return tuple(records)
