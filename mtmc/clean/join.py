"""Join tracklets of one vehicle that were interrupted by missed detections or occlusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy.optimize import linear_sum_assignment

from mtmc.clean.motion import velocity_after, velocity_before
from mtmc.geometry.boxes import center, diagonal
from mtmc.settings import Condition, Settings, UsedWhen
from mtmc.types import Array, Tracklet

__all__ = ["JoinConfig", "join"]


class JoinConfig(Settings):
    """Which tracklets continue which."""

    renamed: ClassVar[Mapping[str, str]] = {"max_miss": "max_extrapolation_error"}
    used_when: ClassVar[Mapping[str, Condition]] = dict.fromkeys(
        (
            "max_gap_s",
            "window_s",
            "max_extrapolation_error",
            "max_acceleration",
            "max_size_ratio",
            "max_appearance_distance",
        ),
        UsedWhen("clean.join.enabled", "=", True),
    )

    enabled: bool = Field(default=True, description="Whether this step is done.")
    max_gap_s: float = Field(
        default=2.0,
        gt=0,
        description="Longest gap between the end of one tracklet and the start of the next, in seconds.",
    )
    window_s: float = Field(
        default=1.0,
        gt=0,
        description="Seconds at the end of a tracklet over which its velocity is measured.",
    )
    max_extrapolation_error: float = Field(
        default=0.5,
        gt=0,
        description="Largest distance between an extrapolated tracklet and the other tracklet, in box diagonals, "
        "forward and backward.",
    )
    max_acceleration: float = Field(
        default=1.0,
        gt=0,
        description="Largest change of velocity from one tracklet to the other, in box diagonals per second, for "
        "each second between the middles of the windows in which the velocities are measured. It keeps a parked "
        "vehicle apart from one that passes it.",
    )
    max_size_ratio: float = Field(
        default=1.6,
        gt=1,
        description="Largest ratio of the box diagonals on both sides of the gap.",
    )
    max_appearance_distance: float = Field(
        default=0.4,
        gt=0,
        le=2,
        description="Largest cosine distance of mean appearance features, where both tracklets have them.",
    )


def join(tracklets: Sequence[Tracklet], config: JoinConfig) -> list[Tracklet]:
    """Join tracklets end to start at the least total cost; each has at most one successor and one predecessor.

    A joined tracklet has the id of its first part. The tracklets returned are in the order of their first parts.
    """
    if len(tracklets) < 2:
        return list(tracklets)
    successor = _successors(_costs(tracklets, config))
    continued = set(successor.values())
    return [
        _concatenate(_chain(tracklets, successor, first)) for first in range(len(tracklets)) if first not in continued
    ]


def _successors(cost: Array) -> dict[int, int]:
    """The tracklet that continues each tracklet, by index: pairs of cost below 1, of least total cost."""
    earlier, later = np.nonzero(cost < 1)
    rows, columns = np.unique(earlier), np.unique(later)
    block = np.minimum(cost[np.ix_(rows, columns)], 1)
    return {
        int(rows[i]): int(columns[j]) for i, j in zip(*linear_sum_assignment(block), strict=True) if block[i, j] < 1
    }


def _chain(tracklets: Sequence[Tracklet], successor: dict[int, int], first: int) -> list[Tracklet]:
    """A tracklet, its successor, the successor of that one, and so on."""
    chain = [tracklets[first]]
    current = first
    while current in successor:
        current = successor[current]
        chain.append(tracklets[current])
    return chain


def _concatenate(chain: list[Tracklet]) -> Tracklet:
    """One tracklet of several, with the id of the first and the class of most observations."""
    if len(chain) == 1:
        return chain[0]
    observations_of_class = np.bincount([t.class_id for t in chain], weights=[len(t) for t in chain])
    return Tracklet(
        camera_id=chain[0].camera_id,
        track_id=chain[0].track_id,
        frame=np.concatenate([t.frame for t in chain]),
        time_s=np.concatenate([t.time_s for t in chain]),
        xyxy=np.concatenate([t.xyxy for t in chain]),
        score=np.concatenate([t.score for t in chain]),
        class_id=int(observations_of_class.argmax()),
        appearance=np.concatenate([t.appearance for t in chain]),
    )


def _costs(tracklets: Sequence[Tracklet], config: JoinConfig) -> Array:
    """Cost of continuing tracklet i with tracklet j: float64 (T, T), 1 where it is not allowed.

    The cost is the mean of the extrapolation errors, the change of velocity, the log of the size ratio and the
    appearance distance, each over its limit. Each must be below its limit.
    """
    start_s = np.array([t.start_s for t in tracklets])
    end_s = np.array([t.end_s for t in tracklets])
    gap_s = start_s[None, :] - end_s[:, None]
    i, j = np.nonzero((gap_s > 0) & (gap_s <= config.max_gap_s))

    first = np.stack([t.xyxy[0] for t in tracklets])
    last = np.stack([t.xyxy[-1] for t in tracklets])
    size_i, size_j = diagonal(last)[i], diagonal(first)[j]
    size = (size_i + size_j) / 2
    motion = _Motion.between(tracklets, i, j, gap_s[i, j], config.window_s)
    terms = [
        motion.forward_error / size / config.max_extrapolation_error,
        motion.backward_error / size / config.max_extrapolation_error,
        motion.acceleration / size / config.max_acceleration,
        np.abs(np.log(size_i / size_j)) / np.log(config.max_size_ratio),
    ]

    features = np.stack([_mean_feature(t) for t in tracklets])
    has_features = np.asarray(features.any(axis=1))
    if has_features.any():
        distance = (1 - (features[i] * features[j]).sum(axis=1)) / config.max_appearance_distance
        terms.append(np.where(has_features[i] & has_features[j], distance, 0))

    cost = np.ones((len(tracklets), len(tracklets)))
    cost[i, j] = np.where(np.max(terms, axis=0) < 1, np.mean(terms, axis=0), 1)
    return cost


@dataclass(frozen=True, slots=True)
class _Motion:
    """How well tracklet j continues the motion of tracklet i, for K pairs.

    Attributes:
        forward_error: float64 (K,), px: ‖s − v_i t‖, where s leads from the end of i to the start of j, t later.
        backward_error: float64 (K,), px: ‖s − v_j t‖.
        acceleration: float64 (K,), px/s²: ‖v_j − v_i‖ over the time between the middles of the windows in which the
            velocities are measured.
    """

    forward_error: Array
    backward_error: Array
    acceleration: Array

    @classmethod
    def between(cls, tracklets: Sequence[Tracklet], i: Array, j: Array, gap_s: Array, window_s: float) -> _Motion:
        first = center(np.stack([t.xyxy[0] for t in tracklets]))
        last = center(np.stack([t.xyxy[-1] for t in tracklets]))
        at_end = np.stack([velocity_before(t, window_s)[0][-1] for t in tracklets])
        at_start = np.stack([velocity_after(t, window_s)[0][0] for t in tracklets])

        step = first[j] - last[i]
        forward = step - at_end[i] * gap_s[:, None]
        backward = step - at_start[j] * gap_s[:, None]
        change = at_start[j] - at_end[i]
        return cls(
            forward_error=np.hypot(*forward.T),
            backward_error=np.hypot(*backward.T),
            acceleration=np.hypot(*change.T) / (gap_s + window_s),
        )


def _mean_feature(tracklet: Tracklet) -> Array:
    """Mean appearance feature of unit length, float64 (D,); zeros where there are no features."""
    mean = tracklet.appearance.sum(axis=0, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12))
