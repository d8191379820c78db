"""Small scenes for the render tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Scene
from mtmc.types import GlobalTrack, Passage, Tracklet
from mtmc.video.read import read_frames
from mtmc.video.write import VideoWriter


def camera(number: int, video: Path | None = None, fps: float = 10, start_s: float = 0, **facts) -> Camera:
    return Camera(id=f"c{number:03d}", number=number, clock=Clock(fps=fps, start_s=start_s), video=video, **facts)


def passage(where: Camera, track_id: int, first: int, count: int, box=(20, 20, 60, 50), class_id: int = 1) -> Passage:
    frame = np.arange(first, first + count)
    tracklet = Tracklet(
        camera_id=where.id,
        track_id=track_id,
        frame=frame,
        time_s=where.clock.time_s(frame),
        xyxy=np.tile(np.float32(box), (count, 1)),
        score=np.ones(count, np.float32),
        class_id=class_id,
        appearance=np.zeros((count, 0), np.float32),
    )
    return Passage(tracklet, np.zeros(0, np.float32), "", "", np.full((count, 2), np.nan))


def track(global_id: int, *passages: Passage) -> GlobalTrack:
    return GlobalTrack(global_id, passages)


def scene(*cameras: Camera, name: str = "Crossing") -> Scene:
    return Scene(name=name, root=Path("/somewhere/private"), cameras=cameras)


def flat_video(path: Path, shades: list[int], fps: float = 10, wh: tuple[int, int] = (160, 96)) -> Path:
    """One gray picture per shade."""
    with VideoWriter(path, wh, fps, crf=4) as video:
        for shade in shades:
            video.write(np.full((wh[1], wh[0], 3), shade, np.uint8))
    return path


def images(path: Path) -> list[np.ndarray]:
    return [frame.image for frame in read_frames(path, "c", Clock(fps=10))]
