"""Changes of a ``scene.yaml`` that keep its comments, its order and all that they do not concern.

The changed text is loaded as a scene before it replaces the file, so that a file that could be loaded before can be
loaded afterwards. It is replaced as a whole, and the former one is kept as ``scene.yaml.bak``.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml as pyyaml
from pydantic import ConfigDict, Field

from mtmc.errors import MissingDependency, MtmcError, SceneError
from mtmc.files import atomic_path, explain
from mtmc.geometry.clock import LATEST_S, Clock
from mtmc.scene import sceneyaml
from mtmc.scene.load import load_scenes
from mtmc.scene.scene import Scene
from mtmc.scene.sceneyaml import DateWithZone, LinkEntry, MapEntry, OriginEntry, ZoneEntry
from mtmc.settings import Settings

__all__ = ["CameraChanges", "SceneChanges", "StaleScene", "digest_of", "edit_scene", "scene_to_edit"]

_LINE_WIDTH = 118
_WORDS = re.compile(r"\w([\w .-]*\w)?", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_resolver = pyyaml.resolver.Resolver()
Polygon = list[tuple[float, float]]


class StaleScene(MtmcError):
    """The file has changed since its content was shown."""


class CameraChanges(Settings):
    """What changes of one camera; None leaves a fact as it is."""

    model_config = ConfigDict(allow_inf_nan=False)

    id: str
    zones: list[ZoneEntry] | None = None
    roi: list[Polygon] | None = Field(None, description="polygons in pixels, whose union is the region of interest")
    start_s: float | None = Field(None, ge=-LATEST_S, le=LATEST_S, description="scene time of frame 0")
    ground_from_image: list[list[float]] | None = None
    ground_plane: str | None = None


class SceneChanges(Settings):
    """What changes of a scene; None leaves a fact as it is."""

    cameras: list[CameraChanges] = Field(default_factory=list)
    links: list[LinkEntry] | None = None
    maps: list[MapEntry] | None = None
    start_utc: DateWithZone | None = Field(None, description="date and time of second 0; clocks stay as they are")
    origins: list[OriginEntry] | None = None


def digest_of(folder: Path) -> str:
    """A hash of the bytes of the folder's ``scene.yaml``, "" where there is none.

    Raises:
        MtmcError: It cannot be read.
    """
    content = _read(folder / "scene.yaml")
    return hashlib.sha256(content).hexdigest() if content else ""


def scene_to_edit(folder: Path) -> Scene:
    """The scene that ``mtmc run`` reads from a folder now.

    Raises:
        SceneError: The folder is gone, holds several scenes, or cannot be loaded.
    """
    found = load_scenes(folder)
    if len(found) != 1:
        raise SceneError(
            f"expected one scene, got {len(found)}", path=folder, remedy="edit the folder of one of them"
        )
    return found[0]


def edit_scene(folder: Path, changes: SceneChanges, former: str) -> None:
    """Write changes into the folder's ``scene.yaml``; there need not be one yet.

    Zones are identified by their name, links by their ends, maps by their image and origins by their plane: those
    that stay keep their comments. A region of interest is drawn into a new image beside the file.

    Args:
        folder: Of the scene.
        changes: What is to be different.
        former: :func:`digest_of` when the changes were made.

    Raises:
        StaleScene: The file has changed meanwhile.
        SceneError: A camera is not there, or the changed file cannot be loaded; the file is as it was.
        MissingDependency: ruamel.yaml is not installed.
        MtmcError: The folder cannot be written to.
    """
    path = folder / "scene.yaml"
    scene = scene_to_edit(folder)
    content = _read(path)
    if digest_of(folder) != former:
        raise StaleScene("scene.yaml has changed meanwhile", path=path, remedy="load it again and repeat the change")
    yaml, document = _document(content, path)
    if changes.start_utc is not None:
        _set_date(document, scene, changes.start_utc)
        scene = replace(scene, start_utc=changes.start_utc)
    for camera in changes.cameras:
        _change_camera(_entry_of(document, camera.id), camera, scene, document)
    if changes.links is not None:
        links = [_plain(link) for link in changes.links]
        _merge(document, "links", links, lambda link: (*link["from"], *link["to"]))
    if changes.maps is not None:
        _merge(document, "maps", [_plain(entry) for entry in changes.maps], lambda entry: entry["image"])
    if changes.origins is not None:
        origins = [_plain(entry) for entry in changes.origins]
        _merge(document, "origins", origins, lambda entry: entry.get("plane", ""))
    _replace(path, content, _text(yaml, document))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError as error:
        raise explain(error, path, "read") from error


def _document(content: bytes, path: Path) -> tuple[Any, Any]:
    """The YAML reader and writer, and the document with its comments."""
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.comments import CommentedMap
        from ruamel.yaml.error import YAMLError
        from ruamel.yaml.util import load_yaml_guess_indent
    except ImportError:
        raise MissingDependency.of("ruamel.yaml", "view", "editing a scene.yaml") from None
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, _LINE_WIDTH
    yaml.representer.add_representer(float, _represent_float)
    text = content.decode("utf-8-sig")
    try:
        document = yaml.load(text)
    except YAMLError as error:
        raise SceneError(f"expected YAML: {error}", path=path) from None
    indent, offset = (load_yaml_guess_indent(text)[1:]) if document else (None, None)
    yaml.indent(mapping=2, sequence=4 if indent is None else indent, offset=2 if offset is None else offset)
    return yaml, CommentedMap() if document is None else document


def _represent_float(representer: Any, value: float) -> Any:
    """A number as YAML 1.1 reads it: 1.0e-05, where 1e-05 would be a text."""
    text = repr(float(value))
    return representer.represent_scalar("tag:yaml.org,2002:float", text if "." in text else text.replace("e", ".0e"))


def _text(yaml: Any, document: Any) -> str:
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def _replace(path: Path, former: bytes, text: str) -> None:
    """Put the new text in the place of the file, once it has been loaded as a scene."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        try:
            sceneyaml.load(path.parent, temporary)
        except SceneError as error:
            raise SceneError(str(error).replace(str(temporary), path.name)) from None
        if former:
            with atomic_path(path.with_name(f"{path.name}.bak")) as backup:
                backup.write_bytes(former)


