"""At which rank each right answer is found, without sorting the gallery.

Average precision and the CMC curve need the ranks of the few right answers, and a rank is one more than the number
of gallery entries that are more similar to the query. So the work is one matrix product per block of queries and one
pass over each row; memory is one block, whatever the size of the gallery.

Ties: of equally similar entries the one that comes first in the gallery ranks first, as in a stable sort.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reid.data.records import JUNK

__all__ = ["Blocks", "Labels", "Ranks", "members", "positive_ranks", "similarity_blocks", "unit"]

Array = NDArray[Any]
#: A slice of queries and their similarities to the whole gallery; the array may be overwritten by the caller.
Blocks = Iterator[tuple[slice, Array]]


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Identities and cameras of N crops: int64 (N,) each."""

    vehicle_id: Array
    camera_id: Array


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """The ranks of the right answers of Q queries, one query after the other.

    Attributes:
        rank: int64 (P,), from 1, ascending within a query.
        count: int64 (Q,), right answers of each query; may be 0.
    """

    rank: Array
    count: Array

    def matched(self) -> Array:
        """Whether each query has a right answer: bool (Q,)."""
        return np.asarray(self.count > 0)

    def first(self) -> Array:
        """Best rank of each matched query: int64 (M,)."""
        return np.asarray(self.rank[self._starts()])

    def average_precision(self, rule: Literal["step", "trapezoid"] = "step") -> Array:
        """Of each matched query: float64 (M,).

        ``step`` is the mean precision at the ranks of the right answers. ``trapezoid`` averages it with the precision
        just before each of them, as the evaluation kit of Market-1501 does; it is never larger.
        """
        starts, counts = self._starts(), self.count[self.matched()]
        if not len(starts):
            return np.zeros(0)
        found = np.arange(1, len(self.rank) + 1) - np.repeat(starts, counts)
        precision = found / self.rank
        if rule == "trapezoid":
            before = np.where(self.rank > 1, (found - 1) / np.maximum(self.rank - 1, 1), 1.0)
            precision = (precision + before) / 2
        return np.asarray(np.add.reduceat(precision, starts) / counts)

    def inverse_negative_penalty(self) -> Array:
        """Of each matched query: float64 (M,), its number of right answers over the rank of the last of them.

        Its mean is mINP (Ye et al., TPAMI 2022): 1 where nothing wrong stands before the hardest right answer.
        """
        counts = self.count[self.matched()]
        return np.asarray(counts / self.rank[self._starts() + counts - 1])

    def _starts(self) -> Array:
        counts = self.count[self.matched()]
        return np.asarray(np.cumsum(counts) - counts)


def positive_ranks(blocks: Blocks, query: Labels, gallery: Labels, *, camera_rule: bool) -> Ranks:
    """Rank the right answers of every query.

    Args:
        blocks: Similarities, larger is closer; see :func:`similarity_blocks`.
        query: Of the queries. A junk query has no right answer.
        gallery: Of the gallery. Junk entries are left out.
        camera_rule: Leave out the gallery entries with the query's identity and camera.
    """
    of_vehicle = members(query.vehicle_id, gallery.vehicle_id)
    junk = np.flatnonzero(gallery.vehicle_id == JUNK)
    ranks: list[Array] = []
    for rows, block in blocks:
        block[:, junk] = -np.inf
        for i, similarity in enumerate(block, rows.start):
            right = of_vehicle[i]
            if camera_rule:
                own = gallery.camera_id[right] == query.camera_id[i]
                similarity[right[own]] = -np.inf
                right = right[~own]
            ranks.append(_ranks(similarity, right))
    return Ranks(
        np.concatenate([np.zeros(0, np.int64), *ranks]), np.fromiter((len(r) for r in ranks), np.int64, len(ranks))
    )


def _ranks(similarity: Array, right: Array) -> Array:
    """Ascending ranks of the entries ``right`` among all of ``similarity``; −inf marks what is left out."""
    if not len(right):
        return right
    own = similarity[right]
    # Taking places is faster than a boolean index, and most of the gallery is farther than the last right answer.
    rivals = similarity.take((similarity >= own.min()).nonzero()[0])
    rivals.sort()
    after = np.searchsorted(rivals, own, "right")
    rank = len(rivals) - after + 1
    for k in np.flatnonzero((after > 1) & (rivals[after - 2] == own)):
        rank[k] += np.count_nonzero(similarity[: right[k]] == own[k])
    rank.sort()
    return rank


def members(query_id: Array, gallery_id: Array) -> list[Array]:
    """For each query the gallery entries of its identity, ascending; none for junk."""
    order = np.argsort(gallery_id, kind="stable")
    ordered = gallery_id[order]
    start, stop = (np.searchsorted(ordered, query_id, side) for side in ("left", "right"))
    stop = np.where(query_id == JUNK, start, stop)
    return [order[a:b] for a, b in zip(start, stop, strict=True)]


def unit(features: Array) -> Array:
    """Features (N, D) at unit length; one of zeros stays as it is."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(length, np.finfo(features.dtype).tiny))


def similarity_blocks(
    query: Array, gallery: Array, metric: Literal["cosine", "euclidean"] = "cosine", *, block_bytes: int = 128 << 20
) -> Blocks:
    """Similarities of a block of queries to the whole gallery; every block overwrites the one before.

    Args:
        query: float (Q, D).
        gallery: float (G, D); double precision is kept, everything else is computed in float32.
        metric: ``cosine``; or ``euclidean``: a value that falls as the distance grows, for features as they are.
        block_bytes: Size of a block.

    Raises:
        ValueError: The dimensions differ, or a feature is not finite.
    """
    if query.ndim != 2 or gallery.ndim != 2 or query.shape[1] != gallery.shape[1]:
        raise ValueError(f"expected features (Q, D) and (G, D), got {query.shape} and {gallery.shape}")
    dtype: type[np.floating[Any]] = np.float64 if gallery.dtype == query.dtype == np.float64 else np.float32
    query, gallery = query.astype(dtype, copy=False), gallery.astype(dtype, copy=False)
    square = np.einsum("gd,gd->g", gallery, gallery)
    if not (np.isfinite(square).all() and np.isfinite(np.einsum("qd,qd->q", query, query)).all()):
        raise ValueError("expected finite features, got NaN or infinity")
    size = max(1, block_bytes // (max(1, len(gallery)) * np.dtype(dtype).itemsize))
    buffer = np.empty((min(size, len(query)), len(gallery)), dtype)
    # Scaling columns of the product, and only when needed, saves a normalized copy of the gallery.
    scale = 1 / np.sqrt(np.maximum(square, np.finfo(dtype).tiny))
    scaled = bool(np.any(np.abs(scale - 1) > 1e-6))
    for start in range(0, len(query), size):
        rows = slice(start, min(start + size, len(query)))
        block = np.matmul(query[rows], gallery.T, out=buffer[: rows.stop - start])
        if metric == "euclidean":
            block *= 2
            block -= square
        elif scaled:
            block *= scale
        yield rows, block
