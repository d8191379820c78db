"""Several processes, one per device, started by ``torchrun``. Alone, each function is the identity."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

__all__ = [
    "average",
    "average_buffers",
    "broadcast",
    "gather",
    "is_main",
    "main_first",
    "own_gradients",
    "rank",
    "session",
    "shared_statistics",
    "world_size",
]


_alone = False  # while main_first() lets one process work


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized() and not _alone


def rank() -> int:
    """Number of this process, from 0."""
    return distributed.get_rank() if _together() else 0


def world_size() -> int:
    """Number of processes."""
    return distributed.get_world_size() if _together() else 1


def is_main() -> bool:
    """Whether this process writes files and shows progress."""
    return rank() == 0


@contextmanager
def session(device: torch.device) -> Iterator[None]:
    """Join the other processes if ``torchrun`` started some, and leave them at the end."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or _together():
        yield
        return
    # A stage before training may keep the others waiting for hours.
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(days=1))
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def main_first() -> Iterator[None]:
    """Work that leaves files behind: the main process does it alone, then the others, who find the files."""
    global _alone
    if world_size() == 1:
        yield
        return
    main = is_main()
    if not main:
        distributed.barrier()
    _alone = True
    try:
        yield
    finally:
        _alone = False
    if main:
        distributed.barrier()


def average(x: Tensor) -> Tensor:
    """Mean of a tensor over all processes."""
    if world_size() == 1:
        return x
    total = x.detach().clone()
    distributed.all_reduce(total)
    return total / world_size()


def gather(x: Tensor) -> Tensor:
    """The (B, …) tensors of all processes stacked along the first axis, in order of rank; no gradient."""
    if world_size() == 1:
        return x.detach()
    parts = [torch.empty_like(x) for _ in range(world_size())]
    distributed.all_gather(parts, x.detach().contiguous())
    return torch.cat(parts)


def broadcast(x: Tensor) -> Tensor:
    """The main process's ``x``, in place in all of them."""
    if world_size() > 1:
        distributed.broadcast(x, 0)
    return x


def average_buffers(module: nn.Module) -> None:
    """Give all processes the mean of their floating-point buffers (running statistics), and the main one's others."""
    if world_size() == 1:
        return
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.copy_(average(buffer))
        else:
            distributed.broadcast(buffer, 0)


def shared_statistics(module: nn.Module) -> nn.Module:
    """The module with the statistics of its batch normalizations over the batches of all processes."""
    from timm.layers import convert_sync_batchnorm  # torch's own loses the activation of timm's normalizations

    return convert_sync_batchnorm(module)


def own_gradients(module: nn.Module) -> AbstractContextManager[None]:
    """Leave the gradients of this pass in their process; those of a later pass are averaged with them."""
    wait: Callable[[], AbstractContextManager[None]] = getattr(module, "no_sync", nullcontext)
    return wait()
