"""What a camera does to all its pictures (light, height, lens), taken out of their embeddings."""

from __future__ import annotations

import numpy as np

from mtmc.associate.config import ZonesConfig
from mtmc.types import Array

__all__ = ["without_camera_bias"]

_LEAST = 10  # vectors that a camera's own mean and spread need


def without_camera_bias(vectors: Array, camera: Array, rules: ZonesConfig) -> Array:
    """Vectors less their camera's mean μ and, for ``whiten``, times (C + λI)⁻¹ with its covariance C; unit length.

    λ is ``whitening``; the larger, the less spread counts. A camera with few vectors is measured by all of them, and
    where all are few nothing is changed. The means of 2021's winners, who call it feature invariance to camera.

    Args:
        vectors: float64 (N, D), rows of zeros for nothing known, which they stay.
        camera: int64 (N,).
        rules: ``camera_bias`` and ``whitening``.
    """
    known = vectors.any(axis=1)
    if rules.camera_bias == "none" or known.sum() < _LEAST:
        return _unit(vectors)
    out = np.zeros_like(vectors)
    for c in np.unique(camera[known]):
        mine = known & (camera == c)
        model = vectors[mine if mine.sum() >= _LEAST else known]
        mean = model.mean(axis=0)
        centred = vectors[mine] - mean
        if rules.camera_bias == "whiten":
            covariance = (model - mean).T @ (model - mean) / len(model)
            centred = np.linalg.solve(covariance + rules.whitening * np.eye(len(mean)), centred.T).T
        out[mine] = centred
    return _unit(out)


def _unit(vectors: Array) -> Array:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))
