"""Label distributions for generated images (SLSR): uniform over the identities of one cluster, or over all.

k clusters, C identities.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["cluster_targets", "uniform_targets"]


def cluster_targets(labels: Tensor, clusters: Tensor, classes: int) -> Tensor:
    """SLSR Eq. 9-10: for each cluster the uniform distribution over identities with an image in it.

    Args:
        labels: (n,) identity of each real training image.
        clusters: (n,) its cluster, from 0 without gaps.
        classes: C.

    Returns:
        (k, C) float32, rows sum to 1.
    """
    member = torch.zeros(int(clusters.max()) + 1, classes)
    member[clusters, labels] = 1
    return member / member.sum(1, keepdim=True)


def uniform_targets(clusters: int, classes: int) -> Tensor:
    """The baseline LSRO: every generated image is a little of every identity. Returns (k, C)."""
    return torch.full((clusters, classes), 1 / classes)
