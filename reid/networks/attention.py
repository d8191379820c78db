"""SGFD's interpretable attention: from an encoder's map to one weight per place, without parameters."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from reid.losses.precision import full_precision, wide

__all__ = ["interpretable_attention", "rotate"]

_TINY = 1e-12


def interpretable_attention(x: Tensor, window: int = 7, exponent: Literal["scaled", "raw"] = "scaled") -> Tensor:
    """SGFD Eq. 4-6: a position counts if it is a local maximum of the channel that is strongest at it.

    Args:
        x: (B, c, h, w) encoder map.
        window: Side K of the neighborhood of a local maximum, odd.
        exponent: ``scaled`` divides the map by its largest value before the exponential and counts places beyond the
            border as zeros, as the authors' program does; ``raw`` is the printed equation.

    Returns:
        (B, 1, h, w) float32 (or float64), sums to 1 over the places of an image.
    """
    with full_precision(x.device):
        x = wide(x)
        if exponent == "scaled":
            x = x.clamp(min=0)
            peak = x.amax((1, 2, 3), keepdim=True).clamp(min=_TINY)
            strength = (x / peak).exp()
            # Beyond the border stands exp(0): count it without adding a border.
            beyond = 1 - _window_mean(torch.ones_like(x), window)
            around = (_window_mean(strength, window) + beyond) * window**2
        else:
            strength = (x - x.amax((2, 3), keepdim=True)).exp()  # the shift cancels in the ratio
            around = _window_mean(strength, window) * window**2
        local = strength / around.clamp(min=_TINY)
        leading = x / x.amax(1, keepdim=True).clamp(min=_TINY)
        best = (local * leading).amax(1, keepdim=True)
        return best / best.sum((2, 3), keepdim=True).clamp(min=_TINY)


def _window_mean(x: Tensor, window: int) -> Tensor:
    """Sum over the window around each place, divided by the full window, zeros beyond the border."""
    return functional.avg_pool2d(x, window, 1, window // 2, count_include_pad=True)


def rotate(images: Tensor, quarter_turns: Tensor) -> Tensor:
    """Turn each square image (B, 3, s, s) counter-clockwise by its own number (B,) of quarter turns."""
    turned = images
    for turns in (1, 2, 3):
        chosen = (quarter_turns == turns)[:, None, None, None]
        turned = torch.where(chosen, torch.rot90(images, turns, (2, 3)), turned)
    return turned
