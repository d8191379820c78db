"""How unlike a track and a detection are: matrices of N tracks × M detections. Infinity: cannot be."""

from __future__ import annotations

import numpy as np

from mtmc.geometry.boxes import iou_matrix
from mtmc.types import Array

__all__ = ["cosine_distance", "fused_distance", "gated", "iou_distance", "unit"]


_TINY = np.float32(1e-12)


def unit(vectors: Array) -> Array:
    """Vectors scaled to unit length, zero vectors left alone: float32 (…, D)."""
    length = np.sqrt(np.einsum("...d,...d->...", vectors, vectors)[..., None])
    return np.asarray(vectors / np.maximum(length, _TINY))


def cosine_distance(features: Array, appearance: Array) -> Array:
    """1 − cosine to the nearest of B features of each track: unit (N, B, D), unit (M, D) → float32 (N, M)."""
    n, b, d = features.shape
    similarity = features.reshape(n * b, d) @ appearance.T
    if b > 1:
        similarity = similarity.reshape(n, b, len(appearance)).max(axis=1)
    return np.asarray(1 - similarity)


def iou_distance(tracks: Array, detections: Array) -> Array:
    """1 − intersection over union: boxes (N, 4), (M, 4) → (N, M)."""
    return 1 - iou_matrix(tracks, detections)


def gated(distance: Array, mahalanobis: Array, gate: float) -> Array:
    """``distance`` where the squared Mahalanobis distance is within the gate, else infinity."""
    return np.where(mahalanobis <= gate, distance, np.inf)


def fused_distance(distance: Array, mahalanobis: Array, motion_weight: float) -> Array:
    """Appearance and motion in one, as JDE does: (1 − λ) · distance + λ · squared Mahalanobis distance."""
    return np.asarray((1 - motion_weight) * distance + motion_weight * mahalanobis)
