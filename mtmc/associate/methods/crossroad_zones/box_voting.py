"""Single boxes of tracklets that vote for the tracklets of another camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.associate.config import CrossroadZonesConfig
from mtmc.associate.methods.crossroad_zones.camera_bias import remove_camera_bias
from mtmc.errors import ConfigError
from mtmc.types import Array, Passage

__all__ = ["VotingBoxes", "select_voting_boxes"]


@dataclass(frozen=True, slots=True, eq=False)
class VotingBoxes:
    """The boxes that vote.

    Attributes:
        vectors: float64 (B, D), unit rows, one tracklet after the other.
        first: int64 (N,), the first row of each tracklet.
        count: int64 (N,), how many rows it has; 0 if none of its boxes is described.
    """

    vectors: Array
    first: Array
    count: Array

    def rows_of(self, tracklets: Array) -> Array:
        """Rows of the boxes of some tracklets, one tracklet after the other."""
        return np.concatenate([np.arange(self.first[k], self.first[k] + self.count[k]) for k in tracklets])

    def votes(
        self, similarity: Array, first: Array, second: Array, allowed: Array, top_k: int
    ) -> tuple[Array, Array]:
        """Mutual votes of tracklets of two cameras.

        A box votes for the ``top_k`` boxes of the other camera that are most similar to it, at most a quarter of
        them; ties go to the first. It supports a tracklet if it and a box of that tracklet vote for each other.

        Args:
            similarity: float64 (boxes of first, boxes of second).
            first: int64 (A,), the tracklets of one camera.
            second: int64 (B,), those of the other.
            allowed: float64 (A, B), factor of the similarity; 0 for an impossible pair.
            top_k: Votes of a box.

        Returns:
            Boxes of either tracklet that support the other: int64 (A, B); and their share of all boxes of both.
        """
        boxes_a, boxes_b = self.count[first], self.count[second]
        weight = np.repeat(np.repeat(allowed, boxes_a, axis=0), boxes_b, axis=1)
        score = np.where(weight > 0, similarity * weight, -np.inf)
        mutual = _top(score, top_k) & _top(score.T, top_k).T

        start_a, start_b = np.cumsum(boxes_a) - boxes_a, np.cumsum(boxes_b) - boxes_b
        box_supports_b = np.logical_or.reduceat(mutual, start_b, axis=1).astype(np.int64)
        box_supports_a = np.logical_or.reduceat(mutual, start_a, axis=0).astype(np.int64)
        from_a = np.add.reduceat(box_supports_b, start_a, axis=0)
        from_b = np.add.reduceat(box_supports_a, start_b, axis=1)
        votes = from_a + from_b
        return votes, votes / (boxes_a[:, None] + boxes_b)


def select_voting_boxes(passages: Sequence[Passage], camera: Array, rules: CrossroadZonesConfig) -> VotingBoxes:
    """Up to ``votes_per_tracklet`` described boxes of each tracklet, evenly spread, without their camera's bias.

    Raises:
        ConfigError: No box is described, or they are of different sizes.
    """
    selected = []
    for passage in passages:
        described = np.flatnonzero(passage.tracklet.appearance.any(axis=1))
        wanted = min(rules.votes_per_tracklet, len(described))
        index = np.linspace(0, len(described) - 1, wanted).round().astype(np.int64)
        selected.append(passage.tracklet.appearance[described[index]].astype(np.float64))
    sizes = sorted({rows.shape[1] for rows in selected if len(rows)})
    if len(sizes) != 1:
        raise ConfigError(
            f"associate.crossroad_zones.matching boxes: expected described boxes of one size, got {sizes or 'none'}",
            remedy="set embed.per_detection, or associate.crossroad_zones.matching=tracklets",
        )
    count = np.array([len(rows) for rows in selected])
    vectors = np.concatenate([rows.reshape(len(rows), sizes[0]) for rows in selected])
    vectors = remove_camera_bias(vectors, np.repeat(camera, count), rules)
    return VotingBoxes(vectors, np.cumsum(count) - count, count)


def _top(score: Array, k: int) -> Array:
    """Which entries are among the k greatest of their row, at most a quarter of the row: bool (n, m)."""
    k = min(k, max(1, score.shape[1] // 4))
    best = np.argsort(-score, axis=1, kind="stable")[:, :k]
    out = np.zeros(score.shape, bool)
    np.put_along_axis(out, best, True, axis=1)
    return np.asarray(out & np.isfinite(score))
