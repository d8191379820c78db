"""Journeys between grounds that lie roughly to one another, against a pair by pair computation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.aligned_planes import cross_plane_transitions, to_common_plane
from mtmc.associate.evidence import gather_evidence
from mtmc.associate.fitting import fit_alignment
from mtmc.associate.transitions import unconstrained_transitions
from mtmc.geometry.clock import Clock
from mtmc.multiview.likelihoods import drive_density
from mtmc.multiview.trajectories import PLANE_SPACING_M, ground_planes_of, sample_trajectories
from mtmc.scene import Camera, PlaneAlignment, Scene
from tests.mtmc.associate.test_graph import partition, passage

#: The second view lies 120 m up the first one's x axis, seen by a camera that looks the other way.
THERE = PlaneAlignment("b", "", 180.0, (120.0, 0.0))


def scene(*plane_alignments):
    cameras = (
        Camera("c0", 1, Clock(10.0), ground_from_image=np.eye(3)),
        Camera("c1", 2, Clock(10.0), ground_from_image=np.eye(3), ground_plane="b"),
    )
    return Scene("test", Path(), cameras, plane_alignments=plane_alignments)


def driven(camera, track_id, since, until, begin, velocity, look=()):
    """Someone who drives straight on, on the camera's own ground."""
    time = np.arange(since, until, 0.5)
    ground = np.array(begin, float) + (time - since)[:, None] * np.array(velocity, float)
    return replace(passage(camera, track_id, time, ground, look), ground_plane="" if camera == "c0" else "b")


def traffic():
    """Four who drive from the first view to the second at 10 m/s, 6 s out of sight, and two who come towards them."""
    out = []
    for k in range(4):
        at = 5.0 * k
        out.append(driven("c0", k, at, at + 3.5, (0, 2), (10, 0)))
        out.append(driven("c1", k, at + 9, at + 12.5, (30, -2), (-10, 0)))
    for k in (10, 11):
        at = 3.0 + 6 * (k - 10)
        out.append(driven("c1", k, at, at + 3.5, (0, 2), (10, 0)))
        out.append(driven("c0", k, at + 9, at + 12.5, (30, -2), (-10, 0)))
    return out


def test_ways_laid_out_by_hand():
    passages = traffic()
    trajectories = sample_trajectories(passages)
    laid = to_common_plane(trajectories, ground_planes_of(passages), scene(THERE).plane_transforms())
    assert set(laid.plane) == {0}
    own = trajectories.plane[trajectories.owner] == 1
    np.testing.assert_allclose(laid.xy[own], [120, 0] - (trajectories.xy[own] - PLANE_SPACING_M), atol=1e-9)
    np.testing.assert_allclose(laid.velocity[own], -trajectories.velocity[own], atol=1e-9)
    np.testing.assert_array_equal(laid.xy[~own], trajectories.xy[~own])
    apart = to_common_plane(trajectories, ground_planes_of(passages), scene().plane_transforms())
    np.testing.assert_array_equal(apart.xy, trajectories.xy)
    np.testing.assert_array_equal(apart.plane, trajectories.plane)


def test_planes_rest_on_one_that_no_camera_sees():
    """Ways on two grounds that both rest on a third, which none of these passages is on."""
    passages = [p for p in traffic() if p.ground_plane == "b"]
    trajectories = sample_trajectories(passages)
    laid = to_common_plane(trajectories, ground_planes_of(passages), scene(THERE).plane_transforms())
    assert set(laid.plane) == {1}
    np.testing.assert_allclose(laid.xy - PLANE_SPACING_M, [120, 0] - trajectories.xy, atol=1e-6)


