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

from mtmc.traffic.exports import write_otanalytics_counts, write_sumo_matrix, write_trajectories
from mtmc.traffic.tables import ODCount, TurningCount
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
        od(("--><x>", '"'), ("b", ""), 1),
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


def track(xy_m: Array) -> GlobalTrack:
    own = tracklet("a", 1, length=len(xy_m), start_s=7.0)
    return GlobalTrack(3, (Passage(own, np.zeros(0, np.float32), "n", "s", xy_m),))


def test_trajectories_are_geoparquet(tmp_path: Path) -> None:
    xy_m = np.stack([np.arange(30.0), 2.0 + np.arange(30.0)], axis=1)
    write_trajectories([track(xy_m), replace(track(np.full((30, 2), np.nan)), global_id=4)], tmp_path / "t.parquet")
    table = pq.read_table(tmp_path / "t.parquet")
    geo = json.loads(table.schema.metadata[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    column = geo["columns"]["geometry"]
    assert (column["encoding"], column["geometry_types"], column["crs"]) == ("WKB", ["LineString"], None)
    assert column["bbox"] == [4.5, 6.5, 24.5, 26.5]
    [row] = table.to_pylist()
    assert (row["vehicle"], row["camera"], row["entry_zone"], row["enter_s"]) == (3, "a", "n", 7.0)
    order, kind, count = struct.unpack("<BII", row["geometry"][:9])
    points = np.frombuffer(row["geometry"][9:], "<f8").reshape(-1, 2)
    assert (order, kind, count, len(points)) == (1, 2, 3, 3)
    assert points.tolist() == [[4.5, 6.5], [14.5, 16.5], [24.5, 26.5]]  # means of ten positions
    assert row["time_s"] == pytest.approx([7.45, 8.45, 9.45])


def test_no_trajectories_without_calibration(tmp_path: Path) -> None:
    write_trajectories([track(np.full((30, 2), np.nan))], tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").num_rows == 0


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
