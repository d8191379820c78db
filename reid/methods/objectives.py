"""The losses that methods with labels share: of each image against the identities, and of the pairs in a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from reid.losses.circle import circle
from reid.losses.identity import smoothed_cross_entropy
from reid.losses.margin import MARGINS
from reid.losses.triplet import batch_hard
from reid.methods.base import BaseConfig, TripletOn, triplet_features
from reid.networks.heads import cosines
from reid.settings import Condition, UsedWhen

__all__ = ["ObjectiveConfig", "identity_loss", "pair_loss"]


class ObjectiveConfig(BaseConfig):
    """Choices of the two losses; a method adds its own label smoothing, triplet margin and weights."""

    used_when: ClassVar[Mapping[str, Condition]] = {
        **BaseConfig.used_when,
        "classifier_margin": UsedWhen("options.classifier", "≠", "linear"),
        "classifier_scale": UsedWhen("options.classifier", "≠", "linear"),
        "margin": UsedWhen("options.pair_loss", "=", "triplet"),
        "circle_margin": UsedWhen("options.pair_loss", "=", "circle"),
        "circle_scale": UsedWhen("options.pair_loss", "=", "circle"),
    }

    classifier: Literal["linear", "arcface", "cosface", "circle"] = Field(
        "linear", description="softmax of inner products, or of cosines with a margin against the true identity"
    )
    classifier_margin: float | None = Field(
        None, gt=0, lt=1.5, description="m; null for the published one: arcface 0.5 rad, cosface 0.35, circle 0.25"
    )
    classifier_scale: float | None = Field(
        None, gt=0, description="factor of the cosines; null for the published one: 64, circle 256"
    )
    pair_loss: Literal["triplet", "circle"] = Field(
        "triplet", description="batch-hard triplets, or circle loss over all pairs of the batch"
    )
    circle_margin: float = Field(0.25, gt=0, lt=1, description="m of the circle loss over pairs")
    circle_scale: float = Field(128.0, gt=0, description="γ of the circle loss over pairs")


def identity_loss(
    config: ObjectiveConfig, classifier: nn.Linear, x: Tensor, labels: Tensor, smoothing: float
) -> Tensor:
    """Cross entropy of the identities, by inner products or by cosines with a margin.

    Args:
        config: The choices.
        classifier: d channels to C identities, without bias.
        x: (B, d) features behind the neck.
        labels: (B,) identities.
        smoothing: ε of the labels.
    """
    if config.classifier == "linear":
        return smoothed_cross_entropy(classifier(x), labels, smoothing)
    kind = MARGINS[config.classifier]
    margin = kind.margin if config.classifier_margin is None else config.classifier_margin
    scale = kind.scale if config.classifier_scale is None else config.classifier_scale
    scores = kind.scores(cosines(x, classifier.weight), labels, margin)
    return smoothed_cross_entropy(scale * scores, labels, smoothing)


def pair_loss(
    config: ObjectiveConfig, pooled: Tensor, behind: Tensor, labels: Tensor, *, on: TripletOn, margin: float | None
) -> Tensor:
    """Triplets or circle loss over the images of a batch.

    Args:
        config: The choices.
        pooled: (B, d) features before the neck.
        behind: (B, d) features behind it.
        labels: (B,) identities.
        on: Which of the two are compared.
        margin: Of the triplets; see :func:`reid.losses.triplet.batch_hard`.
    """
    features = triplet_features(pooled, behind, on)
    if config.pair_loss == "circle":
        return circle(features, labels, config.circle_margin, config.circle_scale)
    return batch_hard(features, labels, margin)
