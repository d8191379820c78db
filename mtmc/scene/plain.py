"""A plain folder: one video per camera, or one folder of numbered images per camera.

Text files of a camera lie beside its video under the same name: ``north.mp4``, ``north_roi.png``, ``north_gt.txt``
(ground truth), ``north_det.txt`` (detections), ``north_mtsc.txt`` (single-camera tracks).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from mtmc.errors import VideoError
from mtmc.geometry.clock import Clock
from mtmc.scene.place import Camera, Scene
from mtmc.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from mtmc.video.read import probe

__all__ = ["IMAGE_FOLDER_FPS", "camera_from_video", "load", "number_cameras"]

#: Frame rate of a folder of images unless ``scene.yaml`` gives it: CityFlow's.
IMAGE_FOLDER_FPS = 10.0


def load(folder: Path) -> Scene | None:
    """The cameras of a plain folder, or None if it has no video and no folder of images.

    A video that cannot be opened still makes a camera: it fails later, alone.
    """
    videos = sorted(p for p in folder.iterdir() if _is_video(p) or _is_image_folder(p))
    if not videos:
        return None
    cameras = [camera_from_video(_camera_id(video, videos), video) for video in videos]
    return Scene(name=folder.resolve().name, root=folder, cameras=number_cameras(cameras))


def camera_from_video(camera_id: str, video: Path, fps: float | None = None) -> Camera:
    """A camera with what its video and the text files beside it say."""
    try:
        info = probe(video)
        rate = fps or info.fps or IMAGE_FOLDER_FPS
        size_wh: tuple[int, int] | None = info.size_wh
    except VideoError:
        rate, size_wh = fps or IMAGE_FOLDER_FPS, None

    def beside(suffix: str, *endings: str) -> Path | None:
        names = [video.with_name(f"{video.stem}{suffix}{ending}") for ending in endings]
        return next((p for p in names if p.is_file()), None)

    detections, tracklets = beside("_det", ".txt"), beside("_mtsc", ".txt")
    return Camera(
        id=camera_id,
        number=0,
        clock=Clock(fps=rate),
        video=video,
        size_wh=size_wh,
        detections=(detections,) if detections else (),
        tracklets=(tracklets,) if tracklets else (),
        ground_truth=beside("_gt", ".txt"),
        roi=beside("_roi", ".png", ".jpg"),
    )


def number_cameras(cameras: list[Camera]) -> tuple[Camera, ...]:
    """Give every camera its number: the digits its id ends in where those differ, else its place in the order.

    >>> from mtmc.geometry.clock import Clock
    >>> cams = [Camera(id=name, number=0, clock=Clock(fps=10)) for name in ("c006", "c007")]
    >>> [c.number for c in number_cameras(cams)]
    [6, 7]
    """
    cameras = sorted(cameras, key=lambda camera: camera.id)
    endings = [re.search(r"(\d+)$", camera.id) for camera in cameras]
    numbers = [int(found[1]) for found in endings if found]
    if len(set(numbers)) < len(cameras) or 0 in numbers:
        numbers = list(range(1, len(cameras) + 1))
    return tuple(replace(camera, number=n) for camera, n in zip(cameras, numbers, strict=True))


def _camera_id(video: Path, videos: list[Path]) -> str:
    """File name without its ending, unless two videos share it (``a.mp4`` and ``a.avi``)."""
    shared = sum(other.stem == video.stem for other in videos) > 1
    return video.name if shared else video.stem


def _is_video(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES


def _is_image_folder(path: Path) -> bool:
    return path.is_dir() and any(
        p.suffix.lower() in IMAGE_SUFFIXES and re.search(r"\d", p.stem) is not None for p in path.iterdir()
    )
