"""Constrained agglomeration where every two members must be possible by themselves.

As vehicle_mtmc does it (Szűcs et al., Multimedia Tools and Applications, 2023): a heap of pairs of groups by
similarity; the most similar two become one while they reach the threshold. Two groups are only ever compared if every
pair between them is possible: of two cameras, within its travel time. So a vehicle's first and last camera need a
window of their own: give the scene a link for each pair of cameras, with empty zones.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Literal

import numpy as np

from mtmc.associate.similarity import Similarities
from mtmc.types import Array

__all__ = ["agglomerate_allowed"]

_DIGITS = 9  # similarities closer than that are ties, whatever the order of summation

#: Similarity of a group to what two groups became: from its similarities to both, and how many each of them has.
_UPDATES: dict[str, Callable[[float, float, int, int], float]] = {
    "average": lambda of_a, of_b, n_a, n_b: (n_a * of_a + n_b * of_b) / (n_a + n_b),
    "complete": lambda of_a, of_b, n_a, n_b: min(of_a, of_b),
    "single": lambda of_a, of_b, n_a, n_b: max(of_a, of_b),
}


def agglomerate_allowed(
    known: Similarities, threshold: float, linkage: Literal["average", "complete", "single", "mean_feature"]
) -> Array:
    """Group N things in order of similarity, ties by index: int64 (N,), the first member of each's group.

    Args:
        known: Its pairs are the only ones that may ever be together, and ``value`` says how alike they are.
        threshold: Least similarity of two groups that become one.
        linkage: ``average`` (mean over all pairs between two groups), ``complete`` (the least), ``single`` (the
            greatest), or ``mean_feature`` (cosine of the mean embeddings, whatever ``value`` says).
    """
    n = len(known.embeddings)
    members = [[k] for k in range(n)]
    sums = known.embeddings.copy()
    value = known.value
    if linkage == "mean_feature":
        value = np.einsum("pd,pd->p", sums[known.pairs[:, 0]], sums[known.pairs[:, 1]])
    alike: list[dict[int, float]] = [{} for _ in range(n)]
    for (a, b), similarity in zip(known.pairs.tolist(), value.tolist(), strict=True):
        alike[a][b] = alike[b][a] = similarity
    age = [0] * n
    least = threshold - 10**-_DIGITS

    def candidates(a: int, others: list[int]) -> list[tuple[float, int, int, int, int]]:
        near = [(c, alike[a][c]) for c in others if alike[a][c] >= least]
        return [(-round(s, _DIGITS), min(a, c), max(a, c), age[min(a, c)], age[max(a, c)]) for c, s in near]

    heap = [entry for a in range(n) for entry in candidates(a, [c for c in alike[a] if c > a])]
    heapq.heapify(heap)
    while heap:
        _, a, b, age_a, age_b = heapq.heappop(heap)
        if (age[a], age[b]) != (age_a, age_b):
            continue
        both = sorted(alike[a].keys() & alike[b].keys())
        if linkage == "mean_feature":
            sums[a] += sums[b]
            joined = dict(zip(both, _cosines(sums[a], sums[both]).tolist(), strict=True))
        else:
            update, sizes = _UPDATES[linkage], (len(members[a]), len(members[b]))
            joined = {c: update(alike[a][c], alike[b][c], *sizes) for c in both}
        _replace(alike, a, b, joined)
        members[a] += members[b]
        age[a], age[b] = age[a] + 1, -1
        for entry in candidates(a, both):
            heapq.heappush(heap, entry)

    labels = np.empty(n, np.int64)
    for first, group in enumerate(members):
        if age[first] >= 0:
            labels[group] = first
    return labels


def _replace(alike: list[dict[int, float]], a: int, b: int, joined: dict[int, float]) -> None:
    """Forget what was known of two groups; from now on the first of them is this alike to others."""
    for old in (a, b):
        for c in alike[old]:
            del alike[c][old]
    alike[a], alike[b] = joined, {}
    for c, similarity in joined.items():
        alike[c][a] = similarity


def _cosines(vector: Array, rows: Array) -> Array:
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
    return np.asarray(rows @ vector / np.where(lengths > 0, lengths, 1.0))
