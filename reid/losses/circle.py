"""Circle loss: every similarity is pulled or pushed by how far it is from where it should be (Sun et al., CVPR 2020).

B images, d channels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from reid.losses.precision import full_precision, wide

__all__ = ["circle", "circle_scores"]


def circle_scores(similarity: Tensor, same: Tensor, margin: float, *, detach: bool = True) -> Tensor:
    """Similarities ``s`` weighted by their distance from the optimum (optima ``1 + m`` and ``-m``).

    ``[1 + m - s]₊ (s - 1 + m)`` where two things are of one identity, ``[s + m]₊ (s - m)`` where they are not.

    Args:
        similarity: Cosines of any shape.
        same: bool of a shape that broadcasts to it.
        margin: m.
        detach: Keep the gradient out of the weights in brackets, as published.

    Returns:
        The shape of ``similarity``.
    """
    weights = similarity.detach() if detach else similarity
    positive = (1 + margin - weights).clamp(min=0) * (similarity - 1 + margin)
    negative = (weights + margin).clamp(min=0) * (similarity - margin)
    return torch.where(same, positive, negative)


def circle(x: Tensor, labels: Tensor, margin: float = 0.25, scale: float = 128.0) -> Tensor:
    """Circle loss over the pairs of a batch (Eq. 6), the mean over anchors.

    With the scores ``q`` of :func:`circle_scores` an anchor's loss is
    ``log(1 + Σ_n exp(γ q_n) · Σ_p exp(-γ q_p))`` over the other images n of other identities and p of its own.
    An anchor that lacks either has no pair to compare and is left out.

    Args:
        x: (B, d) features of any length; their cosines are compared.
        labels: (B,) identities.
        margin: m.
        scale: γ; the default is the paper's for persons.
    """
    with full_precision(x.device):
        unit = functional.normalize(wide(x))
        same = labels[:, None] == labels[None, :]
        itself = torch.eye(len(x), dtype=torch.bool, device=x.device)
        scores = scale * circle_scores(unit @ unit.T, same, margin)
        valid = (same.sum(1) > 1) & ~same.all(1)
        # An anchor that is left out keeps all its scores: sums over nothing have no gradient.
        apart, together = (~same | itself) & valid[:, None], same & valid[:, None]
        positive = (-scores).masked_fill(apart, -torch.inf).logsumexp(1)
        negative = scores.masked_fill(together, -torch.inf).logsumexp(1)
        each = functional.softplus(positive + negative)
        return torch.where(valid, each, torch.zeros_like(each)).sum() / valid.sum().clamp(min=1)
