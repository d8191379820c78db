"""The page stands alone, its numbers are those of the other commands, and no name in it is markup."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtmc.cli import main
from mtmc.config import RunConfig, load_config
from mtmc.evaluate import evaluate_files
from mtmc.geometry.clock import Clock
from mtmc.pipeline.results import load_run
from mtmc.pipeline.run import run
from mtmc.report.processing import repeating_command
from mtmc.report.sankey import most_frequent, sankey_svg
from mtmc.scene import Camera, Scene, Zone, write_scene
from mtmc.traffic import movements_of
from mtmc.traffic.bins import Bins
from mtmc.traffic.tables import od_matrix
from tests.mtmc.render.test_report import Page

HOSTILE = ["<b>one", "two'\"&amp;", "<img src=x onerror=alert(1)>"]
WEST = Zone('"><script>alert(1)</script>', np.array([[0.0, 0.0], [200, 0], [200, 480], [0, 480]]))
EAST = Zone("</title></svg>east", np.array([[440.0, 0.0], [640, 0], [640, 480], [440, 480]]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cameras with the same view and names of markup; four vehicles pass, one of them unseen by the third."""
    home = tmp_path_factory.mktemp("road")
    ground = np.array([[0.1, 0, 0], [0, 0.1, 0], [0, 0, 1]])
    cameras = []
    for number, name in enumerate(HOSTILE, start=1):
        boxes = [
            (100 * vehicle + frame + 1, vehicle + 1, 20 + 10 * frame) for vehicle in range(4) for frame in range(58)
        ]
        truth, seen = home / f"gt{number}.txt", home / f"det{number}.txt"
        truth.write_text(
            "".join(f"{frame},{vehicle},{left},200,40,30,1,-1,-1,-1\n" for frame, vehicle, left in boxes)
        )
        found = [(frame, left) for frame, vehicle, left in boxes if (number, vehicle) != (3, 2)]
        seen.write_text("".join(f"{frame},-1,{left},200,40,30,0.9,-1,-1,-1\n" for frame, left in found))
        camera = Camera(name, number, Clock(10.0), frame_count=400, size_wh=(640, 480), zones=(WEST, EAST))
        cameras.append(replace(camera, detections=(seen,), ground_truth=truth, ground_from_image=ground))
    scene = Scene("<i>road", home, tuple(cameras))
    write_scene(scene, home / "scene.yaml")
    overrides = ["embed.weights=none", "associate.graph.learn_travel_times=false", "render.report=false"]
    run(scene, load_config(overrides=overrides), home / "out", map_cameras=lambda fn, c: [fn(x) for x in c])
    assert main(["report", str(home / "out")]) == 0
    return home


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page(folder / "out" / "full_report.html")


def test_it_refers_to_nothing_outside(page: Page) -> None:
    addresses = [
        value for _, attributes in page.elements for name, value in attributes.items() if name in {"src", "href"}
    ]
    assert all(address.startswith("data:image/jpeg;base64,") for address in addresses)
    assert not re.search(r"https?:|@import|url\(", page.source)


def test_no_name_is_markup(page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "i", "iframe", "object", "link"}
    assert not page.all("img", src="x")
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    for name in [*HOSTILE, WEST.name, "<i>road"]:
        assert name in page.text or name[:10] in page.text


def test_times_are_those_of_the_clock_where_the_date_is_known(folder: Path, tmp_path: Path) -> None:
    """Bins and the marks of the timeline start at round times of day; second 0 is 07:07:03 in Berlin's summer."""
    shutil.copytree(folder / "out", tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "run.json").read_text())
    manifest["place"]["scene"]["start_utc"] = "2026-05-12T07:07:03+02:00"
    (tmp_path / "out" / "run.json").write_text(json.dumps(manifest))
    assert main(["report", str(tmp_path / "out")]) == 0
    shown = Page(tmp_path / "out" / "full_report.html")
    assert "2026-05-12, UTC+02:00" in shown.text
    assert re.search(r"07:07:00\.0 to 07:07:10\.0: [1-9]", shown.source)  # the first bin of 10 s
    assert re.search(r'<text class="tick"[^>]*>07:07:10</text>', shown.source)
    assert not re.search(r'<text class="tick"[^>]*>0:\d\d</text>', shown.source)
    assert "40.0" in shown.text  # the length of the recording stays one


