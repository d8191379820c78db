"""Similarity of the possible pairs: the cosine of their embeddings and their nearness on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.associate.config import AssociateConfig
from mtmc.associate.ground_gates import ground_evidence
from mtmc.errors import ConfigError
from mtmc.multiview.appearance import embeddings_of, pair_cosines
from mtmc.types import Array, Passage

__all__ = ["Similarities", "pairwise_similarity", "require_embeddings"]


@dataclass(frozen=True, slots=True, eq=False)
class Similarities:
    """Embeddings of N passages, and the similarity of each possible pair.

    Attributes:
        embeddings: float64 (N, D), unit rows, or zero rows where there is no embedding.
        pairs: int64 (P, 2), first < second, sorted, each once.
        value: float64 (P,); 1 for equal passages; the threshold is the least of one vehicle.
        appearance_only: bool (P,), whether the value is the cosine of the two embeddings and nothing else.
        conflicting: int64 (Q, 2), pairs at two positions at one time, or too far apart for the time between them.
    """

    embeddings: Array
    pairs: Array
    value: Array
    appearance_only: Array
    conflicting: Array


def pairwise_similarity(passages: Sequence[Passage], pairs: Array, config: AssociateConfig) -> Similarities:
    """Similarity of each possible pair, without those of unknown similarity and those that the ground rules out.

    Appearance gives the cosine c. Where both cameras are calibrated and saw their vehicles at the same time, d meters
    apart, nearness g = 1 − (1 − threshold)·d/max_ground_m is mixed in: (1 − w)·c + w·g with w = ``ground_weight``;
    so g is 1 at the same point and the threshold at the gate. Without embeddings it is g alone.

    Raises:
        WeightsError: Embeddings of different sizes.
    """
    embeddings = embeddings_of(passages)
    cosine = pair_cosines(embeddings, pairs, np.array([p.tracklet.start_s for p in passages]))
    distance_m, is_conflicting = ground_evidence(passages, pairs, config)
    rules = config.hierarchical
    near = 1 - (1 - config.threshold) * distance_m / rules.max_ground_m
    mixed = (1 - rules.ground_weight) * cosine + rules.ground_weight * near
    value = np.where(np.isnan(near), cosine, np.where(np.isnan(cosine), near, mixed))
    keep = ~is_conflicting & ~np.isnan(value)
    return Similarities(embeddings, pairs[keep], value[keep], np.isnan(near[keep]), pairs[is_conflicting])


def require_embeddings(passages: Sequence[Passage], method: str) -> Array:
    """:func:`embeddings_of` for a method that uses appearance only.

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
