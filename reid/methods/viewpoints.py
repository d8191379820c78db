"""Viewpoint labels for training images: coarser classes, mirror images, gaps, and a small classifier.

Eight viewpoints are known to annotations: 0 front, 1 rear, 2 left, 3 left-front, 4 left-rear, 5 right,
6 right-front, 7 right-rear; -1 is unknown.
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from reid.data.loader import CropDataset, make_loader
from reid.data.records import Record
from reid.data.sampler import ShuffledBatches
from reid.data.views import AugmentationRecipe
from reid.errors import DataError
from reid.losses.identity import smoothed_cross_entropy
from reid.networks.base import Backbone
from reid.progress import progress

__all__ = ["MIRRORED", "SUBCLASS", "cached", "classify", "fill_from_neighbors", "read_labels"]

#: ``SUBCLASS[V][viewpoint]`` is the class among V; the pure sides belong to neither half of a car.
SUBCLASS: dict[int, tuple[int, ...]] = {
    1: (0,) * 8,
    2: (0, 1, -1, 0, 1, -1, 0, 1),
    4: (0, 1, 2, 2, 2, 3, 3, 3),
    8: tuple(range(8)),
}

#: ``MIRRORED[V][class]`` is the class of the mirror image.
MIRRORED: dict[int, tuple[int, ...]] = {1: (0,), 2: (0, 1), 4: (0, 1, 3, 2), 8: (0, 1, 5, 6, 7, 2, 3, 4)}

_LOG = logging.getLogger(__name__)

_REAR = 1  # in each of the numberings with more than one class


def read_labels(path: Path, records: Sequence[Record]) -> NDArray[Any]:
    """Viewpoints of the records that a list names.

    Args:
        path: CSV with the columns ``path`` and ``view`` (0 … 7, or -1 for unknown). A record is found by the name of
            its file; where names repeat, by as many folders before it as tell all records apart.
        records: N of them.

    Returns:
        int64 (N,), -1 where the list has no entry.

    Raises:
        DataError: The list is missing or malformed, names no record, or gives one two viewpoints.
    """
    remedy = "give a CSV with the columns path and view, viewpoints 0…7"
    depth = _distinct_depth([record.path for record in records])
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [
                (number, Path(row["path"]), int(row["view"])) for number, row in enumerate(csv.DictReader(file), 2)
            ]
    except OSError as cause:
        raise DataError(f"cannot be read: {cause.strerror}", path=path, remedy=remedy) from cause
    except (KeyError, ValueError, TypeError) as cause:
        raise DataError("expected a path and a view in every row", path=path, remedy=remedy) from cause
    listed: dict[tuple[str, ...], int] = {}
    for number, named, view in rows:
        if not -1 <= view <= 7:
            raise DataError(f"expected a viewpoint 0…7, got {view}", path=path, line=number, remedy=remedy)
        if len(named.parts) < depth:
            example = Path(*records[0].path.parts[-depth:])
            raise DataError(
                f"expected a path such as {example}, got {named}: files in several folders have the same name",
                path=path,
                line=number,
                remedy=f"give the last {depth} parts of every path",
            )
        if listed.setdefault(named.parts[-depth:], view) != view:
            raise DataError(f"expected one viewpoint of {named}, got two", path=path, line=number, remedy=remedy)
    found = np.array([listed.get(r.path.parts[-depth:], -1) for r in records], np.int64)
    if (found < 0).all():
        raise DataError("expected viewpoints of training images, found none", path=path, remedy=remedy)
    return found


def _distinct_depth(paths: Sequence[Path]) -> int:
    """The least number of last parts by which all paths differ; 1 where file names differ."""
    different = len(set(paths))
    depth = 1
    while len({path.parts[-depth:] for path in paths}) < different:
        depth += 1
    return depth


def fill_from_neighbors(classes: NDArray[Any], records: Sequence[Record]) -> NDArray[Any]:
    """Give images of unknown class (-1) that of the nearest known one of the same vehicle and camera, else rear.

    Nearest is by the order of file names, which hold frame numbers in the usual data sets. The log says how many are
    filled in which way.
    """
    filled = classes.copy()
    guessed = 0
    passages: dict[tuple[int, int], list[int]] = {}
    for i in sorted(range(len(records)), key=lambda i: str(records[i].path)):
        passages.setdefault((records[i].vehicle_id, records[i].camera_id), []).append(i)
    for members in passages.values():
        known = [place for place, i in enumerate(members) if classes[i] >= 0]
        for place, i in enumerate(members):
            if classes[i] < 0:
                near = min(known, key=lambda other: abs(other - place), default=None)
                filled[i] = _REAR if near is None else classes[members[near]]
                guessed += near is None
    unknown = int((classes < 0).sum())
    _LOG.info(
        "viewpoints of %d pictures: %d known, %d as the nearest in their passage, %d counted as rear because none in "
        "their passage is known (options.unknown: classify predicts them)",
        len(classes),
        len(classes) - unknown,
        unknown - guessed,
        guessed,
    )
    return filled


def classify(
    backbone: Backbone,
    records: Sequence[Record],
    classes: NDArray[Any],
    recipe: AugmentationRecipe,
    extract: Callable[..., Tensor],
    *,
    count: int,
    epochs: int,
    device: torch.device,
    seed: int,
) -> NDArray[Any]:
    """Learn the viewpoint from the few images where it is known and predict it for the others.

    Args:
        backbone: A fresh one.
        records: N images.
        classes: int64 (N,), -1 where unknown.
        recipe: How an image is seen when tested.
        extract: See :data:`reid.methods.base.Extract`.
        count: V.
        epochs: Passes over the labeled images.
        device: Where to compute.
        seed: Of batches and colors; mirror images are not used, since they change the class.

    Returns:
        int64 (N,) without unknowns; known ones stay.

    Raises:
        DataError: A viewpoint has no labeled image.
    """
    known = np.flatnonzero(classes >= 0).tolist()
    absent = sorted(set(range(count)) - set(classes[known].tolist()))
    if absent:
        raise DataError(f"viewpoint class {absent[0]} has no labeled image", remedy="label a few of each")
    torch.manual_seed(seed)
    network = nn.Sequential(backbone, nn.Linear(backbone.dim, count)).to(device)
    colored = replace(recipe, crop="pad", jitter_p=0.5)
    crops = CropDataset(
        [records[i] for i in known], [colored], labels=classes[known], mean=backbone.mean, std=backbone.std
    )
    batches = ShuffledBatches(len(known), 32, seed=seed)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-4, weight_decay=1e-4)
    network.train()
    for epoch in progress(range(epochs), f"viewpoints of {len(known)} labeled pictures", unit="epoch"):
        batches.epoch = epoch
        for batch in make_loader(crops, batches):
            loss = smoothed_cross_entropy(network(batch.views[0].to(device)), batch.label.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    predicted = extract(network, records, recipe, backbone).argmax(1).numpy()
    return np.where(classes >= 0, classes, predicted)


def cached(
    path: Path,
    records: Sequence[Record],
    classes: NDArray[Any],
    facts: Sequence[Any],
    make: Callable[[], NDArray[Any]],
) -> Any:
    """The labels kept at ``path`` if they were made from the same inputs, else new ones, which are kept.

    Args:
        path: The file.
        records: N images.
        classes: int64 (N,), what is known of them, −1 where nothing.
        facts: JSON values; all else that decides the labels: network, weights, size, epochs, seed.
        make: Makes new labels, int64 (N,).
    """
    images = [(str(r.path), int(c)) for r, c in zip(records, classes, strict=True)]
    key = hashlib.sha256(json.dumps([images, facts]).encode()).hexdigest()
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["key"] == key:
            return np.array(kept["classes"], np.int64)
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"key": key, "classes": made.tolist()}), encoding="utf-8")
    return made
