"""Changes of scene.yaml: comments stay, the result is what is loaded, and nothing is written by halves."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mtmc.errors import ConfigError, MtmcError, SceneError
from mtmc.scene import Link, PlaneOrigin, Scene, load_scenes, read_roi
from mtmc.scene.edit import SceneChanges, StaleScene, digest_of, edit_scene
from mtmc.settings import parse_settings
from tests.builders import traffic_frames, write_video

TEXT = """\
# A crossroads
name: crossing   # as people call it
cameras:
  - id: north
    start_s: 1.64               # measured on 12 May
    zones:                      # from the map
      # beside the church
      - {name: west, role: in, polygon: [[0, 20], [8, 20], [8, 40]]}   # narrow
      - {name: 'on', polygon: [[50, 20], [58, 20], [58, 40]]}
  # south has no lens data
  - id: south
    time_map: [[0, 0.0], [3, 0.3], [4, 9.0]]   # 8.6 s are lost
links:                          # by stopwatch
  - {from: [north, west], to: [south, ""], min_s: 4, max_s: 12}   # in the morning
overrides:
  detect: {weights: "motion"}   # no model
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "town"
    for name in ("north.mp4", "south.mp4"):
        write_video(home / name, traffic_frames(6))
    (home / "scene.yaml").write_text(TEXT)
    return home


def edit(folder: Path, **changes: Any) -> Scene:
    edit_scene(folder, parse_settings(SceneChanges, changes), digest_of(folder))
    [scene] = load_scenes(folder)
    return scene


def lines_changed(folder: Path) -> tuple[list[str], list[str]]:
    before, after = TEXT.splitlines(), (folder / "scene.yaml").read_text().splitlines()
    return [x for x in before if x not in after], [x for x in after if x not in before]


def test_an_offset_changes_one_line(folder: Path) -> None:
    scene = edit(folder, cameras=[{"id": "north", "start_s": 2.25}])
    assert scene.camera("north").clock.start_s == 2.25
    assert lines_changed(folder) == (
        ["    start_s: 1.64               # measured on 12 May"],
        ["    start_s: 2.25               # measured on 12 May"],
    )
    assert (folder / "scene.yaml.bak").read_text() == TEXT


def test_an_offset_moves_a_time_map(folder: Path) -> None:
    scene = edit(folder, cameras=[{"id": "south", "start_s": -1.5}])
    assert scene.camera("south").clock.time_map == ((0, -1.5), (3, -1.2), (4, 7.5))
    assert len(lines_changed(folder)[1]) == 1


@pytest.mark.parametrize("given", ["", "start_utc: 2026-05-12T07:00:30Z\n"])
def test_an_offset_moves_a_date(folder: Path, given: str) -> None:
    text = TEXT.replace("start_s: 1.64", "start_utc: 2026-05-12T09:00:00+02:00")
    (folder / "scene.yaml").write_text(given + text)
    [before] = load_scenes(folder)
    scene = edit(folder, cameras=[{"id": "north", "start_s": 2.5}])
    assert scene.start_utc == before.start_utc
    assert scene.camera("north").clock.start_s == 2.5
    assert scene.camera("south").clock == before.camera("south").clock
    assert "# measured on 12 May" in (folder / "scene.yaml").read_text()
    seven = datetime(2026, 5, 12, 7, tzinfo=timezone.utc)
    assert scene.start_utc == seven + timedelta(seconds=30 if given else 0)


