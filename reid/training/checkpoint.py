"""A training to its checkpoint and back, and the network that a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reid.card import Card
from reid.config import TrainConfig, make_config
from reid.data.views import AugmentationRecipe
from reid.errors import ConfigError
from reid.methods.base import BaseMethod, MethodContext
from reid.training import checkpoint_files, distributed
from reid.training.build import build_method

__all__ = ["Trained", "make_card", "open_checkpoint", "resume", "save"]

_MATTERS_NOT = {"output", "device", "workers", "save_every", "check_every", "tensorboard"}


def save(
    folder: Path,
    config: TrainConfig,
    context: MethodContext,
    epochs_done: int,
    method: BaseMethod,
    optimizer: torch.optim.Optimizer,
    scaler: Any,
) -> None:
    """Write the checkpoint, in the main process."""
    if not distributed.is_main():
        return
    about = {
        "config": config.model_dump(mode="json"),
        "epochs_done": epochs_done,
        "classes": context.classes,
        "images": len(context.training_data.records),
        "processes": distributed.world_size(),
        "torch": torch.__version__,
        "scaler": scaler.state_dict(),
    }
    card = make_card(config, method)
    checkpoint_files.write(
        folder, about, card, method.embedder.state_dict(), method.state_dict(), optimizer.state_dict()
    )


def resume(
    config: TrainConfig, folder: Path, method: BaseMethod, optimizer: torch.optim.Optimizer, scaler: Any
) -> int:
    """Load the checkpoint, if there is one, and tell with which epoch to go on."""
    found = checkpoint_files.find(folder)
    if found is None:
        return 0
    about = checkpoint_files.read_json(found)
    mine, kept = (_flat(c) for c in (config.model_dump(mode="json"), about["config"]))
    for key in sorted(mine.keys() | kept.keys()):
        if key not in _MATTERS_NOT and kept.get(key) != mine.get(key):
            raise ConfigError(
                f"this folder holds a training with {key} {kept.get(key)}, asked for is {mine.get(key)}",
                path=config.output,
                remedy="choose another output, or remove this one",
            )
    state, of_optimizer = checkpoint_files.read_training(found)
    method.load_state_dict(state)
    optimizer.load_state_dict(of_optimizer)
    if scaler.is_enabled():
        scaler.load_state_dict(about["scaler"])
    done: int = about["epochs_done"]
    return done


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained network.

    Attributes:
        embedder: Normalized images (B, 3, h, w) to features (B, d), in evaluation mode.
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
    view: AugmentationRecipe
    card: Card


def open_checkpoint(folder: Path, device: torch.device | str = "cpu") -> Trained:
    """The network that a checkpoint holds.

    Args:
        folder: A checkpoint, or the folder of a training.
        device: Where it will compute.

    Raises:
        WeightsError: There is no checkpoint, or it is damaged.
    """
    about = checkpoint_files.read_json(folder)
    config = make_config(about["config"])
    method, _ = build_method(config, None, torch.device(device), classes=about["classes"], fresh=False)
    embedder = method.embedder
    embedder.load_state_dict(checkpoint_files.read_embedder(folder))
    embedder.eval()
    return Trained(embedder, method, config, about["epochs_done"], method.test_view, make_card(config, method))


def make_card(config: TrainConfig, method: BaseMethod) -> Card:
    """What the deployed network takes and gives."""
    return Card(
        size_hw=config.options.size_hw,
        dim=int(method.embedder.dim),
        name=f"{config.method} {config.backbone}",
        mean=method.backbone.mean,
        std=method.backbone.std,
        interpolation=method.test_view.interpolation,
        trained_on=config.data.name,
    )


def _flat(group: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested choices under dotted names."""
    flat: dict[str, Any] = {}
    for key, value in group.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
