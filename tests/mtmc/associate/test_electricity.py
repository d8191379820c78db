"""The rules of ELECTRICITY: each quirk by hand, and a naïve twin."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.config import ElectricityConfig
from mtmc.associate.methods.electricity import electricity
from mtmc.errors import ConfigError
from mtmc.scene import Scene
from mtmc.types import Passage, Tracklet

PLACE = Scene("test", Path(), ())


def passage(camera, track_id, angle=None, *, boxes=20, start=0.0, looks=()):
    """A vehicle whose embedding points at ``angle`` degrees; ``looks`` are its boxes' angles."""
    looks = [*looks, *[None] * (boxes - len(looks))] if looks else []
    vectors = [[0.0, 0.0] if a is None else vector(a) for a in looks]
    tracklet = Tracklet(
        camera_id=camera,
        track_id=track_id,
        frame=np.arange(boxes),
        time_s=start + np.arange(boxes) / 10,
        xyxy=np.zeros((boxes, 4), np.float32),
        score=np.ones(boxes, np.float32),
        class_id=0,
        appearance=np.array(vectors, np.float32).reshape(boxes, -1) if looks else np.zeros((boxes, 0), np.float32),
    )
    embedding = np.zeros(0, np.float32) if angle is None else np.array(vector(angle), np.float32)
    return Passage(tracklet, embedding, "", "", np.full((boxes, 2), np.nan))


def vector(angle):
    return [math.cos(math.radians(angle)), math.sin(math.radians(angle))]


def gap(a, b):
    """Squared distance of two directions: the square of the chord."""
    return (2 * math.sin(math.radians(a - b) / 2)) ** 2


def choices(mode, **rules):
    return AssociateConfig(method="electricity", electricity=ElectricityConfig(mode=mode, **rules))


def labels(passages, config):
    ordered = sorted(passages, key=lambda p: (p.tracklet.camera_id, p.tracklet.track_id))
    found = electricity(ordered, PLACE, config).tolist()
    return {(p.tracklet.camera_id, p.tracklet.track_id): label for p, label in zip(ordered, found, strict=True)}


strict = partial(choices, "strict")
fixed = partial(choices, "fixed")


# --- strict, quirk by quirk


def test_the_released_thresholds_mean_nothing_for_unit_vectors():
    found = labels([passage("a", 1, 0), passage("b", 2, 180)], strict())
    assert found["a", 1] == found["b", 2]  # as far apart as they can be, 4 < 12


def test_a_scale_gives_the_thresholds_a_meaning():
    pair = [passage("a", 1, 0), passage("b", 2, 60)]  # squared distance 1, 16 after scaling by 4
    assert len(set(labels(pair, strict(scale=3.4)).values())) == 1
    assert len(set(labels(pair, strict(scale=4.0)).values())) == 2


def test_equal_numbers_of_two_cameras_never_match():
    found = labels([passage("a", 1, 0), passage("b", 1, 0), passage("b", 2, 30)], strict())
    assert found["a", 1] == found["b", 2] != found["b", 1]


def test_unmatched_tracklets_keep_their_number_and_collide():
    """Both have a neighbor nearer than 100 and none nearer than 12, so they stay, under their own number."""
    scene = [passage("a", 7, 0), passage("b", 7, 180), passage("c", 9, 90)]
    found = labels(scene, strict(scale=3.0))  # 90° are 18 apart, 180° are 36
    assert found == {("a", 7): 7, ("b", 7): 7, ("c", 9): 9}
    assert len(associate(scene, PLACE, strict(scale=3.0))) == 2


def test_isolated_tracklets_are_deleted():
    scene = [passage("a", 1, 0), passage("b", 2, 0), passage("c", 3, 180)]
    assert labels(scene, strict(scale=6.0))[("c", 3)] == -1  # 4 · 36 > 100
    assert {t.camera_ids for t in associate(scene, PLACE, strict(scale=6.0))} == {("a", "b")}


def test_a_tracklet_that_could_only_match_its_own_number_is_isolated():
    assert set(labels([passage("a", 1, 0), passage("b", 1, 0)], strict()).values()) == {-1}


