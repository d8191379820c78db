"""Tiny networks of any method and batches for them: eight records of four vehicles, pictures of noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from reid.config import make_config
from reid.data import DatasetSplit, Record
from reid.data.loader import Batch
from reid.methods.base import MethodContext
from reid.training.build import build_method

__all__ = ["RECORDS", "SIDE", "B", "batch", "make"]

SIDE, B = 32, 4
RECORDS = tuple(Record(Path(f"{i}.png"), i // 2, i % 2) for i in range(8))


def make(
    method: str,
    folder: Path,
    *,
    backbone: str = "resnet18_x0_25",
    records: tuple[Record, ...] = RECORDS,
    gallery: tuple[Record, ...] = (),
    **options: Any,
) -> tuple[Any, MethodContext]:
    """A method as it starts, and what it was built from.

    Args:
        method: Key of :data:`reid.methods.METHODS`.
        folder: For the results of earlier stages.
        backbone: Its network.
        records: What is learned from.
        gallery: Records whose identities are not used.
        **options: The method's own choices.
    """
    config = make_config(
        {
            "method": method,
            "backbone": backbone,
            "pretrained": False,
            "data": {"name": "folder", "root": "unused"},
            "options": {"size_hw": [SIDE, SIDE], **options},
            "output": str(folder),
            "workers": 0,
        }
    )
    return build_method(config, DatasetSplit("tiny", "folder", records, (), gallery), torch.device("cpu"))


def batch(sides: Sequence[int], records: Sequence[Record] = RECORDS) -> Batch:
    """The first :data:`B` records, with one square view of noise for each side in pixels."""
    generator = torch.Generator().manual_seed(0)
    return Batch(
        [torch.randn(B, 3, side, side, generator=generator) for side in sides],
        torch.zeros(len(sides), B, dtype=torch.bool),
        torch.arange(B),
        torch.tensor([r.vehicle_id for r in records[:B]]),
        torch.zeros(B, dtype=torch.int64),
        torch.tensor([r.view for r in records[:B]]),
    )
