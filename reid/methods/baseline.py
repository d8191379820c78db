"""The strong baseline: cross entropy behind a normalizing neck, batch-hard triplets before it (Luo et al., 2019)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from reid.data.loader import Batch
from reid.data.views import RECIPES
from reid.losses.identity import smoothed_cross_entropy
from reid.losses.triplet import batch_hard
from reid.methods.base import (
    BaseConfig,
    BaseMethod,
    Logs,
    MethodContext,
    TripletOn,
    embedding_spread,
    resize_recipe,
    total,
    triplet_features,
    triplet_on,
)
from reid.networks.base import Family
from reid.networks.heads import BNNeck, Embedder
from reid.training.schedule import Schedule

__all__ = ["Config", "Method"]


class Config(BaseConfig):
    """Choices of the baseline."""

    schedules: ClassVar[dict[Family, Schedule]] = {
        "cnn": Schedule(
            epochs=120, batch=64, learning_rate=3.5e-4, weight_decay=5e-4, warm_up_epochs=10, milestones=(40, 70)
        ),
        "transformer": Schedule(
            epochs=120,
            batch=64,
            optimizer="adamw",
            learning_rate=1e-4,
            weight_decay=1e-4,
            warm_up_epochs=10,
            decay="cosine",
            cosine_end=0.16,
        ),
    }

    recipe: Literal["baseline", "video", "street"] = Field(
        "baseline",
        description="how training images are changed: baseline as published; video for crops of video; "
        "street more strongly, for cameras of all kinds",
    )
    smoothing: float = Field(0.1, ge=0, lt=1, description="label smoothing ε")
    margin: float | None = Field(None, gt=0, description="of the triplets; null for the soft margin")
    triplet_on: TripletOn = triplet_on()
    triplet_weight: float = Field(1.0, ge=0, description="weight of the triplet loss")


class Method(BaseMethod):
    """One view, one backbone, one neck."""

    def __init__(self, context: MethodContext) -> None:
        super().__init__()
        self.config: Config = context.config
        size = self.config.size_hw
        self.views = (resize_recipe(RECIPES[self.config.recipe], size),)
        self.test_view = resize_recipe(RECIPES["test"], size)
        self.backbone = context.network(sizes=[size], last_stride=self.config.last_stride)
        self.head = BNNeck(self.backbone.dim, context.classes)

    @property
    def embedder(self) -> nn.Module:
        """Backbone and neck."""
        return Embedder(self.backbone, self.head.norm)

    def step(self, batch: Batch) -> tuple[Tensor, Logs]:
        """Triplets on the pooled feature or on the embedding, classes behind the neck."""
        x = self.backbone(batch.views[0])
        behind = self.head.norm(x)
        triplets = triplet_features(x, behind, self.config.triplet_on)
        loss, logs = total(
            {
                "identity": smoothed_cross_entropy(self.head.classifier(behind), batch.label, self.config.smoothing),
                "triplet": self.config.triplet_weight * batch_hard(triplets, batch.label, self.config.margin),
            }
        )
        return loss, {**logs, "spread": embedding_spread(x)}
