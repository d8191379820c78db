"""The ROC of pairs against loops over all pairs and thresholds."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.data.records import DatasetSplit, Record
from reid.evaluation.ranks import Labels, similarity_blocks
from reid.evaluation.retrieval import Embeddings, verify_split
from reid.evaluation.verification import Verification, verify


def pairs_by_loops(
    similarity: np.ndarray, query: Labels, gallery: Labels, camera_rule: bool
) -> tuple[list[float], list[float]]:
    """Similarities of the counted pairs of one vehicle, and of two."""
    same, different = [], []
    for i, row in enumerate(similarity):
        for j, value in enumerate(row):
            if query.vehicle_id[i] == -1 or gallery.vehicle_id[j] == -1:
                continue
            if query.vehicle_id[i] != gallery.vehicle_id[j]:
                different.append(float(value))
            elif not (camera_rule and query.camera_id[i] == gallery.camera_id[j]):
                same.append(float(value))
    return same, different


def labels(rng: np.random.Generator, count: int) -> Labels:
    return Labels(rng.integers(-1, 5, count), rng.integers(0, 3, count))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), camera_rule=st.booleans(), levels=st.integers(2, 200))
def test_agrees_with_loops_even_in_ties(seed: int, camera_rule: bool, levels: int) -> None:
    rng = np.random.default_rng(seed)
    query, gallery = labels(rng, 9), labels(rng, 23)
    gallery.vehicle_id[::7] = -2  # distractors: of another vehicle than any query
    similarity = rng.integers(0, levels, (9, 23)).astype(np.float32)
    same, different = pairs_by_loops(similarity, query, gallery, camera_rule)

    def blocks():
        yield slice(0, 4), similarity[:4].copy()
        yield slice(4, 9), similarity[4:].copy()

    if not same or not different:
        with pytest.raises(ValueError, match="expected pairs of one vehicle and of two"):
            verify(blocks, query, gallery, camera_rule=camera_rule)
        return
    found = verify(blocks, query, gallery, camera_rule=camera_rule)
    assert (found.same, found.different) == (len(same), len(different))
    assert found.threshold.tolist() == sorted(set(same), reverse=True)
    for threshold, true, false in zip(found.threshold, found.true, found.false, strict=True):
        assert true == sum(v >= threshold for v in same)
        assert false == sum(v >= threshold for v in different)
    for rate in (0.01, 0.05, 0.29, 0.5, 1.0):
        allowed = [t for t in set(same) if sum(v >= t for v in different) <= rate * len(different) + 1e-9]
        expected = max((sum(v >= t for v in same) / len(same) for t in allowed), default=0.0)
        if rate * len(different) < 1:
            assert found.true_accept_rate(rate) is None
        else:
            assert found.true_accept_rate(rate) == pytest.approx(expected)
    # The equal error rate over every threshold that tells any two pairs apart, and over none at all.
    errors = [
        (max(sum(v < t for v in same) / len(same), sum(v >= t for v in different) / len(different)))
        for t in {*same, *different, np.inf}
    ]
    error, threshold = found.equal_error()
    assert error == pytest.approx(min(errors))
    missed, accepted = (np.array(v) for v in (same, different))
    assert max((missed < threshold).mean(), (accepted >= threshold).mean()) == pytest.approx(error)


def test_rates_by_hand() -> None:
    """Four pairs of one vehicle at .9, .8, .6, .2; of 200 others one lies at .85, three at .7 and the rest at 0."""
    found = Verification(
        np.array([0.9, 0.8, 0.6, 0.2]), np.array([1, 2, 3, 4]), np.array([0, 1, 4, 4]), same=4, different=200
    )
    assert found.true_accept_rate(1e-3) is None
    assert found.true_accept_rate(0.005) == 0.5
    assert found.true_accept_rate(0.019) == 0.5
    assert found.true_accept_rate(0.02) == 1.0
    assert found.equal_error() == (0.02, 0.2)  # at 0.6 one of four would be refused
    assert str(found) == "pairs: TAR 50.00 at FAR 0.01; EER 2.00 at similarity 0.200; 4 of one vehicle, 200 of two"
    assert found.as_dict() == {
        "tar_at_far_0.0001": None,
        "tar_at_far_0.001": None,
        "tar_at_far_0.01": 0.5,
        "eer": 0.02,
        "eer_threshold": 0.2,
        "same": 4,
        "different": 200,
    }
    # In floating point 0.29 · 100 falls short of the 29 pairs that it allows.
    exact = Verification(np.array([0.5]), np.array([1]), np.array([29]), same=1, different=100)
    assert exact.true_accept_rate(0.29) == 1.0
    few = Verification(np.array([0.5]), np.array([1]), np.array([3]), same=1, different=10)
    assert few.true_accept_rate(0.2) == 0.0
    assert str(few) == "pairs: TAR unknown; EER 30.00 at similarity 0.500; 1 of one vehicle, 10 of two"


def test_a_split_is_compared_by_cosine_whatever_the_lengths() -> None:
    rng = np.random.default_rng(2)
    crops = tuple(Record(Path(f"{k}.jpg"), k % 6, k % 4) for k in range(40))
    features = rng.normal(size=(40, 5))
    split = DatasetSplit("x", "market", (), crops[:10], crops[10:])
    found = []
    for lengths in (np.ones(40), rng.uniform(0.1, 9, 40)):
        scaled = features * lengths[:, None]
        found.append(
            verify_split(split, Embeddings.of(scaled[:10], crops[:10]), Embeddings.of(scaled[10:], crops[10:]))
        )
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    query, gallery = (Embeddings.of(unit[s], crops[s]).labels for s in (slice(0, 10), slice(10, 40)))
    same, different = pairs_by_loops(unit[:10] @ unit[10:].T, query, gallery, True)
    for each in found:
        assert (each.same, each.different) == (len(same), len(different))
        np.testing.assert_allclose(each.threshold, sorted(same, reverse=True), atol=1e-12)
        assert each.false.tolist() == [sum(d >= t for d in different) for t in sorted(same, reverse=True)]


def test_a_protocol_that_draws_is_compared_by_its_first_draw() -> None:
    rng = np.random.default_rng(3)
    crops = tuple(Record(Path(f"{k}.jpg"), k % 5, 0) for k in range(20))
    split = DatasetSplit("vehicleid-800", "vehicleid", (), (), crops)
    embeddings = Embeddings.of(rng.normal(size=(20, 4)), crops)
    found = verify_split(split, None, embeddings, seed=4)
    assert (found.same, found.different) == (15, 60)  # 15 queries, each beside 1 of its own and 4 others
    assert found.threshold.tolist() != verify_split(split, None, embeddings, seed=5).threshold.tolist()


def test_memory_is_one_block() -> None:
    rng = np.random.default_rng(0)
    count = 20_000
    gallery = rng.normal(size=(count, 16)).astype(np.float32)
    of_gallery = Labels(np.arange(count) % 500, np.zeros(count, int))
    of_query = Labels(of_gallery.vehicle_id[:600], np.ones(600, int))
    tracemalloc.start()
    verify(
        lambda: similarity_blocks(gallery[:600], gallery, block_bytes=4 << 20),
        of_query,
        of_gallery,
        camera_rule=True,
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 << 20  # all similarities at once would be 48 MB
