"""CityFlow-ReID: the crops of the AI City Challenge, track 2.

The identities of the test part are known to the challenge's server alone, so retrieval is measured on training
identities held out by a fixed draw; the result is called ``cityflow-val`` and cannot be compared with the server's.

::

    image_train/*.jpg
    train_label.xml       <Item imageName="000001.jpg" vehicleID="0001" cameraID="c001" />, in GB2312
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from reid.data.checks import check_present, compare_counts, need
from reid.data.records import DatasetSplit, Record, held_out_identities
from reid.errors import ConfigError, DataError

__all__ = ["OFFICIAL", "load"]

#: Published counts of the labeled part, by edition of the challenge.
OFFICIAL = {
    2019: {"labeled images": 36_935, "labeled identities": 333},
    2021: {"labeled images": 52_717, "labeled identities": 440},
}

_REMEDY = "request the data of AI City Challenge track 2 and unpack it here"


def load(
    root: Path, *, edition: int = 2019, held_out: float = 100 / 333, seed: int = 0, check_counts: bool = True
) -> DatasetSplit:
    """Read the labels and hold out identities for retrieval.

    Args:
        root: The folder.
        edition: 2019 (also used in 2020) or 2021 (also used in 2022); only the published counts depend on it.
        held_out: Share of the identities that is held out: 100 of 333 by default.
        seed: Of the draw of identities, and of the one query of each held-out identity and camera.
        check_counts: Compare with the published numbers.

    Raises:
        ConfigError: No such edition.
        DataError: Something is missing, badly written, or not as many as published.
    """
    if edition not in OFFICIAL:
        raise ConfigError(f"expected edition 2019 or 2021, got {edition}")
    records = _records(root)
    if check_counts:
        found = {"labeled images": len(records), "labeled identities": len({r.vehicle_id for r in records})}
        compare_counts(f"CityFlow-ReID {edition}", root, found, OFFICIAL[edition])
    check_present((r.path for r in records), _REMEDY)
    return _hold_out(records, held_out, np.random.default_rng(seed))


def _records(root: Path) -> tuple[Record, ...]:
    path = need(root / "train_label.xml", "the labels of image_train", _REMEDY)
    try:
        # The parser knows no GB2312, and the declaration would forbid it to read decoded text.
        tree = ElementTree.fromstring(path.read_bytes().decode("gb18030").split("?>", 1)[-1])
        return tuple(
            Record(
                root / "image_train" / item.attrib["imageName"],
                int(item.attrib["vehicleID"]),
                int(item.attrib["cameraID"].lower().lstrip("c")),
            )
            for item in tree.iter("Item")
        )
    except (ElementTree.ParseError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise DataError(
            f"expected Items with imageName, vehicleID and cameraID: {error}", path=path, remedy=_REMEDY
        ) from error


def _hold_out(records: tuple[Record, ...], share: float, rng: np.random.Generator) -> DatasetSplit:
    tested = held_out_identities(records, share, rng)
    seen: dict[tuple[int, int], list[int]] = {}
    for i, r in enumerate(records):
        if r.vehicle_id in tested:
            seen.setdefault((r.vehicle_id, r.camera_id), []).append(i)
    asked = {int(rng.choice(seen[key])) for key in sorted(seen)}
    return DatasetSplit(
        "cityflow-val",
        "cityflow",
        train=tuple(r for r in records if r.vehicle_id not in tested),
        query=tuple(records[i] for i in sorted(asked)),
        gallery=tuple(r for i, r in enumerate(records) if r.vehicle_id in tested and i not in asked),
    )
