"""The graph method: its solver against every partition there is, clocks and calibrations against a known world."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.correlation_clustering import PairwiseLogOdds, greedy_edge_contraction, local_search
from mtmc.geometry.clock import Clock
from mtmc.multiview.arrays import mutual_nearest
from mtmc.multiview.clock_sync import estimate_clock_offsets
from mtmc.multiview.co_observation import find_co_observations
from mtmc.multiview.registration import fit_calibration_correction
from mtmc.multiview.trajectories import TICK_S, sample_trajectories
from mtmc.scene import Camera, Link, Scene
from mtmc.types import Passage, Tracklet


def passage(camera, track_id, time_s, ground, embedding=(), entry="", exit=""):
    time_s = np.asarray(time_s, float)
    n = len(time_s)
    tracklet = Tracklet(
        camera,
        track_id,
        np.arange(n),
        time_s,
        np.zeros((n, 4), np.float32),
        np.ones(n, np.float32),
        0,
        np.zeros((n, 0), np.float32),
    )
    vector = np.asarray(embedding, np.float32)
    if len(vector):
        vector = vector / np.linalg.norm(vector)
    return Passage(tracklet, vector, entry, exit, np.asarray(ground, float))


def place(*links, cameras=3):
    return Scene("test", Path(), tuple(Camera(f"c{k}", k + 1, Clock(10.0)) for k in range(cameras)), links)


def partition(tracks):
    return {frozenset((p.tracklet.camera_id, p.tracklet.track_id) for p in t.passages) for t in tracks}


def town(rng, vehicles=40, *, start=(0.0, 0.0, 0.0), lost=None, bend=None, split=0.0, dim=16):
    """Vehicles crossing a square that cameras c0, c1 and c2 all see; who is who, as a set of groups.

    ``start``: by how much each clock is slow. ``lost``: (camera, from, to), seconds without frames, of which its
    clock knows nothing.
    """
    passages, groups, count = [], [], 0
    for k in range(vehicles):
        begin = 4.0 * k + rng.uniform(0, 3)
        angle = rng.choice([0.0, np.pi / 2, np.pi, 3 * np.pi / 2])
        direction = np.array([np.cos(angle), np.sin(angle)])
        side = np.array([-direction[1], direction[0]]) * rng.choice([2.0, 6.0])
        speed = rng.uniform(6, 14)
        look = rng.standard_normal(dim)
        mine = []
        for c in range(3):
            since, until = begin + rng.uniform(0, 1), begin + 80 / speed - rng.uniform(0, 1)
            time = np.arange(np.ceil(since * 10), until * 10) / 10
            if lost and c == lost[0]:
                time = time[(time <= lost[1]) | (time > lost[2])]
            ground = (time - begin)[:, None] * speed * direction - 40 * direction + side
            ground = ground + rng.normal(0, 0.2, ground.shape)
            seen = time - start[c]
            if lost and c == lost[0]:
                seen = np.where(time > lost[2], seen - (lost[2] - lost[1]), seen)
            if bend:
                ground = bend(c, ground)
            vector = look + 0.7 * rng.standard_normal(dim)
            parts = np.array_split(np.arange(len(time)), 2 if rng.random() < split else 1)
            for part in parts:
                count += 1
                passages.append(passage(f"c{c}", count, seen[part][2:-2], ground[part][2:-2], vector))
                mine.append((f"c{c}", count))
        groups.append(frozenset(mine))
    return passages, set(groups)


def partitions(items):
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for smaller in partitions(rest):
        yield [[first], *smaller]
        for k in range(len(smaller)):
            yield [*smaller[:k], [first, *smaller[k]], *smaller[k + 1 :]]


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.data())
def test_the_solver_against_every_partition(n, data):
    pairs = np.array(list(combinations(range(n), 2)))
    odds = np.array(data.draw(st.lists(st.integers(-9, 9), min_size=len(pairs), max_size=len(pairs)))) / 3
    camera = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))

    def excluded(these, those):
        return any(camera[i] == camera[j] for i in these for j in those)

    known = PairwiseLogOdds(n, pairs[:, 0] * n + pairs[:, 1], odds)
    labels = local_search(known, greedy_edge_contraction(known, excluded), excluded)
    found = [np.flatnonzero(labels == k).tolist() for k in np.unique(labels)]
    assert all(len({camera[i] for i in group}) == len(group) for group in found)
    best = max(
        sum(odds[k] for k, (a, b) in enumerate(pairs) if any(a in g and b in g for g in groups))
        for groups in partitions(list(range(n)))
        if all(len({camera[i] for i in g}) == len(g) for g in groups)
    )
    reached = sum(odds[k] for k, (a, b) in enumerate(pairs) if labels[a] == labels[b])
    assert np.isclose(reached, known.objective(labels))
    assert reached >= known.objective(greedy_edge_contraction(known, excluded)) - 1e-9
    assert 0 <= reached <= best + 1e-9
    assert reached >= 0.5 * best - 1e-9


def test_places_on_different_planes_are_not_compared():
    """Two cameras whose grounds coincide by accident only: as much is known as if neither had one."""
    rng = np.random.default_rng(8)
    look = rng.standard_normal((12, 16))
    time = np.arange(0, 40) / 10
    ahead = np.stack([8 * time, 0 * time], axis=1)
    passages = [passage("c0", k, time + 10 * k, ahead, look[k]) for k in range(12)]
    other = [passage("c1", k, time + 10 * k + 6, ahead + np.array([900, 3 * k]), look[k]) for k in range(12)]
    true = {frozenset({("c0", k), ("c1", k)}) for k in range(12)}
    config = AssociateConfig(method="graph")
    one_plane = associate([*passages, *other], place(cameras=2), config)
    two_planes = associate([*passages, *(replace(p, ground_plane="far") for p in other)], place(cameras=2), config)
    unplaced = [replace(p, ground_m=np.full_like(p.ground_m, np.nan)) for p in other]
    assert not partition(one_plane) & true  # 900 m in six seconds
    assert partition(two_planes) == true
    assert partition(two_planes) == partition(associate([*passages, *unplaced], place(cameras=2), config))


def test_ways_are_straight_lines_through_what_is_near():
    time = np.arange(0, 30) / 10 + 0.03
    trajectories = sample_trajectories([passage("c0", 1, time, np.stack([3 * time + 1, -2 * time], axis=1))])
    moment = trajectories.tick * TICK_S
    np.testing.assert_allclose(trajectories.xy, np.stack([3 * moment + 1, -2 * moment], axis=1), atol=1e-9)
    np.testing.assert_allclose(trajectories.velocity, np.tile([3.0, -2.0], (len(moment), 1)), atol=1e-9)
    assert (trajectories.first.tolist(), trajectories.last.tolist()) == ([0], [len(moment) - 1])


def test_meetings_against_all_pairs():
    rng = np.random.default_rng(4)
    passages, _ = town(rng, 25)
    camera = np.array([int(p.tracklet.camera_id[1]) for p in passages])
    trajectories = sample_trajectories(passages)
    expected = {}
    for i, j in combinations(range(len(trajectories.owner)), 2):
        a, b = sorted((trajectories.owner[i], trajectories.owner[j]))
        far = float(np.hypot(*(trajectories.xy[i] - trajectories.xy[j])))
        if trajectories.tick[i] == trajectories.tick[j] and camera[a] != camera[b] and far <= 10:
            expected.setdefault((int(a), int(b)), []).append(far)
    found = find_co_observations(trajectories, camera, 10.0)
    assert [tuple(pair) for pair in found.pairs.tolist()] == sorted(expected)
    np.testing.assert_allclose(found.distance_m, [np.median(expected[k]) for k in sorted(expected)])


@pytest.mark.parametrize("seed", range(5))
def test_mutual_best_against_a_twin(seed):
    """Of equally near ones the first counts."""
    rng = np.random.default_rng(seed)
    camera = rng.integers(0, 3, 12)
    pairs = np.array([p for p in combinations(range(12), 2) if camera[p[0]] != camera[p[1]] and rng.random() < 0.6])
    meters = rng.integers(0, 4, len(pairs)).astype(float)

    def sides(k):
        first, second = pairs[k]
        forward = [r for r, p in enumerate(pairs) if p[0] == first and camera[p[1]] == camera[second]]
        back = [r for r, p in enumerate(pairs) if p[1] == second and camera[p[0]] == camera[first]]
        return [min(rows, key=lambda r: (meters[r], r)) for rows in (forward, back)]

    expected = [k for k in range(len(pairs)) if sides(k) == [k, k]]
    assert mutual_nearest(pairs, meters, camera).tolist() == expected


def test_a_calibration_that_is_off_is_turned_and_shifted_back():
    rng = np.random.default_rng(5)
    angle = np.deg2rad(3.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    passages, _ = town(rng, 40, bend=lambda c, xy: xy @ turn.T + [3.0, -2.5] if c == 1 else xy)
    camera = np.array([int(p.tracklet.camera_id[1]) for p in passages])
    trajectories = sample_trajectories(passages)

    def error(these):
        met = find_co_observations(these, camera, 25.0)
        return float(np.median(met.distance_m[mutual_nearest(met.pairs, met.distance_m, camera)]))

    assert error(trajectories) > 2.0
    assert error(fit_calibration_correction(trajectories, camera, 25.0).apply(trajectories, camera)) < 0.5


def test_lost_frames_and_drift_are_found_without_labels():
    rng = np.random.default_rng(6)
    passages, _ = town(rng, 40, start=(0.0, 0.0, 1.5), lost=(1, 80.0, 84.0))
    camera = np.array([int(p.tracklet.camera_id[1]) for p in passages])
    trajectories = sample_trajectories(passages)
    offsets = estimate_clock_offsets(trajectories, camera)
    middle = (trajectories.start_s + trajectories.end_s) / 2
    shift = offsets.at(middle, camera)
    zero = [np.median(shift[(camera == 0) & (np.abs(middle - t) < 20)]) for t in (40, 120)]
    one = [np.median(shift[(camera == 1) & (np.abs(middle - t) < 20)]) for t in (40, 120)]
    two = [np.median(shift[(camera == 2) & (np.abs(middle - t) < 20)]) for t in (40, 120)]
    np.testing.assert_allclose(np.subtract(one, zero), [0.0, 4.0], atol=0.4)
    np.testing.assert_allclose(np.subtract(two, zero), [1.5, 1.5], atol=0.4)


def test_clocks_that_agree_are_left_alone():
    passages, _ = town(np.random.default_rng(7), 40)
    camera = np.array([int(p.tracklet.camera_id[1]) for p in passages])
    assert estimate_clock_offsets(sample_trajectories(passages), camera) is None


@pytest.mark.parametrize("embeddings", [True, False])
def test_overlapping_views_with_everything_wrong(embeddings):
    rng = np.random.default_rng(8)
    passages, expected = town(
        rng,
        40,
        lost=(1, 90.0, 93.0),
        bend=lambda c, xy: xy * 1.03 + [2.0, 1.0] if c == 2 else xy,
        split=0.2,
    )
    if not embeddings:
        passages = [Passage(p.tracklet, np.zeros(0, np.float32), p.entry, p.exit, p.ground_m) for p in passages]
    found = partition(associate(passages, place(), AssociateConfig()))
    assert len(found & expected) >= 0.9 * len(expected)


def test_the_order_of_the_input_does_not_matter():
    rng = np.random.default_rng(9)
    passages, _ = town(rng, 25, split=0.3)
    links = (Link("c0", "", "c1", "", -20, 5), Link("c1", "", "c2", "", 0, 30, 10.0, 3.0, 0.5))
    config = AssociateConfig()
    tracks = associate(passages, place(*links), config)
    numbers = [[(p.tracklet.camera_id, p.tracklet.track_id) for p in t.passages] for t in tracks]
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(passages))
        again = associate([passages[k] for k in order], place(*links), config)
        assert numbers == [[(p.tracklet.camera_id, p.tracklet.track_id) for p in t.passages] for t in again]


def test_distant_views_by_link_and_looks():
    """Ten vehicles go from c0 to c1 in 20 s; nothing but the link and their looks tells."""
    rng = np.random.default_rng(10)
    unknown = np.full((20, 2), np.nan)
    passages, expected = [], set()
    for k in range(10):
        look = rng.standard_normal(16)
        for c, since in ((0, 3.0 * k), (1, 3.0 * k + 22 + rng.normal(0, 1))):
            time = since + np.arange(20) / 10
            vector = look + 0.5 * rng.standard_normal(16)
            passages.append(passage(f"c{c}", k + 1, time, unknown, vector, exit="out", entry="in"))
        expected.add(frozenset({("c0", k + 1), ("c1", k + 1)}))
    link = Link("c0", "out", "c1", "in", 15, 25, 20.0, 1.5, 1.0)
    assert partition(associate(passages, place(link), AssociateConfig())) == expected


def test_nothing_is_joined_that_is_in_two_places_at_once():
    time = np.arange(40) / 10
    here = np.stack([5 * time, np.zeros(40)], axis=1)
    look = (1.0, 0.0)
    passages = [passage("c0", 1, time, here, look), passage("c1", 1, time, here + np.array([0.0, 90.0]), look)]
    assert len(associate(passages, place(), AssociateConfig())) == 2
    assert len(associate(passages, place(), AssociateConfig(use_ground=False))) >= 1
