"""Query expansion against loops, and what it does to a query between two groups of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reid.data.records import DatasetSplit, Record
from reid.evaluation import expansion
from reid.evaluation.expansion import expanded
from reid.evaluation.ranks import similarity_blocks
from reid.evaluation.retrieval import Embeddings, evaluate_split


def by_loops(query: np.ndarray, gallery: np.ndarray, count: int, alpha: float) -> np.ndarray:
    unit = [[v / np.sqrt(v @ v) for v in rows] for rows in (query, gallery)]
    rows = []
    for q in unit[0]:
        near = sorted(range(len(gallery)), key=lambda j: (-float(q @ unit[1][j]), j))[:count]
        total = q.copy()
        for j in near:
            similarity = float(q @ unit[1][j])
            total = total + (max(similarity, 0.0) ** alpha if alpha else 1.0) * unit[1][j]
        rows.append(total / np.sqrt(total @ total))
    return np.array(rows)


@pytest.mark.parametrize("count", [1, 4, 50])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
def test_agrees_with_loops(count: int, alpha: float) -> None:
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(11, 6)), 3 * rng.normal(size=(30, 6))
    np.testing.assert_allclose(expanded(query, gallery, count, alpha), by_loops(query, gallery, count, alpha))


def test_by_hand() -> None:
    """At 0°, with pictures at 60° and 90°: plainly (1 + ½, √¾); weighted by the cosine ½ (1 + ¼, √¾ / 2)."""
    query = np.array([[2.0, 0.0]])
    gallery = np.array([[0.0, 1.0], [0.5, 0.75**0.5]])
    for alpha, expected in ((0.0, [1.5, 0.75**0.5]), (1.0, [1.25, 0.75**0.5 / 2])):
        found = expanded(query, gallery, 1, alpha)
        np.testing.assert_allclose(found[0], np.array(expected) / np.linalg.norm(expected))


def test_blocks_change_nothing_and_single_precision_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    query, gallery = (rng.normal(size=(n, 8)).astype(np.float32) for n in (40, 300))
    before = query.copy()
    whole = expanded(query, gallery, 5)
    assert whole.dtype == np.float32
    monkeypatch.setattr(expansion, "similarity_blocks", lambda q, g: similarity_blocks(q, g, block_bytes=3 * 300 * 4))
    np.testing.assert_allclose(expanded(query, gallery, 5), whole, atol=1e-6)
    np.testing.assert_array_equal(query, before)


@pytest.mark.parametrize(("count", "alpha", "size"), [(0, 0.0, 3), (1, -1.0, 3), (1, 0.0, 0)])
def test_misuse_is_refused(count: int, alpha: float, size: int) -> None:
    with pytest.raises(ValueError, match="expected pictures, count ≥ 1 and alpha ≥ 0"):
        expanded(np.ones((2, 2)), np.ones((size, 2)), count, alpha)


def test_a_split_is_also_measured_with_expanded_queries() -> None:
    """The pictures of a vehicle lie along a line of directions, and a query at one end finds the other end."""
    angles = np.deg2rad([0, 10, 20, 30, -35, -40, -45, -50])
    vehicle = [0, 0, 0, 0, 1, 1, 1, 1]
    crops = tuple(Record(Path(f"{k}.jpg"), v, 1) for k, v in enumerate(vehicle))
    asked = (Record(Path("q.jpg"), 0, 0),)
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    query = Embeddings.of(np.array([[np.cos(-0.1), np.sin(-0.1)]]), asked)
    gallery = Embeddings.of(features, crops)
    split = DatasetSplit("x", "market", (), asked, crops)
    plain, mean, weighted = evaluate_split(split, query, gallery, expand=3)
    assert [s.protocol for s in (plain, mean, weighted)] == [
        "market",
        "market, expanded by 3",
        "market, expanded by 3, α = 3",
    ]
    # From -5.7° the next picture after 20° is that at -35°; from the mean with 0°, 10° and 20° it is that at 30°.
    assert plain.map < 1.0
    assert mean.map == weighted.map == 1.0
    # Drawn queries are not expanded.
    pooled = DatasetSplit("vehicleid-800", "vehicleid", (), (), crops)
    assert len(evaluate_split(pooled, None, gallery, expand=3)) == 1
