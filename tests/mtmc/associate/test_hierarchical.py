"""Cross-camera association against a naïve twin, hand-made cases and the seeded workload."""

from __future__ import annotations

import importlib.util
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.config import HierarchicalConfig
from mtmc.associate.gates import feasible_pairs
from mtmc.errors import WeightsError
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Link, Scene
from mtmc.types import Passage, Tracklet

OWN = set(HierarchicalConfig.model_fields)


def choices(**given):
    """Settings of this method; those of its own group are told apart from the common ones by their names."""
    own = {name: value for name, value in given.items() if name in OWN}
    common = {name: value for name, value in given.items() if name not in OWN}
    return AssociateConfig(method="hierarchical", hierarchical=HierarchicalConfig(**own), **common)


def passage(camera, track_id, start, end, embedding=(), entry="", exit="", way=None):
    """A passage of two observations; ``way`` gives its ground positions at start and end."""
    tracklet = Tracklet(
        camera_id=camera,
        track_id=track_id,
        frame=np.array([0, 1]),
        time_s=np.array([start, end], float),
        xyxy=np.zeros((2, 4), np.float32),
        score=np.ones(2, np.float32),
        class_id=0,
        appearance=np.zeros((2, 0), np.float32),
    )
    vector = np.array(embedding, np.float32)
    if len(vector):
        vector = vector / np.linalg.norm(vector)
    ground = np.full((2, 2), np.nan) if way is None else np.array(way, float)
    return Passage(tracklet, vector, entry, exit, ground)


def scene(*links):
    cameras = tuple(Camera(f"c{k}", k, Clock(10.0)) for k in range(4))
    return Scene("test", Path(), cameras, links)


def groups(tracks):
    return {frozenset((p.tracklet.camera_id, p.tracklet.track_id) for p in t.passages) for t in tracks}


# --- the naïve twin: every pair looked at, every similarity recomputed from scratch


def pair_value(p, q, config):
    """(value or None, in two places at once)."""
    cosine = (
        float(p.embedding.astype(float) @ q.embedding.astype(float))
        if len(p.embedding) and len(q.embedding)
        else None
    )
    since = max(p.tracklet.start_s, q.tracklet.start_s)
    until = min(p.tracklet.end_s, q.tracklet.end_s)
    calibrated = np.isfinite(p.ground_m).all() and np.isfinite(q.ground_m).all()
    if not config.use_ground or not calibrated:
        return cosine, False
    if since >= until:
        earlier, later = (p, q) if p.tracklet.start_s <= q.tracklet.start_s else (q, p)
        reach = config.hierarchical.max_ground_m + config.max_speed_mps * (since - until)
        return cosine, np.linalg.norm(later.ground_m[0] - earlier.ground_m[-1]) > reach
    if until - since < config.hierarchical.min_overlap_s:
        return cosine, False
    moments = np.linspace(since, until, 5)
    where = [
        np.stack([np.interp(moments, x.tracklet.time_s, x.ground_m[:, axis]) for axis in (0, 1)], axis=1)
        for x in (p, q)
    ]
    meters = float(np.median(np.linalg.norm(where[0] - where[1], axis=1)))
    near = 1 - (1 - config.threshold) * meters / config.hierarchical.max_ground_m
    value = (
        near
        if cosine is None
        else (1 - config.hierarchical.ground_weight) * cosine + config.hierarchical.ground_weight * near
    )
    return value, meters > config.hierarchical.max_ground_m


def naive_feasible(p, q, links, config):
    a, b = p.tracklet, q.tracklet
    if a.camera_id == b.camera_id and (
        config.hierarchical.once_per_camera or (a.start_s <= b.end_s and b.start_s <= a.end_s)
    ):
        return False
    if not links:
        return max(b.start_s - a.end_s, a.start_s - b.end_s) <= config.max_gap_s
    return any(
        (x.tracklet.camera_id, y.tracklet.camera_id) == (link.from_camera, link.to_camera)
        and (not x.exit or not link.from_zone or x.exit == link.from_zone)
        and (not y.entry or not link.to_zone or y.entry == link.to_zone)
        and link.min_s <= y.tracklet.start_s - x.tracklet.end_s <= link.max_s
        for x, y in ((p, q), (q, p))
        for link in links
    )


def naive_values(items, links, config):
    """(value of each pair or None, pairs that suffice by themselves, pairs in two places at once)."""
    value, witness, apart = {}, set(), set()
    for i, j in combinations(range(len(items)), 2):
        value[i, j], _ = pair_value(items[i], items[j], config.model_copy(update={"use_ground": False}))
        if naive_feasible(items[i], items[j], links, config):
            known, is_apart = pair_value(items[i], items[j], config)
            if is_apart:
                apart.add((i, j))
            elif known is not None:
                value[i, j] = known
                if known >= config.threshold - 1e-9:
                    witness.add((i, j))
    return value, witness, apart


