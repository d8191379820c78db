"""Downloads from a server on this machine: whole, continued, broken off, of wrong bytes, and without a network."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from mtmc.cli import main
from mtmc.errors import ConfigError, MtmcError, WeightsError
from mtmc.zoo import ModelsConfig, choose, download, model_file, package_model, registry, tables
from mtmc.zoo.registry import Model, ModelFile
from mtmc.zoo.tables import fetch_text

CONTENT = np.random.default_rng(7).bytes(400_000)


class Server:
    """Serves one file; what it does wrong can be set.

    Attributes:
        cut_at: The connection closes after so many bytes of an answer.
        ranges: It can send the rest of a file.
        requests: The header Range of every request, "" without one.
    """

    def __init__(self) -> None:
        self.content = CONTENT
        self.cut_at: int | None = None
        self.ranges = True
        self.status = 200
        self.delay_s = 0.0
        self.requests: list[str] = []
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=partial(self._server.serve_forever, poll_interval=0.02), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/model.onnx"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.owner.requests.append(wanted)
        time.sleep(self.owner.delay_s)
        if self.owner.status != 200:
            self.send_error(self.owner.status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.owner.ranges else 0
        rest = self.owner.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.owner.cut_at])

    def log_message(self, *arguments: object) -> None:
        """Nothing: the tests' output stays clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def model(*urls: str, content: bytes = CONTENT, license: str = "Apache-2.0") -> Model:
    digest = hashlib.sha256(content).hexdigest()
    file = ModelFile(urls, digest, len(content))
    return Model("cars", "detector", license, "a street", files=(file,), card={"kind": "yolox"})


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTMC_OFFLINE")


