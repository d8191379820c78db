"""How alike the possible pairs are: the cosine of their embeddings and their nearness on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.associate.config import AssociateConfig
from mtmc.associate.ground import ground_evidence
from mtmc.errors import ConfigError, WeightsError
from mtmc.types import Array, Passage

__all__ = ["Similarities", "embeddings_of", "measure", "needed_embeddings", "pair_cosines"]

_BLOCK = 128  # passages per matrix product


@dataclass(frozen=True, slots=True, eq=False)
class Similarities:
    """What is known of N passages and of the pairs of them that are possible.

    Attributes:
        embeddings: float64 (N, D), unit rows, or zero rows where there is no embedding.
        pairs: int64 (P, 2), first < second, sorted, each once.
        value: float64 (P,); 1 is the same, and the threshold is the least that makes one vehicle.
        plain: bool (P,), whether the value is the cosine of the two embeddings and nothing else.
        apart: int64 (Q, 2), pairs that were in two places at one moment, or too far apart for the time between.
    """

    embeddings: Array
    pairs: Array
    value: Array
    plain: Array
    apart: Array


def measure(passages: Sequence[Passage], pairs: Array, config: AssociateConfig) -> Similarities:
    """Similarity of each possible pair, without those that nothing speaks for or that the ground rules out.

    Appearance gives the cosine c. Where both cameras are calibrated and saw their vehicles at the same time, d metres
    apart, nearness g = 1 − (1 − threshold)·d/max_ground_m is mixed in: (1 − w)·c + w·g with w = ``ground_weight``;
    so g is 1 at the same point and the threshold at the gate. Without embeddings it is g alone.

    Raises:
        WeightsError: Embeddings of different sizes.
    """
    embeddings = embeddings_of(passages)
    cosine = pair_cosines(embeddings, pairs, np.array([p.tracklet.start_s for p in passages]))
    metres, apart = ground_evidence(passages, pairs, config)
    near = 1 - (1 - config.threshold) * metres / (config.max_ground_m or np.inf)
    mixed = (1 - config.ground_weight) * cosine + config.ground_weight * near
    value = np.where(np.isnan(near), cosine, np.where(np.isnan(cosine), near, mixed))
    keep = ~apart & ~np.isnan(value)
    return Similarities(embeddings, pairs[keep], value[keep], np.isnan(near[keep]), pairs[apart])


def embeddings_of(passages: Sequence[Passage], dtype: type = np.float64) -> Array:
    """Embeddings as rows: (N, D) of ``dtype``, zeros where there is none.

    Raises:
        WeightsError: They are of different sizes.
    """
    sizes = sorted({len(p.embedding) for p in passages} - {0})
    if len(sizes) > 1:
        raise WeightsError(
            f"expected embeddings of one size, got {' and '.join(map(str, sizes))}",
            remedy="describe all cameras with the same weights",
        )
    rows: Array = np.zeros((len(passages), sizes[0] if sizes else 0), dtype)
    for row, passage in zip(rows, passages, strict=True):
        if len(passage.embedding):
            row[:] = passage.embedding
    return rows


def needed_embeddings(passages: Sequence[Passage], method: str) -> Array:
    """:func:`embeddings_of` for a method that goes by nothing but appearance.

    Raises:
        ConfigError: No passage has an embedding.
        WeightsError: They are of different sizes.
    """
    rows = embeddings_of(passages)
    if not rows.shape[1]:
        raise ConfigError(
            f"associate.method {method}: expected tracklets with embeddings, got none",
            remedy="give videos and set embed.weights, or choose associate.method=graph, which can do without",
        )
    return rows


def pair_cosines(embeddings: Array, pairs: Array, start_s: Array) -> Array:
    """Cosine of each pair: (P,) of the embeddings' own precision, NaN where one has no embedding.

    Passages that start together share most of their partners, so blocks of them by time make dense products.
    """
    out = np.full(len(pairs), np.nan, embeddings.dtype)
    block_of = np.empty(len(start_s), np.int32)
    block_of[np.argsort(start_s, kind="stable")] = np.arange(len(start_s)) // _BLOCK
    mine = block_of[pairs[:, 0]]
    edges = np.cumsum(np.bincount(mine))
    described = np.asarray(embeddings.any(axis=1))
    for block in np.split(np.argsort(mine, kind="stable"), edges[:-1]):
        block = block[described[pairs[block]].all(axis=1)]
        first, row = np.unique(pairs[block, 0], return_inverse=True)
        second, column = np.unique(pairs[block, 1], return_inverse=True)
        out[block] = (embeddings[first] @ embeddings[second].T)[row, column]
    return out
