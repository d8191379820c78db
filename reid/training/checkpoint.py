"""A training to its checkpoint and back, and the network that a checkpoint holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from reid.card import Card
from reid.config import TrainConfig, make_config
from reid.data.records import digest
from reid.data.views import AugmentationRecipe
from reid.errors import ConfigError
from reid.methods.base import BaseMethod, MethodContext
from reid.networks.packaged import packaged_weights
from reid.training import checkpoint_files, distributed
from reid.training.build import build_method
from reid.training.optimizer import restore_optimizer
from reid.training.schedule import Schedule, rate

__all__ = ["Best", "Trained", "epochs_to_continue_from", "make_card", "open_checkpoint", "restore", "save"]

#: Where, how fast and with what messages and scores a training runs.
_IRRELEVANT = re.compile(
    r"output|device|workers|save_every|check_every|tensorboard|wandb|evaluate_every|validation\..*|speed\..*"
    # The same data may lie elsewhere: they are compared themselves, by _digest.
    r"|schedule\.fused|data\.\d+\.(root|options\..*)"
)
#: Compared by their effect, see :func:`_check_schedule`.
_SHAPES_THE_RATE = {
    f"schedule.{name}"
    for name in (
        "epochs",
        "warm_up_epochs",
        "warm_up_start",
        "decay",
        "milestones",
        "step_factor",
        "cosine_end",
        "cosine_epochs",
    )
}


class Best(NamedTuple):
    """The best network so far.

    Attributes:
        epoch: After how many epochs.
        map: Its mean mAP on the validation data, 0…1.
        measured_on: :func:`reid.training.validation.digest_of` these data; empty in checkpoints of earlier versions.
    """

    epoch: int
    map: float
    measured_on: str = ""


def save(
    folder: Path,
    config: TrainConfig,
    context: MethodContext,
    epochs_done: int,
    method: BaseMethod,
    optimizer: torch.optim.Optimizer,
    scaler: Any,
    best: Best | None = None,
) -> None:
    """Write the checkpoint, in the main process."""
    if not distributed.is_main():
        return
    about = {
        "config": config.model_dump(mode="json"),
        "epochs_done": epochs_done,
        "classes": context.classes,
        "cameras": context.cameras,
        "images": len(context.training_data.records),
        "records": _digest(context),
        "processes": distributed.world_size(),
        "torch": torch.__version__,
        "scaler": scaler.state_dict(),
        "best": None if best is None else best._asdict(),
    }
    card = make_card(config, method)
    checkpoint_files.write(
        folder, about, card, method.embedder.state_dict(), method.state_dict(), optimizer.state_dict()
    )


def epochs_to_continue_from(config: TrainConfig, folder: Path, context: MethodContext) -> int:
    """How many epochs the checkpoint of this training holds; 0 if there is none.

    A training goes on if what its checkpoint has learned is what ``config`` asks for: the same choices and the same
    pictures. Choices that say only where, how fast or how long it runs may change. Of the schedule, the number of
    epochs and everything that shapes the learning rate may change as far as the rates of the epochs done stay as they
    were.

    Raises:
        ConfigError: The folder holds another training.
    """
    found = checkpoint_files.find(folder)
    if found is None:
        return 0
    about = checkpoint_files.read_json(found)
    done: int = about["epochs_done"]
    # Read anew, because a checkpoint of an earlier version lacks the settings that are new since then.
    asked, kept = (_flat(each.model_dump(mode="json")) for each in (config, make_config(about["config"])))
    for key in sorted(asked.keys() | kept.keys()):
        free = _IRRELEVANT.fullmatch(key) or key in _SHAPES_THE_RATE
        if not free and kept.get(key) != asked.get(key):
            raise ConfigError(
                f"this folder holds a training with {key} {kept.get(key)}, asked for is {asked.get(key)}",
                path=config.output,
                remedy="choose another output, or remove this one",
            )
    if about["records"] != _digest(context):
        raise ConfigError(
            "this folder holds a training on other pictures, identities or cameras",
            path=config.output,
            remedy="choose another output, or remove this one",
        )
    _check_schedule(config, Schedule.model_validate(about["config"]["schedule"]), done)
    return done


def _check_schedule(config: TrainConfig, kept: Schedule, done: int) -> None:
    """The epochs done are fewer than asked for, and their rates are those that the schedule asked for gives them."""
    asked = config.schedule
    if asked.epochs < done:
        raise ConfigError(
            f"this folder holds a training of {done} epochs, asked for are {asked.epochs}",
            path=config.output,
            remedy=f"set schedule.epochs to {done} or more, or choose another output",
        )
    differs = next((e for e in range(done) if rate(asked, e, e) != rate(kept, e, e)), None)
    if differs is None:
        return
    was, would_be = rate(kept, differs), rate(asked, differs)
    raise ConfigError(
        f"this folder holds a training whose epoch {differs + 1} had {was:.3g} of the full learning rate, and the "
        f"schedule asked for gives it {would_be:.3g}, so that the epochs done cannot be part of it",
        path=config.output,
        remedy="choose another output, with weights set to "
        f"{config.output / 'checkpoint' / 'embedder.safetensors'} to start from what was learned",
    )


def _digest(context: MethodContext) -> str:
    """What was learned from: names of pictures with their identities and cameras, wherever they lie."""
    return digest((*context.training_data.records, *context.unlabeled))


def restore(folder: Path, method: BaseMethod, optimizer: torch.optim.Optimizer, scaler: Any) -> Best | None:
    """Load the state of a training from its checkpoint; which network was the best until then."""
    state, of_optimizer = checkpoint_files.read_training(folder)
    method.load_state_dict(state)
    restore_optimizer(optimizer, of_optimizer)
    about = checkpoint_files.read_json(folder)
    if scaler.is_enabled():
        scaler.load_state_dict(about["scaler"])
    best = about.get("best")
    return None if best is None else Best(**best)


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
    known = {"classes": about["classes"], "cameras": tuple(about.get("cameras", ()))}
    method, _ = build_method(config, None, torch.device(device), fresh=False, **known)
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
        trained_on=", ".join(data.name for data in config.data),
        source=_start(config),
    )


def _start(config: TrainConfig) -> str:
    """Where the weights come from that the training started with; empty for noise."""
    packaged = packaged_weights(config.weights, config.backbone)
    if packaged is not None:
        return f"started from {packaged.source} ({packaged.license})"
    if config.weights is not None:
        return f"started from {config.weights.name}"
    return f"started from published ImageNet weights of {config.backbone}" if config.pretrained else ""


def _flat(group: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested choices under dotted names; the groups of a list are named by their positions."""
    flat: dict[str, Any] = {}
    for key, value in group.items():
        if isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
            value = {str(number): inner for number, inner in enumerate(value)}
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
