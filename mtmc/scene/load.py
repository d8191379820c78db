"""Which of the three layouts a folder has, and its scenes."""

from __future__ import annotations

from pathlib import Path

from mtmc.errors import SceneError
from mtmc.scene import cityflow, plain, sceneyaml
from mtmc.scene.place import Scene

__all__ = ["load_scenes"]


def load_scenes(path: Path) -> list[Scene]:
    """Load the place, or places, that a folder holds.

    A folder is, in this order, one with a ``scene.yaml``, a CityFlow scenario (``S02/c006/…``) or a tree of them,
    or a plain folder with one video (or one folder of numbered images) per camera.

    Args:
        path: The folder, or a ``scene.yaml`` itself.

    Returns:
        At least one scene, sorted by name. Scenes of a tree share nothing.

    Raises:
        SceneError: The folder is missing, or has none of the layouts, or a file in it contradicts another.
    """
    if path.is_file() and path.suffix in {".yaml", ".yml"}:
        return [sceneyaml.load(path.parent, path)]
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise SceneError(
            f"expected a folder of camera videos, but it {what}",
            path=path,
            remedy="give the folder that holds one video per camera",
        )
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
    scene = plain.load(path)
    if scene is None:
        raise SceneError(
            "found no camera: no scene.yaml, no CityFlow folders (S02/c006/vdo.avi), no videos "
            "(mp4, avi, mkv, mov, ts) and no folders of numbered images",
            path=path,
            remedy="put one video per camera into it",
        )
    return [scene]
