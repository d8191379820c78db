"""Similarity of the vehicles of two cameras, as weights that do not depend on the embedder.

Association fits the densities of the cosines of matching and non-matching pairs
(:mod:`mtmc.multiview.appearance`), which needs candidate pairs and a prior by motion. Learning has neither yet: where
no clock and no transform is known, a pair's rank among all pairs of the two cameras is all there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mtmc.types import Array

__all__ = ["NEGATIVE_PAIR_WEIGHT", "centered_embeddings", "similarity_rank_weights", "similarity_zscore"]

_POWER = 4  # of the rank
NEGATIVE_PAIR_WEIGHT = 1 / 5  #: mean weight of non-matching pairs: E[u⁴] for u uniform on [0, 1]
_NEGATIVE_PAIR_DEVIATION = 4 / 15  # √(E[u⁸] − E[u⁴]²) = √(1/9 − 1/25)


def centered_embeddings(embeddings: Mapping[str, Sequence[Array]]) -> dict[str, Array]:
    """Unit vectors of each camera's embeddings without the camera's mean: float64 (W, D) by camera.

    Rows without an embedding are zeros; D is 0 where no camera has one. The mean is the camera's own, without the
    pull towards the other cameras' mean that :class:`mtmc.multiview.appearance.CameraMeans` has.
    """
    dim = max((len(e) for of_camera in embeddings.values() for e in of_camera), default=0)
    centered = {}
    for camera, of_camera in embeddings.items():
        rows = np.zeros((len(of_camera), dim))
        for row, embedding in zip(rows, of_camera, strict=True):
            row[: len(embedding)] = embedding
        is_known = rows.any(axis=1)
        if is_known.any():
            rows[is_known] -= rows[is_known].mean(axis=0)
        centered[camera] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return centered


def similarity_rank_weights(embeddings_a: Array, embeddings_b: Array) -> Array | None:
    """Weights in [0, 1] of all pairs, u⁴ with the rank u of the pair's cosine in (0, 1]: float64 (A, B).

    A non-matching pair weighs 1/5 on average and a matching pair nearly 1, whatever cosines an embedder gives. Pairs
    without embeddings weigh 1/5. None where there are no embeddings.

    Args:
        embeddings_a: float64 (A, D), rows of :func:`centered_embeddings` of one camera.
        embeddings_b: float64 (B, D), of another.

    >>> similarity_rank_weights(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])).tolist()
    [[1.0, 0.0625]]
    """
    is_known = np.outer(embeddings_a.any(axis=1), embeddings_b.any(axis=1))
    if not is_known.any():
        return None
    cosine = (embeddings_a @ embeddings_b.T)[is_known]
    rank = np.searchsorted(np.sort(cosine), cosine, side="right") / len(cosine)
    weight = np.full(is_known.shape, NEGATIVE_PAIR_WEIGHT)
    weight[is_known] = rank**_POWER
    return weight


def similarity_zscore(weight: Array) -> float:
    """By how many standard deviations the sum of n weights exceeds that of n non-matching pairs.

    z = Σ (w − 1/5) / (4/15 · √n)

    >>> round(similarity_zscore(np.array([0.9, 0.8, 1.0, 0.7])), 2)
    4.88
    """
    deviation = _NEGATIVE_PAIR_DEVIATION * np.sqrt(max(len(weight), 1))
    return float((weight - NEGATIVE_PAIR_WEIGHT).sum() / deviation)
