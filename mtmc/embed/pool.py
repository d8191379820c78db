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


def pool(vectors: Array, quality: Array, focus: float, name: str) -> Array:
    """The mean direction of unit rows (K, D), weighted by exp(``focus`` · quality): float32 (D,), unit length.

    Raises:
        WeightsError: The rows cancel out; ``name`` says whose weights gave them.
    """
    weight = np.exp(focus * (quality - quality.max()))
    return np.asarray(unit_rows((weight @ vectors.astype(np.float64))[None], name)[0])
