"""Fill the gaps of tracklets with boxes on a straight line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from mtmc.geometry.clock import Clock
from mtmc.settings import Settings
from mtmc.types import Tracklet

__all__ = ["InterpolateConfig", "interpolate"]


class InterpolateConfig(Settings):
    """Which gaps are filled."""

    enabled: bool = Field(default=True, description="Whether this step is done.")
    max_gap_s: float = Field(default=3.0, ge=0, description="Longer gaps stay open.")


def interpolate(tracklets: Sequence[Tracklet], clock: Clock, config: InterpolateConfig) -> list[Tracklet]:
    """Give tracklets a box in every frame of their shorter gaps.

    New boxes have score 0 and appearance 0: nobody saw them. Boxes of score 0 that are there already, such as a
    tracker's predictions, give way to them.
    """
    return [_fill(t, clock, config.max_gap_s) for t in tracklets]


def _fill(tracklet: Tracklet, clock: Clock, max_gap_s: float) -> Tracklet:
    seen = tracklet.score > 0
    if seen.any() and not seen.all():
        tracklet = tracklet[seen]
    short = np.diff(tracklet.time_s) <= max_gap_s
    wanted = [np.arange(a + 1, b) for a, b in zip(tracklet.frame[:-1][short], tracklet.frame[1:][short], strict=True)]
    new = np.concatenate(wanted) if wanted else np.zeros(0, np.int64)
    if not len(new):
        return tracklet
    time_s = clock.time_s(new)
    xyxy = np.stack([np.interp(time_s, tracklet.time_s, tracklet.xyxy[:, side]) for side in range(4)], axis=1)
    frame = np.concatenate([tracklet.frame, new])
    order = np.argsort(frame)
    nothing = np.zeros((len(new), tracklet.appearance.shape[1]), np.float32)
    return Tracklet(
        tracklet.camera_id,
        tracklet.track_id,
        frame[order],
        np.concatenate([tracklet.time_s, time_s])[order],
        np.concatenate([tracklet.xyxy, xyxy.astype(np.float32)])[order],
        np.concatenate([tracklet.score, np.zeros(len(new), np.float32)])[order],
        tracklet.class_id,
        np.concatenate([tracklet.appearance, nothing])[order],
    )
