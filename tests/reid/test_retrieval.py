"""Retrieval scores against loops that follow the definitions, a golden case and hand-computed protocols."""

from __future__ import annotations

import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.data.records import DatasetSplit, Record, Track
from reid.errors import DataError
from reid.evaluation.protocols import PROTOCOLS, Protocol
from reid.evaluation.ranks import Labels, positive_ranks, similarity_blocks
from reid.evaluation.retrieval import Embeddings, evaluate, evaluate_split, pool, verify_split

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "g10_eval.json").read_text())


def naive(
    similarity: np.ndarray, query: Labels, gallery: Labels, camera_rule: bool
) -> list[tuple[float, float, int, float] | None]:
    """Per query (step AP, trapezoid AP, first rank, right answers by last rank), or None.

    The kept gallery is sorted, and the list walked down.
    """
    results: list[tuple[float, float, int, float] | None] = []
    for i, row in enumerate(similarity):
        vehicle, camera = query.vehicle_id[i], query.camera_id[i]
        kept = [
            j
            for j in range(len(row))
            if gallery.vehicle_id[j] != -1
            and not (camera_rule and gallery.vehicle_id[j] == vehicle and gallery.camera_id[j] == camera)
        ]
        order = sorted(kept, key=lambda j: (-row[j], j))
        hits = [gallery.vehicle_id[j] == vehicle and vehicle != -1 for j in order]
        total = sum(hits)
        if not total:
            results.append(None)
            continue
        step = trapezoid = 0.0
        found, before = 0, 1.0
        for rank, hit in enumerate(hits, 1):
            found += hit
            if hit:
                step += found / rank / total
                trapezoid += (found / rank + before) / 2 / total
            before = found / rank
        last = max(rank for rank, hit in enumerate(hits, 1) if hit)
        results.append((step, trapezoid, hits.index(True) + 1, total / last))
    return results


def random_embeddings(rng: np.random.Generator, count: int, levels: int = 0) -> Embeddings:
    """With ``levels``, features of few whole numbers, so that similarities tie exactly."""
    features = (
        rng.integers(-levels, levels + 1, (count, 3)).astype(np.float32) if levels else rng.normal(size=(count, 8))
    )
    return Embeddings(features, rng.integers(-1, 6, count), rng.integers(0, 3, count))


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32), camera_rule=st.booleans(), size=st.integers(1, 40), levels=st.integers(1, 3))
def test_ranks_agree_with_sorting_even_in_ties(seed: int, camera_rule: bool, size: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    query, gallery = random_embeddings(rng, 9, levels), random_embeddings(rng, size, levels)
    similarity = query.features @ gallery.features.T
    blocks = iter([(slice(0, 4), similarity[:4].copy()), (slice(4, 9), similarity[4:].copy())])
    ranks = positive_ranks(blocks, query.labels, gallery.labels, camera_rule=camera_rule)
    expected = naive(similarity, query.labels, gallery.labels, camera_rule)
    matched = [e for e in expected if e]
    assert ranks.matched().tolist() == [e is not None for e in expected]
    np.testing.assert_allclose(ranks.average_precision("step"), [e[0] for e in matched], rtol=1e-12)
    np.testing.assert_allclose(ranks.average_precision("trapezoid"), [e[1] for e in matched], rtol=1e-12)
    np.testing.assert_allclose(ranks.inverse_negative_penalty(), [e[3] for e in matched], rtol=1e-12)
    assert ranks.first().tolist() == [e[2] for e in matched]


@pytest.mark.parametrize("block_bytes", [1, 800, 1 << 20])
@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_blocks_are_cosines(block_bytes: int, scale: float) -> None:
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(7, 5)), scale * rng.normal(size=(11, 5))
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True) if scale == 1.0 else 1.0
    made = np.concatenate([b.copy() for _, b in similarity_blocks(query, gallery, block_bytes=block_bytes)])
    expected = query @ (gallery / np.linalg.norm(gallery, axis=1, keepdims=True)).T
    np.testing.assert_allclose(made, expected, rtol=1e-10)


