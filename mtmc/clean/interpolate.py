"""Fill the gaps of tracklets with linearly interpolated boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from mtmc.geometry.clock import Clock
from mtmc.settings import Condition, Settings, UsedWhen
from mtmc.types import Array, Tracklet

__all__ = ["InterpolateConfig", "interpolate"]


class InterpolateConfig(Settings):
    """Which gaps are filled."""

    used_when: ClassVar[Mapping[str, Condition]] = dict.fromkeys(
        ("max_gap_s",), UsedWhen("clean.interpolate.enabled", "=", True)
    )

    enabled: bool = Field(default=True, description="Whether this step is done.")
    max_gap_s: float = Field(default=3.0, ge=0, description="Longest gap that is filled, in seconds.")


def interpolate(tracklets: Sequence[Tracklet], clock: Clock, config: InterpolateConfig) -> list[Tracklet]:
    """Add a box in every missing frame of gaps that are short enough.

    The boxes are linear in time between the detected boxes on both sides. They have score 0 and zero appearance
    features. They replace boxes of score 0 that a tracklet has already, such as predictions of the tracker.

    Args:
        tracklets: Tracklets of one camera.
        clock: Clock of that camera.
        config: Which gaps are filled.
    """
    return [_fill_gaps(tracklet, clock, config.max_gap_s) for tracklet in tracklets]


def _fill_gaps(tracklet: Tracklet, clock: Clock, max_gap_s: float) -> Tracklet:
    detected = tracklet.score > 0
    if detected.any() and not detected.all():
        tracklet = tracklet[detected]

    new = _missing_frames(tracklet, max_gap_s)
    if not len(new):
        return tracklet
    time_s = clock.time_s(new)
    xyxy = np.stack([np.interp(time_s, tracklet.time_s, tracklet.xyxy[:, side]) for side in range(4)], axis=1)
    appearance = np.zeros((len(new), tracklet.appearance.shape[1]), np.float32)

    frame = np.concatenate([tracklet.frame, new])
    order = np.argsort(frame)
    return Tracklet(
        camera_id=tracklet.camera_id,
        track_id=tracklet.track_id,
        frame=frame[order],
        time_s=np.concatenate([tracklet.time_s, time_s])[order],
        xyxy=np.concatenate([tracklet.xyxy, xyxy.astype(np.float32)])[order],
        score=np.concatenate([tracklet.score, np.zeros(len(new), np.float32)])[order],
        class_id=tracklet.class_id,
        appearance=np.concatenate([tracklet.appearance, appearance])[order],
    )


def _missing_frames(tracklet: Tracklet, max_gap_s: float) -> Array:
    """The frames inside gaps of at most ``max_gap_s`` seconds: int64 (K,)."""
    short = np.diff(tracklet.time_s) <= max_gap_s
    before, after = tracklet.frame[:-1][short], tracklet.frame[1:][short]
    missing = [np.arange(a + 1, b) for a, b in zip(before, after, strict=True)]
    return np.concatenate(missing) if missing else np.zeros(0, np.int64)
