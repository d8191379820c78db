"""Files for other programs, read back by parsers that are not the project's."""

from __future__ import annotations

import csv
import json
import struct
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest

from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, PlaneOrigin, Scene
from mtmc.traffic.exports import write_otanalytics_counts, write_otanalytics_events, write_sumo_matrix
from mtmc.traffic.tables import ODCount, TurningCount
from mtmc.traffic.trajectory_files import ground_lines, on_earth, write_geojson, write_geoparquet
from mtmc.types import Array, GlobalTrack, Passage
from tests.builders import tracklet

NAN = float("nan")


def od(
    origin: tuple[str, str], destination: tuple[str, str], vehicles: int, *, kind: str = "car", start: float = 0.0
):
    return ODCount(*origin, *destination, kind, start, start + 900.0, vehicles, NAN, NAN, NAN)


def test_the_matrix_for_sumo(tmp_path: Path) -> None:
    rows = [
        od(("a", "east> in"), ("b", ""), 3),
        od(("a", "east< in"), ("b", ""), 2),  # the same characters once changed
        od(("a", "east> in"), ("b", ""), 4, kind="bus"),
        od(("a", "east> in"), ("b", ""), 5, start=900.0),
        od(("--><x>---\x01", '"'), ("b", ""), 1),
        od(("b", ""), ("a", "east> in"), 0),
    ]
    write_sumo_matrix(rows, tmp_path / "od.xml")
    root = ElementTree.parse(tmp_path / "od.xml").getroot()
    found = {
        (float(interval.get("begin")), float(interval.get("end")), interval.get("id")): [
            (relation.get("from"), relation.get("to"), int(relation.get("count"))) for relation in interval
        ]
        for interval in root.findall("interval")
    }
    assert set(found) == {(0.0, 900.0, "car"), (0.0, 900.0, "bus"), (900.0, 1800.0, "car")}
    assert found[0.0, 900.0, "bus"] == [("a.east_in", "b", 4)]
    assert sorted(count for _, _, count in found[0.0, 900.0, "car"]) == [1, 2, 3]
    names = {origin for relations in found.values() for origin, _, _ in relations}
    assert len(names) == 3
    assert all(name and not set(name) & set(" \t|\\'\";,<>&") for name in names)  # what SUMO refuses
    assert "camera a, zone east< in" in (tmp_path / "od.xml").read_text().replace("&lt;", "<")


def test_no_time_for_sumo_is_before_the_recording(tmp_path: Path) -> None:
    """A quarter of an hour of the clock has begun 423 s before second 0."""
    write_sumo_matrix([od(("a", ""), ("b", ""), 3, start=-423.0)], tmp_path / "od.xml")
    [interval] = ElementTree.parse(tmp_path / "od.xml").getroot().findall("interval")
    assert (interval.get("begin"), interval.get("end")) == ("0.00", "477.00")


def track(xy_m: Array) -> GlobalTrack:
    own = tracklet("a", 1, length=len(xy_m), start_s=7.0)
    return GlobalTrack(3, (Passage(own, np.zeros(0, np.float32), "n", "s", xy_m),))


def place(*origins: PlaneOrigin) -> Scene:
    return Scene("town", Path(), (Camera("a", 1, Clock(10.0)),), origins=origins)


def line_points(wkb: bytes) -> Array:
    """The points of a line in well-known binary, by the standard's table."""
    order, kind, count = struct.unpack("<BII", wkb[:9])
    points = np.frombuffer(wkb[9:], "<f8").reshape(-1, 2)
    assert (order, kind, count) == (1, 2, len(points))
    return points


DIAGONAL_M = np.stack([np.arange(30.0), 2.0 + np.arange(30.0)], axis=1)


