"""Many vectors of one vehicle to one."""

from __future__ import annotations

import numpy as np

from mtmc.errors import WeightsError
from mtmc.types import Array

__all__ = ["pool", "unit_rows"]


def unit_rows(vectors: Array, name: str) -> Array:
    """Rows scaled to unit length: (N, D) → float32 (N, D).

    Raises:
        WeightsError: A row is not finite or zero; ``name`` says whose weights gave it.
    """
    vectors = np.asarray(vectors, np.float64)
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(norm).all() and (norm > 0).all()):
        got = "zero vectors" if np.isfinite(norm).all() else "NaN or infinity"
        raise WeightsError(
            f"expected embeddings with a direction from {name}, got {got}",
            remedy="check the weights and the mean and std of their card",
        )
    return np.asarray(vectors / norm, np.float32)


def pool(vectors: Array, quality: Array, sharpness: float, name: str) -> Array:
    """The weighted mean direction of unit rows: (K, D) → float32 (D,), unit length.

    The weights are a softmax of the crops' quality, ``w_k ∝ exp(sharpness · quality_k)``: 0 is the plain mean, and
    the larger ``sharpness``, the more the best crops dominate.

    Args:
        vectors: float (K, D), unit rows.
        quality: float (K,), in [0, 1].
        sharpness: ``embed.pooling_sharpness``.
        name: Whose vectors they are, for the error message.

    Raises:
        WeightsError: The rows cancel out.
    """
    weight = np.exp(sharpness * (quality - quality.max()))  # the shift keeps the exponent small
    weighted_sum = weight @ vectors.astype(np.float64)
    return np.asarray(unit_rows(weighted_sum[None], name)[0])
