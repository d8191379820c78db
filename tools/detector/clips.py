"""What detectors find in real clips, beside boxes that people drew.

US-101 comes with boxes in some of its frames, in which not every vehicle is drawn: precision there is the same
lower bound for all detectors. The boxes of the other clips are this project's own (``tests/data/real_clips``); a 0 in
their seventh column marks what counts neither way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from mtmc.detect import DetectConfig, Detector, FilterConfig, load_detector
from mtmc.formats.mot import read_mot
from mtmc.geometry.clock import Clock
from mtmc.types import Array, Frame
from mtmc.video.read import read_frames
from tools import markdown
from tools.bench.real_clips import CLIPS, Clip
from tools.detector.ap import Picture, average_precision, recall_precision

__all__ = ["ClipRow", "measure_clips", "read_boxes", "table"]

#: Low enough that what is cut off hardly counts in AP.
_LEAST_CONFIDENCE = 0.05


#: Camera 1 of US-101 is among the training data.
_CLIPS = tuple(clip for clip in CLIPS if clip.title != "us101, camera 1")
#: Every so many annotated frames of a clip are used, by its title; else all.
_STEPS = {"us101, camera 2": 4}


@dataclass(frozen=True, slots=True)
class ClipRow:
    """A detector on a clip, all vehicle classes merged.

    Attributes:
        clip, model: Their names.
        ap50: Average precision at IoU 0.5.
        recall, precision: At IoU 0.5 and the confidence asked for.
        frames, boxes: How many pictures, and vehicles to find in them.
    """

    clip: str
    model: str
    ap50: float
    recall: float
    precision: float
    frames: int
    boxes: int


@dataclass(frozen=True, slots=True)
class FrameBoxes:
    """Boxes of a frame: float64 (N, 4) vehicles and (K, 4) what counts neither way; x1, y1, x2, y2 in pixels."""

    vehicles: Array
    ignored: Array


def measure_clips(folder: Path, weights: Sequence[Path], confidence: float, size: int | None = None) -> list[ClipRow]:
    """Run detectors over the clips whose boxes are at hand.

    Args:
        folder: Holds the folders of :data:`tools.bench.real_clips.CLIPS`.
        weights: Models that ``detect.weights`` takes.
        confidence: Least score for recall and precision.
        size: Longer side of the picture as the models see it; None: as each is made for.
    """
    filters = FilterConfig(min_confidence=_LEAST_CONFIDENCE)
    models = [
        (path.stem, load_detector(DetectConfig(weights=str(path), image_size=size, filter=filters)))
        for path in weights
    ]
    rows = []
    for clip in _CLIPS:
        if clip.boxes_path(folder).is_file():
            frames = _annotated(clip, folder)
            rows += [_measure(clip.title, name, model, frames, confidence) for name, model in models]
    return rows


def table(rows: Sequence[ClipRow]) -> str:
    """The rows as a Markdown table."""
    columns = ["clip", "frames", "boxes", "model", "AP50", "recall", "precision"]
    return markdown.table(columns, map(_cells, rows))


def _cells(row: ClipRow) -> list[str]:
    shares = (f"{share:.3f}" for share in (row.ap50, row.recall, row.precision))
    return [row.clip, str(row.frames), str(row.boxes), row.model, *shares]


def read_boxes(path: Path) -> dict[int, FrameBoxes]:
    """Boxes by frame, from 0, of a file with MOT columns.

    Raises:
        FormatError: A row is malformed.
    """
    rows = read_mot(path)
    counts = rows.score != 0
    return {
        frame: FrameBoxes(rows.xyxy[(rows.frame == frame) & counts], rows.xyxy[(rows.frame == frame) & ~counts])
        for frame in np.unique(rows.frame).tolist()
    }


def _measure(
    title: str, name: str, detect: Detector, frames: Sequence[tuple[Frame, FrameBoxes]], confidence: float
) -> ClipRow:
    pictures = []
    for frame, boxes in frames:
        found = detect([frame])[0]
        pictures.append(Picture(found.xyxy, found.score, boxes.vehicles, boxes.ignored))
    recall, precision = recall_precision(pictures, 0.5, confidence)
    total = sum(len(picture.truth) for picture in pictures)
    return ClipRow(title, name, average_precision(pictures, 0.5), recall, precision, len(pictures), total)


def _annotated(clip: Clip, folder: Path) -> list[tuple[Frame, FrameBoxes]]:
    boxes = read_boxes(clip.boxes_path(folder))
    wanted = sorted(boxes)[:: _STEPS.get(clip.title, 1)]
    frames = read_frames(clip.video_path(folder), clip.camera_id, Clock(1.0), wanted=frozenset(wanted))
    return [(frame, boxes[frame.index]) for frame in islice(frames, len(wanted))]
