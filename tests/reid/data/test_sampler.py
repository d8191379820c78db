"""Batches: coverage, corner cases, and independence of the process count."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.data.sampler import IdentityBatches, ShuffledBatches, identity_batches, shuffled_batches
from reid.errors import ConfigError


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=9),
    identities=st.integers(1, 4),
    images=st.integers(1, 4),
    seed=st.integers(0, 2**32),
)
def test_every_identity_is_walked_once(sizes: list[int], identities: int, images: int, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    batches = identity_batches(labels, identities, images, np.random.default_rng(seed))
    groups: Counter[int] = Counter()
    for batch in batches:
        owners = labels[batch].reshape(identities, images)
        assert (owners == owners[:, :1]).all()
        assert len(set(owners[:, 0])) == identities
        groups.update(owners[:, 0].tolist())
    possible = {k: max(1, size // images) for k, size in enumerate(sizes)}
    assert all(groups[k] <= possible[k] for k in possible)
    # The walk stops only when fewer than P identities still have a group.
    assert sum(groups[k] < possible[k] for k in possible) < identities
    drawn = Counter(np.concatenate(batches).tolist()) if batches else Counter()
    for item, times in drawn.items():
        assert times == 1 or sizes[labels[item]] < images


def test_short_identity_shows_every_crop() -> None:
    batches = identity_batches(np.array([0, 0, 0, 1]), 2, 4, np.random.default_rng(0))
    assert len(batches) == 1
    assert set(batches[0].tolist()) == {0, 1, 2, 3}
    assert Counter(batches[0].tolist())[3] == 4


def test_junk_is_never_drawn() -> None:
    labels = np.array([-1, 0, 0, -1, 1, 1])
    assert not {0, 3} & set(np.concatenate(identity_batches(labels, 2, 2, np.random.default_rng(0))).tolist())


def test_processes_share_one_walk() -> None:
    labels = np.repeat(np.arange(12), 5)
    alone = list(IdentityBatches(labels, 4, 2, seed=3))
    parts = [list(IdentityBatches(labels, 2, 2, seed=3, rank=r, world_size=2)) for r in range(2)]
    assert [a + b for a, b in zip(*parts, strict=True)] == alone


def test_epochs_differ_and_repeat() -> None:
    batches = IdentityBatches(np.repeat(np.arange(6), 4), 3, 2, seed=1)
    first = list(batches)
    assert list(batches) == first
    assert len(batches) == len(first)
    batches.epoch = 1
    assert list(batches) != first
    seeds = [draw.seed for batch in first for draw in batch]
    assert len(set(seeds)) == len(seeds)


def test_shuffled_batches_drop_the_remainder() -> None:
    batches = shuffled_batches(11, 4, np.random.default_rng(0))
    assert [len(b) for b in batches] == [4, 4]
    assert len(set(np.concatenate(batches).tolist())) == 8
    assert [len(b) for b in shuffled_batches(3, 4, np.random.default_rng(0))] == [3]


def test_shuffled_batches_of_two_processes_are_disjoint() -> None:
    parts = [list(ShuffledBatches(20, 3, seed=5, rank=r, world_size=2)) for r in range(2)]
    items = [draw.item for part in parts for batch in part for draw in batch]
    assert len(parts[0]) == len(ShuffledBatches(20, 3, seed=5, world_size=2)) == 3
    assert len(set(items)) == len(items) == 18


def test_too_few_identities_is_a_clear_error() -> None:
    with pytest.raises(
        ConfigError, match=r"8 identities per batch in each of 2 processes, but the data has 5; lower schedule\.batch"
    ):
        IdentityBatches(np.arange(5), 8, 2, seed=0, world_size=2)
