"""A plain folder: one video per camera, or one folder of numbered images per camera.

Text files of a camera lie beside its video under the same name: ``north.mp4``, ``north_roi.png``, ``north_gt.txt``
(ground truth), ``north_det.txt`` (detections), ``north_mtsc.txt`` (single-camera tracks).

Not everything in such a folder is a camera. Hidden files are left out without a word; videos of a type that is not
read, broken links and folders of other pictures (:func:`_is_helper`) are named in the log.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from mtmc.errors import SceneError, VideoError
from mtmc.geometry.clock import Clock
from mtmc.scene.names import number_names
from mtmc.scene.scene import Camera, Scene
from mtmc.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from mtmc.video.read import probe
from mtmc.video.timestamps import video_clock

__all__ = ["IMAGE_FOLDER_FPS", "camera_from_video", "load", "load_video", "number_cameras"]

#: Frame rate of a folder of images unless ``scene.yaml`` gives it: CityFlow's.
IMAGE_FOLDER_FPS = 10.0

#: Videos that are not read; they are named, so that a missing camera is noticed.
_OTHER_VIDEO_SUFFIXES = frozenset(
    {
        ".264",
        ".265",
        ".3gp",
        ".asf",
        ".dav",
        ".divx",
        ".flv",
        ".h264",
        ".h265",
        ".hevc",
        ".m2ts",
        ".mjpeg",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".ogv",
        ".rm",
        ".vob",
        ".wmv",
        ".y4m",
    }
)
#: First words of folders whose pictures belong to the cameras beside them.
_HELPER_WORDS = frozenset(
    {
        "background",
        "backgrounds",
        "boards",
        "calib",
        "calibration",
        "chessboard",
        "crops",
        "debug",
        "diagnosis",
        "heatmap",
        "heatmaps",
        "labels",
        "mask",
        "masks",
        "overlays",
        "plots",
        "preview",
        "previews",
        "roi",
        "rois",
        "snapshots",
        "thumb",
        "thumbnail",
        "thumbnails",
        "thumbs",
        "undistorted",
    }
)

_log = logging.getLogger(__name__)


def load(folder: Path) -> Scene | None:
    """The cameras of a plain folder, or None if it has no video and no folder of images.

    A video that cannot be opened still makes a camera: it fails later, alone.

    Raises:
        SceneError: The folder may not be read.
    """
    try:
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        message = f"cannot read this folder ({error.strerror})"
        raise SceneError(message, path=folder, remedy="check its permissions") from None
    videos = [path for path in entries if _is_video(path)]
    image_folders = [path for path in entries if _is_image_folder(path)]
    helpers = [path for path in image_folders if _is_helper(path, videos, image_folders)]
    _note_skipped(entries, helpers)
    sources = sorted({*videos, *image_folders} - set(helpers))
    if not sources and _pictures(folder):
        sources = [folder.resolve()]
    if not sources:
        return None
    cameras = [_camera(_camera_id(source, sources), source) for source in sources]
    return Scene(name=folder.resolve().name, root=folder, cameras=number_cameras(cameras))


def load_video(video: Path) -> Scene:
    """A scene of one camera from a single video file, with the text files beside it."""
    camera = _camera(video.stem, video)
    return Scene(name=video.stem, root=video.parent, cameras=number_cameras([camera]))


def _camera(camera_id: str, source: Path) -> Camera:
    """The camera of a video or folder; one with a ``problem`` where the name cannot be written to a file."""
    legible = _legible(camera_id)
    if legible == camera_id:
        return camera_from_video(camera_id, source)
    message = f"expected a name in UTF-8, got {_legible(source.name)}"
    problem = SceneError(message, path=_legible(str(source.parent)), remedy="rename the file or folder")
    return Camera(id=legible, number=0, clock=Clock(fps=IMAGE_FOLDER_FPS), problem=str(problem))


def _legible(name: str) -> str:
    """A name with a replacement character for each byte that is not UTF-8 (from another system's encoding)."""
    return os.fsencode(name).decode("utf-8", "replace")


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
        clock=video_clock(video, rate) if fps is None else Clock(fps=fps),
        video=video,
        size_wh=size_wh,
        detections=(detections,) if detections else (),
        tracklets=(tracklets,) if tracklets else (),
        ground_truth=beside("_gt", ".txt"),
        roi=beside("_roi", ".png", ".jpg"),
    )


