"""Constrained agglomerative clustering: the two most similar groups are merged, while they reach the threshold.

Groups are merged in order of similarity by one loop over a heap. What may be merged, and how similar two groups are,
is a policy:

* **Chained** (the default): two groups may be merged if at least one pair between them is feasible and reaches the
  threshold by itself, and no constraint forbids it: two tracklets of one camera, or two positions at one time. So a
  chain of links becomes one vehicle.
* **Strict** (``associate.hierarchical.all_pairs``): every pair between the two groups must be feasible, as
  vehicle_mtmc does it (Szűcs et al., Multimedia Tools and Applications, 2023). The first and the last camera of a
  vehicle then need a travel time of their own: give the scene a link for each pair of cameras, with empty zones.

The linkage is the similarity of two groups A and B, from the similarities s(i, j) of their members and the sums of
their embeddings x::

    average       mean of s(i, j) over i in A, j in B
    complete      min  of s(i, j)
    single        max  of s(i, j)
    mean_feature  cosine(Σ_A x, Σ_B x)

A group is named by its first member, and ties are broken by these names. Only groups with a candidate pair are ever
compared, so the work grows with the number of similar pairs and not with N².
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Protocol

import numpy as np

from mtmc.associate.config import AssociateConfig
from mtmc.associate.gates import feasible_pairs
from mtmc.associate.similarity import Similarities, pairwise_similarity
from mtmc.scene import Scene
from mtmc.types import Array, Passage

__all__ = ["agglomerate", "agglomerate_strict", "hierarchical"]

Linkage = Literal["average", "complete", "single", "mean_feature"]

_DIGITS = 9  # similarities closer than that are ties, whatever the order of summation


def hierarchical(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> Array:
    """Label passages by constrained agglomeration: int64 (N,), the first member of each passage's group.

    Args:
        passages: By (camera_id, track_id).
        scene: Its links say which pairs are feasible.
        config: The settings; ``hierarchical`` and the common ones.

    Raises:
        WeightsError: Embeddings of different sizes.
    """
    similarities = pairwise_similarity(passages, feasible_pairs(passages, scene, config), config)
    if config.hierarchical.all_pairs:
        return agglomerate_strict(similarities, config.threshold, config.hierarchical.linkage)
    return agglomerate(passages, similarities, config)


def agglomerate(passages: Sequence[Passage], similarities: Similarities, config: AssociateConfig) -> Array:
    """Chained agglomeration: int64 (N,), the first member of each passage's group.

    ``average`` is the mean over all pairs of known similarity: the value of a feasible pair, the cosine of another
    one (which may be too far apart in time, say). ``complete`` is the least of these, ``single`` the greatest among
    the pairs that reach the threshold. Groups without embeddings have no ``mean_feature``; their average counts.
    """
    return _merge_in_order(_Chained(passages, similarities, config), config.threshold)


def agglomerate_strict(similarities: Similarities, threshold: float, linkage: Linkage) -> Array:
    """Strict agglomeration of N items: int64 (N,), the first member of each item's group.

    Args:
        similarities: Only its pairs can ever be in one group; ``value`` is their similarity.
        threshold: Least similarity of two groups that are merged.
        linkage: Similarity of two groups; ``mean_feature`` ignores ``value``.
    """
    return _merge_in_order(_Strict(similarities, linkage), threshold)


class _Policy(Protocol):
    """What may be merged, and the similarity of two groups, each named by its first member."""

    members: list[list[int]]  # of each group; meaningless once the group has been absorbed

    def candidates(self) -> Iterable[tuple[int, int, float]]:
        """Pairs a < b of single items that may be merged, and their similarity."""
        ...

    def merge(self, a: int, b: int) -> dict[int, float]:
        """Let group a absorb group b; its similarity to every group that it may be merged with from now on."""
        ...


def _merge_in_order(groups: _Policy, threshold: float) -> Array:
    """Merge the most similar groups first, while they reach the threshold; ties by name: int64 (N,) labels.

    An entry of the heap is (minus similarity, a, b, age of a, age of b). The age of a group is the number of groups
    it has absorbed, −1 once it has been absorbed; an entry whose ages no longer hold is outdated.
    """
    n = len(groups.members)
    least = threshold - 10**-_DIGITS
    age = [0] * n
    heap = [(-round(value, _DIGITS), a, b, 0, 0) for a, b, value in groups.candidates() if value >= least]
    heapq.heapify(heap)

    while heap:
        _, a, b, age_a, age_b = heapq.heappop(heap)
        if (age[a], age[b]) != (age_a, age_b):
            continue
        similarity = groups.merge(a, b)
        age[a] += 1
        age[b] = -1
        for c, value in similarity.items():
            if value >= least:
                first, second = min(a, c), max(a, c)
                heapq.heappush(heap, (-round(value, _DIGITS), first, second, age[first], age[second]))

    labels = np.empty(n, np.int64)
    for name, members in enumerate(groups.members):
        if age[name] >= 0:
            labels[members] = name
    return labels


class _Chained:
    """Groups may be merged if one pair between them reaches the threshold and no constraint forbids it.

    Attributes:
        members: Items of each group.
        strongest: For each group, the groups with such a pair and the greatest similarity of these pairs.
        conflicts: For each group, the items that cannot be in one group with it.
        visits: For each group, the times (start, end) at which each camera saw it.
        embedding_sum: float64 (N, D), sum of the members' embeddings.
        embedding_count: float64 (N,), how many members have one.
        given: Similarity of the pairs whose value is not simply the cosine of their embeddings.
    """

    def __init__(self, passages: Sequence[Passage], similarities: Similarities, config: AssociateConfig) -> None:
        n = len(passages)
        self._once_per_camera = config.hierarchical.once_per_camera
        self._embeddings = similarities.embeddings
        self._has_embedding = np.asarray(similarities.embeddings.any(axis=1))

        self.members = [[k] for k in range(n)]
        self.embedding_sum = similarities.embeddings.copy()
        self.embedding_count = self._has_embedding.astype(float)
        self.visits = [{p.tracklet.camera_id: [(p.tracklet.start_s, p.tracklet.end_s)]} for p in passages]

        self.conflicts: list[set[int]] = [set() for _ in range(n)]
        for a, b in similarities.conflicting.tolist():
            self.conflicts[a].add(b)
            self.conflicts[b].add(a)

        self.strongest: list[dict[int, float]] = [{} for _ in range(n)]
        strong = similarities.value >= config.threshold - 10**-_DIGITS
        for a, b, value in _as_triples(similarities, strong):
            self.strongest[a][b] = self.strongest[b][a] = value

        self.given = {(a, b): value for a, b, value in _as_triples(similarities, ~similarities.appearance_only)}
        linkages: dict[str, Callable[[int, list[int]], Array]] = {
            "average": self._average,
            "complete": self._complete,
            "single": self._single,
            "mean_feature": self._mean_feature,
        }
        self._linkage = linkages[config.hierarchical.linkage]

    def candidates(self) -> Iterable[tuple[int, int, float]]:
        return ((a, b, value) for a, others in enumerate(self.strongest) for b, value in others.items() if a < b)

    def merge(self, a: int, b: int) -> dict[int, float]:
        self.members[a] += self.members[b]
        self.embedding_sum[a] += self.embedding_sum[b]
        self.embedding_count[a] += self.embedding_count[b]
        self.conflicts[a] |= self.conflicts[b]
        for camera, times in self.visits[b].items():
            self.visits[a].setdefault(camera, []).extend(times)
        self._merge_strongest(a, b)

        others = sorted(self.strongest[a])
        if not others:
            return {}
        return dict(zip(others, self._linkage(a, others).tolist(), strict=True))

    def _merge_strongest(self, a: int, b: int) -> None:
        """Give the strong pairs of group b to group a, without those that a constraint now forbids."""
        merged = self.strongest[a]
        for c, value in self.strongest[b].items():
            merged[c] = max(value, merged.get(c, value))
            del self.strongest[c][b]
        merged.pop(a, None)
        merged.pop(b, None)
        self.strongest[b] = {}

        for c in [c for c in merged if self._cannot_link(a, c)]:
            del merged[c]
            self.strongest[c].pop(a, None)
        for c, value in merged.items():
            self.strongest[c][a] = value

    def _cannot_link(self, a: int, b: int) -> bool:
        """Whether a constraint forbids that two groups are one vehicle, whatever their similarity."""
        if not self.conflicts[a].isdisjoint(self.members[b]):
            return True
        shared = self.visits[a].keys() & self.visits[b].keys()
        if self._once_per_camera:
            return bool(shared)
        return any(
            start_a <= end_b and start_b <= end_a
            for camera in shared
            for start_a, end_a in self.visits[a][camera]
            for start_b, end_b in self.visits[b][camera]
        )

    def _average(self, a: int, others: list[int]) -> Array:
        # The sum of all cosines between two groups is the product of their sums; other values replace a cosine.
        total = self.embedding_sum[others] @ self.embedding_sum[a]
        count = self.embedding_count[others] * self.embedding_count[a]
        if self.given:
            for k, c in enumerate(others):
                for i, j, value in self._given_between(a, c):
                    total[k] += value - float(self._embeddings[i] @ self._embeddings[j])
                    count[k] += not (self._has_embedding[i] and self._has_embedding[j])
        return np.asarray(total / count)

    def _complete(self, a: int, others: list[int]) -> Array:
        least = np.empty(len(others))
        for k, c in enumerate(others):
            rows, columns = self.members[a], self.members[c]
            values = self._embeddings[rows] @ self._embeddings[columns].T
            unknown = ~np.logical_and.outer(self._has_embedding[rows], self._has_embedding[columns])
            values[unknown] = np.inf
            for i, j, value in self._given_between(a, c):
                values[rows.index(i), columns.index(j)] = value
            least[k] = values.min()
        return least

    def _single(self, a: int, others: list[int]) -> Array:
        return np.array([self.strongest[a][c] for c in others])

    def _mean_feature(self, a: int, others: list[int]) -> Array:
        lengths = np.linalg.norm(self.embedding_sum[others], axis=1) * np.linalg.norm(self.embedding_sum[a])
        unknown = lengths < 10**-_DIGITS
        cosine = self.embedding_sum[others] @ self.embedding_sum[a] / np.where(unknown, 1.0, lengths)
        return np.where(unknown, self._average(a, others), cosine) if unknown.any() else np.asarray(cosine)

    def _given_between(self, a: int, b: int) -> list[tuple[int, int, float]]:
        """(member of a, member of b, similarity) of the pairs whose similarity is not simply the cosine."""
        pairs = ((i, j, self.given.get((min(i, j), max(i, j)))) for i in self.members[a] for j in self.members[b])
        return [(i, j, value) for i, j, value in pairs if value is not None]


#: Linkage of a group to the union of two groups, from its linkage to either and how many members each of them has.
_LINKAGE_OF_UNION: dict[str, Callable[[float, float, int, int], float]] = {
    "average": lambda to_a, to_b, n_a, n_b: (n_a * to_a + n_b * to_b) / (n_a + n_b),
    "complete": lambda to_a, to_b, n_a, n_b: min(to_a, to_b),
    "single": lambda to_a, to_b, n_a, n_b: max(to_a, to_b),
}


class _Strict:
    """Groups may be merged if every pair between them is feasible.

    Attributes:
        members: Items of each group.
        similarity: For each group, its similarity to every group that it may be merged with.
        embedding_sum: float64 (N, D), sum of the members' embeddings.
    """

    def __init__(self, similarities: Similarities, linkage: Linkage) -> None:
        n = len(similarities.embeddings)
        self._linkage = linkage
        self.members = [[k] for k in range(n)]
        self.embedding_sum = similarities.embeddings.copy()

        value = similarities.value
        if linkage == "mean_feature":
            first, second = similarities.pairs.T
            value = np.einsum("pd,pd->p", self.embedding_sum[first], self.embedding_sum[second])
        self.similarity: list[dict[int, float]] = [{} for _ in range(n)]
        for (a, b), known in zip(similarities.pairs.tolist(), value.tolist(), strict=True):
            self.similarity[a][b] = self.similarity[b][a] = known

    def candidates(self) -> Iterable[tuple[int, int, float]]:
        return ((a, b, value) for a, others in enumerate(self.similarity) for b, value in others.items() if a < b)

    def merge(self, a: int, b: int) -> dict[int, float]:
        to_a, to_b = self.similarity[a], self.similarity[b]
        feasible = sorted(to_a.keys() & to_b.keys())
        if self._linkage == "mean_feature":
            self.embedding_sum[a] += self.embedding_sum[b]
            cosines = _cosines(self.embedding_sum[a], self.embedding_sum[feasible])
            merged = dict(zip(feasible, cosines.tolist(), strict=True))
        else:
            linkage_of_union = _LINKAGE_OF_UNION[self._linkage]
            n_a, n_b = len(self.members[a]), len(self.members[b])
            merged = {c: linkage_of_union(to_a[c], to_b[c], n_a, n_b) for c in feasible}

        for old in (a, b):
            for c in self.similarity[old]:
                del self.similarity[c][old]
        self.similarity[a], self.similarity[b] = merged, {}
        for c, value in merged.items():
            self.similarity[c][a] = value
        self.members[a] += self.members[b]
        return merged


def _as_triples(similarities: Similarities, chosen: Array) -> Iterable[tuple[int, int, float]]:
    """(first, second, similarity) of the chosen pairs."""
    pairs, value = similarities.pairs[chosen].tolist(), similarities.value[chosen].tolist()
    return ((a, b, known) for (a, b), known in zip(pairs, value, strict=True))


def _cosines(vector: Array, rows: Array) -> Array:
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
    return np.asarray(rows @ vector / np.where(lengths > 0, lengths, 1.0))
