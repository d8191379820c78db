"""From paths to reports."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from mtmc.errors import ConfigError, FormatError, MtmcError
from mtmc.evaluate import evaluate_files
from mtmc.evaluate.cameras import parse_cameras
from mtmc.evaluate.load import load_pair, load_table
from mtmc.formats.mot import write_mot
from mtmc.formats.parquet import write_parquet
from mtmc.formats.table import Table
from mtmc.formats.track1 import write_track1


@pytest.fixture
def truth() -> Table:
    """Vehicles 1 and 2 in cameras 1 and 2, ten frames each."""
    rows = [(c, i, f) for c in (1, 2) for i in (1, 2) for f in range(10)]
    camera, identity, frame = np.array(rows).T
    left = 100.0 * identity + 3 * frame
    return Table.of(camera, identity, frame, np.stack([left, left, left + 40, left + 30], axis=1))


def write_folder(table: Table, folder: Path, name: str) -> Path:
    for camera in np.unique(table.camera):
        write_mot(table[table.camera == camera], folder / name.format(camera))
    return folder


def test_all_layouts_give_the_same_scores(tmp_path: Path, truth: Table) -> None:
    write_track1(truth, tmp_path / "truth.txt")
    write_parquet(truth, tmp_path / "truth.parquet")
    flat = write_folder(truth, tmp_path / "flat", "c{:03d}.txt")
    deep = write_folder(truth, tmp_path / "deep", "S01/c{:03d}/gt/gt.txt")
    (deep / "S01" / "c001" / "det").mkdir()
    (deep / "S01" / "c001" / "det" / "det.txt").write_text("not to be read")
    for path in (tmp_path / "truth.parquet", flat, deep):
        result = evaluate_files(tmp_path / "truth.txt", path)
        assert result.protocol == "aicity"
        assert result.overall.idf1 == result.overall.hota == 1.0
        assert sorted(result.per_camera) == [1, 2]


def test_single_files_meet_in_one_camera(tmp_path: Path, truth: Table) -> None:
    second = truth[truth.camera == 2]
    write_track1(second, tmp_path / "all.txt")
    write_mot(second, tmp_path / "plain.txt")
    write_mot(second, tmp_path / "c002" / "gt" / "gt.txt")
    for a, b in (
        ("all", "plain"),
        ("plain", "all"),
        ("plain", "plain"),
        ("c002/gt/gt", "plain"),
        ("all", "c002/gt/gt"),
    ):
        result = evaluate_files(tmp_path / f"{a}.txt", tmp_path / f"{b}.txt")
        assert result.protocol == "plain"
        assert result.overall.idf1 == 1.0


def test_boxes_not_to_be_considered_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("1,1,0,0,10,10,1,1,1\n1,2,50,50,10,10,0,1,1\n")
    (tmp_path / "result.txt").write_text("1,5,0,0,10,10,1,-1,-1,-1\n")
    assert evaluate_files(tmp_path / "gt.txt", tmp_path / "result.txt").overall.idf1 == 1.0


def test_cameras_and_protocols(tmp_path: Path, truth: Table) -> None:
    write_track1(truth, tmp_path / "truth.txt")
    write_track1(truth[(truth.camera == 1) | (truth.id == 1)], tmp_path / "result.txt")
    paths = tmp_path / "truth.txt", tmp_path / "result.txt"
    plain = evaluate_files(*paths, protocol="plain")
    assert (plain.overall.idtp, plain.overall.idfn) == (30, 10)
    official = evaluate_files(*paths, protocol="aicity")
    assert (official.overall.idtp, official.overall.idfn) == (20, 20)
    assert official.per_camera[1].idtp == 10
    one = evaluate_files(*paths, cameras="1", protocol="plain")
    assert one.overall.idf1 == 1.0
    assert one.notes == ("10 predicted boxes left out: in cameras that do not count",)
    assert evaluate_files(*paths, cameras="2", protocol="aicity").overall.idtp == 10
    with pytest.raises(
        ConfigError, match="expected cameras with ground truth, got none; there is some of c001, c002"
    ):
        evaluate_files(*paths, cameras="S06")
    with pytest.raises(ConfigError, match="expected a protocol among auto, aicity, plain, mot, got best"):
        evaluate_files(*paths, protocol="best")
    with pytest.raises(ConfigError, match="plain protocol knows no regions"):
        evaluate_files(*paths, protocol="plain", roi=tmp_path)


def test_reports(tmp_path: Path, truth: Table) -> None:
    write_track1(truth, tmp_path / "truth.txt")
    files = {"json_path": tmp_path / "out" / "a.json", "csv_path": tmp_path / "out" / "a.csv"}
    result = evaluate_files(tmp_path / "truth.txt", tmp_path / "truth.txt", metrics=["identity"], **files)
    lines = result.text().splitlines()
    assert lines[0] == "Protocol aicity, IoU at least 0.5, in percent"
    assert [line.split()[0] for line in lines[-4:]] == ["camera", "c001", "c002", "all"]
    assert lines[-1].split() == ["all", "100.00", "100.00", "100.00", "–", "–", "–", "–", "40", "0", "0", "–"]
    ends = [[word.end() for word in re.finditer(r"\S+", line)] for line in lines[-4:]]
    assert all(line_ends[1:] == ends[0][1:] for line_ends in ends)  # figures are aligned on the right
    assert [line[0] for line in lines[-4:]] == ["c", "c", "c", "a"]  # and names on the left
    loaded = json.loads(files["json_path"].read_text())
    assert loaded["overall"]["idf1"] == 1.0
    assert loaded["overall"]["hota"] is None
    assert loaded["per_camera"]["2"]["idtp"] == 20
    rows = list(csv.DictReader(files["csv_path"].read_text().splitlines()))
    assert [row["camera"] for row in rows] == ["c001", "c002", "all"]
    assert (rows[2]["idtp"], rows[2]["mota"]) == ("40", "")


def test_unusable_inputs(tmp_path: Path, truth: Table) -> None:
    write_track1(truth, tmp_path / "truth.txt")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "folder").mkdir()
    found = evaluate_files(tmp_path / "truth.txt", tmp_path / "empty.txt")
    assert (found.overall.idf1, found.overall.idfn) == (0.0, 40)
    with pytest.raises(FormatError, match=r"empty\.txt: expected ground truth, got no rows"):
        load_pair(tmp_path / "empty.txt", tmp_path / "truth.txt")
    with pytest.raises(FormatError, match="expected a folder with a file for each camera"):
        load_table(tmp_path / "folder")
    with pytest.raises(FormatError, match="no such file"):
        load_table(tmp_path / "none.txt")
    write_track1(truth.with_columns(camera=truth.camera + 6), tmp_path / "other.txt")
    with pytest.raises(FormatError, match="got ground truth of c001, c002 and predictions of c007, c008"):
        load_pair(tmp_path / "truth.txt", tmp_path / "other.txt")
    write_mot(truth[truth.camera == 1], tmp_path / "folder" / "c001.txt")
    write_mot(truth[truth.camera == 1], tmp_path / "folder" / "old" / "c001.txt")
    with pytest.raises(FormatError, match="expected one file of camera c001, got two"):
        load_table(tmp_path / "folder")
    with pytest.raises(MtmcError, match="cannot write"):
        evaluate_files(tmp_path / "truth.txt", tmp_path / "truth.txt", json_path=tmp_path / "folder")


def test_camera_lists() -> None:
    assert parse_cameras("1-3, c005,S02") == (1, 2, 3, 5, 6, 7, 8, 9)
    assert len(parse_cameras("s01,S03,S04")) == 36
    for text in ("", "x", "5-1", "1--2", "S07"):
        with pytest.raises(ConfigError, match="list them as 1-5"):
            parse_cameras(text)
