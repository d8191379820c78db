"""Search by example: the order of cosines, pictures embedded as the run embedded its crops, files that are none."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from mtmc.embed import EmbedConfig
from mtmc.embed.color import ColorHistogramEmbedder
from mtmc.errors import ConfigError, FormatError
from mtmc.types import Array
from mtmc.view.pictures import decode_picture
from mtmc.view.proxies import Proxies
from mtmc.view.run_data import ViewedRun
from mtmc.view.search import MAX_PICTURE_BYTES, Search
from mtmc.view.security import loopback_names
from mtmc.view.server import make_app
from mtmc.view.session import Session
from tests.mtmc.view.town import VEHICLES, town


def picture(vehicle: int) -> Array:
    """Every vehicle has a hue of its own, as OpenCV counts them."""
    hsv = np.full((96, 96, 3), (179 * vehicle // VEHICLES, 230, 200), np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def hue(vehicle: int, camera: str) -> Array:
    embedder = ColorHistogramEmbedder()
    crop = cv2.resize(picture(vehicle), embedder.size_hw[::-1])
    vector = embedder(crop[None])[0].astype(np.float64)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def jpeg(image: Array) -> bytes:
    return bytes(cv2.imencode(".jpg", image[..., ::-1])[1])


@pytest.fixture(scope="module")
def viewed(tmp_path_factory: pytest.TempPathFactory):
    return town(tmp_path_factory.mktemp("run"), looks=hue, embed=EmbedConfig(weights="color_histogram"))


@pytest.fixture
def pages(viewed, tmp_path: Path) -> TestClient:
    app = make_app(Session(viewed, tmp_path), Proxies(viewed.cameras, tmp_path), hosts=loopback_names(8000))
    return TestClient(app, base_url="http://127.0.0.1:8000")


def without_means(viewed: ViewedRun) -> tuple[Array, Array]:
    """Unit vectors without their camera's mean, which is drawn towards that of all; and that of all."""
    vectors = np.stack([p.embedding for p in viewed.passages]).astype(float)
    overall = vectors.mean(axis=0)
    for k in range(2):
        own = vectors[viewed.camera == k]
        vectors[viewed.camera == k] -= (len(own) * own.mean(axis=0) + 20 * overall) / (len(own) + 20)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), overall


def test_order_and_similarity_are_those_of_cosines_without_the_cameras_means(tmp_path: Path) -> None:
    viewed = town(tmp_path)
    vectors, _ = without_means(viewed)
    for example in (0, 5, VEHICLES + 3):
        cosine = vectors @ vectors[example]
        cosine[example] = -np.inf
        found = Search(viewed).like_passage(example, 7)
        assert [match.passage for match in found] == np.argsort(-cosine)[:7].tolist()
        assert [match.similarity for match in found] == pytest.approx(np.sort(cosine)[::-1][:7], abs=1e-5)


def test_a_picture_loses_the_mean_of_all_cameras(viewed: ViewedRun) -> None:
    vectors, overall = without_means(viewed)
    own = hue(4, "") - overall
    cosine = vectors @ (own / np.linalg.norm(own))
    found = Search(viewed).like_picture(picture(4), 7)
    assert [match.similarity for match in found] == pytest.approx(np.sort(cosine)[::-1][:7], abs=1e-4)


def test_tracklets_without_an_embedding_are_like_no_other(tmp_path: Path) -> None:
    viewed = town(tmp_path)
    blank = replace(viewed.passages[3], embedding=np.zeros(0, np.float32))
    search = Search(replace(viewed, passages=(*viewed.passages[:3], blank, *viewed.passages[4:])))
    found = search.like_passage(5, 2 * VEHICLES)
    assert {match.passage for match in found} == set(range(2 * VEHICLES)) - {3, 5}
    with pytest.raises(ConfigError, match="this tracklet has no embedding"):
        search.like_passage(3, 5)


@pytest.mark.parametrize("vehicle", [0, 4, 11])
def test_a_picture_is_embedded_as_the_run_embedded_its_crops(pages: TestClient, vehicle: int) -> None:
    headers = {"content-type": "application/octet-stream"}
    answer = pages.post("/api/search", content=jpeg(picture(vehicle)), headers=headers)
    assert answer.status_code == 200, answer.text
    assert {match["passage"] for match in answer.json()[:2]} == {vehicle, VEHICLES + vehicle}


def test_a_passage_finds_its_vehicle_in_the_other_camera(pages: TestClient) -> None:
    found = pages.get("/api/passages/2/similar").json()
    assert found[0]["passage"] == VEHICLES + 2
    assert len(found) == 2 * VEHICLES - 1
    assert pages.get("/api/passages/999/similar").status_code == 404


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "(PNG or JPEG), got another file; choose another file"),
        (b"<svg onload=alert(1)>", "(PNG or JPEG), got another file; choose another file"),
        (b"\xff\xd8\xff\xff\xff", "(PNG or JPEG), got another file; choose another file"),
        (jpeg(picture(0))[:200], "expected a picture, got"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 60_000, 60_000), "at most 50 megapixels, got"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 0, 7), "at most 50 megapixels, got"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 8, 8) + zlib.compress(b"no rows"), "a damaged one"),
    ],
)
def test_a_file_that_is_no_picture_is_one_sentence(pages: TestClient, data: bytes, says: str) -> None:
    answer = pages.post("/api/search", content=data, headers={"content-type": "application/octet-stream"})
    assert answer.status_code == 422
    assert says in answer.json()["error"]


def test_a_large_file_and_a_form_are_refused(pages: TestClient) -> None:
    large = b"\xff\xd8" + bytes(MAX_PICTURE_BYTES)
    answer = pages.post("/api/search", content=large, headers={"content-type": "application/octet-stream"})
    assert (answer.status_code, answer.json()["error"]) == (413, "expected at most 16 MiB")
    assert pages.post("/api/search", files={"file": b"x"}).status_code == 415


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_pictures_are_decoded_as_opencv_decodes_them(suffix: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (17, 31, 3)).astype(np.uint8)
    data = cv2.imencode(suffix, image)[1]
    np.testing.assert_array_equal(decode_picture(bytes(data)), cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
    with pytest.raises(FormatError):
        decode_picture(bytes(data)[:20])


def test_a_run_without_embeddings_or_with_another_embedder_says_so(tmp_path: Path) -> None:
    nothing = town(tmp_path / "a", looks=lambda vehicle, camera: np.zeros(0, np.float32))
    with pytest.raises(ConfigError, match="this tracklet has no embedding"):
        Search(nothing).like_passage(0, 5)
    with pytest.raises(ConfigError, match="no embeddings to compare a picture with"):
        Search(nothing).like_picture(picture(0), 5)
    other = town(tmp_path / "b", embed=EmbedConfig(weights="color_histogram"))
    with pytest.raises(ConfigError, match="expected embeddings of size 16 as the run has them"):
        Search(other).like_picture(picture(0), 5)
