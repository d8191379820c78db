"""VeRi-Wild: 174 cameras, one month; three test sizes.

::

    images/<vehicle>/<image>.jpg
    train_test_split/train_list.txt, test_3000.txt, test_3000_query.txt, … 5000, 10000 (or …_id.txt, …_id_query.txt)
    train_test_split/vehicle_info.txt        a header, then vehicle/image;camera;time;model;type;color
"""

from __future__ import annotations

from pathlib import Path

from reid.data.checks import check_present, compare_counts, lines, need, whole_number
from reid.data.records import DatasetSplit, Record
from reid.errors import ConfigError, DataError

__all__ = ["OFFICIAL", "load"]

#: Published counts of the training part, and (queries, gallery images) by test size.
OFFICIAL = {"training images": 277_797, "training identities": 30_671}
_TEST_IMAGES = {3000: (3_000, 38_861), 5000: (5_000, 64_389), 10_000: (10_000, 128_517)}

_REMEDY = "request VeRi-Wild from its authors and unpack it here"


def load(root: Path, *, size: int = 3000, check_counts: bool = True) -> DatasetSplit:
    """Read the lists; queries that the gallery list repeats are taken out of it.

    Args:
        root: The folder.
        size: Identities in the test list: 3000 (small), 5000 (medium) or 10000 (large).
        check_counts: Compare with the published numbers.

    Raises:
        ConfigError: No such test size.
        DataError: Something is missing, badly written, or not as many as published.
    """
    if size not in _TEST_IMAGES:
        raise ConfigError(f"expected a test size of 3000, 5000 or 10000, got {size}")
    camera = _cameras(root / "train_test_split" / "vehicle_info.txt")
    train = _records(root, camera, "train_list")
    query = _records(root, camera, f"test_{size}_query", f"test_{size}_id_query")
    asked = {r.path for r in query}
    listed = _records(root, camera, f"test_{size}", f"test_{size}_id")
    gallery = tuple(r for r in listed if r.path not in asked)
    if check_counts:
        queries, images = _TEST_IMAGES[size]
        official = {**OFFICIAL, "queries": queries, "gallery images": images}
        found = {
            "training images": len(train),
            "training identities": len({r.vehicle_id for r in train}),
            "queries": len(query),
            "gallery images": len(gallery),
        }
        compare_counts("VeRi-Wild", root, found, official)
    check_present((r.path for r in train + query + gallery), _REMEDY)
    return DatasetSplit(f"veriwild-{size}", "veriwild", train, query, gallery)


def _cameras(path: Path) -> dict[str, int]:
    camera = {}
    for number, line in lines(path, "the camera of each image", _REMEDY)[1:]:
        words = line.split(";")
        if len(words) < 2 or whole_number(words[1].strip()) is None:
            raise DataError(f"expected vehicle/image;camera;…, got {line!r}", path=path, line=number)
        camera[words[0].strip()] = int(words[1])
    return camera


def _records(root: Path, camera: dict[str, int], *names: str) -> tuple[Record, ...]:
    folder = root / "train_test_split"
    found = [p for p in (folder / f"{name}.txt" for name in names) if p.exists()]
    path = found[0] if found else need(folder / f"{names[0]}.txt", "a list of images", _REMEDY)
    records = []
    for number, line in lines(path, "a list of images", _REMEDY):
        key = line.split()[0].removesuffix(".jpg")
        vehicle, _, image = key.partition("/")
        if not image or whole_number(vehicle) is None or key not in camera:
            raise DataError(
                f"expected vehicle/image with a camera in vehicle_info.txt, got {line!r}", path=path, line=number
            )
        records.append(Record(root / "images" / vehicle / f"{image}.jpg", int(vehicle), camera[key]))
    return tuple(records)
