"""From the records of a data set to their features."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reid.data.augment import resize
from reid.data.images import read_image
from reid.data.records import Record
from reid.progress import progress

__all__ = ["Embed", "extract", "read_crop"]


class Embed(Protocol):
    """An embedder, as :func:`reid.inference.load_embedder` returns it."""

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of its pictures, px."""

    @property
    def interpolation(self) -> str:
        """How pictures are resized to that."""

    def __call__(self, images: NDArray[Any], /) -> NDArray[Any]:
        """From uint8 (N, h, w, 3) RGB to float32 (N, D)."""


def extract(embed: Embed, records: Sequence[Record], *, batch: int = 64, threads: int = 4) -> NDArray[Any]:
    """Read, resize and embed crops.

    Args:
        embed: The embedder.
        records: The crops.
        batch: Crops that are decoded while the embedder works on those before.
        threads: How many threads decode.

    Returns:
        float32 (N, D) in the order of the records, as the embedder gives them; (0, 0) of no records.

    Raises:
        DataError: A picture is missing or damaged.
    """
    parts = [records[start : start + batch] for start in range(0, len(records), batch)]
    rows = [np.zeros((0, 0), np.float32)] if not parts else []
    with ThreadPoolExecutor(threads) as pool:
        read = partial(read_crop, size_hw=embed.size_hw, interpolation=embed.interpolation)
        coming = [pool.submit(read, r) for r in parts[0]] if parts else []
        for following in progress([*parts[1:], []][: len(parts)], "embed"):
            images = np.stack([crop.result() for crop in coming])
            coming = [pool.submit(read, r) for r in following]
            rows.append(embed(images))
    return np.concatenate(rows)


def read_crop(record: Record, size_hw: tuple[int, int], interpolation: str = "linear") -> NDArray[Any]:
    """The crop as the embedder wants it: uint8 (h, w, 3) RGB."""
    return resize(read_image(record.path), size_hw, interpolation)
