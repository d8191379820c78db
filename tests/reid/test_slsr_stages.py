"""SLSR's earlier stages with small stand-ins: what is asked of each, what is kept on disk, what the labels become."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from reid.config import make_config
from reid.data import DatasetSplit, Record
from reid.data.loader import Batch
from reid.methods import slsr
from reid.methods.base import MethodContext
from reid.training.build import build_method

SIDE, SEED = 32, 5
#: Eight pictures of four identities; the first five are dark, the others light.
DARK = 5
SMALL = {"generated": 5, "clusters": 2, "gan_epochs": 1, "gan_batch": 4, "gan_width": 1, "gan_side": 32}


@pytest.fixture
def records(tmp_path: Path) -> tuple[Record, ...]:
    made = []
    for i in range(8):
        path = tmp_path / "crops" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.full((20, 24, 3), 20 if i < DARK else 220, np.uint8))
        made.append(Record(path, i // 2, 0))
    return tuple(made)


@dataclass
class Stages:
    """Stands in for the engine: features are a picture's place in a line, by its brightness."""

    trained: list[tuple[Any, ...]] = field(default_factory=list)
    extracted: list[tuple[Any, ...]] = field(default_factory=list)
    network: Any = field(default_factory=lambda: SimpleNamespace(backbone="the backbone of the stage"))

    def train(self, *arguments: Any) -> Any:
        self.trained.append(arguments)
        return self.network

    def extract(self, *arguments: Any) -> Tensor:
        self.extracted.append(arguments)
        return torch.tensor([[float(i >= DARK), 0.01 * i] for i in range(len(arguments[1]))])


def make(
    folder: Path, records: tuple[Record, ...], stages: Stages, *, precision: str = "fp32", **options: Any
) -> tuple[slsr.Method, MethodContext]:
    config = make_config(
        {
            "method": "slsr",
            "backbone": "resnet18_x0_25",
            "pretrained": False,
            "data": {"name": "folder", "root": "unused"},
            "options": {"size_hw": [SIDE, SIDE], **SMALL, **options},
            "output": str(folder / "training"),
            "seed": SEED,
        }
    )
    method, context = build_method(config, DatasetSplit("tiny", "folder", records), torch.device("cpu"))
    assert isinstance(method, slsr.Method)
    return method, replace(context, train=stages.train, extract=stages.extract, precision=precision)


def test_the_classifier_of_the_first_stage_is_the_baseline_at_its_own_rate(
    tmp_path: Path, records: tuple[Record, ...]
) -> None:
    """Forty epochs at 0.001, without generated images, mirror images or steps of the rate."""
    stages = Stages()
    method, context = make(tmp_path, records, stages, feature_epochs=40)
    clusters = method._clusters(context)
    assert clusters.tolist() == [0] * DARK + [1] * (8 - DARK)
    assert clusters.dtype == np.int64
    ((name, options, schedule, folder),) = stages.trained
    assert name == "slsr"
    assert options == {**method.config.model_dump(), "generated": 0, "flip_test": False}
    assert schedule == {"epochs": 40, "learning_rate": 1e-3, "milestones": ()}
    assert folder.parent == context.folder
    assert stages.extracted == [(stages.network, records, method.test_view, stages.network.backbone)]


def test_clusters_are_kept_until_something_they_depend_on_changes(
    tmp_path: Path, records: tuple[Record, ...]
) -> None:
    stages = Stages()
    method, context = make(tmp_path, records, stages)
    first = method._clusters(context).tolist()
    kept = json.loads((context.folder / "clusters.json").read_text(encoding="utf-8"))
    assert kept["values"] == first
    assert method._clusters(context).tolist() == first
    assert len(stages.trained) == 1
    # Generated images and their networks come after the clusters.
    make_again: list[Callable[[], tuple[slsr.Method, MethodContext]]] = [
        lambda: make(tmp_path, records, stages, generated=7, gan_epochs=2),
        lambda: make(tmp_path, records, stages, clusters=3),
        lambda: make(tmp_path, records, stages, feature_epochs=7),
        lambda: make(tmp_path, records, stages, noise_layer="feature"),
        lambda: make(tmp_path, records[:-1], stages),
    ]
    for number, again in enumerate(make_again):
        other, other_context = again()
        other._clusters(other_context)
        assert len(stages.trained) == 1 + number
    assert len({folder for *_, folder in stages.trained}) == len(stages.trained)
    method._clusters(replace(context, network_facts=("another backbone",)))
    method._clusters(replace(context, seed=SEED + 1))
    assert len(stages.trained) == 2 + len(make_again)


