"""The corrected result as ground truth and as crops: both are read by the programs that they are made for."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from mtmc.cli import main
from mtmc.config import load_config
from mtmc.errors import ConfigError, MtmcError
from mtmc.evaluate import evaluate_files
from mtmc.evaluate.load import load_boxes
from mtmc.view import export_run
from mtmc.view.exports import ExportKind
from mtmc.view.proxies import Proxies
from mtmc.view.security import loopback_names
from mtmc.view.server import make_app
from mtmc.view.session import Session
from reid.data import load_dataset
from tests.mtmc.view.town import VEHICLES, film, town

SEEN = 5  # vehicles of the town that has videos


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(town(tmp_path / "run"), tmp_path / "view")


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory):
    home = tmp_path_factory.mktemp("run")
    videos = (film(home / "a.mp4", 0, SEEN), film(home / "b.mp4", 100, SEEN))
    return town(home, videos=videos, names=("north/<b>", "../south"), vehicles=SEEN)


def test_truth_against_itself_is_perfect(session: Session, tmp_path: Path) -> None:
    session.merge(0, sorted(set(session.state()[1].vehicle.tolist()))[:2])
    folder, file = str(session.export("truth")), tmp_path / "scores.json"
    assert main(["evaluate", "--gt", folder, "--pred", folder, "--json", str(file), "--protocol", "plain"]) == 0
    overall = json.loads(file.read_text())["overall"]
    assert {overall[name] for name in ("idf1", "idp", "idr", "hota", "mota")} == {1.0}


def test_truth_holds_every_box_under_its_corrected_identity(session: Session) -> None:
    session.merge(0, sorted(set(session.state()[1].vehicle.tolist()))[:2])
    session.delete(1, [VEHICLES + 5])
    table = load_boxes(session.export("truth")).table
    wanted = {
        (int(vehicle), session.viewed.cameras[camera].number, frame, *np.round(box, 3).tolist())
        for vehicle, camera, passage in zip(
            session.state()[1].vehicle, session.viewed.camera, session.viewed.passages, strict=True
        )
        for frame, box in zip(passage.tracklet.frame.tolist(), passage.tracklet.xyxy, strict=True)
    }
    found = zip(table.id, table.camera, table.frame, np.round(table.xyxy, 3).tolist(), strict=True)
    assert {(int(i), int(c), int(f), *box) for i, c, f, box in found} == wanted
    assert (table.score == 1).all()


def test_one_box_of_a_vehicle_in_a_frame(session: Session) -> None:
    """Two tracklets that are said to be one vehicle overlap in time."""
    same_time = session.viewed.passages[3].tracklet.frame
    other = next(
        k
        for k in range(VEHICLES, 2 * VEHICLES)
        if np.isin(session.viewed.passages[k].tracklet.frame, same_time).any()
    )
    session.answer(0, (3, other), is_same=True)
    table = load_boxes(session.export("truth")).table
    rows = np.stack([table.id, table.camera, table.frame], axis=1)
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_reid_reads_the_crops(filmed, tmp_path: Path) -> None:
    session = Session(filmed, tmp_path)
    session.merge(0, sorted(set(session.state()[1].vehicle.tolist()))[:2])
    split = load_dataset("folder", session.export("crops"), held_out=0.5, seed=0)
    records = (*split.train, *split.gallery)
    vehicles = session.state()[1].vehicle
    assert len({r.vehicle_id for r in records}) == len(set(vehicles.tolist()))
    places = {(int(r.path.parts[-3]), int(r.path.parts[-2][1:])) for r in records}
    numbers = [session.viewed.cameras[k].number for k in session.viewed.camera]
    assert places == set(zip(vehicles.tolist(), numbers, strict=True))
    for record in records:
        crop = cv2.imread(str(record.path))
        frame, track = (int(part) for part in record.path.stem.split("_"))
        camera = numbers.index(int(record.path.parts[-2][1:]))
        [passage] = [
            p
            for p in session.viewed.passages
            if p.tracklet.track_id == track
            and p.tracklet.camera_id == session.viewed.passages[camera].tracklet.camera_id
        ]
        x1, y1, x2, y2 = passage.tracklet.xyxy[passage.tracklet.frame == frame][0]
        assert crop.shape[:2] == (round(y2) - round(y1), round(x2) - round(x1))
        assert crop.mean() > 240  # the film shows white rectangles on gray


def test_the_pages_give_both_as_archives(filmed, tmp_path: Path) -> None:
    app = make_app(Session(filmed, tmp_path), Proxies(filmed.cameras, tmp_path), hosts=loopback_names(8000))
    pages = TestClient(app, base_url="http://127.0.0.1:8000")
    for kind, member in (("truth", "truth/c002/gt/gt.txt"), ("crops", "crops/0001/c001/")):
        answer = pages.get(f"/api/{kind}.zip")
        assert answer.headers["content-type"] == "application/zip"
        names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
        assert any(name.startswith(member) for name in names)
        assert all(name.startswith(f"{kind}/") and ".." not in name for name in names)
    assert not list(tmp_path.glob("*.[0-9]*"))  # nothing half done is left


def test_without_videos_there_are_no_crops(session: Session) -> None:
    with pytest.raises(MtmcError, match="videos of the run are not there"):
        session.export("crops")
    assert not (session.folder / "crops").exists()


def test_crops_of_a_run_whose_pictures_are_blurred_are_refused(filmed, tmp_path: Path) -> None:
    config = load_config(overrides=["render.blur=[plates]"])
    blurred = replace(filmed, run=replace(filmed.run, config=config))
    session = Session(blurred, tmp_path)
    with pytest.raises(MtmcError, match=r"makes plates unrecognizable \(render\.blur\)"):
        session.export("crops")
    assert not (session.folder / "crops").exists()
    assert session.export("truth").is_dir()


def test_the_result_scores_perfectly_against_its_own_truth(session: Session) -> None:
    folder = session.export("truth")
    overall = evaluate_files(folder, session.export()).overall
    assert (overall.idf1, overall.idp, overall.idr) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("kind", ["truth", "crops"])
def test_a_folder_that_is_no_export_is_not_replaced(filmed, tmp_path: Path, kind: ExportKind) -> None:
    """An earlier export is replaced, what else has its name is kept: --folder may be any folder."""
    session = Session(filmed, tmp_path)
    first = sorted(session.export(kind).rglob("*"))
    assert sorted(session.export(kind).rglob("*")) == first
    own = tmp_path / kind / "c001" / "notes.txt"
    own.parent.mkdir(exist_ok=True)
    own.write_text("mine")
    with pytest.raises(MtmcError, match=rf"{kind}: this folder would be replaced, but holds c001/notes\.txt"):
        session.export(kind)
    assert own.read_text() == "mine"


def test_the_folder_of_the_run_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    viewed = town(tmp_path / "run")
    monkeypatch.setattr("mtmc.view.load_run", lambda run: viewed.run)
    before = (tmp_path / "run" / "track1.txt").read_bytes()
    with pytest.raises(ConfigError, match=r"is that of the run, whose track1\.txt would be replaced"):
        export_run(tmp_path / "run", tmp_path / "view" / ".." / "run")
    assert (tmp_path / "run" / "track1.txt").read_bytes() == before
    assert export_run(tmp_path / "run") == tmp_path / "run" / "view" / "track1.txt"


def test_ground_truth_of_the_checked_vehicles_alone(session: Session) -> None:
    with pytest.raises(ConfigError, match="no vehicle has been checked"):
        session.export("truth", only_checked=True)
    vehicle = session.state()[1].vehicle
    members = np.flatnonzero(vehicle == vehicle[3]).tolist()
    session.check(0, members)
    table = load_boxes(session.export("truth", only_checked=True)).table
    assert set(table.id.tolist()) == {int(vehicle[3])}
    assert len(table) == sum(len(session.viewed.passages[k].tracklet) for k in members)
    with pytest.raises(ConfigError, match="got track1"):
        session.export(only_checked=True)
