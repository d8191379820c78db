"""Query expansion: a query is asked again together with the pictures most similar to it, exact and in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.ranks import similarity_blocks, unit
from reid.evaluation.rerank import smallest

__all__ = ["expanded"]

Array = NDArray[Any]


def expanded(query: Array, gallery: Array, count: int, alpha: float = 0.0) -> Array:
    """Features of queries after expansion, ``q + Σ s_i^α g_i`` over the most similar pictures, at unit length.

    With α = 0 it is the average query expansion of Chum et al. (ICCV 2007), otherwise the α-weighted one of
    Radenović et al. (TPAMI 2019), in which a picture counts for less the less similar it is. The neighbors are
    found by similarity alone, from the whole gallery: pictures by the query's own camera and those that a protocol
    leaves out are among them.

    Args:
        query: float (Q, D) of any length.
        gallery: float (G, D), likewise.
        count: Pictures that are added, at least 1; the whole gallery if it holds fewer.
        alpha: α, at least 0. Pictures of negative cosine count as 0 if it is above 0.

    Returns:
        float32 (Q, D), or float64 if both are.

    Raises:
        ValueError: Shapes disagree, a feature is not finite, a parameter is out of range, or there are no pictures.
    """
    if count < 1 or alpha < 0 or not len(gallery):
        raise ValueError(f"expected pictures, count ≥ 1 and alpha ≥ 0, got {len(gallery)}, {count} and {alpha}")
    query, gallery = unit(query), unit(gallery)
    count = min(count, len(gallery))
    result = query.copy()
    for rows, block in similarity_blocks(query, gallery):
        nearest = smallest(np.negative(block, out=block), count)
        similarity = -np.take_along_axis(block, nearest, axis=1)
        weight = np.maximum(similarity, 0) ** alpha if alpha else np.ones_like(similarity)
        for k in range(count):
            result[rows] += weight[:, k : k + 1] * gallery[nearest[:, k]]
    return unit(result)
