"""Starts and dates of recordings by their names."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from mtmc.scene import Scene, load_scenes
from mtmc.scene.recording_dates import date_in_name
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
