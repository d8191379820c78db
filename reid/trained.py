"""What a training leaves behind: the network as a module, or exported for others to run."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reid import checkpoint
from reid.card import METADATA_KEY, Card, card_path, write_card
from reid.config import TrainConfig, make_config
from reid.data.augment import normalise, resize
from reid.data.views import Recipe
from reid.errors import ConfigError, MissingDependency
from reid.methods.base import BaseMethod
from reid.methods.sgfd import GeometricNetwork
from reid.pictures import overlay
from reid.saving import make_card

__all__ = ["Trained", "attention_picture", "export_checkpoint", "open_checkpoint"]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained network.

    Attributes:
        embedder: Normalised images (B, 3, h, w) to features (B, d), in evaluation mode.
        method: The method it was trained by; its parameters other than the embedder's are not loaded.
        config: How it was trained.
        epochs_done: How far.
        view: How an image is seen when tested.
        card: The same as a card, for those who run it.
    """

    embedder: nn.Module
    method: BaseMethod
    config: TrainConfig
    epochs_done: int
    view: Recipe
    card: Card


def open_checkpoint(folder: Path, device: torch.device | str = "cpu") -> Trained:
    """The network that a checkpoint holds.

    Args:
        folder: A checkpoint, or the folder of a training.
        device: Where it will compute.

    Raises:
        WeightsError: There is no checkpoint, or it is damaged.
    """
    from reid.engine import build_method

    about = checkpoint.read_json(folder)
    config = make_config(about["config"])
    method, _ = build_method(config, None, torch.device(device), classes=about["classes"], fresh=False)
    embedder = method.embedder
    embedder.load_state_dict(checkpoint.read_embedder(folder))
    embedder.eval()
    return Trained(embedder, method, config, about["epochs_done"], method.test_view, make_card(config, method))


def export_checkpoint(folder: Path, path: Path) -> Card:
    """Write a checkpoint's network as ONNX or TorchScript, with its card beside it (and inside the ONNX file).

    Args:
        folder: A checkpoint, or the folder of a training.
        path: ``.onnx`` or ``.torchscript``.

    Raises:
        ConfigError: ``path`` has another suffix.
        WeightsError: There is no checkpoint, or it is damaged.
        MissingDependency: A package that writes ONNX is not installed.
    """
    if path.suffix not in (".onnx", ".torchscript"):
        raise ConfigError(f"expected a file that ends in .onnx or .torchscript, got {path.name}", path=path)
    trained = open_checkpoint(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(2, 3, *trained.card.size_hw)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporters comment on their own deprecations and on traced shapes
        if path.suffix == ".torchscript":
            torch.jit.trace(trained.embedder, example, check_trace=False).save(str(path))
        else:
            _write_onnx(trained, example, path)
    write_card(trained.card, card_path(path))
    return trained.card


def attention_picture(trained: Trained, pictures: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Pictures side by side, and below each where the network looks.

    Args:
        trained: A network trained by ``sgfd`` with attention.
        pictures: uint8 (H, W, 3) RGB of any size.

    Returns:
        uint8 (2 h, N w, 3) RGB.

    Raises:
        ConfigError: The network has no attention.
    """
    if not isinstance(trained.embedder, GeometricNetwork):
        raise ConfigError(f"{trained.config.method} has no attention", remedy="train sgfd")
    card = trained.card
    crops = [resize(picture, card.size_hw) for picture in pictures]
    images = torch.from_numpy(np.stack([normalise(crop, card.mean, card.std) for crop in crops]))
    with torch.no_grad():
        maps = trained.embedder.attention(images)[:, 0].numpy()
    below = [overlay(crop, heat) for crop, heat in zip(crops, maps, strict=True)]
    both: NDArray[Any] = np.concatenate([np.concatenate(crops, axis=1), np.concatenate(below, axis=1)])
    return both


def _write_onnx(trained: Trained, example: torch.Tensor, path: Path) -> None:
    try:
        import onnx
    except ImportError as cause:
        raise MissingDependency("writing ONNX needs the package onnx", remedy="pip install onnx") from cause
    torch.onnx.export(
        trained.embedder,
        (example,),
        str(path),
        input_names=["images"],
        output_names=["embeddings"],
        dynamic_axes={"images": {0: "batch"}, "embeddings": {0: "batch"}},
        dynamo=False,
    )
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(dataclasses.asdict(trained.card))
    onnx.save(model, str(path))