def test_a_whole_file_comes_once_with_its_card(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "models"
    path = download.fetch_model(model(server.url), folder)
    assert path == folder / "cars.onnx"
    assert path.read_bytes() == CONTENT
    assert json.loads((folder / "cars.json").read_text(encoding="utf-8")) == {"kind": "yolox"}
    assert not list(folder.glob("*.part"))
    download.fetch_model(model(server.url), folder)
    assert server.requests == [""]


def test_a_broken_download_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.cut_at = 150_000
    with pytest.raises(WeightsError, match=r"broke off.*the download goes on from there"):
        download.fetch_model(model(server.url), tmp_path)
    assert not (tmp_path / "cars.onnx").exists()
    assert (tmp_path / "cars.onnx.part").stat().st_size == 150_000
    server.cut_at = None
    assert download.fetch_model(model(server.url), tmp_path).read_bytes() == CONTENT
    assert server.requests == ["", "bytes=150000-"]


def test_a_server_that_knows_no_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "cars.onnx.part").write_bytes(CONTENT[:1000])
    server.ranges = False
    assert download.fetch_model(model(server.url), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("left_over", [CONTENT[:-1] + b"\0", CONTENT + b"more"], ids=["wrong bytes", "too long"])
def test_a_part_file_of_another_file_does_no_lasting_harm(server: Server, tmp_path: Path, left_over: bytes) -> None:
    (tmp_path / "cars.onnx.part").write_bytes(left_over)
    try:
        download.fetch_model(model(server.url), tmp_path)
    except WeightsError:
        download.fetch_model(model(server.url), tmp_path)
    assert (tmp_path / "cars.onnx").read_bytes() == CONTENT


@pytest.mark.parametrize("change", [b"", b"x"], ids=["same length", "longer"])
def test_wrong_bytes_are_discarded(server: Server, tmp_path: Path, change: bytes) -> None:
    server.content = CONTENT[:-1] + b"\0" + change
    with pytest.raises(WeightsError, match=r"expected SHA-256 [0-9a-f]{64} from http.*the file was discarded"):
        download.fetch_model(model(server.url), tmp_path)
    assert not list(tmp_path.glob("cars*"))


def test_a_mirror_is_asked_where_the_first_address_fails(server: Server, tmp_path: Path) -> None:
    broken = Server()
    broken.status = 404
    path = download.fetch_model(model(broken.url, server.url), tmp_path)
    broken.close()
    assert path.read_bytes() == CONTENT
    assert broken.requests == [""]


def test_a_server_that_says_no_is_quoted(server: Server, tmp_path: Path) -> None:
    server.status = 403
    with pytest.raises(WeightsError, match=r"cannot download http://127.*Forbidden.*connect to the network"):
        download.fetch_model(model(server.url), tmp_path)


def test_silence_is_cut_short(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ANSWER_TIMEOUT_S", 0.3)
    server.delay_s = 2.0
    begun = time.monotonic()
    with pytest.raises(WeightsError, match=r"no answer within 0\.3 s"):
        download.fetch_model(model(server.url), tmp_path)
    assert time.monotonic() - begun < 1.5


def test_several_processes_download_once(server: Server, tmp_path: Path) -> None:
    server.delay_s = 0.2
    threads = [threading.Thread(target=download.fetch_model, args=(model(server.url), tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.requests == [""]
    assert (tmp_path / "cars.onnx").read_bytes() == CONTENT


def test_a_damaged_file_is_told_and_fetched_again(server: Server, tmp_path: Path) -> None:
    path = download.fetch_model(model(server.url), tmp_path)
    assert download.check_model(model(server.url), tmp_path) == ""
    path.write_bytes(CONTENT[:-1] + b"\0")
    assert "expected SHA-256" in download.check_model(model(server.url), tmp_path)
    assert not download.is_complete(model(server.url), tmp_path)
    assert download.fetch_model(model(server.url), tmp_path).read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MtmcError, match="a part of this one is a file"):
        download.fetch_model(model("http://127.0.0.1:9/x.onnx"), tmp_path / "file" / "models")


# What auto does with it.


def automatic(monkeypatch: pytest.MonkeyPatch, candidate: Model) -> None:
    monkeypatch.setattr(registry, "MODELS", (candidate,))
    monkeypatch.setattr("mtmc.zoo.resolve.AUTO", {"detector": ("cars",), "embedder": ()})


@pytest.mark.usefixtures("online")
def test_auto_downloads_once_and_says_so(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    automatic(monkeypatch, model(server.url))
    config = ModelsConfig(folder=tmp_path)
    with caplog.at_level(logging.WARNING):
        assert choose("auto", "detector", config) == "cars"
    assert "cars (a street, Apache-2.0): 0.4 MB are being downloaded, once" in caplog.text
    caplog.clear()
    assert choose("auto", "detector", config) == "cars"
    assert model_file("auto", "detector", config) == str(tmp_path / "cars.onnx")
    assert caplog.text == ""
    assert server.requests == [""]


def test_offline_auto_takes_what_is_at_hand(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    automatic(monkeypatch, model(server.url))
    config = ModelsConfig(folder=tmp_path)
    assert choose("auto", "detector", config) == package_model("detector").name
    assert server.requests == []
    download.fetch_model(model(server.url), tmp_path)
    assert choose("auto", "detector", config) == "cars"


@pytest.mark.usefixtures("online")
def test_the_setting_offline_uses_no_network(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    automatic(monkeypatch, model(server.url))
    config = ModelsConfig(folder=tmp_path, offline=True)
    assert choose("auto", "detector", config) == package_model("detector").name
    with pytest.raises(WeightsError, match=r"expected cars in .* mtmc models fetch cars"):
        model_file("cars", "detector", config)
    assert server.requests == []


@pytest.mark.usefixtures("online")
def test_without_a_network_auto_takes_the_package_quickly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/model.onnx"
    automatic(monkeypatch, model(url))
    begun = time.monotonic()
    assert choose("auto", "detector", ModelsConfig(folder=tmp_path)) == package_model("detector").name
    assert time.monotonic() - begun < 5
    assert "cannot download" in caplog.text
    assert f"{package_model('detector').name} of the package is used" in caplog.text


@pytest.mark.usefixtures("online")
def test_auto_takes_no_model_of_a_restrictive_license(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    automatic(monkeypatch, model(server.url, license="AGPL-3.0"))
    assert choose("auto", "detector", ModelsConfig(folder=tmp_path)) == package_model("detector").name
    assert server.requests == []


def test_the_folder_of_models_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTMC_MODELS", str(tmp_path / "a"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert ModelsConfig(folder=tmp_path / "c").cache_folder == tmp_path / "c"
    assert ModelsConfig().cache_folder == tmp_path / "a"
    monkeypatch.delenv("MTMC_MODELS")
    assert ModelsConfig().cache_folder == tmp_path / "b" / "mtmc" / "models"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert ModelsConfig().cache_folder == tmp_path / "home" / ".cache" / "mtmc" / "models"


# The registry and the commands.


def test_the_registry_names_license_checksum_and_size_of_every_download() -> None:
    for each in registry.MODELS:
        assert each.license in registry.PERMISSIVE
        assert each.source
        assert each.measured
        for file in each.files:
            assert file.size_bytes > 0
            assert len(file.sha256) == 64
            assert set(file.sha256) <= set("0123456789abcdef")
            assert all(url.startswith("https://") for url in file.urls)
    for task, names in registry.AUTO.items():
        assert all(registry.find_model(name, task) is not None for name in names)


@pytest.mark.usefixtures("online")
def test_models_commands(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "MODELS", (dataclasses.replace(model(server.url), measured={"COCO": "0.4"}),))
    place = ["--folder", str(tmp_path)]

    def said(*words: str, code: int = 0) -> str:
        assert main(["models", *words, *place]) == code
        captured = capsys.readouterr()
        return captured.out + captured.err

    [row] = [line for line in said("list").splitlines() if line.startswith("cars")]
    assert row.split() == ["cars", "detector", "Apache-2.0", "0.4", "no", "a", "street"]
    assert "(not there)" in said("show", "cars")
    assert str(tmp_path / "cars.onnx") in said("fetch", "cars")
    shown = said("show", "cars")
    for fact in (hashlib.sha256(CONTENT).hexdigest(), server.url, "COCO: 0.4", "Apache-2.0", str(tmp_path)):
        assert fact in shown
    assert "cars: the file is as registered" in said("check")
    (tmp_path / "cars.onnx").write_bytes(b"x")
    assert "cars: " in said("check", code=2)
    assert "there is no model 'carz'; did you mean cars?" in said("show", "carz", code=2)
    assert "comes with the package" in said("fetch", package_model("embedder").name)


@pytest.mark.usefixtures("online")
def test_models_commands_take_auto_and_package(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    automatic(monkeypatch, model(server.url))
    config = ModelsConfig(folder=tmp_path)
    detector, embedder = package_model("detector").name, package_model("embedder").name
    shown = [line for line in tables.show_text("package", config).splitlines() if not line.startswith(" ")]
    assert shown == [detector, embedder]
    shown = [line for line in tables.show_text("auto", config).splitlines() if not line.startswith(" ")]
    assert shown == ["cars", embedder]
    assert server.requests == []
    fetched = tables.fetch_text("auto", config).splitlines()
    assert fetched[0] == f"cars: {tmp_path / 'cars.onnx'}"
    assert fetched[1].startswith(f"{embedder} comes with the package: ")
    assert server.requests == [""]


def test_a_package_without_a_list_of_checksums_is_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "files", lambda name: [])
    text, good = tables.check_text(ModelsConfig(folder=tmp_path))
    assert good
    assert text.count("not compared") == 2
    assert "as registered" not in text


@pytest.mark.parametrize("damaged", [False, True])
def test_files_of_the_package_are_compared_with_what_pip_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    """The installer's list as it is in a wheel's RECORD: SHA-256 in base64 without padding."""
    noted = []
    for task in ("detector", "embedder"):
        path = registry.PACKAGE_FOLDER / f"{task}.onnx"
        content = path.read_bytes() + (b"x" if damaged else b"")
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        file = metadata.PackagePath(path)
        file.hash, file.dist = metadata.FileHash(f"sha256={digest}"), metadata.PathDistribution(Path("/nowhere"))
        noted.append(file)
    monkeypatch.setattr(metadata, "files", lambda name: noted)
    text, good = tables.check_text(ModelsConfig(folder=tmp_path))
    assert good is not damaged
    assert text.count("install mtmc again" if damaged else "the file is as registered") == 2


def test_an_unknown_model_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="the models are"):
        tables.show_text("%%%%", ModelsConfig())


def test_fetching_by_name_obeys_the_setting_offline(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"yolox_s in .* is not there and the network may not be used"):
        fetch_text("yolox_s", ModelsConfig(folder=tmp_path, offline=True))
