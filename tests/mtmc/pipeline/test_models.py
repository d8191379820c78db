"""Which models a run uses, and where it says so."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from mtmc.cli import main
from mtmc.config import RunConfig, load_config
from mtmc.pipeline.models import models_in_use, weights_hash, with_chosen_models
from mtmc.pipeline.summary import _types_text
from mtmc.scene import Scene, load_scenes
from mtmc.zoo import model_file, package_model
from tests.builders import traffic_frames, write_video


@pytest.fixture
def street(tmp_path: Path) -> Scene:
    write_video(tmp_path / "street" / "north.mp4", traffic_frames(6), 10)
    [scene] = load_scenes(tmp_path / "street")
    return scene


def test_auto_becomes_a_name_where_there_are_videos(street: Scene) -> None:
    config = with_chosen_models(street, RunConfig())
    assert config.detect.weights == package_model("detector").name
    assert config.embed.weights == package_model("embedder").name
    assert with_chosen_models(street, config) == config


def test_given_detections_need_no_detector(street: Scene) -> None:
    given = load_config(overrides=["input.source=detections"])
    config = with_chosen_models(street, given)
    assert config.detect.weights == "auto"
    assert config.embed.weights == package_model("embedder").name
    assert models_in_use(street, config)["detector"].name == "given files"


def test_a_scene_without_videos_needs_no_model(tmp_path: Path) -> None:
    (tmp_path / "scene.yaml").write_text("cameras: [{id: a, detections: [a.txt], fps: 10}]", encoding="utf-8")
    (tmp_path / "a.txt").write_text("1,-1,10,10,20,20,0.9,-1,-1,-1\n", encoding="utf-8")
    [scene] = load_scenes(tmp_path)
    assert with_chosen_models(scene, RunConfig()) == RunConfig()


def test_a_name_and_the_file_it_means_share_their_results() -> None:
    for task in ("detector", "embedder"):
        assert weights_hash("package", task) == weights_hash(model_file("package", task), task)
        assert weights_hash("auto", task) == weights_hash(package_model(task).name, task)


def test_models_are_named_in_the_first_line_on_the_page_and_in_the_manifest(
    street: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    out = street.root / "out"
    main(["run", "--videos", str(street.root), "--out", str(out), "--workers", "1"])
    detector, embedder = package_model("detector"), package_model("embedder")
    first = capsys.readouterr().out.splitlines()[0]
    assert first == (
        f"street: detector {detector.name} (in the package, {detector.license}), "
        f"embedder {embedder.name} (in the package, {embedder.license})"
    )
    manifest = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert manifest["models"]["detector"]["name"] == manifest["config"]["detect"]["weights"] == detector.name
    assert manifest["models"]["embedder"]["license"] == embedder.license
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"{detector.name} (in the package, {detector.license})" in page


def test_the_summary_counts_types_where_they_are_known() -> None:
    assert _types_text(Counter(vehicle=3)) == ""
    assert _types_text(Counter()) == ""
    assert _types_text(Counter(car=3, truck=1, vehicle=2)) == "; 3 car, 2 vehicle, 1 truck"
