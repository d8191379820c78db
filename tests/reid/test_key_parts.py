"""What makes each method that method, beside values worked out apart: averages, norms, rates, decay, targets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from reid.config import make_config
from reid.data import DatasetSplit, Record
from reid.data.loader import Batch
from reid.data.views import RECIPES, AugmentationRecipe
from reid.errors import ConfigError
from reid.methods import METHODS, sgfd, ssml
from reid.methods.base import BaseConfig, BaseMethod, MethodContext, resize_recipe
from reid.methods.clustering import kmeans
from reid.mining import DictionaryMiner
from reid.networks import build, gan
from reid.networks.base import Backbone
from reid.networks.convolutional import HalfInstanceNorm
from reid.training.build import build_method
from reid.training.engine import train
from reid.training.optimizer import make_optimizer, set_learning_rates
from reid.training.schedule import Schedule
from tests.reid.tiny import RECORDS, SIDE, B, batch, make


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


# --- SSBVER ---------------------------------------------------------------------------------------------------------
def ssbver(folder: Path, **options: Any) -> Any:
    return make("ssbver", folder, local_views=1, local_size_hw=[16, 16], outputs=8, hidden=16, **options)[0]


def test_after_a_step_the_teacher_is_the_average_of_itself_and_the_student(tmp_path: Path) -> None:
    """``teacher ← m · teacher + (1 − m) · student`` for every parameter and running statistic."""
    method = ssbver(tmp_path, average_momentum=0.75)
    with torch.no_grad():
        for parameter in method.student.parameters():
            parameter.add_(torch.randn_like(parameter))
    seen = batch([SIDE, SIDE, 16])
    method.train()
    method.step(seen)
    teacher, student = copied(method.teacher), copied(method.student)
    method.after_update()
    moved = copied(method.teacher)
    for name, value in moved.items():
        if value.is_floating_point():
            assert torch.allclose(value, 0.75 * teacher[name] + 0.25 * student[name], atol=1e-6), name
    assert not torch.allclose(moved["head.classifier.weight"], teacher["head.classifier.weight"])


def test_the_teacher_keeps_running_statistics_of_its_own_large_crops(tmp_path: Path) -> None:
    method = ssbver(tmp_path)
    with torch.no_grad():
        for parameter in method.teacher.backbone.parameters():
            parameter.mul_(1.5)
    seen = batch([SIDE, SIDE, 16])
    method.train()
    with torch.no_grad():
        pooled = method.teacher.backbone(torch.cat(seen.views[:2]))
        for layer in method.teacher.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.reset_running_stats()
    method.step(seen)
    norm = method.teacher.head.norm
    assert torch.allclose(norm.running_mean, 0.1 * pooled.mean(0), atol=1e-5)
    assert torch.allclose(norm.running_var, 0.9 + 0.1 * pooled.var(0), atol=1e-4)
    first = method.teacher.backbone.body.bn1
    mapped = method.teacher.backbone.body.conv1(torch.cat(seen.views[:2]))
    assert torch.allclose(first.running_mean, 0.1 * mapped.mean((0, 2, 3)), atol=1e-5)


def test_the_teacher_learns_by_no_gradient_and_the_deployed_network_is_the_teacher(tmp_path: Path) -> None:
    method = ssbver(tmp_path, weight=1.0)
    seen = batch([SIDE, SIDE, 16])
    loss, logs = method.train().step(seen)
    loss.backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    assert method.student.ssl.prototypes.grad.abs().sum() > 0
    assert loss.item() == pytest.approx(
        sum(float(logs[k]) for k in ("identity", "triplet", "distillation")), rel=1e-5
    )
    with torch.no_grad():
        method.teacher.backbone.body.conv1.weight.mul_(2)
        images = seen.views[0]
        method.eval()
        assert torch.equal(method.embedder(images), method.teacher.head.norm(method.teacher.backbone(images)))


def test_the_weight_of_the_distillation_and_its_temperature_count(tmp_path: Path) -> None:
    light, heavy = ssbver(tmp_path, weight=0.5), ssbver(tmp_path, weight=2.0)
    heavy.load_state_dict(light.state_dict())
    seen = batch([SIDE, SIDE, 16])
    parts = [float(method.eval().step(seen)[1]["distillation"].detach()) for method in (light, heavy)]
    assert parts[1] == pytest.approx(4 * parts[0], rel=1e-5)
    for epoch, expected in ((0, 0.0005), (9, 0.001), (50, 0.001)):
        light.epoch_start(epoch, None)
        assert light.temperature == pytest.approx(expected)


def test_without_identities_the_distillation_is_all_and_labels_change_no_bit(tmp_path: Path) -> None:
    method = ssbver(tmp_path, weight=2.0, identities=False)
    seen = batch([SIDE, SIDE, 16])
    loss, logs = method.train().step(seen)
    assert set(logs) == {"distillation", "spread"}
    assert loss.item() == float(logs["distillation"])
    loss.backward()
    assert method.step(replace(seen, label=seen.label.flip(0) + 7))[0].item() == loss.item()
    learning = {name for name, value in method.named_parameters() if value.requires_grad}
    assert {name for name, value in method.named_parameters() if value.grad is not None} == learning
    assert not [name for name in learning if ".head." in name]


def test_without_identities_every_picture_is_a_class_of_its_own(tmp_path: Path) -> None:
    options = {"local_views": 0, "outputs": 8, "hidden": 16}
    for identities, labels in ((True, [0, 0, 1, 1, 2, 2, 3, 3]), (False, list(range(8)))):
        method, context = make("ssbver", tmp_path, identities=identities, **options)
        assert method.prepare(context).labels.tolist() == labels


def test_the_large_crops_are_changed_by_the_chosen_recipe(tmp_path: Path) -> None:
    for recipe, names in (("ssbver", ["ssbver_first", "ssbver_second"]), ("street", ["street", "street"])):
        views = ssbver(tmp_path, recipe=recipe).views
        assert views[:2] == tuple(resize_recipe(RECIPES[name], (SIDE, SIDE)) for name in names)
        assert views[2] == resize_recipe(RECIPES["ssbver_local"], (16, 16))


def test_without_identities_and_distillation_there_is_nothing_to_learn(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set weight above 0, or identities to true"):
        ssbver(tmp_path, weight=0.0, identities=False)


# --- SGFD -----------------------------------------------------------------------------------------------------------
def test_rotation_is_learned_from_the_turns_that_were_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method, _ = make("sgfd", tmp_path, window=3, encoder="resnet18_x0_25")
    turned: list[tuple[Tensor, Tensor]] = []
    targets: list[Tensor] = []
    cross_entropy = sgfd.smoothed_cross_entropy

    def rotate(images: Tensor, turns: Tensor) -> Tensor:
        result = torch.stack([torch.rot90(i, int(t), (1, 2)) for i, t in zip(images, turns, strict=True)])
        turned.append((turns, result))
        return result

    def spy(logits: Tensor, target: Tensor, *rest: Any) -> Tensor:
        if logits.shape[1] == 4 and not rest:
            targets.append(target)
        return cross_entropy(logits, target, *rest)

    monkeypatch.setattr(sgfd, "rotate", rotate)
    monkeypatch.setattr(sgfd, "smoothed_cross_entropy", spy)
    method.eval()
    seen = batch([SIDE])
    with torch.no_grad():
        for _ in range(12):
            _, logs = method.step(seen)
            turns, images = turned[-1]
            assert torch.equal(targets[-1], turns)
            logits = method.rotation(method.network.encoder(images)).double().numpy()
            by_hand = [
                np.log(np.exp(row).sum()) - row[turn] for row, turn in zip(logits, turns.tolist(), strict=True)
            ]
            assert float(logs["rotation"]) == pytest.approx(np.mean(by_hand), rel=1e-4)
    assert set(torch.cat(targets).tolist()) == {0, 1, 2, 3}


def test_rotation_may_be_learned_from_all_four_turns_of_every_image(tmp_path: Path) -> None:
    """SGFD Eq. 3: the mean over D_SL, which holds every image as it is and turned by 90, 180 and 270 degrees."""
    method, _ = make("sgfd", tmp_path, window=3, encoder="resnet18_x0_25", rotations="all", rotation_weight=0.5)
    method.eval()
    seen = batch([SIDE])
    with torch.no_grad():
        _, logs = method.step(seen)
        losses = []
        for turn in range(4):
            images = torch.from_numpy(np.rot90(seen.views[0].numpy(), turn, (2, 3)).copy())
            logits = method.rotation(method.network.encoder(images)).double().numpy()
            losses += [np.log(np.exp(row).sum()) - row[turn] for row in logits]
    assert float(logs["rotation"]) == pytest.approx(0.5 * np.mean(losses), rel=1e-4)


def test_rotation_trains_the_encoder_and_no_weight_leaves_the_branch_out(tmp_path: Path) -> None:
    method, _ = make("sgfd", tmp_path, window=3, encoder="resnet18_x0_25")
    _, logs = method.train().step(batch([SIDE]))
    assert set(logs) == {"rotation", "global", "attended", "spread"}
    plain, _ = make("sgfd", tmp_path, window=3, encoder="resnet18_x0_25", rotation_weight=0)
    assert "rotation" not in plain.train().step(batch([SIDE]))[1]
    assert plain.rotation is None


# --- the generative networks of SLSR --------------------------------------------------------------------------------
def test_one_batch_of_the_generative_networks_by_formula() -> None:
    """D lowers −log σ(D(x)) − log(1 − σ(D(G(z)))) once, then G lowers −log σ(D(G(z))) twice, each with Adam."""
    torch.manual_seed(0)
    pair = gan.Generator(2, 32), gan.Discriminator(2, 32)
    generator, discriminator = gan.Generator(2, 32), gan.Discriminator(2, 32)
    generator.load_state_dict(pair[0].state_dict())
    discriminator.load_state_dict(pair[1].state_dict())
    pictures = torch.randint(256, (4, 32, 32, 3), dtype=torch.uint8)
    gan.train_gan(*pair, pictures, epochs=1, batch=4, seed=3, device=torch.device("cpu"))

    rng = torch.Generator().manual_seed(3)
    generator.train()
    discriminator.train()
    real = pictures[torch.randperm(4, generator=rng)].permute(0, 3, 1, 2) / 127.5 - 1
    adam_g, adam_d = (
        torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (generator, discriminator)
    )

    def noise() -> Tensor:
        return 2 * torch.rand(4, 100, generator=rng) - 1

    fake = generator(noise()).detach()
    loss = -discriminator(real).sigmoid().log().mean() - (1 - discriminator(fake).sigmoid()).log().mean()
    adam_d.zero_grad()
    loss.backward()
    adam_d.step()
    for _ in range(2):
        loss = -discriminator(generator(noise())).sigmoid().log().mean()
        adam_g.zero_grad()
        loss.backward()
        adam_g.step()
    for found, expected in ((pair[0], generator), (pair[1], discriminator)):
        for name, value in expected.named_parameters():
            assert torch.allclose(dict(found.named_parameters())[name], value, atol=2e-6), name


# --- norms ----------------------------------------------------------------------------------------------------------
def test_half_instance_norm_by_hand() -> None:
    """Channels 0 and 1: statistics of each image alone, also when testing; 2 to 4: of the batch, or running ones."""
    x = np.random.default_rng(0).normal(3, 2, (3, 5, 4, 6))
    layer = HalfInstanceNorm(5).double()
    weight, shift = np.arange(1, 6) / 2, np.arange(5) - 1.0
    with torch.no_grad():
        layer.IN.weight.copy_(torch.tensor(weight[:2]))
        layer.IN.bias.copy_(torch.tensor(shift[:2]))
        layer.BN.weight.copy_(torch.tensor(weight[2:]))
        layer.BN.bias.copy_(torch.tensor(shift[2:]))
    scale, offset = weight[None, :, None, None], shift[None, :, None, None]
    first, second = x[:, :2], x[:, 2:]
    of_image = (first - first.mean((2, 3), keepdims=True)) / np.sqrt(first.var((2, 3), keepdims=True) + 1e-5)
    of_batch = (second - second.mean((0, 2, 3), keepdims=True)) / np.sqrt(second.var((0, 2, 3), keepdims=True) + 1e-5)
    expected = np.concatenate([of_image, of_batch], 1) * scale + offset
    np.testing.assert_allclose(layer.train()(torch.tensor(x)).detach().numpy(), expected, atol=1e-9)

    count = second[:, 0].size
    mean = 0.1 * second.mean((0, 2, 3))
    var = 0.9 + 0.1 * second.var((0, 2, 3)) * count / (count - 1)
    running = (second - mean[None, :, None, None]) / np.sqrt(var[None, :, None, None] + 1e-5)
    expected = np.concatenate([of_image, running], 1) * scale + offset
    np.testing.assert_allclose(layer.eval()(torch.tensor(x)).detach().numpy(), expected, atol=1e-9)


def test_half_instance_norm_stands_in_the_first_three_stages() -> None:
    with torch.device("meta"):
        body = build_meta("resnet50_ibn_a").body
    halves = {name.split(".")[0] for name, layer in body.named_modules() if isinstance(layer, HalfInstanceNorm)}
    assert halves == {"layer1", "layer2", "layer3"}
    assert sum(isinstance(layer, HalfInstanceNorm) for layer in body.modules()) == 3 + 4 + 6


def build_meta(name: str) -> Backbone:
    from reid.networks import BACKBONES

    return BACKBONES[name](name)


# --- rates and decay ------------------------------------------------------------------------------------------------
class Toy(BaseMethod):
    """Mean square of a linear head's logits: gradients by hand are easy."""

    def __init__(self, context: MethodContext) -> None:
        super().__init__()
        self.config = context.config
        self.views = (AugmentationRecipe(size_hw=(8, 8)),)
        self.test_view = self.views[0]
        body = nn.Conv2d(3, 2, 1, bias=False)
        self.backbone = Backbone("toy", body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1)), 2)
        self.head = nn.Linear(2, 3, bias=False)
        self.calls: list[Any] = []

    @property
    def embedder(self) -> nn.Module:
        return self.backbone

    def epoch_start(self, epoch: int, context: MethodContext) -> None:
        self.calls.append(("epoch", epoch, self.training))

    def step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        self.calls.append(("step", batch.views[0]))
        return self.head(self.backbone(batch.views[0])).square().mean(), {}

    def after_step(self, batch: Batch) -> None:
        self.calls.append(("after", copied(self)))


