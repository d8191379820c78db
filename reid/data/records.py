"""What a re-identification data set is: records of crops, split for training and for retrieval.

::

    a folder in some published layout ─► veri.load, market.load, … ─► DatasetSplit(train, query, gallery)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid.errors import ConfigError, DataError

__all__ = [
    "DISTRACTOR",
    "JUNK",
    "DatasetSplit",
    "Record",
    "Track",
    "cameras",
    "class_labels",
    "digest",
    "held_out_identities",
    "hold_out",
    "identities",
    "together",
    "views",
    "with_own_names",
]

#: The identity of a crop that shows no labeled vehicle or person and is never counted.
JUNK = -1
#: The identity of a gallery crop that shows no query's vehicle or person: it is ranked like all others, never right.
DISTRACTOR = -2


class Record(NamedTuple):
    """One crop and what is known of it.

    Attributes:
        path: The image file.
        vehicle_id: Identity within the data set, or :data:`JUNK` or :data:`DISTRACTOR`.
        camera_id: Camera number within the data set; 0 where the data set has no cameras.
        view: Viewpoint label; −1 where unknown.
    """

    path: Path
    vehicle_id: int
    camera_id: int
    view: int = -1


class Track(NamedTuple):
    """The crops of one vehicle in one camera, as one gallery entry.

    Attributes:
        vehicle_id: Identity.
        camera_id: Camera number.
        items: Indices into the gallery.
    """

    vehicle_id: int
    camera_id: int
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DatasetSplit:
    """A data set, ready for training and retrieval. No identity occurs on both sides.

    Attributes:
        name: What results call it, including its variant (``vehicleid-800``).
        protocol: Key of :data:`reid.evaluation.protocols.PROTOCOLS`: how query meets gallery.
        train: Crops to learn from.
        query: Crops to look for; empty where the protocol draws queries out of the gallery.
        gallery: Crops to look among.
        tracks: Gallery crops grouped by track, where the data set groups them.

    Raises:
        DataError: An identity occurs in training and in retrieval.
        ValueError: A track points outside the gallery.
    """

    name: str
    protocol: str
    train: tuple[Record, ...] = ()
    query: tuple[Record, ...] = ()
    gallery: tuple[Record, ...] = ()
    tracks: tuple[Track, ...] = ()

    def __post_init__(self) -> None:
        tested = {r.vehicle_id for part in (self.query, self.gallery) for r in part} - {JUNK, DISTRACTOR}
        shared = sorted(tested & {r.vehicle_id for r in self.train})
        if shared:
            named = ", ".join(map(str, shared[:5])) + (", …" if len(shared) > 5 else "")
            which = f"the identity {named} occurs" if len(shared) == 1 else f"the identities {named} occur"
            raise DataError(
                f"{self.name}: {which} in training and in retrieval, so scores would be of vehicles already seen",
                remedy="take their pictures out of one of the two parts, or give them other numbers",
            )
        outside = [i for track in self.tracks for i in track.items if not 0 <= i < len(self.gallery)]
        if outside:
            raise ValueError(f"{self.name}: track item {outside[0]} is outside a gallery of {len(self.gallery)}")


def identities(records: Sequence[Record]) -> NDArray[Any]:
    """The identities as int64 (N,)."""
    return np.fromiter((r.vehicle_id for r in records), np.int64, len(records))


def cameras(records: Sequence[Record]) -> NDArray[Any]:
    """The camera numbers as int64 (N,)."""
    return np.fromiter((r.camera_id for r in records), np.int64, len(records))


def views(records: Sequence[Record]) -> NDArray[Any]:
    """The viewpoint labels as int64 (N,), −1 where unknown."""
    return np.fromiter((r.view for r in records), np.int64, len(records))


def class_labels(records: Sequence[Record]) -> NDArray[Any]:
    """Identities renumbered 0 … C−1 in ascending order, as int64 (N,): the targets of a classifier."""
    return np.unique(identities(records), return_inverse=True)[1].astype(np.int64).reshape(-1)


def digest(records: Iterable[Record]) -> str:
    """SHA-256 of the pictures' names, identities, cameras and views in their order, wherever the files are stored."""
    return hashlib.sha256(json.dumps([(r.path.name, *r[1:]) for r in records]).encode()).hexdigest()


def held_out_identities(records: Sequence[Record], share: float, rng: np.random.Generator) -> set[int]:
    """Identities drawn for retrieval, ``share`` of all of them, rounded.

    Raises:
        ConfigError: ``share`` is not in 0…1.
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"held_out: expected a share of the identities from 0 to 1, got {share}")
    present = sorted({r.vehicle_id for r in records})
    return set(rng.permutation(present)[: round(share * len(present))].tolist())


def hold_out(
    records: Sequence[Record], share: float, rng: np.random.Generator
) -> tuple[tuple[Record, ...], tuple[Record, ...], tuple[Record, ...]]:
    """Training, query and gallery: a share of the identities is kept for retrieval.

    Of each identity kept and each of its cameras one crop, drawn at random, is a query. The gallery is all crops of
    these identities: the camera rule keeps a query from finding itself.

    Raises:
        ConfigError: ``share`` is not in 0…1.
    """
    tested = held_out_identities(records, share, rng)
    gallery = tuple(r for r in records if r.vehicle_id in tested)
    seen: dict[tuple[int, int], list[Record]] = {}
    for r in gallery:
        seen.setdefault((r.vehicle_id, r.camera_id), []).append(r)
    query = tuple(same[int(rng.integers(len(same)))] for same in seen.values())
    return tuple(r for r in records if r.vehicle_id not in tested), query, gallery


def with_own_names(splits: Sequence[DatasetSplit]) -> tuple[DatasetSplit, ...]:
    """The data sets, those of equal names with their position, from 1, behind the name."""
    names = [split.name for split in splits]
    return tuple(
        split if names.count(split.name) == 1 else replace(split, name=f"{split.name}-{number}")
        for number, split in enumerate(splits, start=1)
    )


def together(splits: Sequence[DatasetSplit]) -> DatasetSplit:
    """Several data sets as one to learn from; one alone stays as it is.

    Identities and cameras are numbered anew, so that equal numbers of different data sets stay apart. There are no
    queries: every data set is measured by its own protocol.
    """
    if len(splits) == 1:
        return splits[0]
    train: list[Record] = []
    gallery: list[Record] = []
    vehicles = cameras_before = 0
    for split in splits:
        both = (*split.train, *split.gallery)
        vehicle = {v: vehicles + i for i, v in enumerate(sorted({r.vehicle_id for r in both} - {JUNK, DISTRACTOR}))}
        camera = {c: cameras_before + i for i, c in enumerate(sorted({r.camera_id for r in both}))}
        vehicles, cameras_before = vehicles + len(vehicle), cameras_before + len(camera)
        vehicle |= {JUNK: JUNK, DISTRACTOR: DISTRACTOR}
        renumbered = [r._replace(vehicle_id=vehicle[r.vehicle_id], camera_id=camera[r.camera_id]) for r in both]
        train += renumbered[: len(split.train)]
        gallery += renumbered[len(split.train) :]
    name = "+".join(split.name for split in splits)
    return DatasetSplit(name, splits[0].protocol, tuple(train), gallery=tuple(gallery))
