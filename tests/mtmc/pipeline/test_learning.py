"""``mtmc run`` learns the place by itself: the same as ``site learn`` and a second run, and never in the way."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from mtmc.cli import main
from mtmc.evaluate import score
from mtmc.formats.mot import read_mot, write_mot
from mtmc.formats.table import Table
from mtmc.formats.track1 import read_track1
from mtmc.pipeline import learning
from mtmc.pipeline.results import load_run
from mtmc.scene import Scene, load_scenes
from tests.mtmc.site.world import SIZE, Pinhole, crossroads_traffic, drive, watch

#: Two stretches of one street, 200 m apart: no road is seen by both.
STREET = {
    "c001": Pinhole((-30.0, -9.0, 8.0), 0.35, 0.3),
    "c002": Pinhole((230.0, -9.0, 8.0), np.pi - 0.35, 0.3),
}
CROSSROADS = {
    "c001": Pinhole((-16.0, -14.0, 8.0), np.deg2rad(42), np.deg2rad(20)),
    "c002": Pinhole((15.0, 16.0, 7.0), np.deg2rad(225), np.deg2rad(18)),
}
LATE_S = {"c001": 0.0, "c002": -1.2}  # what the second camera's clock shows is too early


def write_town(home: Path, cameras: dict[str, Pinhole], vehicles: list[tuple[np.ndarray, np.ndarray]]) -> Path:
    """Tracklets of a town in the CityFlow layout, numbers by vehicle: true identities across cameras."""
    for name, camera in cameras.items():
        tables = []
        for number, (time_s, place) in enumerate(vehicles, start=1):
            passage = watch(camera, name, number, np.round(time_s + LATE_S[name], 1), place)
            if passage is not None and passage.tracklet.frame[0] >= 0:
                tracklet = passage.tracklet
                tables.append(Table.of(int(name[1:]), np.full(len(tracklet), number), tracklet.frame, tracklet.xyxy))
        write_mot(Table.concatenate(tables), home / name / "mtsc" / "mtsc_x.txt")
    lines = [f"  - {{id: {name}, size_wh: [{SIZE[0]}, {SIZE[1]}], frame_count: 2600}}" for name in cameras]
    (home / "scene.yaml").write_text("name: town\ncameras:\n" + "\n".join(lines) + "\n")
    return home


def street_traffic(count: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    out = []
    for number in range(count):
        lane = [[-60.0, -1.8], [260.0, -1.8]] if number % 2 else [[260.0, 1.8], [-60.0, 1.8]]
        out.append(drive(np.array(lane), float(rng.uniform(2, 6 * count)), float(rng.uniform(10, 13))))
    return out


def run(videos: Path, out: Path, *options: str) -> Path:
    assert main(["run", "--videos", str(videos), "--out", str(out), "--no-render", "--workers", "1", *options]) == 0
    return out


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_town(tmp_path_factory.mktemp("street"), STREET, street_traffic(36, seed=5))


@pytest.fixture(scope="module")
def crossroads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_town(tmp_path_factory.mktemp("crossroads"), CROSSROADS, crossroads_traffic(60, seed=4))


@pytest.mark.parametrize("place", ["street", "crossroads"])
def test_the_same_as_site_learn_and_a_second_run(
    place: str, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    town: Path = request.getfixturevalue(place)
    at_once = run(town, tmp_path / "at_once")
    assert "learned from" in capsys.readouterr().out
    plain = run(town, tmp_path / "plain", "--no-learn")
    assert main(["site", "learn", str(plain), "--out", str(tmp_path / "scene.yaml")]) == 0
    second = run(tmp_path / "scene.yaml", tmp_path / "second")
    kept = run(at_once / "results" / "scene.learned.yaml", tmp_path / "kept")
    again = tmp_path / "again.yaml"
    assert main(["site", "learn", str(at_once), "--out", str(again)]) == 0  # from a run that had learned already

    answer = (at_once / "track1.txt").read_bytes()
    assert (second / "track1.txt").read_bytes() == answer
    assert (kept / "track1.txt").read_bytes() == answer
    assert (plain / "track1.txt").read_bytes() != answer
    assert again.read_text() == (tmp_path / "scene.yaml").read_text()
    assert not (plain / "results" / "scene.learned.yaml").exists()
    assert not (kept / "results" / "scene.learned.yaml").exists()
    [learned] = load_scenes(at_once / "results" / "scene.learned.yaml")
    assert load_run(at_once).scene.links == learned.links


def test_adjacent_cameras_without_common_road(street: Path, tmp_path: Path) -> None:
    """The numbers of the tracklets are the vehicles': without learning each vehicle is two."""
    truth = Table.concatenate([read_mot(street / name / "mtsc" / "mtsc_x.txt", int(name[1:])) for name in STREET])
    plain = read_track1(run(street, tmp_path / "plain", "--no-learn") / "track1.txt")
    learned = read_track1(run(street, tmp_path / "learned") / "track1.txt")
    before, after = (score(truth, table, metrics=("identity",)).idf1 for table in (plain, learned))
    assert len(np.unique(learned.id)) < 0.6 * len(np.unique(plain.id))
    assert after > max(0.85, before + 0.2)


