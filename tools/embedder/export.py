"""From a training's checkpoint to what is shipped: an ONNX file and its card, calibrated."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from mtmc.types import Array
from reid.card import card_path, write_card
from reid.evaluation.retrieval import Embeddings, pool
from reid.export import export_checkpoint
from tools.embedder.evaluate import embed_crops, open_embedder, score

__all__ = ["equal_error", "export", "pair_similarities"]


def equal_error(same: Array, other: Array) -> tuple[float, float]:
    """The threshold at which pairs of one vehicle are missed as often as pairs of two are taken for one.

    Args:
        same: Similarities of pairs of one vehicle, (S,).
        other: Of pairs of two vehicles, (O,).

    Returns:
        The threshold, and the rate of both errors there.
    """
    steps = np.unique(np.concatenate([same, other]))
    missed = np.searchsorted(np.sort(same), steps, side="left") / len(same)
    mixed = 1 - np.searchsorted(np.sort(other), steps, side="left") / len(other)
    best = int(np.argmin(np.abs(missed - mixed)))
    return float(steps[best]), float((missed[best] + mixed[best]) / 2)


def pair_similarities(tracklets: Embeddings) -> tuple[Array, Array]:
    """Cosines of all pairs in different cameras: those of one vehicle (S,), and those of two (O,)."""
    length = np.linalg.norm(tracklets.features, axis=1, keepdims=True)
    unit = tracklets.features / np.maximum(length, 1e-12)
    first, second = np.triu_indices(len(unit), k=1)
    across = tracklets.camera_id[first] != tracklets.camera_id[second]
    first, second = first[across], second[across]
    cosine = np.einsum("nd,nd->n", unit[first], unit[second])
    one = tracklets.vehicle_id[first] == tracklets.vehicle_id[second]
    return cosine[one], cosine[~one]


def export(checkpoint: Path, crops: Path, out: Path) -> tuple[float, float]:
    """Write ``out`` and its card, calibrated and scored on the crops' held-out part.

    A tracklet there is the mean of a vehicle's pictures by one camera, lookalikes included.

    Args:
        checkpoint: Folder of a training.
        crops: The folder that holds ``crops``.
        out: The ``.onnx`` file.

    Returns:
        ``match_similarity``, and the rate of both errors at it.
    """
    card = export_checkpoint(checkpoint, out)
    (query, query_look), (gallery, gallery_look) = embed_crops(open_embedder(out), crops)
    both = Embeddings(
        np.concatenate([query.features, gallery.features]),
        np.concatenate([query.vehicle_id, gallery.vehicle_id]),
        np.concatenate([query.camera_id, gallery.camera_id]),
    )
    threshold, error = equal_error(*pair_similarities(pool(both)))
    found = score(query, gallery, query_look, gallery_look)
    scores = {
        "held-out crops mAP": round(found.map, 4),
        "held-out crops rank-1": round(found.rank1, 4),
        "held-out crops equal error of tracklets": round(error, 4),
    }
    about = dataclasses.replace(
        card,
        name="synthcity_small",
        match_similarity=round(threshold, 3),
        trained_on="the synthetic city's crops (tools/synthcity), from random weights",
        scores=scores,
        license="Apache-2.0",
        source="docs/embedder.md",
    )
    write_card(about, card_path(out))
    return threshold, error
