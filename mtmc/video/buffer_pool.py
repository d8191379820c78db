"""Memory for pictures that is used again.

A fresh array per frame costs more than the conversion that fills it: the operating system hands out its pages one by
one, and takes them back a moment later.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtmc.types import Array

__all__ = ["BufferPool"]


class BufferPool:
    """Hands out uint8 arrays; the memory of one returns when nothing refers to it any more, not even a view."""

    def __init__(self) -> None:
        self._free: list[Array] = []

    def copy(self, picture: Array) -> Array:
        """A contiguous copy of a uint8 array in memory that nobody else uses."""
        memory = self._free.pop() if self._free else np.empty(picture.shape, np.uint8)
        if memory.shape != picture.shape:
            memory = np.empty(picture.shape, np.uint8)
        np.copyto(memory, picture)
        return np.asarray(_Lease(memory, self._free))


class _Lease:
    """What the arrays handed out have as their base: it lives as long as the last of them."""

    __slots__ = ("__array_interface__", "_free", "_memory")

    def __init__(self, memory: Array, free: list[Array]) -> None:
        self.__array_interface__: dict[str, Any] = memory.__array_interface__
        self._memory, self._free = memory, free

    def __del__(self) -> None:
        self._free.append(self._memory)
