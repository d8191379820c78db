"""Which crops make up a batch, and the seed each crop's augmentation starts from.

A sampler yields whole batches as lists of :class:`Sample`. The seed travels with the index, so a data loader needs no
state: any number of workers, and a run resumed in the middle of an epoch, see the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid.errors import ConfigError

__all__ = ["IdentityBatches", "Sample", "ShuffledBatches", "identity_batches", "shuffled_batches"]


class Sample(NamedTuple):
    """One crop of a batch: its position in the records, and the seed of its augmentation."""

    item: int
    seed: int


def identity_batches(
    labels: NDArray[Any], identities: int, images: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Walk every identity once, ``identities`` × ``images`` crops at a time.

    Each identity's crops are shuffled and cut into groups of ``images``; a remainder is dropped. An identity with
    fewer crops than one group fills it by drawing again, each crop at least once. Each batch takes one group from
    ``identities`` different identities drawn at random among those that still have groups; the walk ends when fewer
    identities are left. Crops with a negative label are never drawn.

    Args:
        labels: int (N,), identity of each crop.
        identities: Identities per batch, P.
        images: Crops per identity, K.
        rng: Source of randomness.

    Returns:
        Batches of int64 (P · K,) indices; the crops of an identity are neighbors.
    """
    order = np.argsort(labels, kind="stable")
    order = order[labels[order] >= 0]
    members = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(order) else []
    queues = [_groups(m, images, rng) for m in members]
    batches = []
    while len(queues) >= identities:
        chosen = rng.choice(len(queues), identities, replace=False)
        batches.append(np.concatenate([queues[c].pop() for c in chosen]))
        for c in sorted((c for c in chosen if not queues[c]), reverse=True):
            queues[c] = queues[-1]
            queues.pop()
    return batches


def _groups(members: NDArray[np.int64], size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    order = rng.permutation(members)
    if len(order) < size:
        return [np.concatenate([order, rng.choice(order, size - len(order))])]
    return list(order[: len(order) // size * size].reshape(-1, size))


def shuffled_batches(count: int, size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Every one of ``count`` crops at most once, in random order; the last, smaller batch is dropped.

    With fewer crops than one batch the epoch is that one smaller batch.
    """
    order = rng.permutation(count)
    if count < size:
        return [order]
    return list(order[: count // size * size].reshape(-1, size))


class IdentityBatches:
    """Batches of P identities × K crops for one process; see :func:`identity_batches`.

    All processes walk the same identities in the same order and each keeps its own P of the P · ``world_size`` drawn,
    so no identity is seen twice in a step.

    Attributes:
        epoch: Set before each epoch; the batches depend on it and on the seed alone.
    """

    def __init__(
        self, labels: NDArray[Any], identities: int, images: int, *, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        present = len(np.unique(labels[labels >= 0]))
        if present < identities * world_size:
            raise ConfigError(
                f"{identities} identities per batch in each of {world_size} processes, but the data has {present}",
                remedy="lower schedule.batch, or raise schedule.images_per_identity",
            )
        self.epoch = 0
        self._labels, self._identities, self._images = labels, identities, images
        self._seed, self._rank, self._world_size = seed, rank, world_size

    def __iter__(self) -> Iterator[list[Sample]]:
        rng = np.random.default_rng((self._seed, self.epoch))
        batches = identity_batches(self._labels, self._identities * self._world_size, self._images, rng)
        return _seeded(batches, rng, self._rank, self._world_size)

    def __len__(self) -> int:
        rng = np.random.default_rng((self._seed, self.epoch))
        return len(identity_batches(self._labels, self._identities * self._world_size, self._images, rng))


class ShuffledBatches:
    """Shuffled batches of ``size`` crops for one process; see :func:`shuffled_batches`.

    Attributes:
        epoch: Set before each epoch; the batches depend on it and on the seed alone.
    """

    def __init__(self, count: int, size: int, *, seed: int, rank: int = 0, world_size: int = 1) -> None:
        if count < world_size:
            raise ConfigError(f"{count} crops cannot be shared by {world_size} processes")
        self.epoch = 0
        self._count, self._size, self._seed, self._rank, self._world_size = count, size, seed, rank, world_size

    def __iter__(self) -> Iterator[list[Sample]]:
        rng = np.random.default_rng((self._seed, self.epoch))
        batches = shuffled_batches(self._count, self._size * self._world_size, rng)
        return _seeded(batches, rng, self._rank, self._world_size)

    def __len__(self) -> int:
        return max(1, self._count // (self._size * self._world_size))


def _seeded(
    batches: list[NDArray[np.int64]], rng: np.random.Generator, rank: int, world_size: int
) -> Iterator[list[Sample]]:
    """This process's contiguous share of every batch, each crop with a seed of its own."""
    for batch in batches:
        seeds = rng.integers(0, 2**63, len(batch))
        share = len(batch) // world_size
        own = slice(rank * share, (rank + 1) * share)
        yield [Sample(int(i), int(s)) for i, s in zip(batch[own], seeds[own], strict=True)]
