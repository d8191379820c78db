"""A run that is killed in the middle of any stage goes on where it was and ends with the same bytes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import traffic_frames, write_video

ROOT = Path(__file__).resolve().parents[3]
COLORS = ((220, 40, 40), (40, 60, 220), (230, 210, 60))
SETTINGS = ["-o", "detect.weights=motion", "-o", "detect.batch=4", "-o", "clean.filter.enabled=false"]

#: Where to pull the plug: module, function or method, after how many calls.
STAGES = {
    "detect": ("mtmc.pipeline.detection", "_Feed.add", 30),
    "track": ("mtmc.pipeline.camera", "track", 1),
    "clean": ("mtmc.pipeline.camera", "clean", 1),
    "embed": ("mtmc.pipeline.camera", "embed_tracklets", 0),
    "associate": ("mtmc.pipeline.run", "associate_with_evidence", 0),
    "tables": ("mtmc.pipeline.outputs", "write_parquet", 0),
    "score": ("mtmc.pipeline.run", "score_scene", 0),
    "video": ("mtmc.video.write", "VideoWriter.write", 25),
    "mosaic": ("mtmc.render.mosaic", "write_mosaic", 0),
    "page": ("mtmc.render.report", "write_report", 0),
}

DRIVER = """
import importlib, os, signal, sys
module, name, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
owner = importlib.import_module(module)
*path, last = name.split(".")
for part in path:
    owner = getattr(owner, part)
real = getattr(owner, last)
seen = 0
def killing(*args, **kwargs):
    global seen
    seen += 1
    if seen > calls:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
setattr(owner, last, killing)
from mtmc.cli import main
sys.exit(main(sys.argv[4:]))
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "town"
    for index, name in enumerate(("c001", "c002")):
        write_video(folder / f"{name}.mp4", traffic_frames(40 + 5 * index, colors=COLORS))
        (folder / f"{name}_gt.txt").write_text(
            "".join(f"{f},1,{4 * f - 28},20,24,16,1,-1,-1,-1\n" for f in range(8, 40))
        )
    return folder


def arguments(videos: Path, out: Path) -> list[str]:
    return ["run", "--videos", str(videos), "--out", str(out), "--workers", "1", *SETTINGS]


def outputs(out: Path) -> dict[str, bytes]:
    """Every file people use, the manifest without what names times."""
    files = {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
    files = {name: data for name, data in files.items() if not name.startswith("cache/")}
    manifest = json.loads(files.pop("run.json"))
    manifest.pop("seconds")
    for camera in manifest["cameras"].values():
        camera.pop("seconds")
    return {**files, "run.json": json.dumps(manifest).encode()}


@pytest.fixture(scope="module")
def undisturbed(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    from mtmc.cli import main

    # As deep as the other runs: the learned scene file names the videos relative to itself.
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert main(arguments(videos, out)) == 0
    return outputs(out)


def test_the_run_writes_everything(undisturbed: dict[str, bytes]) -> None:
    assert set(undisturbed) == {
        "track1.txt",
        "tracks.parquet",
        "mot/c001.txt",
        "mot/c002.txt",
        "scores.json",
        "scores.csv",
        "videos/c001.mp4",
        "videos/c002.mp4",
        "videos/mosaic.mp4",
        "report.html",
        "results/passages/c001.npz",
        "results/passages/c002.npz",
        "results/links.parquet",
        "results/scene_model.npz",
        "results/scene.learned.yaml",
        "run.json",
    }
    assert len(undisturbed["track1.txt"].splitlines()) > 40


@pytest.mark.parametrize("stage", STAGES)
def test_killed_and_resumed(stage: str, videos: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    from mtmc.cli import main

    module, name, calls = STAGES[stage]
    command = [sys.executable, "-c", DRIVER, module, name, str(calls), *arguments(videos, tmp_path / "out")]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert main(arguments(videos, tmp_path / "out")) == 0
    again = outputs(tmp_path / "out")
    assert again.keys() == undisturbed.keys()
    assert [name for name in again if again[name] != undisturbed[name]] == []
