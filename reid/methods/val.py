"""VAL: identities divided into viewpoints, and reunited (Chen et al., viewpoint-aware loss).

The classifier has one center for every viewpoint of every identity. Images are sorted into these subclasses
(partition), the centers of an identity are drawn together (reunion), and scores are weighted so that identities part
more strictly than viewpoints (multi-decision boundary).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from reid.data.loader import Batch
from reid.data.records import views
from reid.data.veri import with_views
from reid.data.views import RECIPES
from reid.errors import DataError
from reid.losses.triplet import batch_hard
from reid.losses.viewpoint import partition, reunion
from reid.methods import viewpoints
from reid.methods.base import (
    BaseConfig,
    BaseMethod,
    Logs,
    MethodContext,
    TrainingData,
    embedding_spread,
    resize_recipe,
    total,
)
from reid.methods.baseline import Config as Baseline
from reid.networks.base import Family
from reid.networks.heads import Embedder, SubclassHead, neck
from reid.settings import Condition, UsedWhen
from reid.training.schedule import Schedule

__all__ = ["Config", "Method"]


class Config(BaseConfig):
    """Choices of VAL. The paper's ablation: views 1 without margin; no margin, no reunion; each added."""

    used_when: ClassVar[Mapping[str, Condition]] = {
        **BaseConfig.used_when,
        "detach_weights": UsedWhen("options.margin", "≠", None),
        "reunion_weight": UsedWhen("options.views", ">", 1),
        "reunion": (UsedWhen("options.views", ">", 1), UsedWhen("options.reunion_weight", ">", 0)),
        "unknown": UsedWhen("options.views", ">", 1),
        "classifier_epochs": (UsedWhen("options.views", ">", 1), UsedWhen("options.unknown", "=", "classify")),
    }

    schedules: ClassVar[dict[Family, Schedule]] = Baseline.schedules

    views: Literal[1, 2, 4, 8] = Field(2, description="V, viewpoints of an identity; 1 is plain softmax")
    scale: float = Field(48.0, gt=0, description="γ, scale of the scores")
    margin: float | None = Field(0.5, ge=0, le=1, description="m of the multi-decision boundary; null for none")
    detach_weights: bool = Field(True, description="no gradient through the boundary's weights, as in circle loss")
    reunion_weight: float = Field(1.0, ge=0, description="λ of the reunion")
    reunion: Literal["pair_mean_sum", "pair_mean_mean", "literal"] = Field(
        "pair_mean_sum", description="reading of the printed double sum"
    )
    neck: bool = Field(True, description="normalize the feature before it is compared")
    triplet_weight: float = Field(0.0, ge=0, description="weight of an additional batch-hard triplet loss")
    annotation: Path | None = Field(None, description="VeRi-776's published viewpoints, keypoint_train.txt")
    labels: Path | None = Field(None, description="CSV of path and view for some images")
    unknown: Literal["nearest", "classify"] = Field(
        "nearest", description="images without viewpoint: as the nearest in their passage, or by a trained classifier"
    )
    classifier_epochs: int = Field(30, ge=1, description="passes of that classifier over the labeled images")


class Method(BaseMethod):
    """One view, one backbone, one classifier of subclasses."""

    def __init__(self, context: MethodContext) -> None:
        super().__init__()
        self.config: Config = context.config
        size = self.config.size_hw
        self.views = (resize_recipe(RECIPES["val"], size),)
        self.test_view = resize_recipe(RECIPES["test"], size)
        self.backbone = context.network(sizes=[size], last_stride=self.config.last_stride)
        self.neck = neck(self.backbone.dim) if self.config.neck else nn.Identity()
        self.head = SubclassHead(self.backbone.dim, context.classes, self.config.views)
        mirrored = torch.tensor(viewpoints.MIRRORED[self.config.views])
        self.register_buffer("mirrored", mirrored, persistent=False)
        self.register_buffer("viewpoint", torch.zeros(0, dtype=torch.int64), persistent=False)

    @property
    def embedder(self) -> nn.Module:
        """Backbone and neck."""
        return Embedder(self.backbone, self.neck)

    def prepare(self, context: MethodContext) -> TrainingData:
        """Label the viewpoint of every training image."""
        classes = np.zeros(len(context.training_data.records), np.int64)
        if self.config.views > 1:
            classes = self._label(context)
        self.viewpoint = torch.from_numpy(classes).to(self.mirrored.device)
        return context.training_data

    def step(self, batch: Batch) -> tuple[Tensor, Logs]:
        """Partition of the batch, reunion of all centers."""
        x = self.backbone(batch.views[0])
        viewpoint = self.viewpoint[batch.index]
        viewpoint = torch.where(batch.flipped[0], self.mirrored[viewpoint], viewpoint)
        config = self.config
        cosines = self.head(self.neck(x))
        parts = {
            "partition": partition(
                cosines,
                batch.label,
                viewpoint,
                scale=config.scale,
                margin=config.margin,
                detach=config.detach_weights,
            ),
            "reunion": config.reunion_weight * reunion(self.head.centers, config.reunion),
        }
        if config.triplet_weight:
            parts["triplet"] = config.triplet_weight * batch_hard(x, batch.label)
        loss, logs = total(parts)
        # 1 where the viewpoints of an identity have become one class: the partition is then without effect.
        cosine = -reunion(self.head.centers.detach(), "pair_mean_mean")
        return loss, {**logs, "center_cosine": cosine, "spread": embedding_spread(x)}

    def _label(self, context: MethodContext) -> NDArray[np.int64]:
        config, records = self.config, context.training_data.records
        if config.annotation is not None:
            records = with_views(records, config.annotation)
        known = views(records)
        if config.labels is not None:
            listed = viewpoints.read_labels(config.labels, records)
            known = np.where(listed >= 0, listed, known)
        if (known < 0).all():
            raise DataError(
                "expected viewpoints of some training images, found none",
                remedy="set options.annotation, or label a few hundred images and set options.labels and "
                "options.unknown: classify",
            )
        table = np.array([*viewpoints.SUBCLASS[config.views], -1])
        classes = table[known]
        if config.unknown == "nearest":
            filled: NDArray[np.int64] = viewpoints.fill_from_neighbors(classes, records)
            return filled
        made: NDArray[np.int64] = viewpoints.cached(
            context.folder / "viewpoints.json",
            records,
            classes,
            [*context.network_facts, config.size_hw, config.views, config.classifier_epochs, context.seed],
            lambda: viewpoints.classify(
                context.network(sizes=[config.size_hw]),
                records,
                classes,
                self.test_view,
                context.extract,
                count=config.views,
                epochs=config.classifier_epochs,
                device=context.device,
                seed=context.seed,
            ),
        )
        return made
