"""One idea of a camera's name for what is scored, whatever the cameras are called and wherever their files lie."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mtmc.errors import FormatError
from mtmc.evaluate import evaluate_files
from mtmc.evaluate.load import load_pair, load_scene_truth, load_truth
from mtmc.formats.mot import write_mot
from mtmc.formats.table import Table
from mtmc.formats.track1 import write_track1
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera

NAMES = ("cam 0", "north gate", "süd")
NUMBERS = (0, 1, 2)  # the digits that a name ends in, else the lowest free number from 1


@pytest.fixture
def rows() -> Table:
    """Vehicles 1 to 3, of which 3 is seen by the last camera alone, ten frames each."""
    kept = [(c, i, f) for c in NUMBERS for i in (1, 2, 3) for f in range(10) if i < 3 or c == 2]
    camera, identity, frame = np.array(kept).T
    left = 100.0 * identity + 3 * frame
    return Table.of(camera, identity, frame, np.stack([left, left, left + 40, left + 30], axis=1))


@pytest.fixture
def scene(tmp_path: Path, rows: Table) -> Path:
    """A scene of detections whose cameras have such names, with ground truth and one region of interest."""
    folder = tmp_path / "town"
    folder.mkdir()
    lines = ["cameras:"]
    for number, name in zip(NUMBERS, NAMES, strict=True):
        write_mot(rows[rows.camera == number], folder / f"{name}_gt.txt")
        write_mot(rows[rows.camera == number], folder / f"{name}_det.txt")
        lines.append(f"  - {{id: {name!r}, detections: [{name}_det.txt], ground_truth: {name}_gt.txt}}")
    (folder / "scene.yaml").write_text("\n".join(lines), encoding="utf-8")
    return folder


def by_name(rows: Table, folder: Path, pattern: str) -> Path:
    for number, name in zip(NUMBERS, NAMES, strict=True):
        write_mot(rows[rows.camera == number], folder / pattern.format(name))
    return folder


@pytest.mark.parametrize("pattern", ["{}.txt", "{}_gt.txt", "{}/gt/gt.txt", "x/{}/gt.txt", "data/{}.txt"])
def test_folders_are_matched_by_name(tmp_path: Path, rows: Table, scene: Path, pattern: str) -> None:
    folder = by_name(rows, tmp_path / "result", pattern)
    write_track1(rows, tmp_path / "track1.txt")
    for truth, predicted in ((scene, folder), (folder, folder), (folder, tmp_path / "track1.txt")):
        result = evaluate_files(truth, predicted, protocol="plain")
        assert result.overall.idf1 == 1.0
        assert [line.split("  ")[0] for line in result.text().splitlines()[-4:]] == [*NAMES, "all"]
        assert result.as_dict()["per_camera"]["2"]["name"] == "süd"
    assert evaluate_files(scene, folder, cameras="north gate", protocol="plain").overall.idtp == 20


def test_a_result_with_fewer_or_more_cameras(tmp_path: Path, rows: Table, scene: Path) -> None:
    folder = by_name(rows[rows.camera != 0], tmp_path / "result", "{}.txt")
    (folder / "cam 0.txt").unlink()
    write_mot(rows[rows.camera == 1], folder / "another.txt")
    result = evaluate_files(scene, folder, protocol="plain")
    assert (result.overall.idtp, result.overall.idfn) == (50, 20)
    assert result.notes == ("20 predicted boxes left out: in cameras that do not count",)


def test_a_single_file_is_matched_by_its_name(tmp_path: Path, rows: Table, scene: Path) -> None:
    write_mot(rows[rows.camera == 1], tmp_path / "north gate.txt")
    result = evaluate_files(scene, tmp_path / "north gate.txt", protocol="plain")
    assert result.per_camera[1].idf1 == 1.0
    assert result.per_camera[2].idtp == 0
    write_mot(rows[rows.camera == 1], tmp_path / "elsewhere_gt.txt")
    with pytest.raises(
        FormatError, match="ground truth of cam 0, north gate, süd and predictions of elsewhere"
    ) as error:
        evaluate_files(scene, tmp_path / "elsewhere_gt.txt")
    assert str(error.value).endswith(
        "predictions of elsewhere; "
        "give files of the same cameras; one of a single camera is named like it, such as c006.txt"
    )


def test_the_scenes_regions_of_interest_count(tmp_path: Path, rows: Table, scene: Path) -> None:
    """As in a run: where the truth is a scene's, its regions filter the predictions unless others are given."""
    roi = np.full((400, 400), 255, np.uint8)
    roi[:, :150] = 0
    cv2.imwrite(str(scene / "roi.png"), roi)
    text = (
        (scene / "scene.yaml")
        .read_text(encoding="utf-8")
        .replace("{id: 'north gate'", "{roi: roi.png, id: 'north gate'")
    )
    (scene / "scene.yaml").write_text(text, encoding="utf-8")
    write_track1(rows, tmp_path / "track1.txt")
    result = evaluate_files(scene, tmp_path / "track1.txt")
    assert result.protocol == "aicity"
    assert result.notes[:2] == (
        "regions of interest are the scene's, of 1 camera",
        "10 of 70 predicted boxes dropped: outside the region of interest",  # vehicle 1 in "north gate"
    )
    (tmp_path / "rois" / "cam 0").mkdir(parents=True)
    for name in ("north gate.png", "süd_roi.png", "cam 0/roi.png"):
        cv2.imwrite(str(tmp_path / "rois" / name), np.full((400, 400), 255, np.uint8))
    result = evaluate_files(scene, tmp_path / "track1.txt", roi=tmp_path / "rois")
    assert result.notes[0] == "0 of 70 predicted boxes dropped: outside the region of interest"
    (tmp_path / "rois" / "süd_roi.png").unlink()
    with pytest.raises(FormatError, match=r"got none for süd; add an image such as süd\.png or süd/roi.jpg"):
        evaluate_files(scene, tmp_path / "track1.txt", roi=tmp_path / "rois")


