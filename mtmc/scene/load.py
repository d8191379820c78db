"""Which of the layouts a folder has, and its scenes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from mtmc.errors import SceneError
from mtmc.scene import cityflow, motchallenge, plain, sceneyaml
from mtmc.scene.recording_dates import with_named_starts
from mtmc.scene.scene import Scene
from mtmc.video import VIDEO_SUFFIXES

__all__ = ["load_scenes"]

#: ``rtsp://camera/1``, of which a path keeps one slash.
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/")


def load_scenes(path: Path) -> list[Scene]:
    """Load the scene, or scenes, that a folder holds.

    A folder is, in this order, one with a ``scene.yaml``, a CityFlow scenario (``S02/c006/…``) or a tree of them,
    sequences of the MOT challenge (``MOT17-02/seqinfo.ini``), or a plain folder with one video (or one folder of
    numbered images) per camera.

    Args:
        path: The folder, a ``scene.yaml`` itself, or a single video.

    Returns:
        At least one scene, sorted by name. Scenes of a tree share nothing.

    Raises:
        SceneError: The folder is missing, or has none of the layouts, or a file in it contradicts another.
    """
    if path.is_file() and path.suffix in {".yaml", ".yml"}:
        return [sceneyaml.load(path.parent, path)]
    if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        return [_dated(plain.load_video(path))]
    if not path.is_dir():
        raise _no_folder(path)
    if (path / "scene.yaml").is_file():
        return [sceneyaml.load(path, path / "scene.yaml")]
    scenarios = cityflow.find_scenarios(path)
    if scenarios:
        return [
            sceneyaml.load(folder, folder / "scene.yaml")
            if (folder / "scene.yaml").is_file()
            else cityflow.load(folder)
            for folder in scenarios
        ]
    sequences = motchallenge.find_sequences(path)
    if sequences:
        return [motchallenge.load(folder) for folder in sequences]
    scene = plain.load(path)
    if scene is None:
        raise SceneError(
            "found no camera: no scene.yaml, no CityFlow folders (S02/c006/vdo.avi), no MOT challenge sequences "
            f"(seqinfo.ini), no videos ({', '.join(sorted(s[1:] for s in VIDEO_SUFFIXES))}) and no folders of "
            "numbered images",
            path=path,
            remedy="put one video per camera into it",
        )
    return [_dated(scene)]


def _dated(scene: Scene) -> Scene:
    """The scene with the starts that the names of its recordings give."""
    cameras, start_utc = with_named_starts(scene.cameras)
    return replace(scene, cameras=cameras, start_utc=start_utc)


def _no_folder(path: Path) -> SceneError:
    if not path.exists() and _ADDRESS.match(str(path)):
        return SceneError(
            f"expected a folder of camera videos, got the address of a stream, {path}",
            remedy="record it to a file first, for example with ffmpeg -i ADDRESS -c copy camera.mp4",
        )
    what = "is a file" if path.exists() else "does not exist"
    return SceneError(
        f"expected a folder of camera videos, but it {what}",
        path=path,
        remedy="give the folder that holds one video per camera",
    )
