"""Mistakes by ground truth: each wrong or missing link of a town whose true identities are known."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from mtmc.view.mistakes import mistakes_of
from mtmc.view.proxies import Proxies
from mtmc.view.security import loopback_names
from mtmc.view.server import make_app
from mtmc.view.session import Session
from tests.mtmc.view.town import VEHICLES, town

KINDS = ("false merge", "missed merge")


def test_two_vehicles_that_were_taken_for_each_other(tmp_path: Path) -> None:
    """The second camera shows vehicles 1 and 2 in the other order than the run believes; all others are right."""
    viewed = town(tmp_path, with_truth=True)
    ids = viewed.run_id
    assert all(ids[k] == ids[VEHICLES + k] > 0 for k in range(VEHICLES))
    found = mistakes_of(viewed)
    assert found is not None
    tracks = {kind: [{m.first.track, m.second.track} for m in found if m.kind == kind and m.second] for kind in KINDS}
    assert sorted(tracks["false merge"], key=min) == [
        {1},
        {2},
    ]  # of one number in both cameras
    assert tracks["missed merge"] == [{1, 2}, {1, 2}]
    assert {m.boxes for m in found} == {40}
    assert all((m.first.last_frame - m.first.first_frame) == 39 for m in found)


def test_the_page_gets_them_and_corrections_do_not_change_them(tmp_path: Path) -> None:
    viewed = town(tmp_path / "run", with_truth=True)
    session = Session(viewed, tmp_path / "view")
    app = make_app(session, Proxies(viewed.cameras, tmp_path), hosts=loopback_names(8000))
    pages = TestClient(app, base_url="http://127.0.0.1:8000")
    before = pages.get("/api/mistakes").json()
    assert {"kind", "reason", "boxes", "score", "text", "first", "second"} == set(before[0])
    session.merge(0, sorted(set(session.state()[1].vehicle.tolist()))[:2])
    assert pages.get("/api/mistakes").json() == before


def test_without_truth_there_are_none_to_show(tmp_path: Path) -> None:
    assert mistakes_of(town(tmp_path)) is None
