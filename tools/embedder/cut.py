"""Pictures of vehicles without identities, cut out of videos by a detector: what self-supervision learns from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mtmc.detect import DetectConfig, load_detector
from mtmc.errors import FormatError
from mtmc.geometry.clock import Clock
from mtmc.types import Array
from mtmc.video.read import probe, read_frames

__all__ = ["cut_crops"]


def cut_crops(
    videos: Sequence[Path],
    detector: str,
    out: Path,
    *,
    every: int = 12,
    min_side_px: float = 16.0,
    score: float = 0.35,
) -> int:
    """Write ``out/<video>/<frame>_<number>.jpg`` for every vehicle found in every so many frames.

    Args:
        videos: Files.
        detector: What ``detect.weights`` takes.
        out: Folder for the pictures.
        every: Frames from one that is searched to the next.
        min_side_px: Boxes with a shorter side are left out.
        score: Boxes of a lower score are left out.

    Returns:
        The number of pictures.

    Raises:
        FormatError: No vehicle was found.
        VideoError: A video is missing or broken.
    """
    detect = load_detector(DetectConfig(weights=detector))
    count = 0
    for video in videos:
        folder = out / f"{video.parent.name}_{video.stem}"
        folder.mkdir(parents=True, exist_ok=True)
        wanted = range(0, probe(video).frames or 1_000_000, every)
        for frame in read_frames(video, folder.name, Clock(fps=1.0), wanted=wanted):
            (found,) = detect([frame])
            sides = (found.xyxy[:, 2:] - found.xyxy[:, :2]).min(axis=1, initial=np.inf)
            chosen = (found.score >= score) & (sides >= min_side_px)
            for number, box in enumerate(found.xyxy[chosen]):
                _write(frame.image, box, folder / f"{frame.index:05d}_{number:02d}.jpg")
                count += 1
    if not count:
        raise FormatError("expected vehicles in the videos, found none", path=out, remedy="lower score or every")
    return count


def _write(image: Array, box: Array, path: Path) -> None:
    height, width = image.shape[:2]
    x1, y1, x2, y2 = np.clip(np.round(box), 0, [width, height, width, height]).astype(int)
    crop = np.ascontiguousarray(image[y1:y2, x1:x2, ::-1])
    cv2.imwrite(str(path), crop, [cv2.IMWRITE_JPEG_QUALITY, 95])
