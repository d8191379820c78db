"""The choices of the last step before a result is written."""

from __future__ import annotations

from pydantic import Field

from mtmc.settings import Settings

__all__ = ["PolishConfig"]


class PolishConfig(Settings):
    """What is done to the boxes of the vehicles found, in this order.

    The defaults leave out parked vehicles, which CityFlow does not annotate, and touch the border of the image, where
    they raise IDF1 on all of CityFlow's tracks at hand. How far boxes must grow depends on detector and annotation,
    and the least area on the annotation: both are off.
    """

    min_travel: float = Field(
        0.5,
        ge=0,
        description="drop vehicles that get no farther than this in any camera, in diagonals of their boxes: they "
        "are parked; 0: none",
    )
    box_scale: float = Field(
        1.0,
        gt=0,
        description="boxes grow about their centre to this share of their width and height, in cameras that have no "
        "box_scale of their own in scene.yaml",
    )
    max_growth_px: float | None = Field(
        None, ge=0, description="most that a box grows in width and in height, pixels; null: no limit"
    )
    clip: bool = Field(
        True, description="cut boxes at the borders of the image, where its size is known; annotations end there"
    )
    min_area_px: float = Field(0.0, ge=0, description="drop smaller boxes, in square pixels")
    min_area_share: float = Field(0.0, ge=0, lt=1, description="drop boxes of a smaller share of the image's area")
    max_cut_off: float = Field(
        0.5,
        ge=0,
        le=1,
        description="drop a box at the border of the image of whose vehicle more than this share is out of view, "
        "judged by its nearest whole box; 1: none",
    )
    duplicate_iou: float = Field(
        1.0,
        ge=0,
        le=1,
        description="of boxes of two vehicles that overlap by more in one frame keep the better supported; 1: both",
    )
