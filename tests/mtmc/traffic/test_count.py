"""From a finished run to the files of ``mtmc count``."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mtmc.cli import main
from mtmc.config import load_config
from mtmc.errors import ConfigError, SceneError
from mtmc.geometry.clock import Clock
from mtmc.pipeline.run import run
from mtmc.scene import Camera, PlaneOrigin, Scene, Zone
from mtmc.traffic.count import ROW_TYPES, count_run, tables_of
from mtmc.traffic.movements import Movement, movements_of
from mtmc.traffic.write import columns_of, utc_of
from mtmc.types import GlobalTrack, Passage
from tests.builders import tracklet

ROOT = Path(__file__).parents[3]
WEST = Zone("west", np.array([[0.0, 0.0], [200, 0], [200, 480], [0, 480]]))
EAST = Zone("east", np.array([[440.0, 0.0], [640, 0], [640, 480], [440, 480]]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cameras of one road with the same view; three vehicles drive from west to east at 36 km/h, 10 s apart."""
    home = tmp_path_factory.mktemp("road")
    ground = np.array([[0.1, 0, 0], [0, 0.1, 0], [0, 0, 1]])
    cameras = []
    for number, name in enumerate(("a", "b"), start=1):
        rows = [
            f"{100 * vehicle + frame + 1},-1,{20 + 10 * frame},200,40,30,0.9,-1,-1,-1"
            for vehicle in range(3)
            for frame in range(58)
        ]
        (home / f"{name}.txt").write_text("\n".join(rows))
        camera = Camera(name, number, Clock(10.0), frame_count=300, size_wh=(640, 480), zones=(WEST, EAST))
        cameras.append(replace(camera, detections=(home / f"{name}.txt",), ground_from_image=ground))
    config = load_config(
        overrides=["embed.weights=none", "render.report=false", "associate.graph.learn_travel_times=false"]
    )
    start = datetime(2026, 5, 12, 7, 0, tzinfo=timezone.utc)
    scene = Scene("road", home, tuple(cameras), start_utc=start, origins=(PlaneOrigin("", 60.0, 10.0),))
    run(scene, config, home / "out", map_cameras=lambda fn, c: [fn(x) for x in c])
    return home / "out"


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_files_of_a_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["count", str(folder), "--bin", "0.25"]) == 0
    assert "3 vehicles, 6 movements" in capsys.readouterr().out
    turning = table(folder / "traffic" / "turning_counts.csv")
    expected = [(camera, "west", "east", start, "1") for camera in "ab" for start in ("0.000", "15.000")]
    found = [(r["camera"], r["entry_zone"], r["exit_zone"], r["bin_start_s"], r["vehicles"]) for r in turning]
    assert [(c, i, o, s) for c, i, o, s, _ in found] == [row[:4] for row in expected]
    assert [r["vehicles"] for r in turning] == ["2", "1", "2", "1"]  # they enter at 0, 10 and 20 s

    assert [r["vehicles_estimate"] for r in turning] == ["2.000", "1.000", "2.000", "1.000"]  # certain links

    [headway] = [
        r
        for r in table(folder / "traffic" / "headways.csv")
        if (r["camera"], r["direction"], r["vehicle_class"], r["bin_start_s"]) == ("a", "in", "all", "15.000")
    ]
    assert float(headway["mean_s"]) == pytest.approx(10.0, abs=0.2)
    assert float(headway["mean_gap_s"]) == pytest.approx(10.0 - 4.6 / 10.0, abs=0.02)  # behind 4.6 m at 10 m/s
    speed = table(folder / "traffic" / "speeds.csv")
    assert [row["vehicle_class"] for row in speed] == ["all", "all", "vehicle", "vehicle"] * 2
    assert [float(row["p50_kmh"]) for row in speed] == pytest.approx([36.0] * 8, rel=0.02)


def test_conflicts_are_written_on_request_alone(folder: Path) -> None:
    with_conflicts = ["count", str(folder), "--out", str(folder / "plain"), "--conflicts"]
    main(with_conflicts)
    assert {path.suffix for path in (folder / "plain").glob("conflicts.*")} == {".csv", ".parquet"}
    main(with_conflicts[:-1])  # conflicts of an earlier count would not belong to the other tables
    assert not list((folder / "plain").glob("conflicts.*"))
    assert (folder / "plain" / "speeds.csv").exists()


def test_csv_and_parquet_hold_the_same(folder: Path) -> None:
    main(["count", str(folder), "--out", str(folder / "again"), "--conflicts"])
    for name, row_type in ROW_TYPES.items():
        lines = table(folder / "again" / f"{name}.csv")
        parquet = pq.read_table(folder / "again" / f"{name}.parquet")
        assert [n for n in parquet.column_names if not n.endswith("_utc")] == [
            field.name for field in fields(row_type)
        ]
        assert parquet.num_rows == len(lines)
        for line, row in zip(lines, parquet.to_pylist(), strict=True):
            for column, value in row.items():
                text = "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
                if isinstance(value, datetime):
                    text = f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03d}Z"
                assert line[column] == text


