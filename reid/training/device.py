"""Where to compute, how precisely, and from which seeds."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from reid.errors import ConfigError

__all__ = ["derived_seed", "mixed_precision", "pick_device"]


def pick_device(name: str) -> torch.device:
    """The device of a configuration; under ``torchrun`` each process takes the GPU of its own number.

    Raises:
        ConfigError: There is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as cause:
        raise ConfigError(f"device {name}: not to be had here", remedy="set device to cpu or auto") from cause
    if device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def mixed_precision(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Mixed precision as configured, where the device has it."""
    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    if precision == "auto":
        precision = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    mixed: AbstractContextManager[object] = nullcontext()
    if precision in kinds:
        mixed = torch.autocast(device.type, kinds[precision])
    return mixed


def derived_seed(root: int, epoch: int, rank: int) -> int:
    """A seed that no other epoch or process has."""
    return int(np.random.SeedSequence((root, epoch, rank)).generate_state(1, np.uint64)[0]) >> 1
