"""Groups of parameters with their rates and decay, accumulated and clipped gradients, frozen first epochs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reid.config import load_config, make_config
from reid.data import DatasetSplit, Record
from reid.data.loader import Batch
from reid.data.views import AugmentationRecipe
from reid.errors import ConfigError
from reid.methods import METHODS
from reid.methods.base import BaseConfig, BaseMethod, MethodContext
from reid.networks.base import Backbone
from reid.training import checkpoint_files as checkpoint
from reid.training import distributed, engine
from reid.training.build import build_method
from reid.training.engine import train
from reid.training.optimizer import make_optimizer, restore_optimizer, set_learning_rates, update
from reid.training.schedule import Schedule

RECORDS = tuple(Record(Path(f"{i}.png"), i // 2, i % 2) for i in range(8))


class Linear(BaseMethod):
    """Two linear maps and the mean square of their result: no statistics of the batch."""

    def __init__(self, context: MethodContext) -> None:
        super().__init__()
        self.views = (AugmentationRecipe(size_hw=(8, 8)),)
        self.test_view = self.views[0]
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))
        self.backbone = Backbone("linear", nn.Conv2d(3, 4, 3), pool, 4)
        self.head = nn.Linear(4, 3)
        self.updates = 0

    @property
    def embedder(self) -> nn.Module:
        return self.backbone

    def step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        return self.head(self.backbone(batch.views[0])).square().mean(), {}

    def after_update(self) -> None:
        self.updates += 1


class LinearConfig(BaseConfig):
    schedules = {"cnn": Schedule(epochs=2, batch=8, learning_rate=0.1, images_per_identity=0)}  # noqa: RUF012


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetSplit:
    """Twenty noisy pictures; ``linear`` is a method."""
    monkeypatch.setattr(checkpoint, "_flush", lambda path: None)
    entry: Any = SimpleNamespace(config=LinearConfig, method=Linear)
    monkeypatch.setitem(METHODS, "linear", entry)
    rng = np.random.default_rng(0)
    for i in range(20):
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(0, 255, (8, 8, 3)).astype(np.uint8))
    return DatasetSplit("noise", "folder", tuple(Record(tmp_path / f"{i}.png", i // 4, 0) for i in range(20)))


def config(output: Path, method: str = "linear", backbone: str = "resnet18_x0_25", **choices: Any) -> Any:
    return make_config(
        {
            "method": method,
            "backbone": backbone,
            "pretrained": False,
            "data": {"name": "folder", "root": "unused"},
            "options": {"size_hw": [8, 8] if method == "linear" else [32, 32]},
            "output": str(output),
            "workers": 0,
            "device": "cpu",
            **choices,
        }
    )


def state(folder: Path) -> dict[str, Tensor]:
    return checkpoint.read_training(folder)[0]


def close(a: dict[str, Tensor], b: dict[str, Tensor], atol: float) -> bool:
    return all(torch.allclose(a[name], b[name], atol=atol) for name in a)


# --- updates --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_two_accumulated_batches_are_one_of_twice_the_size(
    pictures: DatasetSplit, tmp_path: Path, optimizer: str
) -> None:
    """The same pictures in the same order, so the same mean gradient: without batch statistics nothing differs."""
    halves = config(tmp_path / "halves", schedule={"batch": 4, "accumulate": 2, "optimizer": optimizer, "epochs": 1})
    fours = config(tmp_path / "fours", schedule={"batch": 4, "optimizer": optimizer})
    sixteen = DatasetSplit("noise", "folder", pictures.train[:16])
    whole = state(train(config(tmp_path / "w", schedule={"batch": 8, "optimizer": optimizer, "epochs": 1}), sixteen))
    assert close(whole, state(train(halves, sixteen)), 1e-6)
    assert not close(whole, state(train(fours, sixteen)), 1e-3)


def test_the_last_update_of_an_epoch_may_have_fewer_batches(
    pictures: DatasetSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Linear] = []

    def remembered(context: MethodContext) -> Linear:
        made.append(Linear(context))
        return made[-1]

    monkeypatch.setattr(METHODS["linear"], "method", remembered)
    train(config(tmp_path, schedule={"batch": 4, "accumulate": 2, "epochs": 3}), pictures)
    assert made[0].updates == 3 * 3  # of five batches per epoch


def test_a_long_gradient_is_shortened_to_the_limit() -> None:
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    weights = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(2))]
    optimizer = torch.optim.SGD(weights, 0.5)

    def step(limit: float | None) -> tuple[list[float], dict[str, Tensor]]:
        for weight, gradient in zip(weights, ([3.0], [0.0, 4.0]), strict=True):
            weight.data.zero_()
            weight.grad = torch.tensor(gradient)
        logs = update(optimizer, scaler, limit)
        return [round(value, 5) for weight in weights for value in weight.tolist()], logs

    assert step(None) == ([-1.5, 0.0, -2.0], {})
    moved, logs = step(2.5)  # half of the norm, 5
    assert moved == [-0.75, 0.0, -1.0]
    assert logs["gradient_norm"].item() == pytest.approx(5)
    assert step(7.0)[0] == [-1.5, 0.0, -2.0]
    assert all(weight.grad is None for weight in weights)


def test_a_limit_reaches_the_training(pictures: DatasetSplit, tmp_path: Path) -> None:
    free = state(train(config(tmp_path / "free", schedule={"optimizer": "sgd"}), pictures))
    tight = train(config(tmp_path / "tight", schedule={"optimizer": "sgd", "clip_norm": 1e-6}), pictures)
    loose = train(config(tmp_path / "loose", schedule={"optimizer": "sgd", "clip_norm": 1e6}), pictures)
    assert not close(free, state(tight), 1e-3)
    assert close(free, state(loose), 0)
    assert "gradient_norm" in (tmp_path / "loose/log.jsonl").read_text()


# --- groups ---------------------------------------------------------------------------------------------------------
def built(folder: Path, backbone: str, **schedule: Any) -> tuple[Any, torch.optim.Optimizer]:
    chosen = config(folder, "baseline", backbone, schedule=schedule)
    method, _ = build_method(chosen, DatasetSplit("tiny", "folder", RECORDS), torch.device("cpu"))
    return method, make_optimizer(method, chosen.schedule)


def of_each(method: nn.Module, optimizer: torch.optim.Optimizer, key: str) -> dict[str, float]:
    """A value of the groups by the names of the parameters in them."""
    names = {parameter: name for name, parameter in method.named_parameters()}
    return {names[parameter]: group[key] for group in optimizer.param_groups for parameter in group["params"]}


@pytest.mark.parametrize("backbone", ["resnet18_x0_25", "timm:vit_tiny_patch16_224"])
def test_norms_biases_and_positions_are_not_decayed(tmp_path: Path, backbone: str) -> None:
    method, optimizer = built(tmp_path, backbone, decay_all=False, weight_decay=0.1)
    decay = of_each(method, optimizer, "weight_decay")
    kinds = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm)
    spared = {
        f"{name}.{own}"
        for name, part in method.named_modules()
        if isinstance(part, kinds)
        for own in ("weight", "bias")
    }
    spared |= {name for name in decay if name.endswith((".bias", ".cls_token", ".pos_embed"))}
    assert {name for name, value in decay.items() if value == 0} == spared & decay.keys()
    assert {value for name, value in decay.items() if name not in spared} == {0.1}
    assert set(of_each(*built(tmp_path, backbone, weight_decay=0.1), "weight_decay").values()) == {0.1}


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        (
            "resnet18_x0_25",
            {
                "conv1.weight": 8,
                "bn1.bias": 8,
                "layer1.0.conv1.weight": 7,
                "layer3.1.bn2.weight": 2,
                "layer4.1.bn2.bias": 0,
            },
        ),
        ("timm:vit_tiny_patch16_224", {"net.pos_embed": 12, "net.blocks.0.norm1.weight": 11, "net.norm.bias": 0}),
        ("osnet_x0_25", {"0.0.0.weight": 10}),
    ],
)
def test_each_layer_learns_at_its_share_of_the_rate_above(
    tmp_path: Path, backbone: str, expected: dict[str, int]
) -> None:
    """``expected`` counts the layers above."""
    method, optimizer = built(
        tmp_path, backbone, layer_decay=0.5, new_layers=3.0, learning_rate=0.1, warm_up_epochs=0
    )
    assert set_learning_rates(optimizer, Schedule(epochs=1, batch=4, learning_rate=0.1), 0, 0) == 0.1
    rates = of_each(method, optimizer, "lr")
    assert rates.keys() == {name for name, _ in method.named_parameters()} - {"head.norm.bias"}
    for name, above in expected.items():
        assert rates[f"backbone.body.{name}"] == pytest.approx(0.1 * 0.5**above), name
    assert rates["head.classifier.weight"] == pytest.approx(0.3)


def test_the_rate_may_follow_the_number_of_processes() -> None:
    for rule, factor in (("none", 1), ("linear", 4), ("sqrt", 2)):
        schedule = Schedule(epochs=1, batch=4, learning_rate=0.1, scale_rate=rule)  # type: ignore[arg-type]
        optimizer = torch.optim.SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": 0.1, "lr_scale": 5.0}])
        assert set_learning_rates(optimizer, schedule, 0, 0, processes=4) == pytest.approx(0.1 * factor)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 * factor)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("schedule.nesterov=true", "schedule.nesterov has no effect with schedule.optimizer=adam"),
        ("schedule.cosine_end=0.1", "schedule.cosine_end has no effect with schedule.decay=steps"),
        ("schedule.milestones=[3]", ""),
    ],
)
def test_a_choice_that_changes_nothing_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, given: str, says: str
) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("method: baseline\nbackbone: resnet18\noutput: out\ndata: {name: folder, root: cars}\n")
    load_config(path, [given])
    assert says in caplog.text
    assert bool(says) == bool(caplog.records)


def test_the_log_says_whether_the_rate_is_scaled(
    pictures: DatasetSplit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "reid"):
        train(config(tmp_path / "a", schedule={"batch": 4, "accumulate": 2}), pictures)
        assert (
            "8 images per update (batch 4 x 2 accumulated x 1 process(es)): learning rate 0.1, "
            "not scaled with the processes" in caplog.text
        )
        caplog.clear()
        train(config(tmp_path / "b"), pictures)
    assert "per update" not in caplog.text


def test_a_frozen_backbone_begins_to_learn_later(pictures: DatasetSplit, tmp_path: Path) -> None:
    schedule = {"freeze_epochs": 1, "optimizer": "adam", "weight_decay": 0.1}
    one = config(tmp_path / "parts", schedule={**schedule, "epochs": 1})
    start = build_method(one, pictures, torch.device("cpu"))[0].state_dict()
    frozen = state(train(one, pictures))
    for name, value in start.items():
        assert torch.equal(value, frozen[name]) == name.startswith("backbone"), name
    in_two = state(train(config(tmp_path / "parts", schedule={**schedule, "epochs": 2}), pictures))
    at_once = state(train(config(tmp_path / "once", schedule={**schedule, "epochs": 2}), pictures))
    assert not torch.equal(in_two["backbone.body.weight"], frozen["backbone.body.weight"])
    assert close(in_two, at_once, 0)


FROZEN: dict[str, tuple[str, dict[str, Any]]] = {
    "baseline": ("baseline", {}),
    "a teacher": ("ssbver", {"local_views": 0, "outputs": 8, "hidden": 16, "average_momentum": 0.5}),
    "two halves": ("sgfd", {"window": 3, "encoder": "resnet18_x0_25"}),
    "a renewed dictionary": ("ssml", {"renew_every": 1}),
}


@pytest.mark.parametrize("case", FROZEN)
def test_frozen_statistics_are_those_of_the_start_in_every_pass(
    case: str, pictures: DatasetSplit, tmp_path: Path
) -> None:
    """Running statistics of the backbone stay to the bit, its weights and the statistics of the head do not."""
    method, options = FROZEN[case]
    schedule = {"epochs": 2, "batch": 8, "warm_up_epochs": 0, "freeze_statistics": True}
    if method == "ssml":
        schedule["images_per_identity"] = 0
    chosen = config(tmp_path / "run", method, schedule=schedule, options={"size_hw": [32, 32], **options})
    start = build_method(chosen, pictures, torch.device("cpu"))[0].state_dict()
    found = state(train(chosen, pictures))
    running = [name for name in start if "backbone.body" in name and "running_" in name]
    assert running
    for name in running:
        assert torch.equal(start[name], found[name]), name
    assert all(not torch.equal(start[n], found[n]) for n in start if n.endswith("backbone.body.conv1.weight"))
    assert all(not torch.equal(start[n], found[n]) for n in start if n.endswith("norm.running_mean"))


def test_frozen_statistics_make_a_picture_independent_of_its_batch(tmp_path: Path) -> None:
    plain, frozen = (
        build_method(
            config(tmp_path, "baseline", schedule={"freeze_statistics": kept}),
            DatasetSplit("noise", "folder", RECORDS),
            torch.device("cpu"),
        )[0].train()
        for kept in (False, True)
    )
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(frozen.backbone(images)[:2], frozen.backbone(images[:2]), atol=1e-5)
    assert not torch.allclose(plain.backbone(images)[:2], plain.backbone(images[:2]), atol=1e-2)


def test_statistics_are_frozen_or_shared_by_processes() -> None:
    with pytest.raises(ConfigError, match="set freeze_statistics or sync_batch_norm to false"):
        config(Path("x"), "baseline", schedule={"freeze_statistics": True, "sync_batch_norm": True})


# --- the device -----------------------------------------------------------------------------------------------------
CHOICES: dict[str, dict[str, Any]] = {
    "channels last": {"speed": {"channels_last": True}},
    "fused": {"schedule": {"epochs": 1, "batch": 8, "warm_up_epochs": 0, "fused": True}},
    "compiled": {"speed": {"compile": True}},
}


@pytest.mark.parametrize("choice", CHOICES)
def test_faster_computation_learns_the_same(
    pictures: DatasetSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    translated: list[nn.Module] = []
    real: Callable[..., Any] = torch.compile
    monkeypatch.setattr(torch, "compile", lambda m: (translated.append(m), real(m, backend="eager"))[1])
    plain = {"schedule": {"epochs": 1, "batch": 8, "warm_up_epochs": 0}}
    whole = train(config(tmp_path / "plain", "baseline", **plain), pictures)
    chosen = config(tmp_path / "chosen", "baseline", **{**plain, **CHOICES[choice]})
    found = state(train(chosen, pictures))
    assert found.keys() == state(whole).keys()
    assert close(state(whole), found, 1e-3)
    assert len(translated) == (choice == "compiled")


def test_a_step_that_cannot_be_translated_is_one_sentence(
    pictures: DatasetSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(graph: Any, inputs: Any) -> Any:
        raise OSError("no C++ compiler found\nin a long text")

    real: Callable[..., Any] = torch.compile
    monkeypatch.setattr(torch, "compile", lambda m: real(m, backend=fails))
    with pytest.raises(ConfigError, match=r"^speed.compile: .*no C\+\+ compiler found\); .* to false$"):
        train(config(tmp_path / "run", speed={"compile": True}), pictures)


def test_channels_last_reaches_weights_and_images(
    pictures: DatasetSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def step(self: Linear, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        for tensor in (batch.views[0], self.backbone.body.weight):
            seen.append(tensor.is_contiguous(memory_format=torch.channels_last))
        return self.head(self.backbone(batch.views[0])).square().mean(), {}

    monkeypatch.setattr(Linear, "step", step)
    train(config(tmp_path, speed={"channels_last": True}), pictures)
    assert seen
    assert all(seen)


def test_a_restored_optimizer_lies_in_memory_as_its_parameters_do() -> None:
    def stepped() -> tuple[nn.Parameter, torch.optim.Optimizer]:
        weight = nn.Parameter(torch.ones(4, 3, 2, 2).to(memory_format=torch.channels_last))
        optimizer = torch.optim.Adam([weight])
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        return weight, optimizer

    _, first = stepped()
    weight, second = stepped()
    saved = first.state_dict()
    for value in saved["state"].values():
        value["exp_avg"] = (value["exp_avg"] * 3).contiguous()
    restore_optimizer(second, saved)
    found = second.state[weight]["exp_avg"]
    assert found.stride() == weight.stride()
    assert torch.equal(found, saved["state"][0]["exp_avg"])
    assert second.state[weight]["step"] == 1


def test_algorithms_are_timed_if_asked_for(
    pictures: DatasetSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    train(config(tmp_path / "a"), pictures)
    assert not torch.backends.cudnn.benchmark
    train(config(tmp_path / "b", speed={"cudnn_benchmark": True}), pictures)
    assert torch.backends.cudnn.benchmark


def test_shared_statistics_keep_the_network_and_need_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In evaluation mode the network computes the same; timm's normalizations keep their activation."""
    chosen = config(tmp_path, "baseline", "timm:mobilenetv2_035", schedule={"sync_batch_norm": True})
    method, _ = build_method(chosen, DatasetSplit("tiny", "folder", RECORDS), torch.device("cpu"))
    method.eval()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, names = method.embedder(images), list(method.state_dict())
        distributed.shared_statistics(method)
        assert torch.allclose(method.embedder(images), before)
    assert list(method.state_dict()) == names
    kinds = [type(part) for part in method.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    assert kinds
    assert all(issubclass(kind, nn.SyncBatchNorm) for kind in kinds)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    with pytest.raises(ConfigError, match="between GPUs only, not on cpu; set it to false"):
        engine._placed(chosen, method, torch.device("cpu"))