def test_truth_gets_the_numbers_of_a_scene(tmp_path: Path, rows: Table) -> None:
    cameras = [Camera(name, 7 + k, Clock(10)) for k, name in enumerate(NAMES)]
    folder = by_name(rows, tmp_path / "truth", "{}.txt")
    truth = load_truth(folder, cameras)
    assert np.unique(truth.table.camera).tolist() == [7, 8, 9]
    assert truth.table.id[truth.table.camera == 9].max() == 3
    assert np.unique(load_truth(folder / "süd.txt", cameras).table.camera).tolist() == [9]
    write_mot(rows[rows.camera == 1], tmp_path / "any.txt")
    assert np.unique(load_truth(tmp_path / "any.txt", cameras[:1]).table.camera).tolist() == [7]


def test_flagged_rows_count_in_no_layout(tmp_path: Path) -> None:
    text = "1,1,0,0,10,10,1,1,1\n1,2,50,50,10,10,0,1,1\n1,-1,50,50,10,10,1,1,1\n"
    for path in ("one.txt", "many/c001.txt", "S01/c001/gt/gt.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "c001.txt").write_text("1,5,0,0,10,10,1,-1,-1,-1\n")
    for path in ("one.txt", "many", "S01", "S01/c001/gt/gt.txt"):
        truth, _ = load_pair(tmp_path / path, tmp_path / "c001.txt")
        assert (truth.table.id.tolist(), np.unique(truth.table.camera).tolist()) == ([1], [1]) or path == "one.txt"
        assert evaluate_files(tmp_path / path, tmp_path / "c001.txt").overall.idf1 == 1.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected ground truth, got no rows; write one line per box, or leave this ground truth out"),
        ("1,1,0,0,9,9,0\n2,1,0,0,9,9,0\n", "got 2 rows that all have a 0 in the seventh column"),
        ("1,-1,0,0,9,9,1\n2,-1,0,0,9,9,1\n", "got 2 rows that all have the identity −1"),
    ],
)
def test_truth_without_a_row_that_counts(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt" / "c001.txt").write_text(text)
    (tmp_path / "c001.txt").write_text("1,5,0,0,10,10,1\n")
    for path in ("gt", "gt/c001.txt"):
        with pytest.raises(FormatError, match=says):
            evaluate_files(tmp_path / path, tmp_path / "c001.txt")


def test_frames_that_count_from_zero(tmp_path: Path, rows: Table) -> None:
    from_one = tmp_path / "c001.txt"
    write_mot(rows[rows.camera == 1], from_one)
    lines = from_one.read_text().splitlines()
    shifted = [",".join([str(int(line.split(",")[0]) - 1), *line.split(",")[1:]]) for line in lines]
    (tmp_path / "zero.txt").write_text("\n".join(shifted))
    with pytest.raises(FormatError, match=r"a whole frame number from 1, got 0.*--pred-offset 1"):
        evaluate_files(from_one, tmp_path / "zero.txt")
    assert evaluate_files(from_one, tmp_path / "zero.txt", predicted_offset=1).overall.idf1 == 1.0
    assert evaluate_files(tmp_path / "zero.txt", from_one, truth_offset=1).overall.idf1 == 1.0
    assert evaluate_files(from_one, from_one, predicted_offset=1).overall.idf1 < 1.0


def test_numbers_that_a_scene_states_are_kept(tmp_path: Path, rows: Table) -> None:
    lines = ["cameras:"]
    for number, name in ((7, "cam 1"), (4, "cam 2")):
        write_mot(rows[rows.camera == 1], tmp_path / f"{name}_gt.txt")
        lines.append(
            f"  - {{id: {name}, number: {number}, detections: [{name}_gt.txt], ground_truth: {name}_gt.txt}}"
        )
    (tmp_path / "scene.yaml").write_text("\n".join(lines), encoding="utf-8")
    truth = load_scene_truth(tmp_path)
    assert truth is not None
    assert truth.names == {7: "cam 1", 4: "cam 2"}
    assert sorted(set(truth.table.camera.tolist())) == [4, 7]
