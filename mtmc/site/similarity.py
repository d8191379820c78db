"""How alike the vehicles of two cameras look, as weights for ways that may be one vehicle's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mtmc.types import Array

__all__ = ["NEGATIVE_PAIR_WEIGHT", "alike", "centered_embeddings", "likeness"]

NEGATIVE_PAIR_WEIGHT = 1 / 5  #: mean weight of pairs of strangers
_DEVIATION = 4 / 15  # of the fourth power of what is evenly spread over [0, 1]


def centered_embeddings(embeddings: Mapping[str, Sequence[Array]]) -> dict[str, Array]:
    """Embeddings of each camera's vehicles, without what they all share, of unit length: float64 (W, D).

    Rows of vehicles that nobody described are zeros; D is 0 where no vehicle was.
    """
    dim = max((len(e) for mine in embeddings.values() for e in mine), default=0)
    out = {}
    for camera, mine in embeddings.items():
        rows = np.zeros((len(mine), dim))
        for row, embedding in zip(rows, mine, strict=True):
            row[: len(embedding)] = embedding
        known = rows.any(axis=1)
        if known.any():
            rows[known] -= rows[known].mean(axis=0)
        out[camera] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return out


def alike(first: Array, second: Array) -> Array | None:
    """Weights in [0, 1] of all pairs, float64 (W, W'): a pair's rank by cosine, 1 for the most alike, to the power 4.

    Strangers weigh a fifth on average and one vehicle's pairs nearly 1, whatever cosines an embedder gives. A vehicle
    without a description weighs a fifth with everybody. None where nobody has one.

    Args:
        first: One camera's rows of :func:`centered_embeddings`.
        second: Another's.

    >>> alike(np.array([[1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])).tolist()
    [[1.0, 0.0625]]
    """
    known = np.outer(first.any(axis=1), second.any(axis=1))
    if not known.any():
        return None
    cosine = (first @ second.T)[known]
    rank = np.searchsorted(np.sort(cosine), cosine, side="right") / len(cosine)
    weight = np.full(known.shape, NEGATIVE_PAIR_WEIGHT)
    weight[known] = rank**4
    return weight


def likeness(weight: Array) -> float:
    """By how many standard deviations some pairs' weights exceed what as many pairs of strangers would have.

    >>> round(likeness(np.array([0.9, 0.8, 1.0, 0.7])), 2)
    4.88
    """
    return float((weight - NEGATIVE_PAIR_WEIGHT).sum() / (_DEVIATION * np.sqrt(max(len(weight), 1))))
