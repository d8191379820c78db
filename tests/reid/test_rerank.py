"""Sparse re-ranking against a dense twin written down from the paper's algorithm."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.evaluation import rerank
from reid.evaluation.rerank import k_reciprocal


def naive(query: np.ndarray, gallery: np.ndarray, k1: int, k2: int, lambda_: float) -> np.ndarray:
    """Dense matrices and sets, double precision; an image comes first among its own neighbors."""
    x = np.concatenate([query, gallery]).astype(float)
    count, queries = len(x), len(query)
    distance = ((x[:, None] - x) ** 2).sum(axis=2)
    scaled = distance / distance.max(axis=1, keepdims=True)
    order = [sorted(range(count), key=lambda j, i=i: (j != i, distance[i, j], j)) for i in range(count)]

    def reciprocal(i: int, k: int) -> set[int]:
        return {j for j in order[i][: k + 1] if i in order[j][: k + 1]}

    v = np.zeros((count, count))
    for i in range(count):
        wide = reciprocal(i, k1)
        expanded = set(wide)
        for j in wide:
            narrow = reciprocal(j, round(k1 / 2))
            if len(narrow & wide) > 2 / 3 * len(narrow):
                expanded |= narrow
        members = sorted(expanded)
        weight = np.exp(-scaled[i, members])
        v[i, members] = weight / weight.sum()
    v = np.stack([v[order[i][:k2]].mean(axis=0) for i in range(count)])
    smaller = np.minimum(v[:queries, None], v[None]).sum(axis=2)
    jaccard = 1 - smaller / (2 - smaller)
    return ((1 - lambda_) * jaccard + lambda_ * scaled[:queries])[:, queries:]


def clustered(rng: np.random.Generator, count: int, dim: int = 8) -> np.ndarray:
    centers = rng.normal(size=(max(2, count // 6), dim))
    x = centers[rng.integers(0, len(centers), count)] + 0.4 * rng.normal(size=(count, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    queries=st.integers(1, 12),
    images=st.integers(2, 60),
    k1=st.integers(1, 12),
    k2=st.integers(1, 5),
    lambda_=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_agrees_with_the_dense_twin(seed: int, queries: int, images: int, k1: int, k2: int, lambda_: float) -> None:
    rng = np.random.default_rng(seed)
    x = clustered(rng, queries + images)
    query, gallery = x[:queries], x[queries:]
    np.testing.assert_allclose(
        k_reciprocal(query, gallery, k1, k2, lambda_), naive(query, gallery, k1, k2, lambda_), atol=2e-5
    )


def test_agrees_at_the_usual_parameters() -> None:
    x = clustered(np.random.default_rng(0), 400, 16)
    np.testing.assert_allclose(k_reciprocal(x[:50], x[50:]), naive(x[:50], x[50:], 20, 6, 0.3), atol=2e-5)


def test_small_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = clustered(np.random.default_rng(1), 300)
    whole = k_reciprocal(x[:40], x[40:], 10, 4)
    monkeypatch.setattr(rerank, "_BLOCK_BYTES", 20_000)
    np.testing.assert_allclose(k_reciprocal(x[:40], x[40:], 10, 4), whole, atol=1e-6)


def test_ties_go_to_the_first() -> None:
    """Whole-number features make distances exact and equal in plenty."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        x = rng.integers(0, 3, (40, 3)).astype(np.float32)
        np.testing.assert_allclose(k_reciprocal(x[:8], x[8:], 6, 3), naive(x[:8], x[8:], 6, 3, 0.3), atol=2e-5)


@pytest.mark.parametrize("count", [21, 100, 500, 4_000])
def test_smallest_is_a_stable_sort(count: int) -> None:
    rng = np.random.default_rng(3)
    distance = rng.integers(0, 300, (30, count)).astype(np.float32)
    expected = np.argsort(distance, axis=1, kind="stable")[:, :21]
    np.testing.assert_array_equal(rerank.smallest(distance, 21), expected)


def test_unnormalized_features() -> None:
    x = 5 * clustered(np.random.default_rng(4), 120) + 1
    np.testing.assert_allclose(k_reciprocal(x[:20], x[20:], 8, 3), naive(x[:20], x[20:], 8, 3, 0.3), atol=1e-4)


def test_corner_cases() -> None:
    x = clustered(np.random.default_rng(5), 4)
    assert k_reciprocal(x[:0], x).shape == (0, 4)
    assert k_reciprocal(x, x[:0]).shape == (4, 0)
    assert np.isfinite(k_reciprocal(x[:1], x[1:])).all()
    same = np.ones((5, 3), np.float32)
    assert np.isfinite(k_reciprocal(same[:2], same[2:])).all()


def test_misuse_is_refused() -> None:
    x = clustered(np.random.default_rng(6), 4)
    with pytest.raises(ValueError, match=r"expected features \(Q, D\) and \(G, D\)"):
        k_reciprocal(x, x[:, :3])
    with pytest.raises(ValueError, match="expected k1 ≥ 1"):
        k_reciprocal(x, x, k1=0)
    with pytest.raises(ValueError, match="expected finite features"):
        k_reciprocal(x, x * np.nan)


def test_costs_numpy_and_scipy_only() -> None:
    code = "import sys, reid.evaluation.rerank; print(*sorted({'torch', 'cv2', 'pydantic'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
