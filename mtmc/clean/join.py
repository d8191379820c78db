"""Join the pieces of a vehicle's path that a miss or an occlusion tore apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field
from scipy.optimize import linear_sum_assignment

from mtmc.clean.motion import velocity_after, velocity_before
from mtmc.geometry.boxes import centre, diagonal
from mtmc.settings import Settings
from mtmc.types import Array, Tracklet

__all__ = ["JoinConfig", "join"]


class JoinConfig(Settings):
    """Which tracklets continue each other."""

    enabled: bool = Field(default=True, description="Whether this step is done.")
    max_gap_s: float = Field(
        default=2.0, gt=0, description="Seconds between the end of one and the start of the other."
    )
    window_s: float = Field(default=1.0, gt=0, description="Seconds at an end from which its velocity is taken.")
    max_miss: float = Field(
        default=0.5,
        gt=0,
        description="Box diagonals by which the path of one may miss the other, on average of both ways.",
    )
    max_size_ratio: float = Field(
        default=1.6, gt=1, description="Between the diagonals of the boxes at the two ends."
    )
    max_appearance_distance: float = Field(
        default=0.4, gt=0, le=2, description="Cosine distance between mean looks, where boxes were described."
    )


def join(tracklets: Sequence[Tracklet], config: JoinConfig) -> list[Tracklet]:
    """Join tracklets end to start, each to one other at most, so that the total cost is least.

    A joined tracklet has the id of its earliest piece. The order is that of the first pieces.
    """
    if len(tracklets) < 2:
        return list(tracklets)
    cost = _costs(tracklets, config)
    earlier, later = np.nonzero(cost < 1)
    rows, columns = np.unique(earlier), np.unique(later)
    block = np.minimum(cost[np.ix_(rows, columns)], 1)
    successor = {
        int(rows[i]): int(columns[j]) for i, j in zip(*linear_sum_assignment(block), strict=True) if block[i, j] < 1
    }
    continued = set(successor.values())
    return [
        _concatenate(_chain(tracklets, successor, first)) for first in range(len(tracklets)) if first not in continued
    ]


def _chain(tracklets: Sequence[Tracklet], successor: dict[int, int], first: int) -> list[Tracklet]:
    chain = [tracklets[first]]
    while first in successor:
        first = successor[first]
        chain.append(tracklets[first])
    return chain


def _concatenate(chain: list[Tracklet]) -> Tracklet:
    if len(chain) == 1:
        return chain[0]
    classes = np.bincount([t.class_id for t in chain], weights=[len(t) for t in chain])
    return Tracklet(
        chain[0].camera_id,
        chain[0].track_id,
        np.concatenate([t.frame for t in chain]),
        np.concatenate([t.time_s for t in chain]),
        np.concatenate([t.xyxy for t in chain]),
        np.concatenate([t.score for t in chain]),
        int(classes.argmax()),
        np.concatenate([t.appearance for t in chain]),
    )


def _costs(tracklets: Sequence[Tracklet], config: JoinConfig) -> Array:
    """Cost of continuing row with column, (T, T): at least 1 where it cannot be."""
    start_s = np.array([t.start_s for t in tracklets])
    end_s = np.array([t.end_s for t in tracklets])
    gap = start_s[None, :] - end_s[:, None]
    i, j = np.nonzero((gap > 0) & (gap <= config.max_gap_s))
    seconds = gap[i, j][:, None]

    first, last = (np.stack([t.xyxy[end] for t in tracklets]) for end in (0, -1))
    leaving = np.stack([velocity_before(t, config.window_s)[0][-1] for t in tracklets])
    coming = np.stack([velocity_after(t, config.window_s)[0][0] for t in tracklets])
    step = centre(first)[j] - centre(last)[i]
    size_i, size_j = diagonal(last)[i], diagonal(first)[j]
    miss = np.hypot(*(step - leaving[i] * seconds).T) + np.hypot(*(step - coming[j] * seconds).T)
    terms = [
        miss / (size_i + size_j) / config.max_miss,
        np.abs(np.log(size_i / size_j)) / np.log(config.max_size_ratio),
    ]
    looks = np.stack([_mean_looks(t) for t in tracklets])
    described = np.asarray(looks.any(axis=1))
    if described.any():
        distance = (1 - (looks[i] * looks[j]).sum(axis=1)) / config.max_appearance_distance
        terms.append(np.where(described[i] & described[j], distance, 0))

    cost = np.ones((len(tracklets), len(tracklets)))
    # Every term must be within its limit; what counts among the possible is their mean.
    cost[i, j] = np.where(np.max(terms, axis=0) < 1, np.mean(terms, axis=0), 1)
    return cost


def _mean_looks(tracklet: Tracklet) -> Array:
    """Mean appearance of unit length, float64 (D,); zeros where nothing was described."""
    mean = tracklet.appearance.sum(axis=0, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12))
