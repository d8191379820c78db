"""Market-1501 and DukeMTMC-reID: persons, six and eight cameras, the same layout.

::

    bounding_box_train/ query/ bounding_box_test/    0002_c1s1_000451_03.jpg, 0005_c2_f0046985.jpg: identity, camera
    gt_bbox/                                         Market-1501 only: all crops of the queries, for multi_query

Identity −1 is junk. Identity 0 of the gallery is a distractor: it stays there and is never right. Only where a query
has identity 0, too, as in data of one's own that are numbered from 0, is it one like the others.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from reid.data.checks import compare_counts, files
from reid.data.records import DISTRACTOR, JUNK, DatasetSplit, Record
from reid.errors import DataError

__all__ = ["OFFICIAL_DUKE", "OFFICIAL_MARKET", "load_duke", "load_market"]

OFFICIAL_MARKET = {
    "training images": 12_936,
    "training identities": 751,
    "queries": 3_368,
    "query identities": 750,
    "gallery images": 19_732,
    "junk images": 3_819,
}
#: DukeMTMC-reID was withdrawn by its authors; the loader is for those who hold a copy by right.
OFFICIAL_DUKE = {
    "training images": 16_522,
    "training identities": 702,
    "queries": 2_228,
    "gallery images": 17_661,
}

_NAME = re.compile(r"(-?[0-9]{1,18})_c([0-9]{1,18})(?=s[0-9]|_|\.)")


def load_market(root: Path, *, multi_query: bool = False, check_counts: bool = True) -> DatasetSplit:
    """Read Market-1501.

    Args:
        root: The folder.
        multi_query: Query with all crops of a query's person and camera, which are in ``gt_bbox``, instead of one.
        check_counts: Compare with the published numbers.

    Raises:
        DataError: Something is missing, badly named, or not as many as published.
    """
    split = _load(root, "Market-1501", "market1501", OFFICIAL_MARKET if check_counts else {})
    return _with_all_crops(split, root / "gt_bbox") if multi_query else split


def load_duke(root: Path, *, check_counts: bool = True) -> DatasetSplit:
    """Read DukeMTMC-reID.

    Raises:
        DataError: Something is missing, badly named, or not as many as published.
    """
    return _load(root, "DukeMTMC-reID", "dukemtmc", OFFICIAL_DUKE if check_counts else {})


def _with_all_crops(split: DatasetSplit, folder: Path) -> DatasetSplit:
    """The split with the crops of a folder that share identity and camera with a query, which the protocol pools."""
    asked = {(r.vehicle_id, r.camera_id) for r in split.query}
    query = tuple(r for r in _records(folder, "Market-1501") if (r.vehicle_id, r.camera_id) in asked)
    return replace(split, name=f"{split.name}-multi-query", protocol="market-multi-query", query=query)


def _load(root: Path, title: str, name: str, official: dict[str, int]) -> DatasetSplit:
    train, query, gallery = (
        _records(root / part, title) for part in ("bounding_box_train", "query", "bounding_box_test")
    )
    found = {
        "training images": len(train),
        "training identities": len({r.vehicle_id for r in train}),
        "queries": len(query),
        "query identities": len({r.vehicle_id for r in query}),
        "gallery images": len(gallery),
        "junk images": sum(r.vehicle_id == JUNK for r in gallery),
    }
    compare_counts(title, root, found, official)
    if not any(r.vehicle_id == 0 for r in query):
        gallery = tuple(r._replace(vehicle_id=DISTRACTOR) if r.vehicle_id == 0 else r for r in gallery)
    return DatasetSplit(name, "market", train, query, gallery)


def _records(folder: Path, title: str) -> tuple[Record, ...]:
    remedy = f"unpack {title} here"
    records = []
    for path in files(folder, 1, "0002_c1s1_000451_03.jpg", remedy):
        match = _NAME.match(path.name)
        if not match:
            raise DataError("expected a name that starts like 0002_c1s1_ or 0002_c1_", path=path, remedy=remedy)
        records.append(Record(path, int(match[1]), int(match[2])))
    return tuple(records)
