"""The server: what its routes answer, whom it refuses, and that no request reaches a file it does not name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from mtmc.cli import main
from mtmc.embed import EmbedConfig
from mtmc.errors import MissingDependency
from mtmc.view import serve_run
from mtmc.view.journal import ACTIONS
from mtmc.view.proxies import Proxies
from mtmc.view.security import Guard, loopback_names
from mtmc.view.server import make_app
from mtmc.view.session import Session
from tests.mtmc.render.builders import flat_video
from tests.mtmc.view.town import VEHICLES, town

HOST = "127.0.0.1:8000"
EVIL = ('<img src=x onerror=alert(1)>"', "../../etc")
ROUTES = [
    "/",
    "/static/app.js",
    "/static/style.css",
    "/api/run",
    "/api/passages",
    "/api/vehicles",
    "/api/vehicles/1/links",
    "/api/links?a=0&b=1",
    "/api/cameras/0/boxes",
    "/api/cameras/0/ground",
    "/api/cameras/0/proxy",
    "/api/map",
    "/api/passages/0/crop.jpg",
    "/api/passages/0/sheet",
    "/api/passages/0/similar",
    "/api/questions",
    "/api/journal",
    "/api/scores",
    "/api/mistakes",
    "/api/track1.txt",
    "/api/truth.zip",
    "/api/crops.zip",
]


def client(app, host: str = HOST) -> TestClient:
    return TestClient(app, base_url=f"http://{host}", raise_server_exceptions=True)


@pytest.fixture(scope="module")
def viewed(tmp_path_factory: pytest.TempPathFactory):
    home = tmp_path_factory.mktemp("run")
    video = flat_video(home / "video.mp4", [20, 90, 160] * 8)
    return town(home, videos=(video, video), embed=EmbedConfig(weights="none"))


@pytest.fixture
def app(viewed, tmp_path: Path):
    proxies = Proxies(viewed.cameras, tmp_path / "proxies")
    yield make_app(Session(viewed, tmp_path), proxies, hosts=loopback_names(8000))
    proxies.close()


@pytest.mark.parametrize("path", ROUTES)
def test_routes_answer(app, path: str) -> None:
    answer = client(app).get(path)
    assert answer.status_code == 200, answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_the_first_page_names_only_its_own_files(app) -> None:
    page = client(app).get("/").text
    assert "http:" not in page
    assert "https:" not in page
    assert "<script>" not in page


def test_data(app, viewed) -> None:
    pages = client(app)
    assert [camera["id"] for camera in pages.get("/api/run").json()["cameras"]] == ["c001", "c002"]
    assert len(pages.get("/api/vehicles").json()["vehicle"]) == 2 * VEHICLES
    assert pages.get("/api/cameras/1/boxes?first=0").content == viewed.boxes[1].packed(0)
    crop = cv2.imdecode(np.frombuffer(pages.get("/api/passages/0/crop.jpg").content, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(crop.reshape(-1, 3).mean(0) - [30, 30, 200]).max() < 8  # BGR
    links = pages.get("/api/vehicles/1/links").json()
    assert all(sum(link["cues"].values()) == pytest.approx(link["log_odds"]) for link in links)


def test_every_question_comes_with_its_evidence(app, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtmc.view.questions._LEAST_EXPECTED_BOXES", 0.0)  # the links of the town are nearly certain
    pages = client(app)
    questions = pages.get("/api/questions").json()["questions"]
    links = [pages.get(f"/api/links?a={question['a']}&b={question['b']}").json() for question in questions]
    assert [(link["a"], link["b"], link["is_joined"]) for link in links] == [
        (question["a"], question["b"], question["is_joined"]) for question in questions
    ]
    assert all(sum(link["cues"].values()) == pytest.approx(link["log_odds"]) for link in links)
    assert min(link["log_odds"] for link in links) < 0  # two vehicles by the evidence
    assert pages.get("/api/links?a=0&b=0").json() is None
    assert pages.get("/api/links?a=0").status_code == 422


def test_the_video_comes_in_parts(app) -> None:
    pages = client(app)
    while pages.get("/api/cameras/0/proxy").json()["state"] != "ready":
        pass
    whole = pages.get("/api/cameras/0/video.mp4")
    size = len(whole.content)
    assert whole.headers["content-range"] == f"bytes 0-{size - 1}/{size}"
    part = pages.get("/api/cameras/0/video.mp4", headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert pages.get("/api/cameras/0/video.mp4", headers={"range": "bytes=5-"}).content == whole.content[5:]
    assert pages.get("/api/cameras/0/video.mp4", headers={"range": f"bytes={size}-"}).status_code == 416


def test_an_answer_changes_identities_and_an_old_window_is_refused(app, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtmc.view.questions._LEAST_EXPECTED_BOXES", 0.0)  # the links of the town are nearly certain
    pages = client(app)
    before = pages.get("/api/vehicles").json()
    top = pages.get("/api/questions").json()["questions"][0]
    pair = [top["a"], top["b"]]
    action = "different" if top["is_joined"] else "same"
    done = pages.post("/api/journal", json={"sequence": 0, "action": action, "pair": pair})
    assert done.json()["sequence"] == 1
    assert done.json()["vehicle"] != before["vehicle"]
    stale = pages.post("/api/journal", json={"sequence": 0, "action": action, "pair": pair})
    assert stale.status_code == 409
    assert "another window" in stale.json()["error"]
    undone = pages.post("/api/journal", json={"sequence": 1, "action": "undo", "undoes": 1})
    assert undone.json()["vehicle"] == before["vehicle"]
    assert [entry["counts"] for entry in pages.get("/api/journal").json()] == [False, True]


@pytest.mark.parametrize("edge", [pytest.param(10**400, id="huge"), 1e300, True, "9", None])
def test_edges_of_boxes_that_are_no_pixels(app, edge: Any) -> None:
    sent = {"sequence": 0, "action": "boxes", "camera": 0, "passages": [], "boxes": [[45, 1, 1, edge, 9]]}
    answer = client(app).post("/api/journal", json=sent)
    assert answer.status_code == 422
    assert "expected edges of 'boxes' in pixels of a picture" in answer.json()["error"]


def test_a_repair_changes_the_tracklets_and_undo_restores_them(app) -> None:
    pages = client(app)
    before, columns = pages.get("/api/vehicles").json(), pages.get("/api/passages").json()
    assert columns["tracklets"] == before["tracklets"] == ""
    sent = {"sequence": 0, "action": "cut", "passages": [0], "frame": columns["first_frame"][0] + 10}
    after = pages.post("/api/journal", json=sent).json()
    assert len(after["vehicle"]) == len(before["vehicle"]) + 1
    cut = pages.get("/api/passages").json()
    assert cut["tracklets"] == after["tracklets"] != ""
    assert cut["boxes"][0] == 10
    new = cut["track"].index(VEHICLES + 1)
    assert (cut["camera"][new], cut["boxes"][new]) == (0, columns["boxes"][0] - 10)
    boxes = pages.get("/api/cameras/0/boxes?first=0").content
    assert new in np.frombuffer(boxes, "<u4", offset=8 + 4 * (1 + np.frombuffer(boxes, "<u4", 2)[1])).tolist()
    assert pages.get(f"/api/passages/{new}/crop.jpg").status_code in (200, 404)
    sent = {"sequence": 1, "action": "class", "passages": [new], "class": "bus"}
    assert pages.post("/api/journal", json=sent).status_code == 200
    assert pages.get("/api/passages").json()["class"][new] == "bus"
    refused = pages.post("/api/journal", json={"sequence": 2, "action": "undo", "undoes": 1})
    assert refused.status_code == 422
    assert "undo that answer first" in refused.json()["error"]
    pages.post("/api/journal", json={"sequence": 2, "action": "undo", "undoes": 2})
    pages.post("/api/journal", json={"sequence": 3, "action": "undo", "undoes": 1})
    assert pages.get("/api/passages").json() == columns
    assert pages.get("/api/vehicles").json()["vehicle"] == before["vehicle"]


def test_an_old_window_is_refused_before_its_passages_are_looked_up(app) -> None:
    pages = client(app)
    pages.post("/api/journal", json={"sequence": 0, "action": "check", "passages": vehicle_of(pages, 0)})
    for action in ("check", "split", "delete", "cut"):
        sent = {"sequence": 0, "action": action, "passages": [10**6], "frame": 1}
        assert pages.post("/api/journal", json=sent).status_code == 409


def vehicle_of(pages: TestClient, passage: int) -> list[int]:
    vehicle = pages.get("/api/vehicles").json()["vehicle"]
    return [k for k, number in enumerate(vehicle) if number == vehicle[passage]]


def test_a_tracklet_is_found_under_its_name_after_others_have_changed(app) -> None:
    pages = client(app)
    run, columns = pages.get("/api/run").json()["key"], pages.get("/api/passages").json()
    names = [
        f"{camera}-{track}.{first}-{last}"
        for camera, track, first, last in zip(
            *(columns[key] for key in ("camera", "track", "first_frame", "last_frame")), strict=True
        )
    ]

    def sheet(passage: int, of: str) -> Any:
        return pages.get(f"/api/passages/{passage}/sheet?of={of}")

    before = sheet(2, f"{run}.{names[2]}").json()
    assert before["frames"][0] == columns["first_frame"][2]
    pages.post("/api/journal", json={"sequence": 0, "action": "delete", "passages": [0]})
    assert sheet(2, f"{run}.{names[2]}").json() == before
    assert sheet(1, "").json() == before  # its place now
    gone = sheet(0, f"{run}.{names[0]}")
    assert (gone.status_code, gone.json()["error"]) == (409, "the tracklet has changed meanwhile")
    assert sheet(2, f"other.{names[2]}").status_code == 404


# Whom it refuses


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:9999", "localhost", "127.0.0.1.evil.example:8000", ""])
def test_a_foreign_host_is_refused(app, host: str) -> None:
    for path in ROUTES:
        assert client(app).get(path, headers={"host": host}).status_code == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", f"https://{HOST}", "http://localhost:8000"])
def test_a_foreign_origin_is_refused(app, origin: str) -> None:
    for path in ROUTES:
        assert client(app).get(path, headers={"origin": origin}).status_code == 403
    answer = client(app).post("/api/journal", json={"sequence": 0}, headers={"origin": origin})
    assert answer.status_code == 403


def test_pages_of_its_own_are_served(app) -> None:
    assert client(app).get("/api/run", headers={"origin": f"http://{HOST}"}).status_code == 200
    assert client(app, "localhost:8000").get("/api/run").status_code == 200
    foreign = client(app).get("/api/run", headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403


def test_a_form_of_another_page_cannot_answer(app) -> None:
    sent = client(app).post("/api/journal", content='{"sequence":0}', headers={"content-type": "text/plain"})
    assert sent.status_code == 415


def test_other_machines_need_the_token(viewed, tmp_path: Path) -> None:
    proxies = Proxies(viewed.cameras, tmp_path / "proxies")
    app = make_app(Session(viewed, tmp_path), proxies, hosts=None, token="secret")
    pages = TestClient(app, base_url="http://10.0.0.7:8000", follow_redirects=False)
    assert {pages.get(path).status_code for path in ROUTES} == {401}
    assert pages.get("/?token=wrong").status_code == 401
    assert pages.get("/api/run?token=secret").status_code == 401  # only the first page takes it from the address
    entered = pages.get("/?token=secret")
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert "httponly" in entered.headers["set-cookie"].lower()
    assert "samesite=strict" in entered.headers["set-cookie"].lower()
    assert pages.get("/api/run").status_code == 200
    with pytest.raises(ValueError, match="expected a token"):
        Guard(app, None)


# Hostile input


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e/%2e%2e/cli.py",
        "/static//etc/passwd",
        "/etc/passwd",
        "/api/cameras/..%2f..%2frun.json/video.mp4",
        "/api/cameras/0/../../../run.json",
        "/api/cameras/-1/boxes",
        "/api/cameras/99999999999999999999/boxes",
        "/api/passages/1e9/crop.jpg",
        "/api/passages/999999/crop.jpg",
        "/api/passages/999999/sheet",
        "/api/passages/0/sheet.jpg",  # of a clean video that is not ready
        "/api/track1.txt/../run.json",
    ],
)
def test_no_path_leads_out_of_the_run(app, path: str) -> None:
    assert client(app).get(path).status_code == 404


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.one_of(st.sampled_from(ROUTES), st.text(max_size=40)),
    more=st.text(max_size=20),
    query=st.text(max_size=20),
)
def test_any_path_is_answered_without_an_error(app, path: str, more: str, query: str) -> None:
    address = quote(path, errors="ignore") + quote(more, errors="ignore")
    address += "?first=" + quote(query, errors="ignore")
    assert client(app).get("/" + address.lstrip("/")).status_code in (200, 307, 404, 405, 422)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    action=st.sampled_from([*ACTIONS, "drop"]) | _JSON,
    value=_JSON | st.lists(st.integers(-2, 2 * VEHICLES + 2), max_size=4),
    raw=st.none() | st.binary(max_size=20),
)
def test_any_answer_is_taken_or_refused(app, action: object, value: object, raw: bytes | None) -> None:
    pages = client(app)
    sequence = pages.get("/api/vehicles").json()["sequence"]
    facts = dict.fromkeys(("pair", "vehicles", "passages", "undoes", "number", "frame", "class"), value)
    body = raw if raw is not None else json.dumps({"sequence": sequence, "action": action, **facts}).encode()
    answer = pages.post("/api/journal", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 422), answer.text
    after = pages.get("/api/journal").json()
    assert len(after) == sequence + (answer.status_code == 200)


def test_a_long_body_is_refused(app) -> None:
    body = b'{"sequence": "' + b"x" * (1 << 21) + b'"}'
    headers = {"content-type": "application/json"}
    assert client(app).post("/api/journal", content=body, headers=headers).status_code == 413


def test_names_with_markup_stay_text(tmp_path: Path) -> None:
    viewed = town(tmp_path / "run", names=EVIL)
    proxies = Proxies(viewed.cameras, tmp_path / "proxies")
    pages = client(make_app(Session(viewed, tmp_path / "view"), proxies, hosts=loopback_names(8000)))
    answer = pages.get("/api/run")
    assert answer.headers["content-type"] == "application/json"
    assert [camera["id"] for camera in answer.json()["cameras"]] == sorted(EVIL, key=EVIL.index)
    assert pages.post("/api/journal", json={"sequence": 0, "action": "same", "pair": [0, 20]}).status_code == 200
    assert pages.get("/api/journal").json()[0]["must_link"][0][0] in EVIL


# The command


def test_a_folder_that_is_no_run_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", str(tmp_path)]) == 2
    assert "found no run.json, so this is not the folder of a finished run" in capsys.readouterr().err


def test_a_truncated_run_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.json").write_text('{"place": {')
    assert main(["view", str(tmp_path)]) == 2
    assert "cannot be read as JSON; repeat the run" in capsys.readouterr().err


def test_without_its_packages_it_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    with pytest.raises(MissingDependency, match=r"pip install .*view"):
        serve_run(tmp_path)
