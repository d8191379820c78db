"""Plain folders, and scene.yaml on top of them."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pytest

from mtmc.errors import SceneError
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Link, load_scenes
from mtmc.scene.plain import number_cameras
from tests.builders import traffic_frames, write_video


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "town"
    for name in ("north.mp4", "south.mkv"):
        write_video(home / name, traffic_frames(6))
    return home


def write_scene(folder: Path, text: str) -> Path:
    path = folder / "scene.yaml"
    path.write_text(textwrap.dedent(text))
    return path


def test_every_video_is_a_camera(folder: Path) -> None:
    (folder / "north_gt.txt").write_text("1,1,0,0,10,10,1,-1,-1,-1\n")
    (folder / "notes.txt").write_text("not a video")
    [scene] = load_scenes(folder)
    north, south = scene.cameras
    assert (scene.name, north.id, south.id) == ("town", "north", "south")
    assert (north.number, south.number) == (1, 2)
    assert (north.size_wh, north.clock) == ((160, 120), Clock(fps=10.0))
    assert north.ground_truth == folder / "north_gt.txt"
    assert south.ground_truth is None


def test_a_folder_of_numbered_images_is_a_camera(tmp_path: Path) -> None:
    import cv2

    (tmp_path / "cam7").mkdir()
    for index in (10, 9, 11):
        cv2.imwrite(str(tmp_path / "cam7" / f"frame_{index}.png"), np.zeros((40, 60, 3), np.uint8))
    [scene] = load_scenes(tmp_path)
    assert [(c.id, c.number, c.size_wh, c.clock.fps) for c in scene.cameras] == [("cam7", 7, (60, 40), 10.0)]


@pytest.mark.parametrize(
    ("ids", "numbers"),
    [
        (["c006", "c007"], [6, 7]),
        (["north", "south"], [1, 2]),
        (["a1", "b1"], [1, 2]),
        (["cam0", "cam1"], [0, 1]),
        (["cam1", "gate"], [1, 2]),
    ],
)
def test_camera_numbers(ids: list[str], numbers: list[int]) -> None:
    cameras = [Camera(id=name, number=0, clock=Clock(fps=10)) for name in ids]
    assert [camera.number for camera in number_cameras(cameras)] == numbers


def test_scene_yaml_adds_what_the_folder_cannot_know(folder: Path) -> None:
    write_scene(
        folder,
        """
        name: crossing
        cameras:
          - id: north
            start_s: 1.5
            fps: 9.33
            ground_from_image: [[0.1, 0, 0], [0, 0.1, 0], [0, 0, 1]]
            zones: [{name: west, polygon: [[0, 0], [10, 0], [10, 40]]}]
          - id: south
            time_map: [[0, 0.0], [99, 9.9], [100, 15.0]]
        links:
          - {from: [north, west], to: [south, ""], min_s: 2, max_s: 8}
        overrides:
          detect: {weights: motion}
        """,
    )
    [scene] = load_scenes(folder)
    north, south = scene.cameras
    assert scene.name == "crossing"
    assert north.clock == Clock(fps=9.33, start_s=1.5)
    assert north.video == folder / "north.mp4"
    assert north.zones[0].polygon.shape == (3, 2)
    assert south.clock.time_s(np.array([100])) == 15.0
    assert scene.links == (Link("north", "west", "south", "", 2.0, 8.0),)
    assert scene.overrides == {"detect": {"weights": "motion"}}


def test_model_files_beside_the_scene_become_full_paths(folder: Path) -> None:
    (folder / "weights").mkdir()
    (folder / "weights" / "d.onnx").write_bytes(b"x")
    write_scene(folder, "overrides: {detect: {weights: weights/d.onnx}}")
    [scene] = load_scenes(folder)
    assert scene.overrides["detect"]["weights"] == str((folder / "weights" / "d.onnx").resolve())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cameras: [{id: north, vdeo: x.mp4}]", r"scene\.yaml:1: unknown key cameras\.0\.vdeo; did you mean video\?"),
        (
            "cameras:\n  - id: north\n    fps: -3",
            r"scene\.yaml:3: cameras\.0\.fps: input should be greater than or equal to 0\.01",
        ),
        ("cameras: [{id: ghost}]", "camera ghost has no video, detections or tracklets"),
        (
            "cameras:\n  - id: north\n    ground_from_image: [[1, 0], [0, 1]]",
            r"scene\.yaml:3: ground_from_image: expected an invertible 3×3 matrix, got 2 rows of 2",
        ),
        (
            "cameras:\n  - id: north\n    time_map: [[5, 1.0], [4, 2.0]]",
            r"scene\.yaml:3: time_map: expected a time map whose frames and seconds both increase",
        ),
        (
            "links:\n  - {from: [north, x], to: [south, ''], min_s: 0, max_s: 1}",
            r"scene\.yaml:2: a link names zone x of camera north, which is not there; its zones are none",
        ),
        (
            "links:\n  - {from: [east, ''], to: [south, ''], min_s: 0, max_s: 1}",
            r"scene\.yaml:2: a link names camera east, which is not there; the cameras are north, south",
        ),
        ("cameras: [", r"scene\.yaml:\d: expected YAML"),
        ("start_utc: 2026-13-12T07:00:00Z", r"scene\.yaml: expected YAML: month must be in 1\.\.12"),
        ("- a\n- b", r"scene\.yaml:1: expected 'key: value' lines at the top level, got a list"),
    ],
)
def test_mistakes_name_file_line_and_remedy(folder: Path, text: str, message: str) -> None:
    write_scene(folder, text)
    with pytest.raises(SceneError, match=message):
        load_scenes(folder)


def test_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"found no camera.*put one video per camera into it"):
        load_scenes(tmp_path)
    with pytest.raises(SceneError, match="does not exist"):
        load_scenes(tmp_path / "nowhere")
