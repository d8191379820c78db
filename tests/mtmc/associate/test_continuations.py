"""Courses run on over the ground, against all pairs and a table worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.associate.continuations import continuation_candidates
from mtmc.multiview.trajectories import sample_trajectories
from tests.mtmc.associate.test_graph import passage

CHOICES = {
    "max_extrapolation_s": 6.0,
    "max_reentry_gap_s": 4.0,
    "sigma_m": 1.0,
    "extrapolation_sigma_mps": 1.0,
    "per_m2": 0.002,
}


def straight(camera, track_id, since, until, at, velocity):
    """Seen ten times a second, at ``at`` when first seen."""
    time = np.arange(round(since * 10), round(until * 10) + 1) / 10
    ground = np.asarray(at, float) + (time - time[0])[:, None] * np.asarray(velocity, float)
    return passage(camera, track_id, time, ground)


def test_by_hand():
    """Lost at (20, 0) with 10 m/s, seen again 2 s later at (41, 0): halves meet 1 m apart, straight ahead."""
    trajectories = sample_trajectories(
        [straight("c0", 1, 0, 2, (0, 0), (10, 0)), straight("c1", 2, 4, 6, (41, 0), (10, 0))],
    )
    found = continuation_candidates(trajectories, np.array([0, 1]), **CHOICES)
    sigma = 1.0 + 1.0 * 2 + 0.1 * 10 * 2
    place = -np.log(2 * np.pi * sigma**2 * 0.002) - 1.0 / (2 * sigma**2)
    heading = 1.0 - np.log(np.i0(1.0))
    assert found.pairs.tolist() == [[0, 1]]
    np.testing.assert_allclose(found.position, [place], atol=1e-6)
    np.testing.assert_allclose(found.heading, [heading], atol=1e-6)


@pytest.mark.parametrize(("camera", "gap", "found"), [(1, 5, True), (0, 5, False), (0, 3, True), (1, 7, False)])
def test_how_long_out_of_sight(camera, gap, found):
    """Six seconds to another camera, four to the same one."""
    trajectories = sample_trajectories(
        [
            straight("c0", 1, 0, 2, (0, 0), (10, 0)),
            straight(f"c{camera}", 2, 2 + gap, 4 + gap, (20 + 10 * gap, 0), (10, 0)),
        ]
    )
    assert bool(len(continuation_candidates(trajectories, np.array([0, camera]), **CHOICES).pairs)) == found


def test_a_turn_speaks_against():
    def odds(velocity):
        trajectories = sample_trajectories(
            [straight("c0", 1, 0, 2, (0, 0), (6, 0)), straight("c1", 2, 2.5, 4, (15, 0), velocity)],
        )
        found = continuation_candidates(trajectories, np.array([0, 1]), **CHOICES)
        return float(found.position[0] + found.heading[0])

    assert odds((6, 0)) > odds((0, 6)) > odds((-6, 0))


def test_against_all_pairs():
    rng = np.random.default_rng(3)
    passages = [
        straight(
            f"c{rng.integers(3)}", k, since := rng.uniform(0, 60), since + rng.uniform(1, 4),
            rng.uniform(-60, 60, 2), rng.normal(0, 6, 2),
        )
        for k in range(60)
    ]  # fmt: skip
    camera = np.array([int(p.tracklet.camera_id[1]) for p in passages])
    trajectories = sample_trajectories(passages)
    pairs = continuation_candidates(trajectories, camera, **CHOICES).pairs
    expected = set()
    for a in range(60):
        for b in range(60):
            gap = trajectories.start_s[b] - trajectories.end_s[a]
            longest = CHOICES["max_reentry_gap_s"] if camera[a] == camera[b] else CHOICES["max_extrapolation_s"]
            if a == b or gap > longest or gap <= (0 if camera[a] == camera[b] else -1):
                continue
            i, j = trajectories.last[a], trajectories.first[b]
            t = max((trajectories.tick[j] - trajectories.tick[i]) / 2, 0.0)
            here, there = (
                trajectories.xy[i] + trajectories.velocity[i] * t / 2,
                trajectories.xy[j] - trajectories.velocity[j] * t / 2,
            )
            fast = max(np.hypot(*trajectories.velocity[i]), np.hypot(*trajectories.velocity[j]))
            if np.hypot(*(here - there)) < 4 * (1.0 + t + 0.1 * fast * t):
                expected.add((a, b))
    assert len(expected) > 5
    assert {tuple(p) for p in pairs.tolist()} == expected
    assert len(pairs) == len(expected)


def test_without_ways_there_are_no_courses():
    nowhere = passage("c0", 1, np.arange(5) / 10, np.full((5, 2), np.nan))
    found = continuation_candidates(sample_trajectories([nowhere]), np.array([0]), **CHOICES)
    assert (found.pairs.shape, found.position.shape) == ((0, 2), (0,))
