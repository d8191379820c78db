"""Single frames with boxes, for training a detector: many scenes, every weather, in the YOLO layout."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import yaml

from mtmc.files import atomic_path
from mtmc.progress import progress_bar
from mtmc.types import CLASSES, class_index
from tools.synthcity.film import Studio
from tools.synthcity.recipe import LabelRule, Recipe
from tools.synthcity.stage import build_stage
from tools.synthcity.truth import Record, labelled

__all__ = ["DETECTOR_RULE", "render_frames", "training_recipe"]

#: What a detector should learn to find: smaller, more hidden, and parked vehicles too.
DETECTOR_RULE = LabelRule(min_visibility=0.25, min_area_px=400.0, max_truncation=0.7, parked=True)

_PLACES = ("crossroads", "arterial", "roundabout", "highway")
_WEATHERS = ("clear", "overcast", "clear", "low_sun", "rain", "night", "dusk")


def training_recipe(seed: int) -> Recipe:
    """The scene of a training seed: place, weather, density and cameras all vary with it."""
    rng = np.random.default_rng([seed, 1201])
    place = _PLACES[seed % len(_PLACES)]
    return Recipe.model_validate(
        {
            "name": f"T{seed:05d}",
            "place": place,
            "weather": _WEATHERS[(seed // len(_PLACES)) % len(_WEATHERS)],
            "seed": seed,
            "duration_s": 60.0,
            "cameras": 9,
            "camera_jitter": 2.0,
            "demand_per_min": float(rng.uniform(60, 110) if place == "highway" else rng.uniform(25, 65)),
            "parked_share": float(rng.uniform(0.1, 0.7)),
        }
    )


def render_frames(out: Path, seeds: list[int], per_camera: int, part: str) -> int:
    """Write ``images/<part>/*.jpg`` and ``labels/<part>/*.txt`` (class, box center and size as shares).

    The class is an index into :data:`mtmc.types.CLASSES`.


    Args:
        out: The data set's folder; also gets ``data.yaml``.
        seeds: Training seeds, one scene each; those whose frames are there already are skipped.
        per_camera: Frames per camera, spread over a minute.
        part: ``train`` or ``val``.

    Returns:
        How many pictures the part has.
    """
    for folder in ("images", "labels"):
        (out / folder / part).mkdir(parents=True, exist_ok=True)
    with progress_bar("frames", "scene") as progress:
        for done, seed in enumerate(seeds, start=1):
            _render_scene(out, training_recipe(seed), per_camera, part)
            progress(done, len(seeds))
    names = {"path": ".", "train": "images/train", "val": "images/val", "names": dict(enumerate(CLASSES))}
    with atomic_path(out / "data.yaml") as path:
        path.write_text(yaml.safe_dump(names, sort_keys=False), encoding="utf-8")
    return len(list((out / "images" / part).glob("*.jpg")))


def _render_scene(out: Path, recipe: Recipe, per_camera: int, part: str) -> None:
    mark = out / "labels" / f".{recipe.name}.done"
    if mark.is_file():
        return
    stage = build_stage(recipe)
    studio = Studio(stage)
    for plan in stage.cameras:
        studio.aim(plan)
        for frame in np.linspace(0, plan.frames - 1, per_camera).astype(int).tolist():
            image, _, records = studio.shoot(plan, frame)
            name = f"{recipe.name}_{plan.id}_{frame:04d}"
            picture = np.ascontiguousarray(image[..., ::-1])
            cv2.imwrite(str(out / "images" / part / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
            rows = [_label(r, plan.view.size_wh) for r in records if labelled(r, DETECTOR_RULE)]
            (out / "labels" / part / f"{name}.txt").write_text("".join(rows), encoding="ascii")
    studio.close()
    mark.touch()


def _label(record: Record, size_wh: tuple[int, int]) -> str:
    width, height = size_wh
    x, y = (record.x1 + record.x2) / 2 / width, (record.y1 + record.y2) / 2 / height
    w, h = (record.x2 - record.x1) / width, (record.y2 - record.y1) / height
    return f"{class_index(record.vehicle_class)} {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n"