def test_learning_is_cached(crossroads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = (run(crossroads, tmp_path / "run") / "track1.txt").read_bytes()
    text = (tmp_path / "run" / "results" / "scene.learned.yaml").read_text()

    def unexpected(*_: object) -> None:
        raise AssertionError("learned again")

    monkeypatch.setattr(learning, "learn_scene", unexpected)
    again = run(crossroads, tmp_path / "run", "-o", "associate.graph.heading_kappa=3")
    assert (again / "results" / "scene.learned.yaml").read_text() == text
    assert (run(crossroads, tmp_path / "run") / "track1.txt").read_bytes() == first


def test_a_failure_is_a_line_of_the_log(
    crossroads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise np.linalg.LinAlgError("singular matrix")

    plain = run(crossroads, tmp_path / "plain", "--no-learn")
    monkeypatch.setattr(learning, "learn_scene", fails)
    with caplog.at_level(logging.INFO, "mtmc"):
        failed = run(crossroads, tmp_path / "failed")
    assert "learning the place failed, so the scene is used as given: LinAlgError: singular matrix" in caplog.text
    assert (failed / "track1.txt").read_bytes() == (plain / "track1.txt").read_bytes()


def test_one_camera_teaches_nothing(crossroads: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scene = (crossroads / "scene.yaml").read_text().splitlines()
    town = tmp_path / "town"
    (town / "c001" / "mtsc").mkdir(parents=True)
    (town / "c001" / "mtsc" / "mtsc_x.txt").write_bytes((crossroads / "c001" / "mtsc" / "mtsc_x.txt").read_bytes())
    (town / "scene.yaml").write_text("\n".join(scene[:3]) + "\n")
    with caplog.at_level(logging.INFO, "mtmc"):
        out = run(town, tmp_path / "run")
    assert "nothing is learned about the place: vehicles in 1 of 1 cameras" in caplog.text
    assert not (out / "results" / "scene.learned.yaml").exists()


def test_what_the_scene_file_states_stays(crossroads: Path, tmp_path: Path) -> None:
    """Start, calibration, zones and links of scene.yaml win over what is learned; each is learned where not given."""
    [free] = load_scenes(run(crossroads, tmp_path / "free") / "results" / "scene.learned.yaml")
    assert {round(camera.clock.start_s) for camera in free.cameras} == {0, 1}  # 1.2 s are found
    stated = (crossroads / "scene.yaml").read_text()
    stated = stated.replace("{id: c001,", "{id: c001, start_s: 0.25,").replace(
        "{id: c002,", "{id: c002, start_s: 0.5,"
    )
    scene = learned_from(crossroads, stated, tmp_path / "clocks")
    assert [camera.clock.start_s for camera in scene.cameras] == [0.25, 0.5]

    one = (crossroads / "scene.yaml").read_text().replace("{id: c002,", "{id: c002, start_s: 0.5,")
    scene = learned_from(crossroads, one, tmp_path / "one_clock")
    assert scene.camera("c002").clock.start_s == 0.5
    assert scene.camera("c001").clock.start_s == pytest.approx(0.5 - 1.2, abs=0.3)

    zone = "zones: [{name: all, polygon: [[0, 0], [1280, 0], [1280, 720], [0, 720]]}],"
    scene = learned_from(crossroads, stated.replace("{id: c001,", f"{{id: c001, {zone}"), tmp_path / "zones")
    assert [z.name for z in scene.camera("c001").zones] == ["all"]
    assert len(scene.camera("c002").zones) > 1
    assert {link.from_zone for link in scene.links if link.from_camera == "c001"} <= {"all", ""}

    links = stated + 'links:\n  - {from: [c001, ""], to: [c002, ""], min_s: -9, max_s: 9}\n'
    scene = learned_from(crossroads, links, tmp_path / "links")
    assert [(link.from_camera, link.to_camera, link.max_s) for link in scene.links] == [("c001", "c002", 9.0)]

    matrix = CROSSROADS["c001"].ground_from_image().tolist()
    scene = learned_from(
        crossroads, stated.replace("{id: c001,", f"{{id: c001, ground_from_image: {matrix},"), tmp_path / "ground"
    )
    np.testing.assert_array_equal(scene.camera("c001").ground_from_image, np.array(matrix))
    assert scene.camera("c002").ground_from_image is None


def learned_from(town: Path, scene_file: str, home: Path) -> Scene:
    """The scene that a run learns with another scene file."""
    home.mkdir()
    for name in CROSSROADS:
        (home / name).symlink_to(town / name)
    (home / "scene.yaml").write_text(scene_file)
    [scene] = load_scenes(run(home, home / "run") / "results" / "scene.learned.yaml")
    return scene
