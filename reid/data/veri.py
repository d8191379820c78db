"""VeRi-776: vehicles at 20 crossings, one query per vehicle and camera, the gallery also by track.

::

    image_train/ image_query/ image_test/    0001_c001_00016450_0.jpg: identity, camera 1 … 20
    test_track.txt                           a line per track: 0002_c002_… and then its pictures in image_test
    keypoint_train.txt                       only for with_views: picture, 20 keypoints, viewpoint 0 … 7
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from reid.data.checks import compare_counts, files, lines
from reid.data.records import DatasetSplit, Record, Track
from reid.errors import DataError

__all__ = ["OFFICIAL", "VIEWPOINTS", "load", "with_views"]

#: Published counts. The number of identities is given as 775 and as 776, so it is not checked.
OFFICIAL = {"training images": 37_778, "queries": 1_678, "gallery images": 11_579, "cameras": 20}

#: What the published viewpoint numbers mean, in order.
VIEWPOINTS = ("front", "rear", "left", "left-front", "left-rear", "right", "right-front", "right-rear")

_REMEDY = "request VeRi-776 from its authors and unpack it here"
_NAME = re.compile(r"([0-9]{1,18})_c([0-9]{1,18})_")


def load(root: Path, *, check_counts: bool = True) -> DatasetSplit:
    """Read the folder; camera numbers count from 1 as in the file names.

    Raises:
        DataError: Something is missing, badly named, or not as many as published.
    """
    train, query, gallery = (_records(root / f"image_{part}") for part in ("train", "query", "test"))
    if check_counts:
        found = {
            "training images": len(train),
            "queries": len(query),
            "gallery images": len(gallery),
            "cameras": len({r.camera_id for r in train + query + gallery}),
        }
        compare_counts("VeRi-776", root, found, OFFICIAL)
    return DatasetSplit("veri776", "veri", train, query, gallery, _tracks(root / "test_track.txt", gallery))


def with_views(records: Sequence[Record], annotation: Path) -> tuple[Record, ...]:
    """The records with their published viewpoints; −1 stays where the annotation does not list a picture.

    Args:
        records: As :func:`load` returns them.
        annotation: ``keypoint_train.txt`` of the orientation-invariant embedding's annotation.

    Raises:
        DataError: A line does not end in a viewpoint 0 … 7.
    """
    views = {}
    for number, line in lines(annotation, "a viewpoint annotation", "fetch VehicleReIDKeyPointData"):
        name, *_, view = line.split()
        if view not in {str(v) for v in range(len(VIEWPOINTS))}:
            raise DataError(
                f"expected a viewpoint 0…7 in the last column, got {view!r}", path=annotation, line=number
            )
        views[Path(name).name] = int(view)
    return tuple(r._replace(view=views.get(r.path.name, -1)) for r in records)


def _records(folder: Path) -> tuple[Record, ...]:
    records = []
    for path in files(folder, 1, "0001_c001_00016450_0.jpg", _REMEDY):
        match = _NAME.match(path.name)
        if not match:
            raise DataError("expected a name like 0001_c001_00016450_0.jpg", path=path, remedy=_REMEDY)
        records.append(Record(path, int(match[1]), int(match[2])))
    return tuple(records)


def _tracks(path: Path, gallery: Sequence[Record]) -> tuple[Track, ...]:
    position = {r.path.name: i for i, r in enumerate(gallery)}
    tracks = []
    for number, line in lines(path, "the list of test tracks", _REMEDY):
        name, *pictures = line.split()
        match = _NAME.match(name)
        unknown = [p for p in pictures if p not in position]
        if not match or not pictures or unknown:
            got = f"the unknown picture {unknown[0]}" if unknown else repr(line[:40])
            raise DataError(f"expected a track and its pictures in image_test, got {got}", path=path, line=number)
        tracks.append(Track(int(match[1]), int(match[2]), tuple(position[p] for p in pictures)))
    return tuple(tracks)