def test_zones_are_told_apart_by_name(folder: Path) -> None:
    zones = [
        {"name": "west", "role": "in", "polygon": [[0, 20], [8, 20], [8.5, 40]]},
        {"name": "<b>: new #1", "role": "both", "polygon": [[1, 1], [9, 1], [9, 9]]},
    ]
    scene = edit(folder, cameras=[{"id": "north", "zones": zones}])
    found = scene.camera("north").zones
    assert [(z.name, z.role, z.polygon.tolist()) for z in found] == [
        (z["name"], z["role"], np.array(z["polygon"], float).tolist()) for z in zones
    ]
    text = (folder / "scene.yaml").read_text()
    for comment in ("# from the map", "# beside the church", "# narrow", "# by stopwatch", "# no model"):
        assert comment in text
    assert lines_changed(folder)[0] == [line for line in TEXT.splitlines() if "west, role" in line or "'on'" in line]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(min_size=1, max_size=12)
    | st.sampled_from(["on", "1:30", "1e5", "~", "0x1F", "- a", "{a", "x # y", "\x00", "é\u2028"]),
    corner=st.floats(allow_nan=False, allow_infinity=False),
)
@example(name="before\x85after", corner=0.0)
def test_any_name_and_number_comes_back(folder: Path, name: str, corner: float) -> None:
    zone = {"name": name, "polygon": [[corner, 0.0], [9.0, 0.0], [0.0, 9.0]]}
    [found] = edit(folder, cameras=[{"id": "south", "zones": [zone]}]).camera("south").zones
    assert found.name == name
    assert found.polygon.tolist() == zone["polygon"]


def test_zones_of_a_camera_that_has_none(folder: Path) -> None:
    scene = edit(folder, cameras=[{"id": "south", "zones": [{"name": "a", "polygon": [[0, 0], [9, 0], [0, 9]]}]}])
    assert [zone.name for zone in scene.camera("south").zones] == ["a"]
    assert edit(folder, cameras=[{"id": "south", "zones": []}]).camera("south").zones == ()
    assert lines_changed(folder) == ([], [])


def test_links(folder: Path) -> None:
    kept = {"from": ["north", "west"], "to": ["south", ""], "min_s": 5.0, "max_s": 12.0, "typical_s": 7.0}
    added = {"from": ["south", ""], "to": ["north", "on"], "min_s": -1.0, "max_s": 3.0}
    scene = edit(folder, links=[kept, added])
    assert scene.links == (
        Link("north", "west", "south", "", 5.0, 12.0, 7.0),
        Link("south", "", "north", "on", -1.0, 3.0),
    )
    assert "# in the morning" in (folder / "scene.yaml").read_text()
    assert edit(folder, links=[]).links == ()


def test_a_homography_and_a_map(folder: Path) -> None:
    cv2.imwrite(str(folder / "map.png"), np.zeros((50, 60, 3), np.uint8))
    matrix = [[0.1, 0.0, 1 / 3], [0.0, 0.1, 0.0], [0.0, 1e-5, 1.0]]
    scene = edit(
        folder,
        cameras=[{"id": "north", "ground_from_image": matrix, "ground_plane": "n"}],
        maps=[{"image": "map.png", "plane": "n", "m_per_px": 0.125, "origin_px": [10, 20.5]}],
    )
    assert scene.camera("north").ground_from_image.tolist() == matrix
    assert scene.camera("north").ground_plane == "n"
    [found] = scene.maps
    assert (found.image, found.m_per_px, found.origin_px) == (folder / "map.png", 0.125, (10.0, 20.5))
    assert (
        "ground_plane" not in edit(folder, cameras=[{"id": "north", "ground_plane": ""}]).camera("north").ground_plane
    )


def test_a_region_of_interest(folder: Path) -> None:
    halves = [[[0, 0], [79, 0], [79, 119], [0, 119]], [[100, 0], [120, 0], [120, 119], [100, 119]]]
    scene = edit(folder, cameras=[{"id": "north", "roi": halves}])
    mask = read_roi(scene.camera("north").roi, (160, 120), official=True)
    expected = np.zeros((120, 160), bool)
    expected[:, :80] = expected[:, 100:121] = True
    assert (mask == expected).all()
    again = edit(folder, cameras=[{"id": "north", "roi": halves[:1]}])
    assert again.camera("north").roi != scene.camera("north").roi
    assert scene.camera("north").roi.is_file()


