"""Dictionary-based triplet loss of SSML: regression of similarities towards 1 and -1; and the plain triplet loss.

B live features, n dictionary rows, d channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import torch
from torch import Tensor

from reid.losses.precision import full_precision, wide

__all__ = ["dictionary_hinge", "dictionary_triplet", "hard_negative_count"]

Reduction = Literal["mean", "sum"]


def hard_negative_count(negatives: int, share: float, *, rounding: Literal["up", "down"] = "up") -> int:
    """How many of ``negatives`` the share γ of SSML Eq. 20 keeps, in exact arithmetic.

    Example:
        >>> hard_negative_count(37_700, 0.01)  # floating point would say 378
        377
    """
    exact = Fraction(str(share)) * negatives
    return -(-exact.numerator // exact.denominator) if rounding == "up" else exact.numerator // exact.denominator


def dictionary_triplet(
    z: Tensor,
    dictionary: Tensor,
    positives: Sequence[Tensor],
    *,
    share: float = 0.01,
    weight: float = 0.4,
    reduction: Reduction = "mean",
    rounding: Literal["up", "down"] = "up",
) -> Tensor:
    """SSML's DTL (Eq. 16-21): ``L+ + σ L-`` per feature; the gradient flows into ``z`` alone.

    ``L+`` is ``(1 - s)²`` over the positives, ``L-`` is ``(1 + s)²`` over the hard negatives: the most similar γ of
    all rows that are not positives, ranked by the live similarity ``s = z · D``.

    Args:
        z: (B, d) unit features.
        dictionary: (n, d) unit rows, or zero rows not yet seen.
        positives: For each of the B features, indices of its positive rows.
        share: γ, the share of negatives that count as hard.
        weight: σ.
        reduction: ``mean`` over positives, over hard negatives and over the batch; or ``sum`` over all, as printed.
        rounding: Of the number of hard negatives; the paper's is up.
    """
    with full_precision(z.device):
        similarity = wide(z) @ wide(dictionary.detach()).T
        n = similarity.shape[1]
        counts = [hard_negative_count(n - len(p), share, rounding=rounding) for p in positives]
        row, column, size = _flatten(positives, similarity.device)
        pull = (1 - similarity[row, column]).pow(2)
        hard = _hardest(similarity, row, column, counts)
        taken = torch.arange(hard.shape[1], device=z.device)[None, :] < torch.tensor(counts, device=z.device)[:, None]
        push = torch.where(taken, (1 + hard).pow(2), torch.zeros_like(hard)).sum(1)
        attract = similarity.new_zeros(len(counts)).index_add(0, row, pull)
        if reduction == "sum":
            return (attract + weight * push).sum()
        return (attract / size + weight * push / taken.sum(1).clamp(min=1)).mean()


def dictionary_hinge(
    z: Tensor, dictionary: Tensor, positives: Sequence[Tensor], *, share: float = 0.01, margin: float = 0.3
) -> Tensor:
    """SSML Eq. 15, the ablation: ``max(0, |z - p| - |z - n| + m)`` for positive rows p and hard negative rows n.

    The mean over all such triplets of a feature, which is what one drawn triplet per feature gives on average; then
    the mean over the batch. Rows of the dictionary stand for the images that the paper would load.

    Args:
        z: (B, d) unit features.
        dictionary: (n, d) unit rows, or zero rows not yet seen.
        positives: For each of the B features, indices of its positive rows, at least one.
        share: γ, the share of negatives that count as hard.
        margin: m, in Euclidean distance.
    """
    with full_precision(z.device):
        distance = torch.cdist(wide(z), wide(dictionary.detach()))
        counts = [hard_negative_count(distance.shape[1] - len(p), share) for p in positives]
        row, column, size = _flatten(positives, distance.device)
        nearest = -_hardest(-distance, row, column, counts)
        count = torch.tensor(counts, device=z.device)
        taken = torch.arange(nearest.shape[1], device=z.device) < count[:, None]
        gap = distance[row, column][:, None] - nearest[row] + margin
        each = torch.where(taken[row], gap.clamp(min=0), torch.zeros_like(gap)).sum(1)
        total = distance.new_zeros(len(counts)).index_add(0, row, each)
        return (total / (size * count).clamp(min=1)).mean()


def _flatten(positives: Sequence[Tensor], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    sizes = torch.tensor([len(p) for p in positives], device=device)
    row = torch.repeat_interleave(torch.arange(len(positives), device=device), sizes)
    return row, torch.cat([p.to(device) for p in positives]), sizes


def _hardest(similarity: Tensor, row: Tensor, column: Tensor, counts: list[int]) -> Tensor:
    """The largest similarities (B, k) of each row outside its positives; k is the largest count.

    Dictionary rows are never gathered: at 378 negatives of 2,048 channels a batch of them would take 0.8 GB.
    """
    others = similarity.index_put((row, column), similarity.new_tensor(-torch.inf))
    hard = others.topk(max(counts), dim=1).values
    return torch.where(hard.isinf(), torch.zeros_like(hard), hard)
