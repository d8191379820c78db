"""Pictures of a whole evaluation: what the first answers look like, and how identities lie apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.data.records import JUNK, DatasetSplit
from reid.evaluate import Embeddings
from reid.extract import read_crop
from reid.pictures import embedding_plot, ranked_list, save_picture, stack
from reid.protocols import PROTOCOLS

__all__ = ["ranked_lists", "write_showcase"]


def write_showcase(folder: Path, split: DatasetSplit, query: Embeddings | None, gallery: Embeddings) -> None:
    """Write ``ranked_lists.png``, of up to ten queries, and ``embedding.png``, of up to 30 identities.

    Without queries, where the protocol draws them, there are no ranked lists.

    Raises:
        ConfigError: The files cannot be written.
        DataError: A crop cannot be read.
    """
    if query is not None:
        save_picture(folder / "ranked_lists.png", ranked_lists(split, query, gallery))
    shown = np.unique(gallery.vehicle_id[gallery.vehicle_id != JUNK])[:30]
    some = np.isin(gallery.vehicle_id, shown)
    save_picture(folder / "embedding.png", embedding_plot(_unit(gallery.features[some]), gallery.vehicle_id[some]))


def ranked_lists(
    split: DatasetSplit,
    query: Embeddings,
    gallery: Embeddings,
    *,
    count: int = 10,
    depth: int = 10,
    size_hw: tuple[int, int] = (96, 96),
) -> NDArray[Any]:
    """One row per query with its first answers; queries are taken at equal distances from the whole list."""
    rows = []
    asked, offered = _unit(query.features), _unit(gallery.features)
    for i in np.unique(np.linspace(0, len(query) - 1, min(count, len(query))).round().astype(int)):
        similarity = offered @ asked[i]
        right = gallery.vehicle_id == query.vehicle_id[i]
        left_out = gallery.vehicle_id == JUNK
        if PROTOCOLS[split.protocol].camera_rule:
            left_out |= right & (gallery.camera_id == query.camera_id[i])
        similarity[left_out] = -np.inf
        first = np.argsort(-similarity, kind="stable")[: min(depth, int((~left_out).sum()))]
        crops = [read_crop(split.gallery[k], size_hw) for k in first]
        rows.append(
            ranked_list(read_crop(split.query[i], size_hw), crops, right[first].tolist(), similarity[first].tolist())
        )
    return stack(rows)


def _unit(features: NDArray[Any]) -> NDArray[Any]:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(length, np.finfo(features.dtype).tiny))