class ToyConfig(BaseConfig):
    schedules = {"cnn": Schedule(epochs=1, batch=4, learning_rate=1.0)}  # noqa: RUF012


SCHEDULE = {
    "epochs": 4,
    "batch": 4,
    "images_per_identity": 2,
    "learning_rate": 0.2,
    "new_layers": 5.0,
    "weight_decay": 0.1,
    "warm_up_epochs": 2,
    "warm_up_start": 0.5,
    "milestones": (3,),
}
#: Shares of the full rate in the four epochs, by hand: a rise from one half in two epochs, then a tenth from epoch 3.
SHARES = [0.5, 1.0, 1.0, 0.1]


def toy(optimizer: str, **changes: Any) -> tuple[Toy, Schedule]:
    torch.manual_seed(0)
    schedule = Schedule.model_validate({**SCHEDULE, "optimizer": optimizer, **changes})
    context: Any = SimpleNamespace(config=None)
    return Toy(context), schedule


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_groups_have_their_rates_and_decay(kind: str) -> None:
    method, schedule = toy(kind)
    optimizer = make_optimizer(method, schedule)
    assert type(optimizer).__name__.lower() == kind
    backbone, head = optimizer.param_groups
    assert [id(p) for p in backbone["params"]] == [id(p) for p in method.backbone.parameters()]
    assert [id(p) for p in head["params"]] == [id(p) for p in method.head.parameters()]
    assert backbone["weight_decay"] == head["weight_decay"] == 0.1
    for epoch, share in enumerate(SHARES):
        assert set_learning_rates(optimizer, schedule, epoch, 0) == pytest.approx(0.2 * share)
        assert (backbone["lr"], head["lr"]) == (pytest.approx(0.2 * share), pytest.approx(0.2 * share * 5))


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_weights_without_gradient_decay_by_their_rate(kind: str) -> None:
    """One step with zero gradients: w ← w · (1 − rate · decay)."""
    method, schedule = toy(kind)
    optimizer = make_optimizer(method, schedule)
    before = copied(method)
    for parameter in method.parameters():
        parameter.grad = torch.zeros_like(parameter)
    set_learning_rates(optimizer, schedule, 1, 0)
    optimizer.step()
    after = copied(method)
    assert torch.allclose(after["backbone.body.weight"], before["backbone.body.weight"] * (1 - 0.2 * 0.1))
    assert torch.allclose(after["head.weight"], before["head.weight"] * (1 - 1.0 * 0.1))


