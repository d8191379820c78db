"""The wheel holds all that the programs need: built, installed into an empty environment, run from somewhere else."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mtmc.cli import _parser as mtmc_parser
from reid.cli import _parser as reid_parser
from tests.builders import first_seconds

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ["mtmc", "reid", "configs", "pyproject.toml", "README.md", "LICENSE"]
SAMPLE_FRAMES = 8

pytestmark = pytest.mark.slow

Program = Callable[..., str]


def command_names(parser: argparse.ArgumentParser) -> Iterator[list[str]]:
    """Every command and command of a command."""
    yield []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from ([name, *rest] for rest in command_names(inner))


def checked(command: list[str], folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Runs a program of the installed wheel; what it needs of other packages comes from this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    checked(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder), str(source)], folder
    )
    [wheel] = folder.glob("*.whl")

    environment = folder / "environment"
    checked([sys.executable, "-m", "venv", "--without-pip", str(environment)], folder)
    checked(
        [*pip, "--python", str(environment / "bin" / "python"), "install", "--no-deps", "--no-index", str(wheel)],
        folder,
    )
    # A path in a .pth file is searched, but .pth files in it are not read: the editable install stays out.
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    shutil.rmtree(source)

    def run(name: str, *arguments: str, folder: Path = folder) -> str:
        return checked([str(environment / "bin" / name), *arguments], folder)

    return run


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cameras with a common stretch of road, given detections and ground truth; no video."""
    folder = tmp_path_factory.mktemp("elsewhere")
    videos = folder / "crossing"
    videos.mkdir()
    lines = ["cameras:"]
    for camera, first_px, offset_m in (("c001", 250, 0), ("c002", 50, 10)):
        matrix = f"[[0.05, 0, {offset_m}], [0, 0.05, 0], [0, 0, 1]]"
        lines += [f"  - {{id: {camera}, detections: [{camera}.txt], ground_truth: {camera}_gt.txt, fps: 10,"]
        lines += [f"     frame_count: 60, size_wh: [640, 480], ground_from_image: {matrix}}}"]
        boxes = [f"{left},200,40,30" for left in first_px + 5 * np.arange(60)]
        detections = [f"{frame},-1,{box},0.9,-1,-1,-1" for frame, box in enumerate(boxes, start=1)]
        truth = [f"{frame},7,{box},1,-1,-1,-1" for frame, box in enumerate(boxes, start=1)]
        (videos / f"{camera}.txt").write_text("\n".join(detections), encoding="utf-8")
        (videos / f"{camera}_gt.txt").write_text("\n".join(truth), encoding="utf-8")
    (videos / "scene.yaml").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["python"])
def test_the_packages_are_the_installed_ones(program: Program, name: str) -> None:
    code = "import mtmc, reid; print(mtmc.__file__, reid.__file__)"
    assert program(name, "-c", code).count("environment/lib/python") == 2


def test_help_of_every_command(program: Program) -> None:
    for name, parser in (("mtmc", mtmc_parser()), ("reid", reid_parser())):
        for command in command_names(parser):
            assert program(name, *command, "--help").startswith(f"usage: {' '.join([name, *command])}")


def test_a_run_of_given_detections_and_what_follows(program: Program, crossing: Path) -> None:
    printed = program("mtmc", "run", "--videos", "crossing", folder=crossing)
    assert "100.0" in printed
    assert (crossing / "runs" / "crossing" / "report.html").exists()

    assert "association" in program("mtmc", "diagnose", "runs/crossing", folder=crossing)
    assert (crossing / "runs" / "crossing" / "diagnosis" / "diagnosis.html").exists()

    program("mtmc", "site", "learn", "runs/crossing", folder=crossing)
    scores = program("mtmc", "evaluate", "--gt", "crossing", "--pred", "runs/crossing/track1.txt", folder=crossing)
    assert "100.0" in scores


def test_configurations_by_name(program: Program, crossing: Path) -> None:
    for path in sorted((ROOT / "configs" / "run").glob("*.yaml")):
        assert "associate:" in program("mtmc", "config", "--config", path.stem, folder=crossing)


def test_the_sample_from_pixels(program: Program, tmp_path: Path) -> None:
    first_seconds(ROOT / "sample_videos", tmp_path / "sample_videos", SAMPLE_FRAMES)
    program("mtmc", "run", "--videos", "sample_videos", "-o", "render.videos=false", folder=tmp_path)
    assert (tmp_path / "runs" / "sample_videos" / "track1.txt").exists()
    assert (tmp_path / "runs" / "sample_videos" / "report.html").exists()
