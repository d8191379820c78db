"""Adjacent cameras first: every step by hand or against a naïve twin."""

from __future__ import annotations

import math
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.config import CrossroadZonesConfig
from mtmc.associate.methods.crossroad_zones.box_voting import VotingBoxes, select_voting_boxes
from mtmc.associate.methods.crossroad_zones.camera_bias import remove_camera_bias
from mtmc.associate.methods.crossroad_zones.match import candidates_by_direction, one_to_one, reranked_similarity
from mtmc.errors import ConfigError
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Link, Scene
from mtmc.settings import UsedWhen
from mtmc.types import Passage, Tracklet
from reid.evaluation.rerank import k_reciprocal

PLAIN = {"camera_bias": "none", "rerank": False}


def vector(degrees):
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]


def passage(camera, start, end, angle=None, *, track_id=1, entry="", exit="", looks=()):
    """A vehicle of direction ``angle``, degrees; ``looks`` gives its boxes' own."""
    boxes = max(2, len(looks))
    tracklet = Tracklet(
        camera_id=camera,
        track_id=track_id,
        frame=np.arange(boxes),
        time_s=np.linspace(start, end, boxes),
        xyxy=np.zeros((boxes, 4), np.float32),
        score=np.ones(boxes, np.float32),
        class_id=0,
        appearance=np.array([vector(a) for a in looks], np.float32) if looks else np.zeros((boxes, 0), np.float32),
    )
    embedding = np.zeros(0, np.float32) if angle is None else np.array(vector(angle), np.float32)
    return Passage(tracklet, embedding, entry, exit, np.full((boxes, 2), np.nan))


def scene(*links):
    return Scene("test", Path(), tuple(Camera(f"c{k}", k, Clock(10.0)) for k in range(5)), links)


def choices(max_gap_s=120.0, **rules):
    own = CrossroadZonesConfig(**{**PLAIN, **rules})
    return AssociateConfig(method="crossroad_zones", max_gap_s=max_gap_s, crossroad_zones=own)


def groups(passages, place, config):
    tracks = associate(passages, place, config)
    return {frozenset(f"{p.tracklet.camera_id}/{p.tracklet.track_id}" for p in t.passages) for t in tracks}


def one(*names):
    return {frozenset(n if "/" in n else f"{n}/1" for n in names)}


def naive_choice(pairs, similarity):
    """The most alike first, each row once."""
    out, used = [], set()
    for _, (a, b) in sorted(
        zip(similarity.tolist(), map(tuple, pairs.tolist()), strict=True), key=lambda x: (-x[0], x[1])
    ):
        if not {a, b} & used:
            used |= {a, b}
            out.append((a, b))
    return out


# --- windows and directions


def test_links_say_which_way_and_how_long():
    place = scene(Link("c0", "", "c1", "", 5, 15))
    assert groups([passage("c0", 0, 1, 0), passage("c1", 11, 12, 0)], place, choices()) == one("c0", "c1")
    assert len(groups([passage("c1", 0, 1, 0), passage("c0", 11, 12, 0)], place, choices())) == 2
    assert len(groups([passage("c0", 0, 1, 0), passage("c1", 17, 18, 0)], place, choices())) == 2
    assert len(groups([passage("c0", 0, 1, 0), passage("c2", 11, 12, 0)], place, choices())) == 2


def test_links_ask_for_their_zones():
    place = scene(Link("c0", "east", "c1", "west", 0, 30))
    for exit, entry, vehicles in (("east", "west", 1), ("", "west", 1), ("north", "west", 2), ("east", "south", 2)):
        there = [passage("c0", 0, 1, 0, exit=exit), passage("c1", 5, 6, 0, entry=entry)]
        assert len(groups(there, place, choices())) == vehicles


def test_without_links_every_pair_of_cameras_is_adjacent_for_a_while():
    pair = [passage("c0", 0, 1, 0), passage("c3", 11, 12, 0)]
    assert len(groups(pair, scene(), choices(max_gap_s=10.0))) == 1
    assert len(groups(pair, scene(), choices(max_gap_s=9.9))) == 2


def test_a_link_within_a_camera_is_none_between_cameras():
    place = scene(Link("c0", "", "c0", "", 0, 30))
    assert len(groups([passage("c0", 0, 1, 0), passage("c0", 5, 6, 0, track_id=2)], place, choices())) == 2