def test_generated_images_are_divided_among_the_clusters(tmp_path: Path, records: tuple[Record, ...]) -> None:
    """Five images of two clusters: three or two of each, in random order, labeled and named by their cluster."""
    method, context = make(tmp_path, records, Stages())
    clusters = np.array([0] * DARK + [1] * (8 - DARK))
    made_records, made = method._generate(context, clusters)
    assert sorted(np.bincount(made.numpy()).tolist()) == [2, 3]
    assert [r.path.name for r in made_records] == [f"{i:06d}_{c}.png" for i, c in enumerate(made.tolist())]
    assert {(r.vehicle_id, r.camera_id) for r in made_records} == {(-1, -1)}
    for record in made_records:
        assert cv2.imread(str(record.path)).shape == (32, 32, 3)
    before = [record.path.stat().st_mtime_ns for record in made_records]
    again, _ = method._generate(context, clusters)
    assert again == made_records
    assert [record.path.stat().st_mtime_ns for record in again] == before

    # Of other clusters other images are made, in the same folder.
    method._generate(context, 1 - clusters)
    assert [record.path.stat().st_mtime_ns for record in made_records] != before

    # So they are by networks that computed in another precision.
    before = [record.path.stat().st_mtime_ns for record in made_records]
    method._generate(replace(context, precision="bf16"), 1 - clusters)
    assert [record.path.stat().st_mtime_ns for record in made_records] != before


