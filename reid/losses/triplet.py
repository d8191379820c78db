"""Batch-hard triplet loss: every anchor against its farthest positive and its nearest negative."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from reid.losses.precision import full_precision, wide

__all__ = ["batch_hard", "pairwise_distance"]


def pairwise_distance(x: Tensor) -> Tensor:
    """Euclidean distances (B, B) between the rows of (B, d), with a finite gradient where two rows coincide."""
    with full_precision(x.device):
        x = wide(x)
        squared = x.pow(2).sum(1)
        products = squared[:, None] + squared[None, :] - 2 * x @ x.T
        return products.clamp(min=1e-12).sqrt()


def batch_hard(x: Tensor, labels: Tensor, margin: float | None = None) -> Tensor:
    """Mean over anchors of the hardest triplet each of them finds in the batch.

    Soft margin (SSBVER Eq. 1) is ``log(1 + exp(d_ap - d_an))``; with a margin it is ``max(0, d_ap - d_an + margin)``.
    Features are taken as they are, neither normalized nor squared in distance. An anchor that has no negative in the
    batch has no triplet and is left out.

    Args:
        x: (B, d) features.
        labels: (B,) identities.
        margin: Of the hinge, in units of the features; None for the soft margin.
    """
    distance = pairwise_distance(x)
    same = labels[:, None] == labels[None, :]
    farthest = distance.masked_fill(~same, -torch.inf).amax(1)
    nearest = distance.masked_fill(same, torch.inf).amin(1)
    valid = ~same.all(1)
    gap = torch.where(valid, farthest - nearest, torch.zeros_like(farthest))
    each = functional.softplus(gap) if margin is None else (gap + margin).clamp(min=0)
    return torch.where(valid, each, torch.zeros_like(each)).sum() / valid.sum().clamp(min=1)
