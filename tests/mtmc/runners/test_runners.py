"""Where cameras are processed changes nothing but the time it takes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from mtmc.errors import MtmcError, VideoError
from mtmc.geometry.clock import Clock
from mtmc.runners import local
from mtmc.runners import ray as ray_runner
from mtmc.scene import Camera
from tests.builders import traffic_frames, write_video
from tests.mtmc.pipeline.test_resume import COLORS, SETTINGS, outputs

CAMERAS = [Camera(id=f"c{i:03d}", number=i, clock=Clock(fps=10)) for i in range(1, 6)]


def name_of(camera: Camera) -> str:
    return camera.id


def fail_on_third(camera: Camera) -> str:
    if camera.number == 3:
        raise VideoError("expected a video, got an empty file", path="c003.mp4", remedy="copy it again")
    return camera.id


def die_on_third(camera: Camera) -> str:
    if camera.number == 3:
        os._exit(9)
    return camera.id


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_results_come_in_the_order_of_the_cameras(workers: int) -> None:
    assert local.map_cameras(name_of, CAMERAS, workers=workers) == [c.id for c in CAMERAS]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_arrives_as_it_was(workers: int) -> None:
    with pytest.raises(
        VideoError, match=r"^c003\.mp4: expected a video, got an empty file; copy it again$"
    ) as caught:
        local.map_cameras(fail_on_third, CAMERAS, workers=workers)
    assert (caught.value.path, caught.value.remedy) == ("c003.mp4", "copy it again")


def test_a_dead_worker_is_a_sentence() -> None:
    with pytest.raises(MtmcError, match=r"a worker process died.*fewer --workers"):
        local.map_cameras(die_on_third, CAMERAS, workers=2)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "town"
    for index in range(3):
        write_video(folder / f"c00{index + 1}.mp4", traffic_frames(30 + index, colors=COLORS[: index + 1]))
    return folder


@pytest.fixture(scope="module")
def run(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, bytes]]:
    from mtmc.cli import main

    def go(*arguments: str) -> dict[str, bytes]:
        out = tmp_path_factory.mktemp("out")
        settings = [*SETTINGS, "-o", "threads=1"]
        assert main(["run", "--videos", str(videos), "--out", str(out), *settings, *arguments]) == 0
        files = outputs(out)
        files.pop("run.json")  # says which runner it was
        return files

    return go


@pytest.fixture(scope="module")
def alone(run: Callable[..., dict[str, bytes]]) -> dict[str, bytes]:
    return run("--workers", "1")


def test_several_processes_give_the_same_bytes(run: Callable[..., dict[str, bytes]], alone: dict[str, bytes]) -> None:
    assert run("--workers", "2") == alone


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_ray_gives_the_same_bytes(run: Callable[..., dict[str, bytes]], alone: dict[str, bytes]) -> None:
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    assert run("--runner", "ray", "--workers", "2") == alone


def test_a_cluster_that_cannot_be_reached_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise ConnectionError("timed out")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False, init=refuse))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.9:6379")
    with pytest.raises(MtmcError, match=r"expected a Ray cluster at RAY_ADDRESS=10\.0\.0\.9:6379, reached none"):
        ray_runner.map_cameras(name_of, [])