def test_short_tracklets_take_part_and_go_at_the_end():
    scene = [passage("a", 1, 0), passage("b", 2, 0, boxes=19), passage("b", 3, 10)]
    found = labels(scene, strict())
    assert found["b", 2] == -1
    assert found["a", 1] != found["b", 3]  # the short one was nearer
    better = labels(scene, fixed())
    assert better["a", 1] == better["b", 3]


def test_later_groups_steal_members_that_they_hold_nearer():
    """a/1 takes b/2 (10°) and c/3 (30°). b/2 takes a/1 and c/3: 20° < 30°, so c/3 goes with it; a/1 and b/2 stay.
    c/3 takes b/2 (20°, no nearer than before) and a/1: nothing changes but that it stays where it is."""
    found = labels([passage("a", 1, 0), passage("b", 2, 10), passage("c", 3, 30)], strict())
    assert found == {("a", 1): 4, ("b", 2): 4, ("c", 3): 5}
    whole = labels([passage("a", 1, 0), passage("b", 2, 10), passage("c", 3, 30)], fixed())
    assert len(set(whole.values())) == 1


def test_a_threshold_includes_itself():
    pair = [passage("a", 1, 0), passage("b", 2, 60)]
    assert len(set(labels(pair, strict(match_distance=1.0)).values())) == 1
    assert len(set(labels(pair, strict(match_distance=0.99)).values())) == 2


def test_first_boxes_are_compared_with_all_others():
    a = passage("a", 1, 0, looks=[0, 50, 100])
    b = passage("b", 2, 0, looks=[90, 5])  # b's second box is like a's first; b's first is 10° off a's last
    far, near = gap(100, 90), gap(0, 5)
    one = partial(strict, per_box=True, isolation_distance=4.0)
    assert len(set(labels([a, b], one(match_distance=(far + near) / 2)).values())) == 1
    assert len(set(labels([a, b], one(match_distance=near / 2)).values())) == 2


def test_a_tracklet_of_one_described_box_is_in_nobodys_gallery():
    scene = [passage("a", 1, 0, looks=[0, 1]), passage("b", 2, 0, looks=[0])]
    assert labels(scene, strict(per_box=True)) == {("a", 1): -1, ("b", 2): 3}  # b/2 asks, a/1 finds nothing


# --- fixed and calibrated


def test_one_vehicle_never_has_two_tracklets_of_a_camera():
    """Both of a's choose b/1; the nearer one gets it."""
    found = labels([passage("a", 1, 0), passage("a", 2, 3), passage("b", 1, 5)], fixed())
    assert found["a", 2] == found["b", 1] != found["a", 1]


def test_unmatched_tracklets_are_vehicles_of_their_own():
    found = labels([passage("a", 7, 0), passage("b", 7, 180), passage("c", 9, 90)], fixed(scale=3.0))
    assert len(set(found.values())) == 3


def test_the_threshold_is_a_quantile_of_those_that_cannot_be_one():
    """Ten vehicles at once in camera a, 10° apart: 90 ordered pairs of strangers, 18 of them 10° apart."""
    crowd = [passage("a", k, 10 * k) for k in range(1, 11)]
    other = [passage("b", 50, 14), passage("b", 51, 75.5, start=100.0)]
    near, far = gap(0, 4), gap(0, 4.5)
    rules = partial(choices, "calibrated", isolation_distance=1e9)
    found = labels(crowd + other, rules(negative_quantile=0.1))  # threshold gap(0, 10)
    assert found["a", 1] == found["b", 50]
    assert found["a", 8] == found["b", 51]
    found = labels(crowd + other, rules(calibrated_distance=(near + far) / 2))
    assert found["a", 1] == found["b", 50]
    assert found["a", 8] != found["b", 51]


def test_without_strangers_the_embedders_threshold_stands():
    pair = [passage("a", 1, 0), passage("b", 2, 50)]
    config = choices("calibrated").model_copy(update={"min_similarity": math.cos(math.radians(51))})
    assert len(set(labels(pair, config).values())) == 1
    config = choices("calibrated").model_copy(update={"min_similarity": math.cos(math.radians(49))})
    assert len(set(labels(pair, config).values())) == 2


