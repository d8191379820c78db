"""k-means with careful seeding, and clusters numbered by size."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

__all__ = ["kmeans"]

#: Iterations between two comparisons of the labels; scipy itself does not stop when nothing changes any more.
_ITERATIONS = 10


def kmeans(points: NDArray[Any], k: int, *, seed: int, attempts: int = 5, rounds: int = 10) -> NDArray[np.int64]:
    """Divide points so that the squared distances to the centers of their clusters are small.

    Args:
        points: float (N, d).
        k: Number of clusters, at most N. Fewer than ``k`` different points make fewer clusters.
        seed: Of the first centers (k-means++).
        attempts: Starts of which the best is kept.
        rounds: At most, of ten iterations each, per start.

    Returns:
        int64 (N,) in 0 … k - 1; cluster 0 is the largest, ties in order of their first point.
    """
    points = np.asarray(points, np.float64)
    k = min(k, len(np.unique(points, axis=0)))
    if k <= 1:
        return np.zeros(len(points), np.int64)

    rng = np.random.default_rng(seed)
    best, least = np.zeros(len(points), np.int64), np.inf
    for _ in range(attempts):
        centers, labels = _converged(points, k, rng, rounds)
        cost = float(np.square(points - centers[labels]).sum())
        if cost < least:
            best, least = labels, cost
    return _by_size(best, k)


def _converged(
    points: NDArray[Any], k: int, rng: np.random.Generator, rounds: int
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Centers (k, d) and labels (N,) of one start."""
    with warnings.catch_warnings():
        # An empty cluster keeps its center; such a start costs more than others, so it is rarely the best.
        warnings.filterwarnings("ignore", "One of the clusters is empty", UserWarning)
        centers, labels = kmeans2(points, k, iter=_ITERATIONS, minit="++", seed=rng)
        for _ in range(rounds - 1):
            before = labels
            centers, labels = kmeans2(points, centers, iter=_ITERATIONS, minit="matrix")
            if (labels == before).all():
                break
    return centers, labels.astype(np.int64)


def _by_size(labels: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Labels renumbered from the largest cluster to the smallest."""
    size = np.bincount(labels, minlength=k)
    first = np.array([np.argmax(labels == c) if size[c] else len(labels) for c in range(k)])
    order = np.lexsort((first, -size))
    number = np.empty(k, np.int64)
    number[order] = np.arange(k)
    renumbered: NDArray[np.int64] = number[labels]
    return renumbered
