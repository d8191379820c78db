"""Files beside the videos: byte order marks, one camera's malformed file, and the MOT challenge's layout."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtmc.cli import main
from mtmc.errors import SceneError
from mtmc.scene import load_scenes

MARK = "\ufeff"
DETECTIONS = "".join(f"{f},-1,{10 + 4 * f},20,40,30,0.9,-1,-1,-1\n" for f in range(1, 31))
CALIBRATION = "1e5 0 -4e6;0 1e5 9e6;0 0 1\n"


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    for camera in ("c006", "c007", "c008"):
        (tmp_path / "S02" / camera / "det").mkdir(parents=True)
        (tmp_path / "S02" / camera / "det" / "det.txt").write_text(DETECTIONS)
    for kind in ("cam_timestamp", "cam_framenum"):
        (tmp_path / kind).mkdir()
    return tmp_path / "S02"


@pytest.mark.parametrize("mark", ["", MARK])
def test_a_byte_order_mark_changes_nothing(scenario: Path, mark: str) -> None:
    texts = {"cam_timestamp": "c006 3.5\nc007 7.5\nc008 0\n", "cam_framenum": "c006 30\r\nc007 0\r\nc008 29\r\n"}
    for kind, text in texts.items():
        (scenario.parent / kind / "S02.txt").write_text(mark + text, encoding="utf-8", newline="")
    (scenario / "c006" / "calibration.txt").write_text(
        mark + "0.0001 0 42.5;0 0.0001 -90.7;0 0 1\n", encoding="utf-8"
    )
    (scenario / "c006" / "det" / "det.txt").write_text(mark + DETECTIONS, encoding="utf-8")
    [scene] = load_scenes(scenario)
    assert [(c.clock.start_s, c.frame_count, c.problem) for c in scene.cameras] == [
        (3.5, 30, ""),
        (7.5, None, ""),
        (0.0, 29, ""),
    ]
    assert scene.cameras[0].ground_from_image is not None
    (scenario / "scene.yaml").write_text(mark + "name: crossing\n", encoding="utf-8")
    assert load_scenes(scenario)[0].name == "crossing"


def test_a_camera_that_a_clock_file_does_not_list_is_named(scenario: Path, caplog: pytest.LogCaptureFixture) -> None:
    (scenario.parent / "cam_timestamp" / "S02.txt").write_text("c006 3.5\n")
    load_scenes(scenario)
    assert [r.getMessage().split("cam_timestamp")[1] for r in caplog.records] == ["/S02.txt: no line for c007, c008"]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("S02/c007/calibration.txt", "1 0;0 1\n", "expected an invertible 3×3 homography"),
        ("cam_timestamp/S02.txt", "c006 0\nc007 soon\nc008 1\n", r"S02\.txt:2: expected 'camera number'"),
        ("cam_timestamp/S02.txt", "c006 0\nc007 nan\nc008 1\n", "got 'c007 nan'"),
        ("cam_framenum/S02.txt", "c006 30\nc007\nc008 30\n", "got 'c007'"),
        ("cam_framenum/S02.txt", "c006 30\nc007 -5\nc008 30\n", r"S02\.txt:2: expected 'camera frames'.*'c007 -5'"),
        ("cam_framenum/S02.txt", "c006 30\nc007 29.5\nc008 30\n", "a whole number from 0, got 'c007 29.5'"),
        ("S02/scene.yaml", "cameras: [{id: c007, roi: none.png}]", "roi: there is no file none.png beside it"),
        ("S02/scene.yaml", "cameras: [{id: c007, video: none.mp4}]", "video: there is no file none.mp4 beside it"),
        ("S02/scene.yaml", "cameras: [{id: c007, detections: [a.txt]}]", "detections: there is no file a.txt"),
        ("S02/c007/roi.jpg", "no picture", "expected a region-of-interest image"),
        ("S02/c007/det/det.txt", "1,-1,ten\n", "expected 6 or 7"),
    ],
)
def test_one_cameras_malformed_file_stops_that_camera_alone(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, says: str
) -> None:
    (scenario.parent / name).write_text(text)
    out = tmp_path / "out"
    settings = ["--workers", "1", "-o", "render.report=false", "-o", "clean.filter.enabled=false"]
    assert main(["run", "--videos", str(scenario), "--out", str(out), *settings]) == 2
    said = capsys.readouterr().out
    [problem] = [line for line in said.splitlines() if line.startswith("mtmc: ")]
    assert problem.startswith("mtmc: c007: ")
    assert re.search(says, problem)
    cameras = {line.split()[0] for line in (out / "track1.txt").read_text().splitlines()}
    assert cameras == {"6", "8"}


def sequence(folder: Path, info: str, frames: int = 3) -> Path:
    (folder / "img1").mkdir(parents=True)
    for index in range(1, frames + 1):
        cv2.imwrite(str(folder / "img1" / f"{index:06d}.jpg"), np.zeros((24, 32, 3), np.uint8))
    for kind in ("gt", "det"):
        (folder / kind).mkdir()
        (folder / kind / f"{kind}.txt").write_text("1,1,10,20,5,5,1,1,1\n")
    (folder / "seqinfo.ini").write_text(info, encoding="utf-8")
    return folder


INFO = "[Sequence]\nname={}\nimDir=img1\nframeRate={}\nseqLength=3\nimWidth=32\nimHeight=24\nimExt=.jpg\n"


def test_sequences_of_the_mot_challenge(tmp_path: Path) -> None:
    first = sequence(tmp_path / "train" / "MOT17-02-FRCNN", INFO.format("MOT17-02-FRCNN", 30))
    sequence(tmp_path / "train" / "MOT17-05", MARK + INFO.format("MOT17-05", 14).replace("\n", "\r\n"))
    for where in (tmp_path, tmp_path / "train"):
        scenes = load_scenes(where)
        assert [scene.name for scene in scenes] == ["MOT17-02-FRCNN", "MOT17-05"]
        cameras = [scene.cameras[0] for scene in scenes]
        assert [c.id for c in cameras] == ["MOT17-02-FRCNN", "MOT17-05"]
        assert [c.clock.fps for c in cameras] == [30.0, 14.0]
    [scene] = load_scenes(first)
    [camera] = scene.cameras
    assert (camera.video, camera.size_wh, camera.frame_count) == (first / "img1", (32, 24), 3)
    assert camera.detections == (first / "det" / "det.txt",)
    assert camera.ground_truth == first / "gt" / "gt.txt"


def test_a_sequence_without_images_has_its_detections(tmp_path: Path) -> None:
    folder = tmp_path / "MOT20-01"
    folder.mkdir()
    (folder / "seqinfo.ini").write_text("[Sequence]\nname=MOT20-01\nframeRate=25\n")
    [camera] = load_scenes(folder)[0].cameras
    assert (camera.video, camera.clock.fps, camera.ground_truth) == (None, 25.0, None)


@pytest.mark.parametrize(
    ("info", "says"),
    [
        ("frameRate=30\n", r"expected a section \[Sequence\]"),
        ("[Other]\nframeRate=30\n", r"expected a section \[Sequence\]"),
        ("[Sequence]\nframeRate=fast\n", "frameRate: expected a positive number, got 'fast'"),
        ("[Sequence]\nframeRate=1e-6\n", "frameRate: expected 0.01 to 100000 frames per second, got 1e-06"),
        ("[Sequence]\nframeRate=-3\n", "frameRate: expected a positive number, got '-3'"),
    ],
)
def test_a_malformed_seqinfo(tmp_path: Path, info: str, says: str) -> None:
    with pytest.raises(SceneError, match=says):
        load_scenes(sequence(tmp_path / "MOT17-02", info))
