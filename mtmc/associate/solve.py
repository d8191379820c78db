"""Constrained correlation clustering: which passages are one vehicle, given the log odds of every candidate pair.

Greedy additive edge contraction (Keuper et al., ICCV 2015) joins the two groups with most in favour, sums what speaks
for and against, and goes on while something speaks for; then single passages move to where they fit better. Equal
values are decided by index, so the result depends on nothing else.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from mtmc.types import Array

__all__ = ["contract", "improve", "objective"]

_DIGITS = 9

Excluded = Callable[[list[int], list[int]], bool]


def objective(labels: Array, pairs: Array, odds: Array) -> float:
    """Sum of the log odds within groups, the larger the better."""
    return float(odds[labels[pairs[:, 0]] == labels[pairs[:, 1]]].sum())


def contract(n: int, pairs: Array, odds: Array, excluded: Excluded) -> Array:
    """Join groups while their summed log odds are positive and nothing forbids it: labels int64 (N,).

    Args:
        n: Passages.
        pairs: int64 (P, 2), first < second, each once.
        odds: float64 (P,), log odds.
        excluded: Says of the members of two groups whether they can never be one vehicle.
    """
    members: list[list[int]] = [[k] for k in range(n)]
    around: list[dict[int, float]] = [{} for _ in range(n)]
    for (a, b), value in zip(pairs.tolist(), odds.tolist(), strict=True):
        around[a][b] = around[b][a] = value
    age = [0] * n
    heap = [(-round(v, _DIGITS), a, b, 0, 0) for a in range(n) for b, v in around[a].items() if a < b and v > 0]
    heapq.heapify(heap)
    while heap:
        _, a, b, age_a, age_b = heapq.heappop(heap)
        if age[a] != age_a or age[b] != age_b:
            continue
        if excluded(members[a], members[b]):
            del around[a][b], around[b][a]
            continue
        if len(around[a]) < len(around[b]):  # keep the group with more neighbours; only the cost depends on it
            a, b = b, a
        members[a] += members[b]
        members[b] = []
        age[a] += 1
        age[b] = -1
        mine, theirs = around[a], around[b]
        mine.pop(b)
        theirs.pop(a)
        for c, value in theirs.items():
            del around[c][b]
            mine[c] = around[c][a] = mine.get(c, 0.0) + value
        around[b] = {}
        for c, value in mine.items():
            if value > 0:
                low, high = (a, c) if a < c else (c, a)
                heapq.heappush(heap, (-round(value, _DIGITS), low, high, age[low], age[high]))
    labels = np.arange(n)
    for group in members:
        if group:
            labels[group] = min(group)
    return labels


def improve(labels: Array, pairs: Array, odds: Array, excluded: Excluded, sweeps: int = 10) -> Array:
    """Move single passages between groups, or out of them, while that raises the objective: labels int64 (N,)."""
    n = len(labels)
    around: list[list[tuple[int, float]]] = [[] for _ in range(n)]
    for (a, b), value in zip(pairs.tolist(), odds.tolist(), strict=True):
        around[a].append((b, value))
        around[b].append((a, value))
    group = labels.tolist()
    members: dict[int, set[int]] = {}
    for k, g in enumerate(group):
        members.setdefault(g, set()).add(k)
    fresh = n
    for _ in range(sweeps):
        moved = False
        for k in range(n):
            sums: dict[int, float] = {}
            for other, value in around[k]:
                sums[group[other]] = sums.get(group[other], 0.0) + value
            here = sums.get(group[k], 0.0) if len(members[group[k]]) > 1 else 0.0
            best = max(((round(v, _DIGITS), -g) for g, v in sums.items() if g != group[k]), default=(0.0, 0))
            target, gain = (-best[1], best[0]) if best[0] > 0 else (-1, 0.0)
            if gain <= here + 1e-6 and not (here < -1e-6):
                continue
            if target >= 0 and gain > here + 1e-6 and excluded([k], sorted(members[target])):
                target = -1
                if here >= -1e-6:
                    continue
            members[group[k]].discard(k)
            if target < 0 or gain <= here:
                target, fresh = fresh, fresh + 1
                members[target] = set()
            members[target].add(k)
            group[k] = target
            moved = True
        if not moved:
            break
    first = {g: min(m) for g, m in members.items() if m}
    return np.array([first[g] for g in group], np.int64)
