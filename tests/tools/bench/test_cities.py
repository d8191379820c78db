from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtmc.commands import run_command
from mtmc.pipeline.results import LoadedRun, load_run
from mtmc.types import GlobalTrack
from tests.builders import tracklet
from tools.bench.cities import Notebook
from tools.bench.cities_page import page
from tools.bench.contest import ENTRANTS, OURS, Entrant, _shown, compete, place_for
from tools.bench.perturb import PERTURBATIONS, case_of

NAMES = [entrant.name for entrant in ENTRANTS]
GRAPH = ENTRANTS[NAMES.index(OURS)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    """Two cameras look at one street from the same place: vehicles that both see drive on the same pixels."""
    folder = tmp_path_factory.mktemp("street")
    lines = ["name: street", "cameras:"]
    for camera in (1, 2):
        name = f"c{camera:03d}"
        lines += [
            f"  - {{id: {name}, number: {camera}, fps: 10, frame_count: 200, size_wh: [1000, 500],",
            "     ground_from_image: [[0.05, 0, 0], [0, 0.05, 0], [0, 0, 1]],",
            f"     tracklets: [{name}.txt], ground_truth: {name}_gt.txt}}",
        ]
        for kind in ("", "_gt"):
            # Camera 2 splits a vehicle of the truth in two and so loses one half of it.
            cut = camera == 2 and not kind
            rows = []
            for k in range(6):
                way = tracklet(track_id=k + 1, first=20 * k, length=60, start=(20.0, 60.0 * k), step=(9, 0))
                for frame, (x1, y1, x2, y2) in zip(way.frame.tolist(), way.xyxy.tolist(), strict=True):
                    track_id = 50 if cut and k == 0 and frame >= 30 else k + 1
                    rows.append(f"{frame + 1},{track_id},{x1},{y1},{x2 - x1},{y2 - y1},1,-1,-1,-1\n")
            (folder / f"{name}{kind}.txt").write_text("".join(rows))
    (folder / "scene.yaml").write_text("\n".join(lines) + "\n")
    settings = ["embed.weights=none", "render.videos=false", "render.mosaic=false", "render.report=false"]
    run_command(
        videos=folder,
        out=folder / "out",
        config_files=(),
        overrides=settings,
        runner="local",
        workers=1,
        strict=True,
    )
    return load_run(folder / "out")


def test_the_contest_scores_as_the_run_does(run: LoadedRun) -> None:
    case = case_of(run.scene, run.passages)
    found = compete(case, Entrant("as run", {}), run.config, None)
    scores = json.loads((run.out / "scores.json").read_text())["overall"]
    assert found is not None
    assert list(found) == [scores["idf1"], scores["idp"], scores["idr"]]
    assert 0.8 < found.idf1 <= 1.0


def test_who_goes_by_appearance_alone_cannot_take_part_without(run: LoadedRun) -> None:
    case = case_of(run.scene, run.passages)
    assert compete(case, ENTRANTS[0], run.config, None) is None
    assert compete(case, GRAPH, run.config, None) is not None


def test_boxes_that_only_association_sees_moved_are_scored_where_they_were(run: LoadedRun) -> None:
    whole = case_of(run.scene, run.passages)
    worse = PERTURBATIONS["one camera moved half-way"](whole, 3)
    tracks = [GlobalTrack(k + 1, (passage,)) for k, passage in enumerate(worse.passages)]
    for track, before in zip(_shown(worse, tracks), whole.passages, strict=True):
        assert track.passages[0].tracklet.xyxy.tolist() == before.tracklet.xyxy.tolist()
    pairs = zip(worse.passages, whole.passages, strict=True)
    assert any(p.tracklet.xyxy.tolist() != q.tracklet.xyxy.tolist() for p, q in pairs)


def test_an_entrant_knows_no_more_of_the_place_than_it_may(run: LoadedRun) -> None:
    case = case_of(run.scene, run.passages)
    nothing = place_for(case, "nothing")
    assert all(camera.ground_from_image is None for camera in nothing.scene.cameras)
    ground = place_for(case, "learned on given ground")
    for before, after in zip(case.scene.cameras, ground.scene.cameras, strict=True):
        assert after.ground_from_image is not None
        assert after.ground_from_image.tolist() == before.ground_from_image.tolist()  # type: ignore[union-attr]
    assert place_for(case, "given") is case
    assert ground.shown is case.shown


def test_a_notebook_computes_once_until_its_key_changes(tmp_path: Path) -> None:
    calls = []

    def compute() -> list[float]:
        calls.append(1)
        return [0.5, None]  # type: ignore[list-item]

    path = tmp_path / "bench" / "H01.json"
    assert Notebook(path).keep("a", "k1", compute) == [0.5, None]
    assert Notebook(path).keep("a", "k1", compute) == [0.5, None]
    assert len(calls) == 1
    Notebook(path).keep("a", "k2", compute)
    assert len(calls) == 2
    assert set(json.loads(path.read_text())) == {"a"}


def test_the_page_gives_means_over_scenes() -> None:
    def scene(name: str, value: float) -> dict[str, object]:
        facts = {"name": name, "place": "p", "weather": "w", "seed": 1, "cameras": 2, "vehicles": 3, "boxes": 4}
        marks = {"ap50": value, "ap50_95": value}
        looks = {"map": value, "rank1": value, "map_apart": value, "rank1_apart": value}
        contest = {
            "as it is": {"rule": [value, value, value], OURS: [1.0, 1.0, 1.0]},
            "no appearance": {"rule": None, OURS: [value, 1.0, 1.0]},
        }
        return {"scene": facts, "detector": marks, "embedder": looks, "run": [value] * 3, "contest": contest}

    text = page([scene("H01", 0.5), scene("H02", 0.7)])
    assert "| mean |  |  |  |  |  |  | " + " | ".join(["0.600"] * 9) + " |" in text
    assert "| rule | 0.500 | 0.700 | 0.600 | 0.600 | 0.600 |" in text
    assert "| rule | 0.600 | – |" in text
    assert "| graph | 1.000 | 0.600 |" in text
