"""Drop tracklets that are not vehicles driving through."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from mtmc.clean.motion import centre, diagonal
from mtmc.geometry.boxes import area, foot
from mtmc.settings import Settings
from mtmc.types import Array, Tracklet

__all__ = ["DropConfig", "drop"]

_SMOOTHING = 5


class DropConfig(Settings):
    """What a tracklet must be to stay; a minimum of 0 asks for nothing."""

    enabled: bool = Field(default=True, description="Whether this step is done.")
    min_duration_s: float = Field(default=0.5, ge=0, description="From the first to the last box.")
    min_boxes: int = Field(default=3, ge=0, description="Detected boxes.")
    min_travel: float = Field(
        default=0.5,
        ge=0,
        description="Way between the outermost points of its path, in box diagonals: less is a parked vehicle. "
        "One that waits and drives on has travelled.",
    )
    min_roi_share: float = Field(
        default=0.5, ge=0, le=1, description="Share of foot points in the region of interest."
    )
    min_area_px: float = Field(default=0.0, ge=0, description="Largest box of the tracklet, in square pixels.")
    min_mean_score: float = Field(default=0.0, ge=0, le=1, description="Mean score of detected boxes.")


def drop(tracklets: Sequence[Tracklet], config: DropConfig, roi: Array | None = None) -> list[Tracklet]:
    """The tracklets that stay.

    Args:
        tracklets: Of one camera.
        config: What they must be.
        roi: bool (H, W), True inside the region of interest; None where the camera has none.
    """
    return [t for t in tracklets if _lasts(t, config) and _is_clear(t, config) and _drives_in(t, config, roi)]


def travel(tracklet: Tracklet) -> float:
    """How far apart the outermost points of the path are, in median box diagonals; jitter of boxes is smoothed."""
    path = centre(tracklet.xyxy)
    if len(path) >= _SMOOTHING:
        path = np.median(np.lib.stride_tricks.sliding_window_view(path, _SMOOTHING, axis=0), axis=-1)
    return float(np.hypot(*np.ptp(path, axis=0)) / np.median(diagonal(tracklet.xyxy)))


def _lasts(tracklet: Tracklet, config: DropConfig) -> bool:
    detected = int((tracklet.score > 0).sum())
    return tracklet.end_s - tracklet.start_s >= config.min_duration_s and detected >= config.min_boxes


def _is_clear(tracklet: Tracklet, config: DropConfig) -> bool:
    score = tracklet.score[tracklet.score > 0]
    mean = float(score.mean()) if len(score) else 0.0
    return float(area(tracklet.xyxy).max()) >= config.min_area_px and mean >= config.min_mean_score


def _drives_in(tracklet: Tracklet, config: DropConfig, roi: Array | None) -> bool:
    if config.min_travel > 0 and travel(tracklet) < config.min_travel:
        return False
    if roi is None:
        return True
    height, width = roi.shape
    point = foot(tracklet.xyxy)
    column = np.clip(np.floor(point[:, 0]), 0, width - 1).astype(np.intp)
    row = np.clip(np.ceil(point[:, 1]) - 1, 0, height - 1).astype(np.intp)
    return float(roi[row, column].mean()) >= config.min_roi_share
