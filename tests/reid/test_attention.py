"""Interpretable attention and the self-supervised rotation against the worked case."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from reid.networks.attention import interpretable_attention, rotate
from reid.networks.heads import CosineHead

CASE = json.loads((Path(__file__).parents[1] / "golden/g08_sgfd_iam.json").read_text())


def tensor(values: Any) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize(("exponent", "key"), [("raw", "Q_paper"), ("scaled", "Q_authors")])
def test_attention(exponent: Any, key: str) -> None:
    found = interpretable_attention(tensor(CASE["input"]["L"])[None], CASE["input"]["K"], exponent)
    assert torch.allclose(found[0, 0], tensor(CASE["expected"][key]), atol=1e-9)
    assert found.sum().item() == pytest.approx(1)


def test_attention_is_scaled_over_seven_places_unless_asked() -> None:
    x = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(interpretable_attention(x), interpretable_attention(x, 7, "scaled"))
    assert not torch.allclose(interpretable_attention(x), interpretable_attention(x, 7, "raw"))
    assert not torch.allclose(interpretable_attention(x), interpretable_attention(x, 5, "scaled"))


def test_attention_survives_large_values_and_empty_maps() -> None:
    assert interpretable_attention(torch.rand(2, 4, 9, 9) * 1e4, 7, "raw").isfinite().all()
    empty = torch.zeros(1, 2, 5, 5, requires_grad=True)
    found = interpretable_attention(empty)
    found.sum().backward()
    assert found.isfinite().all()
    assert empty.grad is not None
    assert empty.grad.isfinite().all()


def test_rotation_is_counter_clockwise() -> None:
    image = torch.tensor(CASE["input"]["image"])
    for turns, expected in CASE["expected"]["rotated"].items():
        assert torch.rot90(image, int(turns), (1, 2)).tolist() == expected
    square = torch.arange(18.0).view(1, 2, 3, 3).repeat(4, 1, 1, 1)
    found = rotate(square, torch.arange(4))
    for turns in range(4):
        assert torch.equal(found[turns], torch.rot90(square[turns], turns, (1, 2)))


def test_cosine_classifier() -> None:
    head = CosineHead(4, 4, scale=CASE["input"]["scale"]).double()
    with torch.no_grad():
        head.weight.copy_(tensor(CASE["input"]["W"]))
        found = head(tensor(CASE["input"]["F"])[None]).softmax(1)[0]
    assert torch.allclose(found, tensor(CASE["expected"]["p_rot"]))