def number_cameras(cameras: Iterable[Camera]) -> tuple[Camera, ...]:
    """The cameras in order of their ids, each with its number (:func:`mtmc.scene.names.number_names`).

    >>> from mtmc.geometry.clock import Clock
    >>> cams = [Camera(id=name, number=0, clock=Clock(fps=10)) for name in ("c006", "c007")]
    >>> [c.number for c in number_cameras(cams)]
    [6, 7]
    """
    ordered = sorted(cameras, key=lambda camera: camera.id)
    numbers = number_names(camera.id for camera in ordered)
    return tuple(replace(camera, number=numbers[camera.id]) for camera in ordered)


def _camera_id(video: Path, videos: Sequence[Path]) -> str:
    """File name without its ending, unless two videos share it (``a.mp4`` and ``a.avi``); a folder's full name."""
    if video.is_dir():
        return video.name
    shared = sum(other.stem == video.stem for other in videos) > 1
    return video.name if shared else video.stem


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()


def _is_image_folder(path: Path) -> bool:
    return path.is_dir() and any(re.search(r"\d", picture.stem) is not None for picture in _pictures(path))


def _pictures(folder: Path) -> list[Path]:
    """The pictures in a folder; none where it may not be read."""
    try:
        return [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
    except OSError as error:
        _log.warning("%s: left out: the folder cannot be read (%s)", folder, error.strerror)
        return []


def _is_helper(folder: Path, videos: Sequence[Path], image_folders: Sequence[Path]) -> bool:
    """Whether the pictures in a folder are no camera's frames but belong to the cameras beside it.

    That is so if the folder's name says so (``ROIs``, ``calibration``, ``@eaDir``), or if most pictures are named
    after the cameras (``ROIs2/c001.png``), or if there are videos and the folder is not named in their way: beside
    ``c001.mp4``, the folder ``c003`` is a camera and ``boards`` is not.
    """
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", folder.name).lower())
    if _HELPER_WORDS.intersection(words) or folder.name.lower().startswith(("@", "__", "lost+found", "#")):
        return True
    video_names = {path.stem for path in videos}
    if folder.name in video_names:
        return True  # the frames of that video
    names = video_names | {path.name for path in image_folders}
    pictures = _pictures(folder)
    named_after_camera = sum(picture.stem in names or picture.stem.split("_")[0] in names for picture in pictures)
    if named_after_camera * 2 > len(pictures) and folder.name not in {p.stem.split("_")[0] for p in pictures}:
        return True
    return bool(videos) and _pattern(folder.name) not in {_pattern(name) for name in video_names}


def _pattern(name: str) -> str:
    """A name with every run of digits replaced by one ``#``."""
    return re.sub(r"\d+", "#", name)


def _note_skipped(entries: Iterable[Path], helpers: Sequence[Path]) -> None:
    """Name in the log what might be taken for a camera and is none."""
    for path in helpers:
        _log.warning("%s: left out: these pictures are no camera's frames, or else list it in scene.yaml", path)
    for path in entries:
        if path.suffix.lower() in _OTHER_VIDEO_SUFFIXES and path.is_file():
            readable = ", ".join(sorted(suffix[1:] for suffix in VIDEO_SUFFIXES))
            _log.warning("%s: left out: videos of this type are not read; convert it to one of %s", path, readable)
        elif path.is_symlink() and not path.exists():
            _log.warning("%s: left out: a link to %s, which is not there", path, path.readlink())
