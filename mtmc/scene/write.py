"""A scene as a ``scene.yaml`` that a person can edit and that loads to the same scene."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mtmc.files import atomic_path
from mtmc.scene.scene import Camera, Link, Scene, Zone

__all__ = ["content_of", "write_scene"]


_FILES = ("video", "roi", "ground_truth")


def write_scene(scene: Scene, path: Path, heading: str = "") -> None:
    """Write ``scene.yaml``. Files are named relative to its folder, and every fact is spelled out.

    Args:
        scene: The place.
        path: The file to write.
        heading: Lines for the top of the file, written as comments.

    Raises:
        MtmcError: The file cannot be written.
    """
    comment = "".join(f"# {line}".rstrip() + "\n" for line in heading.splitlines())
    with atomic_path(path) as temporary:
        temporary.write_text(comment + _dump(content_of(scene, path.parent)), encoding="utf-8", newline="\n")


def content_of(scene: Scene, folder: Path) -> dict[str, Any]:
    """What ``scene.yaml`` in ``folder`` says of a scene, as plain lists, numbers and texts.

    Numbers are written in full, so that the scene comes back bit for bit.
    """
    home = folder.resolve()
    content: dict[str, Any] = {"name": scene.name}
    if scene.start_utc is not None:
        content["start_utc"] = scene.start_utc.isoformat()
    content["cameras"] = [_camera(c, home) for c in scene.cameras]
    if scene.links:
        content["links"] = [_link(link) for link in scene.links]
    if scene.plane_alignments:
        content["plane_alignments"] = [
            {
                "plane": p.plane,
                "reference_plane": p.reference_plane,
                "rotation_deg": float(p.rotation_deg),
                "translation_m": [float(v) for v in p.translation_m],
            }
            for p in scene.plane_alignments
        ]
    if scene.origins:
        content["origins"] = [asdict(origin) for origin in scene.origins]
    if scene.maps:
        content["maps"] = [
            {**asdict(m), "image": _relative(m.image, home), "origin_px": list(m.origin_px)} for m in scene.maps
        ]
    if scene.overrides:
        content["overrides"] = _relative_files(scene.overrides, home)
    return content


def _camera(camera: Camera, home: Path) -> dict[str, Any]:
    clock = camera.clock
    files = {key: None if p is None else _relative(p, home) for key in _FILES for p in [getattr(camera, key)]}
    many = {key: [_relative(p, home) for p in getattr(camera, key)] or None for key in ("detections", "tracklets")}
    knots = [[int(frame), float(seconds)] for frame, seconds in clock.time_map]
    ground = camera.ground_from_image
    entry = {
        "id": camera.id,
        "number": camera.number,
        "video": files["video"],
        "fps": float(clock.fps),
        "start_s": float(clock.start_s) if clock.start_s or not knots else None,
        "time_map": knots or None,
        "frame_count": None if camera.frame_count is None else int(camera.frame_count),
        "size_wh": None if camera.size_wh is None else [int(v) for v in camera.size_wh],
        "roi": files["roi"],
        "ground_truth": files["ground_truth"],
        **many,
        "ground_from_image": None if ground is None else np.asarray(ground, float).tolist(),
        "ground_plane": camera.ground_plane or None,
        "box_scale": None if camera.box_scale == (1.0, 1.0) else [float(v) for v in camera.box_scale],
        "zones": [_zone(zone) for zone in camera.zones] or None,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _zone(zone: Zone) -> dict[str, Any]:
    role = {} if zone.role == "both" else {"role": zone.role}
    return {"name": zone.name, **role, "polygon": np.asarray(zone.polygon, float).tolist()}


def _link(link: Link) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "from": [link.from_camera, link.from_zone],
        "to": [link.to_camera, link.to_zone],
        "min_s": float(link.min_s),
        "max_s": float(link.max_s),
    }
    known = {
        "typical_s": link.typical_s,
        "spread_s": link.spread_s,
        "share": link.share,
        "length_m": link.length_m,
    }
    return entry | {key: float(value) for key, value in known.items() if value is not None}


def _relative(path: Path, home: Path) -> str:
    return Path(os.path.relpath(path.resolve(), home)).as_posix()


def _relative_files(overrides: dict[str, Any], home: Path) -> dict[str, Any]:
    """Settings in which full paths of existing files are relative again."""
    out: dict[str, Any] = {}
    for key, value in overrides.items():
        if isinstance(value, dict):
            out[key] = _relative_files(value, home)
        elif isinstance(value, str) and Path(value).is_absolute() and Path(value).exists():
            out[key] = _relative(Path(value), home)
        else:
            out[key] = value
    return out


class _Dumper(yaml.SafeDumper):
    """Short lists on one line."""


def _flow(dumper: yaml.SafeDumper, data: list[Any]) -> Any:
    plain = all(not isinstance(v, (list, dict)) for v in data)
    rows = all(isinstance(v, list) and all(isinstance(w, (int, float)) for w in v) for v in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=plain or rows)


_Dumper.add_representer(list, _flow)


def _dump(content: dict[str, Any]) -> str:
    return str(yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=118, allow_unicode=True))