def test_similarity_fades_outside_of_the_window():
    place = scene(Link("c0", "", "c1", "", 0, 10))
    for late, soft, vehicles in ((0, 0, 1), (1, 0, 2), (1, 2, 1), (1.5, 2, 2), (7, 2, 2)):  # e^(−1/2) = 0.61
        pair = [passage("c0", 0, 1, 0), passage("c1", 11 + late, 20, 0)]
        assert len(groups(pair, place, choices(time_decay_s=soft))) == vehicles


LINKS = (
    Link("c0", "", "c1", "", 2, 15),
    Link("c0", "east", "c1", "", 10, 25),
    Link("c1", "", "c0", "", 2, 15),
    Link("c1", "", "c2", "north", -5, 10),
    Link("c2", "", "c2", "", 0, 9),
)


@st.composite
def situations(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    passages = []
    for k in range(draw(st.integers(1, 14))):
        start = rng.uniform(0, 40)
        passages.append(
            passage(
                f"c{rng.integers(3)}",
                start,
                start + rng.uniform(1, 9),
                float(rng.integers(0, 4) * 60 + rng.normal() * 20),
                track_id=k + 1,
                entry=str(rng.choice(["", "north", "east"])),
                exit=str(rng.choice(["", "north", "east"])),
            )
        )
    return (
        passages,
        draw(st.sampled_from([(), LINKS])),
        draw(st.sampled_from([0.0, 3.0])),
        rng.permutation(len(passages)),
    )


def naive_directions(items, links, config):
    """{(from, to): {(row, row): seconds outside}}."""
    found = {}
    slack = 3 * config.crossroad_zones.time_decay_s
    for (i, p), (j, q) in product(enumerate(items), repeat=2):
        a, b = p.tracklet, q.tracklet
        if a.camera_id == b.camera_id:
            continue
        gap, late = b.start_s - a.end_s, []
        if not links and (a.start_s, i) < (b.start_s, j):
            late.append(max(0.0, gap - config.max_gap_s))
        for link in links:
            fits = (link.from_camera, link.to_camera) == (a.camera_id, b.camera_id)
            fits = fits and p.exit in ("", link.from_zone or p.exit) and q.entry in ("", link.to_zone or q.entry)
            if fits:
                late.append(max(0.0, link.min_s - gap, gap - link.max_s))
        if late and min(late) <= slack:
            found.setdefault((a.camera_id, b.camera_id), {})[i, j] = min(late)
    return found


def in_order(passages):
    return sorted(passages, key=lambda p: (p.tracklet.camera_id, p.tracklet.track_id))


@settings(max_examples=200, deadline=None)
@given(situations())
def test_directions_equal_the_naive_double_loop(situation):
    passages, links, soft, _ = situation
    items, config = in_order(passages), choices(max_gap_s=6.0, time_decay_s=soft)
    names = sorted({p.tracklet.camera_id for p in items})
    expected = naive_directions(items, links, config)
    ways = list(candidates_by_direction(items, scene(*links), config))
    found = {
        (names[w.from_camera], names[w.to_camera]): dict(zip(map(tuple, w.pairs.tolist()), w.outside_s, strict=True))
        for w in ways
    }
    assert {way: sorted(pairs) for way, pairs in found.items()} == {w: sorted(p) for w, p in expected.items()}
    for way, pairs in expected.items():
        assert found[way] == pytest.approx(pairs)
    order = [(w.from_camera, w.to_camera) for w in ways]
    assert order == sorted(order, key=lambda w: (min(w), max(w), w[1] < w[0]))


# --- matching of two cameras


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_complete_linkage_of_two_cameras_is_a_matching(seed):
    """Agglomerate from scratch, impossible pairs and those of one camera having no similarity at all."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(1, 6, 2)
    table = np.where(rng.random((a, b)) < 0.7, rng.normal(size=(a, b)), -np.inf)
    similarity = np.full((a + b, a + b), -np.inf)
    similarity[:a, a:] = table
    similarity[a:, :a] = table.T
    parts = [[k] for k in range(a + b)]
    while True:
        options = [
            (-similarity[np.ix_(g, h)].min(), g, h)
            for g, h in combinations(sorted(parts), 2)
            if similarity[np.ix_(g, h)].min() >= 0
        ]
        if not options:
            break
        _, g, h = min(options)
        parts = [part for part in parts if part not in (g, h)] + [sorted(g + h)]
    pairs = np.array([(i, a + j) for i in range(a) for j in range(b)])
    value = np.where(table >= 0, table, -np.inf).reshape(-1)
    assert sorted([i, j] for _, i, j in one_to_one(pairs, value)) == sorted(part for part in parts if len(part) > 1)


def test_re_ranking_is_that_of_reid_both_ways():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(30, 8)), rng.normal(size=(50, 8))
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    there, back = k_reciprocal(a, b, 20, 3, 0.3), k_reciprocal(b, a, 20, 3, 0.3)
    assert reranked_similarity(a, b, CrossroadZonesConfig()) == pytest.approx(1 - (there + back.T) / 2, abs=1e-6)
    few = k_reciprocal(a[:6], b[:6], 3, 3, 0.3), k_reciprocal(b[:6], a[:6], 3, 3, 0.3)  # a quarter of twelve
    assert reranked_similarity(a[:6], b[:6], CrossroadZonesConfig()) == pytest.approx(
        1 - (few[0] + few[1].T) / 2, abs=1e-6
    )
    assert reranked_similarity(a, b, CrossroadZonesConfig(rerank=False)) == pytest.approx(a @ b.T)


# --- identities


def test_pairs_that_share_a_tracklet_are_one_vehicle():
    place = scene(Link("c0", "", "c1", "", 0, 10), Link("c1", "", "c2", "", 0, 10))
    chain = [passage(f"c{k}", 8 * k, 8 * k + 1, 20 * k) for k in range(3)]
    assert groups(chain, place, choices()) == one("c0", "c1", "c2")


def test_what_passes_a_camera_twice_is_dissolved_or_cut():
    """c0/1 goes to c1, and on to c0 again as c0/2: less alike (cos 40°) than the first half (cos 10°)."""
    place = scene(Link("c0", "", "c1", "", 0, 10), Link("c1", "", "c0", "", 0, 10))
    there_and_back = [passage("c0", 0, 1, 0), passage("c1", 5, 6, 10), passage("c0", 10, 11, 50, track_id=2)]
    assert groups(there_and_back, place, choices()) == one("c0") | one("c1") | one("c0/2")
    assert groups(there_and_back, place, choices(drop_repeated_cameras=False)) == one("c0", "c1") | one("c0/2")


def test_second_clustering_joins_identities_of_several_cameras():
    """c1 and c2 are 70° apart, too far for a pair (0.5 = cos 60°); the means of the two identities, too, but not for
    the second threshold. A lone tracklet takes no part in it."""
    road = [Link(f"c{k}", "", f"c{k + 1}", "", 0, 10) for k in range(4)]
    chain = [passage(f"c{k}", 8 * k, 8 * k + 1, angle) for k, angle in enumerate((0, 0, 70, 70))]
    assert groups(chain, scene(*road), choices()) == one("c0", "c1", "c2", "c3")
    apart = choices(merge_similarity=0.4)  # cos 70° is 0.34
    assert groups(chain, scene(*road), apart) == one("c0", "c1") | one("c2", "c3")
    assert groups(chain[:3], scene(*road), choices()) == one("c0", "c1") | one("c2")
    unlinked = scene(road[0], road[2])
    assert groups(chain, unlinked, choices()) == one("c0", "c1") | one("c2", "c3")


def test_tracklets_without_an_embedding_stay_alone():
    pair = [passage("c0", 0, 1, 0), passage("c1", 5, 6), passage("c2", 7, 8, 0)]
    assert groups(pair, scene(), choices()) == one("c0", "c2") | one("c1")


@settings(max_examples=150, deadline=None)
@given(situations())
def test_equals_the_naive_steps_in_any_order(situation):
    passages, links, soft, order = situation
    config = choices(max_gap_s=6.0, time_decay_s=soft, merge_similarity=1.0)  # the second clustering has its own test
    items = in_order(passages)
    neighbors = {k: {k} for k in range(len(items))}
    for pairs in naive_directions(items, links, config).values():
        alike = {
            (i, j): float(items[i].embedding.astype(float) @ items[j].embedding.astype(float))
            * (math.exp(-late / soft) if soft else 1.0)
            for (i, j), late in pairs.items()
        }
        alike = {pair: value for pair, value in alike.items() if value >= 0.5}
        for a, b in naive_choice(np.array(list(alike)).reshape(-1, 2), np.round(np.array(list(alike.values())), 9)):
            together = neighbors[a] | neighbors[b]
            for member in together:
                neighbors[member] = together
    expected = set()
    for members in {frozenset(group) for group in neighbors.values()}:
        cameras = [items[k].tracklet.camera_id for k in members]
        parts = [members] if len(set(cameras)) == len(cameras) else [{k} for k in members]
        for part in parts:
            expected |= one(*(f"{items[k].tracklet.camera_id}/{items[k].tracklet.track_id}" for k in part))
    assert groups(passages, scene(*links), config) == expected
    assert groups([passages[k] for k in order], scene(*links), config) == expected


def test_the_published_settings_do_not_depend_on_the_order_of_input():
    rng = np.random.default_rng(1)
    vehicles = rng.uniform(0, 360, 40)
    passages = [
        passage(f"c{c}", 10 * c + 4 * k, 10 * c + 4 * k + 3, angle + rng.normal() * 2, track_id=k + 1)
        for k, angle in enumerate(vehicles)
        for c in range(4)
    ]
    rules = CrossroadZonesConfig(drop_repeated_cameras=False)
    config = AssociateConfig(method="crossroad_zones", max_gap_s=30.0, crossroad_zones=rules)
    first = groups(passages, scene(), config)
    assert groups([passages[k] for k in rng.permutation(len(passages))], scene(), config) == first
    assert any(len(group) > 2 for group in first)


# --- camera bias


@pytest.mark.parametrize("kind", ["mean", "whiten"])
def test_camera_bias_by_the_book(kind):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 4)) + np.repeat([[3, 0, 0, 0], [0, 5, 0, 0]], 25, axis=0)
    vectors[7] = 0  # nothing known of it
    camera = np.repeat([0, 1], 25)
    rules = CrossroadZonesConfig(camera_bias=kind, whitening=0.5)
    out = remove_camera_bias(vectors, camera, rules)
    for c in (0, 1):
        rows = [k for k in range(50) if camera[k] == c and k != 7]
        mean = sum(vectors[k] for k in rows) / len(rows)
        covariance = sum(np.outer(vectors[k] - mean, vectors[k] - mean) for k in rows) / len(rows)
        matrix = np.linalg.inv(covariance + 0.5 * np.eye(4)) if kind == "whiten" else np.eye(4)
        for k in rows:
            expected = matrix @ (vectors[k] - mean)
            assert out[k] == pytest.approx(expected / np.linalg.norm(expected))
    assert not out[7].any()


def test_few_vectors_have_no_bias_of_their_own():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(12, 3))
    out = remove_camera_bias(vectors, np.array([0] * 10 + [1, 1]), CrossroadZonesConfig(camera_bias="mean"))
    expected = vectors[10] - vectors.mean(axis=0)
    assert out[10] == pytest.approx(expected / np.linalg.norm(expected))
    few = remove_camera_bias(vectors[:9], np.zeros(9, int), CrossroadZonesConfig())
    assert few == pytest.approx(vectors[:9] / np.linalg.norm(vectors[:9], axis=1, keepdims=True))


# --- boxes that vote


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_votes_equal_the_naive_count(seed):
    rng = np.random.default_rng(seed)
    count = rng.integers(1, 6, 6)
    here, there = np.arange(3), np.arange(3, 6)
    similarity = np.round(rng.normal(size=(count[:3].sum(), count[3:].sum())), 1)  # with ties
    allowed = rng.choice([0.0, 0.5, 1.0], size=(3, 3))
    top_k = int(rng.integers(1, 5))
    owner_a, owner_b = np.repeat(here, count[:3]), np.repeat(here, count[3:])

    def vote(i, j, axis):
        """Whether box i of the first (or j of the second) camera is among those that the other one votes for."""
        rows = range(similarity.shape[1 - axis])
        score = [
            similarity[(i, k) if axis == 0 else (k, j)]
            * allowed[(owner_a[i], owner_b[k]) if axis == 0 else (owner_a[k], owner_b[j])]
            for k in rows
        ]
        possible = [k for k in rows if allowed[(owner_a[i], owner_b[k]) if axis == 0 else (owner_a[k], owner_b[j])]]
        best = sorted(possible, key=lambda k: (-score[k], k))[: min(top_k, max(1, len(rows) // 4))]
        return (j if axis == 0 else i) in best

    mutual = {
        (i, j)
        for i in range(len(owner_a))
        for j in range(len(owner_b))
        if allowed[owner_a[i], owner_b[j]] and vote(i, j, 0) and vote(i, j, 1)
    }
    votes, share = VotingBoxes(np.zeros((0, 1)), np.zeros(0, int), count).votes(
        similarity, here, there, allowed, top_k
    )
    for a, b in product(range(3), range(3)):
        mine = {(i, j) for i, j in mutual if owner_a[i] == a and owner_b[j] == b}
        expected = len({i for i, _ in mine}) + len({j for _, j in mine})
        assert votes[a, b] == expected
        assert share[a, b] == pytest.approx(expected / (count[a] + count[3 + b]))


def test_boxes_are_spread_evenly_over_the_tracklet():
    tracklet = passage("c0", 0, 9, 0, looks=[0, 10, 20, 30, 40, 50, 60])
    chosen = select_voting_boxes([tracklet], np.array([0]), CrossroadZonesConfig(**PLAIN, votes_per_tracklet=3))
    assert chosen.vectors == pytest.approx(np.array([vector(a) for a in (0, 30, 60)]), abs=1e-6)
    assert (chosen.first.tolist(), chosen.count.tolist()) == ([0], [3])


def test_boxes_decide_where_means_mislead():
    """c0/1 turns from 0° to 90°, as c1/1 does. c1/2 shows nothing but the mean of it, 45°."""
    turning = [0, 30, 60, 90]
    passages = [
        passage("c0", 0, 1, 45, looks=turning),
        passage("c0", 0, 1, 200, track_id=2, looks=[200, 205, 210, 215]),
        passage("c1", 5, 6, 46, looks=turning),
        passage("c1", 5, 6, 45, track_id=2, looks=[45, 45, 45, 45]),
    ]
    boxes = choices(matching="boxes", top_k=1)
    assert one("c0", "c1") < groups(passages, scene(), boxes)
    assert one("c0", "c1/2") < groups(passages, scene(), choices())


def test_votes_must_be_enough():
    pair = [passage("c0", 0, 1, 0, looks=[0, 90]), passage("c1", 5, 6, 0, looks=[0, 180])]
    # Each box votes for one: 0° ⇄ 0° is mutual, 90° → 0° is not, 180° → 90° and 90° → 0° neither: two of four votes.
    for least, share, vehicles in ((2, 0.5, 1), (3, 0.5, 2), (2, 0.51, 2)):
        config = choices(matching="boxes", min_votes=least, vote_ratio=share)
        assert len(groups(pair, scene(), config)) == vehicles


def test_boxes_match_a_tracklet_once_with_a_camera():
    """c1 saw it between two passages of c0: what is matched one way is not matched the other way again."""
    looks = [0, 30, 60, 90]
    passages = [passage("c0", 0, 1, 0, looks=looks), passage("c1", 5, 6, 0, looks=looks)]
    passages.append(passage("c0", 10, 11, 0, track_id=2, looks=looks))
    assert groups(passages, scene(), choices(matching="boxes")) == one("c0", "c1") | one("c0/2")


def test_missing_appearance_is_an_error_with_a_remedy():
    with pytest.raises(ConfigError, match=r"zones: expected tracklets with embeddings, got none.*method=graph"):
        associate([passage("c0", 0, 1)], scene(), choices())
    with pytest.raises(ConfigError, match=r"zones.matching boxes.*got none.*embed.per_detection"):
        associate([passage("c0", 0, 1, 0)], scene(), choices(matching="boxes"))


def test_nothing_gives_nothing():
    assert associate([], scene(), choices()) == []
    assert associate([passage("c0", 0, 1, 0)], scene(), choices()) != []


def test_whitening_is_used_where_the_bias_is_whitened():
    assert CrossroadZonesConfig.used_when["whitening"] == UsedWhen(
        "associate.crossroad_zones.camera_bias", "=", "whiten"
    )
