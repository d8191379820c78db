"""How real it looks, measured: a detector that never saw the city looks for its vehicles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmc.detect import load_detector
from mtmc.detect.config import DetectConfig
from mtmc.geometry.boxes import area, iou_matrix
from mtmc.types import Array, Frame
from tools.synthcity.film import read_records

__all__ = ["Realism", "count_found", "measure"]

_MIN_AREA_PX, _LARGE_PX, _IOU = 900.0, 5000.0, 0.5
_MIN_VISIBILITY = 0.5
_MAX_TRUNCATION = 0.6  # as in the ground truth: of what is nearly all outside, no box is drawn


@dataclass(frozen=True, slots=True)
class Realism:
    """How many vehicles were found.

    Attributes:
        found, total: Vehicles of at least 900 px², at least half visible, at most 60 % outside the picture.
        found_large, total_large: Of these, the ones of at least 5,000 px².
        extra: Detections that belong to no vehicle of any size.
    """

    found: int = 0
    total: int = 0
    found_large: int = 0
    total_large: int = 0
    extra: int = 0

    def __add__(self, other: Realism) -> Realism:
        pairs = zip(_values(self), _values(other), strict=True)
        return Realism(*(a + b for a, b in pairs))

    def __str__(self) -> str:
        return (
            f"{self.found}/{self.total} = {self.found / max(self.total, 1):.3f}, "
            f"large {self.found_large}/{self.total_large} = {self.found_large / max(self.total_large, 1):.3f}, "
            f"{self.extra} extra"
        )


def _values(r: Realism) -> tuple[int, ...]:
    return r.found, r.total, r.found_large, r.total_large, r.extra


def count_found(truth: Array, seen: Array, found: Array) -> tuple[Realism, Array]:
    """Match detections to vehicles, best overlap first.

    Args:
        truth: float64 (N, 4), amodal boxes of all vehicles.
        seen: bool (N,), whether enough of each can be seen for it to count.
        found: float32 (M, 4), detections.

    Returns:
        The counts, and which vehicles were found, bool (N,).
    """
    overlap = iou_matrix(np.asarray(truth, float), np.asarray(found, float))
    hit, used = np.zeros(len(truth), bool), np.zeros(len(found), bool)
    for index in np.argsort(-overlap, axis=None, kind="stable"):
        i, j = np.unravel_index(index, overlap.shape)
        if overlap[i, j] < _IOU:
            break
        if not hit[i] and not used[j]:
            hit[i] = used[j] = True
    counted = (area(truth) >= _MIN_AREA_PX) & seen
    large = counted & (area(truth) >= _LARGE_PX)
    touches = overlap.max(axis=0, initial=0.0) >= 0.3
    result = Realism(
        int((hit & counted).sum()),
        int(counted.sum()),
        int((hit & large).sum()),
        int(large.sum()),
        int((~touches).sum()),
    )
    return result, hit


def measure(scene: Path, weights: Path, stride: int, image_size: int | None = None) -> Realism:
    """Run a detector on every ``stride``-th frame of a rendered scene, vehicle classes merged, confidence 0.25.

    Args:
        scene: The scene's folder.
        weights: An ONNX detector with COCO's classes.
        stride: Every how many frames.
        image_size: Longer side of the picture as the detector sees it, pixels; None: as it was exported.
    """
    import av

    detect = load_detector(DetectConfig(weights=str(weights), confidence=0.25, image_size=image_size))
    total = Realism()
    for record in sorted(scene.glob("c*/record.parquet")):
        rows = read_records(record)
        with av.open(str(record.parent / "vdo.mp4")) as video:
            for index, picture in enumerate(video.decode(video=0)):
                if index % stride:
                    continue
                image = picture.to_ndarray(format="rgb24")
                found = detect([Frame(record.parent.name, index, 0.0, image)])[0]
                here = [row for row in rows if row.frame == index]
                boxes = np.array([(r.x1, r.y1, r.x2, r.y2) for r in here]).reshape(-1, 4)
                seen = [r.visibility >= _MIN_VISIBILITY and r.truncation <= _MAX_TRUNCATION for r in here]
                total += count_found(boxes, np.array(seen, bool), found.xyxy)[0]
    return total
