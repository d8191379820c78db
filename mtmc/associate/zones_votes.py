"""Single boxes of tracklets that vote for the tracklets of another camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.associate.config import ZonesConfig
from mtmc.associate.zones_bias import without_camera_bias
from mtmc.errors import ConfigError
from mtmc.types import Array, Passage

__all__ = ["Ballot", "ballot"]


@dataclass(frozen=True, slots=True, eq=False)
class Ballot:
    """The boxes that vote.

    Attributes:
        vectors: float64 (B, D), unit rows, one tracklet's behind another's.
        first: int64 (N,), where a tracklet's begin.
        count: int64 (N,), how many it has; 0 if none of its boxes is described.
    """

    vectors: Array
    first: Array
    count: Array

    def rows_of(self, tracklets: Array) -> Array:
        """Rows of the boxes of some tracklets, one behind another."""
        return np.concatenate([np.arange(self.first[k], self.first[k] + self.count[k]) for k in tracklets])

    def votes(
        self, similarity: Array, first: Array, second: Array, allowed: Array, top_k: int
    ) -> tuple[Array, Array]:
        """Mutual votes of tracklets of two cameras.

        A box votes for the ``top_k`` boxes of the other camera that are most like it, at most a quarter of them; ties
        go to the first. It supports a tracklet if it and one of that tracklet's boxes vote for each other.

        Args:
            similarity: float64 (boxes of first, boxes of second).
            first: int64 (A,), the tracklets of one camera.
            second: int64 (B,), those of the other.
            allowed: float64 (A, B), factor of the similarity; 0 is impossible.
            top_k: Votes of a box.

        Returns:
            Boxes of either tracklet that support the other: int64 (A, B); and their share of all boxes of both.
        """
        a, b = self.count[first], self.count[second]
        weight = np.repeat(np.repeat(allowed, a, axis=0), b, axis=1)
        score = np.where(weight > 0, similarity * weight, -np.inf)
        mutual = _top(score, top_k) & _top(score.T, top_k).T
        begin_a, begin_b = np.cumsum(a) - a, np.cumsum(b) - b
        there = np.add.reduceat(np.logical_or.reduceat(mutual, begin_b, axis=1).astype(np.int64), begin_a, axis=0)
        back = np.add.reduceat(np.logical_or.reduceat(mutual, begin_a, axis=0).astype(np.int64), begin_b, axis=1)
        votes = there + back
        return votes, votes / (a[:, None] + b)


def ballot(passages: Sequence[Passage], camera: Array, rules: ZonesConfig) -> Ballot:
    """Up to ``boxes`` described boxes of each tracklet, evenly spread over it, without their camera's bias.

    Raises:
        ConfigError: No box is described, or they are of different sizes.
    """
    chosen = []
    for passage in passages:
        described = np.flatnonzero(passage.tracklet.appearance.any(axis=1))
        places = np.linspace(0, len(described) - 1, min(rules.boxes, len(described))).round().astype(np.int64)
        chosen.append(passage.tracklet.appearance[described[places]].astype(np.float64))
    sizes = sorted({rows.shape[1] for rows in chosen if len(rows)})
    if len(sizes) != 1:
        raise ConfigError(
            f"associate.zones.matching boxes: expected described boxes of one size, got {sizes or 'none'}",
            remedy="set embed.every_box, or associate.zones.matching=tracklets",
        )
    count = np.array([len(rows) for rows in chosen])
    vectors = np.concatenate([rows.reshape(len(rows), sizes[0]) for rows in chosen])
    vectors = without_camera_bias(vectors, np.repeat(camera, count), rules)
    return Ballot(vectors, np.cumsum(count) - count, count)


def _top(score: Array, k: int) -> Array:
    """Which entries are among the k greatest of their row, at most a quarter of the row: bool (n, m)."""
    k = min(k, max(1, score.shape[1] // 4))
    best = np.argsort(-score, axis=1, kind="stable")[:, :k]
    out = np.zeros(score.shape, bool)
    np.put_along_axis(out, best, True, axis=1)
    return np.asarray(out & np.isfinite(score))
