"""Calibrated probabilities of links: of pairs that have the probability p, a share of p is one vehicle.

Log odds of pairs are sums of cues that are not quite independent, and the pairs that a partition joins are those
whose log odds happen to be large. Both make them too certain. A logistic regression (Platt 1999) corrects this by
what the partition shows beyond the pair itself:

    p = sigmoid(β · (1, own, support, alternative, joined, apart))

with the log odds of the pair (own), the sum of log odds that holds both together (support), the largest sum of one of
them with the vehicles of another group (alternative), whether the partition joins the pair (joined: 1 or 0), and
whether a constraint forbids that the two vehicles of a rejected pair are one (apart: 1 or 0). If they are apart, the
pair is one vehicle only if links that the partition has are wrong.

The coefficients are fitted to real and synthetic places by ``python -m tools.bench.link_calibration``, which also
measures them on places that are left out of the fit.

Source: Platt: Probabilistic outputs for support vector machines, 1999.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from mtmc.associate.candidates import Candidates
from mtmc.associate.correlation_clustering import Conflict
from mtmc.types import Array

__all__ = ["COEFFICIENTS", "LinkFeatures", "link_features", "link_probability", "members_of"]

#: β, in the order of :meth:`LinkFeatures.matrix`.
COEFFICIENTS = (0.512, 0.439, 0.125, -0.292, 0.710, -2.887)

_OWN_LIMIT, _SUPPORT_LIMIT, _ALTERNATIVE_LIMIT = 8.0, 12.0, 8.0


@dataclass(frozen=True, slots=True, eq=False)
class LinkFeatures:
    """What the probability of L pairs is computed from.

    Attributes:
        own: float64 (L,), log odds of the pair.
        support: float64 (L,). Joined: the smaller sum of log odds of one of the two with all other passages of their
            vehicle. Rejected: the sum between the two vehicles.
        alternative: float64 (L,), the largest sum of log odds of one of the two with a third group, at least 0.
        is_joined: bool (L,).
        is_apart: bool (L,), whether the vehicles of a rejected pair cannot be one as wholes.
    """

    own: Array
    support: Array
    alternative: Array
    is_joined: Array
    is_apart: Array

    def matrix(self) -> Array:
        """Columns 1, own, support, alternative, joined, apart, within limits: float64 (L, 6)."""
        return np.column_stack(
            [
                np.ones(len(self.own)),
                np.clip(self.own, -_OWN_LIMIT, _OWN_LIMIT),
                np.clip(self.support, -_SUPPORT_LIMIT, _SUPPORT_LIMIT),
                np.minimum(self.alternative, _ALTERNATIVE_LIMIT),
                self.is_joined,
                self.is_apart,
            ]
        )

    def probability(self) -> Array:
        """Probability that each pair is one vehicle: float64 (L,)."""
        return np.asarray(expit(self.matrix() @ np.array(COEFFICIENTS)))


def link_probability(candidates: Candidates, labels: Array, rows: Array) -> Array:
    """Probability that each of some candidate pairs is one vehicle: float64 (L,).

    Args:
        candidates: P pairs of N passages.
        labels: int64 (N,), the partition that was found under the constraints of their evidence.
        rows: int64 (L,), rows of the pairs.
    """
    return link_features(candidates, labels, rows, candidates.evidence.constraints.conflict).probability()


def link_features(candidates: Candidates, labels: Array, rows: Array, conflict: Conflict | None) -> LinkFeatures:
    """The features of some candidate pairs.

    Args:
        candidates: P pairs of N passages.
        labels: int64 (N,), the partition.
        rows: int64 (L,), rows of the pairs.
        conflict: Whether two groups of passages can never be one vehicle; None takes no two to be apart, which gives
            the greatest probability that a pair may have, and is quicker.
    """
    first, second = candidates.pairs[rows, 0], candidates.pairs[rows, 1]
    is_joined = labels[first] == labels[second]
    sums = _sums_with_groups(candidates, labels)

    within = np.minimum(sums.at(first, labels[first]), sums.at(second, labels[second]))
    between = _sums_between_groups(candidates, labels, rows)
    best_of_first = sums.best_other(first, labels[first], labels[second])
    best_of_second = sums.best_other(second, labels[second], labels[first])
    return LinkFeatures(
        own=candidates.log_odds[rows],
        support=np.where(is_joined, within, between),
        alternative=np.maximum(best_of_first, best_of_second),
        is_joined=is_joined,
        is_apart=np.zeros(len(rows), bool) if conflict is None else _are_apart(candidates, labels, rows, conflict),
    )


def members_of(labels: Array) -> dict[int, list[int]]:
    """The passages of each group, in order."""
    members: dict[int, list[int]] = defaultdict(list)
    for passage, label in enumerate(labels.tolist()):
        members[label].append(passage)
    return members


def _are_apart(candidates: Candidates, labels: Array, rows: Array, conflict: Conflict) -> Array:
    """Whether the two groups of each pair conflict; pairs of one group do not: bool (L,)."""
    groups, place = np.unique(np.sort(labels[candidates.pairs[rows]], axis=1), axis=0, return_inverse=True)
    members = members_of(labels)
    apart = [a != b and conflict(members[a], members[b]) for a, b in groups.tolist()]
    return np.array(apart, bool)[place.reshape(-1)]


@dataclass(frozen=True, slots=True, eq=False)
class _GroupSums:
    """S(k, g), the sum of the log odds of passage k with the members of group g, for all pairs of them that have any.

    Attributes:
        n: N.
        key: int64 (K,), k · N + g, sorted.
        value: float64 (K,), S.
    """

    n: int
    key: Array
    value: Array

    def at(self, passage: Array, group: Array) -> Array:
        """S(k, g) of given passages and groups, 0 where there is none: float64 (L,)."""
        wanted = passage.astype(np.int64) * self.n + group
        row = np.minimum(np.searchsorted(self.key, wanted), max(len(self.key) - 1, 0))
        return np.where(self.key[row] == wanted, self.value[row], 0.0)

    def best_other(self, passage: Array, own: Array, other: Array) -> Array:
        """The largest S(k, g) of each passage with a group that is neither ``own`` nor ``other``, at least 0.

        Every group's sum is in the table of two groups at most, so that the third largest sum decides at the latest.
        """
        holder, group = np.divmod(self.key, self.n)
        order = np.lexsort([-self.value, holder])
        begin = np.searchsorted(holder[order], passage)
        end = np.searchsorted(holder[order], passage, side="right")
        best = np.zeros(len(passage))
        for rank in (2, 1, 0):
            row = order[np.minimum(begin + rank, len(order) - 1)]
            is_third_group = (begin + rank < end) & (group[row] != own) & (group[row] != other)
            best = np.where(is_third_group, np.maximum(self.value[row], 0.0), best)
        return best


def _sums_with_groups(candidates: Candidates, labels: Array) -> _GroupSums:
    first, second = candidates.pairs.astype(np.int64).T
    key = np.concatenate([first * candidates.n + labels[second], second * candidates.n + labels[first]])
    value = np.concatenate([candidates.log_odds, candidates.log_odds])
    keys, place = np.unique(key, return_inverse=True)
    return _GroupSums(candidates.n, keys, np.bincount(place, value, minlength=len(keys)))


def _sums_between_groups(candidates: Candidates, labels: Array, rows: Array) -> Array:
    """Sum of the log odds between the groups of each pair: float64 (L,)."""
    group = np.sort(labels[candidates.pairs], axis=1)
    key = group[:, 0].astype(np.int64) * candidates.n + group[:, 1]
    keys, place = np.unique(key, return_inverse=True)
    return np.asarray(np.bincount(place, candidates.log_odds, minlength=len(keys))[place[rows]])
