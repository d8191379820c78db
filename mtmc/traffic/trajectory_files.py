"""Paths of movements by the second, as files of geographic programs.

::

    trajectories.parquet        GeoParquet 1.1, meters on the ground plane of each camera
    trajectories_wgs84.parquet  GeoParquet 1.1, longitude and latitude
    trajectories.geojson        the same lines as GeoJSON

A ground plane has no coordinate reference system, so that ``crs`` is null in the first file. The others hold the
movements of cameras whose ground plane has an origin on Earth. GeoJSON has no other coordinates.

Sources: GeoParquet 1.1.0 (geoparquet.org); The GeoJSON Format, RFC 7946.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmc.files import atomic_path
from mtmc.scene import Scene
from mtmc.traffic.movements import Movement, movement_paths
from mtmc.types import Array, GlobalTrack

__all__ = ["Line", "ground_lines", "on_earth", "write_geojson", "write_geoparquet"]

_LITTLE_ENDIAN, _LINE_STRING = 1, 2  # of well-known binary
_DEGREE_DIGITS = 7  # a centimeter


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """The path of a movement by the second, W ≥ 2 points.

    Attributes:
        movement: The movement.
        ground_plane: Name of its camera's ground plane.
        time_s: float64 (W,), scene seconds.
        xy: float64 (W, 2), meters on the ground plane, or longitude and latitude in degrees.
    """

    movement: Movement
    ground_plane: str
    time_s: Array
    xy: Array


def ground_lines(tracks: Iterable[GlobalTrack], scene: Scene) -> list[Line]:
    """The movements that have a path on the ground, in meters on the ground plane of their camera."""
    plane = {camera.id: camera.ground_plane for camera in scene.cameras}
    return [
        Line(movement, plane[movement.camera], path.time_s, path.xy_m)
        for movement, path in movement_paths(tracks)
        if len(path.time_s) > 1
    ]


def on_earth(lines: Iterable[Line], scene: Scene) -> list[Line]:
    """Longitude and latitude of the lines whose ground plane has an origin; the others are left out."""
    origin_of = {origin.plane: origin for origin in scene.origins}
    return [
        Line(
            line.movement,
            line.ground_plane,
            line.time_s,
            origin_of[line.ground_plane].gps_from_ground(line.xy)[:, ::-1],
        )
        for line in lines
        if line.ground_plane in origin_of
    ]


def write_geoparquet(lines: Sequence[Line], path: Path, *, is_on_earth: bool) -> None:
    """A row per movement.

    Args:
        lines: The movements.
        path: Parquet file.
        is_on_earth: Whether the points are longitude and latitude (OGC:CRS84, GeoParquet's default) and not meters.

    Raises:
        MtmcError: The file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    points = np.concatenate([np.zeros((0, 2)), *(line.xy for line in lines)])
    column: dict[str, object] = {"encoding": "WKB", "geometry_types": ["LineString"]}
    if not is_on_earth:
        column["crs"] = None
    if len(points):
        column["bbox"] = [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    rows = [_properties(line) for line in lines]
    types = {
        "vehicle": pa.int64(),
        "enter_s": pa.float64(),
        "leave_s": pa.float64(),
        "time_s": pa.list_(pa.float64()),
    }
    columns = {name: pa.array([row[name] for row in rows], types.get(name, pa.string())) for name in _PROPERTIES}
    table = pa.table({**columns, "geometry": pa.array([_line_string(line.xy) for line in lines], pa.binary())})
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), temporary, compression="zstd")


def write_geojson(lines: Iterable[Line], path: Path) -> None:
    """A feature per movement.

    Args:
        lines: The movements, longitude and latitude.
        path: JSON file.

    Raises:
        MtmcError: The file cannot be written.
    """
    features = [
        {
            "type": "Feature",
            "properties": _properties(line),
            "geometry": {"type": "LineString", "coordinates": line.xy.round(_DEGREE_DIGITS).tolist()},
        }
        for line in lines
    ]
    with atomic_path(path) as temporary:
        text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


_PROPERTIES = (
    *("vehicle", "vehicle_class", "color", "camera", "ground_plane", "entry_zone", "exit_zone"),
    *("enter_s", "leave_s", "time_s"),
)


def _properties(line: Line) -> dict[str, object]:
    own = {"ground_plane": line.ground_plane, "time_s": line.time_s.round(3).tolist()}
    return {name: own[name] if name in own else getattr(line.movement, name) for name in _PROPERTIES}


def _line_string(points: Array) -> bytes:
    """Points, (N, 2), as a line in well-known binary."""
    head = struct.pack("<BII", _LITTLE_ENDIAN, _LINE_STRING, len(points))
    return head + np.ascontiguousarray(points, "<f8").tobytes()
