"""``mtmc site learn`` from a finished run to a scene that loads, with plots."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mtmc.cli import main
from mtmc.formats.mot import write_mot
from mtmc.formats.table import Table
from mtmc.pipeline.results import load_run
from mtmc.scene import load_scenes
from mtmc.site.learn import learn_scene
from tests.mtmc.site.world import SIZE, Pinhole, crossroads_traffic, watch

CAMERAS = {
    "c001": Pinhole((-16.0, -14.0, 8.0), np.deg2rad(42), np.deg2rad(20)),
    "c002": Pinhole((15.0, 16.0, 7.0), np.deg2rad(225), np.deg2rad(18)),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on two cameras' tracklets: no video, no calibration; a time map and a frame count to be kept."""
    home = tmp_path_factory.mktemp("learn")
    for name, camera in CAMERAS.items():
        tables = [
            Table.of(int(name[1:]), np.full(len(p.tracklet), k), p.tracklet.frame, p.tracklet.xyxy)
            for k, (time_s, place) in enumerate(crossroads_traffic(30, seed=4), start=1)
            if (p := watch(camera, name, k, time_s, place)) is not None
        ]
        write_mot(Table.concatenate(tables), home / "town" / name / "mtsc" / "mtsc_x.txt")
        write_mot(Table.concatenate(tables), home / "town" / name / "gt" / "gt.txt")
    lines = [f"  - {{id: {name}, size_wh: [{SIZE[0]}, {SIZE[1]}], frame_count: 1200}}" for name in CAMERAS]
    (home / "town" / "scene.yaml").write_text(
        "name: town\ncameras:\n" + "\n".join(lines) + "\noverrides: {threads: 5}\n"
    )
    arguments = [
        "run",
        "--videos",
        str(home / "town"),
        "--out",
        str(home / "run"),
        "--no-render",
        "--no-learn",
        "--workers",
        "1",
    ]
    assert main(arguments) == 0
    return home / "run"


def test_the_learned_scene_loads_and_keeps_what_was_given(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "learned" / "scene.yaml"
    assert main(["site", "learn", str(finished), "--out", str(out), "--plots", str(tmp_path / "pictures")]) == 0
    printed = capsys.readouterr().out
    for word in ("ground", "clocks", "zones", "links", "confidence", "c001–c002"):
        assert word in printed
    assert out.read_text().startswith("# learned from ")
    [scene] = load_scenes(out)
    assert (scene.name, scene.overrides) == ("town", {"threads": 5, "learn": {"enabled": False}})
    for camera in scene.cameras:
        assert (camera.frame_count, camera.size_wh, camera.clock.fps) == (1200, SIZE, 10.0)
        assert camera.ground_from_image is not None
        assert camera.tracklets[0].samefile(finished.parent / "town" / camera.id / "mtsc" / "mtsc_x.txt")
        assert {zone.role for zone in camera.zones} == {"in", "out"}
    assert any(link.typical_s is not None and link.share for link in scene.links)
    for name in ("c001", "c002", "ground"):
        assert cv2.imread(str(tmp_path / "pictures" / f"{name}.png")).std() > 5


def test_the_order_of_passages_does_not_matter(finished: Path) -> None:
    run = load_run(finished)
    one, two = (learn_scene(run.scene, passages) for passages in (run.passages, run.passages[::-1]))
    for a, b in zip(one.scene.cameras, two.scene.cameras, strict=True):
        np.testing.assert_array_equal(a.ground_from_image, b.ground_from_image)
        assert a.clock == b.clock
        assert [(z.name, z.polygon.tolist()) for z in a.zones] == [(z.name, z.polygon.tolist()) for z in b.zones]
    assert one.scene.links == two.scene.links


def test_box_scales_only_with_ground_truth(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "scene.yaml")
    assert main(["site", "learn", str(finished), "--out", out, "--fit-boxes", "-o", "ground=keep"]) == 0
    assert "boxes" in capsys.readouterr().out
    assert all(camera.box_scale == (1.0, 1.0) for camera in load_scenes(Path(out))[0].cameras)  # they fit already


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["site", "learn", "nowhere"], "found no run.json, so this is not the folder of a finished run"),
        (["site", "learn", "RUN", "-o", "grund=learn"], "unknown key grund; did you mean ground?"),
        (["site", "learn", "RUN", "-o", "ground=guess"], "ground: input should be 'auto', 'keep' or 'learn'"),
    ],
)
def test_mistakes(finished: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(finished) if word == "RUN" else word for word in arguments]) == 2
    assert message in capsys.readouterr().err