def test_euclidean_blocks_order_like_distances() -> None:
    rng = np.random.default_rng(1)
    query, gallery = rng.normal(size=(6, 4)), rng.normal(size=(30, 4))
    made = np.concatenate([b.copy() for _, b in similarity_blocks(query, gallery, "euclidean")])
    distance = np.linalg.norm(query[:, None] - gallery, axis=2)
    np.testing.assert_array_equal(np.argsort(-made, axis=1), np.argsort(distance, axis=1))


def golden_embeddings() -> tuple[Embeddings, Embeddings, list[Track]]:
    given: dict[str, Any] = GOLDEN["input"]
    query = Embeddings(np.array(given["qf"]), np.array(given["q_pid"]), np.array(given["q_cam"]))
    gallery = Embeddings(np.array(given["gf"]), np.array(given["g_pid"]), np.array(given["g_cam"]))
    return query, gallery, [Track(t["pid"], t["cam"], tuple(t["items"])) for t in given["tracks"]]


def test_golden_case() -> None:
    query, gallery, tracks = golden_embeddings()
    expected = GOLDEN["expected"]
    scores = evaluate(query, gallery)
    assert scores.queries == expected["valid_queries"]
    assert scores.unmatched == 1
    assert scores.map == pytest.approx(expected["mAP_step"], abs=1e-6)
    assert scores.map_trapezoid == pytest.approx(expected["mAP_trapezoid"], abs=1e-6)
    assert scores.r1 == pytest.approx(expected["cmc1"])
    assert scores.r5 == pytest.approx(expected["cmc5"])
    strict = evaluate(query, gallery, Protocol("strict", unmatched="zero"))
    assert strict.map == pytest.approx(expected["mAP_if_invalid_counted_zero"], abs=1e-6)
    assert strict.queries == 3
    by_track = evaluate(query, gallery, PROTOCOLS["veri-track"], tracks=tracks)
    assert by_track.map == pytest.approx(expected["tmAP"], abs=1e-6)


def test_scores_agree_with_the_naive_twin() -> None:
    rng = np.random.default_rng(4)
    query, gallery = random_embeddings(rng, 60), random_embeddings(rng, 300)
    unit = [x.features / np.linalg.norm(x.features, axis=1, keepdims=True) for x in (query, gallery)]
    expected = [e for e in naive(unit[0] @ unit[1].T, query.labels, gallery.labels, True) if e]
    scores = evaluate(query, gallery)
    assert scores.map == pytest.approx(np.mean([e[0] for e in expected]))
    assert scores.map_trapezoid == pytest.approx(np.mean([e[1] for e in expected]))
    assert scores.minp == pytest.approx(np.mean([e[3] for e in expected]))
    assert f"mINP {100 * scores.minp:.2f}, " in str(scores)
    for k in (1, 2, 5, 10, 50):
        assert scores.cmc[k - 1] == pytest.approx(np.mean([e[2] <= k for e in expected]))
    assert scores.queries + scores.unmatched == 60


def test_distances_replace_features() -> None:
    rng = np.random.default_rng(5)
    query, gallery = random_embeddings(rng, 20), random_embeddings(rng, 50)
    unit = [x.features / np.linalg.norm(x.features, axis=1, keepdims=True) for x in (query, gallery)]
    distances = np.linalg.norm(unit[0][:, None] - unit[1], axis=2)
    before = distances.copy()
    assert evaluate(query, gallery, distances=distances).map == pytest.approx(evaluate(query, gallery).map)
    np.testing.assert_array_equal(distances, before)


def test_camera_rule_off_counts_the_own_camera() -> None:
    features = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    gallery = Embeddings(features, np.array([1, 2, 1]), np.array([0, 1, 1]))
    query = Embeddings(features[:1], np.array([1]), np.array([0]))
    assert evaluate(query, gallery, PROTOCOLS["veriwild"]).map == pytest.approx(1 / 2)
    assert evaluate(query, gallery, PROTOCOLS["veriwild-own-camera"]).map == pytest.approx((1 + 2 / 3) / 2)


