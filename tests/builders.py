"""Small things that many tests need, built in a line."""

from __future__ import annotations

import re
import shutil
from itertools import islice
from pathlib import Path

import numpy as np

from mtmc.types import Array, Tracklet

__all__ = ["first_seconds", "tracklet", "traffic_frames", "write_video"]


def tracklet(
    camera_id: str = "c001",
    track_id: int = 1,
    *,
    first: int = 0,
    length: int = 10,
    start: tuple[float, float] = (50.0, 50.0),
    step: tuple[float, float] = (5.0, 0.0),
    size: tuple[float, float] = (40.0, 30.0),
    fps: float = 10.0,
    start_s: float = 0.0,
    appearance: Array | None = None,
) -> Tracklet:
    """A vehicle that goes straight on: one box per frame, from ``start`` (top left), ``step`` px per frame."""
    frame = np.arange(first, first + length)
    corner = np.array(start) + np.arange(length)[:, None] * np.array(step)
    return Tracklet(
        camera_id=camera_id,
        track_id=track_id,
        frame=frame.astype(np.int64),
        time_s=start_s + frame / fps,
        xyxy=np.concatenate([corner, corner + np.array(size)], axis=1).astype(np.float32),
        score=np.full(length, 0.9, np.float32),
        class_id=1,
        appearance=np.zeros((length, 0), np.float32) if appearance is None else appearance,
    )


def traffic_frames(
    frames: int, size_wh: tuple[int, int] = (160, 120), colors: tuple[tuple[int, int, int], ...] = ((220, 40, 40),)
) -> Array:
    """Colored boxes that drive across a textured street: uint8 (frames, H, W, 3) RGB.

    Vehicle k keeps to its own lane, 24 × 16 px, 4 px per frame.
    """
    width, height = size_wh
    street = np.random.default_rng(0).integers(90, 120, (height, width, 1), np.uint8).repeat(3, axis=2)
    video = np.repeat(street[None], frames, axis=0)
    for lane, color in enumerate(colors):
        top = 20 + 30 * lane
        for index in range(frames):
            left = -24 + 4 * index
            video[index, top : top + 16, max(left, 0) : max(left + 24, 0)] = color
    return video


def write_video(path: Path, frames: Array, fps: float = 10.0) -> Path:
    """Encode RGB frames, whatever container the name asks for."""
    from mtmc.video.write import VideoWriter

    height, width = frames.shape[1:3]
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, (width, height), fps) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def first_seconds(sample: Path, target: Path, frames: int) -> Path:
    """A copy of the sample in which every camera ends after that many frames; all else is as it is shipped."""
    from mtmc.scene import load_scenes
    from mtmc.video.read import read_frames

    shutil.copytree(sample, target, ignore=shutil.ignore_patterns("*.mp4", "record.parquet"))
    for camera in load_scenes(sample)[0].cameras:
        assert camera.video is not None
        images = [frame.image for frame in islice(read_frames(camera.video, camera.id, camera.clock), frames)]
        write_video(target / camera.video.relative_to(sample.resolve()), np.stack(images), camera.clock.fps)
    for path in target.glob("*/gt/gt.txt"):
        rows = path.read_text().splitlines(keepends=True)
        path.write_text("".join(row for row in rows if int(row.split(",")[0]) <= frames))
    for path in [target / "scene.yaml", *target.glob("cam_framenum/*.txt")]:
        text = re.sub(r"(?<=frame_count: )\d+", str(frames), path.read_text())
        path.write_text(re.sub(r"(?m)^(c\d+) \d+$", rf"\1 {frames}", text))
    return target
