"""Constrained correlation clustering: groups of passages with the largest sum of log odds inside groups.

Greedy additive edge contraction (GAEC; Keuper et al., ICCV 2015) joins the two groups with the largest sum of log
odds between them, and goes on while a sum is positive and nothing forbids the join. A local search then moves single
passages. Equal values are decided by index, so that the result depends on nothing else.

A sum can only be positive if one of its terms is. Only positive pairs are therefore kept as a graph of Python
objects; negative ones are looked up in a sorted array when two groups are compared.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from mtmc.types import Array

__all__ = ["Conflict", "PairwiseLogOdds", "greedy_edge_contraction", "local_search"]

_DIGITS = 6  # log odds that agree in so many digits are ties, whatever the order of summation
_MIN_GAIN = 1e-4  # of a move

#: Whether two groups of passages, given by their members, can never be one vehicle.
Conflict = Callable[[list[int], list[int]], bool]


class PairwiseLogOdds:
    """Log odds of the candidate pairs of N passages, 0 for all other pairs.

    Args:
        n: N.
        keys: int64 (P,), ``first * N + second`` with first < second, sorted, each once.
        values: float (P,).
    """

    def __init__(self, n: int, keys: Array, values: Array) -> None:
        self.n, self.keys, self.values = n, keys, values
        self.positive_neighbors: list[list[int]] = [[] for _ in range(n)]
        for key in keys[values > 0].tolist():
            a, b = divmod(key, n)
            self.positive_neighbors[a].append(b)
            self.positive_neighbors[b].append(a)

    def sums(self, first: list[list[int]], second: list[list[int]]) -> list[float]:
        """For each k, the sum over all pairs of a member of ``first[k]`` and a member of ``second[k]``."""
        if not len(self.keys) or not first:
            return [0.0] * len(first)
        n = self.n
        wanted, size = [], []
        for left, right in zip(first, second, strict=True):
            wanted += [i * n + j if i < j else j * n + i for i, j in product(left, right)]
            size.append(len(left) * len(right))
        key = np.array(wanted, np.int64)
        row = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        value = np.where(self.keys[row] == key, self.values[row], 0.0)
        ends = np.cumsum(size)
        running = np.concatenate([[0.0], np.cumsum(value)])
        return (running[ends] - running[ends - np.array(size)]).tolist()  # type: ignore[no-any-return]

    def within(self, members: list[int]) -> float:
        """Sum over all pairs of a group, which is lost when its members are separated."""
        if len(members) < 2:
            return 0.0
        return sum(self.sums([[k] for k in members], [members[:i] for i in range(len(members))]))

    def objective(self, labels: Array) -> float:
        """Sum of the log odds inside groups, which clustering maximizes."""
        first, second = np.divmod(self.keys, self.n)
        return float(self.values[labels[first] == labels[second]].sum())


# Greedy additive edge contraction


def greedy_edge_contraction(
    log_odds: PairwiseLogOdds, conflict: Conflict, initial_groups: Sequence[Sequence[int]] = ()
) -> Array:
    """Join groups while their summed log odds are positive and nothing forbids it: labels int64 (N,).

    Args:
        log_odds: Of N passages.
        conflict: Whether two groups can never be one vehicle.
        initial_groups: Groups that are joined beforehand, whatever their log odds.
    """
    state = _Contraction(log_odds)
    for group in initial_groups:
        first, *others = sorted(group)
        for other in others:
            state.join(first, other)
    while (pair := state.next_pair()) is not None:
        a, b = pair
        if conflict(state.members[a], state.members[b]):
            state.cut(a, b)
        else:
            state.join(a, b)
    return _labels(log_odds.n, state.members)


class _Contraction:
    """Groups, the sums between those that a positive pair connects, and a heap of the positive sums.

    A group is named by its least member. Its version grows with every join, so that outdated entries of the heap are
    recognized.
    """

    def __init__(self, log_odds: PairwiseLogOdds) -> None:
        n = log_odds.n
        self.log_odds = log_odds
        self.members: list[list[int]] = [[k] for k in range(n)]
        self.sum_with: list[dict[int, float]] = [{} for _ in range(n)]
        self.version = [0] * n
        is_positive = log_odds.values > 0
        keys, values = log_odds.keys[is_positive].tolist(), log_odds.values[is_positive].tolist()
        for key, value in zip(keys, values, strict=True):
            a, b = divmod(key, n)
            self.sum_with[a][b] = self.sum_with[b][a] = value
        self.heap = [
            (-round(value, _DIGITS), a, b, 0, 0) for a in range(n) for b, value in self.sum_with[a].items() if a < b
        ]
        heapq.heapify(self.heap)

    def next_pair(self) -> tuple[int, int] | None:
        """The two groups with the largest positive sum, the first ones of equals; None if there are no more."""
        while self.heap:
            _, a, b, version_a, version_b = heapq.heappop(self.heap)
            if self.version[a] == version_a and self.version[b] == version_b and b in self.sum_with[a]:
                return a, b
        return None

    def cut(self, a: int, b: int) -> None:
        """Forget the sum between two groups that cannot be joined."""
        del self.sum_with[a][b], self.sum_with[b][a]

    def join(self, a: int, b: int) -> None:
        """Make two groups one, named ``a``, and renew its sums with all neighbors."""
        if a > b:
            a, b = b, a
        sums_a, sums_b = self.sum_with[a], self.sum_with[b]
        sums_a.pop(b, None)
        sums_b.pop(a, None)

        # A neighbor of only one of the two may have negative log odds with the other, which no sum holds so far.
        one_sided = [(c, b if c in sums_a else a) for c in sorted(sums_a.keys() ^ sums_b.keys())]
        missing = self.log_odds.sums(
            [self.members[other] for _, other in one_sided], [self.members[c] for c, _ in one_sided]
        )
        joined = {c: sums_a[c] + sums_b[c] for c in sums_a.keys() & sums_b.keys()}
        for (c, _), value in zip(one_sided, missing, strict=True):
            joined[c] = sums_a.get(c, 0.0) + sums_b.get(c, 0.0) + value

        self.members[a] += self.members[b]
        self.members[b], self.sum_with[b], self.sum_with[a] = [], {}, joined
        self.version[a], self.version[b] = self.version[a] + 1, -1
        for c, value in joined.items():
            self.sum_with[c].pop(b, None)
            self.sum_with[c][a] = value
            gain = round(value, _DIGITS)
            if gain > 0:
                low, high = (a, c) if a < c else (c, a)
                heapq.heappush(self.heap, (-gain, low, high, self.version[low], self.version[high]))


def _labels(n: int, groups: Collection[list[int]]) -> Array:
    """Each passage's label, the least member of its group: int64 (N,)."""
    labels = np.arange(n)
    for members in groups:
        if members:
            labels[members] = min(members)
    return labels