def naive_groups(passages, links, config):
    items = sorted(passages, key=lambda p: (p.tracklet.camera_id, p.tracklet.track_id))
    value, witness, apart = naive_values(items, links, config)

    def excluded(i, j):
        a, b = items[i].tracklet, items[j].tracklet
        overlap = a.start_s <= b.end_s and b.start_s <= a.end_s
        return (i, j) in apart or (a.camera_id == b.camera_id and (config.hierarchical.once_per_camera or overlap))

    def similarity(g, h):
        pairs = [(min(i, j), max(i, j)) for i in g for j in h]
        if any(excluded(*p) for p in pairs) or not any(p in witness for p in pairs):
            return None
        if config.hierarchical.linkage == "single":
            return max(value[p] for p in pairs if p in witness)
        values = [value[p] for p in pairs if value[p] is not None]
        return min(values) if config.hierarchical.linkage == "complete" else sum(values) / len(values)

    parts = [[k] for k in range(len(items))]
    while True:
        options = []
        for g, h in combinations(sorted(parts, key=min), 2):
            s = similarity(g, h)
            if s is not None and s >= config.threshold - 1e-9:
                options.append((-round(s, 9), min(g), min(h), g, h))
        if not options:
            return {frozenset((items[k].tracklet.camera_id, items[k].tracklet.track_id) for k in g) for g in parts}
        _, _, _, g, h = min(options)
        parts = [p for p in parts if p not in (g, h)] + [sorted(g + h)]


LINKS = (
    Link("c0", "", "c1", "north", 2.0, 30.0),
    Link("c1", "south", "c0", "", 2.0, 30.0),
    Link("c1", "", "c2", "", -8.0, 12.0),
    Link("c2", "", "c2", "", 1.0, 30.0),
)


@st.composite
def situations(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(0, 14))
    described, calibrated = draw(st.sampled_from([0.0, 0.7, 1.0])), draw(st.sampled_from([0.0, 0.6, 1.0]))
    looks = rng.normal(size=(4, 3))
    passages = []
    for k in range(n):
        start = rng.uniform(0, 60)
        passages.append(
            passage(
                f"c{rng.integers(3)}",
                k + 1,
                start,
                start + rng.uniform(0.1, 15),
                looks[rng.integers(4)] + 0.3 * rng.normal(size=3) if rng.random() < described else (),
                entry=str(rng.choice(["", "north", "south"])),
                exit=str(rng.choice(["", "north", "south"])),
                way=rng.uniform(0, 15, (2, 2)) if rng.random() < calibrated else None,
            )
        )
    config = choices(
        min_similarity=draw(st.sampled_from([0.3, 0.7, 0.9])),
        linkage=draw(st.sampled_from(["average", "complete", "single"])),
        max_gap_s=draw(st.sampled_from([0.0, 10.0, 100.0])),
        once_per_camera=draw(st.booleans()),
        use_ground=draw(st.booleans()),
        max_ground_m=6.0,
        max_speed_mps=draw(st.sampled_from([0.1, 50.0])),
        ground_weight=draw(st.sampled_from([0.0, 0.5, 1.0])),
    )
    return passages, draw(st.sampled_from([(), LINKS])), config, rng.permutation(n)


@settings(max_examples=300, deadline=None)
@given(situations())
def test_equals_the_naive_twin_in_any_order(situation):
    passages, links, config, order = situation
    tracks = associate(passages, scene(*links), config)
    assert groups(tracks) == naive_groups(passages, links, config)

    again = associate([passages[k] for k in order], scene(*links), config)
    assert [t.passages for t in again] == [t.passages for t in tracks]


@settings(max_examples=100, deadline=None)
@given(situations())
def test_pairs_equal_the_naive_double_loop(situation):
    passages, links, config, _ = situation
    expected = [
        [i, j]
        for i, j in combinations(range(len(passages)), 2)
        if naive_feasible(passages[i], passages[j], links, config)
    ]
    assert feasible_pairs(passages, scene(*links), config).tolist() == expected


# --- cases by hand

RED, BLUE = (1.0, 0.0), (0.0, 1.0)


def test_numbers_go_by_first_appearance():
    tracks = associate(
        [
            passage("c1", 7, 0, 1, BLUE),
            passage("c0", 9, 0, 1, (-1, 0)),
            passage("c1", 2, 8, 9, RED),
            passage("c0", 3, 5, 6, RED),
        ],
        scene(),
        choices(),
    )
    ids = [(t.global_id, [(p.tracklet.camera_id, p.tracklet.track_id) for p in t.passages]) for t in tracks]
    assert ids == [(1, [("c0", 9)]), (2, [("c1", 7)]), (3, [("c0", 3), ("c1", 2)])]


def test_single_camera_vehicles_can_be_left_out():
    passages = [passage("c0", 1, 0, 1, BLUE), passage("c0", 2, 2, 3, RED), passage("c1", 3, 4, 5, RED)]
    [track] = associate(passages, scene(), choices(keep_single_camera=False))
    assert track.global_id == 1
    assert track.camera_ids == ("c0", "c1")


