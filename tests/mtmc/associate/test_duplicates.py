"""Tracklets of one camera that lie on each other, against a twin that compares every box, and what follows."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.config import GraphConfig
from mtmc.associate.duplicates import MIN_IOU, duplicate_candidates
from mtmc.associate.graph import candidate_graph
from mtmc.multiview.likelihoods import iou_log_odds
from tests.mtmc.associate.test_graph import partition, passage, place


def boxed(camera, track_id, frame, xyxy, ground=None):
    """Boxes at the given frames, ten frames a second; one box stands for all of them."""
    frame = np.asarray(frame)
    at = np.full((len(frame), 2), np.nan) if ground is None else np.broadcast_to(ground, (len(frame), 2))
    plain = passage(camera, track_id, frame / 10, at)
    boxes = np.broadcast_to(np.asarray(xyxy, np.float32), (len(frame), 4)).copy()
    return replace(plain, tracklet=replace(plain.tracklet, frame=frame, xyxy=boxes))


def constraints_of(passages, scene=None, **choices):
    config = AssociateConfig(graph=GraphConfig(**choices))
    return candidate_graph(passages, scene or place(), config)[1]


def naive_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def test_against_every_box():
    """Up to 15 frames in common are all looked at; nothing is interpolated where one of them has a hole."""
    rng = np.random.default_rng(1)
    passages = []
    for k in range(40):
        frame = np.flatnonzero(rng.random(15) < 0.8) + 5 * rng.integers(0, 3)
        corner = rng.uniform(0, 30, 2) + np.cumsum(rng.normal(0, 1, (len(frame), 2)), axis=0)
        passages.append(
            boxed(f"c{k % 2}", k, frame, np.concatenate([corner, corner + rng.uniform(30, 50, 2)], axis=1))
        )
    camera = np.array([k % 2 for k in range(40)])
    expected = {}
    for i, j in combinations(range(40), 2):
        a, b = passages[i].tracklet, passages[j].tracklet
        common, at_a, at_b = np.intersect1d(a.frame, b.frame, return_indices=True)
        if camera[i] == camera[j] and len(common):
            iou = np.median([naive_iou(a.xyxy[p], b.xyxy[q]) for p, q in zip(at_a, at_b, strict=True)])
            if iou >= MIN_IOU:
                expected[i, j] = iou
    pairs, iou = duplicate_candidates(passages, camera)
    assert len(expected) > 20
    assert [tuple(p) for p in pairs.tolist()] == sorted(expected)
    np.testing.assert_allclose(iou, [expected[p] for p in sorted(expected)], rtol=1e-5)


def test_the_more_they_overlap_the_better():
    odds = iou_log_odds(np.linspace(MIN_IOU, 1, 50))
    assert (np.diff(odds) >= 0).all()
    assert odds[0] < 0 < odds[-1]


def test_a_late_handover_is_one_vehicle_and_two_vehicles_are_two():
    early = boxed("c0", 1, np.arange(0, 50), (100, 100, 200, 160))
    late = boxed("c0", 2, np.arange(40, 90), (104, 102, 204, 162))
    behind = boxed("c0", 3, np.arange(0, 90), (170, 100, 270, 160))
    found = partition(associate([early, late, behind], place(), AssociateConfig()))
    assert found == {frozenset({("c0", 1), ("c0", 2)}), frozenset({("c0", 3)})}


def test_doubles_are_doubles_within_one_camera_only():
    pair = [boxed(c, 1, np.arange(20), (100, 100, 200, 160)) for c in ("c0", "c1")]
    assert len(duplicate_candidates(pair, np.array([0, 1]))[0]) == 0
    assert len(duplicate_candidates([], np.zeros(0, np.int64))[0]) == 0


BOX = (10, 10, 50, 40)


@pytest.mark.parametrize(
    ("spans", "excluded"),
    [
        ([(0, 0, 10), (0, 15, 20)], False),  # 5 s away
        ([(0, 0, 10), (0, 30, 40)], True),  # 20 s away
        ([(0, 0, 10), (0, 15, 20), (0, 26, 30)], False),  # twice 5 and 6 s away
        ([(0, 0, 10), (1, 8, 31), (0, 30, 40)], False),  # meanwhile in sight of another camera
        ([(0, 0, 10), (1, 15, 24), (0, 30, 40)], True),  # 5 + 6 s out of everybody's sight
        ([(0, 0, 10), (1, 12, 26), (0, 30, 40)], False),  # 2 + 4 s
        ([(0, 0, 10), (0, 8, 20)], True),  # twice in one picture
    ],
)
def test_who_may_come_back(spans, excluded):
    """(camera, from, to) in seconds, first against the others; at most 8 s away."""
    corner = {c: np.asarray(BOX) + 100 * k for k, c in enumerate(range(2))}
    passages = [
        boxed(f"c{c}", k, np.arange(10 * a, 10 * b + 1), corner[c] + 60 * k) for k, (c, a, b) in enumerate(spans)
    ]
    constraints = constraints_of(passages, max_reentry_gap_s=8.0)
    for k in range(len(passages)):
        others = [m for m in range(len(passages)) if m != k]
        if k in (0, len(passages) - 1):
            assert constraints.conflict([k], others) == excluded
            assert constraints.conflict(others, [k]) == excluded


def test_the_order_of_doubles_does_not_matter():
    rng = np.random.default_rng(2)
    passages = []
    for k in range(30):
        frame = np.arange(rng.integers(0, 40), rng.integers(45, 90))
        corner = rng.uniform(0, 150, 2)
        look = np.eye(8)[k % 8] + 0.1 * rng.standard_normal(8)
        one = boxed(f"c{k % 2}", k, frame, [*corner, *(corner + 60)])
        passages.append(replace(one, embedding=(look / np.linalg.norm(look)).astype(np.float32)))
    names = [[(p.tracklet.camera_id, p.tracklet.track_id) for p in t.passages]
             for t in associate(passages, place(), AssociateConfig())]  # fmt: skip
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(passages))
        again = associate([passages[k] for k in order], place(), AssociateConfig())
        assert names == [[(p.tracklet.camera_id, p.tracklet.track_id) for p in t.passages] for t in again]