def test_a_folder_without_scene_yaml_gets_one(folder: Path) -> None:
    (folder / "scene.yaml").unlink()
    assert digest_of(folder) == ""
    scene = edit(folder, cameras=[{"id": "north", "start_s": 3.0}])
    assert [c.id for c in scene.cameras] == ["north", "south"]
    assert scene.camera("north").clock.start_s == 3.0
    assert not (folder / "scene.yaml.bak").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cameras": [{"id": "east", "start_s": 1.0}]}, "has no camera east; its cameras are north, south"),
        (
            {"links": [{"from": ["north", "x"], "to": ["south", ""], "min_s": 0, "max_s": 1}]},
            "names zone x of camera",
        ),
        ({"cameras": [{"id": "north", "zones": []}]}, r"^scene\.yaml:\d+: a link names zone west of camera north"),
        ({"cameras": [{"id": "north", "ground_from_image": [[1, 0, 0], [0, 1, 0], [0, 0, 0]]}]}, "a singular matrix"),
        ({"cameras": [{"id": "north", "roi": []}]}, "the region of interest of camera north is empty"),
        (
            {"cameras": [{"id": "south", "zones": [{"name": "\ud800", "polygon": [[0, 0], [9, 0], [0, 9]]}]}]},
            "expected names in Unicode",
        ),
        ({"maps": [{"image": "gone.png", "m_per_px": 1.0}]}, "there is no file gone.png beside it"),
    ],
)
def test_what_cannot_be_loaded_is_not_written(folder: Path, changes: dict[str, Any], message: str) -> None:
    before = sorted(p.name for p in folder.iterdir())
    with pytest.raises(SceneError, match=message):
        edit(folder, **changes)
    assert (folder / "scene.yaml").read_text() == TEXT
    assert sorted(p.name for p in folder.iterdir()) == before


def test_a_file_that_changed_meanwhile_is_left_alone(folder: Path) -> None:
    former = digest_of(folder)
    (folder / "scene.yaml").write_text(TEXT + "# mine\n")
    with pytest.raises(StaleScene, match="has changed meanwhile; load it again and repeat"):
        edit_scene(folder, parse_settings(SceneChanges, {"cameras": [{"id": "north", "start_s": 9.0}]}), former)
    assert (folder / "scene.yaml").read_text() == TEXT + "# mine\n"