# Local search


def local_search(
    log_odds: PairwiseLogOdds,
    labels: Array,
    conflict: Conflict,
    pinned: Collection[int] = (),
    max_sweeps: int = 10,
) -> Array:
    """Labels int64 (N,) whose objective is at least that of ``labels``.

    Passages move, one at a time in order of index, to the group with the largest sum, or stand alone. Members of the
    new group that conflict with the newcomer are evicted from it if that is still a gain. After the first sweep only
    passages are tried whose surroundings have changed.

    Args:
        log_odds: Of N passages.
        labels: int64 (N,), where the search starts.
        conflict: Whether two groups can never be one vehicle.
        pinned: Passages that are neither moved nor evicted.
        max_sweeps: How often all passages are tried.
    """
    state = _Partition(log_odds, labels, conflict, frozenset(pinned))
    changed = set(range(log_odds.n))
    for _ in range(max_sweeps):
        if not changed:
            break
        to_try, changed = sorted(changed), set()
        for k in to_try:
            move = state.best_move(k)
            if move is None:
                continue
            touched = state.apply(k, move)
            changed.update(touched, *(log_odds.positive_neighbors[m] for m in touched))
    return _labels(log_odds.n, state.members.values())


@dataclass(frozen=True, slots=True)
class _Move:
    """A passage goes to ``target``, None for a group of its own, where ``staying`` stay and ``evicted`` leave."""

    target: int | None
    staying: list[int]
    evicted: list[int]


class _Partition:
    """A partition of the passages that moves of single passages change."""

    def __init__(self, log_odds: PairwiseLogOdds, labels: Array, conflict: Conflict, pinned: frozenset[int]) -> None:
        self.log_odds, self.conflict, self.pinned = log_odds, conflict, pinned
        self.group: list[int] = labels.tolist()
        self.members: dict[int, list[int]] = {}
        for k, g in enumerate(self.group):
            self.members.setdefault(g, []).append(k)
        self.next_label = log_odds.n

    def best_move(self, k: int) -> _Move | None:
        """The move of one passage with the largest gain; None if it stays where it is.

        With S(A, B) the sum of the log odds between A and B, moving k to a group where R stay and E are evicted is
        worth S(k, R) − S(E, R) − S(E, E), standing alone 0, staying among its present companions H is worth S(k, H).
        """
        if k in self.pinned:
            return None
        companions = [m for m in self.members[self.group[k]] if m != k]
        targets = sorted({self.group[m] for m in self.log_odds.positive_neighbors[k]} - {self.group[k]})
        if not companions and not targets:
            return None
        moves = [move for target in targets if (move := self._move_to(k, target)) is not None]
        present, *with_staying = self.log_odds.sums(
            [[k]] * (1 + len(moves)), [companions, *(m.staying for m in moves)]
        )
        cut = self.log_odds.sums([m.evicted for m in moves], [m.staying for m in moves])

        best, best_worth = _Move(None, [], []), 0.0
        for move, own, lost in zip(moves, with_staying, cut, strict=True):
            worth = round(own - lost - self.log_odds.within(move.evicted), _DIGITS)
            if worth > best_worth:
                best, best_worth = move, worth
        is_same = best.target is None and not companions
        return None if is_same or best_worth <= present + _MIN_GAIN else best

    def _move_to(self, k: int, target: int) -> _Move | None:
        """The move to a group, or None if a pinned member would have to be evicted."""
        members = self.members[target]
        evicted = [m for m in members if self.conflict([k], [m])] if self.conflict([k], members) else []
        if self.pinned and not self.pinned.isdisjoint(evicted):
            return None
        return _Move(target, [m for m in members if m not in evicted], evicted)

    def apply(self, k: int, move: _Move) -> set[int]:
        """Carry out a move; the passages whose group has changed."""
        companions = [m for m in self.members[self.group[k]] if m != k]
        self.members[self.group[k]] = companions
        for m in move.evicted:
            self._separate(m)
        if move.target is None:
            self._separate(k)
        else:
            self.group[k] = move.target
            self.members[move.target] = [*move.staying, k]
        return {*companions, *move.evicted, *self.members[self.group[k]]}

    def _separate(self, k: int) -> None:
        self.group[k], self.members[self.next_label] = self.next_label, [k]
        self.next_label += 1