def test_scores_are_those_of_mtmc_evaluate(folder: Path, page: Page) -> None:
    rows = {row[0]: row[1:] for row in page.rows()}
    for cameras in (None, "1,2", "1,3", "2,3"):
        scores = evaluate_files(folder, folder / "out" / "track1.txt", cameras=cameras).overall
        title = "all" if cameras is None else " – ".join(HOSTILE[int(number) - 1] for number in cameras.split(","))
        shown = next(row for key, row in rows.items() if html.unescape(key) == title)
        assert shown[:3] == [f"{100 * value:.1f}" for value in (scores.idf1, scores.idp, scores.idr)]
        if cameras is not None:
            assert shown[3:6] == [str(value) for value in (scores.idtp, scores.idfp, scores.idfn)]
    assert rows["all"][0] != "100.0"  # the vehicle that the third camera missed


def test_counts_are_those_of_mtmc_count(folder: Path, page: Page) -> None:
    loaded = load_run(folder / "out")
    expected = sum(row.vehicles for row in od_matrix(movements_of(loaded.tracks), Bins(1e9)))
    in_table = [row for row in page.rows() if len(row) == 6 and row[2] in {"vehicle", "car"} and row[3].isdigit()]
    assert sum(int(row[3]) for row in in_table) == expected == len(loaded.tracks)


def test_the_command_repeats_the_run(folder: Path) -> None:
    loaded = load_run(folder / "out")
    words = shlex.split(repeating_command(folder, loaded.config, folder / "out's"))
    assert words[:6] == ["mtmc", "run", "--videos", str(folder), "--out", f"{folder}/out's"]
    assert set(words[6::2]) == {"-o"}
    assert load_config(overrides=words[7::2]) == loaded.config
    assert len(shlex.split(repeating_command(folder, RunConfig(), folder))) == 6


def test_a_run_without_ground_truth_or_vehicles(tmp_path: Path) -> None:
    (tmp_path / "det.txt").write_text("1,-1,20,200,40,30,0.1,-1,-1,-1\n")
    camera = replace(Camera("a", 1, Clock(10.0), frame_count=50), detections=(tmp_path / "det.txt",))
    config = load_config(overrides=["embed.weights=none", "render.report=false"])
    run(Scene("empty", tmp_path, (camera,)), config, tmp_path / "out", map_cameras=lambda fn, c: [fn(x) for x in c])
    assert main(["report", str(tmp_path / "out"), "--out", str(tmp_path / "page.html")]) == 0
    page = Page(tmp_path / "page.html")
    assert "Scores" not in page.text
    assert "Processing time" in page.text


def test_the_diagram_keeps_all_vehicles_in_proportion() -> None:
    rng = np.random.default_rng(0)
    flows = {
        (f"o{a}", f"d{b}"): float(rng.integers(1, 9)) for a in range(14) for b in range(12) if rng.random() < 0.5
    }
    shown = most_frequent(flows, 5)
    assert sum(shown.values()) == sum(flows.values())
    for side in (0, 1):
        assert len({pair[side] for pair in shown}) == 6
    drawn = sankey_svg(shown)
    heights = [float(value) for value in re.findall(r'<rect [^>]*height="([\d.]+)"', drawn)]
    assert len(heights) == 12
    assert sum(heights[:6]) == pytest.approx(420, abs=0.5)  # the whole height of the flows, on either side
    assert sum(heights[6:]) == pytest.approx(420, abs=0.5)
    assert drawn.count("<path") == len(shown)