def test_trajectories_are_geoparquet(tmp_path: Path) -> None:
    tracks = [track(DIAGONAL_M), replace(track(np.full((30, 2), np.nan)), global_id=4)]
    write_geoparquet(ground_lines(tracks, place()), tmp_path / "t.parquet", is_on_earth=False)
    table = pq.read_table(tmp_path / "t.parquet")
    geo = json.loads(table.schema.metadata[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    column = geo["columns"]["geometry"]
    assert (column["encoding"], column["geometry_types"], column["crs"]) == ("WKB", ["LineString"], None)
    assert column["bbox"] == [4.5, 6.5, 24.5, 26.5]
    [row] = table.to_pylist()
    assert (row["vehicle"], row["camera"], row["entry_zone"], row["enter_s"]) == (3, "a", "n", 7.0)
    assert line_points(row["geometry"]).tolist() == [[4.5, 6.5], [14.5, 16.5], [24.5, 26.5]]  # means of ten positions
    assert row["time_s"] == pytest.approx([7.45, 8.45, 9.45])


def test_no_trajectories_without_calibration(tmp_path: Path) -> None:
    lines = ground_lines([track(np.full((30, 2), np.nan))], place())
    write_geoparquet(lines, tmp_path / "t.parquet", is_on_earth=False)
    assert pq.read_table(tmp_path / "t.parquet").num_rows == 0


def test_longitude_and_latitude_of_trajectories(tmp_path: Path) -> None:
    """In both files; a degree of latitude at 60° is 111.412 km, one of longitude 55.800 km (WGS 84)."""
    lines = on_earth(ground_lines([track(DIAGONAL_M)], place()), place(PlaneOrigin("", 60.0, 10.0)))
    write_geoparquet(lines, tmp_path / "t.parquet", is_on_earth=True)
    write_geojson(lines, tmp_path / "t.geojson")
    table = pq.read_table(tmp_path / "t.parquet")
    assert "crs" not in json.loads(table.schema.metadata[b"geo"])["columns"]["geometry"]  # OGC:CRS84
    [row] = table.to_pylist()
    expected = [[10.0 + x / 55_800, 60.0 + y / 111_412] for x, y in [(4.5, 6.5), (14.5, 16.5), (24.5, 26.5)]]
    np.testing.assert_allclose(line_points(row["geometry"]), expected, atol=2e-8)

    collection = json.loads((tmp_path / "t.geojson").read_text())
    assert collection["type"] == "FeatureCollection"
    [feature] = collection["features"]
    assert (feature["type"], feature["geometry"]["type"]) == ("Feature", "LineString")
    np.testing.assert_allclose(feature["geometry"]["coordinates"], expected, atol=1e-7)
    assert feature["properties"] == {
        "vehicle": 3, "vehicle_class": "car", "color": "", "camera": "a", "ground_plane": "", "entry_zone": "n",
        "exit_zone": "s", "enter_s": 7.0, "leave_s": 9.9, "time_s": [7.45, 8.45, 9.45],
    }  # fmt: skip


def test_planes_without_an_origin_are_not_on_earth() -> None:
    assert on_earth(ground_lines([track(DIAGONAL_M)], place()), place(PlaneOrigin("harbor", 60.0, 10.0))) == []


def test_counts_in_the_columns_of_otanalytics(tmp_path: Path) -> None:
    start = datetime(2026, 5, 12, 9, 0, tzinfo=timezone(timedelta(hours=2)))
    rows = [
        TurningCount("a", "n", "s", "car", 900.0, 1800.0, 7, NAN, NAN, NAN),
        TurningCount("a", "n", "", "car", 0.0, 900.0, 2, NAN, NAN, NAN),
        TurningCount("a", "n", "e", "car", 0.0, 900.0, 0, 0.7, 0.0, 1.0),
    ]
    write_otanalytics_counts(rows, start, tmp_path / "c.csv")
    with (tmp_path / "c.csv").open(newline="") as file:
        [row] = list(csv.DictReader(file))
    assert row == {
        "start time": "2026-05-12 07:15:00",
        "end time": "2026-05-12 07:30:00",
        "classification": "car",
        "flow": "a: n --> a: s",
        "from section": "a: n",
        "to section": "a: s",
        "count": "7",
    }


def test_events_in_the_columns_of_otanalytics(tmp_path: Path) -> None:
    """A vehicle in two cameras: four events in one, and two in the other, where its zones are unknown."""
    own = [tracklet("a", 1, first=70, length=30, start_s=0.0), tracklet("b", 1, first=100, length=10, start_s=0.5)]
    unknown = np.full((40, 2), np.nan)
    vehicle = GlobalTrack(
        3,
        (
            Passage(own[0], np.zeros(0, np.float32), "n", "s", unknown[:30]),
            Passage(own[1], np.zeros(0, np.float32), "", "", unknown[:10]),
        ),
    )
    start = datetime(2026, 5, 12, 23, 59, 50, tzinfo=timezone.utc)
    write_otanalytics_events([vehicle], start, {"a": "a_1.mp4"}, tmp_path / "e.csv")
    with (tmp_path / "e.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["event_type"], r["section_id"], r["video_name"], r["frame_number"]) for r in rows] == [
        ("enter-scene", "", "a_1.mp4", "71"),
        ("section-enter", "a: n", "a_1.mp4", "71"),
        ("section-enter", "a: s", "a_1.mp4", "100"),
        ("leave-scene", "", "a_1.mp4", "100"),
        ("enter-scene", "", "b", "101"),
        ("leave-scene", "", "b", "110"),
    ]
    assert rows[1] == {
        "road_user_id": "3", "road_user_type": "car", "hostname": "a", "occurrence": "2026-05-12 23:59:57.000000",
        "occurrence_day": "2026-05-12", "occurrence_time": "23:59:57.000000", "frame_number": "71",
        "section_id": "a: n", "section_name": "a: n", "event_type": "section-enter", "coordinate_px_x": "70.0",
        "coordinate_px_y": "80.0", "vector_px_x": "5.0", "vector_px_y": "0.0", "video_name": "a_1.mp4",
    }  # fmt: skip
    assert rows[3]["coordinate_px_x"] == "215.0"
    assert (rows[4]["occurrence"], rows[4]["occurrence_day"]) == ("2026-05-13 00:00:00.500000", "2026-05-13")
