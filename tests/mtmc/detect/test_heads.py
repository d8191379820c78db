"""Every decoder against a loop over the places, on random outputs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtmc.detect.card import guess_kind
from mtmc.detect.heads import HEADS, LIMIT, RawDetections

HW = (64, 96)
CELLS = [(s, x, y) for s in (8, 16, 32) for y in range(HW[0] // s) for x in range(HW[1] // s)]
LABELS = np.array([1, 2])
COUNT = 4
#: The others are in test_transformers_and_ssd.py.
DENSE = ("end2end", "nanodet", "yolo", "yolov5", "yolox")
Row = tuple[float, ...]


def by_label(scores: np.ndarray, weight: float, threshold: float) -> tuple[float, int] | None:
    """Score and label of one place, if its best label matters and scores enough."""
    label = max(range(len(scores)), key=lambda c: scores[c])
    score = float(scores[label] * weight)
    return (score, label) if label in LABELS and score >= threshold else None


def corners(cx: float, cy: float, w: float, h: float) -> tuple[float, float, float, float]:
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def check(found: RawDetections, want: list[Row]) -> None:
    assert want, "the case is empty"
    have = np.column_stack([found.xyxy, found.score, found.label])
    assert len(have) == len(want)
    order = np.lexsort(have.T)
    target = np.array(want)
    np.testing.assert_allclose(have[order], target[np.lexsort(target.T)], rtol=1e-4, atol=1e-3)


def outputs_of(kind: str, rng: np.random.Generator) -> list[np.ndarray]:
    a = len(CELLS)
    if kind == "yolo":
        return [np.concatenate([rng.uniform(0, 96, (4, a)), rng.random((COUNT, a))]).astype(np.float32)]
    if kind == "yolov5":
        boxes = rng.uniform(0, 96, (3 * a, 4))
        return [np.concatenate([boxes, rng.random((3 * a, 1 + COUNT))], axis=1).astype(np.float32)]
    if kind == "yolox":
        return [np.concatenate([rng.normal(size=(a, 4)), rng.random((a, 1 + COUNT))], axis=1).astype(np.float32)]
    if kind == "nanodet":
        sizes = [sum(s == stride for s, _, _ in CELLS) for stride in (8, 16, 32)]
        scores = [rng.random((n, COUNT)).astype(np.float32) for n in sizes]
        return scores + [rng.normal(size=(n, 32)).astype(np.float32) for n in sizes]
    table = np.concatenate(
        [rng.uniform(0, 96, (20, 4)), rng.random((20, 1)), rng.integers(0, COUNT, (20, 1))], axis=1
    )
    return [table.astype(np.float32)]


def naive(kind: str, outputs: list[np.ndarray], threshold: float) -> list[Row]:
    rows: list[Row] = []
    if kind == "end2end":
        return [tuple(r) for r in outputs[0].tolist() if r[4] >= threshold and r[5] in LABELS]
    if kind == "nanodet":
        scores, bins = np.concatenate(outputs[:3]), np.concatenate(outputs[3:])
        for (stride, x, y), score, row in zip(CELLS, scores, bins, strict=True):
            hit = by_label(score, 1.0, threshold)
            if hit:
                sides = []
                for k in range(4):
                    e = [math.exp(v) for v in row[8 * k : 8 * k + 8]]
                    sides.append(stride * sum(i * v for i, v in enumerate(e)) / sum(e))
                cx, cy = (x + 0.5) * stride, (y + 0.5) * stride
                rows.append((cx - sides[0], cy - sides[1], cx + sides[2], cy + sides[3], *hit))
        return rows
    table = outputs[0].T if kind == "yolo" else outputs[0]
    for index, row in enumerate(table.astype(float)):
        weight, scores = (1.0, row[4:]) if kind == "yolo" else (row[4], row[5:])
        hit = by_label(scores, weight, threshold)
        if hit:
            cx, cy, w, h = row[:4]
            if kind == "yolox":
                stride, x, y = CELLS[index]
                cx, cy, w, h = (cx + x) * stride, (cy + y) * stride, math.exp(w) * stride, math.exp(h) * stride
            rows.append((*corners(cx, cy, w, h), *hit))
    return rows


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", DENSE)
def test_equals_the_loop_over_places(kind: str, seed: int) -> None:
    outputs = outputs_of(kind, np.random.default_rng(seed))
    check(HEADS[kind].decode(outputs, LABELS, 0.6, HW), naive(kind, outputs, 0.6))


@pytest.mark.parametrize("kind", DENSE)
def test_no_candidates_give_empty_columns(kind: str) -> None:
    outputs = [np.zeros_like(o) for o in outputs_of(kind, np.random.default_rng(0))]
    found = HEADS[kind].decode(outputs, LABELS, 0.5, HW)
    assert found.xyxy.shape == (0, 4)
    assert len(found.score) == len(found.label) == 0


@pytest.mark.parametrize("kind", ["yolo", "yolov5", "yolox", "nanodet"])
def test_broken_scores_come_through_to_be_reported(kind: str) -> None:
    outputs = [np.full_like(o, np.nan) for o in outputs_of(kind, np.random.default_rng(0))]
    assert np.isnan(HEADS[kind].decode(outputs, LABELS, 0.5, HW).score).any()


def test_of_too_many_candidates_the_best_are_kept() -> None:
    raw = np.zeros((8, 3 * LIMIT), np.float32)
    raw[5] = np.linspace(0.5, 1, 3 * LIMIT)
    found = HEADS["yolo"].decode([raw], LABELS, 0.1, HW)
    assert len(found.score) == LIMIT
    assert found.score.min() == raw[5, -LIMIT]


@pytest.mark.parametrize("kind", DENSE)
def test_the_kind_is_told_by_shapes(kind: str) -> None:
    shapes = [(1, *o.shape) for o in outputs_of(kind, np.random.default_rng(0))]
    assert guess_kind(shapes, HW) == (kind, None if kind == "end2end" else COUNT)


@pytest.mark.parametrize("shapes", [[(1, 1000)], [(1, 300, 84)], [(1, 5, 6, 7)], [(1, 5, 4), (1, 5)], []])
def test_other_shapes_are_no_head(shapes: list[tuple[int, ...]]) -> None:
    assert guess_kind(shapes, HW) is None
