"""The readings of VAL's reunion on features made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from reid.data.records import DatasetSplit, Record
from tools.bench.val_readings import VARIANTS, Features, learn, report

BY_NAME = {variant.name: variant for variant in VARIANTS}


def features() -> Features:
    """Sixteen vehicles, two pictures from the front and two from the rear, with directions of their own."""
    records = tuple(Record(Path(f"{v}_{n}.png"), v, n % 2, (0, 0, 1, 1)[n]) for v in range(16) for n in range(4))
    generator = torch.Generator().manual_seed(0)
    vehicle, side = torch.randn(16, 64, generator=generator), torch.randn(32, 64, generator=generator)
    index = torch.arange(64)
    rows = vehicle[index // 4] + 0.7 * side[index // 2] + 0.05 * torch.randn(64, 64, generator=generator)
    unseen = tuple(r._replace(vehicle_id=r.vehicle_id + 16) for r in records)  # the same pictures under other numbers
    split = DatasetSplit("toy", "folder", records, unseen[::2], unseen[1::2])
    return Features(split, rows, rows[::2], rows[1::2])


def test_a_strong_reunion_makes_one_center_of_two() -> None:
    found = {
        name: learn(features(), BY_NAME[name], seed=0, epochs=150, optimizer="adamw")
        for name in ("λ = 0", "sum, λ = 1", "one center per identity")
    }
    assert len(found["λ = 0"][1]) == 150
    assert found["sum, λ = 1"][1][-1] > 0.97
    assert found["λ = 0"][1][-1] < 0.8
    assert all(score == pytest.approx(1.0) for score, _ in found.values())
    again, _ = learn(features(), BY_NAME["λ = 0"], seed=0, epochs=150, optimizer="adamw")
    assert again == found["λ = 0"][0]


def test_the_table_by_hand() -> None:
    """Two seeds: mAP 10 and 14 against 10 and 12; Student's t of one degree is 12.706, so ± 12.706 · s / √2."""
    curve = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    found = {"λ = 0": [(0.10, curve), (0.12, curve)], "sum, λ = 1": [(0.10, curve), (0.14, [1.0] * 6)]}
    assert report(found, "λ = 0").splitlines() == [
        "| reunion | mAP % | over λ = 0 | cosine, epoch 1 | cosine, epoch 2 | cosine, epoch 5 | cosine, epoch last |",
        "|---|---|---|---|---|---|---|",
        "| λ = 0 | 11.0 ± 12.7 |  | 0.100 | 0.200 | 0.500 | 0.600 |",
        "| sum, λ = 1 | 12.0 ± 25.4 | +1.0 ± 12.7 | 0.550 | 0.600 | 0.750 | 0.800 |",
    ]
