"""Drop tracklets that are not vehicles driving through."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from mtmc.geometry.boxes import area, foot, travel
from mtmc.settings import Settings
from mtmc.types import Array, Tracklet

__all__ = ["DropConfig", "drop"]


class DropConfig(Settings):
    """What a tracklet must be to stay; a minimum of 0 asks for nothing."""

    enabled: bool = Field(default=True, description="Whether this step is done.")
    min_duration_s: float = Field(default=0.5, ge=0, description="From the first to the last box.")
    min_boxes: int = Field(default=3, ge=0, description="Detected boxes.")
    min_travel: float = Field(
        default=0.0,
        ge=0,
        description="Way between the outermost points of its path, in box diagonals. A vehicle may wait here and be "
        "seen driving by another camera, so what is parked is decided after association (polish.min_travel).",
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


def _lasts(tracklet: Tracklet, config: DropConfig) -> bool:
    detected = int((tracklet.score > 0).sum())
    return tracklet.end_s - tracklet.start_s >= config.min_duration_s and detected >= config.min_boxes


def _is_clear(tracklet: Tracklet, config: DropConfig) -> bool:
    score = tracklet.score[tracklet.score > 0]
    mean = float(score.mean()) if len(score) else 0.0
    return float(area(tracklet.xyxy).max()) >= config.min_area_px and mean >= config.min_mean_score


def _drives_in(tracklet: Tracklet, config: DropConfig, roi: Array | None) -> bool:
    if config.min_travel > 0 and travel(tracklet.xyxy) < config.min_travel:
        return False
    if roi is None:
        return True
    height, width = roi.shape
    point = foot(tracklet.xyxy)
    column = np.clip(np.floor(point[:, 0]), 0, width - 1).astype(np.intp)
    row = np.clip(np.ceil(point[:, 1]) - 1, 0, height - 1).astype(np.intp)
    return float(roi[row, column].mean()) >= config.min_roi_share
