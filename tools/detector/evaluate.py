"""How well a detector finds the vehicles of rendered scenes and frames.

In a rendered scene the truth is what its label rule lists (``recipe.yaml``, ``labels``): visible enough, large
enough, not cut off too much, not parked. Vehicles that the record holds and the rule leaves out are ignore
regions: finding them is neither right nor wrong. In a frame of a training set only regions of its label file are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmc.detect import DetectConfig, FilterConfig, load_detector
from mtmc.errors import FormatError
from mtmc.types import Array, Frame
from tools.detector.ap import COCO_THRESHOLDS, Picture, average_precision, recall_precision
from tools.detector.dataset import IGNORED, list_examples, read_labels, read_picture
from tools.synthcity.film import read_records
from tools.synthcity.recipe import LabelRule, load_recipe
from tools.synthcity.truth import Record, labelled

__all__ = [
    "DetectionScores",
    "evaluate_frames",
    "evaluate_scene",
    "find_in_frames",
    "find_in_scene",
    "score",
]

#: Low enough that what is cut off does not count in AP.
_LEAST_CONFIDENCE = 0.01


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """How well vehicles are found, all vehicle classes merged.

    Attributes:
        ap50, ap50_95: COCO's average precision at IoU 0.5, and its mean over IoU 0.5, 0.55, …, 0.95.
        recall, precision: At IoU 0.5 and the confidence of a run.
        confidence: That confidence.
        frames, boxes: How many pictures there were, and how many vehicles to find in them.
    """

    ap50: float
    ap50_95: float
    recall: float
    precision: float
    confidence: float
    frames: int
    boxes: int

    def __str__(self) -> str:
        return (
            f"AP50 {self.ap50:.3f}, AP50-95 {self.ap50_95:.3f}, recall {self.recall:.3f} and precision "
            f"{self.precision:.3f} at confidence {self.confidence:.2f}; {self.boxes} boxes in {self.frames} frames"
        )


def evaluate_scene(weights: Path, scene: Path, every: int, confidence: float | None = None) -> DetectionScores:
    """Score a detector on every ``every``-th frame of all cameras of a rendered scene.

    Args:
        weights: A model that ``detect.weights`` takes.
        scene: Folder with ``cNNN/vdo.mp4``, ``cNNN/record.parquet`` and ``recipe.yaml``.
        every: Step between the frames that are looked at.
        confidence: For recall and precision; None is a run's default.

    Raises:
        FormatError: The folder holds no rendered camera.
        WeightsError: The model is missing or unreadable.
    """
    return score(find_in_scene(weights, scene, every), confidence)


def evaluate_frames(
    weights: Path, frames: Path, part: str = "val", confidence: float | None = None
) -> DetectionScores:
    """Score a detector on single frames in the YOLO layout (``images/<part>``, ``labels/<part>``)."""
    return score(find_in_frames(weights, frames, part), confidence)


def score(pictures: Sequence[Picture], confidence: float | None = None) -> DetectionScores:
    """Scores of pictures in which a detector has looked with a low confidence; None is a run's default."""
    confidence = DetectConfig().min_score if confidence is None else confidence
    precisions = [average_precision(pictures, threshold) for threshold in COCO_THRESHOLDS]
    recall, precision = recall_precision(pictures, 0.5, confidence)
    return DetectionScores(
        ap50=precisions[0],
        ap50_95=float(np.mean(precisions)),
        recall=recall,
        precision=precision,
        confidence=confidence,
        frames=len(pictures),
        boxes=sum(len(picture.truth) for picture in pictures),
    )


def find_in_scene(weights: Path, scene: Path, every: int) -> list[Picture]:
    """Detections, truth and ignore regions of every ``every``-th frame of all cameras of a rendered scene."""
    rule = load_recipe(scene / "recipe.yaml").labels
    records = sorted(scene.glob("c*/record.parquet"))
    if not records:
        raise FormatError(
            "expected rendered cameras (c*/record.parquet), found none",
            path=scene,
            remedy="render the scene by `python -m tools.synthcity render`",
        )
    detect = load_detector(_config(weights))
    pictures = []
    for path in records:
        rows: dict[int, list[Record]] = {}
        for row in read_records(path):
            rows.setdefault(row.frame, []).append(row)
        for index, image in _video(path.parent / "vdo.mp4", every):
            found = detect([Frame(path.parent.name, index, 0.0, image)])[0]
            truth, ignored = _split(rows.get(index, []), rule)
            pictures.append(Picture(found.xyxy, found.score, truth, ignored))
    return pictures


def find_in_frames(weights: Path, frames: Path, part: str = "val") -> list[Picture]:
    """Detections and truth of single frames in the YOLO layout."""
    examples = list_examples(frames, part)
    detect = load_detector(_config(weights))
    pictures = []
    for index, (path, text) in enumerate(examples):
        image = np.ascontiguousarray(read_picture(path)[..., ::-1])
        found = detect([Frame("c001", index, 0.0, image)])[0]
        labels = read_labels(text, (image.shape[1], image.shape[0]))
        ignored = labels.class_id == IGNORED
        truth = labels.xyxy[np.logical_not(ignored)]
        pictures.append(Picture(found.xyxy, found.score, truth, labels.xyxy[ignored]))
    return pictures


def _config(weights: Path) -> DetectConfig:
    return DetectConfig(weights=str(weights), filter=FilterConfig(min_confidence=_LEAST_CONFIDENCE))


def _video(path: Path, every: int) -> Iterator[tuple[int, Array]]:
    import av

    with av.open(str(path)) as video:
        for index, picture in enumerate(video.decode(video=0)):
            if index % every == 0:
                yield index, picture.to_ndarray(format="rgb24")


def _split(rows: Sequence[Record], rule: LabelRule) -> tuple[Array, Array]:
    """Boxes that the rule lists, and the others: float64 (N, 4), (K, 4)."""
    listed = [labelled(row, rule) for row in rows]
    boxes = np.array([(row.x1, row.y1, row.x2, row.y2) for row in rows], np.float64).reshape(-1, 4)
    keep = np.array(listed, bool)
    return boxes[keep], boxes[~keep]
