"""Which detections go on to the tracker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from mtmc.detect.nms import nms
from mtmc.errors import SceneError
from mtmc.geometry.boxes import area, bottom_center, clip, reaches_image
from mtmc.settings import Condition, Settings, UsedWhen
from mtmc.types import Array, Detections

__all__ = ["FilterConfig", "filter_detections"]


class FilterConfig(Settings):
    """What is kept of a detector's output; the same rules hold for detections read from a file."""

    used_when: ClassVar[Mapping[str, Condition]] = {"roi_share": UsedWhen("detect.filter.roi", "=", "share")}

    min_confidence: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Drop boxes with a lower score; null: 0.25 for a detector, 0 for detections from a file.",
    )
    nms_iou: float | None = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Of boxes that overlap by more, whatever their class, keep the best; null: all. "
        "(A detector itself keeps none that overlap by more than 0.7, or by more than this if it is larger.)",
    )
    min_area_px: float = Field(default=0.0, ge=0, description="Drop boxes of a smaller area, in square pixels.")
    border_px: float = Field(
        default=0.0, ge=0, description="Drop boxes that come this close to the image's border; 0 keeps them all."
    )
    roi: Literal["off", "foot", "share"] = Field(
        default="foot",
        description="Region of interest, where the camera has one: keep boxes whose foot point (middle of the lower "
        "edge) lies inside, or of which a share lies inside, or ignore it.",
    )
    roi_share: float = Field(
        default=0.5, gt=0, le=1, description="The share of the box's area that rule 'share' asks for."
    )


def filter_detections(
    detections: Detections, config: FilterConfig, size_wh: tuple[int, int], roi: Array | None = None
) -> Detections:
    """The detections of one frame that pass; suppression comes last, so that a dropped box suppresses no other.

    Args:
        detections: One frame's detections.
        config: The rules.
        size_wh: Width and height of the image, pixels.
        roi: bool (H, W), True inside the region of interest; None where the camera has none.

    Raises:
        SceneError: The region of interest is of another size than the image.
    """
    size_px = area(detections.xyxy)
    keep = reaches_image(detections.xyxy, size_wh) & (size_px >= config.min_area_px)
    if config.min_confidence is not None:
        keep &= detections.score >= config.min_confidence
    if config.border_px > 0:
        keep &= _clear_of_border(detections.xyxy, size_wh, config.border_px)
    if roi is not None and config.roi != "off":
        if roi.shape != size_wh[::-1]:
            raise SceneError(
                f"expected a region of interest of {size_wh[0]}×{size_wh[1]} pixels like the video's, "
                f"got {roi.shape[1]}×{roi.shape[0]}",
                remedy="give the camera an image of the right size, or set roi to off",
            )
        share = _at_foot(detections.xyxy, roi) if config.roi == "foot" else _share_inside(detections.xyxy, roi)
        keep &= share >= config.roi_share
    kept = detections if keep.all() else detections[keep]
    if config.nms_iou is None or len(kept) < 2:
        return kept
    return kept[np.sort(nms(kept.xyxy, kept.score, config.nms_iou))]


def _clear_of_border(xyxy: Array, size_wh: tuple[int, int], border_px: float) -> Array:
    far = np.array(size_wh) - border_px
    return np.asarray((xyxy[:, :2] >= border_px).all(axis=1) & (xyxy[:, 2:] <= far).all(axis=1))


def _at_foot(xyxy: Array, roi: Array) -> Array:
    """1 where the pixel a box stands on is inside, 0 elsewhere; a foot beyond the border counts as on it."""
    height, width = roi.shape
    point = bottom_center(xyxy)
    column = np.clip(np.floor(point[:, 0]), 0, width - 1).astype(np.intp)
    row = np.clip(np.ceil(point[:, 1]) - 1, 0, height - 1).astype(np.intp)
    return np.asarray(roi[row, column], np.float64)


def _share_inside(xyxy: Array, roi: Array) -> Array:
    """Share of each box's visible pixels that are inside, 0 for a box wholly out of the image."""
    height, width = roi.shape
    outer = clip(np.concatenate([np.floor(xyxy[:, :2]), np.ceil(xyxy[:, 2:])], axis=1), (width, height))
    return np.array(
        [roi[y1:y2, x1:x2].mean() if x2 > x1 and y2 > y1 else 0.0 for x1, y1, x2, y2 in outer.astype(int)]
    )
