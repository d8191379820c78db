"""Which files and folders are cameras, what they are called, and which number they get."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtmc.errors import FormatError, SceneError
from mtmc.geometry.clock import Clock
from mtmc.pipeline.outputs import write_json
from mtmc.scene import Camera, Scene, load_scenes, write_scene
from mtmc.scene.names import camera_files, number_names
from mtmc.scene.sceneyaml import restore
from mtmc.scene.write import content_of
from tests.builders import traffic_frames, write_video

DETECTION = "1,-1,10,20,30,40,0.9,-1,-1,-1\n"


def pictures(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        cv2.imwrite(str(folder / name), np.zeros((40, 60, 3), np.uint8))


def cameras(folder: Path) -> dict[str, int]:
    [scene] = load_scenes(folder)
    return {camera.id: camera.number for camera in scene.cameras}


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["c006", "c007"], [6, 7]),
        (["ch0", "ch1"], [0, 1]),
        (["c001", "north"], [1, 2]),
        (["north", "south", "cam1"], [2, 3, 1]),
        (["a1", "b1", "c2"], [1, 3, 2]),
        (["cam_20230501120000123456788", "cam_20230501120000123456789"], [1, 2]),
        (["cam_20230501", "x"], [20230501, 1]),
        (["007", "7"], [1, 2]),
        (["cam٣", "c3"], [1, 3]),  # digits of other scripts are letters here
    ],
)
def test_numbers(names: list[str], numbers: list[int]) -> None:
    assert [number_names(names)[name] for name in names] == numbers
    assert number_names(names[::-1]) == number_names(names)


def test_given_numbers_are_kept() -> None:
    assert number_names(["a", "c001", "c002"], {"a": 1}) == {"a": 1, "c001": 3, "c002": 2}


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30), min_size=1, max_size=8, unique=True))
def test_every_name_gets_a_number_that_files_can_hold(names: list[str]) -> None:
    numbers = number_names(names)
    assert sorted(numbers) == sorted(names)
    assert len(set(numbers.values())) == len(names)
    assert all(0 <= number < 10**9 for number in numbers.values())


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    st.sampled_from([None, 1, 60]),
)
def test_what_a_run_writes_of_its_scene_can_be_read(names: list[str], frames: int | None) -> None:
    numbers = number_names(names)
    made = tuple(Camera(name, numbers[name], Clock(10), frame_count=frames) for name in sorted(names))
    content = json.loads(json.dumps(content_of(Scene("town", Path("/town"), made), Path("/town"))))
    again = restore(content, Path("/town"))
    assert [(c.id, c.number, c.frame_count) for c in again.cameras] == [(c.id, c.number, frames) for c in made]


def test_folders_of_other_pictures_are_no_cameras(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("c001.mp4", "c002.mp4"):
        write_video(tmp_path / name, traffic_frames(4))
    pictures(tmp_path / "ROIs", "c001.png", "c002.png")
    pictures(tmp_path / "areas", "c001.png", "c002_inner.png")
    pictures(tmp_path / "boards2", "img_01.png", "img_02.png")
    pictures(tmp_path / "c001", "0001.png", "0002.png")  # frames of that video
    pictures(tmp_path / "c003", "0001.png", "0002.png")
    pictures(tmp_path / ".ipynb_checkpoints", "0001.png")
    pictures(tmp_path / "@eaDir", "0001.png")
    (tmp_path / "._c001.mp4").write_bytes(b"x")
    (tmp_path / ".hidden.mp4").write_bytes(b"x")
    assert cameras(tmp_path) == {"c001": 1, "c002": 2, "c003": 3}
    said = [record.getMessage() for record in caplog.records if record.name == "mtmc.scene.plain"]
    assert [Path(text.split(":")[0]).name for text in said] == ["@eaDir", "ROIs", "areas", "boards2", "c001"]


def test_among_folders_of_images_helpers_are_no_cameras(tmp_path: Path) -> None:
    for name in ("cam0", "cam1"):
        pictures(tmp_path / name, f"{name}_0001.jpg", f"{name}_0002.jpg")
    pictures(tmp_path / "masks", "cam0.png", "cam1.png")
    pictures(tmp_path / "Calibration", "board_1.png")
    assert cameras(tmp_path) == {"cam0": 0, "cam1": 1}


def test_videos_that_are_not_read_and_broken_links_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_video(tmp_path / "north.mp4", traffic_frames(4))
    for name in ("south.mpg", "east.WMV", "west.dav", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "roof.mp4").symlink_to(tmp_path / "gone.mp4")
    assert cameras(tmp_path) == {"north": 1}
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "south.mpg: left out: videos of this type are not read; convert it to one of avi, m4v," in said
    assert "east.WMV: left out" in said
    assert "west.dav: left out" in said
    assert "roof.mp4: left out: a link to" in said
    assert "notes" not in said


def test_a_single_video_is_a_scene(tmp_path: Path) -> None:
    write_video(tmp_path / "cam 3.mp4", traffic_frames(4))
    write_video(tmp_path / "other.mp4", traffic_frames(4))
    (tmp_path / "cam 3_gt.txt").write_text(DETECTION)
    [scene] = load_scenes(tmp_path / "cam 3.mp4")
    assert [(c.id, c.number, c.ground_truth) for c in scene.cameras] == [("cam 3", 3, tmp_path / "cam 3_gt.txt")]
    assert (scene.name, scene.root) == ("cam 3", tmp_path)


def test_a_folder_that_holds_the_images_itself_is_a_scene(tmp_path: Path) -> None:
    pictures(tmp_path / "cam5", "0001.jpg", "0002.jpg")
    assert cameras(tmp_path / "cam5") == {"cam5": 5}


def test_pictures_beside_a_scene_file_are_no_camera_unless_it_lists_one(tmp_path: Path) -> None:
    folder = tmp_path / "cam5"
    pictures(folder, "0001.jpg", "0002.jpg")
    (folder / "east.txt").write_text(DETECTION)
    east = "{id: east, number: 4, detections: [east.txt], fps: 10, frame_count: 60, size_wh: [640, 480]}"
    (folder / "scene.yaml").write_text(f"cameras:\n  - {east}\n")
    assert cameras(folder) == {"east": 4}
    (folder / "scene.yaml").write_text(f"cameras:\n  - {east}\n  - {{id: cam5}}\n")
    assert cameras(folder) == {"cam5": 5, "east": 4}


@pytest.mark.parametrize("address", ["rtsp://10.0.0.1/stream", "http://x/y.m3u8", "rtsp:/10.0.0.1/stream"])
def test_an_address_is_no_folder(address: str) -> None:
    with pytest.raises(SceneError, match=r"got the address of a stream, .*record it to a file first"):
        load_scenes(Path(address))


@pytest.mark.parametrize("inside", ["lost+found", "c003", "cam9"])
def test_a_folder_that_may_not_be_read_is_no_camera(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    write_video(tmp_path / "north.mp4", traffic_frames(4))
    (tmp_path / inside).mkdir()
    real_iterdir, real_stat = Path.iterdir, Path.stat

    def iterdir(self: Path) -> object:
        if self.name == inside:
            raise PermissionError(13, "Permission denied", str(self))
        return real_iterdir(self)

    def stat(self: Path, **options: bool) -> object:
        if self.parent.name == inside:
            raise PermissionError(13, "Permission denied", str(self))
        return real_stat(self, **options)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    monkeypatch.setattr(Path, "stat", stat)
    assert cameras(tmp_path) == {"north": 1}


def test_a_scene_that_may_not_be_read_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> object:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(SceneError, match=r"cannot read this folder .Permission denied."):
        load_scenes(tmp_path)


def test_a_written_scene_gets_along_with_folders_of_images(tmp_path: Path) -> None:
    """Cameras that a scene file does not list get numbers beside those it gives."""
    pictures(tmp_path / "cam1", "0001.jpg")
    write_video(tmp_path / "north.mp4", traffic_frames(4))
    write_scene(
        Scene("town", tmp_path, (Camera("north", 1, Clock(10), video=tmp_path / "north.mp4"),)),
        tmp_path / "scene.yaml",
    )
    (tmp_path / "scene.yaml").write_text((tmp_path / "scene.yaml").read_text() + "- {id: cam1, video: cam1}\n")
    assert cameras(tmp_path) == {"cam1": 2, "north": 1}


def test_camera_files(tmp_path: Path) -> None:
    for name in ("north.txt", "south gate.txt", "north_det.txt", ".hidden.txt", "old/west.txt", "notes.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(DETECTION)
    assert list(camera_files(tmp_path)) == ["north", "south gate"]
    (tmp_path / "c001.txt").write_text(DETECTION)
    assert list(camera_files(tmp_path)) == ["c001"]
    (tmp_path / "north_gt.txt").write_text(DETECTION)
    assert list(camera_files(tmp_path)) == ["north"]
    (tmp_path / "east" / "gt").mkdir(parents=True)
    (tmp_path / "east" / "gt" / "gt.txt").write_text(DETECTION)
    assert list(camera_files(tmp_path)) == ["east"]
    with pytest.raises(FormatError, match="expected a folder with a file for each camera, got none"):
        camera_files(tmp_path / "nowhere")


def test_a_name_that_is_not_utf8_is_its_cameras_problem(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "north.mp4", traffic_frames(4))
    (folder / "north.mp4").with_name(os.fsdecode(b"caf\xe9.mp4")).write_bytes((folder / "north.mp4").read_bytes())
    [scene] = load_scenes(folder)
    assert [camera.id for camera in scene.cameras] == ["caf\ufffd", "north"]
    assert "expected a name in UTF-8, got caf\ufffd.mp4; rename" in scene.cameras[0].problem
    assert not scene.cameras[1].problem


def test_a_run_below_a_folder_that_is_not_utf8_keeps_its_paths(tmp_path: Path) -> None:
    root = os.fsdecode(b"/data/\xe9")
    assert json.loads(write_json({"root": root, "name": "\xe9"}, tmp_path / "run.json").read_text("utf-8")) == {
        "root": root,
        "name": "\xe9",
    }


def test_a_camera_folder_of_another_name_is_noted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("c006", "c7"):
        (tmp_path / "S02" / name / "det").mkdir(parents=True)
        (tmp_path / "S02" / name / "det" / "det.txt").write_text(DETECTION)
    assert cameras(tmp_path) == {"c006": 6}
    assert "c7: left out" in caplog.text
    assert "c006: left out" not in caplog.text
