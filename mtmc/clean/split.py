"""Split tracklets at identity switches: reversals of direction, position jumps and changes of appearance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
from pydantic import Field

from mtmc.clean.motion import velocity_after, velocity_before
from mtmc.geometry.boxes import center, diagonal
from mtmc.settings import Condition, Settings, UsedWhen
from mtmc.types import Array, Tracklet

__all__ = ["SplitConfig", "split", "split_points"]


class SplitConfig(Settings):
    """Where tracklets are split."""

    renamed: ClassVar[Mapping[str, str]] = {"max_jump": "max_position_jump"}
    used_when: ClassVar[Mapping[str, Condition]] = dict.fromkeys(
        (
            "window_s",
            "max_turn_deg",
            "min_turn_speed",
            "max_position_jump",
            "max_appearance_change",
            "min_boxes",
        ),
        UsedWhen("clean.split.enabled", "=", True),
    )

    enabled: bool = Field(default=True, description="Whether this step is done.")
    window_s: float = Field(
        default=1.0,
        gt=0,
        description="Seconds before and after a step that are compared.",
    )
    max_turn_deg: float = Field(
        default=150.0,
        gt=0,
        description="Largest change of direction between the two windows. 180 or more disables this test.",
    )
    min_turn_speed: float = Field(
        default=0.5,
        gt=0,
        description="Speed below which the direction is not defined, in box diagonals per second.",
    )
    max_position_jump: float = Field(
        default=1.0,
        gt=0,
        description="Largest distance between a step and the motion before and after it, in box diagonals.",
    )
    max_appearance_change: float = Field(
        default=0.6,
        gt=0,
        description="Largest cosine distance between the mean features of the two windows. 2 or more disables this "
        "test.",
    )
    min_boxes: int = Field(
        default=5,
        ge=1,
        description="Least number of observations on each side of a split.",
    )


def split(tracklets: Sequence[Tracklet], config: SplitConfig) -> list[Tracklet]:
    """Split tracklets at reversals of direction, position jumps and changes of appearance.

    The first part keeps the id; the others get new ids above all that are in use.
    """
    parts = []
    next_id = max((t.track_id for t in tracklets), default=0) + 1
    for tracklet in tracklets:
        points = split_points(tracklet, config)
        if not points:
            parts.append(tracklet)
            continue
        bounds = [0, *points, len(tracklet)]
        parts.append(tracklet[bounds[0] : bounds[1]])
        for start, stop in pairwise(bounds[1:]):
            parts.append(replace(tracklet[start:stop], track_id=next_id))
            next_id += 1
    return parts


def split_points(tracklet: Tracklet, config: SplitConfig) -> list[int]:
    """Indices of the observations that begin a new part, increasing.

    Every step from one observation to the next has a score in units of its limit. Split points are the maxima above
    1, largest first, suppressing all others within ``window_s`` seconds or ``min_boxes`` observations.
    """
    min_boxes = config.min_boxes
    if len(tracklet) < 2 * min_boxes:
        return []
    step_score = np.max(
        [_turn_score(tracklet, config), _jump_score(tracklet, config), _appearance_score(tracklet, config)],
        axis=0,
    )  # (L − 1,): entry i belongs to the step from observation i to i + 1

    step_score[: min_boxes - 1] = 0
    step_score[len(step_score) - min_boxes + 1 :] = 0
    points: list[int] = []
    time = tracklet.time_s[1:]
    while step_score.max() > 1:
        best = int(step_score.argmax())
        points.append(best + 1)
        step_score[np.abs(time - time[best]) <= config.window_s] = 0
        step_score[max(0, best - min_boxes + 1) : best + min_boxes] = 0
    return sorted(points)


def _turn_score(tracklet: Tracklet, config: SplitConfig) -> Array:
    """Where a step reverses the direction: the lower of the speeds before and after it, over the least speed.

    Above 1 at a reversal, 0 elsewhere: float64 (L − 1,).
    """
    before, after, is_known = _step_velocities(tracklet, config)
    min_speed = config.min_turn_speed * diagonal(tracklet.xyxy)
    speed_before, speed_after = np.hypot(*before.T), np.hypot(*after.T)
    is_known &= (speed_before > min_speed[:-1]) & (speed_after > min_speed[1:])

    cosine = (before * after).sum(axis=1) / np.where(is_known, speed_before * speed_after, 1)
    angle_deg = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    reverses = is_known & (angle_deg > config.max_turn_deg)
    return np.where(reverses, np.minimum(speed_before / min_speed[:-1], speed_after / min_speed[1:]), 0)


def _jump_score(tracklet: Tracklet, config: SplitConfig) -> Array:
    """Distance of each step from the motion before it or after it, whichever is nearer, over the limit.

    float64 (L − 1,), 0 where one of the velocities is not known.
    """
    before, after, is_known = _step_velocities(tracklet, config)
    step = np.diff(center(tracklet.xyxy), axis=0)
    elapsed = np.diff(tracklet.time_s)[:, None]
    from_before = np.hypot(*(step - before * elapsed).T)
    from_after = np.hypot(*(step - after * elapsed).T)

    size = diagonal(tracklet.xyxy)
    limit = config.max_position_jump * np.maximum(size[:-1], size[1:])
    return np.where(is_known, np.minimum(from_before, from_after) / limit, 0)


def _step_velocities(tracklet: Tracklet, config: SplitConfig) -> tuple[Array, Array, Array]:
    """Velocity before and after each step, (L − 1, 2), and where both are measured over half a window, (L − 1,)."""
    before, before_s = velocity_before(tracklet, config.window_s)
    after, after_s = velocity_after(tracklet, config.window_s)
    return before[:-1], after[1:], np.minimum(before_s[:-1], after_s[1:]) >= config.window_s / 2


def _appearance_score(tracklet: Tracklet, config: SplitConfig) -> Array:
    """Cosine distance between the mean features before and after each step, over the limit: float64 (L − 1,)."""
    features, time = tracklet.appearance, tracklet.time_s
    n_steps = len(tracklet) - 1
    if features.shape[1] == 0:
        return np.zeros(n_steps)

    # Sums over windows are differences of cumulative sums: observations first … step − 1 and step … last − 1.
    cumulative = np.concatenate([np.zeros((1, features.shape[1])), np.cumsum(features, 0, float)])
    step = np.arange(1, n_steps + 1)
    first = np.searchsorted(time, time[step - 1] - config.window_s)
    last = np.searchsorted(time, time[step] + config.window_s, side="right")
    before = cumulative[step] - cumulative[first]
    after = cumulative[last] - cumulative[step]

    length = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    cosine = np.divide((before * after).sum(axis=1), length, out=np.ones(n_steps), where=length > 0)
    return np.asarray((1 - cosine) / config.max_appearance_change)
