"""Distances between N tracks and M detections, as (N, M) matrices. Infinity marks a pair that must not be matched."""

from __future__ import annotations

import numpy as np

from mtmc.geometry.boxes import iou_matrix
from mtmc.types import Array

__all__ = ["cosine_distance", "fused_distance", "gated", "iou_distance", "unit"]


_MIN_LENGTH = np.float32(1e-12)


def unit(vectors: Array) -> Array:
    """Vectors scaled to unit length; zero vectors stay zero: float32 (…, D) → float32 (…, D)."""
    length = np.sqrt(np.einsum("...d,...d->...", vectors, vectors)[..., None])
    return np.asarray(vectors / np.maximum(length, _MIN_LENGTH))


def cosine_distance(track_features: Array, detection_features: Array) -> Array:
    """1 − the largest cosine between a detection and any of the B features of a track.

    Args:
        track_features: float32 (N, B, D), unit length.
        detection_features: float32 (M, D), unit length.

    Returns:
        float32 (N, M), in [0, 2].
    """
    n, b, d = track_features.shape
    similarity = track_features.reshape(n * b, d) @ detection_features.T
    if b > 1:
        similarity = similarity.reshape(n, b, len(detection_features)).max(axis=1)
    return np.asarray(1 - similarity)


def iou_distance(tracks: Array, detections: Array) -> Array:
    """1 − intersection over union: boxes (N, 4), (M, 4) → (N, M), in [0, 1]."""
    return 1 - iou_matrix(tracks, detections)


def gated(distance: Array, other: Array, gate: float) -> Array:
    """``distance`` where another distance is at most ``gate``, infinity elsewhere."""
    return np.where(other <= gate, distance, np.inf)


def fused_distance(distance: Array, mahalanobis: Array, motion_weight: float) -> Array:
    """Appearance and motion in one distance, as in JDE: (1 − λ) · distance + λ · squared Mahalanobis distance."""
    return np.asarray((1 - motion_weight) * distance + motion_weight * mahalanobis)