def test_frozen_parameters_are_in_no_group_and_one_rate_makes_one_group() -> None:
    method, schedule = toy("sgd", new_layers=1.0)
    method.head.requires_grad_(False)
    (group,) = make_optimizer(method, schedule).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in method.backbone.parameters()]


@pytest.mark.parametrize("nesterov", [False, True])
def test_the_loop_takes_the_steps_of_the_formula(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nesterov: bool
) -> None:
    """Four epochs of the real loop beside v ← 0.9 v + (g + decay · w), w ← w − rate · v with gradients by hand."""
    import cv2

    rng = np.random.default_rng(0)
    records = []
    for i in range(8):
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(0, 255, (8, 8, 3)).astype(np.uint8))
        records.append(Record(tmp_path / f"{i}.png", i // 2, 0))
    made: list[Toy] = []

    def remembered(context: MethodContext) -> Toy:
        made.append(Toy(context))
        return made[-1]

    monkeypatch.setitem(METHODS, "toy", SimpleNamespace(config=ToyConfig, method=remembered))  # type: ignore[arg-type]
    schedule = {**SCHEDULE, "optimizer": "sgd", "nesterov": nesterov, "learning_rate": 0.02}
    config = make_config(
        {
            "method": "toy",
            "backbone": "resnet18_x0_25",
            "pretrained": False,
            "data": {"name": "folder", "root": "unused"},
            "options": {"size_hw": [8, 8]},
            "schedule": schedule,
            "output": str(tmp_path / "out"),
            "workers": 0,
            "device": "cpu",
        }
    )
    start: dict[str, Tensor] = {}
    monkeypatch.setattr(
        "reid.training.engine.make_optimizer",
        lambda method, schedule: (start.update(copied(method)), make_optimizer(method, schedule))[1],
    )
    train(config, DatasetSplit("toy", "folder", tuple(records)))

    weights = {name: value.double() for name, value in start.items()}
    momentum = {name: torch.zeros_like(value) for name, value in weights.items()}
    epoch, after = -1, None
    kinds = [call[0] for call in made[0].calls]
    assert kinds == ["epoch", *(["step", "after"] * 2)] * 4
    for call in made[0].calls:
        if call[0] == "epoch":
            epoch = call[1]
            assert call[2], "an epoch begins in training mode"
        elif call[0] == "step":
            pooled = call[1].double().mean((2, 3))
            conv, head = weights["backbone.body.weight"][:, :, 0, 0], weights["head.weight"]
            feature = pooled @ conv.T
            logits = feature @ head.T
            of_logits = 2 * logits / logits.numel()
            gradients = {
                "head.weight": of_logits.T @ feature,
                "backbone.body.weight": ((of_logits @ head).T @ pooled)[:, :, None, None],
            }
            for name, gradient in gradients.items():
                rate = 0.02 * SHARES[epoch] * (5 if name.startswith("head") else 1)
                decayed = gradient + 0.1 * weights[name]
                momentum[name] = 0.9 * momentum[name] + decayed
                weights[name] = weights[name] - rate * (
                    decayed + 0.9 * momentum[name] if nesterov else momentum[name]
                )
        else:
            after = call[1]
            for name, value in weights.items():
                assert torch.allclose(after[name].double(), value, atol=1e-5), (epoch, name)


# --- SSML -----------------------------------------------------------------------------------------------------------
def test_the_dictionary_is_laid_out_renewed_and_mined_when_it_is_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, context = make("ssml", tmp_path, size_hw=[SIDE, SIDE], mine_from_epoch=2, renew_every=3, threshold=0.5)
    pooled = torch.rand(8, method.backbone.dim, generator=torch.Generator().manual_seed(1)) * 3
    asked: list[tuple[bool, AugmentationRecipe]] = []

    def extract(network: Any, records: Any, recipe: Any, backbone: Any) -> Tensor:
        """Pooled features of the eight images, or what the method makes of them."""
        assert records == RECORDS
        asked.append((method.training, recipe))
        if network is method.backbone:
            return pooled
        with torch.no_grad():
            return normalize(method.norm(pooled), dim=1)

    context = replace(context, extract=extract)
    method.prepare(context)
    method.epoch_start(0, context)
    centered = (pooled - pooled.mean(0)) / (pooled.var(0) + 1e-5).sqrt()
    assert torch.allclose(method.dictionary, normalize(centered, dim=1), atol=1e-5)
    assert asked == [(False, method.test_view)] * 2
    assert method.training
    assert method._positives(torch.tensor([3, 5]))[1].tolist() == [5]  # alone before mining begins
    laid_out = method.dictionary.clone()

    updates: list[list[int]] = []
    update = DictionaryMiner.update
    monkeypatch.setattr(
        ssml.DictionaryMiner, "update", lambda miner, index: (updates.append(index.tolist()), update(miner, index))[1]
    )
    for epoch in (1, 2):
        method.epoch_start(epoch, context)
        assert torch.equal(method.dictionary, laid_out)  # renewed every third epoch only
        assert (method._miner is not None) == (epoch == 2)
    method.dictionary.copy_(normalize(torch.ones_like(method.dictionary) + 0.01 * method.dictionary, dim=1))
    method.epoch_start(4, context)
    assert sorted(map(len, method._positives(torch.arange(8))))[-1] > 1  # rows that agree are positives
    seen = batch([SIDE])
    method.step(seen)
    method.after_step(seen)
    assert updates == [[0, 1, 2, 3]]
    method.epoch_start(6, context)
    centered = (pooled - method.norm.running_mean) / (method.norm.running_var + 1e-5).sqrt()
    assert torch.allclose(method.dictionary, normalize(centered, dim=1), atol=1e-5)


# --- the baseline ---------------------------------------------------------------------------------------------------
def test_the_baseline_by_hand(tmp_path: Path) -> None:
    """Smoothed cross entropy behind the neck plus weighted batch-hard triplets before it, one image at a time."""
    method, _ = make("baseline", tmp_path, smoothing=0.2, margin=0.4, triplet_weight=0.3)
    method.eval()
    seen = batch([SIDE])
    with torch.no_grad():
        loss, logs = method.step(seen)
        pooled = method.backbone(seen.views[0])
        logits = method.head.classifier(method.head.norm(pooled)).double().numpy()
    features, labels = pooled.double().numpy(), seen.label.tolist()
    identity = []
    for row, label in zip(logits, labels, strict=True):
        log_p = row - np.log(np.exp(row).sum())
        identity.append(-sum((0.2 / len(row) + 0.8 * (c == label)) * log_p[c] for c in range(len(row))))
    triplets = []
    for i, label in enumerate(labels):
        far = max(np.linalg.norm(features[i] - features[j]) for j in range(B) if labels[j] == label)
        near = min(np.linalg.norm(features[i] - features[j]) for j in range(B) if labels[j] != label)
        triplets.append(max(0.0, far - near + 0.4))
    assert float(logs["identity"]) == pytest.approx(np.mean(identity), rel=1e-4)
    assert float(logs["triplet"]) == pytest.approx(0.3 * np.mean(triplets), rel=1e-3)
    assert float(loss) == pytest.approx(np.mean(identity) + 0.3 * np.mean(triplets), rel=1e-4)


# --- stages on another device, keys, clusters -----------------------------------------------------------------------
def test_an_earlier_stage_computes_where_the_training_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second stage of SLSR gets a network on the training's device, whatever that is."""
    from reid.training import checkpoint, engine

    asked: list[torch.device] = []
    monkeypatch.setattr(engine, "_train", lambda config, split, device: tmp_path)
    monkeypatch.setattr(
        checkpoint,
        "open_checkpoint",
        lambda folder, device="cpu": (asked.append(torch.device(device)), SimpleNamespace(embedder=None))[1],
    )
    config = make_config(
        {
            "method": "slsr",
            "backbone": "resnet18_x0_25",
            "data": {"name": "folder", "root": "unused"},
            "output": str(tmp_path),
        }
    )
    engine._train_stage(config, DatasetSplit("x", "folder"), torch.device("meta"), "slsr", {}, {}, tmp_path)
    assert asked == [torch.device("meta")]


def test_the_key_of_a_stage_holds_backbone_weights_and_schedule(tmp_path: Path) -> None:
    weights = tmp_path / "start.pth"

    def facts(**changes: Any) -> Any:
        content: dict[str, Any] = {
            "method": "val",
            "backbone": "resnet18_x0_25",
            "pretrained": False,
            "data": {"name": "folder", "root": "unused"},
            "options": {"size_hw": [SIDE, SIDE]},
            "output": str(tmp_path),
        }
        config = make_config({**content, **changes})
        return build_method(config, None, torch.device("cpu"), classes=2, fresh=False)[1].network_facts

    plain = facts()
    assert plain == facts(schedule={"epochs": 7}) == facts(output=str(tmp_path / "elsewhere"))
    assert plain != facts(backbone="osnet_x0_25")
    assert plain != facts(pretrained=True)
    assert plain != facts(schedule={"batch": 32})
    weights.write_bytes(b"one")
    first = facts(weights=str(weights))
    weights.write_bytes(b"two")
    assert plain != first != facts(weights=str(weights))


def test_kmeans_finds_the_best_division_of_few_points() -> None:
    """Against every division of six points into two."""
    rng = np.random.default_rng(4)
    for _ in range(5):
        points = rng.normal(size=(6, 2))

        def cost(labels: np.ndarray, points: np.ndarray = points) -> float:
            groups = [points[labels == c] for c in np.unique(labels)]
            return float(sum(((g - g.mean(0)) ** 2).sum() for g in groups))

        every = [np.array([(mask >> i) & 1 for i in range(6)]) for mask in range(1, 63)]
        assert cost(kmeans(points, 2, seed=0)) == pytest.approx(min(map(cost, every)))


def test_kmeans_of_fewer_points_than_clusters() -> None:
    points = np.array([[0.0, 0], [0, 0], [5, 5], [0, 0]])
    assert kmeans(points, 3, seed=0).tolist() == [0, 0, 1, 0]
    assert sorted(set(kmeans(np.arange(9.0)[:, None], 9, seed=0).tolist())) == list(range(9))


def test_recipes_change_what_they_say() -> None:
    """The test view is plain; every training recipe of a method changes something at random."""
    plain = RECIPES["test"]
    assert (plain.crop, plain.flip, plain.jitter_p, plain.erase_p, plain.rotation_deg) == ("none", 0, 0, 0, 0)
    assert {name for name, recipe in RECIPES.items() if recipe.flip != 0.5} == {"test"}


def test_the_first_stride_of_a_narrow_network_is_kept() -> None:
    assert build("resnet18_x0_25", sizes=[(32, 32)]).features(torch.zeros(1, 3, 64, 64)).shape[2:] == (4, 4)
