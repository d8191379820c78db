"""Names of models: what they stand for, where the files lie, and what a run says about them."""

from __future__ import annotations

import json
from pathlib import Path

import onnxruntime
import pytest

from mtmc.commands import _with_absolute_models
from mtmc.config import load_config
from mtmc.zoo import MODELS, choose, describe, find_model, model_file, name_remedy, package_model, setting_names
from mtmc.zoo.registry import PACKAGE_FOLDER, RESERVED, Task

TASKS: tuple[Task, Task] = ("detector", "embedder")


@pytest.mark.parametrize("task", TASKS)
def test_the_package_has_a_model_for_every_task(task: Task) -> None:
    model = package_model(task)
    path = Path(model_file("package", task))
    assert path == PACKAGE_FOLDER / f"{task}.onnx"
    assert model.size_bytes == path.stat().st_size
    assert model.in_package
    assert model.name
    assert model.license
    assert model.source
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert len(session.get_inputs()) == 1


@pytest.mark.parametrize("task", TASKS)
def test_package_and_the_models_own_name_mean_the_same_file(task: Task) -> None:
    name = package_model(task).name
    assert choose("package", task) == name
    assert choose(name, task) == name
    assert model_file(name, task) == model_file("package", task)


def test_auto_is_a_model_of_the_registry() -> None:
    for task in TASKS:
        assert find_model(choose("auto", task), task) is not None


@pytest.mark.parametrize("weights", ["motion", "yolo11n.pt", "maskrcnn_resnet50_fpn_v2:cars.pth", "missing.onnx"])
def test_other_settings_stay_as_they_are(weights: str) -> None:
    assert choose(weights, "detector") == weights
    assert model_file(weights, "detector") == weights


def test_a_model_of_another_task_is_not_taken() -> None:
    embedder = package_model("embedder").name
    assert find_model(embedder, "detector") is None
    assert model_file(embedder, "detector") == embedder


def test_names_are_unique_and_say_all_that_a_user_must_know() -> None:
    known = [package_model(task) for task in TASKS] + list(MODELS)
    assert len({model.name for model in known}) == len(known)
    assert not RESERVED & {model.name for model in known}


def test_a_file_does_not_hide_the_model_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("auto", "package", "cars.onnx"):
        (tmp_path / name).touch()
    weights = {name: _with_absolute_models(load_config(overrides=[f"detect.weights={name}"])).detect.weights
               for name in ("auto", "package", "yolox_s", "cars.onnx")}  # fmt: skip
    assert weights == {
        "auto": "auto",
        "package": "package",
        "yolox_s": "yolox_s",
        "cars.onnx": str(tmp_path / "cars.onnx"),
    }


def test_description_of_a_model_of_the_package() -> None:
    card = json.loads((PACKAGE_FOLDER / "detector.json").read_text(encoding="utf-8"))["about"]
    assert str(describe("package", "detector")) == f"{card['name']} (in the package, {card['license']})"
    assert describe("package", "detector").size_bytes == (PACKAGE_FOLDER / "detector.onnx").stat().st_size


def test_description_of_a_given_file_tells_the_license_of_its_card(tmp_path: Path) -> None:
    weights = tmp_path / "cars.onnx"
    weights.write_bytes(b"123")
    assert str(describe(str(weights), "detector")) == "cars.onnx (given file)"
    weights.with_suffix(".json").write_text('{"about": {"license": "MIT"}}', encoding="utf-8")
    assert str(describe(str(weights), "detector")) == "cars.onnx (given file, MIT)"
    weights.with_suffix(".json").write_text("[1]", encoding="utf-8")
    assert str(describe(str(weights), "detector")) == "cars.onnx (given file)"


def test_description_of_methods_without_weights() -> None:
    assert str(describe("motion", "detector")) == "background subtraction"
    assert str(describe("color_histogram", "embedder")) == "color histogram"
    assert str(describe("none", "embedder")) == "none"


def test_what_to_do_about_a_name_of_no_model() -> None:
    detector, embedder = package_model("detector").name, package_model("embedder").name
    assert name_remedy("yolox_nan", "detector") == "did you mean yolox_nano?"
    assert name_remedy("AUTO", "embedder") == "did you mean auto?"
    assert name_remedy(embedder, "detector").startswith(f"{embedder} is an embedder; mtmc models list")
    assert name_remedy(detector, "attributes").startswith(f"{detector} is a detector; mtmc models list")
    assert name_remedy("%%%%", "embedder").startswith("choose an embedder of mtmc models list")


def test_names_of_a_setting_are_those_of_its_task() -> None:
    assert {"auto", "package", "motion", "yolox_s", package_model("detector").name} <= set(setting_names("detector"))
    assert package_model("embedder").name not in setting_names("detector")
    assert "motion" not in setting_names("embedder")
    assert "auto" not in setting_names("attributes")


def test_attributes_have_no_automatic_choice() -> None:
    for weights in ("auto", "package"):
        assert choose(weights, "attributes") == weights
