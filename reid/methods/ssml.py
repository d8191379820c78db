"""SSML: an embedding learned without labels from a dictionary of all training features (Yu and Oh, 2021).

Every image starts as a class of its own. A dictionary keeps a slowly moving feature of each; images that agree in the
dictionary about who their neighbors are become positives (DPLM), and live features are drawn towards the rows of
their positives and away from the most similar other rows (DTL).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from reid.data.loader import Batch
from reid.data.views import RECIPES
from reid.errors import ConfigError
from reid.losses.dictionary import dictionary_hinge, dictionary_triplet
from reid.methods.base import (
    BaseConfig,
    BaseMethod,
    Logs,
    MethodContext,
    TrainingData,
    embedding_spread,
    resize_recipe,
)
from reid.mining import DictionaryMiner, PositiveRule, released_positives, update_dictionary
from reid.networks.base import Family
from reid.networks.heads import Embedder, neck
from reid.settings import Condition, UsedWhen
from reid.training import distributed
from reid.training.schedule import Schedule

__all__ = ["Config", "Method"]


class Config(BaseConfig):
    """Choices of SSML."""

    used_when: ClassVar[Mapping[str, Condition]] = {
        **BaseConfig.used_when,
        "weight": UsedWhen("options.objective", "=", "dictionary"),
        "reduction": UsedWhen("options.objective", "=", "dictionary"),
        "margin": UsedWhen("options.objective", "=", "triplet"),
    }

    schedules: ClassVar[dict[Family, Schedule]] = {
        "cnn": Schedule(
            epochs=60,
            batch=256,
            images_per_identity=0,
            optimizer="sgd",
            nesterov=True,
            learning_rate=0.01,
            new_layers=10,
            weight_decay=5e-4,
            milestones=(40,),
        ),
        "transformer": Schedule(
            epochs=60,
            batch=256,
            images_per_identity=0,
            optimizer="adamw",
            learning_rate=5e-5,
            new_layers=10,
            weight_decay=1e-4,
            warm_up_epochs=5,
            decay="cosine",
        ),
    }

    size_hw: tuple[int, int] = Field((256, 128), description="height and width of the images, px")
    crop: Literal["resized", "none"] = Field("resized", description="random crop; none as the published program")
    threshold: float = Field(0.6, gt=0, lt=1, description="τ, similarity of possible positives")
    share: float = Field(0.01, gt=0, le=1, description="γ, share of negatives that count as hard")
    weight: float = Field(0.4, ge=0, description="σ, weight of the negatives; the paper's text says 0.2")
    reduction: Literal["mean", "sum"] = Field("mean", description="of both losses; sum as printed")
    objective: Literal["dictionary", "triplet"] = Field(
        "dictionary", description="triplet is the paper's ablation, a hinge loss on the same positives and negatives"
    )
    margin: float = Field(0.3, gt=0, description="m of the objective triplet; the paper does not say")
    mining: Literal["paper", "released"] = Field("paper", description="rule by which positives are found")
    positives: PositiveRule = Field(
        "both",
        description="both tests, or as the paper's ablation one of rank and adjacent, or similarity without a test",
    )
    mine_from_epoch: int = Field(6, ge=0, description="before it, an image is its own only positive")
    mine_every: Literal["step", "epoch"] = Field(
        "step", description="dictionary that is mined: as of this step, or as of the epoch's start (not the paper)"
    )
    dictionary_start: Literal["features", "zeros"] = Field("features", description="zeros as the published program")
    renew_every: int = Field(5, ge=1, description="epochs between complete renewals of the dictionary")
    renew_as: Literal["test", "train"] = Field(
        "test", description="network and views at a renewal; train as the published program"
    )
    with_gallery: bool = Field(False, description="learn from the gallery's images too, as the published figures do")


class Method(BaseMethod):
    """One backbone, one normalization, one dictionary."""

    dictionary: Tensor

    def __init__(self, context: MethodContext) -> None:
        super().__init__()
        self.config: Config = context.config
        if self.config.mining == "released" and self.config.positives != "both":
            raise ConfigError(
                f"positives: the released mining has both tests, got {self.config.positives}",
                remedy="set mining to paper, or positives to both",
            )
        size = self.config.size_hw
        self.views = (replace(resize_recipe(RECIPES["ssml"], size), crop=self.config.crop),)
        self.test_view = resize_recipe(RECIPES["test"], size)
        self.backbone = context.network(sizes=[size], last_stride=self.config.last_stride)
        # Pooled activations are never negative, so all of them are similar until they are centered.
        self.norm = neck(self.backbone.dim, bias=True)
        self._mining = False
        self._miner: DictionaryMiner | None = None
        self._snapshot: Tensor | None = None
        self._latest: Tensor | None = None

    @property
    def embedder(self) -> nn.Module:
        """The backbone: the feature before the normalization generalizes better."""
        return Embedder(self.backbone)

    def prepare(self, context: MethodContext) -> TrainingData:
        """Forget the labels; lay out the dictionary."""
        records = context.training_data.records + (context.unlabeled if self.config.with_gallery else ())
        self.register_buffer("dictionary", torch.zeros(len(records), self.backbone.dim))
        return TrainingData(records, np.arange(len(records)))

    def epoch_start(self, epoch: int, context: MethodContext) -> None:
        """Renew the dictionary when it is time, and begin mining anew."""
        due = epoch % self.config.renew_every == 0
        if due and (epoch > 0 or self.config.dictionary_start == "features"):
            self._renew(context, first=epoch == 0)
        self._mining = epoch >= self.config.mine_from_epoch
        mined = self.dictionary if self.config.mine_every == "step" else self.dictionary.clone()
        self._snapshot = mined
        # Built here also after a restart, so that both see the same similarities to the last bit.
        paper = self._mining and self.config.mining == "paper"
        choices = self.config.threshold, self.config.positives
        self._miner = DictionaryMiner(mined, *choices) if paper else None

    def step(self, batch: Batch) -> tuple[Tensor, Logs]:
        """The loss of the live features against the dictionary as it was before this step."""
        z = self._features(batch.views[0])
        positives = self._positives(batch.index)
        loss = self._loss(z, positives)
        self._latest = z.detach().float()
        count = sum(map(len, positives)) / len(positives)
        return loss, {"spread": embedding_spread(z), "positives": torch.tensor(count, device=z.device)}

    def after_step(self, batch: Batch) -> None:
        """Move the rows of all processes' images, the same way in each of them."""
        assert self._latest is not None
        index, z = distributed.gather(batch.index), distributed.gather(self._latest)
        update_dictionary(self.dictionary, index, z)
        if self._miner is not None and self.config.mine_every == "step":
            self._miner.update(index)

    def _features(self, images: Tensor) -> Tensor:
        return functional.normalize(self.norm(self.backbone(images)).float(), dim=1)

    def _loss(self, z: Tensor, positives: Sequence[Tensor]) -> Tensor:
        config = self.config
        if config.objective == "triplet":
            return dictionary_hinge(z, self.dictionary, positives, share=config.share, margin=config.margin)
        return dictionary_triplet(
            z,
            self.dictionary,
            positives,
            share=config.share,
            weight=config.weight,
            reduction=config.reduction,
            rounding="down" if config.mining == "released" else "up",
        )

    def _positives(self, index: Tensor) -> list[Tensor]:
        if not self._mining:
            return list(index[:, None])
        if self._miner is not None:
            return self._miner.positives(index)
        assert self._snapshot is not None
        return released_positives(self._snapshot, index, self.config.threshold)

    def _renew(self, context: MethodContext, *, first: bool) -> None:
        """Make every row the present feature of its image.

        At first the normalization has seen nothing yet and would center nothing; it is given the statistics of all
        images.
        """
        as_test = self.config.renew_as == "test"
        records = context.training_data.records + (context.unlabeled if self.config.with_gallery else ())
        self.train(not as_test)
        view = self.test_view if as_test else self.views[0]
        if first:
            pooled = context.extract(self.backbone, records, view, self.backbone)
            self.norm.running_mean.copy_(pooled.mean(0))
            self.norm.running_var.copy_(pooled.var(0))
        found = context.extract(self._features, records, view, self.backbone)
        self.train()
        self.dictionary.copy_(found)
        distributed.broadcast(self.dictionary)
