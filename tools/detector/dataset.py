"""Pictures and their labels on disk: the YOLO layout, with the project's classes and with ambiguous regions.

``images/<part>/NAME.jpg`` goes with ``labels/<part>/NAME.txt``, one row a box: class, center x and y, width and
height as shares of the picture. The class is an index into :data:`mtmc.types.CLASSES`, where 0 is a vehicle of
unknown type, or −1 for a region that is neither a vehicle nor background.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mtmc.errors import FormatError
from mtmc.types import Array

__all__ = ["IGNORED", "Labels", "list_examples", "read_labels", "read_picture", "write_example"]

#: The class of a region that is neither a vehicle nor background.
IGNORED = -1


@dataclass(frozen=True, slots=True)
class Labels:
    """Boxes of a picture: float (N, 4) x1, y1, x2, y2 in pixels, and int64 (N,) classes (−1: ambiguous)."""

    xyxy: Array
    class_id: Array


def list_examples(folder: Path, part: str) -> list[tuple[Path, Path]]:
    """Paths of a part's pictures and of their labels, by name.

    Raises:
        FormatError: There are none.
    """
    pictures = sorted((folder / "images" / part).glob("*.jpg"))
    if not pictures:
        raise FormatError(
            "expected *.jpg pictures, found none",
            path=folder / "images" / part,
            remedy="make them by `python -m tools.synthcity frames` or `python -m tools.detector label`",
        )
    return [(path, folder / "labels" / part / f"{path.stem}.txt") for path in pictures]


def read_labels(path: Path, size_wh: tuple[int, int]) -> Labels:
    """Boxes of a label file, in pixels of its picture.

    Raises:
        FormatError: It is missing or malformed.
    """
    try:
        rows = np.array(path.read_text(encoding="ascii").split(), np.float64).reshape(-1, 5)
    except (OSError, ValueError) as cause:
        raise FormatError(
            "expected rows of five numbers (class, then center and size as shares)",
            path=path,
            remedy="make the pictures and labels again",
        ) from cause
    center, half = rows[:, 1:3] * size_wh, rows[:, 3:5] * size_wh / 2
    return Labels(np.concatenate([center - half, center + half], axis=1), rows[:, 0].astype(np.int64))


def read_picture(path: Path) -> Array:
    """A picture, uint8 (H, W, 3), BGR.

    Raises:
        FormatError: It cannot be read.
    """
    image = cv2.imread(str(path))
    if image is None:
        raise FormatError("expected a picture", path=path, remedy="make the pictures and labels again")
    return image


def write_example(folder: Path, part: str, name: str, image: Array, labels: Labels, quality: int = 92) -> None:
    """Write a picture (uint8 (H, W, 3), RGB) and its labels."""
    for kind in ("images", "labels"):
        (folder / kind / part).mkdir(parents=True, exist_ok=True)
    size = np.array([image.shape[1], image.shape[0]], float)
    center = (labels.xyxy[:, :2] + labels.xyxy[:, 2:]) / 2 / size
    sides = (labels.xyxy[:, 2:] - labels.xyxy[:, :2]) / size
    rows = np.concatenate([center, sides], axis=1).tolist()
    lines = [
        f"{kind} {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n" for kind, (x, y, w, h) in zip(labels.class_id, rows, strict=True)
    ]
    cv2.imwrite(str(folder / "images" / part / f"{name}.jpg"), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    (folder / "labels" / part / f"{name}.txt").write_text("".join(lines), encoding="ascii")
