"""Suppression against the greedy loop of the textbook, and torchvision's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtmc.detect.nms import nms


def random_boxes(n: int, seed: int, crowd: float = 60.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, crowd, (n, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 40, (n, 2))], axis=1).astype(np.float32)
    return boxes, (rng.integers(0, 20, n) / 20).astype(np.float32)  # with ties


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    return float(inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter))


def greedy(boxes: np.ndarray, score: np.ndarray, iou: float) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-score[i], i)):
        if all(overlap(boxes[i], boxes[j]) <= iou for j in kept):
            kept.append(i)
    return kept


@given(st.integers(0, 40), st.integers(0, 10_000), st.sampled_from([0.1, 0.3, 0.5, 0.7]))
@settings(max_examples=60, deadline=None)
def test_equals_the_greedy_loop(n: int, seed: int, iou: float) -> None:
    boxes, score = random_boxes(n, seed)
    assert nms(boxes, score, iou).tolist() == greedy(boxes, score, iou)


@pytest.mark.parametrize("seed", range(5))
def test_equals_torchvision(seed: int) -> None:
    torch = pytest.importorskip("torch")
    ops = pytest.importorskip("torchvision.ops")
    boxes, _ = random_boxes(300, seed, crowd=400)
    score = np.random.default_rng(seed).permutation(300).astype(np.float32)
    theirs = ops.nms(torch.from_numpy(boxes), torch.from_numpy(score), 0.45)
    assert nms(boxes, score, 0.45).tolist() == theirs.tolist()


def test_a_chain_is_resolved_link_by_link() -> None:
    # Each box overlaps only its neighbors: the 1st fells the 2nd, which can then not fell the 3rd, and so on.
    x = np.arange(6) * 4.0
    boxes = np.stack([x, x * 0, x + 10, x * 0 + 10], axis=1)
    assert nms(boxes, np.linspace(1, 0.5, 6), 0.4).tolist() == [0, 2, 4]
