"""From a finished run to its diagnosis: where boxes were lost, runs on perfect input, the files and the command."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtmc.cli import main
from mtmc.config import load_config
from mtmc.diagnose import diagnose, match_run
from mtmc.diagnose.missed_boxes import losing_stages
from mtmc.errors import ConfigError
from mtmc.geometry.clock import Clock
from mtmc.pipeline.results import load_run
from mtmc.pipeline.run import run
from mtmc.scene import Camera, Scene, load_scenes
from tests.builders import traffic_frames, write_video

Row = tuple[int, int, float, float, float, float, float]


def write_rows(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{f},{i},{x},{y},{w},{h},{s},-1,-1,-1\n" for f, i, x, y, w, h, s in rows))
    return path


def driving(identity: int, lane: float, frames: range, score: float = 1.0) -> list[Row]:
    """40 × 30 px, 6 px per frame; frames from 1."""
    return [(f, identity, 10.0 + 6 * f, lane, 40.0, 30.0, score) for f in frames]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on given detections of two cameras, in which vehicles are lost at different stages.

    Vehicle 1 is found by both. In camera 1, 2 is not detected, 3 has too low a score, 4 is seen in two frames only,
    which is too few to be tracked, and 5 waits in one place, which the clean-up is told to take for parking.
    """
    home = tmp_path_factory.mktemp("given")
    parked: list[Row] = [(f, 5, 300.0, 500.0, 40.0, 30.0, 1.0) for f in range(1, 31)]
    truth = [
        *driving(1, 50, range(1, 31)),
        *driving(2, 150, range(1, 31)),
        *driving(3, 250, range(1, 31)),
        *driving(4, 350, range(1, 31)),
        *parked,
    ]
    found = [
        *driving(-1, 50, range(1, 31)),
        *driving(-1, 250, range(1, 31), 0.05),
        *driving(-1, 350, range(5, 7)),
        *((f, -1, *rest) for f, _, *rest in parked),
        *driving(-1, 700, range(1, 31)),  # where nothing is annotated
    ]
    one = driving(1, 50, range(1, 31))
    cameras = (
        Camera("c001", 1, Clock(10.0), frame_count=30, size_wh=(1000, 800),
               detections=(write_rows(home / "c001" / "det.txt", found),),  # type: ignore[arg-type]
               ground_truth=write_rows(home / "c001" / "gt.txt", truth)),
        Camera("c002", 2, Clock(10.0), frame_count=30, size_wh=(1000, 800),
               detections=(write_rows(home / "c002" / "det.txt", [(f, -1, *rest) for f, _, *rest in one]),),
               ground_truth=write_rows(home / "c002" / "gt.txt", one)),
    )  # fmt: skip
    # both cameras see one road from the same place
    ground = np.array([[0.05, 0, 0], [0, 0.05, 0], [0, 0, 1]])
    scene = Scene("given", home, tuple(replace(c, ground_from_image=ground) for c in cameras))
    config = load_config(
        overrides=[
            "detect.filter.min_confidence=0.3",
            "clean.filter.min_displacement=0.5",
            "embed.weights=none",
            "associate.method=hierarchical",
        ]
    )
    run(scene, config, home / "out", map_cameras=lambda fn, cameras: [fn(c) for c in cameras])
    return home / "out"


def test_the_stage_that_lost_each_vehicle(given: Path) -> None:
    loaded = load_run(given)
    matched = match_run(loaded)
    lost = losing_stages(loaded, matched)
    by_vehicle = {v: sorted(set(lost[matched.truth.id == v].tolist())) for v in range(1, 6)}
    assert by_vehicle == {
        1: [""],
        2: ["given boxes"],
        3: ["filter"],
        4: ["given boxes", "tracking"],
        5: ["clean-up"],
    }
    frames = matched.truth.frame[(matched.truth.id == 4) & (lost == "tracking")]
    assert frames.tolist() == [4, 5]