def test_a_process_that_dies_while_writing_leaves_the_former_file(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(MtmcError, match="cannot write this file"):
        edit(folder, cameras=[{"id": "north", "start_s": 9.0}])
    assert (folder / "scene.yaml").read_text() == TEXT


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(folder: Path) -> None:
    folder.chmod(0o500)
    try:
        with pytest.raises(MtmcError, match="choose a folder you may write to"):
            edit(folder, cameras=[{"id": "north", "start_s": 9.0}])
    finally:
        folder.chmod(0o700)


def test_date_and_place_on_earth(folder: Path) -> None:
    """A date moves those of the cameras, whose clocks stay as they are against each other."""
    text = TEXT.replace("start_s: 1.64", "start_utc: 2026-05-12T07:00:01.64Z").replace(
        "zones:  ",
        "ground_from_image: [[0.1, 0, 0], [0, 0.1, 0], [0, 0, 1]]\n    ground_plane: road\n    zones:  ",
        1,
    )
    (folder / "scene.yaml").write_text("start_utc: 2026-05-12T07:00:00Z   # by radio\n" + text)
    place = {"plane": "road", "latitude_deg": 48.1, "longitude_deg": 11.5, "bearing_deg": 12.0}
    scene = edit(folder, start_utc="2026-05-12T09:30:00+02:00", origins=[place])
    assert scene.start_utc == datetime(2026, 5, 12, 7, 30, tzinfo=timezone.utc)
    assert scene.camera("north").clock.start_s == pytest.approx(1.64)
    assert scene.origins == (PlaneOrigin("road", 48.1, 11.5, 12.0),)
    written = (folder / "scene.yaml").read_text()
    assert "# by radio" in written
    assert "2026-05-12T09:30:01.640000+02:00" in written
    assert edit(folder, origins=[{**place, "bearing_deg": 0.0}]).origins[0].bearing_deg == 0.0
    assert edit(folder, origins=[]).origins == ()
    with pytest.raises(ConfigError, match="start_utc: expected a date and time with a time zone"):
        edit(folder, start_utc="2026-05-12T09:30:00")
    with pytest.raises(SceneError, match="an origin names ground plane 'sea', which no camera has"):
        edit(folder, origins=[{**place, "plane": "sea"}])


DATED = """\
cameras:
  - {id: north, start_utc: 2026-05-12T07:00:10Z}
  - {id: south, start_utc: 2026-05-12T07:00:00Z}
"""


def start_of(scene: Scene, camera: str) -> float:
    return float(scene.camera(camera).clock.time_s(np.array(0)))


def test_a_date_and_a_start_at_once(folder: Path) -> None:
    """Both count, whichever is written first."""
    (folder / "scene.yaml").write_text(DATED)
    scene = edit(folder, start_utc="2026-05-12T08:00:00Z", cameras=[{"id": "south", "start_s": -2.5}])
    assert scene.start_utc == datetime(2026, 5, 12, 8, tzinfo=timezone.utc)
    assert [start_of(scene, name) for name in ("north", "south")] == [10.0, -2.5]


def test_a_date_keeps_the_clock_of_a_camera_whose_video_is_gone(folder: Path) -> None:
    (folder / "scene.yaml").write_text(DATED.replace("id: north,", "id: north, video: gone.mp4,"))
    scene = edit(folder, start_utc="2026-05-12T08:00:00Z")
    assert scene.camera("north").problem
    assert start_of(scene, "north") == 10.0
    (folder / "gone.mp4").write_bytes((folder / "north.mp4").read_bytes())
    [back] = load_scenes(folder)
    assert (back.camera("north").problem, start_of(back, "north")) == ("", 10.0)


def test_the_date_in_a_video_that_is_gone(folder: Path) -> None:
    """Nothing tells what date would keep the clock; a start replaces it."""
    text = "cameras:\n  - {id: north, video: gone.mp4, start_utc: file}\n"
    (folder / "scene.yaml").write_text(text)
    with pytest.raises(SceneError, match="camera north starts at the date in a video that cannot be read"):
        edit(folder, start_utc="2026-05-12T08:00:00Z")
    assert (folder / "scene.yaml").read_text() == text
    scene = edit(folder, cameras=[{"id": "north", "start_s": 2.5}])
    assert (start_of(scene, "north"), scene.start_utc) == (2.5, None)


def test_an_offset_of_a_camera_with_a_date_and_a_time_map(folder: Path) -> None:
    """The date says when frame 0 was, the map how the others follow."""
    (folder / "scene.yaml").write_text(DATED.replace("id: north,", "id: north, time_map: [[0, 1.0], [10, 5.0]],"))
    scene = edit(folder, cameras=[{"id": "north", "start_s": 4.0}])
    np.testing.assert_allclose(scene.camera("north").clock.time_s(np.array([0, 10])), [4.0, 8.0])


@pytest.mark.parametrize("key", ["start_utc: null", "time_map: []"])
def test_an_offset_of_a_camera_with_an_empty_key(folder: Path, key: str) -> None:
    (folder / "scene.yaml").write_text(f"cameras:\n  - {{id: north, {key}}}\n")
    assert start_of(edit(folder, cameras=[{"id": "north", "start_s": 2.5}]), "north") == 2.5
    assert start_of(edit(folder, start_utc="2026-05-12T08:00:00Z"), "north") == 2.5


def test_a_start_beyond_all_clocks(folder: Path) -> None:
    (folder / "scene.yaml").write_text(DATED)
    with pytest.raises(ConfigError, match="start_s"):
        edit(folder, cameras=[{"id": "north", "start_s": 1e300}])
