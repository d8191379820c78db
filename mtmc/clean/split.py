"""Cut tracklets where they seem to pass from one vehicle to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from pydantic import Field

from mtmc.clean.motion import velocity_after, velocity_before
from mtmc.geometry.boxes import centre, diagonal
from mtmc.settings import Settings
from mtmc.types import Array, Tracklet

__all__ = ["SplitConfig", "split"]


class SplitConfig(Settings):
    """Where tracklets are cut."""

    enabled: bool = Field(default=True, description="Whether this step is done.")
    window_s: float = Field(default=1.0, gt=0, description="Seconds before and after a cut that are compared.")
    max_turn_deg: float = Field(
        default=150.0, gt=0, description="Vehicles do not turn by more within two windows; 180 or more: no such cut."
    )
    min_turn_speed: float = Field(
        default=0.5, gt=0, description="Box diagonals per second; slower than this a direction means nothing."
    )
    max_jump: float = Field(
        default=1.0, gt=0, description="Box diagonals between where motion before and after a step puts the vehicle."
    )
    max_appearance_change: float = Field(
        default=0.6,
        gt=0,
        description="Cosine distance between the mean looks of both windows; 2 or more: no such cut.",
    )
    min_boxes: int = Field(default=5, ge=1, description="Observations that each side of a cut must have.")


def split(tracklets: Sequence[Tracklet], config: SplitConfig) -> list[Tracklet]:
    """Cut tracklets at reversals of direction, jumps and changes of looks.

    The first piece keeps the id, the others get new ones above all that are in use.
    """
    pieces = []
    next_id = max((t.track_id for t in tracklets), default=0) + 1
    for tracklet in tracklets:
        found = cuts(tracklet, config)
        if not found:
            pieces.append(tracklet)
            continue
        bounds = [0, *found, len(tracklet)]
        pieces.append(tracklet[bounds[0] : bounds[1]])
        for start, stop in pairwise(bounds[1:]):
            pieces.append(replace(tracklet[start:stop], track_id=next_id))
            next_id += 1
    return pieces


def cuts(tracklet: Tracklet, config: SplitConfig) -> list[int]:
    """Indices of the observations that begin a new piece, increasing."""
    if len(tracklet) < 2 * config.min_boxes:
        return []
    strength = np.max(
        [_turn(tracklet, config), _jump(tracklet, config), _change_of_looks(tracklet, config)], axis=0
    )  # (L − 1,): entry i is about the step from observation i to i + 1; above 1 is a cut
    strength[: config.min_boxes - 1] = 0
    strength[len(strength) - config.min_boxes + 1 :] = 0
    found: list[int] = []
    time = tracklet.time_s[1:]
    while strength.max() > 1:
        best = int(strength.argmax())
        found.append(best + 1)
        strength[np.abs(time - time[best]) <= config.window_s] = 0
        around = slice(max(0, best - config.min_boxes + 1), best + config.min_boxes)
        strength[around] = 0
    return sorted(found)


def _turn(tracklet: Tracklet, config: SplitConfig) -> Array:
    """Above 1 where a step reverses the direction, most where the motion on both sides is fastest."""
    before, after, known = _motion(tracklet, config)
    slow = config.min_turn_speed * diagonal(tracklet.xyxy)
    speed_before, speed_after = np.hypot(*before.T), np.hypot(*after.T)
    known &= (speed_before > slow[:-1]) & (speed_after > slow[1:])
    cosine = (before * after).sum(axis=1) / np.where(known, speed_before * speed_after, 1)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    reverses = known & (angle > config.max_turn_deg)
    return np.where(reverses, np.minimum(speed_before / slow[:-1], speed_after / slow[1:]), 0)


def _jump(tracklet: Tracklet, config: SplitConfig) -> Array:
    """How far a step leads away from the path before and from the path after it, in allowed distances."""
    before, after, known = _motion(tracklet, config)
    position, elapsed = centre(tracklet.xyxy), np.diff(tracklet.time_s)[:, None]
    step = np.diff(position, axis=0)
    miss = np.minimum(np.hypot(*(step - before * elapsed).T), np.hypot(*(step - after * elapsed).T))
    size = diagonal(tracklet.xyxy)
    return np.where(known, miss / (config.max_jump * np.maximum(size[:-1], size[1:])), 0)


def _motion(tracklet: Tracklet, config: SplitConfig) -> tuple[Array, Array, Array]:
    """Velocity before and after each step, (L − 1, 2), and where both are measured over half a window, (L − 1,)."""
    before, before_s = velocity_before(tracklet, config.window_s)
    after, after_s = velocity_after(tracklet, config.window_s)
    return before[:-1], after[1:], np.minimum(before_s[:-1], after_s[1:]) >= config.window_s / 2


def _change_of_looks(tracklet: Tracklet, config: SplitConfig) -> Array:
    """Cosine distance between mean appearance before and after each step, over the largest allowed one."""
    steps = len(tracklet) - 1
    if tracklet.appearance.shape[1] == 0:
        return np.zeros(steps)
    time = tracklet.time_s
    total = np.concatenate([np.zeros((1, tracklet.appearance.shape[1])), np.cumsum(tracklet.appearance, 0, float)])
    here = np.arange(1, steps + 1)
    first = np.searchsorted(time, time[here - 1] - config.window_s)
    last = np.searchsorted(time, time[here] + config.window_s, side="right")
    before, after = total[here] - total[first], total[last] - total[here]
    length = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    cosine = np.divide((before * after).sum(axis=1), length, out=np.ones(steps), where=length > 0)
    return np.asarray((1 - cosine) / config.max_appearance_change)
