"""The CityFlow layout: clocks, frame counts and calibration from wherever a release puts them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtmc.errors import SceneError
from mtmc.geometry.boxes import bottom_center
from mtmc.geometry.ground import project
from mtmc.scene import load_scenes
from mtmc.scene.cityflow import read_calibration


def make_scenario(root: Path, name: str = "S02", cameras: tuple[str, ...] = ("c006", "c007")) -> Path:
    for camera in cameras:
        (root / name / camera / "det").mkdir(parents=True)
        (root / name / camera / "det" / "det_yolo3.txt").write_text("1,-1,10,20,30,40,0.9,-1,-1,-1\n")
    return root / name


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_clock_files_are_found_at_any_depth(tmp_path: Path, depth: int) -> None:
    scenario = make_scenario(tmp_path / "root" / "train")
    home = [scenario, scenario.parent, scenario.parent.parent][depth]
    for kind, text in (("cam_timestamp", "c006 0\nc007 0.061\n"), ("cam_framenum", "c006 2110\nc007 1965\n")):
        (home / kind).mkdir()
        (home / kind / "S02.txt").write_text(text)
    [scene] = load_scenes(scenario)
    assert [(c.id, c.number, c.clock.start_s, c.frame_count) for c in scene.cameras] == [
        ("c006", 6, 0.0, 2110),
        ("c007", 7, 0.061, 1965),
    ]
    assert [c.detections[0].name for c in scene.cameras] == ["det_yolo3.txt"] * 2


def test_a_tree_gives_one_scene_per_scenario(tmp_path: Path) -> None:
    make_scenario(tmp_path / "train", "S01", ("c001",))
    make_scenario(tmp_path / "validation", "S02")
    assert [(scene.name, len(scene.cameras)) for scene in load_scenes(tmp_path)] == [("S01", 1), ("S02", 2)]


def test_c015_of_s03_runs_at_eight_frames_a_second(tmp_path: Path) -> None:
    [scene] = load_scenes(make_scenario(tmp_path, "S03", ("c014", "c015")))
    assert [camera.clock.fps for camera in scene.cameras] == [10.0, 8.0]


def test_a_malformed_clock_is_a_problem_of_its_camera_alone(tmp_path: Path) -> None:
    scenario = make_scenario(tmp_path)
    (scenario / "cam_timestamp").mkdir()
    (scenario / "cam_timestamp" / "S02.txt").write_text("c006 0.5\nc007 soon\n")
    [scene] = load_scenes(scenario)
    good, bad = scene.cameras
    assert (good.problem, good.clock.start_s) == ("", 0.5)
    said = r"S02\.txt:2: expected 'camera number' such as 'c006 0\.061', got 'c007 soon'"
    assert re.search(said, bad.problem)
    (scenario / "cam_timestamp" / "S02.txt").write_text("c006 0.5\nwhat is this\n")
    with pytest.raises(SceneError, match=r"S02\.txt:2: expected 'camera number'.*got 'what is this'"):
        load_scenes(scenario)


def write_matrix(path: Path, matrix: np.ndarray, prefix: str = "") -> Path:
    path.write_text(prefix + ";".join(" ".join(f"{v!r}" for v in row) for row in matrix.tolist()) + "\n")
    return path


@pytest.mark.parametrize("prefix", ["", "Homography matrix: "])
@pytest.mark.parametrize("inverted", [False, True])
def test_calibration_is_read_in_either_direction(
    tmp_path: Path, prefix: str, inverted: bool, shared: Callable[[str], Path]
) -> None:
    path = shared("data/aicity/calibration/c001/calibration.txt")
    gps_from_image = read_calibration(path)
    matrix = gps_from_image if inverted else np.linalg.inv(gps_from_image)
    again = read_calibration(write_matrix(tmp_path / "calibration.txt", matrix, prefix))
    point = project(np.array([900.0, 600.0]), again)
    np.testing.assert_allclose(point, project(np.array([900.0, 600.0]), gps_from_image), atol=1e-9)
    np.testing.assert_allclose(point, [42.525, -90.723], atol=2e-3)  # S01's place, as the data set gives it


@pytest.mark.parametrize(
    ("text", "came"),
    [
        ("1 0 0;0 1 0\n", "got 2 rows of 3"),
        ("1 0;0 1;0 0\n", "got 3 rows of 2"),
        ("1 0 x;0 1 0;0 0 1\n", "got 3 rows of 3"),
        ("1 2 3;2 4 6;0 0 1\n", "got a singular matrix"),
        ("0 0 0;0 0 0;0 0 0\n", "got a singular matrix"),
        ("1 0 5000;0 1 5000;0 0 1\n", "neither direction maps the picture to one place"),
        ("", "got 1 rows of 0"),
    ],
)
def test_bad_calibration_is_refused(tmp_path: Path, text: str, came: str) -> None:
    path = tmp_path / "calibration.txt"
    path.write_text(text)
    with pytest.raises(SceneError, match=came):
        read_calibration(path)


def test_ground_positions_of_two_cameras_agree(tmp_path: Path, shared: Callable[[str], Path]) -> None:
    from mtmc.formats.track1 import read_track1

    truth = read_track1(shared("data/aicity/ground_truth_train_v2.txt"))
    for camera in ("c001", "c002"):
        folder = tmp_path / "S01" / camera
        (folder / "gt").mkdir(parents=True)
        (folder / "calibration.txt").write_text(
            shared(f"data/aicity/calibration/{camera}/calibration.txt").read_text()
        )
    starts = shared("data/aicity/cam_timestamp")
    (tmp_path / "cam_timestamp").symlink_to(starts)
    [scene] = load_scenes(tmp_path / "S01")
    places: list[dict[tuple[int, int], np.ndarray]] = []
    for camera in scene.cameras:
        rows = truth[truth.camera == camera.number]
        ground = project(bottom_center(rows.xyxy), camera.ground_from_image)
        tenths = np.rint(camera.clock.time_s(rows.frame) * 10).astype(int)
        places.append({(i, t): g for i, t, g in zip(rows.id.tolist(), tenths.tolist(), ground, strict=True)})
    both = sorted(places[0].keys() & places[1].keys())
    distances = [float(np.linalg.norm(places[0][key] - places[1][key])) for key in both]
    assert len(both) > 400
    assert 2.0 < float(np.median(distances)) < 9.0
