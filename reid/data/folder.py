"""A plain folder of crops.

::

    <identity>/<camera>/*.jpg      any names; pictures of any usual format
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reid.data.checks import files
from reid.data.records import DatasetSplit, Record, hold_out

__all__ = ["load", "records"]


def load(root: Path, *, held_out: float = 0.5, seed: int = 0, check_counts: bool = True) -> DatasetSplit:
    """Read the folder and hold out a share of its identities for retrieval.

    See :func:`reid.data.records.hold_out`.

    Args:
        root: The folder.
        held_out: Share of the identities for retrieval; 0 and 1 are allowed.
        seed: Of both draws.
        check_counts: Without effect: nothing is published about a folder of one's own.

    Raises:
        ConfigError: ``held_out`` is no share.
        DataError: No crops are found, or some lie where they would be left out.
    """
    train, query, gallery = hold_out(records(root), held_out, np.random.default_rng(seed))
    return DatasetSplit(root.name, "folder", train, query, gallery)


def records(root: Path) -> tuple[Record, ...]:
    """All crops, identities and cameras numbered from 0 in the order of their names.

    Raises:
        DataError: No crops are found.
    """
    remedy = "put the crops into folders identity/camera/"
    found = files(root, 3, "identity/camera/1.jpg", remedy)
    identity = {name: i for i, name in enumerate(sorted({p.parts[-3] for p in found}))}
    camera = {name: i for i, name in enumerate(sorted({p.parts[-2] for p in found}))}
    return tuple(Record(p, identity[p.parts[-3]], camera[p.parts[-2]]) for p in found)
