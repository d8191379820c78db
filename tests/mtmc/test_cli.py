"""What the command line says while it works, where, and that no reader need be there."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mtmc import commands
from mtmc.cli import main
from mtmc.log import configure
from mtmc.scene import Camera

ROOT = Path(__file__).resolve().parents[2]
DETECTIONS = "".join(f"{f},-1,{10 + 4 * f},20,40,30,0.9,-1,-1,-1\n" for f in range(1, 41))


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """The loggers as they were, since a command configures them for the whole process."""
    before = {
        name: (logging.getLogger(name).level, list(logging.getLogger(name).handlers)) for name in ("mtmc", "reid")
    }
    yield
    os.environ.pop("MTMC_LOG_LEVEL", None)
    for name, (level, handlers) in before.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers[:] = handlers


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    for camera in ("c001", "c002"):
        (tmp_path / "S01" / camera / "det").mkdir(parents=True)
        (tmp_path / "S01" / camera / "det" / "det.txt").write_text(DETECTIONS)
    return tmp_path / "S01"


def run(scenario: Path, *options: str) -> int:
    out = scenario.parent / "out"
    return main(["run", "--videos", str(scenario), "--out", str(out), "--no-render", "--workers", "1", *options])


def test_without_a_terminal_the_stages_are_logged(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(scenario) == 0
    lines = capsys.readouterr().err.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d \S", line) for line in lines)
    said = "\n".join(line[9:] for line in lines)
    assert f"S01: 2 cameras, results in {scenario.parent / 'out'}" in said
    for camera in ("c001", "c002"):
        assert re.search(rf"{camera}: track begins\n{camera}: track ended after \d+\.\d s", said)
        assert re.search(rf"{camera}: .*40 frames, 40 detections, 1 tracklets", said)
    assert re.search(r"associate begins\n(.*\n)*associate ended after", said)


@pytest.mark.parametrize(
    ("options", "terminal", "expected"), [(["--quiet"], False, 0), ([], True, 0), (["--verbose"], True, 1)]
)
def test_how_much_is_said(
    scenario: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    terminal: bool,
    expected: int,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert run(scenario, *options) == 0
    assert ("associate begins" in capsys.readouterr().err) == bool(expected)


def test_configuring_twice_says_everything_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure(verbose=True)
    configure(verbose=True)
    logging.getLogger("mtmc.anything").info("once")
    logging.getLogger("reid.anything").debug("and this")
    assert [line[9:] for line in capsys.readouterr().err.splitlines()] == ["once", "and this"]


@pytest.mark.parametrize(
    "code",
    [
        "from mtmc.cli import main; raise SystemExit(main())",
        "import runpy; runpy.run_module('mtmc', run_name='__main__')",
    ],
)
def test_nobody_has_to_read_to_the_end(code: str) -> None:
    """``mtmc config | head -1``, as the installed script and as the module."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, "config"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    error = process.stderr.read().decode()
    process.stderr.close()
    assert (process.wait(), error) == (0, "")


def test_workers_get_absolute_paths(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster's workers run in another folder, so nothing they are given depends on this one's."""
    seen: list[Camera] = []
    stores: list[Path] = []
    local = commands.RUNNERS["local"]

    def spy(fn: Callable[..., Any], cameras: Sequence[Camera], **options: Any) -> list[Any]:
        seen.extend(cameras)
        stores.append(fn.keywords["cache"].root)
        return local(fn, cameras, **options)

    monkeypatch.setitem(commands.RUNNERS, "local", spy)
    monkeypatch.chdir(scenario.parent)
    assert main(["run", "--videos", "S01", "--out", "out", "--no-render", "--workers", "1"]) == 0
    assert all(path.is_absolute() for camera in seen for path in camera.detections)
    assert all(path.is_absolute() for path in stores)
    monkeypatch.chdir(scenario)
    assert main(["run", "--videos", ".", "--no-render", "--workers", "1"]) == 0
    assert (scenario / "runs" / "S01" / "track1.txt").is_file()


def test_a_single_video_gives_its_name_to_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.builders import traffic_frames, write_video

    write_video(tmp_path / "gate.v1.mp4", traffic_frames(10))
    monkeypatch.chdir(tmp_path)
    main(["run", "--videos", "gate.v1.mp4", "--no-render", "--workers", "1"])
    assert (tmp_path / "runs" / "gate.v1" / "mot" / "gate.v1.txt").is_file()


def test_the_address_of_a_stream_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--videos", "rtsp://10.0.0.1/stream"]) == 2
    assert "got the address of a stream, rtsp:/10.0.0.1/stream; record it" in capsys.readouterr().err


def test_an_option_of_an_earlier_version_names_the_new_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--videos", ".", "--no-pictures"])
    said = capsys.readouterr().err
    assert "unrecognized arguments: --no-pictures; --no-pictures is now called --no-render" in said