def test_each_cluster_continues_the_networks_of_all_images_with_a_seed_of_its_own(
    tmp_path: Path, records: tuple[Record, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    method, context = make(tmp_path, records, Stages(), precision="bf16", clusters=3)
    calls: list[dict[str, Any]] = []
    generated: list[tuple[int, int]] = []

    def train_gan(generator: Any, discriminator: Any, pictures: Tensor, **choices: Any) -> None:
        start = [p.sum().item() for p in generator.parameters()]
        calls.append({"start": start, "pictures": pictures, **choices})
        with torch.no_grad():
            for parameter in generator.parameters():
                parameter.add_(1)

    def generate(generator: Any, count: int, *, seed: int, device: torch.device) -> Tensor:
        generated.append((count, seed))
        return torch.full((count, 32, 32, 3), 0, dtype=torch.uint8) + torch.tensor([200, 100, 50], dtype=torch.uint8)

    precisions: list[str] = []
    monkeypatch.setattr(slsr.gan, "train_gan", train_gan)
    monkeypatch.setattr(slsr.gan, "generate", generate)
    monkeypatch.setattr(slsr, "mixed_precision", lambda precision, device: precisions.append(precision))
    clusters = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    made_records, made = method._generate(context, clusters)

    whole, *each = calls
    assert len(whole["pictures"]) == 8
    assert [len(call["pictures"]) for call in each] == [3, 3, 2]
    assert torch.equal(each[2]["pictures"], whole["pictures"][6:])
    assert whole["pictures"].shape == (8, 32, 32, 3)
    assert whole["pictures"].float().mean((1, 2, 3)).round().tolist() == [20] * DARK + [220] * 3
    # All clusters begin where the networks of all images ended.
    assert each[0]["start"] == each[1]["start"] == each[2]["start"] != whole["start"]
    assert len({call["seed"] for call in calls}) == 4
    assert [count for count, _ in generated] == np.bincount(made.numpy()).tolist()
    assert len({seed for _, seed in generated}) == 3
    for call in calls:
        assert (call["epochs"], call["batch"], call["device"]) == (1, 4, torch.device("cpu"))
        call["mixed"]()
    assert precisions == ["bf16"] * 4
    red, green, blue = cv2.imread(str(made_records[0].path))[0, 0, ::-1]
    assert (red, green, blue) == (200, 100, 50)

    # The networks start from the seed of the training, whatever was drawn before.
    torch.rand(7)
    method._generate(context, clusters[::-1].copy())
    assert calls[4]["start"] == whole["start"]

    # Half precision would need scaled losses.
    calls.clear()
    precisions.clear()
    method._generate(replace(context, precision="fp16"), clusters)
    calls[0]["mixed"]()
    assert precisions == ["fp32"]


@pytest.mark.parametrize("targets", ["cluster", "all"])
def test_all_stages_together(tmp_path: Path, records: tuple[Record, ...], targets: str) -> None:
    """Identities 0, 1, 2 are in the dark cluster, 2 and 3 in the light one; for LSRO all four are in both."""
    method, context = make(tmp_path, records, Stages(), targets=targets)
    data = method.prepare(context)
    assert data.records[:8] == records
    assert data.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3] + [-1] * 5
    assert method.cluster[:8].tolist() == [-1] * 8
    assert sorted(method.cluster[8:].tolist()) in ([0, 0, 0, 1, 1], [0, 0, 1, 1, 1])
    third = 1 / 3
    of_cluster = torch.tensor([[third, third, third, 0], [0, 0, 0.5, 0.5]])
    expected = of_cluster if targets == "cluster" else torch.full((2, 4), 0.25)
    torch.testing.assert_close(method.targets, expected)


def test_without_generated_images_there_are_no_stages(tmp_path: Path, records: tuple[Record, ...]) -> None:
    stages = Stages()
    method, context = make(tmp_path, records, stages, generated=0)
    data = method.prepare(context)
    assert (data.records, data.labels.tolist()) == (records, [0, 0, 1, 1, 2, 2, 3, 3])
    assert method.cluster.tolist() == [-1] * 8
    assert not stages.trained


def step(method: slsr.Method, labels: list[int], clusters: list[int]) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Loss and log of a step on random images, and the images."""
    count = len(labels)
    images = torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    method.cluster = torch.tensor(clusters)
    nothing = torch.full((count,), -1)
    batch = Batch(
        [images],
        torch.zeros(1, count, dtype=torch.bool),
        torch.arange(count),
        torch.tensor(labels),
        nothing,
        nothing,
    )
    return (*method.step(batch), images)


def test_real_and_generated_losses_are_logged_apart(tmp_path: Path, records: tuple[Record, ...]) -> None:
    """Three real images and one generated: each mean is over its own kind, the loss over all four."""
    method, _ = make(tmp_path, records, Stages())
    method.eval()
    method.targets = torch.tensor([[0.5, 0.5, 0, 0]])
    with torch.no_grad():
        loss, logs, images = step(method, [0, 1, 3, -1], [-1, -1, -1, 0])
        log_p = method.head(method.backbone(images)).log_softmax(1)
    real = -(log_p[0, 0] + log_p[1, 1] + log_p[2, 3])
    generated = -(log_p[3, 0] + log_p[3, 1]) / 2
    torch.testing.assert_close(logs["real"], real / 3)
    torch.testing.assert_close(logs["generated"], generated)
    torch.testing.assert_close(loss, (real + generated) / 4)
    with torch.no_grad():
        _, logs, _ = step(method, [0, 1], [-1, -1])
    assert logs["generated"].item() == 0


@pytest.mark.parametrize("layer", ["none", "feature", "output"])
def test_the_noise_layer_begins_as_nothing_and_is_where_it_says(
    tmp_path: Path, records: tuple[Record, ...], layer: str
) -> None:
    """Linear layers without offset that start as the identity, on the feature or on the probabilities."""
    method, _ = make(tmp_path, records, Stages(), noise_layer=layer)
    method.eval()
    method.targets = torch.zeros(1, 4)
    parameters = dict(method.named_parameters())
    shapes = {"feature": ("noise.weight", (128, 128)), "output": ("output_noise.weight", (4, 4))}
    assert {name: tuple(p.shape) for name, p in parameters.items() if "noise" in name} == dict(
        [shapes[layer]] if layer in shapes else []
    )
    with torch.no_grad():
        loss, _, images = step(method, [0, 3], [-1, -1])
        logits = method.head(method.backbone(images))
        torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, torch.tensor([0, 3])))
        if layer == "output":
            # Identity 0 gets the probability of identity 1 as well; the sum of all is divided out again.
            method.output_noise.weight[0, 1] = 1
            moved, _, _ = step(method, [0, 3], [-1, -1])
            p = logits.softmax(1)
            whole = 1 + p[:, 1]
            expected = -((p[0, 0] + p[0, 1]) / whole[0]).log() - (p[1, 3] / whole[1]).log()
            torch.testing.assert_close(moved, expected / 2)


def test_an_image_and_its_mirror_image_have_one_feature(tmp_path: Path, records: tuple[Record, ...]) -> None:
    images = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    for flip_test in (True, False):
        method, _ = make(tmp_path, records, Stages(), flip_test=flip_test)
        embedder = method.embedder.eval()
        assert embedder.dim == method.backbone.dim
        with torch.no_grad():
            plain, mirrored = method.backbone(images), method.backbone(images.flip(3))
            torch.testing.assert_close(embedder(images), plain + mirrored if flip_test else plain)
            assert torch.allclose(embedder(images), embedder(images.flip(3)), atol=1e-5) == flip_test
