"""Scores while training, the best network kept, several data sets, and the receivers of figures."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import reid.progress
from reid.cli import main
from reid.config import TrainConfig, commented_yaml, load_config, make_config
from reid.data import DatasetSplit, Record, load_dataset
from reid.data.records import DISTRACTOR, JUNK, hold_out, together
from reid.errors import ConfigError, DataError, MissingDependency
from reid.evaluation.extract import extract
from reid.evaluation.retrieval import Embeddings, evaluate
from reid.inference import load_embedder
from reid.methods import METHODS
from reid.progress import progress
from reid.training import checkpoint_files as checkpoint
from reid.training import engine
from reid.training.engine import train
from reid.training.validation import digest_of, divide


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_flush", lambda path: None)


def write_cars(folder: Path, vehicles: int, seed: int = 0) -> Path:
    """A folder of colored pictures, two by each of two cameras of every vehicle."""
    rng = np.random.default_rng(seed)
    for vehicle, color in enumerate(rng.integers(20, 235, (vehicles, 3))):
        for camera in range(2):
            place = folder / f"v{vehicle}" / f"c{camera}"
            place.mkdir(parents=True)
            for shot in range(2):
                noisy = np.clip(color + rng.normal(0, 30, (20, 20, 3)), 0, 255).astype(np.uint8)
                cv2.imwrite(str(place / f"{shot}.png"), noisy)
    return folder


def choices(root: Path, output: Path, **more: Any) -> dict[str, Any]:
    return {
        "method": "baseline",
        "backbone": "resnet18_x0_25",
        "pretrained": False,
        "data": {"name": "folder", "root": str(root), "options": {"held_out": 0.5}},
        "options": {"size_hw": [16, 16]},
        "schedule": {"epochs": 3, "batch": 4, "images_per_identity": 2, "warm_up_epochs": 0},
        "output": str(output),
        "device": "cpu",
        "workers": 0,
        **more,
    }


def log_of(output: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def deployed(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.read_embedder(folder)


# --- scores ---------------------------------------------------------------------------------------------------------
def test_scores_are_those_of_the_deployed_network(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_cars(tmp_path / "cars", 8)
    with caplog.at_level("INFO", "reid"):
        folder = train(make_config(choices(root, tmp_path / "run", evaluate_every=2)))
    split = load_dataset("folder", root, held_out=0.5)
    embedder = load_embedder(folder)
    query, gallery = (Embeddings.of(extract(embedder, part), part) for part in (split.query, split.gallery))
    expected = evaluate(query, gallery)
    first, second, third = log_of(tmp_path / "run")
    assert "validation/map" not in first
    assert "validation/map" in second
    assert third["validation/cars/map"] == pytest.approx(expected.map, abs=1e-6)
    assert third["validation/cars/r1"] == pytest.approx(expected.r1, abs=1e-6)
    assert third["validation/map"] == third["validation/cars/map"]
    assert f"validation after epoch 3: cars/map {expected.map:.3f}, cars/r1 {expected.r1:.3f}" in caplog.text


def test_the_best_network_is_kept_beside_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores .2, .5, .5, .3: the second epoch is the best, also when the training is killed at any epoch."""
    root = write_cars(tmp_path / "cars", 8)
    schedule = {"epochs": 4, "batch": 4, "images_per_identity": 2, "warm_up_epochs": 0}
    scripted = {1: 0.2, 2: 0.5, 3: 0.5, 4: 0.3}
    done: list[int] = []

    def score(method: Any, context: Any, tests: Any) -> dict[str, float]:
        done.append(1)
        return {"validation/map": scripted[len(done)]}

    def config(name: str, **more: Any) -> TrainConfig:
        return make_config(choices(root, tmp_path / name, schedule=schedule, evaluate_every=1, save_every=3, **more))

    monkeypatch.setattr(engine, "score", score)
    train(config("whole"))
    about = checkpoint.read_json(tmp_path / "whole/best")
    assert about["epochs_done"] == 2
    measured_on = digest_of(divide(config("whole"), [load_dataset("folder", root, held_out=0.5)])[1])
    kept = {"epoch": 2, "map": 0.5, "measured_on": measured_on}
    assert checkpoint.read_json(tmp_path / "whole")["best"] == kept

    start = METHODS["baseline"].method.epoch_start
    for killed_at in (1, 2, 3):
        done.clear()
        name = f"killed_{killed_at}"

        def killed(self: Any, epoch: int, context: Any, at: int = killed_at) -> None:
            if epoch == at:
                raise KeyboardInterrupt
            start(self, epoch, context)

        with monkeypatch.context() as patch:
            patch.setattr(METHODS["baseline"].method, "epoch_start", killed)
            with pytest.raises(KeyboardInterrupt):
                train(config(name))
        train(config(name))
        for part in ("best", "checkpoint"):
            whole, resumed = deployed(tmp_path / "whole" / part), deployed(tmp_path / name / part)
            assert all(torch.equal(whole[key], resumed[key]) for key in whole), (killed_at, part)

    # Scores change nothing that is learned, and the best network is weights like any other.
    plain = train(make_config(choices(root, tmp_path / "plain", schedule=schedule)))
    assert all(torch.equal(value, deployed(plain)[key]) for key, value in deployed(tmp_path / "whole").items())
    assert main(["export", str(tmp_path / "whole/best"), "--out", str(tmp_path / "best.torchscript")]) == 0
    images = np.zeros((1, 16, 16, 3), np.uint8)
    exported, kept = (
        load_embedder(tmp_path / "best.torchscript")(images),
        load_embedder(tmp_path / "whole/best")(images),
    )
    np.testing.assert_allclose(exported, kept, atol=1e-5)
    assert not np.allclose(kept, load_embedder(tmp_path / "whole")(images), atol=1e-5)


