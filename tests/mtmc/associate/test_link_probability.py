"""Features of links against loops over groups, and the probabilities that they give."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from mtmc.associate import AssociateConfig
from mtmc.associate.candidates import Candidates
from mtmc.associate.graph import candidate_graph, solve
from mtmc.associate.link_probability import COEFFICIENTS, link_features, link_probability
from mtmc.associate.numbering import in_order
from mtmc.types import Array
from tests.mtmc.associate.test_graph import place, town


@pytest.fixture(scope="module")
def solved() -> tuple[Candidates, Array]:
    passages = in_order(town(np.random.default_rng(3), 25, split=0.5)[0])
    candidates, constraints = candidate_graph(passages, place(), AssociateConfig())
    return candidates, solve(candidates, constraints)


def by_hand(candidates: Candidates, labels: list[int], i: int, j: int) -> tuple[float, float, float, bool, bool]:
    value = dict(zip(map(tuple, candidates.pairs.tolist()), candidates.log_odds.tolist(), strict=True))

    def between(first: list[int], second: list[int]) -> float:
        return sum(value.get((min(a, b), max(a, b)), 0.0) for a, b in product(first, second) if a != b)

    members = {g: [k for k in range(len(labels)) if labels[k] == g] for g in set(labels)}
    is_joined = labels[i] == labels[j]
    if is_joined:
        support = min(between([i], members[labels[i]]), between([j], members[labels[j]]))
    else:
        support = between(members[labels[i]], members[labels[j]])
    others = [group for g, group in members.items() if g not in (labels[i], labels[j])]
    alternative = max([0.0, *(between([k], group) for k, group in product((i, j), others))])
    is_apart = not is_joined and candidates.evidence.constraints.conflict(members[labels[i]], members[labels[j]])
    return value[i, j], support, alternative, is_joined, is_apart


def test_features_against_loops_over_groups(solved: tuple[Candidates, Array]) -> None:
    candidates, labels = solved
    first, second = candidates.pairs.T
    rows = np.flatnonzero((labels[first] == labels[second]) | (candidates.log_odds > -2))[::7]
    found = link_features(candidates, labels, rows, candidates.evidence.constraints.conflict)
    assert {True, False} == set(found.is_joined.tolist()) == set(found.is_apart.tolist())
    for k, row in enumerate(rows.tolist()):
        expected = by_hand(candidates, labels.tolist(), *candidates.pairs[row].tolist())
        got = found.own[k], found.support[k], found.alternative[k], found.is_joined[k], found.is_apart[k]
        assert got == pytest.approx(expected, abs=1e-6), row


def test_probability_is_the_logistic_function_of_the_features(solved: tuple[Candidates, Array]) -> None:
    candidates, labels = solved
    rows = np.flatnonzero(candidates.log_odds > -2)
    features = link_features(candidates, labels, rows, candidates.evidence.constraints.conflict)
    for k, p in enumerate(link_probability(candidates, labels, rows).tolist()):
        own = min(max(features.own[k], -8.0), 8.0)
        support = min(max(features.support[k], -12.0), 12.0)
        terms = (1.0, own, support, min(features.alternative[k], 8.0), features.is_joined[k], features.is_apart[k])
        total = sum(b * x for b, x in zip(COEFFICIENTS, terms, strict=True))
        assert p == pytest.approx(1 / (1 + math.exp(-total)))


def test_a_pair_is_less_probable_if_its_vehicles_cannot_be_one(solved: tuple[Candidates, Array]) -> None:
    candidates, labels = solved
    rows = np.flatnonzero(candidates.log_odds > -2)
    known = link_features(candidates, labels, rows, candidates.evidence.constraints.conflict)
    greatest = link_features(candidates, labels, rows, None).probability()
    assert not known.is_apart[known.is_joined].any()
    assert (known.probability() < greatest)[known.is_apart].all()
    np.testing.assert_array_equal(known.probability()[~known.is_apart], greatest[~known.is_apart])


def test_no_candidates_have_no_probabilities(solved: tuple[Candidates, Array]) -> None:
    candidates, labels = solved
    assert len(link_probability(candidates, labels, np.zeros(0, np.int64))) == 0
