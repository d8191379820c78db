"""Transitions: candidates against all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.associate.transitions import (
    Transitions,
    ground_transitions,
    link_transitions,
    unconstrained_transitions,
)
from mtmc.multiview.likelihoods import travel_time_log_odds, travel_window_log_odds
from mtmc.multiview.trajectories import sample_trajectories
from mtmc.scene import Link
from tests.mtmc.associate.test_graph import passage, place

NOWHERE = np.full((2, 2), np.nan)


def seen(camera, track_id, since, until, entry="", exit="", embedding=()):
    return passage(f"c{camera}", track_id, np.array([since, until]), NOWHERE, embedding, entry, exit)


def times(passages):
    return np.array([p.tracklet.start_s for p in passages]), np.array([p.tracklet.end_s for p in passages])


def crowd(rng, n, cameras=3, span=100.0, dim=0):
    return [
        seen(
            rng.integers(cameras), k, s := rng.uniform(0, span), s + rng.uniform(1, 8), embedding=rng.normal(size=dim)
        )
        for k in range(n)
    ]


def pairs_of(trips):
    return set(zip(trips.a.tolist(), trips.b.tolist(), strict=True))


def test_journeys_along_links_by_hand():
    passages = [
        seen(0, 1, 0, 10, exit="out"),
        seen(0, 2, 0, 12),  # where it left was not seen
        seen(1, 3, 30, 40, entry="in"),
        seen(1, 4, 31, 40, entry="side"),
        seen(1, 5, 90, 99, entry="in"),
    ]
    timed = Link("c0", "out", "c1", "in", 15, 25, 20.0, 2.0, 0.5)
    trips = link_transitions(passages, place(timed), *times(passages))
    assert pairs_of(trips) == {(0, 2), (1, 2)}
    per_s = 1 / 99  # one comes by within the journeys' window, in 99 s
    sure = float(travel_time_log_odds(np.array(20.0), 20.0, 2.0, per_s)) + np.log(0.5)
    vague = float(travel_time_log_odds(np.array(18.0), 20.0, 2.0, per_s)) + np.log(0.5) - 1.0
    np.testing.assert_allclose(trips.log_odds, [sure, vague], rtol=1e-5)
    np.testing.assert_allclose(trips.time_s, [20, 18])
    window = Link("c0", "out", "c1", "in", 15, 25)
    odds = link_transitions(passages, place(window), *times(passages)).log_odds
    np.testing.assert_allclose(odds[0], travel_window_log_odds(10.0, per_s) + np.log(0.4), rtol=1e-5)


def test_a_journey_outside_of_a_window_loses_one_log_odds_per_second():
    window = Link("c0", "out", "c1", "in", 5, 10)
    passages = [
        seen(0, 1, 0, 10, exit="out"),
        *(seen(1, k, 10 + s, 60, entry="in") for k, s in enumerate([2, 3, 4.5, 11.5, 13])),
    ]
    trips = link_transitions(passages, place(window), *times(passages), slack_s=2.0)
    assert pairs_of(trips) == {(0, 2), (0, 3), (0, 4)}
    inside = float(travel_window_log_odds(5.0, 3 / 60)) + np.log(0.4)
    lost = dict(zip(trips.b.tolist(), (inside - trips.log_odds).tolist(), strict=True))
    assert lost == pytest.approx({2: 2.0, 3: 0.5, 4: 1.5}, abs=1e-5)


def test_any_journey_against_all_pairs():
    rng = np.random.default_rng(1)
    passages = crowd(rng, 60)
    camera = np.array([int(p.tracklet.camera_id[1]) for p in passages])
    start, end = times(passages)
    open_ = np.array([[False, True, False], [True, False, True], [False, True, False]])
    trips = unconstrained_transitions(open_, camera, start, end, 20.0, np.zeros((60, 0), np.float32))
    expected = {
        (a, b)
        for a in range(60)
        for b in range(60)
        if open_[camera[a], camera[b]] and start[a] < start[b] <= end[a] + 20.0
    }
    assert pairs_of(trips) == expected
    assert len(trips.a) == len(expected)
    np.testing.assert_allclose(trips.time_s, start[trips.b] - end[trips.a], rtol=1e-5)
    routes = {(int(camera[a]), int(camera[b])) for a, b in expected}
    assert len(trips.per_s) == len(routes)


def test_in_a_crowd_the_most_alike_are_kept():
    rng = np.random.default_rng(2)
    passages = crowd(rng, 700, cameras=2, span=5.0, dim=8)
    camera = np.array([int(p.tracklet.camera_id[1]) for p in passages])
    vectors = np.array([p.embedding for p in passages])
    start, end = times(passages)
    open_ = ~np.eye(2, dtype=bool)
    trips = unconstrained_transitions(open_, camera, start, end, 60.0, vectors)
    for a in (np.argsort(start)[0], np.argsort(start)[100]):
        able = np.flatnonzero((camera != camera[a]) & (start > start[a]))
        best = able[np.argsort(-(vectors[able] @ vectors[a]))[:64]]
        assert set(trips.b[trips.a == a].tolist()) == set(best.tolist())


def test_over_the_ground_the_likely_speed_is_preferred():
    def drive(track_id, camera, since, at, velocity):
        time = since + np.arange(11) / 10
        return passage(f"c{camera}", track_id, time, np.asarray(at, float) + (time - since)[:, None] * velocity)

    east = np.array([10.0, 0.0])
    passages = [
        drive(1, 0, 0.0, (0, 0), east),
        drive(2, 1, 14.0, (110, 0), east),  # 100 m in 13 s
        drive(3, 1, 59.0, (110, 0), east),  # the same way in 58 s
        drive(4, 1, 14.0, (110, 0), -east),  # came from the other side
    ]
    trajectories = sample_trajectories(passages)
    camera = np.array([0, 1, 1, 1])
    open_ = np.array([[False, True], [False, False]])
    trips = ground_transitions(open_, camera, trajectories, 90.0, 8.0, 1.0)
    odds = dict(zip(trips.b.tolist(), trips.log_odds.tolist(), strict=True))
    assert odds[1] > odds[2]
    assert odds[1] > odds[3]
    assert pairs_of(ground_transitions(open_, camera, trajectories, 20.0, 8.0, 1.0)) == {(0, 1), (0, 3)}


def test_a_city_is_searched_among_neighbors_only():
    """Thirty cameras in a row: journeys lead to the dozen nearest, or from them, and to no others."""
    passages = []
    for k in range(30):
        time = 2.0 * k + np.arange(5) / 10
        passages.append(passage(f"c{k}", k, time, np.stack([100.0 * k + 8 * (time - time[0]), 0 * time], axis=1)))
    camera = np.arange(30)
    trips = ground_transitions(~np.eye(30, dtype=bool), camera, sample_trajectories(passages), 1e4, 50.0, 0.0)
    nearest = {k: sorted(range(30), key=lambda m: (abs(m - k), m))[1:13] for k in range(30)}
    expected = {(a, b) for a in range(30) for b in range(a + 1, 30) if b in nearest[a] or a in nearest[b]}
    assert pairs_of(trips) == expected


@pytest.mark.parametrize("parts", [0, 2])
def test_joined_journeys_keep_their_routes_apart(parts):
    a, b = np.arange(10, dtype=np.int32), np.arange(10, 20, dtype=np.int32)
    zeros = np.zeros(10, np.float32)
    trips = Transitions(a, b, np.zeros(10, np.int32), zeros, zeros, np.array([0.1]), np.zeros((1, 3), np.int64))
    joined = Transitions.concatenate([trips] * parts)
    assert joined.route.tolist() == [k for k in range(parts) for _ in range(10)]
    assert len(joined.per_s) == parts
