"""k-means++, clusters numbered by size, and their silhouette."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from reid.progress import progress

__all__ = ["kmeans", "silhouette"]

#: Iterations between two comparisons of the labels; scipy itself does not stop when nothing changes any more.
_ITERATIONS = 10
_BLOCK = 1 << 22  # distances at a time


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
    for _ in progress(range(attempts), f"{k} clusters of {len(points)} features", unit="attempt"):
        centers, labels = _converged(points, k, rng, rounds)
        cost = float(np.square(points - centers[labels]).sum())
        if cost < least:
            best, least = labels, cost
    return _by_size(best, k)


def silhouette(points: NDArray[Any], labels: NDArray[Any]) -> float:
    """How well points lie in their clusters: the mean of ``(b - a) / max(a, b)`` (Rousseeuw, 1987), in [-1, 1].

    a is a point's mean Euclidean distance to the others of its cluster, b the least of its mean distances to the
    points of each other cluster. A point alone in its cluster counts as 0, and so does everything if there is only
    one cluster.

    Args:
        points: float (N, d).
        labels: int64 (N,), clusters from 0.
    """
    every = np.arange(len(points))
    member = np.eye(int(labels.max()) + 1)[labels]
    size = member.sum(0)
    sums = _distance_sums(np.asarray(points, np.float64), member)
    a = sums[every, labels] / np.maximum(size[labels] - 1, 1)
    means = np.where(size > 0, sums / np.maximum(size, 1), np.inf)
    means[every, labels] = np.inf
    b = means.min(1)
    alone = (size[labels] == 1) | np.isinf(b)
    widest = np.where(alone, 0.0, np.maximum(a, b))
    return float(np.divide(b - a, widest, out=np.zeros(len(points)), where=widest > 0).mean())


def _distance_sums(points: NDArray[Any], member: NDArray[Any]) -> NDArray[Any]:
    """The sum of the Euclidean distances from each of N points to those of each of k clusters: float64 (N, k)."""
    square = np.square(points).sum(1)
    sums = []
    for part in np.array_split(np.arange(len(points)), -(-(len(points) ** 2) // _BLOCK)):
        squared = square[part, None] + square - 2 * points[part] @ points.T
        squared[np.arange(len(part)), part] = 0.0  # rounding would leave a little
        sums.append(np.sqrt(np.maximum(squared, 0.0)) @ member)
    return np.concatenate(sums)


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