def test_no_appearance_is_an_error_with_a_remedy():
    with pytest.raises(ConfigError, match=r"electricity: expected tracklets with embeddings.*associate.method=graph"):
        associate([passage("a", 1)], PLACE, fixed())
    with pytest.raises(ConfigError, match=r"electricity.per_box.*embed.per_detection"):
        associate([passage("a", 1, 0)], PLACE, fixed(per_box=True))


def test_nothing_gives_nothing():
    assert associate([], PLACE, strict()) == []


# --- the naïve twin


def naive_overwrite(items, gallery, limit):
    identity = {id(p): ("local", p.tracklet.track_id) for p in items}
    held = {}
    for number, q in enumerate(items):
        found = gallery(q, limit)
        if not found:
            continue
        for d, member in [(min(d for d, _ in found), q), *found]:
            if d < held.get(id(member), math.inf):
                held[id(member)], identity[id(member)] = d, ("group", number)
    return identity


def naive_join(items, gallery, limit):
    parts = [[p] for p in items]
    place = {id(p): k for k, p in enumerate(items)}
    asked = [(d, q, g) for q in items for d, g in gallery(q, limit)]
    for _, q, g in sorted(asked, key=lambda c: (c[0], *sorted((place[id(c[1])], place[id(c[2])])))):
        [one] = [part for part in parts if q in part]
        [two] = [part for part in parts if g in part]
        cameras = [p.tracklet.camera_id for p in one + two]
        if one is not two and len(set(cameras)) == len(cameras):
            parts = [part for part in parts if part is not one and part is not two] + [one + two]
    return {id(p): k for k, part in enumerate(parts) for p in part}


def naive(passages, rules):
    items = sorted(passages, key=lambda p: (p.tracklet.camera_id, p.tracklet.track_id))
    if rules.mode != "strict":
        items = [p for p in items if len(p.tracklet) >= rules.min_boxes]

    def distance(q, g):
        if not len(q.embedding) or not len(g.embedding):
            return math.inf
        difference = rules.scale * (q.embedding.astype(float) - g.embedding.astype(float))
        return round(float((difference**2).sum()), 9)

    def gallery(q, limit):
        """What is left of everything after the filter, the best of each camera."""
        best = {}
        for g in items:
            if g.tracklet.camera_id == q.tracklet.camera_id:
                continue
            if rules.mode == "strict" and g.tracklet.track_id == q.tracklet.track_id:
                continue
            d = distance(q, g)
            if d <= limit and d < best.get(g.tracklet.camera_id, (math.inf,))[0]:
                best[g.tracklet.camera_id] = (d, g)
        return list(best.values())

    identity = (naive_overwrite if rules.mode == "strict" else naive_join)(items, gallery, rules.match_distance)
    groups = {}
    for p in items:
        if len(p.tracklet) >= rules.min_boxes and gallery(p, rules.isolation_distance):
            groups.setdefault(identity[id(p)], set()).add((p.tracklet.camera_id, p.tracklet.track_id))
    return {frozenset(group) for group in groups.values()}


@st.composite
def situations(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    passages = []
    for camera in "abcd"[: draw(st.integers(1, 4))]:
        for track_id in range(1, draw(st.integers(1, 6))):
            angle = float(rng.integers(0, 360)) if rng.random() < 0.9 else None
            passages.append(passage(camera, track_id, angle, boxes=int(rng.integers(18, 23))))
    rules = ElectricityConfig(
        mode=draw(st.sampled_from(["strict", "fixed"])),
        scale=draw(st.sampled_from([1.0, 2.0, 4.0, 8.0])),
    )
    return passages, rules, rng.permutation(len(passages))


@settings(max_examples=200, deadline=None)
@given(situations())
def test_equals_the_naive_twin_in_any_order(situation):
    passages, rules, order = situation
    if not any(len(p.embedding) for p in passages):
        return
    config = AssociateConfig(method="electricity", electricity=rules)
    tracks = associate(passages, PLACE, config)
    found = {frozenset((p.tracklet.camera_id, p.tracklet.track_id) for p in t.passages) for t in tracks}
    assert found == naive(passages, rules)
    again = associate([passages[k] for k in order], PLACE, config)
    assert [t.passages for t in again] == [t.passages for t in tracks]
