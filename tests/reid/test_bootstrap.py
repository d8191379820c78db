"""Intervals by bootstrap over identities: known distributions, and that the queries of an identity stay together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reid.evaluation.bootstrap import identity_interval
from reid.evaluation.protocols import PROTOCOLS, Protocol
from reid.evaluation.retrieval import Embeddings, evaluate


def test_one_query_per_identity_has_the_interval_of_the_binomial() -> None:
    right = (np.arange(60) < 45).astype(float)[:, None]
    (low,), (high,) = identity_interval(right, np.arange(60), draws=20_000)
    binomial = stats.binom(60, 0.75)
    assert (low, high) == pytest.approx((binomial.ppf(0.025) / 60, binomial.ppf(0.975) / 60), abs=1 / 60)
    (narrow_low,), (narrow_high,) = identity_interval(right, np.arange(60), draws=20_000, level=0.5)
    assert (narrow_low, narrow_high) == pytest.approx((binomial.ppf(0.25) / 60, binomial.ppf(0.75) / 60), abs=1 / 60)


def test_queries_of_an_identity_are_drawn_together() -> None:
    """Ten equal queries of each identity say no more than one of each."""
    rng = np.random.default_rng(0)
    values = rng.random((30, 2))
    once = identity_interval(values, np.arange(30), seed=5)
    ten_times = identity_interval(np.repeat(values, 10, axis=0), np.repeat(np.arange(30) * 7 + 3, 10), seed=5)
    np.testing.assert_allclose(ten_times, once, rtol=1e-12)
    alone = identity_interval(np.repeat(values, 10, axis=0), np.arange(300), seed=5)
    assert np.all(alone[1] - alone[0] < 0.5 * (once[1] - once[0]))


def test_agrees_with_loops_on_uneven_identities() -> None:
    rng = np.random.default_rng(1)
    identity = rng.integers(0, 7, 40) * 11
    values = rng.random((40, 1))
    groups = [values[identity == i, 0].tolist() for i in sorted(set(identity.tolist()))]
    draw = np.random.default_rng(3)
    means = []
    for _ in range(500):
        pooled = [v for i in draw.integers(len(groups), size=len(groups)) for v in groups[i]]
        means.append(sum(pooled) / len(pooled))
    (low,), (high,) = identity_interval(values, identity, draws=500, seed=3)
    assert (low, high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), rel=1e-9)


def test_seeds_decide() -> None:
    values, identity = np.random.default_rng(2).random((20, 1)), np.arange(20)
    assert identity_interval(values, identity, seed=1) == identity_interval(values, identity, seed=1)
    assert identity_interval(values, identity, seed=1) != identity_interval(values, identity, seed=2)


@pytest.mark.parametrize("count", [0, 2])
def test_misuse_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="expected scores"):
        identity_interval(np.zeros((count, 1)), np.zeros(3 * count, int))


def crops(seed: int, count: int) -> Embeddings:
    rng = np.random.default_rng(seed)
    return Embeddings(rng.normal(size=(count, 5)), np.arange(count) % 8, rng.integers(0, 3, count))


def test_scores_have_intervals_only_when_asked() -> None:
    query, gallery = crops(0, 24), crops(1, 60)
    plain = evaluate(query, gallery)
    assert (plain.map_interval, plain.r1_interval) == (None, None)
    assert "95 %" not in str(plain)
    scores = evaluate(query, gallery, bootstrap=300)
    assert scores.map == plain.map
    for value, interval in ((scores.map, scores.map_interval), (scores.r1, scores.r1_interval)):
        assert interval is not None
        assert interval[0] <= value <= interval[1]
        assert interval[0] < interval[1]
    assert scores.map_interval != scores.r1_interval
    assert scores.map_interval != evaluate(query, gallery, bootstrap=300, seed=1).map_interval
    low, high = scores.map_interval or (0, 0)
    assert f"; 95 %: mAP {100 * low:.2f} to {100 * high:.2f}, R1 " in str(scores)
    assert scores.as_dict()["map_interval"] == (low, high)


def test_all_rounds_of_an_identity_are_drawn_together() -> None:
    """Where every draw of the gallery gives the same answers, ten draws say no more than one.

    Vehicles 4 to 7 look exactly like 0 to 3, which come first in the gallery.
    """
    vehicle = np.repeat(np.arange(8), 6)
    pool = Embeddings(np.eye(4)[vehicle % 4], vehicle, np.zeros(48, int))
    one, ten = (evaluate(pool, pool, PROTOCOLS[n], bootstrap=500) for n in ("vehicleid-one-draw", "vehicleid"))
    assert (one.r1, ten.r1) == (0.5, 0.5)
    assert one.r1_interval is not None
    assert one.r1_interval[0] < 0.5 < one.r1_interval[1]
    assert (ten.map_interval, ten.r1_interval) == (one.map_interval, one.r1_interval)


def test_unanswerable_queries_count_where_the_protocol_says_so() -> None:
    query, gallery = crops(3, 24), crops(4, 60)
    lost = Embeddings(query.features, query.vehicle_id + 100 * (np.arange(24) % 3 == 0), query.camera_id)
    skipped = evaluate(lost, gallery, bootstrap=500)
    failed = evaluate(lost, gallery, Protocol("strict", unmatched="zero"), bootstrap=500)
    assert failed.map == pytest.approx(skipped.map * 2 / 3)
    for scores in (skipped, failed):
        assert scores.map_interval is not None
        assert scores.map_interval[0] < scores.map < scores.map_interval[1]
