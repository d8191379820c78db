"""What the engine asks of a method, and what a method is given.

A method's file exports ``Config`` (its choices, with a schedule per family of backbones) and ``Method``. It is the
whole story of the method but for the losses: networks, views, one training step, and what is deployed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from reid.data.loader import Batch
from reid.data.records import Record
from reid.data.views import AugmentationRecipe
from reid.losses.precision import wide
from reid.networks.base import Backbone, Family
from reid.networks.pooling import Pooling
from reid.settings import Condition, Settings, UsedWhen
from reid.training.schedule import Schedule

__all__ = [
    "BaseConfig",
    "BaseMethod",
    "Extract",
    "Logs",
    "MethodContext",
    "TrainingData",
    "TripletOn",
    "embedding_spread",
    "resize_recipe",
    "total",
    "triplet_features",
    "triplet_on",
]

Logs = dict[str, Tensor]

#: Which of a network's features triplets compare; see :func:`triplet_features`.
TripletOn = Literal["pooled", "embedding"]


#: Features of records, in order: ``extract(network, records, recipe, backbone)`` is float32 (N, d) on the CPU; pixels
#: are normalized as the backbone expects.
Extract = Callable[[Callable[[Tensor], Tensor], Sequence[Record], AugmentationRecipe, Backbone], Tensor]


class BaseConfig(Settings):
    """Choices that every method has."""

    schedules: ClassVar[dict[Family, Schedule]]
    used_when: ClassVar[Mapping[str, Condition]] = {"gem_p": UsedWhen("options.pooling", "≠", "own")}

    size_hw: tuple[int, int] = Field((256, 256), description="height and width of the images, px")
    last_stride: int = Field(1, ge=1, le=2, description="of the backbone's last stage, where it has one")
    pooling: Pooling = Field(
        "own",
        description="from the last map to the feature: the backbone's own way, or generalized mean with an exponent "
        "that is learned (gem) or fixed (gem_fixed)",
    )
    gem_p: float = Field(3.0, ge=1, description="exponent of the generalized mean, at first; 1 is the mean")


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What is learned from: N records and the class of each, −1 for those without one."""

    records: tuple[Record, ...]
    labels: NDArray[Any]

    @property
    def classes(self) -> int:
        """Number of classes, C."""
        return int(self.labels.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True)
class MethodContext:
    """What a method is built from.

    Attributes:
        config: The method's own choices.
        network: Builds a fresh backbone as configured; takes ``sizes`` and what else
            :func:`reid.networks.build` does.
        network_facts: What decides a network trained at an earlier stage: backbone, start weights, precision and
            schedule, as JSON values. Part of the key of every result kept on disk that comes from such a network.
        training_data: Labeled training records.
        unlabeled: Further records whose identities must not be looked at.
        classes: Number of identities.
        cameras: Numbers of the cameras that took the training records, ascending.
        device: Where to compute.
        precision: As configured.
        seed: Root of all randomness.
        folder: For the results of earlier stages.
        extract: See :data:`Extract`.
        train: Trains another method with the same backbone and data: ``train(name, options, schedule, folder)``
            returns its deployed network.
    """

    config: Any
    network: Callable[..., Backbone]
    network_facts: tuple[Any, ...]
    training_data: TrainingData
    unlabeled: tuple[Record, ...]
    classes: int
    cameras: tuple[int, ...]
    device: torch.device
    precision: str
    seed: int
    folder: Path
    extract: Extract
    train: Callable[..., nn.Module]


class BaseMethod(nn.Module):  # type: ignore[misc]
    """The engine's view of a method; what most methods do not need has an empty default here."""

    #: One recipe per view of an image.
    views: tuple[AugmentationRecipe, ...]
    #: How an image is seen when tested.
    test_view: AugmentationRecipe
    #: The main network: its parameters learn at the backbone's rate, all others at that of new layers.
    backbone: Backbone

    @property
    def embedder(self) -> nn.Module:
        """What is deployed: normalized images (B, 3, h, w) to features (B, d)."""
        raise NotImplementedError

    def prepare(self, context: MethodContext) -> TrainingData:
        """Earlier stages, before anything is trained; returns what to train on."""
        return context.training_data

    def epoch_start(self, epoch: int, context: MethodContext) -> None:
        """Called before each epoch."""

    def step(self, batch: Batch) -> tuple[Tensor, Logs]:
        """Forward pass and losses of a batch: the loss to minimise, and its parts to be logged."""
        raise NotImplementedError

    def after_update(self) -> None:
        """Called after each update of the parameters, before :meth:`after_step` of the batch that completed it."""

    def after_step(self, batch: Batch) -> None:
        """Called after each batch."""

    def forward(self, batch: Batch) -> tuple[Tensor, Logs]:
        """The step, under the name by which several processes share gradients."""
        return self.step(batch)


def resize_recipe(recipe: AugmentationRecipe, size_hw: tuple[int, int]) -> AugmentationRecipe:
    """A published recipe for images of another size; its border shrinks or grows with them."""
    return replace(recipe, size_hw=size_hw, pad_px=round(recipe.pad_px * size_hw[0] / recipe.size_hw[0]))


def total(parts: Logs) -> tuple[Tensor, Logs]:
    """The sum of named parts, and the parts for the log."""
    return torch.stack(list(parts.values())).sum(), {k: v.detach() for k, v in parts.items()}


def triplet_on() -> Any:
    """The field of a method's choices that selects the features its triplets compare."""
    return Field(
        "pooled",
        description="pooled: before the neck, as published; embedding: what is deployed, at unit length, "
        "where distances cannot shrink together",
    )


def triplet_features(pooled: Tensor, behind: Tensor, on: TripletOn) -> Tensor:
    """What triplets compare: the feature (B, d) before the neck as it is, or the one behind it at unit length."""
    return pooled if on == "pooled" else functional.normalize(wide(behind))


def embedding_spread(x: Tensor) -> Tensor:
    """One minus the mean cosine between different rows of (B, d): 0 when all features are the same."""
    with torch.no_grad():
        unit = functional.normalize(wide(x.detach()))
        count = len(unit)
        together = unit.sum(0).square().sum()
        return 1 - (together - count) / max(1, count * (count - 1))
