"""What to draw, and how large."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from mtmc.settings import AnyOf, Condition, Settings, UsedWhen
from mtmc.video.blur import BlurKind

__all__ = ["RenderConfig"]


class RenderConfig(Settings):
    """Choices about videos and the page."""

    used_when: ClassVar[Mapping[str, Condition]] = {
        "mosaic": AnyOf((UsedWhen("render.videos", "=", True), UsedWhen("render.mosaic", "=", False))),
        **dict.fromkeys(("crf", "min_width_px", "max_width_px", "trail_s"), UsedWhen("render.videos", "=", True)),
        **dict.fromkeys(
            ("mosaic_width_px", "mosaic_max_fps"),
            (UsedWhen("render.videos", "=", True), UsedWhen("render.mosaic", "=", True)),
        ),
        "report_vehicles": UsedWhen("render.report", "=", True),
    }

    videos: bool = Field(default=True, description="Write a video of every camera with boxes and identities.")
    mosaic: bool = Field(default=True, description="Write one video of all cameras side by side; needs videos.")
    report: bool = Field(default=True, description="Write a page with totals, scores and the path of every vehicle.")
    blur: tuple[BlurKind, ...] = Field(
        default=(),
        description="What is made unrecognizable in videos, pages and plots, in the part of each box where it can "
        "be: plates (lower half of a vehicle), faces (upper half of a person or vehicle), vehicles (all of it). "
        "Thumbnails in results/passages/ and cache/ and what mtmc view shows are not blurred.",
    )
    crf: int = Field(
        default=26, ge=0, le=51, description="Quality of videos: 0 is lossless, 6 more is about half the size."
    )
    min_width_px: int = Field(
        default=640,
        ge=16,
        description="Width to which narrower videos of cameras are enlarged, so that numbers can be read, in pixels.",
    )
    max_width_px: int = Field(
        default=1280, ge=16, description="Width to which wider videos of cameras are reduced, in pixels."
    )
    trail_s: float = Field(default=1.5, ge=0, description="Length of the trail behind a vehicle, in seconds.")
    mosaic_width_px: int = Field(default=1920, ge=64, description="Largest width of the mosaic, in pixels.")
    mosaic_max_fps: float = Field(
        default=30.0, gt=0, description="Highest frame rate of the mosaic, which else runs at the fastest camera's."
    )
    report_vehicles: int = Field(
        default=60, ge=0, description="Number of vehicles that the page shows with pictures."
    )
