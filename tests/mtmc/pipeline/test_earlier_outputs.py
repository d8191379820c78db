"""A run's folder holds what its last run wrote, and nothing of the one before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtmc.cli import main
from mtmc.pipeline.outputs import earlier_outputs, note_derived, remove_outputs, set_aside_derived
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


def test_what_was_computed_from_another_result_goes_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reports, tables and diagnoses go, unless a person has edited them; answers and exports of them are kept."""
    folder, out = tmp_path / "town", tmp_path / "out"
    for name in ("c001", "c002"):
        write_video(folder / f"{name}.mp4", traffic_frames(30))
    (folder / "c001_gt.txt").write_text("".join(f"{f},1,{4 * f},20,24,16,1,-1,-1,-1\n" for f in range(1, 20)))
    command = ["run", "--videos", str(folder), "--out", str(out), *SETTINGS, "--no-render"]
    assert main(command) == 0
    own = files(out)
    for name in ("report", "count", "diagnose"):
        assert main([name, str(out), *(["--no-reruns"] if name == "diagnose" else [])]) == 0
    (out / "traffic" / "mine.xlsx").write_text("a person's")
    edited = out / "traffic" / "headways.csv"
    edited.write_text(edited.read_text() + "and a note\n")
    made = {"full_report.html", "diagnosis/diagnosis.json", "traffic/turning_counts.csv", "traffic/sumo_od.xml"}
    exports = {"track1.txt", "truth/c001/gt/gt.txt", "truth.zip"}
    for name in (*exports, "journal.jsonl", "proxies/c001.mp4"):
        (out / "view" / name).parent.mkdir(parents=True, exist_ok=True)
        (out / "view" / name).write_text(name)
    assert made <= files(out)

    before = files(out)
    assert main(command) == 0  # the same result: nothing is lost
    assert files(out) == before

    capsys.readouterr()
    assert main([*command, "-o", "postprocess.min_area_px=2"]) == 0
    said = capsys.readouterr().err
    kept = {"traffic/mine.xlsx", "traffic/headways.csv", "view/journal.jsonl", "view/proxies/c001.mp4"}
    assert files(out) == own | kept | {f"view/earlier-1/{name}" for name in exports}
    assert "removed, as computed from the earlier result here: full_report.html, diagnosis/ (2 files)" in said
    assert "view/earlier-1" in said
    assert not (out / "diagnosis").exists()

    (out / "view" / "track1.txt").write_text("exported again")
    assert main(command) == 0
    assert (out / "view" / "earlier-1" / "track1.txt").read_text() == "track1.txt"
    assert (out / "view" / "earlier-2" / "track1.txt").read_text() == "exported again"


def test_notes_about_files_elsewhere_remove_nothing(tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside.html"
    (out / "results").mkdir(parents=True)
    for path in (outside, out / "inside.html"):
        path.write_text("page")
    note_derived(out, [outside, out / "inside.html"])
    assert set(json.loads((out / "results" / "derived.json").read_text())) == {"inside.html"}
    noted = json.loads((out / "results" / "derived.json").read_text())
    noted["../outside.html"] = noted["inside.html"]
    (out / "results" / "derived.json").write_text(json.dumps(noted))
    set_aside_derived(out, {"config": 1}, {"config": 2})
    assert outside.exists()
    assert not (out / "inside.html").exists()


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "\ud800", "loop", "", ".", "empty"])
def test_names_that_no_file_has_stop_no_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    page = tmp_path / "page.html"
    page.write_text("page")
    note_derived(tmp_path, [page])
    noted = json.loads((tmp_path / "results" / "derived.json").read_text())
    (tmp_path / "results" / "derived.json").write_text(json.dumps({name: noted["page.html"]} | noted))
    set_aside_derived(tmp_path, {"config": 1}, {"config": 2})
    remove_outputs(tmp_path, [name])
    assert not page.exists()
    assert (tmp_path / "empty").is_dir()


@pytest.mark.parametrize("text", ["", "{}", "[]", "not JSON", "[" * 200_000, None])
def test_a_folder_without_a_readable_manifest_names_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    assert earlier_outputs(tmp_path) == set()
