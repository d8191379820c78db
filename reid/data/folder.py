"""A plain folder of crops.

::

    <identity>/<camera>/*.jpg      any names; .jpg, .jpeg, .png or .bmp
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reid.data.checks import need
from reid.data.records import DatasetSplit, Record
from reid.errors import DataError

__all__ = ["load", "records"]

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}


def load(root: Path, *, held_out: float = 0.5, seed: int = 0, check_counts: bool = True) -> DatasetSplit:
    """Read the folder and hold out a share of its identities for retrieval.

    Of each held-out identity and camera one crop, drawn at random, is a query. The gallery is all held-out crops: the
    camera rule keeps a query from finding itself.

    Args:
        root: The folder.
        held_out: Share of the identities for retrieval; 0 and 1 are allowed.
        seed: Of both draws.
        check_counts: Without effect: nothing is published about a folder of one's own.

    Raises:
        DataError: No crops are found.
    """
    found = records(root)
    rng = np.random.default_rng(seed)
    everyone = sorted({r.vehicle_id for r in found})
    tested = set(rng.permutation(everyone)[: round(held_out * len(everyone))].tolist())
    gallery = tuple(r for r in found if r.vehicle_id in tested)
    seen: dict[tuple[int, int], list[Record]] = {}
    for r in gallery:
        seen.setdefault((r.vehicle_id, r.camera_id), []).append(r)
    query = tuple(same[int(rng.integers(len(same)))] for same in seen.values())
    return DatasetSplit(root.name, "folder", tuple(r for r in found if r.vehicle_id not in tested), query, gallery)


def records(root: Path) -> tuple[Record, ...]:
    """All crops, identities and cameras numbered from 0 in the order of their names.

    Raises:
        DataError: No crops are found.
    """
    remedy = "put the crops into folders identity/camera/"
    found = sorted(
        path
        for path in need(root, "a folder identity/camera/*.jpg", remedy).glob("*/*/*")
        if path.suffix.lower() in _SUFFIXES
    )
    if not found:
        raise DataError("expected pictures in identity/camera/, found none", path=root, remedy=remedy)
    identity = {name: i for i, name in enumerate(sorted({p.parts[-3] for p in found}))}
    camera = {name: i for i, name in enumerate(sorted({p.parts[-2] for p in found}))}
    return tuple(Record(p, identity[p.parts[-3]], camera[p.parts[-2]]) for p in found)
