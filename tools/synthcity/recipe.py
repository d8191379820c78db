"""What to make: a scene as a short YAML file, and the rule by which boxes become labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from mtmc.errors import ConfigError
from mtmc.settings import Settings

__all__ = ["LabelRule", "Recipe", "load_recipe"]

PlaceKind = Literal["crossroads", "roundabout", "arterial", "highway"]
Weather = Literal["clear", "overcast", "low_sun", "dusk", "night", "rain"]


class LabelRule(Settings):
    """Which boxes the ground truth lists. The full record keeps all of them, with the figures this rule reads."""

    min_visibility: float = Field(0.35, ge=0, le=1, description="visible share of the pixels it would have alone")
    min_area_px: float = Field(900.0, ge=0, description="area of the amodal box inside the picture, px²")
    max_truncation: float = Field(0.6, ge=0, le=1, description="share of the amodal box outside the picture")
    parked: bool = Field(False, description="also label vehicles that stay parked (CityFlow does not)")
    min_cameras: int = Field(
        2,
        ge=1,
        description="least number of cameras that list a vehicle's boxes, if the scene has as many (as CityFlow)",
    )


class Recipe(Settings):
    """One scene. The same recipe gives the same ground truth."""

    name: str = Field("S01", pattern=r"^[A-Za-z0-9_-]+$", description="name of the scene's folder")
    place: PlaceKind = Field("crossroads", description="the kind of street layout")
    seed: int = Field(1, ge=0, description="seed of streets, vehicles, traffic and cameras")
    weather: Weather = Field("clear", description="light and weather")
    duration_s: float = Field(20.0, gt=0, description="length of the recording on the scene's clock")
    warmup_s: float = Field(70.0, ge=0, description="traffic simulated before the recording starts")

    cameras: int = Field(4, ge=1, le=9, description="how many of the place's camera sites are used, in their order")
    camera_jitter: float = Field(
        1.0, ge=0, le=3, description="how far cameras stray from their sites; 0 is not at all"
    )
    width_px: int = Field(960, ge=64, multiple_of=2, description="picture width")
    height_px: int = Field(540, ge=64, multiple_of=2, description="picture height")
    supersample: float = Field(1.25, ge=1, le=3, description="rendered pixels per delivered pixel, each way")
    crf: int = Field(25, ge=0, le=51, description="H.264 constant rate factor")

    fps: float = Field(10.0, gt=0, le=60, description="frames per second of most cameras")
    odd_fps: float = Field(8.0, gt=0, le=60, description="frames per second of the odd ones")
    odd_fps_share: float = Field(0.0, ge=0, le=1, description="share of cameras that run at odd_fps")
    start_spread_s: float = Field(0.0, ge=0, description="cameras start up to this much after the first")
    drops_per_min: float = Field(0.0, ge=0, description="how often a camera loses frames")
    drop_s: float = Field(0.6, gt=0, description="mean length of a loss")
    calibration_error_px: float = Field(2.0, ge=0, description="noise of the points that calibrations are fitted to")

    demand_per_min: float = Field(45.0, gt=0, description="vehicles that set out per minute, all entries together")
    lookalike_share: float = Field(0.25, ge=0, le=1, description="share of vehicles that copy an earlier one's looks")
    parked_share: float = Field(0.4, ge=0, le=1, description="share of parking bays in use")
    pedestrians: int = Field(14, ge=0, description="people on the pavements, as distractors")
    cyclists: int = Field(3, ge=0, description="cyclists at the kerb, as distractors")
    labels: LabelRule = Field(default_factory=LabelRule, description="the rule of the ground truth")


def load_recipe(path: Path, overrides: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe; ``overrides`` replace its top-level keys.

    Raises:
        ConfigError: The file is missing, is no mapping, or a key or value is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigError(
            "expected a recipe file, got none", path=path, remedy="give the path of a YAML file"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"expected YAML, got {error}", path=path) from error
    if not isinstance(content, dict):
        raise ConfigError(f"expected keys and values, got {type(content).__name__}", path=path)
    try:
        return Recipe.model_validate({**content, **(overrides or {})})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{key}: {first['msg']}, got {first['input']!r}",
            path=path,
            remedy=f"known keys are {', '.join(Recipe.model_fields)}",
        ) from error