def test_utc_times_follow_scene_times_where_the_date_is_known(tmp_path: Path) -> None:
    start = datetime(2026, 5, 12, 9, 0, tzinfo=timezone(timedelta(hours=2)))
    tables = tables_of([GlobalTrack(1, (passage(12.5),))], bin_s=60.0, start_utc=start)
    tables.write(tmp_path)
    [row] = table(tmp_path / "movements.csv")
    assert (row["enter_s"], row["enter_utc"]) == ("12.500", "2026-05-12T07:00:12.500Z")
    [row] = table(tmp_path / "turning_counts.csv")
    assert (row["bin_start_utc"], row["bin_end_utc"]) == ("2026-05-12T07:00:00.000Z", "2026-05-12T07:01:00.000Z")
    parquet = pq.read_table(tmp_path / "movements.parquet").to_pylist()
    assert parquet[0]["enter_utc"] == start + timedelta(seconds=12.5)

    late = tables_of([GlobalTrack(1, (passage(12.5),))], start_utc=start + timedelta(minutes=7))
    late.write(tmp_path)
    [row] = table(tmp_path / "turning_counts.csv")
    assert (row["bin_start_s"], row["bin_start_utc"]) == ("-420.000", "2026-05-12T07:00:00.000Z")


def passage(start_s: float) -> Passage:
    return Passage(tracklet(start_s=start_s), np.zeros(0, np.float32), "", "", np.full((10, 2), np.nan))


@pytest.mark.parametrize("bin_s", [0.0, -60.0, 0.99, math.inf, math.nan])
def test_a_bin_of_less_than_a_second_or_without_end_is_an_error(bin_s: float) -> None:
    with pytest.raises(ConfigError, match=f"expected a bin of 1 s or more, and of an end, got {bin_s:g} s"):
        tables_of([], bin_s=bin_s)


def test_files_that_a_run_no_longer_gives_are_removed(folder: Path, tmp_path: Path) -> None:
    """The place on Earth and the date were known to an earlier run in the same folder."""
    again, out = tmp_path / "run", tmp_path / "run" / "traffic"
    shutil.copytree(folder, again)
    count_run(again)
    stale = ["trajectories_wgs84.parquet", "trajectories.geojson", "otanalytics_counts.csv", "otanalytics_events.csv"]
    assert [name for name in stale if (out / name).exists()] == stale
    manifest = json.loads((again / "run.json").read_text())
    for key in ("origins", "start_utc"):
        del manifest["place"]["scene"][key]
    (again / "run.json").write_text(json.dumps(manifest))
    count_run(again)
    assert not [name for name in stale if (out / name).exists()]


def test_times_beyond_the_calendar_are_one_sentence() -> None:
    """A start_s in milliseconds since 1970 is about 54,000 years."""
    start = datetime(2026, 5, 12, 7, tzinfo=timezone.utc)
    assert utc_of(start, 90.5) == datetime(2026, 5, 12, 7, 1, 30, 500_000, tzinfo=timezone.utc)
    with pytest.raises(
        SceneError, match=r"second 1\.7e\+12 after 2026-05-12T07:00:00\+00:00 is no date.*check start_utc"
    ):
        columns_of(movements_of([GlobalTrack(1, (passage(1.7e12),))]), Movement, start)


def test_the_page_describes_every_column() -> None:
    page = (ROOT / "docs" / "traffic.md").read_text()
    for name, row_type in ROW_TYPES.items():
        section = re.split(r"\n## ", page.split(f"`{name}.csv`", 1)[1])[0]
        for field in fields(row_type):
            assert f"`{field.name}`" in section, f"{name}: {field.name}"


def test_files_of_other_programs_hold_the_movements_of_the_run(folder: Path) -> None:
    main(["count", str(folder), "--out", str(folder / "files")])
    features = json.loads((folder / "files" / "trajectories.geojson").read_text())["features"]
    assert [feature["properties"]["camera"] for feature in features] == ["a", "b"] * 3
    for feature in features:
        longitude, latitude = np.array(feature["geometry"]["coordinates"]).T
        east_m, north_m = (longitude - 10) * 55_800, (latitude - 60) * 111_412  # meters per degree at 60° (WGS 84)
        assert east_m.min() > 3.0
        assert east_m.max() < 62.0
        assert np.diff(east_m) / np.diff(feature["properties"]["time_s"]) == pytest.approx(10.0, rel=0.02)  # 36 km/h
        assert north_m == pytest.approx(23.0, abs=0.02)
    assert pq.read_table(folder / "files" / "trajectories_wgs84.parquet").num_rows == 6
    events = table(folder / "files" / "otanalytics_events.csv")
    assert [event["event_type"] for event in events].count("section-enter") == 12
    assert min(event["occurrence"] for event in events) == "2026-05-12 07:00:00.000000"


def test_a_run_without_links_tells_no_estimates(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "run")
    (tmp_path / "run" / "results" / "links.parquet").unlink()
    main(["count", str(tmp_path / "run")])
    for name in ("turning_counts", "od_matrix", "travel_times"):
        rows = table(tmp_path / "run" / "traffic" / f"{name}.csv")
        assert rows
        assert {(r["vehicles_estimate"], r["vehicles_low"], r["vehicles_high"]) for r in rows} == {("", "", "")}
