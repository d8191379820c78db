"""Training tiles: frames at the width at which a run detects, cut into squares that hold vehicles.

A square of half the frame's width costs a quarter of the frame, so the same time gives four times the optimiser
steps.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import yaml

from mtmc.errors import FormatError
from mtmc.files import atomic_path
from mtmc.progress import progress_bar
from mtmc.types import Array

__all__ = ["FRAME_WIDTH_PX", "TILE_PX", "boxes_in_tile", "cut_tiles"]

FRAME_WIDTH_PX = 640  # what ``detect.input_size`` makes of a 16:9 picture
TILE_PX = 320
_MIN_SHARE = 0.35  # of a box that must lie within a tile to be learned from it
_MIN_SIDE_PX = 6.0
_EMPTY_SHARE = 0.15  # of tiles without a vehicle that are kept


def boxes_in_tile(xyxy: Array, left: float, top: float, size: float = TILE_PX) -> Array:
    """Boxes clipped to a tile, in its coordinates: float64 (N, 4) → (M, 4).

    A box is kept if at least 35 % of its area and 6 px of each side lie within the tile.
    """
    moved = xyxy - np.array([left, top, left, top])
    clipped = moved.clip(0, size)
    wide, high = clipped[:, 2] - clipped[:, 0], clipped[:, 3] - clipped[:, 1]
    area = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    keep = (wide * high >= _MIN_SHARE * area) & (np.minimum(wide, high) >= _MIN_SIDE_PX)
    return np.asarray(clipped[keep])


def cut_tiles(frames: Path, out: Path, seed: int = 0) -> int:
    """Cut every frame of a data set in the YOLO layout into three overlapping tiles, left, middle and right.

    Args:
        frames: Folder with ``images/{train,val}`` and ``labels/{train,val}``.
        out: Folder of the same layout for the tiles, with ``data.yaml``.
        seed: Of the tiles' height in the frame, and of which empty ones are kept.

    Returns:
        How many tiles there are.

    Raises:
        FormatError: A label file is malformed, or there are no frames.
    """
    count = 0
    for part in ("train", "val"):
        paths = sorted((frames / "images" / part).glob("*.jpg"))
        if not paths:
            raise FormatError(
                "expected *.jpg frames, found none",
                path=frames / "images" / part,
                remedy="make them by `python -m tools.synthcity frames`",
            )
        for kind in ("images", "labels"):
            (out / kind / part).mkdir(parents=True, exist_ok=True)
        with progress_bar(f"tiles {part}", "frame") as progress:
            for done, path in enumerate(paths, start=1):
                rng = np.random.default_rng([seed, done])
                count += _cut(path, frames / "labels" / part / f"{path.stem}.txt", out, part, rng)
                progress(done, len(paths))
    names = {"path": str(out.resolve()), "train": "images/train", "val": "images/val", "names": {0: "vehicle"}}
    with atomic_path(out / "data.yaml") as file:
        file.write_text(yaml.safe_dump(names, sort_keys=False), encoding="utf-8")
    return count


def _cut(image_path: Path, label_path: Path, out: Path, part: str, rng: np.random.Generator) -> int:
    image = cv2.imread(str(image_path))
    height = round(image.shape[0] * FRAME_WIDTH_PX / image.shape[1])
    image = cv2.resize(image, (FRAME_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    try:
        rows = np.array(label_path.read_text(encoding="utf-8").split(), np.float64).reshape(-1, 5)
    except (OSError, ValueError) as cause:
        raise FormatError(
            "expected rows of five numbers: class, centre and size as shares", path=label_path
        ) from cause
    centre, half = rows[:, 1:3] * (FRAME_WIDTH_PX, height), rows[:, 3:5] * (FRAME_WIDTH_PX, height) / 2
    xyxy = np.concatenate([centre - half, centre + half], axis=1)
    written = 0
    for place, left in enumerate((0, (FRAME_WIDTH_PX - TILE_PX) // 2, FRAME_WIDTH_PX - TILE_PX)):
        top = int(rng.integers(0, max(height - TILE_PX, 0) + 1))
        boxes = boxes_in_tile(xyxy, left, top)
        if len(boxes) == 0 and rng.random() > _EMPTY_SHARE:
            continue
        name = f"{image_path.stem}_{place}"
        tile = image[top : top + TILE_PX, left : left + TILE_PX]
        cv2.imwrite(
            str(out / "images" / part / f"{name}.jpg"), tile, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 96))]
        )
        sides = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1) / TILE_PX
        lines = ["0 " + " ".join(f"{v:.6f}" for v in row) for row in sides.tolist()]
        (out / "labels" / part / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
        written += 1
    return written
