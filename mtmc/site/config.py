"""The settings of learning a scene model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mtmc.settings import Settings

__all__ = ["SiteConfig"]


class SiteConfig(Settings):
    """How a scene model is learned. Nothing here is a fact of any particular scene."""

    ground: Literal["auto", "keep", "learn"] = Field(
        "auto", description="homographies: keep those given, learn new ones, or (auto) learn if no camera has one"
    )
    max_clock_offset_s: float = Field(3.0, ge=0, description="how far clocks may be wrong, in seconds either way")
    update_clocks: bool = Field(True, description="write significant clock corrections into the scene")
    max_travel_time_s: float = Field(60.0, gt=0, description="longest time out of sight between two cameras, seconds")
    max_overlap_s: float = Field(
        20.0, ge=0, description="how long before it leaves one view a vehicle may enter the next, seconds"
    )
    min_support: int = Field(3, ge=2, description="vehicles that make a zone or a link")
    min_purity: float = Field(
        0.35,
        ge=0,
        le=1,
        description="least share of the vehicles at a zone inside the image that begin (or end) there; "
        "a lower share is taken for occlusion",
    )
    max_false_link_probability: float = Field(
        0.25, gt=0, lt=1, description="greatest probability at which a link may not exist"
    )
