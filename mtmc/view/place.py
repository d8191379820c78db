"""The place editor: what ``scene.yaml`` says of a run's place, and changes of it.

Pages name cameras by number and pictures of the ground by their number in :attr:`PlaceEditor.pictures`, so that no
part of a request becomes a path.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mtmc.errors import ConfigError, FormatError, MtmcError
from mtmc.files import atomic_path
from mtmc.geometry.ground import project
from mtmc.geometry.homography import fit_homography
from mtmc.scene import Camera, GroundMap, Link, Scene, Zone, read_roi
from mtmc.scene.edit import SceneChanges, digest_of, edit_scene, scene_to_edit
from mtmc.scene.sceneyaml import MapEntry
from mtmc.settings import parse_settings
from mtmc.types import Array
from mtmc.view.pictures import decode_picture, stated_size
from mtmc.view.run_data import ViewedRun

__all__ = ["MAX_PICTURE_BYTES", "PlaceEditor"]

MAX_PICTURE_BYTES = 64 << 20
_MAX_POINTS = 1000
_OUTLINE_PX = 1.0  # deviation of a region's outline from the region


class PlaceEditor:
    """The scene of a run as it is on disk now.

    Args:
        viewed: The run.
    """

    def __init__(self, viewed: ViewedRun) -> None:
        self.viewed = viewed
        self.folder = viewed.run.given.root
        #: Pictures of the ground: those of ``scene.yaml``, and those that a page has sent.
        self.pictures: list[Path] = []
        self._lock = threading.Lock()

    def content(self) -> dict[str, Any]:
        """What the page shows; ``problem`` says why nothing can be changed, "" if it can."""
        with self._lock:
            return self._content()

    def _content(self) -> dict[str, Any]:
        try:
            scene = self._scene()
        except MtmcError as error:
            return {"problem": str(error), "cameras": [], "links": [], "maps": [], "origins": [], "start_utc": ""}
        learned = {camera.id: camera for camera in self.viewed.run.scene.cameras}
        return {
            "problem": self._problem_of_writing(),
            "digest": digest_of(self.folder),
            "file": str(self.folder / "scene.yaml"),
            "cameras": [_camera_content(scene.camera(c.id), learned[c.id]) for c in self.viewed.cameras],
            "links": [_link_content(link) for link in scene.links],
            "maps": [self._map_content(entry) for entry in scene.maps],
            "origins": [asdict(origin) for origin in scene.origins],
            "start_utc": scene.start_utc.isoformat() if scene.start_utc is not None else "",
        }

    def save(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Write the changes that a page sent; returns the content afterwards.

        Raises:
            StaleScene: ``scene.yaml`` has changed since the page was loaded.
            MtmcError: A change is impossible, or the file cannot be written.
        """
        former, wanted = data.get("digest"), data.get("changes")
        if not isinstance(former, str) or not isinstance(wanted, dict):
            raise ConfigError("expected a digest and changes")
        with self._lock:
            self._scene()
            changes = parse_settings(SceneChanges, self._named(wanted))
            edit_scene(self.folder, changes, former)
            return self._content()

    def fit(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The homography of the points that a page has matched.

        The target is a picture of the ground with its place on the plane, or another camera that is calibrated.

        Raises:
            MtmcError: The points do not determine a homography.
        """
        source, target = _points(data, "source"), _points(data, "target")
        fit = fit_homography(source, target)
        ground_from_target = self._ground_from_target(data)
        back = project(target, np.linalg.inv(fit.target_from_source))
        return {
            "ground_from_image": (ground_from_target @ fit.target_from_source).tolist(),
            "error_px": fit.error_px.tolist(),
            "is_inlier": fit.is_inlier.tolist(),
            "rms_error_px": fit.rms_error_px,
            "target_in_source": np.where(np.isfinite(back), back, -1e6).tolist(),
        }

    def add_picture(self, data: bytes) -> dict[str, Any]:
        """Keep a picture of the ground beside ``scene.yaml``.

        Raises:
            FormatError: It is no picture that can be read, or too large.
            MtmcError: The folder cannot be written to.
        """
        image = decode_picture(data)
        png = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
        with self._lock:
            self._scene()
            path = self.folder / f"map-{hashlib.sha256(png).hexdigest()[:8]}.png"
            with atomic_path(path) as temporary:
                temporary.write_bytes(png)
            return {"picture": self._number_of(path), "size": [image.shape[1], image.shape[0]]}

    def picture(self, number: int) -> bytes | None:
        """A picture of the ground as JPEG; None where there is none of that number.

        Raises:
            FormatError: The file is gone or no picture.
        """
        with self._lock:
            if number >= len(self.pictures):
                return None
            path = self.pictures[number]
        try:
            image = decode_picture(path.read_bytes())
        except OSError:
            raise FormatError("the picture is gone", path=path, remedy="restore it, or remove it from maps") from None
        return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()

    def _scene(self) -> Scene:
        """The scene as ``mtmc run`` would read it now.

        Raises:
            MtmcError: It cannot be loaded, or is that of other cameras.
        """
        if not self.folder.is_dir():
            raise MtmcError(
                "the scene's folder is gone, so the place cannot be edited",
                path=self.folder,
                remedy="put it back, or repeat the run where it is now",
            )
        scene = scene_to_edit(self.folder)
        missing = [c.id for c in self.viewed.cameras if c.id not in {camera.id for camera in scene.cameras}]
        if missing:
            raise MtmcError(
                f"the folder no longer holds camera {missing[0]} of this run",
                path=self.folder,
                remedy="edit the place in a run of the present folder",
            )
        return scene

    def _problem_of_writing(self) -> str:
        if os.access(self.folder, os.W_OK):
            return ""
        return f"{self.folder}: this folder may not be written to; change its permissions, or copy the scene"

    def _named(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Changes with names in place of numbers."""
        named = dict(wanted)
        names = [camera.id for camera in self.viewed.cameras]
        cameras = _mappings(wanted, "cameras")
        if cameras is not None:
            named["cameras"] = [{**c, "id": names[_number(c.get("id"), len(names), "camera")]} for c in cameras]
        maps = _mappings(wanted, "maps")
        if maps is not None:
            named["maps"] = [self._map_named(entry) for entry in maps]
        return named

    def _map_named(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        path = self.pictures[_number(entry.get("picture"), len(self.pictures), "picture")]
        relative = Path(os.path.relpath(path.resolve(), self.folder.resolve())).as_posix()
        return {**{key: value for key, value in entry.items() if key not in ("picture", "size")}, "image": relative}

    def _map_content(self, entry: GroundMap) -> dict[str, Any]:
        number = self._number_of(entry.image)
        return {
            "picture": number,
            "size": _size_of(entry.image),
            "plane": entry.plane,
            "m_per_px": entry.m_per_px,
            "origin_px": entry.origin_px,
            "rotation_deg": entry.rotation_deg,
        }

    def _number_of(self, path: Path) -> int:
        if path not in self.pictures:
            self.pictures.append(path)
        return self.pictures.index(path)

    def _ground_from_target(self, data: Mapping[str, Any]) -> Array:
        """Homography from pixels of the picture that is matched with to meters on its ground plane."""
        entry = data.get("map")
        if isinstance(entry, dict):
            placed = parse_settings(MapEntry, self._map_named(entry))
            return GroundMap(
                placed.plane, Path(), placed.m_per_px, placed.origin_px, placed.rotation_deg
            ).ground_from_map()
        number = _number(data.get("camera"), len(self.viewed.cameras), "camera")
        camera = self._scene().camera(self.viewed.cameras[number].id)
        if camera.ground_from_image is None:
            raise ConfigError(f"camera {camera.id} has no homography", remedy="match it with a map first")
        return camera.ground_from_image


def _camera_content(camera: Camera, learned: Camera) -> dict[str, Any]:
    """A camera as ``scene.yaml`` has it, and the zones that the run used."""
    ground = camera.ground_from_image
    return {
        "zones": [_zone_content(zone) for zone in camera.zones],
        "learned_zones": [_zone_content(zone) for zone in learned.zones],
        "roi": _outlines(camera),
        "fps": Fraction(camera.clock.fps).limit_denominator(1001).as_integer_ratio(),
        "time_map": camera.clock.time_map or ((0, camera.clock.start_s),),
        "ground_from_image": None if ground is None else ground.tolist(),
        "ground_plane": camera.ground_plane,
    }


def _zone_content(zone: Zone) -> dict[str, Any]:
    return {"name": zone.name, "role": zone.role, "polygon": np.asarray(zone.polygon, float).round(2).tolist()}


def _link_content(link: Link) -> dict[str, Any]:
    facts = {key: getattr(link, key) for key in ("min_s", "max_s", "typical_s", "spread_s", "share", "length_m")}
    ends = {"from": [link.from_camera, link.from_zone], "to": [link.to_camera, link.to_zone]}
    return ends | {key: value for key, value in facts.items() if value is not None}


def _outlines(camera: Camera) -> list[list[list[float]]]:
    """The region of interest as polygons; none where there is no region or its file cannot be read."""
    if camera.roi is None:
        return []
    try:
        mask = read_roi(camera.roi)
    except MtmcError:
        return []
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outlines = [cv2.approxPolyDP(outline, _OUTLINE_PX, closed=True).reshape(-1, 2) for outline in found]
    return [outline.astype(float).tolist() for outline in outlines if len(outline) >= 3]


def _size_of(picture: Path) -> tuple[int, int]:
    """Width and height of a picture; (0, 0) where it is gone or none."""
    try:
        return stated_size(picture.read_bytes()) or (0, 0)
    except OSError:
        return 0, 0


def _points(data: Mapping[str, Any], name: str) -> Array:
    value = data.get(name)
    pairs = value if isinstance(value, list) and len(value) <= _MAX_POINTS else []
    if not all(isinstance(p, list) and len(p) == 2 and all(type(v) in (int, float) for v in p) for p in pairs):
        raise ConfigError(f"expected points (x, y) as {name!r}")
    return np.array(pairs, np.float64).reshape(-1, 2)


def _mappings(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]] | None:
    """A list of objects that a page sent under a name; None if it sent none."""
    value = data.get(name)
    if value is not None and not (isinstance(value, list) and all(isinstance(entry, dict) for entry in value)):
        raise ConfigError(f"expected a list of objects as {name!r}")
    return value


def _number(value: Any, count: int, what: str) -> int:
    if type(value) is not int or not 0 <= value < count:
        raise ConfigError(f"expected the number of a {what}")
    return value
