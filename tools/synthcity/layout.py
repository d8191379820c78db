"""A filmed scene on disk: the CityFlow layout, ``scene.yaml`` and the full record beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from mtmc.files import atomic_path
from mtmc.formats.mot import write_mot
from mtmc.formats.table import Table
from mtmc.geometry.ground import project
from mtmc.types import Array, class_index
from tools.synthcity.film import read_records, record_path
from tools.synthcity.recipe import Recipe
from tools.synthcity.routes import find_links, find_passages, find_zones
from tools.synthcity.stage import CameraPlan, Stage
from tools.synthcity.truth import Record, labelled

__all__ = ["ORIGIN_LAT_LON", "calibrate", "truth_table", "truth_tables", "write_layout"]

#: Where the place's origin is said to lie, for calibrations in degrees: open sea.
ORIGIN_LAT_LON = (47.0, -20.0)
_METRES_PER_DEGREE = 111_320.0


def truth_table(records: list[Record], recipe: Recipe) -> Table:
    """The boxes of one camera that the recipe's rule would list, however few cameras see the vehicle."""
    kept = [record for record in records if labelled(record, recipe.labels)]
    return Table.of(
        [r.camera for r in kept],
        [r.id for r in kept],
        [r.frame for r in kept],
        np.array([(r.x1, r.y1, r.x2, r.y2) for r in kept], float).reshape(-1, 4),
        class_id=[class_index(r.vehicle_class) for r in kept],
        time_s=[r.time_s for r in kept],
        ground_m=np.array([(r.east_m, r.north_m) for r in kept], float).reshape(-1, 2),
    )


def truth_tables(records: dict[str, list[Record]], recipe: Recipe) -> dict[str, Table]:
    """The ground truth of every camera, by camera id.

    As in CityFlow, it leaves vehicles out that fewer than ``labels.min_cameras`` cameras list: the official scoring
    drops them from predictions.
    """
    tables = {camera_id: truth_table(rows, recipe) for camera_id, rows in records.items()}
    ids, cameras = np.unique(np.concatenate([np.unique(t.id) for t in tables.values()]), return_counts=True)
    kept = ids[cameras >= min(recipe.labels.min_cameras, len(tables))]
    return {camera_id: table[np.isin(table.id, kept)] for camera_id, table in tables.items()}


def calibrate(plan: CameraPlan, recipe: Recipe) -> tuple[Array, float]:
    """A homography (3, 3) from pixels to metres, fitted to a few noisy points, and its mean error in pixels.

    A lens bends lines, so a homography can not be exact; the noise of the points comes on top.
    """
    rng = np.random.default_rng([recipe.seed, 901, plan.number])
    width, height = plan.view.size_wh
    x, y = np.meshgrid(np.linspace(0.08, 0.92, 9) * width, np.linspace(0.25, 0.96, 9) * height)
    pixels = np.stack([x.ravel(), y.ravel()], axis=1)
    ground = plan.view.on_ground(pixels)
    near = np.linalg.norm(ground - plan.view.eye[:2], axis=1) < 75.0
    usable = np.isfinite(ground).all(axis=1) & near
    chosen = rng.permutation(np.flatnonzero(usable))[:14]
    noisy = pixels[chosen] + rng.normal(0, 1, (len(chosen), 2)) * recipe.calibration_error_px
    matrix, _ = cv2.findHomography(ground[chosen], noisy)
    error = float(np.linalg.norm(project(ground[usable], matrix) - pixels[usable], axis=1).mean())
    return np.asarray(np.linalg.inv(matrix) / np.linalg.inv(matrix)[2, 2]), error


