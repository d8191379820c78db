"""Width and height of the images of a scene's cameras."""

from __future__ import annotations

from contextlib import suppress

from mtmc.errors import SceneError, VideoError
from mtmc.scene import Camera, Scene, read_roi
from mtmc.video.read import probe

__all__ = ["image_sizes"]


def image_sizes(scene: Scene) -> dict[str, tuple[int, int]]:
    """(width, height) in pixels by camera id, from the scene, the region of interest or the video.

    Cameras without any of them, such as those of text files only, are left out.
    """
    sizes = {camera.id: _size(camera) for camera in scene.cameras}
    return {name: size for name, size in sizes.items() if size is not None}


def _size(camera: Camera) -> tuple[int, int] | None:
    if camera.size_wh is not None:
        return camera.size_wh
    if camera.roi is not None:
        with suppress(SceneError):
            height, width = read_roi(camera.roi).shape
            return width, height
    if camera.video is not None:
        with suppress(VideoError):
            return probe(camera.video).size_wh
    return None
