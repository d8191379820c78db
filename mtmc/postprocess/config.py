"""Settings of post-processing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from mtmc.settings import Settings

__all__ = ["PostprocessConfig"]


class PostprocessConfig(Settings):
    """What is done to the boxes of the vehicles found, in this order.

    The defaults suppress parked vehicles, which CityFlow does not annotate, and boxes that the image border mostly
    truncates, where this raises IDF1 on all of CityFlow's tracks at hand. How far boxes must be expanded depends on
    detector and annotation, and the least area on the annotation: both are off.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "min_travel": "min_displacement",
        "max_cut_off": "max_truncation",
        "max_growth_px": "max_expansion_px",
    }

    min_displacement: float = Field(
        0.5,
        ge=0,
        description="drop vehicles whose path is shorter than this in every camera, in diagonals of their boxes: "
        "they are parked; 0: none",
    )
    box_scale: float = Field(
        1.0,
        gt=0,
        description="expand boxes about their center by this factor of width and height, in cameras that have no "
        "box_scale of their own in scene.yaml",
    )
    max_expansion_px: float | None = Field(
        None, ge=0, description="upper limit of the expansion in width and in height, pixels; null: no limit"
    )
    clip: bool = Field(
        True, description="clip boxes to the image, where its size is known; annotations end at its border"
    )
    min_area_px: float = Field(0.0, ge=0, description="drop smaller boxes, in square pixels")
    min_area_share: float = Field(0.0, ge=0, lt=1, description="drop boxes of a smaller share of the image's area")
    max_truncation: float = Field(
        0.5,
        ge=0,
        le=1,
        description="drop a box at the image border if more than this share of its vehicle is out of view, compared "
        "with the nearest whole box of its tracklet; 1: none",
    )
    duplicate_iou: float = Field(
        1.0,
        ge=0,
        le=1,
        description="of boxes of two vehicles that overlap by more in one frame keep the better supported; 1: both",
    )
