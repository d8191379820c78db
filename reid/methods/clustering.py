"""k-means with careful seeding, and clusters numbered by size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["kmeans"]


def kmeans(points: NDArray[Any], k: int, *, seed: int, attempts: int = 5, iterations: int = 100) -> NDArray[np.int64]:
    """Divide points so that the squared distances to the centers of their clusters are small.

    Args:
        points: float (N, d).
        k: Number of clusters, at most N.
        seed: Of the first centers (k-means++).
        attempts: Starts of which the best is kept.
        iterations: At most, per start.

    Returns:
        int64 (N,) in 0 … k - 1; cluster 0 is the largest, ties in order of their first point.
    """
    rng = np.random.default_rng(seed)
    best, least = np.zeros(len(points), np.int64), np.inf
    for _ in range(attempts):
        centers = _spread_out(points, k, rng)
        labels = np.full(len(points), -1)
        for _ in range(iterations):
            distance = _squared_distances(points, centers)
            nearest = distance.argmin(1)
            if (nearest == labels).all():
                break
            labels = nearest
            for c in range(k):
                members = labels == c
                # An empty cluster restarts at the point that is worst off.
                centers[c] = points[members].mean(0) if members.any() else points[distance.min(1).argmax()]
        cost = float(_squared_distances(points, centers).min(1).sum())
        if cost < least:
            best, least = labels, cost
    return _by_size(best, k)


def _spread_out(points: NDArray[Any], k: int, rng: np.random.Generator) -> NDArray[Any]:
    centers = [points[rng.integers(len(points))]]
    while len(centers) < k:
        distance = _squared_distances(points, np.array(centers)).min(1)
        share = distance / distance.sum() if distance.sum() > 0 else None
        centers.append(points[rng.choice(len(points), p=share)])
    return np.array(centers)


def _squared_distances(points: NDArray[Any], centers: NDArray[Any]) -> NDArray[Any]:
    products = points @ centers.T
    squared: NDArray[Any] = (points**2).sum(1)[:, None] + (centers**2).sum(1)[None, :] - 2 * products
    squared[squared < 0] = 0
    return squared


def _by_size(labels: NDArray[Any], k: int) -> NDArray[np.int64]:
    size = np.bincount(labels, minlength=k)
    first = np.array([np.argmax(labels == c) if size[c] else len(labels) for c in range(k)])
    order = np.lexsort((first, -size))
    number = np.empty(k, np.int64)
    number[order] = np.arange(k)
    renumbered: NDArray[np.int64] = number[labels]
    return renumbered
