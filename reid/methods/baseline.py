"""The strong baseline: cross entropy behind a normalizing neck, batch-hard triplets before it (Luo et al., 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from reid.data.loader import Batch
from reid.data.views import RECIPES
from reid.methods.base import (
    BaseMethod,
    Logs,
    MethodContext,
    TripletOn,
    embedding_spread,
    resize_recipe,
    total,
    triplet_on,
)
from reid.methods.objectives import ObjectiveConfig, identity_loss, pair_loss
from reid.networks.base import Family
from reid.networks.heads import BNNeck, Embedder
from reid.settings import Condition, UsedWhen
from reid.training.schedule import Schedule

__all__ = ["Config", "Method"]


_WITH_PAIRS = UsedWhen("options.triplet_weight", ">", 0)


class Config(ObjectiveConfig):
    """Choices of the baseline."""

    used_when: ClassVar[Mapping[str, Condition]] = {
        **ObjectiveConfig.used_when,
        **dict.fromkeys(("triplet_on", "pair_loss"), _WITH_PAIRS),
        **{
            name: (_WITH_PAIRS, UsedWhen("options.pair_loss", "=", loss))
            for name, loss in {"margin": "triplet", "circle_margin": "circle", "circle_scale": "circle"}.items()
        },
        "camera_unknown": UsedWhen("options.camera_weight", ">", 0),
    }

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
    triplet_weight: float = Field(1.0, ge=0, description="weight of the triplets or of the circle loss over pairs")
    camera_weight: float = Field(
        0.0, ge=0, description="λ of camera embeddings, for vision transformers; 3 in TransReID's program, 0 for none"
    )
    camera_unknown: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of training images whose camera is withheld, as it is from all when tested",
    )


class Method(BaseMethod):
    """One view, one backbone, one neck."""

    cameras: Tensor

    def __init__(self, context: MethodContext) -> None:
        super().__init__()
        self.config: Config = context.config
        size = self.config.size_hw
        self.views = (resize_recipe(RECIPES[self.config.recipe], size),)
        self.test_view = resize_recipe(RECIPES["test"], size)
        # Without cameras among the records there is nothing to learn.
        cameras = context.cameras if self.config.camera_weight else ()
        self.backbone = context.network(
            sizes=[size],
            last_stride=self.config.last_stride,
            cameras=len(cameras),
            camera_weight=self.config.camera_weight,
        )
        self.register_buffer("cameras", torch.tensor(cameras, dtype=torch.int64), persistent=False)
        self.head = BNNeck(self.backbone.dim, context.classes)

    @property
    def embedder(self) -> nn.Module:
        """Backbone and neck."""
        return Embedder(self.backbone, self.head.norm)

    def step(self, batch: Batch) -> tuple[Tensor, Logs]:
        """Triplets on the pooled feature or on the embedding, classes behind the neck."""
        config, label = self.config, batch.label
        x = self.backbone(batch.views[0], self._camera(batch.camera))
        behind = self.head.norm(x)
        pairs = pair_loss(config, x, behind, label, on=config.triplet_on, margin=config.margin)
        loss, logs = total(
            {
                "identity": identity_loss(config, self.head.classifier, behind, label, config.smoothing),
                config.pair_loss: config.triplet_weight * pairs,
            }
        )
        return loss, {**logs, "spread": embedding_spread(x)}

    def _camera(self, number: Tensor) -> Tensor | None:
        """The row of each image's camera (B,), −1 where it is withheld; None without camera embeddings."""
        if not len(self.cameras):
            return None
        row = torch.searchsorted(self.cameras, number)
        withheld = torch.rand(len(row)).to(row.device) < self.config.camera_unknown
        return row.masked_fill(withheld, -1)
