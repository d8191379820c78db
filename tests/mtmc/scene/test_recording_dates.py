"""Starts and dates of recordings by their names."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from mtmc.errors import SceneError
from mtmc.scene import Scene, load_scenes
from mtmc.scene.recording_dates import date_in_file, date_in_name
from tests.builders import write_video

FRAMES = np.full((50, 24, 32, 3), 90, np.uint8)  # 5 s


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("north_2026-05-12_07-00-00", "2026-05-12T07:00:00+00:00"),
        ("20260512_070130", "2026-05-12T07:01:30+00:00"),
        ("ch01_20260512070130", "2026-05-12T07:01:30+00:00"),
        ("NVR_1_2026.05.12 07.01.30.250", "2026-05-12T07:01:30.250000+00:00"),
        ("cam2026-05-12T07h01m30Z_left", "2026-05-12T07:01:30+00:00"),
        ("a 2026-05-12 07:01:30", "2026-05-12T07:01:30+00:00"),
        ("a_2026-05-12T07:01:30+05:30", "2026-05-12T07:01:30+05:30"),
        ("a 2026-05-12 07:01:30-08:00:00", "2026-05-12T07:01:30+00:00"),  # the end of the recording, no time zone
        ("a_2026-05-12T07:01:30.123456789+02:00", "2026-05-12T07:01:30.123456+02:00"),
        ("a_2026-05-12T07-01-30-0330", "2026-05-12T07:01:30-03:30"),
        ("99999999999999_20260512070130", "2026-05-12T07:01:30+00:00"),
        ("a_2026-05-12_07-00-00-2592x1944", "2026-05-12T07:00:00+00:00"),  # the size of the pictures, no time zone
        ("a_2026-05-12_07-00-00-1200x900", "2026-05-12T07:00:00+00:00"),
        ("a_20260512_070000-0030", "2026-05-12T07:00:00+00:00"),  # a serial number
        ("2026-05-12_07.00.00-07.30.00", "2026-05-12T07:00:00+00:00"),  # the end of the recording
        ("a_20260512T070000+0545", "2026-05-12T07:00:00+05:45"),
        ("a_20260512T070000-00-00", "2026-05-12T07:00:00+00:00"),
        ("625_201707211410", None),  # no seconds
        ("20261312070130", None),  # no month
        ("1920260512070130", None),  # a longer number
        ("north", None),
    ],
)
def test_dates_in_names(name: str, date: str | None) -> None:
    found = date_in_name(name)
    assert (found and found.isoformat()) == date


def scene_of(folder: Path, *names: str) -> Scene:
    for name in names:
        write_video(folder / f"{name}.mp4", FRAMES)
    [scene] = load_scenes(folder)
    return scene


def starts(scene: Scene) -> list[float]:
    return [camera.clock.start_s for camera in scene.cameras]


def test_recordings_begin_when_their_names_say(tmp_path: Path) -> None:
    scene = scene_of(tmp_path, "a_20260512_070003", "b_20260512_070000", "c_20260512_070001.5")
    assert starts(scene) == [3.0, 0.0, 1.5]
    assert scene.start_utc == datetime(2026, 5, 12, 7, tzinfo=timezone.utc)
    assert not any(camera.clock_is_stated for camera in scene.cameras)  # learning may correct them


@pytest.mark.parametrize("kind", ["mkv", "ts"])
def test_containers_that_do_not_count_their_frames(tmp_path: Path, kind: str) -> None:
    """Their frames are counted by timestamps, so that recordings one after the other are not taken for one moment."""
    for name in ("a_20260512_070000", "b_20260512_070003"):
        write_video(tmp_path / f"{name}.{kind}", FRAMES)
    [scene] = load_scenes(tmp_path)
    assert starts(scene) == [0.0, 3.0]
    write_video(tmp_path / f"c_20260512_070006.{kind}", FRAMES)
    [scene] = load_scenes(tmp_path)
    assert starts(scene) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "names",
    [
        ("a_20260512_070003", "b_20260512_070000", "c"),  # one has no date
        ("a_20260512_070000", "a_20260512_070005"),  # pieces of one recording
        ("a_20260512_070000", "b_20260513_070000"),  # of two days
        ("a_20260512_070000Z", "b_20260512_070003"),  # in which time zone is the second one?
    ],
)
def test_names_that_do_not_fit_together_say_nothing(tmp_path: Path, names: tuple[str, ...]) -> None:
    scene = scene_of(tmp_path, *names)
    assert set(starts(scene)) == {0.0}
    assert scene.start_utc is None


def test_one_recording_has_a_date(tmp_path: Path) -> None:
    [scene] = load_scenes(write_video(tmp_path / "a_20260512_070003.mp4", FRAMES))
    assert (starts(scene), scene.start_utc) == ([0.0], datetime(2026, 5, 12, 7, 0, 3, tzinfo=timezone.utc))


def test_a_start_that_is_stated_moves_no_other_camera(tmp_path: Path) -> None:
    """Not even that of the earliest recording."""
    names = ("a_20260512_070000", "b_20260512_070003", "c_20260512_070004")
    date = scene_of(tmp_path, *names).start_utc
    for name, expected in zip(names, ([0.2, 3.0, 4.0], [0.0, 0.2, 4.0], [0.0, 3.0, 0.2]), strict=True):
        (tmp_path / "scene.yaml").write_text(f"cameras: [{{id: {name}, start_s: 0.2}}]\n")
        [scene] = load_scenes(tmp_path)
        assert starts(scene) == expected
        assert scene.start_utc == date


def test_what_scene_yaml_states_goes_before_names(tmp_path: Path) -> None:
    names = ("a_20260512_070003", "b_20260512_070000")
    (tmp_path / "scene.yaml").write_text(
        f"start_utc: 2026-05-12T07:00:00+02:00\ncameras:\n  - {{id: {names[0]}, start_s: 2.75}}\n"
    )
    scene = scene_of(tmp_path, *names)
    assert starts(scene) == [2.75, 0.0]
    assert scene.start_utc == datetime(2026, 5, 12, 7, tzinfo=timezone(timedelta(hours=2)))
    (tmp_path / "scene.yaml").write_text(f"cameras:\n  - {{id: {names[1]}, start_utc: 2026-05-12T09:00:00+02:00}}\n")
    [scene] = load_scenes(tmp_path)
    assert starts(scene) == [0.0, 0.0]


def dated_video(path: Path, **metadata: str) -> Path:
    """A copy of a video with other metadata."""
    plain = write_video(path.with_name("plain.mkv"), FRAMES)
    options = {"movflags": "use_metadata_tags"} if any("__" in key for key in metadata) else {}
    with av.open(str(plain)) as source, av.open(str(path), "w", options=options) as copy:
        copy.metadata.update({key.replace("__", "."): value for key, value in metadata.items()})
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    plain.unlink()
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_dates_in_metadata(tmp_path: Path, suffix: str) -> None:
    dated = dated_video(tmp_path / f"a{suffix}", creation_time="2026-05-12T07:00:03.250000Z")
    assert date_in_file(dated) == datetime(2026, 5, 12, 7, 0, 3, 250000 if suffix == ".mkv" else 0, timezone.utc)
    for name, never_set in (("b", "1904-01-01T00:00:00Z"), ("c", "1970-01-01T00:00:00Z")):
        assert date_in_file(dated_video(tmp_path / f"{name}{suffix}", creation_time=never_set)) is None
    assert date_in_file(dated_video(tmp_path / f"d{suffix}")) is None
    (tmp_path / "e.mp4").write_text("no video")
    assert date_in_file(tmp_path / "e.mp4") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-12T09:00:00.500+0200", "2026-05-12T09:00:00.500000+02:00"),
        ("20260512T070000Z", "2026-05-12T07:00:00+00:00"),
        ("2026-05-12T09:00:00 +0200", None),  # not 09:00 UTC
        ("2026-05-12T09:00:00+02", None),
        ("2026-05-12T09:00:00 CEST", None),
        ("2026-02-30T09:00:00Z", None),
        ("edited 2026-05-12T09:00:00Z", None),
        ("1969-12-31T16:00:00-0800", None),  # a clock that was never set, in its own time zone
        ("", None),
    ],
)
def test_odd_texts_in_metadata(tmp_path: Path, text: str, expected: str | None) -> None:
    found = date_in_file(dated_video(tmp_path / "a.mov", com__apple__quicktime__creationdate=text))
    assert (found and found.isoformat()) == expected


def test_the_date_with_a_time_zone_goes_first(tmp_path: Path) -> None:
    both = {
        "creation_time": "2026-05-12T07:00:00Z",
        "com__apple__quicktime__creationdate": "2026-05-12T09:00:00+0200",
    }
    found = date_in_file(dated_video(tmp_path / "a.mov", **both))
    assert found is not None
    assert found.isoformat() == "2026-05-12T09:00:00+02:00"


def test_scene_yaml_asks_for_the_dates_in_metadata(tmp_path: Path) -> None:
    """Otherwise they are not looked at, as they may be those of an export."""
    for name, second in (("a", 3), ("b", 0)):
        dated_video(tmp_path / f"{name}.mp4", creation_time=f"2026-05-12T07:00:0{second}Z")
    [scene] = load_scenes(tmp_path)
    assert (starts(scene), scene.start_utc) == ([0.0, 0.0], None)
    written = tmp_path / "scene.yaml"
    written.write_text("cameras:\n  - {id: a, start_utc: file}\n  - {id: b, start_utc: file}\n")
    [scene] = load_scenes(tmp_path)
    assert starts(scene) == [3.0, 0.0]
    assert scene.start_utc == datetime(2026, 5, 12, 7, tzinfo=timezone.utc)
    assert all(camera.clock_is_stated for camera in scene.cameras)
    written.write_text("start_utc: 2026-05-12T06:59:50Z\ncameras:\n  - {id: a, video: a.mp4, start_utc: file}\n")
    [scene] = load_scenes(tmp_path)
    assert starts(scene) == [13.0, 0.0]


def test_a_file_that_states_no_date(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", FRAMES)
    written = tmp_path / "scene.yaml"
    written.write_text("name: x\ncameras:\n  - {id: a, start_utc: file}\n")
    with pytest.raises(SceneError, match=r"scene.yaml:3.*metadata of a.mp4 have no date"):
        load_scenes(tmp_path)
    written.write_text("cameras:\n  - {id: a, start_utc: File}\n")
    with pytest.raises(SceneError, match="expected a date and time with a time zone"):
        load_scenes(tmp_path)
    written.write_text("cameras:\n  - {id: a, video: gone.mp4, start_utc: file}\n")
    [scene] = load_scenes(tmp_path)
    assert scene.cameras[0].problem is not None
    assert "gone.mp4" in scene.cameras[0].problem


def test_a_broken_video_is_the_problem_of_its_camera_alone(tmp_path: Path) -> None:
    dated_video(tmp_path / "a.mp4", creation_time="2026-05-12T07:00:03Z")
    (tmp_path / "b.mp4").write_bytes((tmp_path / "a.mp4").read_bytes()[:400])  # an interrupted copy
    (tmp_path / "scene.yaml").write_text("cameras:\n  - {id: a, start_utc: file}\n  - {id: b, start_utc: file}\n")
    [scene] = load_scenes(tmp_path)
    assert [camera.id for camera in scene.cameras] == ["a", "b"]
    assert scene.start_utc == datetime(2026, 5, 12, 7, 0, 3, tzinfo=timezone.utc)


def test_a_folder_of_pictures_states_no_date(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    cv2.imwrite(str(tmp_path / "a" / "0001.png"), FRAMES[0])
    (tmp_path / "scene.yaml").write_text("cameras:\n  - {id: a, start_utc: file}\n")
    with pytest.raises(SceneError, match=r"scene.yaml:2.*metadata of a have no date"):
        load_scenes(tmp_path)


def test_dates_too_far_apart(tmp_path: Path) -> None:
    """Beyond the limit of scene times, ``run.json`` could not be read again."""
    dated_video(tmp_path / "a.mp4", creation_time="2026-05-12T07:00:03Z")
    (tmp_path / "scene.yaml").write_text("start_utc: 2400-01-01T00:00:00Z\ncameras:\n  - {id: a, start_utc: file}\n")
    with pytest.raises(SceneError, match=r"scene.yaml:3.*within 1e\+10 s of second 0"):
        load_scenes(tmp_path)


def test_a_missing_video_leaves_the_others_their_starts(tmp_path: Path) -> None:
    for second in (3, 0):
        write_video(tmp_path / f"a{second}_2026-05-12_07-00-0{second}.mp4", FRAMES)
    (tmp_path / "scene.yaml").write_text("cameras:\n  - {id: gone, video: gone_2026-05-12_07-00-01.mp4}\n")
    [scene] = load_scenes(tmp_path)
    assert scene.camera("gone").problem
    assert starts(scene) == [0.0, 3.0, 0.0]
    assert scene.start_utc == datetime(2026, 5, 12, 7, tzinfo=timezone.utc)
    (tmp_path / "scene.yaml").write_text("cameras:\n  - {id: text, detections: [a.txt]}\n")
    (tmp_path / "a.txt").write_text("")
    [scene] = load_scenes(tmp_path)
    assert (starts(scene), scene.start_utc) == ([0.0, 0.0, 0.0], None)  # a camera without a name is in use
