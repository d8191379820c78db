"""The MOT challenge's layout: ``MOT17-02/{seqinfo.ini, img1/, det/det.txt, gt/gt.txt}``, one sequence each."""

from __future__ import annotations

import configparser
from dataclasses import replace
from pathlib import Path

from mtmc.errors import SceneError
from mtmc.geometry.clock import FPS_RANGE, Clock
from mtmc.scene.names import subfolders
from mtmc.scene.plain import camera_from_video, number_cameras
from mtmc.scene.scene import Camera, Scene

__all__ = ["find_sequences", "is_sequence", "load"]

_INFO = "seqinfo.ini"
_FPS = 30.0  # of most sequences, where seqinfo.ini gives none


def is_sequence(folder: Path) -> bool:
    """Whether a folder is a sequence of the challenge: it holds a ``seqinfo.ini``."""
    try:
        return (folder / _INFO).is_file()
    except OSError:  # the folder may not be read
        return False


def find_sequences(folder: Path) -> list[Path]:
    """Sequences at ``folder`` or up to two levels below (``MOT17/train/MOT17-02``), sorted by name."""
    if is_sequence(folder):
        return [folder]
    children = subfolders(folder)
    grandchildren = [inner for child in children for inner in subfolders(child)]
    found = [path for path in (*children, *grandchildren) if is_sequence(path)]
    return sorted(found, key=lambda path: (path.name, str(path)))


def load(folder: Path) -> Scene:
    """One sequence as a scene of one camera, which is named after it.

    Raises:
        SceneError: ``seqinfo.ini`` is malformed.
    """
    info = _Info(folder / _INFO)
    name = info.text("name") or folder.resolve().name
    images = folder / (info.text("imDir") or "img1")
    fps = info.frame_rate()
    width, height, length = (info.positive(key) for key in ("imWidth", "imHeight", "seqLength"))
    if images.exists():
        camera = camera_from_video(name, images, fps=fps or _FPS)
    else:
        camera = Camera(id=name, number=0, clock=Clock(fps=fps or _FPS))
    truth = folder / "gt" / "gt.txt"
    camera = replace(
        camera,
        size_wh=(int(width), int(height)) if width and height else camera.size_wh,
        frame_count=int(length) if length else None,
        detections=tuple(sorted(folder.glob("det/*.txt"))),
        tracklets=tuple(sorted(folder.glob("mtsc/*.txt"))),
        ground_truth=truth if truth.is_file() else None,
    )
    return Scene(name=folder.resolve().name, root=folder, cameras=number_cameras([camera]))


class _Info:
    """The section ``[Sequence]`` of a ``seqinfo.ini``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(path.read_text(encoding="utf-8-sig"))
            self.section = dict(parser["Sequence"])
        except (OSError, UnicodeDecodeError, configparser.Error, KeyError) as error:
            raise SceneError(
                f"expected a section [Sequence] with lines such as frameRate=30, got {error}",
                path=path,
                remedy="copy the file again from the data set",
            ) from None

    def text(self, key: str) -> str:
        """The value of a key, empty if it is not there; keys are compared without case."""
        return self.section.get(key.lower(), "").strip()

    def positive(self, key: str) -> float | None:
        """The value of a key as a positive number, None if it is not there."""
        text = self.text(key)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise SceneError(f"{key}: expected a positive number, got {text!r}", path=self.path, remedy="correct it")
        return value

    def frame_rate(self) -> float | None:
        """Frames per second, None if they are not there."""
        fps = self.positive("frameRate")
        if fps is not None and not FPS_RANGE[0] <= fps <= FPS_RANGE[1]:
            raise SceneError(
                f"frameRate: expected {FPS_RANGE[0]:g} to {FPS_RANGE[1]:g} frames per second, got {fps:g}",
                path=self.path,
                remedy="correct it",
            )
        return fps
