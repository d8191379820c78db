"""Recall, precision and time of detectors on annotated clips, for several numbers of tiles.

    python -m tools.bench.tiles CLIPS WEIGHTS ...

CLIPS is a folder of folders of videos (:mod:`tools.bench.real_clips`); a row is printed per clip, model and setting,
as Markdown. Scores are at least 0.25, matches have an IoU of 0.5 or more. Times are CPU times.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from mtmc.detect import DetectConfig, FilterConfig, filter_detections, load_detector
from mtmc.formats.mot import read_mot
from mtmc.formats.table import Table
from mtmc.scene import Camera, load_scenes
from mtmc.types import Frame
from mtmc.video.read import read_frames
from tools import markdown
from tools.bench.real import detection_rows
from tools.bench.real_clips import CLIPS, Clip
from tools.bench.real_measures import DetectionCounts, count_detections

__all__ = ["TileRow", "main", "measure_tiles"]


@dataclass(frozen=True, slots=True)
class TileRow:
    """What one model found in one clip.

    Attributes:
        clip: Name of the video.
        model: Name of the weights.
        tiles: Value of ``detect.tiles``.
        counts: Boxes that were annotated, found and matched.
        seconds: CPU time per frame.
    """

    clip: str
    model: str
    tiles: str
    counts: DetectionCounts
    seconds: float

    def markdown(self) -> str:
        """A row of the table."""
        shares = [f"{share:.3f}" for share in (self.counts.recall, self.counts.precision)]
        return markdown.row([self.clip, self.model, self.tiles, *shares, f"{1000 * self.seconds:.0f}"])


def measure_tiles(
    clips: Path, weights: Sequence[str], settings: Sequence[str], most: int, nms_iou: float
) -> Iterator[TileRow]:
    """A row per clip, model and setting, as they are measured, on at most so many frames of a clip."""
    for clip in CLIPS:
        camera, truth, frames = _annotated_frames(clips, clip, most)
        for name in weights:
            for tiles in settings:
                config = DetectConfig(weights=name, tiles=tiles, filter=FilterConfig(nms_iou=nms_iou))
                counts, seconds = _measure(camera, config, frames, truth)
                yield TileRow(clip.camera_id, Path(name).stem, tiles, counts, seconds)


def _annotated_frames(clips: Path, clip: Clip, most: int) -> tuple[Camera, Table, list[Frame]]:
    """A clip's camera, at most so many of its annotated frames, at equal distances, and their annotations."""
    [scene] = load_scenes(clips / clip.folder)
    camera = scene.camera(clip.camera_id)
    truth = read_mot(clip.boxes_path(clips), camera.number)
    numbers = np.unique(truth.frame)
    numbers = numbers[np.unique(np.linspace(0, len(numbers) - 1, most).round().astype(int))]
    frames = read_frames(clip.video_path(clips), camera.id, camera.clock, wanted=frozenset(numbers.tolist()))
    return camera, truth[np.isin(truth.frame, numbers)], list(islice(frames, len(numbers)))


def _measure(
    camera: Camera, config: DetectConfig, frames: Sequence[Frame], truth: Table
) -> tuple[DetectionCounts, float]:
    detector = load_detector(config)
    begun = time.process_time()
    found = [detector([frame])[0] for frame in frames]
    seconds = (time.process_time() - begun) / len(frames)
    kept = [
        (frame.index, filter_detections(every, config.filter, (frame.image.shape[1], frame.image.shape[0])))
        for frame, every in zip(frames, found, strict=True)
    ]
    return count_detections(truth, detection_rows(camera, kept)), seconds


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, help="folder of folders of videos")
    parser.add_argument("weights", nargs="+", help="what detect.weights takes")
    parser.add_argument("--tiles", nargs="+", default=["none", "auto", "2x2", "3x2"])
    parser.add_argument("--nms-iou", type=float, default=0.5, help="detect.filter.nms_iou")
    parser.add_argument("--frames", type=int, default=40, help="most annotated frames per clip")
    options = parser.parse_args()
    print(markdown.heading(["clip", "model", "tiles", "recall", "precision", "ms"]))
    for row in measure_tiles(options.clips, options.weights, options.tiles, options.frames, options.nms_iou):
        print(row.markdown(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