def test_journeys_between_planes_against_every_pair():
    passages = traffic()
    laid = to_common_plane(sample_trajectories(passages), ground_planes_of(passages), scene(THERE).plane_transforms())
    camera = np.array([int(p.tracklet.camera_id[1]) for p in passages])
    open_ = ~np.eye(2, dtype=bool)
    blank = np.zeros((len(passages), 0), np.float32)
    trips = cross_plane_transitions(open_, camera, laid, 20.0, blank)
    flat = unconstrained_transitions(open_, camera, laid.start_s, laid.end_s, 20.0, blank)
    assert len(trips.a)
    for a, b, route, seconds, odds, before in zip(
        trips.a, trips.b, trips.route, trips.time_s, trips.log_odds, flat.log_odds, strict=True
    ):
        here, there = laid.xy[laid.last[a]], laid.xy[laid.first[b]]
        going, coming = laid.velocity[laid.last[a]], laid.velocity[laid.first[b]]
        step = there - here
        meters, speed = np.hypot(*step), (np.hypot(*going) + np.hypot(*coming)) / 2
        log_ratio = np.log(drive_density(np.array(max(seconds, 0.5)), np.array(meters), np.array(speed)) + 1e-9)
        log_ratio -= np.log(trips.per_s[route])
        for velocity in (going, coming):
            log_ratio += 3 * (velocity @ step) / (np.hypot(*velocity) * meters) - np.log(np.i0(3.0))
        both = 3.0 if seconds < -1 else 0.0  # seen on two grounds at once
        known = np.log(0.9 * np.exp(np.clip(log_ratio, -12, 4)) + 0.1 * np.exp(before)) - both
        assert odds == pytest.approx(known, abs=1e-4)
    true = {(a, b) for a, b in zip(trips.a, trips.b, strict=True) if _one(passages[a], passages[b])}
    worst = min(o for a, b, o in zip(trips.a, trips.b, trips.log_odds, strict=True) if (a, b) in true)
    towards = [
        o for a, b, o in zip(trips.a, trips.b, trips.log_odds, strict=True) if _opposite(passages[a], passages[b])
    ]
    assert worst > max(towards)


def _one(p, q):
    return p.tracklet.track_id == q.tracklet.track_id


def _opposite(p, q):
    return (p.tracklet.track_id < 10) != (q.tracklet.track_id < 10)


def test_a_placement_tells_who_is_who():
    rng = np.random.default_rng(4)
    looks = {k: rng.standard_normal(16) for k in (*range(4), 10, 11)}
    passages = [
        replace(p, embedding=(v / np.linalg.norm(v)).astype(np.float32))
        for p in traffic()
        for v in [looks[p.tracklet.track_id] + 0.5 * rng.standard_normal(16)]
    ]
    truth = {frozenset({("c0", k), ("c1", k)}) for k in looks}
    assert partition(associate(passages, scene(THERE), AssociateConfig(method="graph"))) == truth
    assert partition(associate(passages[::-1], scene(THERE), AssociateConfig(method="graph"))) == truth


def test_grounds_laid_out_rule_out_and_continue_as_one_does():
    """Drawn on one ground and on two of which one is laid onto the other: the same candidates, the same verdicts."""
    passages = [driven("c0", 0, 0.0, 3.5, (0, 2), (10, 0))]  # to 30 m up the road, and on into the second view
    passages += [driven("c1", k, 9.0 + k, 12.5 + k, (30, -2), (-10, 0)) for k in range(3)]
    passages.append(driven("c1", 5, 1.0, 3.5, (30, -2), (-10, 0)))  # 90 m away at the same moments
    one = Scene("test", Path(), tuple(replace(c, ground_plane="") for c in scene().cameras))
    turned = [[120, 0] - p.ground_m if p.ground_plane else p.ground_m for p in passages]
    drawn = [replace(p, ground_plane="", ground_m=ground) for p, ground in zip(passages, turned, strict=True)]
    worlds = [(drawn, one), (passages, scene(THERE)), (passages, scene())]
    config = AssociateConfig()
    found = [gather_evidence(fit_alignment(p, s, config), s, config) for p, s in worlds]
    verdicts = [[evidence.constraints.conflict([0], [k]) for k in range(1, 5)] for evidence in found]
    assert verdicts == [[False, False, False, True]] * 2 + [[False] * 4]
    positions = [evidence.continued_position for evidence in found]
    assert len(positions[0].rows)
    np.testing.assert_array_equal(found[0].pairs[positions[0].rows], found[1].pairs[positions[1].rows])
    np.testing.assert_allclose(positions[0].log_odds, positions[1].log_odds, atol=1e-9)
    np.testing.assert_allclose(found[0].continued_heading.log_odds, found[1].continued_heading.log_odds, atol=1e-9)
    assert not len(positions[2].rows)  # no continuation between planes that are not aligned