def test_the_best_score_belongs_to_its_validation_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An mAP of .9 on easy pictures does not keep a network of .2 on hard ones from being the best on these."""
    root = write_cars(tmp_path / "cars", 8)
    for seed, name in enumerate(("easy", "hard")):
        write_cars(tmp_path / "data" / name, 4, seed)
    next_map: list[float] = []

    def score(method: Any, context: Any, tests: Any) -> dict[str, float]:
        return {"validation/map": next_map.pop(0)}

    def go_on(epochs: int, scores: list[float], on: Path | None) -> dict[str, Any]:
        data = {"name": "folder", "root": str(on), "options": {"held_out": 1}}
        schedule = {"epochs": epochs, "batch": 4, "images_per_identity": 2, "warm_up_epochs": 0}
        more: dict[str, Any] = {"evaluate_every": 1, "validation": {"data": [data]}} if on else {}
        next_map[:] = scores
        caplog.clear()
        train(make_config(choices(root, tmp_path / "run", schedule=schedule, **more)))
        assert not next_map
        kept: dict[str, Any] = checkpoint.read_json(tmp_path / "run")["best"]
        return kept

    monkeypatch.setattr(engine, "score", score)
    first = go_on(2, [0.9, 0.8], tmp_path / "data/easy")
    assert (first["epoch"], first["map"]) == (1, 0.9)
    # The same pictures stored elsewhere, and epochs without any validation, keep it.
    moved = (tmp_path / "data").rename(tmp_path / "elsewhere")
    assert go_on(3, [0.85], moved / "easy") == first
    assert go_on(4, [], None) == first
    assert "validation data have changed" not in caplog.text

    second = go_on(6, [0.2, 0.1], moved / "hard")
    assert (second["epoch"], second["map"]) == (5, 0.2)
    assert second["measured_on"] != first["measured_on"]
    assert "the validation data have changed: the best network so far (mAP 0.900 after epoch 1)" in caplog.text
    assert checkpoint.read_json(tmp_path / "run/best")["epochs_done"] == 5

    # A best network that was removed is no longer compared with.
    shutil.rmtree(tmp_path / "run" / "best")
    third = go_on(7, [0.05], moved / "hard")
    assert (third["epoch"], third["map"]) == (7, 0.05)
    assert checkpoint.read_json(tmp_path / "run" / "best")["epochs_done"] == 7
    assert "best is gone: the next network measured is the best so far" in caplog.text


def test_held_out_identities_are_not_learned_from(tmp_path: Path) -> None:
    root = write_cars(tmp_path / "cars", 8)
    config = make_config(choices(root, tmp_path / "run", evaluate_every=1, validation={"held_out": 0.5}))
    split = load_dataset("folder", root, held_out=0.5)
    learned, (tested,) = divide(config, [split])
    of_learned, of_tested = ({r.vehicle_id for r in part} for part in (learned.train, tested.gallery))
    assert of_learned | of_tested == {r.vehicle_id for r in split.train}
    assert len(of_learned) == len(of_tested) == 2
    assert len(tested.query) == 2 * 2  # one of each vehicle and camera
    assert (tested.name, tested.protocol) == ("cars-held-out", "folder")
    assert learned.gallery == split.gallery
    train(config)
    assert checkpoint.read_json(tmp_path / "run")["images"] == 2 * 4
    assert "validation/cars-held-out/map" in log_of(tmp_path / "run")[0]
    with pytest.raises(ConfigError, match=r"^validation has no effect with evaluate_every 0; set .* to 1 or more$"):
        make_config(choices(root, tmp_path / "run", validation={"held_out": 0.5}))


def test_a_split_that_cannot_be_measured_is_refused_before_training(tmp_path: Path) -> None:
    root = write_cars(tmp_path / "cars", 4)
    data = {"name": "folder", "root": str(root), "options": {"held_out": 0.0}}
    with pytest.raises(DataError, match="holds nothing out for retrieval"):
        train(make_config(choices(root, tmp_path / "run", data=data, evaluate_every=1)))
    assert not (tmp_path / "run").exists()


def test_an_unknown_data_set_is_named_by_its_line(tmp_path: Path) -> None:
    lines = ["method: baseline", "backbone: resnet18", "output: out", "data:", "  - {name: folder, root: cars}"]
    (tmp_path / "train.yaml").write_text("\n".join([*lines, "  - {name: veri, root: cars}"]))
    with pytest.raises(ConfigError, match=r"train.yaml:6: data.1.name: expected one of veri776, .*, got 'veri'"):
        load_config(tmp_path / "train.yaml")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--backbone", "resnet51"], "backbone: expected one of resnet18, "),
        (["-d", "veri"], "data.name: expected one of veri776, "),
    ],
)
def test_no_configuration_is_printed_that_cannot_be_trained(
    capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["config", "baseline", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_queries_are_one_crop_of_each_vehicle_and_camera() -> None:
    records = tuple(Record(Path(f"{i}.png"), i // 6, i // 3 % 2) for i in range(24))
    train_, query, gallery = hold_out(records, 0.5, np.random.default_rng(0))
    assert set(train_) | set(gallery) == set(records)
    assert {r.vehicle_id for r in train_}.isdisjoint({r.vehicle_id for r in gallery})
    assert len({(r.vehicle_id, r.camera_id) for r in query}) == len(query) == 4
    assert set(query) <= set(gallery)


# --- several data sets ----------------------------------------------------------------------------------------------
def test_equal_numbers_of_different_data_sets_stay_apart() -> None:
    def record(name: str, vehicle: int, camera: int) -> Record:
        return Record(Path(name), vehicle, camera, view=3)

    first = DatasetSplit("a", "veri", (record("a1", 7, 2), record("a2", 9, 1)), (), (record("a3", 8, 2),))
    second = DatasetSplit(
        "b",
        "market",
        (record("b1", 7, 2),),
        (),
        (record("b2", 1, 5), record("b3", JUNK, 5), record("b4", DISTRACTOR, 2)),
    )
    whole = together([first, second])
    assert whole.name == "a+b"
    named = {r.path.name: (r.vehicle_id, r.camera_id, r.view) for r in (*whole.train, *whole.gallery)}
    assert named == {
        "a1": (0, 1, 3), "a2": (2, 0, 3), "a3": (1, 1, 3),
        "b1": (4, 2, 3), "b2": (3, 3, 3), "b3": (JUNK, 3, 3), "b4": (DISTRACTOR, 2, 3),
    }  # fmt: skip
    assert [r.path.name for r in whole.train] == ["a1", "a2", "b1"]
    assert together([first]) is first


def test_a_list_of_data_sets_trains_and_is_measured_one_by_one(tmp_path: Path) -> None:
    roots = [write_cars(tmp_path / name, 6, seed) for seed, name in enumerate(("north", "south"))]
    data = [{"name": "folder", "root": str(root), "options": {"held_out": 0.5}} for root in roots]
    config = make_config(choices(roots[0], tmp_path / "run", data=data, evaluate_every=3))
    folder = train(config)
    about = checkpoint.read_json(folder)
    assert (about["images"], about["classes"]) == (2 * 3 * 4, 2 * 3)
    scores = log_of(tmp_path / "run")[-1]
    each = [scores[f"validation/{name}/map"] for name in ("north", "south")]
    assert scores["validation/map"] == pytest.approx(np.mean(each))
    assert load_embedder(folder).card.trained_on == "folder, folder"
    assert train(config) == folder  # done; the same data may lie elsewhere
    (tmp_path / "moved").mkdir()
    for entry, root in zip(data, roots, strict=True):
        entry["root"] = str(root.rename(tmp_path / "moved" / root.name))
    assert train(make_config(choices(roots[0], tmp_path / "run", data=data))) == folder
    with pytest.raises(ConfigError, match=r"data.1.name folder, asked for is None"):
        train(make_config(choices(roots[0], tmp_path / "run", data=data[:1])))


def test_mistakes_in_a_list_of_data_sets_are_named(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    data = "data:\n  - {name: folder, root: a}\n  - {name: folder, rot: b}\n"
    path.write_text(f"method: baseline\nbackbone: resnet50\noutput: out\n{data}")
    with pytest.raises(ConfigError, match=r"train.yaml:6: unknown key data.1.rot; did you mean root"):
        load_config(path)
    path.write_text(path.read_text().replace("rot:", "root:"))
    assert [data.root.name for data in load_config(path, ["data.1.root=c"]).data] == ["a", "c"]
    with pytest.raises(ConfigError, match=r"-o data.2.root=c: expected a position from 0 to 1, got 2"):
        load_config(path, ["data.2.root=c"])


def test_a_checkpoint_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    root = write_cars(tmp_path / "cars", 6)
    folder = train(make_config(choices(root, tmp_path / "run")))
    path = folder / "checkpoint.json"
    about = json.loads(path.read_text())
    for key in ("evaluate_every", "validation", "speed", "wandb"):
        del about["config"][key]
    for key in ("accumulate", "clip_norm", "decay_all", "layer_decay", "freeze_epochs", "scale_rate", "fused"):
        del about["config"]["schedule"][key]
    (about["config"]["data"],) = about["config"]["data"]
    del about["best"]
    path.write_text(json.dumps(about))
    longer = {"epochs": 4, "batch": 4, "images_per_identity": 2, "warm_up_epochs": 0}
    resumed = train(make_config(choices(root, tmp_path / "run", schedule=longer, evaluate_every=1)))
    assert checkpoint.read_json(resumed)["epochs_done"] == 4


def test_several_test_sets_in_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    roots = [write_cars(tmp_path / name, 6, seed) for seed, name in enumerate(("north", "south"))]
    weights = str(train(make_config(choices(roots[0], tmp_path / "run"))))
    command = ["evaluate", *map(str, roots), "-d", "folder", "-d", "folder", "-w", weights]
    assert main([*command, "--out", str(tmp_path / "both.json")]) == 0
    out = capsys.readouterr().out
    assert "north by folder" in out
    assert "south by folder" in out
    both = json.loads((tmp_path / "both.json").read_text())
    for root, found in zip(roots, both, strict=True):
        alone = ["evaluate", str(root), "-d", "folder", "-w", weights, "--out", str(tmp_path / "one.json")]
        assert main(alone) == 0
        assert json.loads((tmp_path / "one.json").read_text()) == found
    capsys.readouterr()
    assert main(["evaluate", *map(str, roots), "-d", "folder", "-w", weights]) == 2
    assert "expected one -d for each of 2 folders, got 1" in capsys.readouterr().err


# --- receivers of figures -------------------------------------------------------------------------------------------
def test_weights_and_biases_is_told_every_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[dict[str, Any]] = []

    def init(**settings: Any) -> Any:
        told: list[tuple[int, dict[str, float]]] = []
        runs.append({"settings": settings, "told": told, "finished": False})
        return SimpleNamespace(
            log=lambda values, step: told.append((step, values)), finish=lambda: runs[-1].update(finished=True)
        )

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))  # type: ignore[arg-type]
    root = write_cars(tmp_path / "cars", 6)
    train(make_config(choices(root, tmp_path / "run", wandb="cars", evaluate_every=3)))
    (run,) = runs
    assert run["finished"]
    assert [step for step, _ in run["told"]] == [0, 1, 2]
    assert [{"epoch": step, **values} for step, values in run["told"]] == log_of(tmp_path / "run")
    settings = run["settings"]
    assert (settings["project"], settings["name"], settings["resume"]) == ("cars", "run", "allow")
    assert settings["config"]["schedule"]["epochs"] == 3
    longer = {"epochs": 4, "batch": 4, "images_per_identity": 2, "warm_up_epochs": 0}
    train(make_config(choices(root, tmp_path / "run", wandb="cars", evaluate_every=3, schedule=longer)))
    assert runs[1]["settings"]["id"] == settings["id"]
    assert [step for step, _ in runs[1]["told"]] == [3]


@pytest.mark.parametrize(
    ("choice", "module", "says"),
    [
        ({"wandb": "cars"}, "wandb", "wandb: cars needs the package; pip install wandb"),
        (
            {"tensorboard": True},
            "torch.utils.tensorboard",
            "tensorboard: true needs the package; pip install tensorb",
        ),
    ],
)
def test_a_missing_package_of_a_logger_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: dict[str, Any], module: str, says: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(METHODS["baseline"].method, "prepare", lambda *_: pytest.fail("work before the check"))
    root = write_cars(tmp_path / "cars", 6)
    with pytest.raises(MissingDependency, match=says):
        train(make_config(choices(root, tmp_path / "run", **choice)))


def test_long_work_is_reported_without_a_terminal(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reid.progress, "REPORT_EVERY_S", 0.0)
    with caplog.at_level(logging.INFO, "reid"):
        assert list(progress("ab", "letters", unit="letter")) == ["a", "b"]
        assert list(progress("ab", "nothing", shown=False)) == ["a", "b"]
    assert [record.getMessage() for record in caplog.records] == ["letters: letter 1/2", "letters: letter 2/2"]
    monkeypatch.setattr(reid.progress, "REPORT_EVERY_S", 3600.0)
    caplog.clear()
    with caplog.at_level(logging.INFO, "reid"):
        list(progress("ab", "letters"))
    assert not caplog.records


# --- reid config ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("backbone", ["resnet50_ibn_a", "vit_base_patch16_224"])
@pytest.mark.parametrize("method", METHODS)
def test_a_printed_configuration_is_the_default_one(
    method: str,
    backbone: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert main(["config", method, "--backbone", backbone, "-d", "synthcity"]) == 0
    text = capsys.readouterr().out
    caplog.clear()
    (tmp_path / "printed.yaml").write_text(text)
    minimal = {
        "method": method,
        "backbone": backbone,
        "data": {"name": "synthcity", "root": "datasets/synthcity"},
        "output": f"runs/reid/{method}_synthcity",
    }
    config = make_config(minimal)
    assert load_config(tmp_path / "printed.yaml") == config
    assert not caplog.records  # no key is without effect
    assert "None" not in text
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.strip() and not line.strip().startswith("#"):
            assert "  # " in line or lines[number - 1].strip().startswith("# "), line


def test_a_printed_configuration_trains(tmp_path: Path) -> None:
    root = write_cars(tmp_path / "cars", 6)
    printed = tmp_path / "printed.yaml"
    assert main(["config", "baseline", "--backbone", "resnet18_x0_25", "-d", "folder", "--out", str(printed)]) == 0
    small = ["options.size_hw=[16, 16]", "schedule.epochs=1", "schedule.batch=4", "schedule.images_per_identity=2"]
    small += [f"data.root={root}", f"output={tmp_path / 'run'}", "pretrained=false", "workers=0", "device=cpu"]
    assert main(["train", str(printed), *(word for choice in small for word in ("-o", choice))]) == 0
    assert (tmp_path / "run/checkpoint/card.json").is_file()


def test_of_several_processes_the_first_exports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.yaml").write_text(commented_yaml(make_config(choices(tmp_path, tmp_path / "run"))))
    exported: list[Path] = []
    monkeypatch.setattr(engine, "train", lambda config: tmp_path / "run")
    monkeypatch.setattr("reid.export.export_checkpoint", lambda folder, path: exported.append(path))
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        assert main(["train", str(tmp_path / "train.yaml"), "--export", str(tmp_path / f"{rank}.onnx")]) == 0
    assert exported == [tmp_path / "0.onnx"]
    assert capsys.readouterr().out.split() == [str(tmp_path / "run")]


def test_several_data_sets_are_printed_as_a_list(tmp_path: Path) -> None:
    data = [{"name": "folder", "root": "a"}, {"name": "veri776", "root": "b"}]
    config = make_config(choices(tmp_path, tmp_path / "run", data=data))
    (tmp_path / "printed.yaml").write_text(commented_yaml(config))
    assert load_config(tmp_path / "printed.yaml") == config
