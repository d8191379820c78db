"""What detectors find in real clips, beside boxes that people drew.

US-101 comes with boxes in some of its frames, in which not every vehicle is drawn: precision there is the same
lower bound for all detectors. The boxes of the other clips are this project's own (``tests/data/real_clips``); a 0 in
their seventh column marks what counts neither way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmc.detect import DetectConfig, Detector, FilterConfig, load_detector
from mtmc.errors import FormatError
from mtmc.types import Array, Frame
from tools.detector.ap import Picture, average_precision, recall_precision

__all__ = ["CLIPS", "Clip", "ClipRow", "measure_clips", "read_boxes", "table"]

_ANNOTATIONS = Path(__file__).resolve().parents[2] / "tests" / "data" / "real_clips"
#: Low enough that what is cut off hardly counts in AP.
_LEAST_CONFIDENCE = 0.05


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip with boxes.

    Attributes:
        name: In the table.
        video: The file, in the folder of the clips.
        boxes: File with MOT columns, in the folder of the clips or absolute.
        step: Between the annotated frames that are looked at.
    """

    name: str
    video: str
    boxes: str
    step: int = 1


CLIPS: tuple[Clip, ...] = (
    Clip("us101, camera 2", "us101/cam2.mp4", "us101/cam2_boxes.txt", step=4),
    Clip("highway", "highway/highway.avi", str(_ANNOTATIONS / "highway.txt")),
    Clip("hwy", "hwy/hwy1.avi", str(_ANNOTATIONS / "hwy1.txt")),
    Clip("tfl 815, day", "tfl/815_201707211414.mp4", str(_ANNOTATIONS / "tfl_815_day.txt")),
    Clip("tfl 625, night", "tfl/625_201709042122.mp4", str(_ANNOTATIONS / "tfl_625_night.txt")),
)


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
        folder: Holds the clips of :data:`CLIPS`.
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
    for clip in CLIPS:
        if (folder / clip.boxes).is_file():
            truth = read_boxes(folder / clip.boxes)
            frames = list(_annotated(folder / clip.video, truth, clip.step))
            rows += [_measure(clip, name, model, frames, confidence) for name, model in models]
    return rows


def table(rows: Sequence[ClipRow]) -> str:
    """The rows as a Markdown table."""
    lines = ["| clip | frames | boxes | model | AP50 | recall | precision |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        figures = f"{row.ap50:.3f} | {row.recall:.3f} | {row.precision:.3f}"
        lines.append(f"| {row.clip} | {row.frames} | {row.boxes} | {row.model} | {figures} |")
    return "\n".join(lines)


def read_boxes(path: Path) -> dict[int, FrameBoxes]:
    """Boxes by frame, from 1, of a file with MOT columns (frame, id, left, top, width, height, counts, …).

    Raises:
        FormatError: A row is malformed.
    """
    found: dict[int, tuple[list[list[float]], list[list[float]]]] = {}
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), start=1):
        try:
            frame, _, x, y, w, h, counts = (float(field) for field in line.split(",")[:7])
        except ValueError as cause:
            raise FormatError(
                "expected frame, id, left, top, width, height, 1 or 0",
                path=path,
                line=number,
                remedy="correct the row",
            ) from cause
        found.setdefault(int(frame), ([], []))[0 if counts else 1].append([x, y, x + w, y + h])
    return {
        frame: FrameBoxes(np.array(vehicles).reshape(-1, 4), np.array(ignored).reshape(-1, 4))
        for frame, (vehicles, ignored) in found.items()
    }


def _measure(
    clip: Clip, name: str, detect: Detector, frames: Sequence[tuple[Frame, FrameBoxes]], confidence: float
) -> ClipRow:
    pictures = []
    for frame, boxes in frames:
        found = detect([frame])[0]
        pictures.append(Picture(found.xyxy, found.score, boxes.vehicles, boxes.ignored))
    recall, precision = recall_precision(pictures, 0.5, confidence)
    total = sum(len(picture.truth) for picture in pictures)
    return ClipRow(clip.name, name, average_precision(pictures, 0.5), recall, precision, len(pictures), total)


def _annotated(path: Path, truth: dict[int, FrameBoxes], step: int) -> Iterator[tuple[Frame, FrameBoxes]]:
    import av

    wanted = sorted(truth)[::step]
    with av.open(str(path)) as video:
        for index, picture in enumerate(video.decode(video=0)):
            if index + 1 > wanted[-1]:
                return
            if index + 1 in wanted:
                yield Frame(path.stem, index, 0.0, picture.to_ndarray(format="rgb24")), truth[index + 1]
