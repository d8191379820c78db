"""The routes of the place editor: what they answer, what they refuse, and that nothing else is read or written."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from mtmc.geometry.ground import project
from mtmc.scene import load_scenes
from mtmc.view.proxies import Proxies
from mtmc.view.security import loopback_names
from mtmc.view.server import make_app
from mtmc.view.session import Session
from tests.mtmc.render.builders import flat_video
from tests.mtmc.view.town import town

TEXT = "name: town   # two cameras\ncameras:\n  - id: c001\n    size_wh: [640, 480]\n  - id: c002\n"
SQUARE = [[10.0, 10.0], [90.0, 10.0], [90.0, 80.0], [10.0, 80.0]]
BYTES = {"content-type": "application/octet-stream"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scenes") / "town"


@pytest.fixture(scope="module")
def app(folder: Path) -> Iterator[Any]:
    videos = tuple(flat_video(folder / f"{name}.mp4", [20, 90, 160] * 8) for name in ("c001", "c002"))
    viewed = town(folder, videos=videos, vehicles=2)
    proxies = Proxies(viewed.cameras, folder / "view" / "proxies")
    yield make_app(Session(viewed, folder / "view"), proxies, hosts=loopback_names(8000))
    proxies.close()


@pytest.fixture
def pages(app: Any, folder: Path) -> TestClient:
    (folder / "scene.yaml").write_text(TEXT)
    return TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=True)


def save(pages: TestClient, **changes: Any) -> Any:
    digest = pages.get("/api/place").json()["digest"]
    return pages.post("/api/place", json={"digest": digest, "changes": changes})


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG whose head states a size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_the_place_and_its_changes(pages: TestClient, folder: Path) -> None:
    shown = pages.get("/api/place").json()
    assert shown["problem"] == ""
    assert [camera["zones"] for camera in shown["cameras"]] == [[], []]
    zone = {"name": "w", "role": "in", "polygon": SQUARE}
    answer = save(
        pages, cameras=[{"id": 0, "zones": [zone], "start_s": 1.25, "roi": [SQUARE]}, {"id": 1, "zones": []}]
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["cameras"][0]["zones"] == [zone]
    assert sorted(answer.json()["cameras"][0]["roi"][0]) == sorted(SQUARE)
    [scene] = load_scenes(folder)
    assert scene.camera("c001").clock.start_s == 1.25
    assert "# two cameras" in (folder / "scene.yaml").read_text()


def test_a_homography_with_its_errors(pages: TestClient) -> None:
    true = np.array([[0.5, 0.3, 10.0], [0.02, 1.1, -60.0], [1e-5, 9e-4, 0.8]])
    source = np.array([[60.0, 420], [560, 410], [320, 200], [150, 250], [500, 300]])
    picture = pages.post("/api/place/pictures", content=png(30, 20, bytes(20 * 91)), headers=BYTES).json()
    assert picture["size"] == [30, 20]
    place = {"picture": picture["picture"], "plane": "", "m_per_px": 0.5, "origin_px": [4, 5], "rotation_deg": 0.0}
    request = {"source": source.tolist(), "target": project(source, true).tolist(), "map": place}
    fit = pages.post("/api/place/homography", json=request).json()
    assert fit["is_inlier"] == [True] * 5
    assert max(fit["error_px"]) < 1e-6
    assert np.array(fit["target_in_source"]) == pytest.approx(source, abs=1e-6)
    found = project(source, np.array(fit["ground_from_image"]))
    assert found == pytest.approx((project(source, true) - [4, 5]) * [0.5, -0.5], abs=1e-6)
    few = pages.post("/api/place/homography", json={**request, "source": request["source"][:3]})
    assert (few.status_code, few.json()["error"].split(",")[0]) == (422, "expected pairs of points (x")
    line = [[float(k), float(k)] for k in range(5)]
    degenerate = pages.post("/api/place/homography", json={**request, "source": line})
    assert "they lie on a line; spread them" in degenerate.json()["error"]
    other = pages.post("/api/place/homography", json={"source": line, "target": line, "camera": 1})
    assert other.status_code == 422


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a picture (PNG or JPEG), got another file"),
        (b"<svg onload='alert(1)'/>", "got another file"),
        (b"GIF89a" + bytes(50), "got another file"),
        (png(60_000, 60_000), "at most 50 megapixels, got 60000×60000 px; make it smaller"),
        (png(30, 0), "at most 50 megapixels, got 30×0 px"),
        (png(30, 20), "got a damaged one"),
        (b"\xff\xd8\xff\xe0\x00\x04", "got another file"),
        (b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x10\x00\x10" + bytes(20), "got a damaged one"),
    ],
)
def test_what_is_no_picture_is_refused(pages: TestClient, folder: Path, content: bytes, message: str) -> None:
    before = sorted(folder.iterdir())
    answer = pages.post("/api/place/pictures", content=content, headers=BYTES)
    assert answer.status_code == 422
    assert message in answer.json()["error"]
    assert sorted(folder.iterdir()) == before


def test_pictures_are_sent_as_they_are_seen(pages: TestClient, folder: Path) -> None:
    red = np.full((20, 30, 3), (0, 0, 200), np.uint8)
    jpeg = cv2.imencode(".jpg", red)[1].tobytes()
    number = pages.post("/api/place/pictures", content=jpeg, headers=BYTES).json()["picture"]
    shown = pages.get(f"/api/place/pictures/{number}.jpg")
    assert shown.headers["content-type"] == "image/jpeg"
    assert np.abs(cv2.imdecode(np.frombuffer(shown.content, np.uint8), 1).astype(int) - red).max() < 8
    assert pages.get("/api/place/pictures/999.jpg").status_code == 404
    assert pages.get("/api/place/pictures/..%2f..%2frun.json").status_code == 404
    form = pages.post("/api/place/pictures", content=jpeg, headers={"content-type": "multipart/form-data"})
    assert form.status_code == 415
    assert pages.post("/api/place/pictures", content=bytes(65 << 20), headers=BYTES).status_code == 413


def test_a_request_names_no_file(pages: TestClient, folder: Path) -> None:
    for changes in (
        {"maps": [{"image": "/etc/passwd", "m_per_px": 1.0}]},
        {"maps": [{"picture": 99, "m_per_px": 1.0}]},
        {"cameras": [{"id": 0, "roi": "../../etc/passwd"}]},
        {"cameras": [{"id": 0, "video": "/etc/passwd"}]},
        {"cameras": [{"id": "../c001", "zones": []}]},
        {"overrides": {"detect": {"weights": "/etc/passwd"}}},
    ):
        assert save(pages, **changes).status_code == 422, changes
        assert (folder / "scene.yaml").read_text() == TEXT


def test_two_windows(pages: TestClient, folder: Path) -> None:
    digest = pages.get("/api/place").json()["digest"]
    for number, status in ((1, 200), (2, 409)):
        changes = {"cameras": [{"id": 0, "start_s": float(number)}]}
        answer = pages.post("/api/place", json={"digest": digest, "changes": changes})
        assert answer.status_code == status
    assert load_scenes(folder)[0].camera("c001").clock.start_s == 1.0


def test_a_scene_of_other_cameras_or_none_is_one_sentence(pages: TestClient, folder: Path) -> None:
    (folder / "scene.yaml").write_text("cameras: [")
    assert "expected YAML" in pages.get("/api/place").json()["problem"]
    assert save_blindly(pages).status_code == 422
    (folder / "scene.yaml").unlink()
    (folder / "c002.mp4").rename(folder / "moved.mp4")
    assert "no longer holds camera c002" in pages.get("/api/place").json()["problem"]
    assert "no longer holds camera c002" in save_blindly(pages).json()["error"]
    (folder / "moved.mp4").rename(folder / "c002.mp4")


def save_blindly(pages: TestClient) -> Any:
    return pages.post("/api/place", json={"digest": "", "changes": {"cameras": [{"id": 0, "start_s": 1.0}]}})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_KEYS = [
    "cameras",
    "links",
    "maps",
    "id",
    "zones",
    "roi",
    "start_s",
    "polygon",
    "name",
    "role",
    "from",
    "to",
    "min_s",
]
_CHANGES = st.recursive(
    _JSON | st.sampled_from([SQUARE, ["c001", ""], "in", 0, 1, 2.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(_KEYS[:3]), _CHANGES, max_size=3), fit=st.dictionaries(
    st.sampled_from(["source", "target", "map", "camera"]), _CHANGES, max_size=4
), data=st.binary(max_size=60))  # fmt: skip
def test_any_request_is_taken_or_refused(
    pages: TestClient, folder: Path, changes: dict[str, Any], fit: dict[str, Any], data: bytes
) -> None:
    digest = pages.get("/api/place").json()["digest"]
    headers = {"content-type": "application/json"}
    for path, sent in (("/api/place", {"digest": digest, "changes": changes}), ("/api/place/homography", fit)):
        answer = pages.post(path, content=json.dumps(sent).encode(), headers=headers)
        assert answer.status_code in (200, 422), answer.text
    assert pages.post("/api/place/pictures", content=data, headers=BYTES).status_code == 422
    assert [camera.id for camera in load_scenes(folder)[0].cameras] == ["c001", "c002"]
