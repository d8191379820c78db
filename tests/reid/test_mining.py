"""Mining in the dictionary against a twin that follows the printed equations with dense matrices and loops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import normalize

from reid import mining
from reid.errors import DataError
from reid.losses.dictionary import hard_negative_count
from reid.mining import DictionaryMiner, released_positives, update_dictionary

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    case = json.loads((GOLDEN / f"{name}.json").read_text())
    return case["input"], case["expected"]


def naive_positives(dictionary: torch.Tensor, threshold: float) -> list[list[int]]:
    """SSML Eq. 7-14 over the full matrix, ties to the lower index."""
    similarity = dictionary @ dictionary.T
    similarity = torch.triu(similarity) + torch.triu(similarity, 1).T  # one value per pair
    thresholded = torch.where(similarity >= threshold, similarity, torch.zeros(())).double()
    n = len(dictionary)
    largest = (-similarity).argsort(dim=1, stable=True).tolist()
    found = []
    for i in range(n):
        candidates = (similarity[i] >= threshold).nonzero()[:, 0].tolist()
        k = len(candidates)
        rank = {j for j in candidates if i in largest[j][:k]}
        distance = (thresholded[i] - thresholded).square().sum(1)
        found.append(sorted(rank & set(distance.argsort(stable=True)[:k].tolist())))
    return found


def naive_released(dictionary: torch.Tensor, anchor: int, threshold: float) -> list[int]:
    """The published program's rule in the order of its own loops.

    Lists have at least ten entries. Adjacency compares rows of the similarities among the anchor's hundred nearest,
    each with itself counted as 0. Ranks are looked up candidate by candidate until one fails; a candidate that is not
    adjacent is looked up as the last row of all; the first two are never lost this way.
    """
    similarity = (dictionary @ dictionary.T).tolist()
    n = len(similarity)
    order = sorted(range(n), key=lambda j: -similarity[anchor][j])
    above = sum(s >= threshold for s in similarity[anchor])
    length = min(max(above, 10), n)

    near = order[:100]
    rows = [torch.tensor([0.0 if a == b else similarity[a][b] for b in near]) for a in near]
    distance = [float((rows[0] - row).norm()) for row in rows]
    adjacent = {near[place] for place in sorted(range(len(near)), key=lambda place: distance[place])[:length]}

    passed = 0
    for candidate in order[:length]:
        looked_up = candidate if candidate in adjacent or above == 1 else n - 1
        ahead = sum(s > similarity[looked_up][anchor] for s in similarity[looked_up])
        if ahead > length:
            break
        passed += 1
    kept = order[: min(max(2, passed), above)]
    return sorted({anchor, *(j for j in kept if j in adjacent)})


def clustered(n: int, d: int, centers: int, noise: float, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    middle = torch.randn(centers, d, generator=generator)
    member = torch.randint(centers, (n,), generator=generator)
    return normalize(middle[member] + noise * torch.randn(n, d, generator=generator), dim=1)


def lists(found: list[torch.Tensor]) -> list[list[int]]:
    return [f.tolist() for f in found]


@pytest.fixture(params=[1 << 22, 300], ids=["one portion", "many portions"], autouse=True)
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining, "_BLOCK", request.param)


def test_every_anchor_of_the_small_case() -> None:
    given, expected = golden("g01_ssml_dplm")
    dictionary = torch.tensor(given["D"])
    miner = DictionaryMiner(dictionary, given["tau"])
    found = lists(miner.positives(torch.arange(8)))
    for anchor in expected["per_anchor"]:
        i = anchor["anchor"]
        assert found[i] == anchor["P_pos"]
        others = [j for j in range(8) if j not in anchor["P_pos"]]
        count = hard_negative_count(len(others), given["gamma"])
        similarity = dictionary @ dictionary[i]
        assert sorted(others, key=lambda j: -similarity[j])[:count] == anchor["hard_neg"]


def test_every_anchor_of_the_larger_case() -> None:
    given, expected = golden("g04_ssml_dplm_64")
    miner = DictionaryMiner(torch.tensor(given["D"]), given["tau"])
    assert lists(miner.positives(torch.arange(64))) == expected["P_pos"]
    assert miner.entries == sum(expected["K"])


@pytest.mark.parametrize("noise", [0.4, 0.8])
def test_agrees_with_the_dense_twin_also_after_updates(noise: float) -> None:
    dictionary = clustered(550, 16, 40, noise, seed=3)
    miner = DictionaryMiner(dictionary, 0.6)
    assert lists(miner.positives(torch.arange(550))) == naive_positives(dictionary, 0.6)
    generator = torch.Generator().manual_seed(4)
    for _ in range(3):
        rows = torch.randint(550, (60,), generator=generator)
        update_dictionary(dictionary, rows, normalize(torch.randn(60, 16, generator=generator), dim=1))
        miner.update(rows)
    assert lists(miner.positives(torch.arange(550))) == naive_positives(dictionary, 0.6)


def test_updating_is_the_same_as_building_anew() -> None:
    dictionary = clustered(200, 8, 10, 0.5, seed=5)
    miner = DictionaryMiner(dictionary, 0.6)
    dictionary[:50] = clustered(50, 8, 10, 0.5, seed=6)
    miner.update(torch.arange(50))
    assert miner.entries == DictionaryMiner(dictionary, 0.6).entries


def test_identical_rows_are_told_apart_by_index() -> None:
    dictionary = torch.eye(4).repeat(3, 1)
    assert lists(DictionaryMiner(dictionary, 0.6).positives(torch.tensor([5]))) == [[1, 5, 9]]
    assert lists(DictionaryMiner(dictionary, 0.6).positives(torch.tensor([]).long())) == []


@pytest.mark.parametrize("rule", ["both", "rank", "similarity"])
def test_rows_that_are_still_zero_are_their_own_positives_alone(rule: mining.PositiveRule) -> None:
    """As with ``dictionary_start: zeros``, where not every image has been seen when mining begins."""
    dictionary = clustered(30, 8, 3, 0.4, seed=2)
    dictionary[[4, 11, 12]] = 0.0
    miner = DictionaryMiner(dictionary, 0.6, rule)
    assert lists(miner.positives(torch.tensor([4, 11, 12]))) == [[4], [11], [12]]
    dictionary[[0, 11]] = dictionary[[11, 0]]
    miner.update(torch.tensor([0, 11]))
    assert lists(miner.positives(torch.tensor([0, 4, 12]))) == [[0], [4], [12]]
    assert all(anchor in found.tolist() for anchor, found in enumerate(miner.positives(torch.arange(30))))


def test_collapsed_features_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mining, "_CROWDED", 20)
    with pytest.raises(DataError, match="collapsed"):
        DictionaryMiner(torch.ones(64, 4) / 2, 0.6)
    miner = DictionaryMiner(torch.eye(64), 0.6)
    miner.dictionary[:] = torch.eye(64)[0]
    with pytest.raises(DataError, match="collapsed"):
        miner.update(torch.arange(64))


def test_rows_are_moved_sample_by_sample() -> None:
    given, expected = golden("g03_ssml_dictionary")
    memory = torch.tensor(given["memory"], dtype=torch.float64)
    update_dictionary(memory, torch.tensor(given["ids"]), torch.tensor(given["z"], dtype=torch.float64))
    assert torch.allclose(memory, torch.tensor(expected["memory"], dtype=torch.float64))


def test_published_mining_on_well_separated_groups_finds_them() -> None:
    dictionary = clustered(60, 32, 5, 0.1, seed=7)
    groups = (dictionary @ dictionary.T > 0.6).tolist()
    for anchor, found in zip(range(60), released_positives(dictionary, torch.arange(60), 0.6), strict=True):
        assert anchor in found
        assert all(groups[anchor][j] for j in found.tolist())


@pytest.mark.parametrize(("noise", "threshold"), [(0.5, 0.6), (0.9, 0.5), (1.5, 0.2), (1.5, 0.7)])
def test_published_mining_agrees_with_a_twin_of_loops(noise: float, threshold: float) -> None:
    dictionary = clustered(130, 8, 12, noise, seed=8)
    found = lists(released_positives(dictionary, torch.arange(130), threshold))
    assert found == [naive_released(dictionary, anchor, threshold) for anchor in range(130)]
    assert len(set(map(len, found))) > 2 or threshold == 0.7


def test_the_smallest_of_many_ties_are_those_of_the_lower_columns() -> None:
    generator = torch.Generator().manual_seed(9)
    squared = torch.randint(4, (40, 12), generator=generator).double()
    count = torch.randint(1, 12, (40,), generator=generator)
    which, column = (torch.rand(40, 12, generator=generator) < 0.5).nonzero(as_tuple=True)
    expected = []
    for row, asked in zip(which.tolist(), column.tolist(), strict=True):
        order = sorted(range(12), key=lambda c: (squared[row, c].item(), c))
        expected.append(asked in order[: count[row]])
    assert mining._among_smallest(squared, which, column, count).tolist() == expected


def test_anchors_are_taken_in_portions_of_bounded_work() -> None:
    """Ten equal rows have ten neighbors of ten entries each, beside which each anchor needs a row of all forty."""
    miner = DictionaryMiner(torch.eye(4).repeat(10, 1), 0.6)
    portions = list(miner._parts(torch.arange(40)))
    assert torch.cat(portions).tolist() == list(range(40))
    of_one = 10 * 10 + 40
    if 40 * of_one < mining._BLOCK:
        assert len(portions) == 1
    else:
        assert max(map(len, portions)) * of_one <= mining._BLOCK + of_one
        assert max(map(len, portions)) > 1
