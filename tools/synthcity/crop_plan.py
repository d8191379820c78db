"""What to render for re-identification."""

from __future__ import annotations

from pydantic import Field

from mtmc.settings import Settings

__all__ = ["CropPlan"]


class CropPlan(Settings):
    """How many pictures of how many vehicles."""

    identities: int = Field(100, ge=1, description="vehicles to train on")
    cameras: int = Field(8, ge=2, description="camera stations of the training part")
    test_identities: int = Field(30, ge=0, description="vehicles to test with")
    test_cameras: int = Field(4, ge=2, description="camera stations of the test part")
    views: int = Field(4, ge=1, description="pictures per vehicle and camera")
    size_px: int = Field(192, ge=32, description="longest side of a crop; smaller ones are not enlarged")
    lookalike_share: float = Field(0.35, ge=0, le=1, description="share of vehicles that copy another's looks")
    neighbour_share: float = Field(0.5, ge=0, le=1, description="how often another vehicle stands near, and may hide")
    seed: int = Field(1, ge=0, description="seed of vehicles and stations; another seed has other vehicles")
