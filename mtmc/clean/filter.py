"""Filter out tracklets that are not vehicles driving through the scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from mtmc.geometry.boxes import area, bottom_center, displacement
from mtmc.settings import Condition, Settings, UsedWhen
from mtmc.types import Array, Tracklet

__all__ = ["TrackletFilterConfig", "filter_tracklets"]


class TrackletFilterConfig(Settings):
    """What a tracklet must satisfy to be kept; a minimum of 0 is always satisfied."""

    renamed: ClassVar[Mapping[str, str]] = {"min_travel": "min_displacement"}
    used_when: ClassVar[Mapping[str, Condition]] = dict.fromkeys(
        (
            "min_duration_s",
            "min_boxes",
            "min_displacement",
            "min_roi_share",
            "min_area_px",
            "min_mean_score",
        ),
        UsedWhen("clean.filter.enabled", "=", True),
    )

    enabled: bool = Field(default=True, description="Whether this step is done.")
    min_duration_s: float = Field(
        default=0.5, ge=0, description="Least seconds from the first to the last observation."
    )
    min_boxes: int = Field(default=3, ge=0, description="Least number of detected boxes.")
    min_displacement: float = Field(
        default=0.0,
        ge=0,
        description="Least distance between the outermost points of the path, in box diagonals. A vehicle that waits "
        "here may be seen driving by another camera, so parked vehicles are better removed after association "
        "(postprocess.min_displacement).",
    )
    min_roi_share: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Least share of bottom centers inside the region of interest.",
    )
    min_area_px: float = Field(
        default=0.0, ge=0, description="Least area of the tracklet's largest box, in square pixels."
    )
    min_mean_score: float = Field(default=0.0, ge=0, le=1, description="Least mean score of the detected boxes.")


def filter_tracklets(
    tracklets: Sequence[Tracklet], config: TrackletFilterConfig, roi: Array | None = None
) -> list[Tracklet]:
    """The tracklets that satisfy every minimum, in the same order.

    Args:
        tracklets: Tracklets of one camera.
        config: The minima.
        roi: bool (H, W), True inside the region of interest; None where the camera has none.
    """
    return [
        tracklet
        for tracklet in tracklets
        if _is_long_enough(tracklet, config)
        and _is_distinct(tracklet, config)
        and _is_moving(tracklet, config)
        and _is_in_roi(tracklet, config, roi)
    ]


def _is_long_enough(tracklet: Tracklet, config: TrackletFilterConfig) -> bool:
    detected = int((tracklet.score > 0).sum())
    return tracklet.end_s - tracklet.start_s >= config.min_duration_s and detected >= config.min_boxes


def _is_distinct(tracklet: Tracklet, config: TrackletFilterConfig) -> bool:
    """Whether the tracklet is large enough and was detected with enough confidence."""
    score = tracklet.score[tracklet.score > 0]
    mean_score = float(score.mean()) if len(score) else 0.0
    return float(area(tracklet.xyxy).max()) >= config.min_area_px and mean_score >= config.min_mean_score


def _is_moving(tracklet: Tracklet, config: TrackletFilterConfig) -> bool:
    return not (config.min_displacement > 0 and displacement(tracklet.xyxy) < config.min_displacement)


def _is_in_roi(tracklet: Tracklet, config: TrackletFilterConfig, roi: Array | None) -> bool:
    if roi is None:
        return True
    height, width = roi.shape
    point = bottom_center(tracklet.xyxy)

    # A lower edge is exclusive: a box that ends at y = 10 stands on pixel row 9. Points outside the image count
    # as the nearest pixel.
    column = np.clip(np.floor(point[:, 0]), 0, width - 1).astype(np.intp)
    row = np.clip(np.ceil(point[:, 1]) - 1, 0, height - 1).astype(np.intp)
    return float(roi[row, column].mean()) >= config.min_roi_share
