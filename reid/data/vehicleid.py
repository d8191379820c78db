"""VehicleID: front or rear views without camera numbers; the gallery is drawn at random from each test list.

::

    image/*.jpg
    train_test_split/train_list.txt test_list_800.txt test_list_1600.txt test_list_2400.txt    image number, identity
"""

from __future__ import annotations

from pathlib import Path

from reid.data.checks import check_present, compare_counts, lines, whole_number
from reid.data.records import DatasetSplit, Record
from reid.errors import ConfigError, DataError

__all__ = ["OFFICIAL", "load"]

#: Published counts: test images by test size.
OFFICIAL = {"training images": 113_346, "training identities": 13_164}
_TEST_IMAGES = {800: 6_493, 1600: 13_377, 2400: 19_777}

_REMEDY = "request VehicleID from its authors and unpack it here"


def load(root: Path, *, size: int = 800, check_counts: bool = True) -> DatasetSplit:
    """Read the lists; all test images are in ``gallery``, out of which the protocol draws.

    Args:
        root: The folder.
        size: Identities in the test list: 800, 1600 or 2400.
        check_counts: Compare with the published numbers.

    Raises:
        ConfigError: No such test size.
        DataError: Something is missing, badly written, or not as many as published.
    """
    if size not in _TEST_IMAGES:
        raise ConfigError(f"expected a test size of 800, 1600 or 2400, got {size}")
    train = _records(root, "train_list.txt")
    test = _records(root, f"test_list_{size}.txt")
    if check_counts:
        official = {**OFFICIAL, "test images": _TEST_IMAGES[size], "test identities": size}
        found = {
            "training images": len(train),
            "training identities": len({r.vehicle_id for r in train}),
            "test images": len(test),
            "test identities": len({r.vehicle_id for r in test}),
        }
        compare_counts("VehicleID", root, found, official)
    check_present((r.path for r in train + test), _REMEDY)
    return DatasetSplit(f"vehicleid-{size}", "vehicleid", train, (), test)


def _records(root: Path, name: str) -> tuple[Record, ...]:
    path = root / "train_test_split" / name
    records = []
    for number, line in lines(path, "a list of images and identities", _REMEDY):
        words = line.split()
        if len(words) != 2 or whole_number(words[1]) is None:
            raise DataError(f"expected an image and an identity, got {line!r}", path=path, line=number)
        records.append(Record(root / "image" / f"{words[0]}.jpg", int(words[1]), 0))
    return tuple(records)
