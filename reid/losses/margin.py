"""Classification by cosine with a margin against the true identity: ArcFace, CosFace and the circle loss of classes.

Each function takes the cosines of images and class weights to scores; times a scale these are logits. B images,
C identities.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from reid.losses.circle import circle_scores

__all__ = ["MARGINS", "Margin", "arcface_scores", "circle_class_scores", "cosface_scores"]

#: Least square of a sine; its root has an infinite slope at 0.
_LEAST_SQUARE = 1e-12


class Margin(NamedTuple):
    """A kind of margin.

    Attributes:
        scores: From cosines (B, C), labels (B,) and the margin to scores (B, C).
        margin: As published.
        scale: Likewise, the factor that makes scores logits.
    """

    scores: Callable[[Tensor, Tensor, float], Tensor]
    margin: float
    scale: float


def cosface_scores(cosines: Tensor, labels: Tensor, margin: float) -> Tensor:
    """``cos θ - m`` for the true identity, ``cos θ`` for all others (Wang et al., CosFace, CVPR 2018).

    Args:
        cosines: (B, C).
        labels: (B,).
        margin: m, a difference of cosines.
    """
    return torch.where(_one_hot(cosines, labels), cosines - margin, cosines)


def arcface_scores(cosines: Tensor, labels: Tensor, margin: float) -> Tensor:
    """``cos(θ + m)`` for the true identity, ``cos θ`` for all others (Deng et al., ArcFace, CVPR 2019, Eq. 3).

    Beyond ``θ = π - m``, where ``cos(θ + m)`` rises again, it is ``cos θ - m sin m``, as in the authors' program, so
    that a larger angle never has a better score.

    Args:
        cosines: (B, C).
        labels: (B,).
        margin: m, rad, in (0, π).
    """
    sine = (1 - cosines.square()).clamp(min=_LEAST_SQUARE).sqrt()
    turned = cosines * math.cos(margin) - sine * math.sin(margin)
    beyond = cosines - margin * math.sin(margin)
    own = torch.where(cosines > -math.cos(margin), turned, beyond)
    return torch.where(_one_hot(cosines, labels), own, cosines)


def circle_class_scores(cosines: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The scores of circle loss, against class weights instead of images (Sun et al., CVPR 2020).

    Args:
        cosines: (B, C).
        labels: (B,).
        margin: m, a difference of cosines.
    """
    return circle_scores(cosines, _one_hot(cosines, labels), margin)


def _one_hot(cosines: Tensor, labels: Tensor) -> Tensor:
    return functional.one_hot(labels, cosines.shape[1]).bool()


#: By name; margins and scales are those that the papers use for faces.
MARGINS: dict[str, Margin] = {
    "arcface": Margin(arcface_scores, 0.5, 64.0),
    "cosface": Margin(cosface_scores, 0.35, 64.0),
    "circle": Margin(circle_class_scores, 0.25, 256.0),
}