def test_vehicleid_draws_one_gallery_crop_per_identity() -> None:
    rng = np.random.default_rng(6)
    ids = np.repeat(np.arange(5), 4)
    crops = Embeddings(rng.normal(size=(20, 6)), ids, np.zeros(20, int))
    scores = evaluate(crops, crops, PROTOCOLS["vehicleid"], seed=3)
    assert scores.seeds == tuple(range(3, 13))
    assert scores.draws == 10
    assert scores.queries == 10 * (20 - 5)
    assert scores.unmatched == 0
    assert scores.map_std > 0
    unit = crops.features / np.linalg.norm(crops.features, axis=1, keepdims=True)
    reciprocal = []
    for seed in scores.seeds:
        order = np.random.default_rng(seed).permutation(20)
        chosen = [next(int(i) for i in order if ids[i] == k) for k in range(5)]
        for q in set(range(20)) - set(chosen):
            rank = 1 + sum(unit[q] @ unit[g] > unit[q] @ unit[chosen[ids[q]]] for g in chosen)
            reciprocal.append(1 / rank)
    assert scores.map == pytest.approx(np.mean(reciprocal))


def test_cuhk03_draws_from_the_gallery() -> None:
    rng = np.random.default_rng(7)
    query = Embeddings(rng.normal(size=(6, 4)), np.repeat(np.arange(3), 2), np.ones(6, int))
    gallery = Embeddings(rng.normal(size=(9, 4)), np.repeat(np.arange(3), 3), np.full(9, 2))
    scores = evaluate(query, gallery, PROTOCOLS["cuhk03"])
    assert (scores.draws, scores.queries) == (100, 600)
    assert scores.map > scores.r1


def test_viper_averages_both_directions() -> None:
    rng = np.random.default_rng(8)
    a, b = (Embeddings(rng.normal(size=(9, 4)), np.arange(9), np.full(9, c)) for c in (0, 1))
    both = evaluate(a, b, PROTOCOLS["viper"])
    ways = [evaluate(q, g, PROTOCOLS["viper-a-to-b"]).map for q, g in ((a, b), (b, a))]
    assert both.map == pytest.approx(np.mean(ways))
    assert both.queries == 18


def test_tracks_are_means_of_unit_features_at_euclidean_distance() -> None:
    features = np.array([[2.0, 0.0], [0.0, 3.0], [1.0, 0.1], [1.0, 1.0]])
    gallery = Embeddings(features, np.array([1, 1, 2, 1]), np.array([1, 1, 1, 2]))
    tracks = [Track(1, 1, (0, 1)), Track(2, 1, (2,)), Track(1, 2, (3,))]
    query = Embeddings(np.array([[5.0, 0.0]]), np.array([1]), np.array([0]))
    means = np.array([[0.5, 0.5], features[2] / np.linalg.norm(features[2]), features[3] / math.sqrt(2)])
    order = np.argsort(np.linalg.norm(means - [1.0, 0.0], axis=1)).tolist()
    assert order == [1, 0, 2] or order == [1, 2, 0]
    assert evaluate(query, gallery, PROTOCOLS["veri-track"], tracks=tracks).map == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_released_tmap_drops_the_wrong_tracks() -> None:
    """It removes the tracks one camera below the query's, and keeps those of the query's own camera."""
    features = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.95, 0.31]])
    gallery = Embeddings(features, np.array([1, 1, 2, 2]), np.array([2, 1, 1, 1]))
    tracks = [Track(1, 2, (0,)), Track(1, 1, (1,)), Track(2, 1, (2,)), Track(2, 1, (3,))]
    query = Embeddings(features[2:3], np.array([1]), np.array([2]))
    right, released = (
        evaluate(query, gallery, PROTOCOLS[name], tracks=tracks).map for name in ("veri-track", "veri-track-released")
    )
    assert right == pytest.approx(1 / 2)
    assert released == pytest.approx(1 / 3)


def test_pool_averages_unit_features() -> None:
    crops = Embeddings(np.array([[2.0, 0.0], [0.0, 4.0], [3.0, 0.0]]), np.array([5, 5, 4]), np.array([1, 1, 1]))
    pooled = pool(crops)
    assert pooled.vehicle_id.tolist() == [4, 5]
    np.testing.assert_allclose(pooled.features, [[1.0, 0.0], [0.5, 0.5]])


