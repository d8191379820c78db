"""Hierarchical: constrained agglomeration; the two most similar groups become one, while they are alike and may.

Two groups become one vehicle while their similarity reaches the threshold, if at least one pair between them is
possible and alike by itself, and nothing rules it out: two passages of one camera, or two places at one moment.

A group is named by its first member. Only groups with a witness, a possible pair that reaches the threshold by
itself, are ever compared, so the work grows with the number of alike pairs and not with N².
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import numpy as np

from mtmc.associate.config import AssociateConfig
from mtmc.associate.similarity import Similarities
from mtmc.types import Array, Passage

__all__ = ["agglomerate"]

_DIGITS = 9  # similarities closer than that are ties, whatever the order of summation


def agglomerate(passages: Sequence[Passage], known: Similarities, config: AssociateConfig) -> Array:
    """Group passages in order of similarity, ties by index: int64 (N,), the first member of each's group.

    ``average`` takes the mean over all pairs between two groups whose similarity is known: of a possible pair its
    value, of another one (too far apart in time, say) its cosine. ``complete`` takes the least of these, ``single``
    the greatest among the witnesses. ``mean_feature`` takes the cosine of the mean embeddings, and the mean where
    there are none.
    """
    groups = _Groups(passages, known, config)
    heap = groups.candidates()
    heapq.heapify(heap)
    while heap:
        _, a, b, age_a, age_b = heapq.heappop(heap)
        if (groups.age[a], groups.age[b]) == (age_a, age_b):
            for candidate in groups.merge(a, b):
                heapq.heappush(heap, candidate)
    return groups.labels()


_Candidate = tuple[float, int, int, int, int]  # minus similarity, the groups a < b, their ages when it was computed


class _Groups:
    """The groups so far, each under the index of its first member; a group that was absorbed has age −1."""

    def __init__(self, passages: Sequence[Passage], known: Similarities, config: AssociateConfig) -> None:
        n = len(passages)
        self.threshold = config.threshold - 10**-_DIGITS
        self.once_per_camera = config.once_per_camera
        self.members = [[k] for k in range(n)]
        self.age = [0] * n
        self.embeddings = known.embeddings
        self.sums = known.embeddings.copy()
        self.has_embedding = np.asarray(known.embeddings.any(axis=1))
        self.described = self.has_embedding.astype(float)
        self.visits = [{p.tracklet.camera_id: [(p.tracklet.start_s, p.tracklet.end_s)]} for p in passages]
        self.apart: list[set[int]] = [set() for _ in range(n)]
        for a, b in known.conflicting.tolist():
            self.apart[a].add(b)
            self.apart[b].add(a)
        self.witnesses: list[dict[int, float]] = [{} for _ in range(n)]
        alike = known.value >= self.threshold
        for (a, b), value in zip(known.pairs[alike].tolist(), known.value[alike].tolist(), strict=True):
            self.witnesses[a][b] = self.witnesses[b][a] = value
        rows = np.flatnonzero(~known.appearance_only)
        self.special = {
            (a, b): value
            for (a, b), value in zip(known.pairs[rows].tolist(), known.value[rows].tolist(), strict=True)
        }
        linkages: dict[str, Callable[[int, list[int]], Array]] = {
            "average": self._average,
            "complete": self._complete,
            "single": self._single,
            "mean_feature": self._mean_feature,
        }
        self.similarity = linkages[config.linkage]

    def candidates(self) -> list[_Candidate]:
        """Every pair of single passages that reaches the threshold."""
        return [
            (-round(value, _DIGITS), a, b, 0, 0)
            for a, others in enumerate(self.witnesses)
            for b, value in others.items()
            if a < b
        ]

    def merge(self, a: int, b: int) -> list[_Candidate]:
        """Let group a absorb group b; what can be merged with it from now on."""
        self.members[a] += self.members[b]
        self.sums[a] += self.sums[b]
        self.described[a] += self.described[b]
        self.apart[a] |= self.apart[b]
        for camera, times in self.visits[b].items():
            self.visits[a].setdefault(camera, []).extend(times)
        self.age[a] += 1
        self.age[b] = -1
        self._join_witnesses(a, b)
        others = sorted(self.witnesses[a])
        if not others:
            return []
        similarities = self.similarity(a, others)
        return [
            (-round(similarity, _DIGITS), min(a, c), max(a, c), self.age[min(a, c)], self.age[max(a, c)])
            for c, similarity in zip(others, similarities.tolist(), strict=True)
            if similarity >= self.threshold
        ]

    def _join_witnesses(self, a: int, b: int) -> None:
        joined = self.witnesses[a]
        for c, value in self.witnesses[b].items():
            joined[c] = max(value, joined.get(c, value))
            del self.witnesses[c][b]
        joined.pop(a, None)
        joined.pop(b, None)
        self.witnesses[b] = {}
        for c in [c for c in joined if self._excluded(a, c)]:
            del joined[c]
            self.witnesses[c].pop(a, None)
        for c, value in joined.items():
            self.witnesses[c][a] = value

    def _excluded(self, a: int, b: int) -> bool:
        """Whether two groups cannot be one vehicle, however alike they are."""
        if not self.apart[a].isdisjoint(self.members[b]):
            return True
        shared = self.visits[a].keys() & self.visits[b].keys()
        if self.once_per_camera:
            return bool(shared)
        return any(
            s <= until and since <= e
            for camera in shared
            for s, e in self.visits[a][camera]
            for since, until in self.visits[b][camera]
        )

    def _average(self, a: int, others: list[int]) -> Array:
        total = self.sums[others] @ self.sums[a]
        count = self.described[others] * self.described[a]
        if self.special:
            for k, c in enumerate(others):
                for i, j, value in self._special_between(a, c):
                    total[k] += value - float(self.embeddings[i] @ self.embeddings[j])
                    count[k] += not (self.has_embedding[i] and self.has_embedding[j])
        return np.asarray(total / count)

    def _complete(self, a: int, others: list[int]) -> Array:
        worst = np.empty(len(others))
        for k, c in enumerate(others):
            rows, columns = self.members[a], self.members[c]
            values = self.embeddings[rows] @ self.embeddings[columns].T
            values[~np.logical_and.outer(self.has_embedding[rows], self.has_embedding[columns])] = np.inf
            for i, j, value in self._special_between(a, c):
                values[rows.index(i), columns.index(j)] = value
            worst[k] = values.min()
        return worst

    def _single(self, a: int, others: list[int]) -> Array:
        return np.array([self.witnesses[a][c] for c in others])

    def _mean_feature(self, a: int, others: list[int]) -> Array:
        lengths = np.linalg.norm(self.sums[others], axis=1) * np.linalg.norm(self.sums[a])
        unknown = lengths < 10**-_DIGITS
        cosine = self.sums[others] @ self.sums[a] / np.where(unknown, 1.0, lengths)
        return np.where(unknown, self._average(a, others), cosine) if unknown.any() else np.asarray(cosine)

    def _special_between(self, a: int, b: int) -> list[tuple[int, int, float]]:
        """(member of a, member of b, value) of the pairs whose value is not simply the cosine."""
        pairs = ((i, j, self.special.get((min(i, j), max(i, j)))) for i in self.members[a] for j in self.members[b])
        return [(i, j, value) for i, j, value in pairs if value is not None]

    def labels(self) -> Array:
        out = np.empty(len(self.members), np.int64)
        for first, members in enumerate(self.members):
            if self.age[first] >= 0:
                out[members] = first
        return out
