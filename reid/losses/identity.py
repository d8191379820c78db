"""Cross entropy over identities, with one label or a distribution of labels per image.

B images, C identities.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from reid.losses.precision import full_precision, wide

__all__ = ["smoothed_cross_entropy", "soft_cross_entropy"]


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean over the batch of the cross entropy against ``1 - ε + ε/C`` for the true identity and ``ε/C`` elsewhere.

    Args:
        logits: (B, C).
        labels: (B,) int64.
        smoothing: ε in [0, 1).
    """
    with full_precision(logits.device):
        return functional.cross_entropy(wide(logits), labels, label_smoothing=smoothing)


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of each image against its own distribution over identities.

    Args:
        logits: (B, C).
        targets: (B, C), rows sum to 1.

    Returns:
        (B,), one value per image.
    """
    with full_precision(logits.device):
        return -(targets * torch.log_softmax(wide(logits), dim=1)).sum(1)