def _entry_of(document: Any, camera_id: str) -> Any:
    """The entry of a camera, added at the end if the file has none."""
    cameras = document.setdefault("cameras", [])
    for entry in cameras:
        if entry["id"] == camera_id:
            return entry
    cameras.append({"id": _written(camera_id)})
    return cameras[-1]


def _change_camera(entry: Any, changes: CameraChanges, scene: Scene, document: Any) -> None:
    camera = scene.camera(changes.id)
    if changes.zones is not None:
        _merge(entry, "zones", [_plain(zone) for zone in changes.zones], lambda zone: zone["name"])
    if changes.roi is not None:
        if camera.size_wh is None:
            raise SceneError(f"camera {camera.id} has no known image size", remedy="add size_wh to scene.yaml")
        entry["roi"] = _written(_write_roi(scene.root, camera.id, changes.roi, camera.size_wh))
    if changes.start_s is not None:
        _set_start(entry, document, scene, camera.clock, changes.start_s)
    if changes.ground_from_image is not None:
        entry["ground_from_image"] = _written(changes.ground_from_image)
    if changes.ground_plane is not None:
        _set_unless(entry, "ground_plane", changes.ground_plane, "")


def _set_start(entry: Any, document: Any, scene: Scene, clock: Clock, start_s: float) -> None:
    """State the scene time of frame 0 in the way in which the entry states it already."""
    if entry.get("start_utc") and scene.start_utc is not None:  # it goes before a time map
        document.setdefault("start_utc", scene.start_utc.isoformat())
        entry["start_utc"] = (scene.start_utc + timedelta(seconds=start_s)).isoformat()
        return
    entry.pop("start_utc", None)  # that of a file which is gone, and no other date is known
    if entry.get("time_map"):
        knots = Clock(clock.fps, 0.0, clock.time_map).starting_at(start_s).time_map
        entry["time_map"] = _written([[frame, round(seconds, 6)] for frame, seconds in knots])
    else:
        entry["start_s"] = round(start_s, 6)


