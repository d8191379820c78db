"""Small things that many tests need, built in a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mtmc.types import Array, Tracklet

__all__ = ["tracklet", "traffic_frames", "write_video"]


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
    frames: int, size_wh: tuple[int, int] = (160, 120), colours: tuple[tuple[int, int, int], ...] = ((220, 40, 40),)
) -> Array:
    """Coloured boxes that drive across a textured street: uint8 (frames, H, W, 3) RGB.

    Vehicle k keeps to its own lane, 24 × 16 px, 4 px per frame.
    """
    width, height = size_wh
    street = np.random.default_rng(0).integers(90, 120, (height, width, 1), np.uint8).repeat(3, axis=2)
    video = np.repeat(street[None], frames, axis=0)
    for lane, colour in enumerate(colours):
        top = 20 + 30 * lane
        for index in range(frames):
            left = -24 + 4 * index
            video[index, top : top + 16, max(left, 0) : max(left + 24, 0)] = colour
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
