"""Camera bias (light, height, lens) removed from the embeddings of a camera."""

from __future__ import annotations

import numpy as np

from mtmc.associate.config import CrossroadZonesConfig
from mtmc.types import Array

__all__ = ["remove_camera_bias"]

_MIN_VECTORS = 10  # that the mean and covariance of one camera need


def remove_camera_bias(vectors: Array, camera: Array, rules: CrossroadZonesConfig) -> Array:
    """Vectors without the bias of their camera: float64 (N, D), of unit length.

    With the mean μ and the covariance C of the camera's vectors, x becomes x − μ (``mean``) or (C + λI)⁻¹ (x − μ)
    (``whiten``), divided by its length. λ is ``whitening``; the larger, the less the covariance matters. Mean and
    covariance of a camera with few vectors are those of all vectors; if these are few, too, nothing is changed. The
    winners of 2021 call it feature invariance to camera.

    Args:
        vectors: float64 (N, D); rows of zeros stand for no embedding and stay zero.
        camera: int64 (N,).
        rules: ``camera_bias`` and ``whitening``.
    """
    known = vectors.any(axis=1)
    if rules.camera_bias == "none" or known.sum() < _MIN_VECTORS:
        return _unit(vectors)
    out = np.zeros_like(vectors)
    for c in np.unique(camera[known]):
        rows = known & (camera == c)
        model = vectors[rows if rows.sum() >= _MIN_VECTORS else known]
        mean = model.mean(axis=0)
        centered = vectors[rows] - mean
        if rules.camera_bias == "whiten":
            covariance = (model - mean).T @ (model - mean) / len(model)
            centered = np.linalg.solve(covariance + rules.whitening * np.eye(len(mean)), centered.T).T
        out[rows] = centered
    return _unit(out)


def _unit(vectors: Array) -> Array:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))