def write_layout(stage: Stage, folder: Path) -> None:
    """Write all that lies beside the videos; every camera of the stage must have been filmed.

    ::

        <root>/cam_timestamp/S01.txt   cam_framenum/S01.txt   list_cam.txt
        <root>/S01/scene.yaml   stage.yaml
        <root>/S01/c001/vdo.mp4   roi.jpg   calibration.txt   gt/gt.txt   record.parquet
    """
    recipe = stage.recipe
    records = {plan.id: read_records(record_path(folder, plan.id)) for plan in stage.cameras}
    truth = truth_tables(records, recipe)
    for plan in stage.cameras:
        write_mot(truth[plan.id], folder / plan.id / "gt" / "gt.txt")
        _write_camera(plan, recipe, folder / plan.id)
    root = folder.parent
    _write_text(
        root / "cam_timestamp" / f"{recipe.name}.txt",
        "".join(f"{plan.id} {plan.clock.time_s(np.array([0]))[0]:.3f}\n" for plan in stage.cameras),
    )
    _write_text(root / "cam_framenum" / f"{recipe.name}.txt", "".join(f"{p.id} {p.frames}\n" for p in stage.cameras))
    _write_text(folder / "scene.yaml", _dump(_scene_yaml(stage, records)))
    _write_text(folder / "recipe.yaml", yaml.safe_dump(recipe.model_dump(), sort_keys=False))


def _write_camera(plan: CameraPlan, recipe: Recipe, folder: Path) -> None:
    ground_from_image, error = calibrate(plan, recipe)
    degrees = np.diag([1 / _METRES_PER_DEGREE, 1 / (_METRES_PER_DEGREE * np.cos(np.deg2rad(ORIGIN_LAT_LON[0]))), 1.0])
    swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1.0]])  # (east, north) → (latitude, longitude)
    shift = np.array([[1, 0, ORIGIN_LAT_LON[0]], [0, 1, ORIGIN_LAT_LON[1]], [0, 0, 1.0]])
    image_from_gps = np.linalg.inv(shift @ degrees @ swap @ ground_from_image)
    image_from_gps /= image_from_gps[2, 2]
    rows = ";".join(" ".join(f"{v:.15g}" for v in row) for row in image_from_gps)
    _write_text(folder / "calibration.txt", f"Homography matrix: {rows}\nReprojection error: {error:.6f}\n")
    with atomic_path(folder / "roi.jpg") as path:
        cv2.imwrite(str(path), _region(plan))


def _region(plan: CameraPlan) -> Array:
    """White where a vehicle's place on the ground is near enough to be labelled: uint8 (H, W)."""
    width, height = plan.view.size_wh
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    far = np.linalg.norm(plan.view.on_ground(np.stack([x, y], -1)) - plan.view.eye[:2], axis=-1)
    mask = np.where(np.isfinite(far) & (far < 110.0), 255, 0).astype(np.uint8)
    return np.asarray(cv2.dilate(mask, np.ones((2 * (height // 24) + 1, 3), np.uint8)))


def _scene_yaml(stage: Stage, records: dict[str, list[Record]]) -> dict[str, Any]:
    recipe = stage.recipe
    passages = {plan.id: find_passages(stage, plan, records[plan.id]) for plan in stage.cameras}
    cameras = []
    for plan in stage.cameras:
        matrix, _ = calibrate(plan, recipe)
        entry: dict[str, Any] = {"id": plan.id, "video": f"{plan.id}/vdo.mp4", "fps": plan.fps}
        if plan.clock.time_map:
            entry["time_map"] = [[frame, seconds] for frame, seconds in plan.clock.time_map]
        else:
            entry["start_s"] = plan.clock.start_s
        entry |= {
            "frame_count": plan.frames,
            "roi": f"{plan.id}/roi.jpg",
            "ground_truth": f"{plan.id}/gt/gt.txt",
            "ground_from_image": [[float(f"{v:.9g}") for v in row] for row in matrix],
            "zones": [
                {
                    "name": name,
                    "role": name.split()[-1],
                    "polygon": [[round(float(v), 1) for v in corner] for corner in polygon],
                }
                for name, polygon in find_zones(passages[plan.id], plan.view.size_wh)
            ],
        }
        cameras.append(entry)
    return {"name": recipe.name, "cameras": cameras, "links": find_links(passages)}


def _dump(content: dict[str, Any]) -> str:
    """YAML with short lists on one line."""

    class Dumper(yaml.SafeDumper):
        pass

    def flow(dumper: yaml.SafeDumper, data: list[Any]) -> Any:
        plain = all(isinstance(v, (int, float, str)) for v in data) or all(
            isinstance(v, list) and all(isinstance(w, (int, float)) for w in v) for v in data
        )
        return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=plain)

    Dumper.add_representer(list, flow)
    return yaml.dump(content, Dumper=Dumper, sort_keys=False, width=118)


def _write_text(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
