"""A training to its checkpoint and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from reid import checkpoint, distributed
from reid.card import Card
from reid.config import TrainConfig
from reid.errors import ConfigError
from reid.methods.base import BaseMethod, Setup

__all__ = ["make_card", "resume", "save"]

_MATTERS_NOT = {"output", "device", "workers", "save_every", "check_every", "tensorboard"}


def save(
    folder: Path,
    config: TrainConfig,
    setup: Setup,
    epochs_done: int,
    method: BaseMethod,
    optimiser: torch.optim.Optimizer,
    scaler: Any,
) -> None:
    """Write the checkpoint, in the main process."""
    if not distributed.is_main():
        return
    about = {
        "config": config.model_dump(mode="json"),
        "epochs_done": epochs_done,
        "classes": setup.classes,
        "images": len(setup.material.records),
        "processes": distributed.world_size(),
        "torch": torch.__version__,
        "scaler": scaler.state_dict(),
    }
    card = make_card(config, method)
    checkpoint.write(folder, about, card, method.embedder.state_dict(), method.state_dict(), optimiser.state_dict())


def resume(
    config: TrainConfig, folder: Path, method: BaseMethod, optimiser: torch.optim.Optimizer, scaler: Any
) -> int:
    """Load the checkpoint, if there is one, and tell with which epoch to go on."""
    found = checkpoint.find(folder)
    if found is None:
        return 0
    about = checkpoint.read_json(found)
    mine, kept = (_flat(c) for c in (config.model_dump(mode="json"), about["config"]))
    for key in sorted(mine.keys() | kept.keys()):
        if key not in _MATTERS_NOT and kept.get(key) != mine.get(key):
            raise ConfigError(
                f"this folder holds a training with {key} {kept.get(key)}, asked for is {mine.get(key)}",
                path=config.output,
                remedy="choose another output, or remove this one",
            )
    state, of_optimiser = checkpoint.read_training(found)
    method.load_state_dict(state)
    optimiser.load_state_dict(of_optimiser)
    if scaler.is_enabled():
        scaler.load_state_dict(about["scaler"])
    done: int = about["epochs_done"]
    return done


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