def test_a_diagnosis_explains_the_run_s_own_score_and_is_written(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diagnose", str(given), "--out", str(tmp_path), "--workers", "1"]) == 0
    text = capsys.readouterr().out
    written = json.loads((tmp_path / "diagnosis.json").read_text())
    official = json.loads((given / "scores.json").read_text())["overall"]
    assert written["run"]["idf1"] == official["idf1"]
    assert written["explained"] == pytest.approx(1)
    assert sum(part["lost_idf1"] for part in written["parts"]) == pytest.approx(1 - official["idf1"])
    assert f"IDF1 {100 * official['idf1']:.2f}" in text
    assert "100.0 % explained" in text
    # Vehicle 1 is right in both cameras: 60 boxes of the 180; the false lane of camera 1 is filtered out.
    assert (written["run"]["idtp"], written["run"]["idfp"]) == (60, 0)
    oracles = {oracle["name"]: oracle["scores"] for oracle in written["oracles"]}
    assert len(oracles) == 7
    # Vehicles 2 to 5 are in one camera only, so even on perfect input the protocol accepts none of them.
    for name in ("tracklets, our association", "detections, our tracker and association", "cross-camera ids"):
        assert (oracles[name]["idtp"], oracles[name]["idfp"]) == (60, 0), name
    page = (tmp_path / "diagnosis.html").read_text()
    assert "<svg" in page
    assert "single-camera filter" in page
    assert "<img" not in page  # there is no video


def test_perfect_input_is_kept_for_the_next_time(given: Path, tmp_path: Path) -> None:
    first = diagnose(given, out=tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "oracles").rglob("cache/*/*.npz")}
    second = diagnose(given, out=tmp_path)
    assert kept
    assert kept == {path: path.stat().st_mtime_ns for path in (tmp_path / "oracles").rglob("cache/*/*.npz")}
    assert first.as_dict() == second.as_dict()


def test_ground_truth_from_elsewhere_and_none_at_all(given: Path, tmp_path: Path) -> None:
    gt = write_rows(tmp_path / "gt" / "c002.txt", driving(7, 50, range(1, 31)))
    found = diagnose(given, gt=gt, out=tmp_path / "out", reruns=False)
    assert (found.protocol, found.steps[0].scores.idf1) == ("plain", 1.0)
    assert found.explained == 1.0
    assert not found.link_errors
    other = write_rows(tmp_path / "other" / "c009.txt", driving(7, 50, range(1, 31)))
    with pytest.raises(
        ConfigError, match="expected ground truth of the run's cameras, found none; give it with --gt"
    ):
        diagnose(given, gt=other, out=tmp_path / "out")
    bare = tmp_path / "bare"
    shutil.copytree(given, bare)
    manifest = json.loads((bare / "run.json").read_text())
    for camera in manifest["place"]["scene"]["cameras"]:
        camera.pop("ground_truth", None)
    (bare / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(
        ConfigError, match="expected ground truth of the run's cameras, found none; give it with --gt"
    ):
        diagnose(bare, reruns=False)


def test_videos_give_pictures_and_without_them_the_rest_is_there(tmp_path: Path) -> None:
    town = tmp_path / "town"
    for name in ("c001", "c002"):
        write_video(town / f"{name}.mp4", traffic_frames(40, colors=((220, 40, 40), (40, 60, 220))))
        # the lower vehicle under another number in each camera, so that its link is wrong by decree
        lower = {"c001": 2, "c002": 3}[name]
        rows = [
            (f + 1, who, float(4 * f - 24), 20.0 + 30 * lane, 24.0, 16.0, 1.0)
            for lane, who in enumerate((1, lower))
            for f in range(8, 38)
        ]
        write_rows(town / f"{name}_gt.txt", rows)
    (town / "scene.yaml").write_text(
        "cameras:\n" + "".join(f"  - {{id: {n}, ground_truth: {n}_gt.txt}}\n" for n in ("c001", "c002"))
    )
    [scene] = load_scenes(town)
    config = load_config(
        overrides=["detect.weights=motion", "clean.filter.enabled=false", "associate.method=hierarchical"]
    )
    out = tmp_path / "out"
    run(scene, config, out, map_cameras=lambda fn, cameras: [fn(c) for c in cameras])
    found = diagnose(out)
    page = (out / "diagnosis" / "diagnosis.html").read_text()
    assert found.explained == pytest.approx(1)
    assert found.link_errors
    assert page.count("<img") >= 2
    assert all(oracle.scores is not None for oracle in found.oracles)

    shutil.move(town, tmp_path / "gone")
    gt = tmp_path / "gone"
    for name in ("c001", "c002"):
        shutil.copy(gt / f"{name}_gt.txt", tmp_path / f"{name}.txt")
    (tmp_path / "gt").mkdir()
    for name in ("c001", "c002"):
        shutil.move(tmp_path / f"{name}.txt", tmp_path / "gt" / f"{name}.txt")
    again = diagnose(out, gt=tmp_path / "gt", out=tmp_path / "later")
    assert [s.scores.idf1 for s in again.steps] == [s.scores.idf1 for s in found.steps]
    assert "<img" not in (tmp_path / "later" / "diagnosis.html").read_text()
    assert [bool(oracle.problem) for oracle in again.oracles] == [False] * 4 + [True] * 3
    assert "does not exist any more" in again.oracles[-1].problem
