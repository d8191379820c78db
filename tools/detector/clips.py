"""How many of the vehicles in real clips are found: from rendered streets to filmed ones.

US-101 comes with boxes that people drew in some of its frames; only these are looked at. The other clips have none:
there the reference is what a detector trained on COCO is sure of (its boxes of at least 0.5), so that the figure is
agreement with it rather than recall.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmc.detect import DetectConfig, Detector, FilterConfig, load_detector
from mtmc.errors import FormatError
from mtmc.types import Array, Frame
from tools.detector.ap import Picture, recall_precision

__all__ = ["CLIPS", "ClipRow", "measure_clips", "table"]

#: Name, video, boxes (MOT columns) or None, step between the frames that are looked at.
CLIPS: tuple[tuple[str, str, str | None, int], ...] = (
    ("us101 cam1", "us101/cam1.mp4", "us101/cam1_boxes.txt", 5),
    ("us101 cam2", "us101/cam2.mp4", "us101/cam2_boxes.txt", 5),
    ("highway", "highway/highway.avi", None, 20),
    ("top view", "top_view/top_view_cars.mp4", None, 5),
)
_SURE = 0.5
_NONE = np.zeros((0, 4))


@dataclass(frozen=True, slots=True)
class ClipRow:
    """A detector on a clip.

    Attributes:
        clip, model: Their names.
        annotated: The reference was drawn by people; else it is the reference detector's.
        recall50, recall30: Share of the reference's boxes that are found at IoU 0.5 and 0.3.
        precision50: Share of the detections that are in the reference at IoU 0.5.
        frames, boxes: How many pictures, and boxes of the reference in them.
    """

    clip: str
    model: str
    annotated: bool
    recall50: float
    recall30: float
    precision50: float
    frames: int
    boxes: int


def measure_clips(folder: Path, weights: Sequence[Path], reference: Path, confidence: float) -> list[ClipRow]:
    """Run detectors over the clips.

    Args:
        folder: Holds the clips of :data:`CLIPS`.
        weights: Models that ``detect.weights`` takes.
        reference: The model whose sure boxes stand for the truth where a clip has none.
        confidence: Least score of a detection.
    """
    models = [
        (path.stem, load_detector(DetectConfig(weights=str(path), filter=FilterConfig(min_confidence=confidence))))
        for path in weights
    ]
    judge = load_detector(DetectConfig(weights=str(reference), filter=FilterConfig(min_confidence=_SURE)))
    rows = []
    for clip, video, boxes, step in CLIPS:
        truth = None if boxes is None else read_boxes(folder / boxes)
        pictures: dict[str, list[Picture]] = {name: [] for name, _ in models}
        for index, image in _frames(folder / video, step):
            if truth is not None and index + 1 not in truth:
                continue
            here = _look(judge, index, image)[0] if truth is None else truth[index + 1]
            for name, model in models:
                pictures[name].append(Picture(*_look(model, index, image), here, _NONE))
        for name, looked in pictures.items():
            recall50, precision50 = recall_precision(looked, 0.5, confidence)
            recall30, _ = recall_precision(looked, 0.3, confidence)
            total = sum(len(picture.truth) for picture in looked)
            rows.append(ClipRow(clip, name, truth is not None, recall50, recall30, precision50, len(looked), total))
    return rows


def table(rows: Sequence[ClipRow]) -> str:
    """The rows as a Markdown table."""
    head = "| clip | truth | frames | boxes | model | recall, IoU 0.5 | recall, IoU 0.3 | precision, IoU 0.5 |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        truth = "drawn by people" if row.annotated else "COCO model, ≥ 0.5"
        figures = f"{row.recall50:.3f} | {row.recall30:.3f} | {row.precision50:.3f}"
        lines.append(f"| {row.clip} | {truth} | {row.frames} | {row.boxes} | {row.model} | {figures} |")
    return "\n".join(lines)


def read_boxes(path: Path) -> dict[int, Array]:
    """Boxes by frame, from 1, of a file with MOT columns (frame, id, left, top, width, height, …): float64 (N, 4).

    Raises:
        FormatError: A row is malformed.
    """
    found: dict[int, list[list[float]]] = {}
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), start=1):
        try:
            frame, _, x, y, w, h = (float(field) for field in line.split(",")[:6])
        except ValueError as cause:
            raise FormatError(
                "expected frame, id, left, top, width, height", path=path, line=number, remedy="correct the row"
            ) from cause
        found.setdefault(int(frame), []).append([x, y, x + w, y + h])
    return {frame: np.array(boxes) for frame, boxes in found.items()}


def _look(detect: Detector, index: int, image: Array) -> tuple[Array, Array]:
    found = detect([Frame("clip", index, 0.0, image)])[0]
    return found.xyxy, found.score


def _frames(path: Path, step: int) -> Iterator[tuple[int, Array]]:
    import av

    with av.open(str(path)) as video:
        for index, picture in enumerate(video.decode(video=0)):
            if index % step == 0:
                yield index, picture.to_ndarray(format="rgb24")
