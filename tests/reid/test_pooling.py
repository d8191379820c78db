"""Generalized-mean pooling: values by hand, and what it replaces in each kind of network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reid.config import make_config
from reid.data import DatasetSplit, Record
from reid.errors import ConfigError
from reid.export import export_checkpoint
from reid.inference import load_embedder
from reid.networks import build
from reid.networks.pooling import GeM, generalized_mean
from reid.training.checkpoint import open_checkpoint
from reid.training.engine import train

SIDE = 32


def test_generalized_mean_by_hand() -> None:
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], dtype=torch.float64)
    assert generalized_mean(x, 3.0).shape == (1, 1, 1, 1)
    assert generalized_mean(x, 1.0).item() == pytest.approx(2.5)
    assert generalized_mean(x, 2.0).item() == pytest.approx(math.sqrt(30 / 4))
    assert generalized_mean(x, 3.0).item() == pytest.approx(25 ** (1 / 3))
    assert generalized_mean(x, 200.0).item() == pytest.approx(4 * 0.25 ** (1 / 200))
    assert generalized_mean(torch.tensor([[[[-5.0, 1.0]]]]), 1.0).item() == pytest.approx(0.5, abs=1e-5)


def test_each_channel_of_each_image_has_its_own_mean() -> None:
    x = torch.rand(3, 4, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = GeM(2.5).double()(x)
    for b in range(3):
        for c in range(4):
            values = x[b, c].flatten().tolist()
            expected = (sum(v**2.5 for v in values) / 10) ** (1 / 2.5)
            assert found[b, c, 0, 0].item() == pytest.approx(expected, rel=1e-9)


def test_the_exponent_is_learned_or_kept() -> None:
    values, p, step = [1.0, 2.0, 3.0, 4.0], 3.0, 1e-6
    layer = GeM(p).double()
    layer(torch.tensor(values, dtype=torch.float64).view(1, 1, 2, 2)).sum().backward()
    up, down = ((sum(v**q for v in values) / 4) ** (1 / q) for q in (p + step, p - step))
    assert layer.p.grad.item() == pytest.approx((up - down) / (2 * step), rel=1e-6)
    fixed = GeM(p, learned=False)
    assert not list(fixed.parameters())
    assert fixed.state_dict()["p"].tolist() == [3.0]


def test_dark_maps_and_half_precision_have_finite_values_and_gradients() -> None:
    x = torch.zeros(1, 2, 3, 3, requires_grad=True)
    layer = GeM()
    layer(x).sum().backward()
    assert layer.p.grad.isfinite().all()
    assert x.grad.isfinite().all()
    bright = torch.full((1, 1, 2, 2), 60.0, dtype=torch.float16)  # its cube is no number of half precision
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert GeM(6.0)(bright).item() == pytest.approx(60, rel=1e-5)


NETWORKS = ["resnet18", "resnet18_x0_25", "densenet121", "osnet_x0_25", "timm:resnet18", "timm:mobilenetv2_100"]


@pytest.mark.parametrize("name", NETWORKS)
def test_exponent_one_is_the_networks_own_average(name: str) -> None:
    torch.manual_seed(0)
    own = build(name, sizes=[(SIDE, SIDE)]).eval()
    pooled = build(name, sizes=[(SIDE, SIDE)], pooling="gem", gem_p=1.0).eval()
    missing, unknown = pooled.load_state_dict(own.state_dict(), strict=False)
    assert (len(missing), unknown) == (1, [])
    images = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        assert torch.allclose(pooled(images), own(images), rtol=1e-4, atol=1e-4)
        (exponent,) = (p for key, p in pooled.named_parameters() if key in missing)
        exponent.fill_(4.0)
        changed = pooled(images)
        assert not torch.allclose(changed, own(images), rtol=1e-2)
        if name.removeprefix("timm:") != "osnet_x0_25":  # which has a layer behind its average
            expected = own.features(images).clamp(min=0).pow(4).mean((2, 3)).pow(0.25)
            assert torch.allclose(changed, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "name", ["timm:vit_tiny_patch16_224", "timm:convnext_atto", "timm:swin_tiny_patch4_window7_224"]
)
def test_networks_without_such_a_map_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot have generalized-mean pooling.*set options.pooling to own"):
        build(name, sizes=[(224, 224)], pooling="gem")


def pictures(folder: Path) -> DatasetSplit:
    """Four plain cars of one color each, seen four times."""
    import cv2

    rng = np.random.default_rng(0)
    records = []
    for vehicle, color in enumerate(rng.integers(40, 215, (4, 3))):
        for shot in range(4):
            noisy = np.clip(color + rng.normal(0, 20, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
            path = folder / f"{vehicle}_{shot}.png"
            cv2.imwrite(str(path), noisy)
            records.append(Record(path, vehicle, shot % 2))
    return DatasetSplit("colors", "folder", tuple(records))


@pytest.mark.parametrize("pooling", ["gem", "gem_fixed"])
def test_what_is_deployed_pools_with_the_exponent_that_was_learned(pooling: str, tmp_path: Path) -> None:
    choices: dict[str, Any] = {
        "method": "baseline",
        "backbone": "resnet18_x0_25",
        "pretrained": False,
        "data": {"name": "folder", "root": "unused"},
        "options": {"size_hw": [SIDE, SIDE], "pooling": pooling, "gem_p": 2.5, "pair_loss": "circle"},
        "schedule": {"epochs": 1, "batch": 8, "images_per_identity": 2, "warm_up_epochs": 0, "learning_rate": 0.01},
        "output": str(tmp_path / "run"),
        "device": "cpu",
        "workers": 0,
    }
    choices["options"]["classifier"] = "cosface"
    trained = open_checkpoint(train(make_config(choices), pictures(tmp_path)))
    p = trained.embedder.state_dict()["backbone.pool.0.p"].item()
    assert (p == 2.5) == (pooling == "gem_fixed")
    images = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    expected = load_embedder(tmp_path / "run")(images)
    for name in ("network.onnx", "network.torchscript"):
        export_checkpoint(tmp_path / "run", tmp_path / name)
        np.testing.assert_allclose(load_embedder(tmp_path / name)(images), expected, rtol=1e-3, atol=1e-4)
