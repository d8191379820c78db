"""A place as data: its cameras, clocks, zones and links, loaded from a folder and checked on the way in."""

from mtmc.scene.load import load_scenes
from mtmc.scene.roi import read_roi
from mtmc.scene.scene import Camera, GroundMap, Link, PlaneAlignment, PlaneOrigin, Scene, Zone
from mtmc.scene.write import write_scene

__all__ = [
    "Camera",
    "GroundMap",
    "Link",
    "PlaneAlignment",
    "PlaneOrigin",
    "Scene",
    "Zone",
    "load_scenes",
    "read_roi",
    "write_scene",
]
