"""Intervals of retrieval scores by bootstrap over identities. Needs numpy only.

The queries of one identity share its vehicle, its lookalikes and often its pictures, so they are no independent
trials. Drawing identities, each with all of its queries, keeps what they share together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DRAWS", "identity_interval"]

Array = NDArray[Any]

#: Samples of identities; the ends of an interval then vary by a tenth of its length or less between seeds.
DRAWS = 2000


def identity_interval(
    values: Array, identity: Array, *, draws: int = DRAWS, level: float = 0.95, seed: int = 0
) -> tuple[Array, Array]:
    """The percentile interval of a mean over queries (Efron, 1979), where identities are drawn with replacement.

    Args:
        values: float (M, K), K scores of each query; their means are of interest.
        identity: int (M,), which queries are drawn together.
        draws: How many samples of as many identities as there are.
        level: Share of the samples inside the interval.
        seed: Of the draws.

    Returns:
        Lower and upper ends, (K,) each; an identity with more queries counts for more, as in the mean itself.

    Raises:
        ValueError: There are no queries, or not as many identities as rows of values.
    """
    if not len(values) or len(values) != len(identity):
        raise ValueError(f"expected scores (M, K) of M queries with identities, got {values.shape}, {identity.shape}")
    group = np.unique(identity, return_inverse=True)[1].reshape(-1)
    count = np.bincount(group)
    total = np.stack([np.bincount(group, column) for column in values.T], axis=1)
    rng = np.random.default_rng(seed)
    means = np.empty((draws, values.shape[1]))
    for sample in means:
        drawn = rng.integers(len(count), size=len(count))
        sample[:] = total[drawn].sum(axis=0) / count[drawn].sum()
    tail = 50 * (1 - level)
    low, high = np.percentile(means, [tail, 100 - tail], axis=0)
    return low, high
