"""What to draw, and how large."""

from __future__ import annotations

from pydantic import Field

from mtmc.settings import Settings

__all__ = ["RenderConfig"]


class RenderConfig(Settings):
    """Choices about what people look at."""

    videos: bool = Field(default=True, description="write a video of every camera with boxes and identities")
    mosaic: bool = Field(default=True, description="write one video of all cameras side by side (needs videos)")
    report: bool = Field(default=True, description="write a page with totals, scores and every vehicle's way")
    crf: int = Field(
        default=26, ge=0, le=51, description="quality of videos: 0 is lossless, 6 more is about half the size"
    )
    max_width_px: int = Field(
        default=1280, ge=16, description="videos of cameras are made smaller than this if they are wider"
    )
    trail_s: float = Field(default=1.5, ge=0, description="how many seconds of a vehicle's way are drawn behind it")
    mosaic_width_px: int = Field(default=1920, ge=64, description="the mosaic is at most this wide")
    mosaic_max_fps: float = Field(
        default=30.0, gt=0, description="the mosaic runs at the fastest camera's rate, up to this"
    )
    report_vehicles: int = Field(default=60, ge=0, description="how many vehicles the page shows with pictures")
