"""k-reciprocal re-ranking (Zhong et al., CVPR 2017), exact, without any N × N matrix. Needs numpy and scipy only.

Letters: N = Q + G images, queries first; K nearest neighbors of each, itself the first.

Two images are k-reciprocal neighbors when each is among the other's nearest. The weighted set of such neighbors is
a better description of an image than its own feature; the Jaccard distance of two sets, mixed with the original
distance, is the result. All sets are small, so everything but the search of neighbors is sparse.

Ties: an image is its own nearest neighbor; of equally near ones the one that comes first is nearer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["k_reciprocal", "smallest"]

Array = NDArray[Any]

#: Size of the largest temporary arrays, bytes.
_BLOCK_BYTES = 64 << 20


def k_reciprocal(query: Array, gallery: Array, k1: int = 20, k2: int = 6, lambda_: float = 0.3) -> Array:
    """Distances of queries to the gallery after re-ranking.

    Args:
        query: float (Q, D) features; cosine retrieval wants them of unit length.
        gallery: float (G, D).
        k1: Size of the neighborhoods, at least 1.
        k2: How many neighbors' descriptions are averaged into each image's own, at least 1.
        lambda_: Weight of the original distance, 0…1.

    Returns:
        float32 (Q, G): ``(1 − lambda_) · Jaccard + lambda_ · original``, where the original is the squared Euclidean
        distance divided by the largest of its row.

    Raises:
        ValueError: The features do not fit each other or are not finite, or a parameter is out of range.
    """
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise ValueError(f"expected features (Q, D) and (G, D), got {query.shape} and {gallery.shape}")
    if k1 < 1 or k2 < 1 or not 0 <= lambda_ <= 1:
        raise ValueError(f"expected k1 ≥ 1, k2 ≥ 1 and lambda_ in 0…1, got {k1}, {k2} and {lambda_}")
    if not len(query) or not len(gallery):
        return np.zeros((len(query), len(gallery)), np.float32)
    features = np.concatenate([query, gallery]).astype(np.float32, copy=False)
    if not np.isfinite(features).all():
        raise ValueError("expected finite features, got NaN or infinity")
    original, nearest, largest = _search(features, len(query), min(max(k1 + 1, k2), len(features)))
    weights = _describe(features, nearest[:, : k1 + 1], largest, k1)
    if k2 > 1:
        weights = _average(weights, nearest[:, :k2])
    _add_jaccard(original, weights, lambda_)
    return original


def _search(features: Array, queries: int, k: int) -> tuple[Array, Array, Array]:
    """Scaled distances of queries to gallery (Q, G), nearest neighbors (N, K), largest distance of each (N,)."""
    count = len(features)
    square = np.einsum("nd,nd->n", features, features)
    # One matrix product gives whole distances: [−2 a, 1, |a|²] · [b, |b|², 1].
    lifted = np.column_stack([features, square, np.ones_like(square)])
    nearest = np.empty((count, k), np.int32)
    largest = np.empty(count, np.float32)
    original = np.empty((queries, count - queries), np.float32)
    size = max(1, _BLOCK_BYTES // (4 * count))
    buffer = np.empty((min(size, count), count), np.float32)
    for start in range(0, count, size):
        rows = slice(start, min(start + size, count))
        left = np.column_stack([-2 * features[rows], np.ones_like(square[rows]), square[rows]])
        distance = np.matmul(left, lifted.T, out=buffer[: len(left)])
        largest[rows] = np.maximum(distance.max(axis=1), np.finfo(np.float32).tiny)
        asked = slice(start, min(rows.stop, queries))
        if asked.stop > start:
            np.divide(distance[: asked.stop - start, queries:], largest[asked, None], out=original[asked])
        distance[np.arange(len(left)), np.arange(start, rows.stop)] = -1  # each image comes first
        nearest[rows] = smallest(distance, k)
    return np.maximum(original, 0, out=original), nearest, largest


def smallest(distance: Array, k: int) -> Array:
    """Indices of the k smallest of each row (n, N), ascending, ties by index.

    The k-th smallest of the minima of disjoint groups bounds the k-th smallest of all, so a comparison leaves few
    candidates to sort.
    """
    count = distance.shape[1]
    lanes = min(64, count // (4 * k))
    if lanes < 2:
        return np.argsort(distance, axis=1, kind="stable")[:, :k]
    groups = count // lanes
    minima = distance[:, : groups * lanes].reshape(len(distance), lanes, groups).min(axis=1)
    bound = np.partition(minima, k - 1, axis=1)[:, k - 1 : k]
    row, column = np.divmod(np.flatnonzero(distance <= bound), count)
    order = np.lexsort((column, distance[row, column], row))
    first = np.searchsorted(row, np.arange(len(distance)))
    return np.asarray(column[order][first[:, None] + np.arange(k)])


def _describe(features: Array, nearest: Array, largest: Array, k1: int) -> Any:
    """Each image's expanded reciprocal neighbors with their normalized weights: sparse (N, N), float32."""
    count = len(features)
    half = min(round(k1 / 2) + 1, nearest.shape[1])
    wide = _reciprocal(nearest)
    narrow = _reciprocal(nearest[:, :half])
    keys = [_keys(np.arange(count), nearest, wide)]
    for rows in _chunks(count, nearest.shape[1] ** 2 * half):
        keys.append(_expansion(nearest, half, wide, narrow, rows))
    pairs = np.sort(np.concatenate(keys))
    image, neighbor = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], count)
    weight = np.exp(-_pair_distances(features, image, neighbor) / largest[image])
    pointer = np.searchsorted(image, np.arange(count + 1))
    weight /= np.repeat(np.add.reduceat(weight, pointer[:-1]), np.diff(pointer))
    return sparse.csr_array((weight.astype(np.float32), neighbor, pointer), shape=(count, count))


