"""Keeping the mathematics of a loss out of reach of mixed precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

__all__ = ["full_precision", "wide"]


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """A context in which autocast is off on ``device`` (some devices have no autocast to switch off)."""
    off: AbstractContextManager[object] = nullcontext()
    if device.type in ("cuda", "cpu"):
        off = torch.autocast(device.type, enabled=False)
    return off


def wide(x: Tensor) -> Tensor:
    """``x`` in float32, or in float64 if it came so: half precision goes no further."""
    return x if x.dtype == torch.float64 else x.float()
