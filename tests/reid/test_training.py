"""Every method from pictures to an exported network, at tiny size: it trains, resumes to the same bits, exports."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reid.progress
import reid.training.logging
from mtmc.cli import main as run_mtmc
from mtmc.pipeline.results import load_run
from reid.analysis.saliency import explain_pair
from reid.config import load_config, make_config
from reid.data import DatasetSplit, Record
from reid.errors import ConfigError, DataError, ReidError, WeightsError
from reid.evaluation.extract import extract
from reid.evaluation.retrieval import Embeddings, evaluate
from reid.export import export_checkpoint
from reid.inference import load_embedder
from reid.methods import METHODS
from reid.methods.base import BaseMethod
from reid.training import checkpoint_files as checkpoint
from reid.training.checkpoint import open_checkpoint
from reid.training.engine import train
from tests.builders import traffic_frames, write_video

SIDE = 32


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> DatasetSplit:
    """Four colored cars, each seen four times from alternating sides, and two more to look for."""
    import cv2

    folder = tmp_path_factory.mktemp("city")
    rng = np.random.default_rng(0)
    colors = rng.integers(40, 215, (6, 3))
    records = []
    for vehicle, color in enumerate(colors):
        for shot in range(4):
            image = np.full((40, 48, 3), 128, np.uint8)
            image[10:30, 8:40] = color
            image[10:30, 8 + 16 * (shot % 2) : 16 + 16 * (shot % 2)] = 20
            noisy = np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
            path = folder / f"{vehicle:04d}_c{shot % 2}_{shot}.png"
            cv2.imwrite(str(path), noisy)
            records.append(Record(path, vehicle, shot % 2, shot % 2))
    train_, test = records[:16], records[16:]
    return DatasetSplit("city", "folder", tuple(train_), tuple(test[::4]), tuple(test))


OPTIONS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "ssml": {"mine_from_epoch": 1, "renew_every": 2, "threshold": 0.5, "share": 0.1},
    "ssbver": {"local_views": 2, "local_size_hw": [16, 16], "outputs": 32, "hidden": 32},
    "val": {"views": 2},
    "sgfd": {"window": 3},
    "slsr": {"generated": 6, "clusters": 2, "feature_epochs": 1, "gan_epochs": 1, "gan_batch": 4, "gan_width": 2},
}


def config(method: str, output: Path, backbone: str = "osnet_x0_25", **options: Any) -> Any:
    shuffled = method in ("ssml", "slsr")
    return make_config(
        {
            "method": method,
            "backbone": backbone,
            "pretrained": False,
            "data": {"name": "folder", "root": "unused"},
            "options": {"size_hw": [SIDE, SIDE], **OPTIONS[method], **options},
            "schedule": {"epochs": 2, "batch": 8, "images_per_identity": 0 if shuffled else 2, "warm_up_epochs": 0},
            "output": str(output),
            "device": "cpu",
            "workers": 0,
        }
    )


def state(folder: Path) -> dict[str, torch.Tensor]:
    return checkpoint.read_training(folder)[0]


SLOW = {"sgfd", "slsr"}


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_flush", lambda path: None)


@pytest.mark.parametrize("method", [pytest.param(m, marks=[pytest.mark.slow] if m in SLOW else []) for m in METHODS])
def test_trains_resumes_and_exports(
    method: str, city: DatasetSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scored(output: Path) -> Any:
        return config(method, output).model_copy(update={"evaluate_every": 1})

    whole = train(scored(tmp_path / "whole"), city)
    log = [json.loads(line) for line in (tmp_path / "whole/log.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in log] == [0, 1]
    assert all(math.isfinite(entry["loss"]) for entry in log)
    assert all(0 <= entry["device_busy"] <= 1 for entry in log)

    # A kill in the second epoch, then the same command again.
    start = METHODS[method].method.epoch_start

    def killed(self: BaseMethod, epoch: int, context: Any) -> None:
        if epoch == 1 and context.folder.parent.name == "killed":
            raise KeyboardInterrupt
        start(self, epoch, context)

    with monkeypatch.context() as patch:
        patch.setattr(METHODS[method].method, "epoch_start", killed)
        with pytest.raises(KeyboardInterrupt):
            train(scored(tmp_path / "killed"), city)
    assert checkpoint.read_json(tmp_path / "killed")["epochs_done"] == 1
    train(scored(tmp_path / "killed"), city)
    for part in ("checkpoint", "best"):
        resumed = state(tmp_path / "killed" / part)
        for name, value in state(tmp_path / "whole" / part).items():
            assert torch.equal(value, resumed[name]), (part, name)

    # What is deployed gives the same in all three forms.
    trained = open_checkpoint(whole)
    images = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    mean, std = (np.array(v, np.float32) for v in (trained.card.mean, trained.card.std))
    with torch.no_grad():
        normalized = torch.from_numpy((images / 255 - mean) / std).float().permute(0, 3, 1, 2)
        expected = trained.embedder(normalized).numpy()
    assert expected.shape == (3, trained.card.dim)
    for name in ("network.onnx", "network.torchscript", "whole/checkpoint"):
        path = tmp_path / name
        if path.suffix:
            export_checkpoint(whole, path)
        found = load_embedder(path)(images)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)

    # Its explanation is of the cosine of these embeddings.
    similarity, picture = explain_pair(trained.embedder, trained.card, images[0], images[1])
    first, second = (x / np.linalg.norm(x) for x in expected[:2])
    assert similarity == pytest.approx(float(first @ second), abs=1e-4)
    assert picture.shape == (2 * SIDE, 2 * SIDE, 3)


def test_baseline_learns_the_cars(city: DatasetSplit, tmp_path: Path) -> None:
    choice = config("baseline", tmp_path)
    schedule = choice.schedule.model_copy(update={"epochs": 24, "learning_rate": 1e-3, "decay": "cosine"})
    train(choice.model_copy(update={"schedule": schedule}), city)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert np.mean(losses[-3:]) < 0.8 * losses[0]  # of single epochs of six steps one says little


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("ssml", {"mining": "released", "dictionary_start": "zeros", "renew_as": "train", "with_gallery": True}),
        ("ssml", {"mine_every": "epoch", "reduction": "sum", "crop": "none"}),
        ("ssml", {"objective": "triplet", "positives": "rank"}),
        ("ssbver", {"local_views": 0, "objective": "rmse"}),
        ("ssbver", {"weight": 0.0}),
        ("val", {"views": 8, "margin": None, "triplet_weight": 1.0, "unknown": "nearest"}),
        ("val", {"views": 2, "unknown": "classify", "classifier_epochs": 1, "neck": False}),
        ("val", {"views": 1, "margin": None, "reunion_weight": 0}),
        ("sgfd", {"branches": "global"}),
        ("sgfd", {"encoder": "resnet18_x0_25"}),
        ("sgfd", {"branches": "independent", "encoder": "resnet18_x0_25"}),
        ("sgfd", {"rotation_weight": 0, "exponent": "raw", "gain": "places"}),
        ("slsr", {"targets": "all", "noise_layer": "output", "flip_test": False}),
        ("slsr", {"generated": 0, "noise_layer": "feature"}),
        ("slsr", {"clusters": "silhouette"}),
    ],
)
def test_named_alternatives_train(method: str, options: dict[str, Any], city: DatasetSplit, tmp_path: Path) -> None:
    choice = config(method, tmp_path, **options)
    train(choice, city)
    open_checkpoint(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone", ["resnet18", "timm:vit_tiny_patch16_224", "timm:swin_tiny_patch4_window7_224", "timm:convnext_atto"]
)
def test_only_the_name_of_the_backbone_changes(backbone: str, city: DatasetSplit, tmp_path: Path) -> None:
    """Trained, evaluated, exported, and used to follow vehicles from camera to camera."""
    choice = config("ssbver", tmp_path, backbone, local_size_hw=[32, 32], local_views=1)
    choice = choice.model_copy(update={"schedule": choice.schedule.model_copy(update={"epochs": 1})})
    card = export_checkpoint(train(choice, city), tmp_path / "network.onnx")
    embedder = load_embedder(tmp_path / "network.onnx")
    query, gallery = (Embeddings.of(extract(embedder, part), part) for part in (city.query, city.gallery))
    assert query.features.shape == (2, card.dim)
    assert 0 < evaluate(query, gallery).map <= 1

    for name in ("c001", "c002"):
        write_video(tmp_path / "street" / f"{name}.mp4", traffic_frames(40))
    settings = {
        "detect.weights": "motion",
        "embed.weights": tmp_path / "network.onnx",
        "clean.filter.enabled": "false",
    }
    settings |= {"render.videos": "false", "render.mosaic": "false", "render.report": "false"}
    overrides = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    command = ["run", "--videos", str(tmp_path / "street"), "--out", str(tmp_path / "run"), "--workers", "1"]
    assert run_mtmc([*command, *overrides]) == 0
    found = load_run(tmp_path / "run").passages
    assert {passage.tracklet.camera_id for passage in found} == {"c001", "c002"}
    assert {passage.embedding.shape for passage in found} == {(card.dim,)}


@pytest.mark.slow
def test_attention_as_a_picture(city: DatasetSplit, tmp_path: Path) -> None:
    import cv2

    from reid.cli import main

    train(config("sgfd", tmp_path / "sgfd", rotation_weight=0), city)
    pictures = [str(r.path) for r in city.query]
    assert main(["attention", str(tmp_path / "sgfd"), *pictures, "--out", str(tmp_path / "maps.png")]) == 0
    assert cv2.imread(str(tmp_path / "maps.png")).shape == (2 * SIDE, len(pictures) * SIDE, 3)
    train(config("baseline", tmp_path / "plain"), city)
    assert main(["attention", str(tmp_path / "plain"), *pictures, "--out", str(tmp_path / "maps.png")]) == 2


def test_commands_train_and_export(
    city: DatasetSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import yaml

    from reid.cli import main
    from reid.training import engine

    monkeypatch.setattr(engine, "load_split", lambda data: city)
    content = config("baseline", tmp_path / "run").model_dump(mode="json")
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(content))
    assert main(["train", str(tmp_path / "train.yaml"), "-o", "schedule.epochs=1"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run/checkpoint")
    assert main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "network.onnx")]) == 0
    assert "32x32 px to 512 numbers" in capsys.readouterr().out
    assert main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "network.tar")]) == 2
    crops, first = city.train[0].path.parent, city.train[0].path
    for weights in (tmp_path / "run", tmp_path / "run/checkpoint", tmp_path / "network.onnx"):
        assert main(["embed", str(crops), "-w", str(weights), "--out", str(tmp_path / f"{weights.name}.npz")]) == 0
    with np.load(tmp_path / "run.npz") as ours, np.load(tmp_path / "network.onnx.npz") as exported:
        assert ours["path"].tolist() == exported["path"].tolist()
        np.testing.assert_allclose(ours["embedding"], exported["embedding"], atol=1e-4)
    pair = [str(first), str(city.train[1].path)]
    assert main(["explain", *pair, "-w", str(tmp_path / "run"), "--out", str(tmp_path / "pair.png")]) == 0
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "network.onnx")]) == 2


@pytest.mark.parametrize("terminal", [True, False])
def test_losses_and_scores_are_shown_everywhere(
    terminal: bool,
    city: DatasetSplit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """How far long work is, is a line of the log only where no terminal shows a bar."""
    import yaml

    from reid.cli import main
    from reid.training import engine

    monkeypatch.setattr(engine, "load_split", lambda data: city)
    monkeypatch.setattr(reid.progress, "REPORT_EVERY_S", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    content = config("baseline", tmp_path / "run").model_dump(mode="json")
    (tmp_path / "train.yaml").write_text(yaml.safe_dump({**content, "evaluate_every": 2}))
    assert main(["train", str(tmp_path / "train.yaml")]) == 0
    shown = capsys.readouterr().err
    assert re.search(r"validation after epoch 2: \S+/map [\d.]+, \S+/r1 [\d.]+", shown)
    assert re.search(r"epoch 1/2: loss [\d.]+, learning rate 0\.00035, .* waiting for data, 0:00:\d\d left\n", shown)
    assert re.search(r"epoch 2/2: loss [\d.]+, learning rate 0\.00035, .* waiting for data\n", shown)
    assert re.search(rf"best mAP [\d.]+ after epoch 2: {tmp_path / 'run' / 'best'}", shown)
    assert ("features of 8 pictures: batch 1/1" in shown) == (not terminal)


def test_the_log_holds_the_rate_of_the_last_step(city: DatasetSplit, tmp_path: Path) -> None:
    """SLSR 5.2: 0.01 · (1 + 0.1 · i)^-0.025 at iteration i; here two steps per epoch."""
    choice = config("baseline", tmp_path)
    schedule = choice.schedule.model_copy(update={"decay": "inverse", "learning_rate": 0.01})
    train(choice.model_copy(update={"schedule": schedule}), city)
    found = [json.loads(line)["learning_rate"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert found == pytest.approx([0.01 * 1.1**-0.025, 0.01 * 1.3**-0.025], rel=1e-9)


def test_a_log_for_tensorboard(city: DatasetSplit, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    train(config("baseline", tmp_path).model_copy(update={"tensorboard": True}), city)
    assert list(tmp_path.glob("events*"))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_on_the_cpu(precision: str, city: DatasetSplit, tmp_path: Path) -> None:
    for method in ("ssbver", "ssml", "sgfd"):
        choice = config(method, tmp_path / method)
        one = choice.schedule.model_copy(update={"epochs": 1})
        train(choice.model_copy(update={"precision": precision, "schedule": one}), city)


def test_impossible_pairs_are_named(city: DatasetSplit, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no feature map"):
        train(config("sgfd", tmp_path, "timm:vit_tiny_patch16_224"), city)
    with pytest.raises(ConfigError, match="square"):
        train(config("sgfd", tmp_path, size_hw=[32, 16]), city)
    with pytest.raises(ConfigError, match="does not take images of 20 × 20"):
        train(config("ssbver", tmp_path, "timm:vit_tiny_patch16_224", local_size_hw=[20, 20]), city)


def test_another_training_in_the_folder_is_not_continued(city: DatasetSplit, tmp_path: Path) -> None:
    train(config("baseline", tmp_path), city)
    with pytest.raises(ConfigError, match=r"holds a training with options.smoothing 0.1, asked for is 0.2"):
        train(config("baseline", tmp_path, smoothing=0.2), city)
    assert train(config("baseline", tmp_path), city) == tmp_path / "checkpoint"


def longer(output: Path, **schedule: Any) -> Any:
    """The baseline with another schedule."""
    whole = config("baseline", output).model_dump()
    return make_config({**whole, "schedule": {**whole["schedule"], **schedule}})


def test_a_finished_training_can_be_given_more_epochs(city: DatasetSplit, tmp_path: Path) -> None:
    """Three epochs in one go, and one epoch that is later given two more, end in the same bits."""
    at_once = state(train(longer(tmp_path / "once", epochs=3, milestones=(2,)), city))
    train(longer(tmp_path / "twice", epochs=1), city)
    in_two = state(train(longer(tmp_path / "twice", epochs=3, milestones=(2,)), city))
    assert at_once.keys() == in_two.keys()
    assert all(torch.equal(at_once[name], in_two[name]) for name in at_once)
    lines = [json.loads(line) for line in (tmp_path / "twice/log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 2]


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ({"epochs": 1}, "a training of 2 epochs, asked for are 1; set schedule.epochs to 2 or more"),
        ({"epochs": 4, "milestones": (1,)}, "whose epoch 2 had 1 of the full learning rate.* gives it 0.1"),
        (
            {"epochs": 4, "warm_up_epochs": 3},
            "whose epoch 1 had 1 of the full learning rate.*weights set to .*embedder",
        ),
        ({"epochs": 4, "batch": 4}, "schedule.batch 8, asked for is 4"),
        ({"epochs": 4, "learning_rate": 0.5}, "schedule.learning_rate .* asked for is 0.5"),
    ],
)
def test_epochs_done_stay_what_they_were(
    city: DatasetSplit, tmp_path: Path, schedule: dict[str, Any], says: str
) -> None:
    train(longer(tmp_path), city)
    with pytest.raises(ConfigError, match=says):
        train(longer(tmp_path, **schedule), city)


def test_the_same_data_may_lie_elsewhere_and_others_are_refused(city: DatasetSplit, tmp_path: Path) -> None:
    whole = config("baseline", tmp_path).model_dump()
    train(make_config(whole), city)
    moved = make_config(
        {**whole, "data": {"name": "folder", "root": "/elsewhere", "options": {"check_counts": False}}}
    )
    assert train(moved, city) == tmp_path / "checkpoint"
    fewer = DatasetSplit("city", "folder", city.train[:-1], city.query, city.gallery)
    with pytest.raises(ConfigError, match="a training on other pictures, identities or cameras"):
        train(moved, fewer)


def test_a_training_says_what_it_does(
    city: DatasetSplit, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reid.training.logging, "REPORT_EVERY_S", 0.0)
    with caplog.at_level("INFO", "reid"):
        train(config("baseline", tmp_path), city)
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "baseline with osnet_x0_25 on cpu, 16 pictures of 4 identities: from the start, 2 epochs"
    steps = [line for line in lines if "step" in line]
    assert len(steps) == 4
    assert re.fullmatch(
        r"epoch 1/2, step 1/2: loss [\d.]+, learning rate 0\.00035, [\d.e+]+ images/s, \d+ % of the time "
        r"waiting for data",
        steps[0],
    )
    assert re.fullmatch(
        r"epoch 2/2: loss [\d.]+, learning rate 0\.00035, [\d.e+]+ images/s, \d+ % of the time waiting for data",
        lines[-1],
    )


def test_a_loss_that_is_no_number_stops_the_training(
    city: DatasetSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = METHODS["baseline"].method.step

    def broken(self: BaseMethod, batch: Any) -> Any:
        loss, logs = step(self, batch)
        return loss * math.nan, logs

    monkeypatch.setattr(METHODS["baseline"].method, "step", broken)
    with pytest.raises(DataError, match="no longer a number in epoch 1, step 1"):
        train(config("baseline", tmp_path), city)


def test_collapsed_features_stop_the_training(
    city: DatasetSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = METHODS["baseline"].method.step

    def collapsed(self: BaseMethod, batch: Any) -> Any:
        loss, logs = step(self, batch)
        return loss, {**logs, "spread": torch.tensor(1e-6)}

    monkeypatch.setattr(METHODS["baseline"].method, "step", collapsed)
    with pytest.raises(DataError, match="collapsed in epoch 1"):
        train(config("baseline", tmp_path), city)


def test_a_kill_while_writing_leaves_the_old_checkpoint(city: DatasetSplit, tmp_path: Path) -> None:
    folder = train(config("baseline", tmp_path), city)
    folder.rename(folder.with_name(".checkpoint.old"))
    (tmp_path / ".checkpoint.part").mkdir()
    assert checkpoint.read_json(folder)["epochs_done"] == 2
    with pytest.raises(WeightsError, match="expected a checkpoint folder"):
        checkpoint.read_json(tmp_path / "elsewhere")


def test_mistakes_in_a_configuration_are_named(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("method: val\nbackbone: resnet50\ndata: {name: folder, root: x}\noutput: y\n")
    assert load_config(path).schedule.epochs == 120
    assert load_config(path, ["schedule.epochs=3", "options.views=8"]).options.views == 8
    for assignment, message in {
        "options.margn=1": "unknown key options.margn; did you mean margin",
        "schedule.epoch=1": "unknown key schedule.epoch; did you mean epochs",
        "schedule.epochs=none": "schedule.epochs: input should be a valid integer",
        "method=van": "expected one of baseline",
        "bacbone=x": "unknown key bacbone",
    }.items():
        with pytest.raises(ReidError, match=message):
            load_config(path, [assignment])
