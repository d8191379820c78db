"""Camera embeddings: what a token gets from a known camera and what from an unknown one, trained and deployed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reid.config import make_config
from reid.data import DatasetSplit, Record
from reid.data.loader import Batch
from reid.errors import ConfigError
from reid.export import export_checkpoint
from reid.inference import load_embedder
from reid.networks import build
from reid.networks.cameras import CameraTokens
from reid.training.build import build_method
from reid.training.checkpoint import open_checkpoint
from reid.training.engine import train

SIDE, B = 32, 4
VIT = "timm:test_vit"
#: Numbers of cameras are those of the data set; embeddings have rows from 0.
CAMERAS = (7, 19, 40)
RECORDS = tuple(Record(Path(f"{i}.png"), i // 3, CAMERAS[i % 3]) for i in range(12))


def choices(folder: Path, backbone: str = VIT, **options: Any) -> dict[str, Any]:
    return {
        "method": "baseline",
        "backbone": backbone,
        "pretrained": False,
        "data": {"name": "folder", "root": "unused"},
        "options": {"size_hw": [SIDE, SIDE], "camera_weight": 3.0, **options},
        "schedule": {"epochs": 1, "batch": 8, "images_per_identity": 2, "warm_up_epochs": 0, "learning_rate": 0.01},
        "output": str(folder / "run"),
        "device": "cpu",
        "workers": 0,
    }


def made(folder: Path, **options: Any) -> Any:
    split = DatasetSplit("tiny", "folder", RECORDS)
    return build_method(make_config(choices(folder, **options)), split, torch.device("cpu"))[0].eval()


def test_tokens_get_the_embedding_of_their_camera_or_the_mean() -> None:
    layer = CameraTokens(3, 4, 2.0)
    tokens = torch.randn(3, 5, 4)
    rows = layer.table.detach()
    mean = (rows[0] + rows[1] + rows[2]) / 3
    layer.camera = torch.tensor([2, -1, 0])
    found = layer(tokens)
    for image, embedding in enumerate((rows[2], mean, rows[0])):
        for token in range(5):
            assert torch.allclose(found[image, token], tokens[image, token] + 2 * embedding, atol=1e-6)
    layer.camera = None
    assert torch.allclose(layer(tokens), tokens + 2 * mean, atol=1e-6)


def test_embeddings_stand_beside_those_of_positions() -> None:
    """A position embedding that holds the camera's already gives the same feature."""
    torch.manual_seed(0)
    plain = build(VIT, sizes=[(SIDE, SIDE)]).eval()
    with_cameras = build(VIT, sizes=[(SIDE, SIDE)], cameras=3, camera_weight=3.0).eval()
    with_cameras.load_state_dict(plain.state_dict(), strict=False)
    (tokens,) = with_cameras.body.cameras
    tokens.table.data.normal_()
    images = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        for camera, embedding in ((torch.tensor([1, 1]), tokens.table[1]), (None, tokens.table.mean(0))):
            moved = copy.deepcopy(plain)
            net = moved.body.net
            net.pos_embed += 3.0 * embedding
            if net.no_embed_class:  # then prefix tokens have no position
                net.cls_token += 3.0 * embedding
                if net.reg_token is not None:
                    net.reg_token += 3.0 * embedding
            assert torch.allclose(with_cameras(images, camera), moved(images), atol=1e-4)
        known = with_cameras(images, torch.tensor([0, 2]))
        assert not torch.allclose(known, with_cameras(images), atol=1e-2)
        assert torch.allclose(with_cameras(images[1:], torch.tensor([2])), known[1:], atol=1e-4)
    assert tokens.camera is None  # no camera is left over from the last call


def test_copies_have_embeddings_of_their_own() -> None:
    first = build(VIT, sizes=[(SIDE, SIDE)], cameras=2, camera_weight=1.0).eval()
    second = copy.deepcopy(first)
    images = torch.randn(1, 3, SIDE, SIDE)
    with torch.no_grad():
        before = first(images, torch.tensor([0]))
        second.body.cameras[0].table.add_(1.0 + torch.rand_like(second.body.cameras[0].table))
        assert torch.equal(first(images, torch.tensor([0])), before)
        assert not torch.allclose(second(images, torch.tensor([0])), before, atol=1e-3)


