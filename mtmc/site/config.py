"""The choices of learning a place."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mtmc.settings import Settings

__all__ = ["SiteConfig"]


class SiteConfig(Settings):
    """How a place is learned. Nothing here is a fact of any particular place."""

    ground: Literal["auto", "keep", "learn"] = Field(
        "auto", description="homographies: keep those given, learn new ones, or (auto) learn if any camera lacks one"
    )
    max_clock_offset_s: float = Field(3.0, ge=0, description="how far clocks may be wrong, in seconds either way")
    update_clocks: bool = Field(True, description="write clocks that were found to differ into the scene")
    max_travel_time_s: float = Field(60.0, gt=0, description="longest time out of sight between two cameras, seconds")
    max_overlap_s: float = Field(20.0, ge=0, description="how much earlier a vehicle may come in than it left")
    min_support: int = Field(3, ge=2, description="vehicles that make a zone or a link")
    min_purity: float = Field(
        0.35, ge=0, le=1, description="share of those seen at an inner zone that begin (or end) there; else occlusion"
    )
    max_false_link_probability: float = Field(
        0.25, gt=0, lt=1, description="chance at which a link may still be an accident"
    )
