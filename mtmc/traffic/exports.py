"""Files that other programs open.

::

    sumo_od.xml             origin–destination matrix for SUMO: od2trips --tazrelation-files
    trajectories.parquet    GeoParquet 1.1: the path of every movement on the ground plane, by the second
    otanalytics_counts.csv  turning counts as OTAnalytics writes them, where the date is known

SUMO reads no spaces and few other characters in names, so those of places are changed; comments say which is which.
GeoParquet's coordinates are meters on the ground plane, which has no coordinate reference system (``crs`` is null).
"""

from __future__ import annotations

import csv
import json
import re
import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from mtmc.files import atomic_path
from mtmc.traffic.movements import movement_paths
from mtmc.traffic.tables import ODCount, TurningCount
from mtmc.types import Array, GlobalTrack

__all__ = ["write_otanalytics_counts", "write_sumo_matrix", "write_trajectories"]

_LITTLE_ENDIAN, _LINE_STRING = 1, 2  # of well-known binary


def write_sumo_matrix(rows: Iterable[ODCount], path: Path) -> None:
    """The matrix as SUMO's relations of traffic assignment zones; one interval for each class and bin.

    Zones are cameras with an entry or exit zone. Counts are those of the run.

    Args:
        rows: The matrix.
        path: XML file.

    Raises:
        MtmcError: The file cannot be written.
    """
    taz = _SumoNames()
    intervals: dict[tuple[float, float, str], dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        places = taz.of(row.from_camera, row.from_zone), taz.of(row.to_camera, row.to_zone)
        intervals[row.bin_start_s, row.bin_end_s, row.vehicle_class][places] += row.vehicles

    root = ElementTree.Element("data")
    for name, place in taz.places.items():
        root.append(ElementTree.Comment(f" {name}: {place} ".replace("--", "- -")))
    for (begin_s, end_s, vehicle_class), counts in sorted(intervals.items()):
        bin_of_class = {"id": vehicle_class, "begin": f"{begin_s:.2f}", "end": f"{end_s:.2f}"}
        interval = ElementTree.SubElement(root, "interval", bin_of_class)
        for (origin, destination), vehicles in sorted(counts.items()):
            if vehicles:
                relation = {"from": origin, "to": destination, "count": str(vehicles)}
                ElementTree.SubElement(interval, "tazRelation", relation)
    ElementTree.indent(root)
    with atomic_path(path) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


class _SumoNames:
    """Names of places that SUMO reads, one for each place."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        self._names: dict[tuple[str, str], str] = {}

    def of(self, camera: str, zone: str) -> str:
        if (camera, zone) not in self._names:
            base = re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{camera}.{zone}" if zone else camera).strip("_") or "place"
            name, number = base, 2
            while name in self.places:
                name, number = f"{base}-{number}", number + 1
            self._names[camera, zone] = name
            self.places[name] = f"camera {camera}, zone {zone}" if zone else f"camera {camera}"
        return self._names[camera, zone]


def write_trajectories(tracks: Iterable[GlobalTrack], path: Path) -> None:
    """Every movement with positions as a line on the ground plane.

    Args:
        tracks: The vehicles.
        path: Parquet file.

    Raises:
        MtmcError: The file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = [(movement, track) for movement, track in movement_paths(tracks) if len(track.time_s) > 1]
    movements = [movement for movement, _ in known]
    points = np.concatenate([np.zeros((0, 2)), *(track.xy_m for _, track in known)])
    column: dict[str, object] = {"encoding": "WKB", "geometry_types": ["LineString"], "crs": None}
    if len(points):
        column["bbox"] = [*points.min(axis=0).tolist(), *points.max(axis=0).tolist()]
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    table = pa.table(
        {
            "vehicle": pa.array([m.vehicle for m in movements], pa.int64()),
            "vehicle_class": pa.array([m.vehicle_class for m in movements], pa.string()),
            "camera": pa.array([m.camera for m in movements], pa.string()),
            "entry_zone": pa.array([m.entry_zone for m in movements], pa.string()),
            "exit_zone": pa.array([m.exit_zone for m in movements], pa.string()),
            "enter_s": pa.array([m.enter_s for m in movements], pa.float64()),
            "leave_s": pa.array([m.leave_s for m in movements], pa.float64()),
            "time_s": pa.array([track.time_s.tolist() for _, track in known], pa.list_(pa.float64())),
            "geometry": pa.array([_line_string(track.xy_m) for _, track in known], pa.binary()),
        }
    )
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), temporary, compression="zstd")


def _line_string(points: Array) -> bytes:
    """Points, (N, 2), as a line in well-known binary."""
    head = struct.pack("<BII", _LITTLE_ENDIAN, _LINE_STRING, len(points))
    return head + np.ascontiguousarray(points, "<f8").tobytes()


def write_otanalytics_counts(rows: Sequence[TurningCount], start_utc: datetime, path: Path) -> None:
    """Turning counts in the columns of OTAnalytics' export of counts; zones are sections, pairs of zones are flows.

    Movements without a known entry or exit are no flow and are left out. Counts are those of the run.

    Args:
        rows: The counts.
        start_utc: Date and time of second 0 of the scene's clock.
        path: CSV file.

    Raises:
        MtmcError: The file cannot be written.
    """

    def moment(scene_s: float) -> str:
        return f"{(start_utc + timedelta(seconds=scene_s)).astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}"

    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("start time", "end time", "classification", "flow", "from section", "to section", "count"))
        for row in rows:
            if row.entry_zone and row.exit_zone and row.vehicles:
                sections = f"{row.camera}: {row.entry_zone}", f"{row.camera}: {row.exit_zone}"
                times = moment(row.bin_start_s), moment(row.bin_end_s)
                writer.writerow((*times, row.vehicle_class, " --> ".join(sections), *sections, row.vehicles))