def _set_date(document: Any, scene: Scene, start_utc: datetime) -> None:
    """State the date of second 0; the dates of cameras that the file states move with it."""
    document["start_utc"] = start_utc.isoformat()
    for entry in document.get("cameras", ()):
        if not entry.get("start_utc"):
            continue
        camera = scene.camera(entry["id"])
        if not camera.clock_is_stated:
            raise SceneError(
                f"camera {camera.id} starts at the date in a video that cannot be read",
                remedy="bring the video back, or state another start of the camera first",
            )
        first_s = float(camera.clock.time_s(np.array(0)))
        entry["start_utc"] = (start_utc + timedelta(seconds=first_s)).isoformat()


def _write_roi(folder: Path, camera_id: str, polygons: Sequence[Polygon], size_wh: tuple[int, int]) -> str:
    """Draw a region of interest, white on black; returns the file's name, which depends on its content."""
    import cv2

    image = np.zeros(size_wh[::-1], np.uint8)
    for polygon in polygons:
        cv2.fillPoly(image, [np.rint(polygon).astype(np.int32)], 255)
    if not image.any():
        raise SceneError(f"the region of interest of camera {camera_id} is empty", remedy="draw it anew")
    png = cv2.imencode(".png", image)[1].tobytes()
    legible = re.sub(r"[^A-Za-z0-9_-]+", "_", camera_id)
    name = f"{legible}_roi-{hashlib.sha256(png).hexdigest()[:8]}.png"
    with atomic_path(folder / name) as temporary:
        temporary.write_bytes(png)
    return name


def _plain(settings: Settings) -> dict[str, Any]:
    """The keys of an entry that were given, lists for tuples."""
    return {
        key: [list(v) if isinstance(v, tuple) else v for v in value] if isinstance(value, (list, tuple)) else value
        for key, value in settings.model_dump(by_alias=True, exclude_unset=True).items()
    }


def _merge(parent: Any, key: str, wanted: Sequence[Mapping[str, Any]], name_of: Any) -> None:
    """Make a list hold the wanted entries: those of one name change where they stand, others come and go."""
    entries = parent.setdefault(key, [])
    place = {name_of(entry): entry for entry in wanted}
    if len(place) < len(wanted):
        raise SceneError(f"expected every entry of {key} once", remedy="rename or remove one of two equal ones")
    for index in reversed(range(len(entries))):
        if name_of(entries[index]) not in place:
            del entries[index]
    standing = {name_of(entry): entry for entry in entries}
    for name, facts in place.items():
        if name not in standing:
            stated = {k: v for k, v in facts.items() if v is not None and (k, v) != ("role", "both")}
            entries.append(_written(stated))
            continue
        entry = standing[name]
        for fact, value in facts.items():
            default = "both" if fact == "role" else None
            if entry.get(fact, default) != value:
                _set_unless(entry, fact, value, default)
    if not entries:
        del parent[key]


def _set_unless(entry: Any, key: str, value: Any, default: Any) -> None:
    """Set a key, or remove it where its value is what holds without it."""
    if value == default:
        entry.pop(key, None)
    else:
        entry[key] = _written(value)


def _looks_like_text(value: str) -> bool:
    """Whether a text means itself without quotes, in YAML 1.1 too and between braces."""
    if not _WORDS.fullmatch(value):
        return False
    tag = _resolver.resolve(pyyaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
    return bool(tag == "tag:yaml.org,2002:str")


def _written(value: Any) -> Any:
    """A value as it is written: lists and mappings on one line, texts in quotes where they look like others."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, SingleQuotedScalarString

    if isinstance(value, Mapping):
        mapping = CommentedMap((key, _written(inner)) for key, inner in value.items())
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, (list, tuple)):
        sequence = CommentedSeq(_written(inner) for inner in value)
        sequence.fa.set_flow_style()
        return sequence
    if isinstance(value, str) and _SURROGATE.search(value):
        raise SceneError("expected names in Unicode, got half of a surrogate pair", remedy="rename it")
    if isinstance(value, str) and not _looks_like_text(value):
        # Such as 'on', which YAML 1.1 takes for true. In single quotes, the line break U+0085 would become a space.
        return (DoubleQuotedScalarString if "\x85" in value else SingleQuotedScalarString)(value)
    return value