def test_several_pictures_of_a_person_by_one_camera_are_one_query() -> None:
    """Each of the two alone is nearer to another person; their mean is nearest to the right picture."""
    query = Embeddings(np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([1, 1]), np.array([1, 1]))
    gallery = Embeddings(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([2, 3, 1]), np.array([2, 2, 2]))
    records = [
        tuple(Record(Path("x"), *pair) for pair in zip(e.vehicle_id, e.camera_id, strict=True))
        for e in (query, gallery)
    ]
    split = DatasetSplit("x", "market-multi-query", (), *records)
    single = evaluate(query, gallery)
    assert (single.queries, single.r1) == (2, 0.0)
    found = evaluate_split(split, query, gallery, rerank=True, expand=1)
    assert [(scores.queries, scores.r1) for scores in found[:1]] == [(1, 1.0)]
    assert [scores.queries for scores in found] == [1] * 4
    pairs = verify_split(split, query, gallery)
    assert (pairs.same, pairs.different) == (1, 2)
    assert "queries pooled by identity and camera" in str(PROTOCOLS["market-multi-query"])


def test_a_split_is_measured_by_its_own_protocol() -> None:
    rng = np.random.default_rng(9)
    crops = tuple(Record(Path(f"{k}.jpg"), k % 4, k % 3) for k in range(12))
    features = rng.normal(size=(12, 4))
    query, gallery = Embeddings.of(features[:4], crops[:4]), Embeddings.of(features[4:], crops[4:])
    tracks = tuple(Track(r.vehicle_id, r.camera_id, (i,)) for i, r in enumerate(crops[4:]))
    split = DatasetSplit("veri776", "veri", (), crops[:4], crops[4:], tracks)
    veri = evaluate_split(split, query, gallery, rerank=True)
    assert [s.protocol for s in veri] == ["veri", "veri-track", "veri-track-released", "veri, re-ranked"]
    assert veri[0].map == pytest.approx(veri[1].map)
    assert str(veri[0]).startswith("veri: mAP ")
    pooled = DatasetSplit("vehicleid-800", "vehicleid", (), (), crops)
    (drawn,) = evaluate_split(pooled, None, Embeddings.of(features, crops), rerank=True)
    assert drawn.queries == 10 * 8


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_every_protocol_names_itself(name: str) -> None:
    assert PROTOCOLS[name].name == name
    assert str(PROTOCOLS[name]).startswith(name)


def test_protocols_say_what_matters() -> None:
    assert str(PROTOCOLS["veriwild"]) == "veriwild (whole gallery, own camera left out)"
    assert "own camera kept" in str(PROTOCOLS["veriwild-own-camera"])
    assert "10 draws" in str(PROTOCOLS["vehicleid"])


def test_memory_is_one_block() -> None:
    rng = np.random.default_rng(0)
    count = 20_000
    gallery = Embeddings(
        rng.normal(size=(count, 16)).astype(np.float32), np.arange(count) % 500, np.zeros(count, int)
    )
    query = Embeddings(gallery.features[:600], gallery.vehicle_id[:600], np.ones(600, int))
    tracemalloc.start()
    blocks = similarity_blocks(query.features, gallery.features, block_bytes=4 << 20)
    positive_ranks(blocks, query.labels, gallery.labels, camera_rule=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20  # all similarities at once would be 48 MB


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (np.ones((2, 3)), "expected features"),
        (np.array([[1.0, np.nan], [1.0, 1.0]]), "expected finite features"),
    ],
)
def test_bad_features_are_refused(query: np.ndarray, message: str) -> None:
    good = Embeddings(np.ones((2, 2)), np.array([1, 2]), np.array([0, 0]))
    with pytest.raises(ValueError, match=message):
        evaluate(Embeddings(query, np.array([1, 2]), np.array([1, 1])), good)


def test_misuse_is_refused() -> None:
    crops = Embeddings(np.ones((2, 2)), np.array([1, 2]), np.array([0, 0]))
    with pytest.raises(DataError, match=r"no query has a right answer.*; give pictures of the same vehicles by"):
        evaluate(crops, crops)
    with pytest.raises(ValueError, match="needs tracks"):
        evaluate(crops, crops, PROTOCOLS["veri-track"])
    with pytest.raises(ValueError, match="cannot be measured on given distances"):
        evaluate(crops, crops, PROTOCOLS["vehicleid"], distances=np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"expected distances \(2, 2\), got \(2, 3\)"):
        evaluate(crops, crops, distances=np.zeros((2, 3)))
    with pytest.raises(ValueError, match="with N identities"):
        Embeddings(np.ones((2, 2)), np.array([1]), np.array([0, 0]))
