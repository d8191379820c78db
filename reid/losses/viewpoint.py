"""Viewpoint-aware loss (VAL): partition, reunion and the multi-decision boundary.

B images, C identities, V viewpoints per identity, d channels.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from reid.losses.circle import circle_scores
from reid.losses.precision import full_precision, wide

__all__ = ["boundary_scores", "partition", "reunion"]

Reunion = Literal["pair_mean_sum", "pair_mean_mean", "literal"]


def boundary_scores(cosines: Tensor, labels: Tensor, margin: float, *, detach: bool = True) -> Tensor:
    """VAL Eq. 7: the scores of circle loss, so that identities part more strictly than viewpoints.

    Args:
        cosines: (B, C, V) of each image with each subclass center.
        labels: (B,) identities; all viewpoints of the true identity follow the positive rule.
        margin: m.
        detach: Keep the gradient out of the weights in brackets, as circle loss does.

    Returns:
        (B, C, V).
    """
    own = functional.one_hot(labels, cosines.shape[1]).bool()[:, :, None]
    return circle_scores(cosines, own, margin, detach=detach)


def partition(
    cosines: Tensor,
    labels: Tensor,
    views: Tensor,
    *,
    scale: float = 48.0,
    margin: float | None = 0.5,
    detach: bool = True,
) -> Tensor:
    """VAL Eq. 3: cross entropy over all C·V subclasses.

    Args:
        cosines: (B, C, V).
        labels: (B,) identities.
        views: (B,) viewpoints in [0, V).
        scale: γ.
        margin: m of the multi-decision boundary; None leaves the cosines as they are (Eq. 4).
        detach: See :func:`boundary_scores`.
    """
    with full_precision(cosines.device):
        cosines = wide(cosines)
        scores = cosines if margin is None else boundary_scores(cosines, labels, margin, detach=detach)
        return functional.cross_entropy(scale * scores.flatten(1), labels * cosines.shape[2] + views)


def reunion(centers: Tensor, reading: Reunion = "pair_mean_sum") -> Tensor:
    """VAL Eq. 5: minus the cosine between the viewpoint centers of an identity.

    Args:
        centers: (C, V, d), of any length.
        reading: ``pair_mean_sum``: mean over unordered pairs, sum over identities. ``pair_mean_mean``: mean over
            both. ``literal``: the printed sums, which count every pair twice and each center with itself.
    """
    with full_precision(centers.device):
        unit = functional.normalize(wide(centers), dim=-1)
        gram = unit @ unit.transpose(1, 2)
        views = centers.shape[1]
        pairs = views * (views - 1) / 2
        if pairs == 0:
            return gram.sum() * 0
        if reading == "literal":
            return -gram.sum() / pairs
        per_identity = torch.triu(gram, diagonal=1).sum((1, 2)) / pairs
        return -(per_identity.sum() if reading == "pair_mean_sum" else per_identity.mean())