def _reciprocal(nearest: Array) -> Array:
    """Which of an image's neighbors have it among theirs: bool (N, k)."""
    count, k = nearest.shape
    mutual = np.empty((count, k), bool)
    for rows in _chunks(count, k * k):
        image = np.arange(rows.start, rows.stop, dtype=nearest.dtype)
        mutual[rows] = (nearest[nearest[rows]] == image[:, None, None]).any(axis=2)
    return mutual


def _expansion(nearest: Array, half: int, wide: Array, narrow: Array, rows: slice) -> Array:
    """Keys of what a neighbor's own, narrower set adds, when more than two thirds of it are known already."""
    image, place = np.nonzero(wide[rows])
    image += rows.start
    neighbor = nearest[image, place]
    offered, mutual = nearest[neighbor, :half], narrow[neighbor]
    own = np.where(wide[image], nearest[image], -1)
    known = (offered[:, :, None] == own[:, None, :]).any(axis=2) & mutual
    accepted = 3 * known.sum(axis=1) > 2 * mutual.sum(axis=1)
    return _keys(image[accepted], offered[accepted], mutual[accepted], count=len(nearest))


def _keys(image: Array, neighbors: Array, chosen: Array, count: int = 0) -> Array:
    """One number ``image · N + neighbor`` for each chosen pair."""
    keys = image.astype(np.int64)[:, None] * (count or len(neighbors)) + neighbors
    return np.asarray(keys[chosen])


def _pair_distances(features: Array, first: Array, second: Array) -> Array:
    distance = np.empty(len(first), np.float32)
    size = 256  # gathered rows stay in the cache
    for start in range(0, len(first), size):
        rows = slice(start, start + size)
        gap = features[first[rows]]
        gap -= features[second[rows]]
        np.einsum("pd,pd->p", gap, gap, out=distance[rows])
    return distance


def _average(weights: Any, nearest: Array) -> Any:
    """Replace each description by the mean over the image's nearest neighbors, itself included."""
    count, k = nearest.shape
    mean = sparse.csr_array(
        (np.full(nearest.size, 1 / k, np.float32), nearest.reshape(-1), np.arange(0, nearest.size + 1, k)),
        shape=(count, count),
    )
    return (mean @ weights).tocsr()


def _add_jaccard(original: Array, weights: Any, lambda_: float) -> None:
    """Turn the original distances (Q, G) into the result, in place.

    Descriptions sum to one, so the union of two is two minus their intersection, the sum of smaller weights.
    """
    queries, images = original.shape
    asked, found = weights[:queries], weights[queries:].tocsc()
    start, stop = found.indptr[:-1], found.indptr[1:]
    for i in range(queries):
        own = slice(asked.indptr[i], asked.indptr[i + 1])
        columns = asked.indices[own]
        length = stop[columns] - start[columns]
        ends = np.cumsum(length)
        entry = np.arange(ends[-1]) + np.repeat(start[columns] - ends + length, length)
        smaller = np.minimum(found.data[entry], np.repeat(asked.data[own], length))
        shared = np.bincount(found.indices[entry], smaller, minlength=images)
        original[i] *= lambda_
        original[i] += (1 - lambda_) * (1 - shared / (2 - shared))


def _chunks(count: int, numbers: int) -> list[slice]:
    """Slices of ``count`` rows such that ``numbers`` 4-byte numbers per row stay within the block size."""
    size = max(1, _BLOCK_BYTES // (4 * numbers))
    return [slice(s, min(s + size, count)) for s in range(0, count, size)]