def test_a_vehicle_passes_a_camera_once_unless_it_may_return():
    passages = [passage("c0", 1, 0, 1, RED), passage("c0", 2, 5, 6, RED), passage("c0", 3, 5.5, 7, RED)]
    assert len(associate(passages, scene(), choices())) == 3
    returned = associate(passages, scene(), choices(once_per_camera=False))
    assert groups(returned) == {frozenset({("c0", 1), ("c0", 2)}), frozenset({("c0", 3)})}


def test_links_have_a_direction_and_a_travel_time():
    there = [passage("c0", 1, 0, 1, RED), passage("c1", 1, 11, 12, RED)]
    back = [passage("c1", 1, 0, 1, RED), passage("c0", 1, 11, 12, RED)]
    link = Link("c0", "", "c1", "", 5, 15)
    assert len(associate(there, scene(link), choices())) == 1
    assert len(associate(back, scene(link), choices())) == 2
    assert len(associate(there, scene(Link("c0", "", "c1", "", 15, 30)), choices())) == 2


def test_links_ask_for_their_zones_where_a_zone_was_seen():
    link = Link("c0", "east", "c1", "west", 0, 30)
    for exit, expected in (("east", 1), ("", 1), ("north", 2)):
        passages = [passage("c0", 1, 0, 1, RED, exit=exit), passage("c1", 1, 11, 12, RED)]
        assert len(associate(passages, scene(link), choices())) == expected


def test_a_chain_of_links_makes_one_vehicle():
    links = (Link("c0", "", "c1", "", 0, 10), Link("c1", "", "c2", "", 0, 10))
    passages = [passage(f"c{k}", 1, 8 * k, 8 * k + 1, RED) for k in range(3)]
    assert len(associate(passages, scene(*links), choices())) == 1


def test_without_embeddings_the_way_over_the_ground_decides():
    passages = [
        passage("c0", 1, 0, 10, way=[(0, 0), (100, 0)]),
        passage("c1", 1, 0, 10, way=[(0, 3), (100, 3)]),
        passage("c1", 2, 0, 10, way=[(0, 9), (100, 9)]),
        passage("c2", 1, 30, 40, way=[(0, 0), (100, 0)]),  # never at the same time: nothing to compare
    ]
    expected = {frozenset({("c0", 1), ("c1", 1)}), frozenset({("c1", 2)}), frozenset({("c2", 1)})}
    assert groups(associate(passages, scene(), choices())) == expected


def test_two_places_at_one_moment_are_two_vehicles_however_alike():
    far = [passage("c0", 1, 0, 10, RED, way=[(0, 0), (9, 0)]), passage("c1", 1, 0, 10, RED, way=[(0, 50), (9, 50)])]
    assert len(associate(far, scene(), choices())) == 2
    assert len(associate(far, scene(), choices(use_ground=False))) == 1


def test_nothing_flies():
    for meters, expected in ((400, 1), (600, 2)):
        there = [(0, meters), (9, meters)]
        passages = [passage("c0", 1, 0, 10, RED, way=[(0, 0), (9, 0)]), passage("c1", 1, 20, 30, RED, way=there)]
        assert len(associate(passages, scene(), choices())) == expected


def test_a_card_fills_in_the_threshold_but_never_overrides_a_choice():
    assert choices().for_embedder(0.9).threshold == 0.9
    assert choices().for_embedder(None).threshold == 0.5
    assert choices(min_similarity=0.2).for_embedder(0.9).threshold == 0.2


def test_nothing_gives_nothing():
    assert associate([], scene(), choices()) == []
    assert associate([], scene(*LINKS), choices()) == []


def test_embeddings_of_different_sizes_are_an_error():
    with pytest.raises(WeightsError, match="of one size, got 2 and 3"):
        associate([passage("c0", 1, 0, 1, RED), passage("c1", 1, 0, 1, (1, 0, 0))], scene(), choices())


def test_a_tracklet_given_twice_is_an_error():
    with pytest.raises(ValueError, match="c0/1 twice"):
        associate([passage("c0", 1, 0, 1), passage("c0", 1, 2, 3)], scene(), choices())


# --- the seeded workload of six cameras along a road


@pytest.fixture(scope="module")
def workload(shared):
    spec = importlib.util.spec_from_file_location("wl_clust", shared("bench/wl_clust.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_road_of_six_cameras(workload):
    camera, since, until, vehicle, _, embeddings = workload.make(1000)
    least, most = workload.windows()
    links = [
        Link(f"c{a}", "", f"c{b}", "", float(least[a, b]), float(most[a, b]))
        for a in range(6)
        for b in range(6)
        if a != b
    ]
    place = Scene("road", Path(), tuple(Camera(f"c{k}", k, Clock(10.0)) for k in range(6)), tuple(links))
    passages = [passage(f"c{camera[k]}", k + 1, since[k], until[k], embeddings[k]) for k in range(len(camera))]
    started = time.process_time()
    tracks = associate(passages, place, choices())
    assert time.process_time() - started < 5
    label = np.zeros(len(camera), int)
    for track in tracks:
        label[[p.tracklet.track_id - 1 for p in track.passages]] = track.global_id
    assert workload.pair_f1(label, vehicle) >= 0.978
