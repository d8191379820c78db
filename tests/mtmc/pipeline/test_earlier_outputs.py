"""A run's folder holds what its last run wrote, and nothing of the one before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtmc.cli import main
from mtmc.pipeline.outputs import earlier_outputs, remove_outputs
from tests.builders import traffic_frames, write_video

RESULTS = {"results/passages/c001.npz", "results/links.parquet", "results/scene_model.npz"}
SETTINGS = ["--workers", "1", "-o", "clean.filter.enabled=false", "-o", "render.mosaic=false"]
SETTINGS += ["-o", "detect.weights=motion"]


def files(out: Path) -> set[str]:
    paths = (path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    return {path for path in paths if not path.startswith("cache/")}


def test_nothing_of_an_earlier_run_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "town", tmp_path / "out"
    for name in ("c001", "c002"):
        write_video(folder / f"{name}.mp4", traffic_frames(30))
    (folder / "c001_gt.txt").write_text("".join(f"{f},1,{4 * f},20,24,16,1,-1,-1,-1\n" for f in range(1, 20)))
    command = ["run", "--videos", str(folder), "--out", str(out), *SETTINGS]
    assert main(command) == 0
    (out / "notes.txt").write_text("mine")  # what no run wrote stays
    assert {"report.html", "videos/c001.mp4", "scores.json", "mot/c002.txt"} <= files(out)

    (folder / "c002.mp4").unlink()
    (folder / "c001_gt.txt").unlink()
    assert main([*command, "--no-render"]) == 0
    assert files(out) == {"track1.txt", "tracks.parquet", "mot/c001.txt", "run.json", "notes.txt", *RESULTS}
    assert "report.html" not in capsys.readouterr().out.rpartition("results:")[2]


def test_only_files_below_the_folder_are_removed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "outside").touch()
    (out / "inside").touch()
    names = {"inside", "../outside", "gone"}
    (out / "run.json").write_text(json.dumps({"outputs_sha256": dict.fromkeys(names, "")}))
    assert earlier_outputs(out) == names
    remove_outputs(out, names)
    assert (tmp_path / "outside").exists()
    assert not (out / "inside").exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", "not JSON", None])
def test_a_folder_without_a_readable_manifest_names_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    assert earlier_outputs(tmp_path) == set()
