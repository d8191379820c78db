"""A contact sheet: one frame of every place under every weather."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mtmc.progress import progress_bar
from mtmc.types import Array
from tools.synthcity.film import Studio
from tools.synthcity.recipe import Recipe
from tools.synthcity.stage import build_stage
from tools.synthcity.truth import Record, labelled

__all__ = ["draw_sheet"]

_PLACES = ("crossroads", "roundabout", "arterial", "highway")
_WEATHERS = ("clear", "low_sun", "overcast", "rain", "dusk", "night")


def draw_sheet(path: Path, seed: int, boxes: bool) -> None:
    """Write a picture of places (columns) by weathers (rows), each seen by another camera."""
    rows = []
    with progress_bar("contact sheet", "picture") as progress:
        for i, weather in enumerate(_WEATHERS):
            row = []
            for k, place in enumerate(_PLACES):
                recipe = Recipe.model_validate(
                    {"place": place, "weather": weather, "seed": seed + i, "duration_s": 3, "cameras": 6}
                )
                row.append(_snapshot(recipe, (i + k) % 6, boxes))
                progress(i * len(_PLACES) + k + 1, len(_WEATHERS) * len(_PLACES))
            rows.append(np.hstack(row))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(np.vstack(rows)[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 85])


def _snapshot(recipe: Recipe, camera: int, boxes: bool) -> Array:
    stage = build_stage(recipe)
    studio = Studio(stage)
    plan = stage.cameras[camera]
    studio.aim(plan)
    image, _, records = studio.shoot(plan, plan.frames - 1)
    picture = np.ascontiguousarray(image)
    if boxes:
        _draw(picture, records, recipe)
    studio.close()
    return np.asarray(cv2.resize(picture, (640, 360), interpolation=cv2.INTER_AREA))


def _draw(picture: Array, records: list[Record], recipe: Recipe) -> None:
    for record in records:
        if labelled(record, recipe.labels):
            corners = (round(record.x1), round(record.y1)), (round(record.x2), round(record.y2))
            cv2.rectangle(picture, *corners, (255, 220, 40), 1)