def test_a_step_shows_each_image_with_its_camera(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(B, 3, SIDE, SIDE, generator=generator)
    camera = torch.tensor([40, 7, 19, 40])
    batch = Batch(
        [images],
        torch.zeros(1, B, dtype=torch.bool),
        torch.arange(B),
        torch.tensor([0, 0, 1, 1]),
        camera,
        torch.full((B,), -1),
    )
    for share, rows in ((0.0, [2, 0, 1, 2]), (1.0, [-1, -1, -1, -1])):
        method = made(tmp_path, camera_unknown=share)
        method.backbone.body.cameras[0].table.data.normal_()
        seen: list[torch.Tensor] = []
        method.head.norm.register_forward_pre_hook(lambda layer, given, seen=seen: seen.append(given[0]))
        with torch.no_grad():
            method.step(batch)
            expected = method.backbone(images, torch.tensor(rows))
        assert torch.allclose(seen[0], expected, atol=1e-5)
    method = made(tmp_path, camera_unknown=0.5)
    method.step(batch)[0].backward()
    assert method.backbone.body.cameras[0].table.grad.abs().sum() > 0
    assert [made(tmp_path, camera_weight=0.0).step(batch)[0].isfinite().item()] == [True]


def test_the_share_of_withheld_cameras(tmp_path: Path) -> None:
    torch.manual_seed(0)
    rows = made(tmp_path, camera_unknown=0.25)._camera(torch.tensor(CAMERAS).repeat(4000))
    assert (rows < 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    kept = rows >= 0
    assert torch.equal(rows[kept], torch.arange(3).repeat(4000)[kept])


def test_what_is_deployed_knows_no_camera(tmp_path: Path) -> None:
    """From a checkpoint and exported, every picture gets the mean embedding: a file takes pictures alone."""
    import cv2

    records = []
    for i in range(12):
        path = tmp_path / f"{i}.png"
        cv2.imwrite(str(path), np.random.default_rng(i).integers(0, 256, (SIDE, SIDE, 3), np.uint8))
        records.append(Record(path, i // 3, CAMERAS[i % 3]))
    config = make_config(choices(tmp_path))
    trained = open_checkpoint(train(config, DatasetSplit("noise", "folder", tuple(records))))
    table = trained.embedder.state_dict()["backbone.body.net.norm_pre.0.table"]
    assert table.shape[0] == 3
    images = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    mean, std = (np.array(v, np.float32) for v in (trained.card.mean, trained.card.std))
    normalized = torch.from_numpy((images / 255 - mean) / std).float().permute(0, 3, 1, 2)
    found = load_embedder(tmp_path / "run")(images)
    with torch.no_grad():
        all_alike = copy.deepcopy(trained.embedder)
        all_alike.backbone.body.cameras[0].table.copy_(table.mean(0).expand_as(table))
        by_camera = all_alike.neck(all_alike.backbone(normalized, torch.tensor([0, 1, 2])))
    np.testing.assert_allclose(found, by_camera.numpy(), rtol=1e-3, atol=1e-4)
    for name in ("network.onnx", "network.torchscript"):
        export_checkpoint(tmp_path / "run", tmp_path / name)
        np.testing.assert_allclose(load_embedder(tmp_path / name)(images), found, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18_x0_25", "timm:resnet18", "timm:convnext_atto"])
def test_other_networks_are_refused(name: str, tmp_path: Path) -> None:
    split = DatasetSplit("tiny", "folder", RECORDS)
    with pytest.raises(ConfigError, match=r"cannot have camera embeddings.*set options.camera_weight to 0"):
        build_method(make_config(choices(tmp_path, name)), split, torch.device("cpu"))
