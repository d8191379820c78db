"""Generalized-mean pooling in place of a network's average pooling."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from reid.errors import ConfigError
from reid.losses.precision import full_precision, wide
from reid.networks.base import Backbone

__all__ = ["GeM", "Pooling", "generalized_mean", "use_gem"]

#: A network's own pooling; a generalized mean whose exponent is learned; or one whose exponent is fixed.
Pooling = Literal["own", "gem", "gem_fixed"]

#: Smaller activations count as this, so that every power has a gradient.
_LEAST = 1e-6


def generalized_mean(x: Tensor, p: Tensor | float) -> Tensor:
    """``(mean x^p)^(1/p)`` over the places of a map (GeM; Radenović et al., TPAMI 2019).

    The mean at p = 1, the maximum as p grows. Activations are expected not to be negative; those that are count as 0.

    Args:
        x: (B, c, h, w).
        p: Exponent above 0.

    Returns:
        (B, c, 1, 1), in float32 or better: powers leave the range of half precision.
    """
    with full_precision(x.device):
        return wide(x).clamp(min=_LEAST).pow(p).mean((2, 3), keepdim=True).pow(1 / p)


class GeM(nn.Module):  # type: ignore[misc]
    """:func:`generalized_mean` with an exponent that is kept with the weights.

    Attributes:
        p: (1,), a parameter if ``learned``, else a buffer.
    """

    p: Tensor

    def __init__(self, p: float = 3.0, *, learned: bool = True) -> None:
        super().__init__()
        start = torch.tensor([float(p)])
        if learned:
            self.p = nn.Parameter(start)
        else:
            self.register_buffer("p", start)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c, h, w) to (B, c, 1, 1)."""
        return generalized_mean(x, self.p)


def use_gem(backbone: Backbone, p: float, *, learned: bool) -> None:
    """Put :class:`GeM` in the place of a backbone's average over its last map.

    Raises:
        ConfigError: Its feature is no average of a map, or the map holds negative numbers by design.
    """
    owner, name = _average_pooling(backbone)
    if owner is None or backbone.family == "transformer":
        raise ConfigError(
            f"{backbone.name} cannot have generalized-mean pooling: its feature is no average over a map of "
            "activations from 0 on",
            remedy="set options.pooling to own, or choose a convolutional backbone such as resnet50",
        )
    setattr(owner, name, GeM(p, learned=learned))


def _average_pooling(backbone: Backbone) -> tuple[nn.Module | None, str]:
    """The module that holds the average pooling, and under which name."""
    net = getattr(backbone.body, "net", None)  # timm's
    owners = [(backbone.pool, "0")]
    owners += [(getattr(part, "global_pool", None), "pool") for part in (net, getattr(net, "head", None))]
    for owner, name in owners:
        if isinstance(getattr(owner, name, None), nn.AdaptiveAvgPool2d):
            return owner, name
    return None, ""
