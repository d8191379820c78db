"""Constrained correlation clustering: which passages are one vehicle, given the log odds of every candidate pair.

Greedy additive edge contraction (Keuper et al., ICCV 2015) joins the two groups with most in favour, sums what speaks
for and against, and goes on while something speaks for. Then single passages move to where they fit better, out of
the way of others if need be. Equal values are decided by index, so the result depends on nothing else.

A sum can only be positive where one of its terms is, so that only pairs in favour are kept as a graph of Python
objects; what speaks against is looked up in a sorted array when two groups come to be compared.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import product

import numpy as np

from mtmc.types import Array

__all__ = ["Odds", "contract", "improve"]

_DIGITS = 6  # log odds nearer than that are ties, whatever the order of summation
_LEAST = 1e-4  # gain of a move worth making

Excluded = Callable[[list[int], list[int]], bool]


class Odds:
    """Log odds of candidate pairs, 0 for all others.

    Args:
        n: Passages.
        keys: int64 (P,), ``first * n + second`` with first < second, sorted, each once.
        values: float (P,).
    """

    def __init__(self, n: int, keys: Array, values: Array) -> None:
        self.n, self.keys, self.values = n, keys, values
        self.friends: list[list[int]] = [[] for _ in range(n)]
        for key in keys[values > 0].tolist():
            a, b = divmod(key, n)
            self.friends[a].append(b)
            self.friends[b].append(a)

    def sums(self, these: list[list[int]], those: list[list[int]]) -> list[float]:
        """For each k, the sum over all pairs of a member of ``these[k]`` with one of ``those[k]``."""
        if not len(self.keys) or not these:
            return [0.0] * len(these)
        n = self.n
        wanted, size = [], []
        for left, right in zip(these, those, strict=True):
            wanted += [i * n + j if i < j else j * n + i for i, j in product(left, right)]
            size.append(len(left) * len(right))
        key = np.array(wanted, np.int64)
        at = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        value = np.where(self.keys[at] == key, self.values[at], 0.0)
        ends = np.cumsum(size)
        total = np.concatenate([[0.0], np.cumsum(value)])
        return (total[ends] - total[ends - np.array(size)]).tolist()  # type: ignore[no-any-return]

    def objective(self, labels: Array) -> float:
        """Sum of the log odds within groups, the larger the better."""
        first, second = np.divmod(self.keys, self.n)
        return float(self.values[labels[first] == labels[second]].sum())


def contract(odds: Odds, excluded: Excluded) -> Array:
    """Join groups while their summed log odds are positive and nothing forbids it: labels int64 (N,).

    Args:
        odds: Of N passages.
        excluded: Says of the members of two groups whether they can never be one vehicle.
    """
    n = odds.n
    members: list[list[int]] = [[k] for k in range(n)]
    around: list[dict[int, float]] = [{} for _ in range(n)]
    inside = odds.values > 0
    for key, value in zip(odds.keys[inside].tolist(), odds.values[inside].tolist(), strict=True):
        a, b = divmod(key, n)
        around[a][b] = around[b][a] = value
    age = [0] * n
    heap = [(-round(v, _DIGITS), a, b, 0, 0) for a in range(n) for b, v in around[a].items() if a < b]
    heapq.heapify(heap)
    while heap:
        _, a, b, age_a, age_b = heapq.heappop(heap)
        if age[a] != age_a or age[b] != age_b:
            continue
        if excluded(members[a], members[b]):
            del around[a][b], around[b][a]
            continue
        mine, theirs = around[a], around[b]
        del mine[b], theirs[a]
        half = [(c, b if c in mine else a) for c in sorted(mine.keys() ^ theirs.keys())]
        rest = odds.sums([members[other] for _, other in half], [members[c] for c, _ in half])
        joined = {c: mine[c] + theirs[c] for c in mine.keys() & theirs.keys()}
        joined |= {c: mine.get(c, 0.0) + theirs.get(c, 0.0) + value for (c, _), value in zip(half, rest, strict=True)}
        members[a] += members[b]
        members[b], around[b], around[a] = [], {}, joined
        age[a], age[b] = age[a] + 1, -1
        for c, value in joined.items():
            around[c].pop(b, None)
            around[c][a] = value
            if (gain := round(value, _DIGITS)) > 0:
                low, high = (a, c) if a < c else (c, a)
                heapq.heappush(heap, (-gain, low, high, age[low], age[high]))
    labels = np.arange(n)
    for group in members:
        if group:
            labels[group] = min(group)
    return labels


def improve(odds: Odds, labels: Array, excluded: Excluded, sweeps: int = 10) -> Array:
    """Local search: labels int64 (N,) whose objective is at least that of ``labels``.

    Passages move, one at a time in order of index, to the group where most speaks for them, or stand alone. Those
    members of the new group that cannot be one vehicle with the newcomer are turned out if that still is a gain.
    """
    group: list[int] = labels.tolist()
    members: dict[int, list[int]] = {}
    for k, g in enumerate(group):
        members.setdefault(g, []).append(k)
    fresh = odds.n
    restless = set(range(odds.n))
    for _ in range(sweeps):
        if not restless:
            break
        todo, restless = sorted(restless), set()
        for k in todo:
            here = [m for m in members[group[k]] if m != k]
            goals = sorted({group[f] for f in odds.friends[k]} - {group[k]})
            if not here and not goals:
                continue
            rooms = [members[g] for g in goals]
            out = [[m for m in room if excluded([k], [m])] if excluded([k], room) else [] for room in rooms]
            stay = [[m for m in room if m not in gone] for room, gone in zip(rooms, out, strict=True)]
            here_sum, *sums = odds.sums([[k]] * (1 + len(goals)), [here, *stay])
            lost = odds.sums(out, stay)
            within = [_within(odds, gone) for gone in out]
            gain, goal = max(
                (
                    (round(s - lo - w, _DIGITS), -i)
                    for i, (s, lo, w) in enumerate(zip(sums, lost, within, strict=True))
                ),
                default=(0.0, 1),
            )
            alone = gain <= 0.0
            if max(gain, 0.0) <= here_sum + _LEAST or (alone and not here):
                continue
            gone = [] if alone else out[-goal]
            members[group[k]] = here
            for m in gone:
                group[m], members[fresh] = fresh, [m]
                fresh += 1
            if alone:
                group[k], members[fresh] = fresh, [k]
                fresh += 1
            else:
                group[k] = goals[-goal]
                members[group[k]] = [*stay[-goal], k]
            changed = {*here, *gone, *members[group[k]]}
            restless.update(changed, *(odds.friends[m] for m in changed))
    out_labels = np.arange(odds.n)
    for group_members in members.values():
        if group_members:
            out_labels[group_members] = min(group_members)
    return out_labels


def _within(odds: Odds, these: list[int]) -> float:
    """Sum of the log odds among some passages, which is lost when they are parted."""
    if len(these) < 2:
        return 0.0
    return sum(odds.sums([[k] for k in these], [these[:i] for i in range(len(these))]))
