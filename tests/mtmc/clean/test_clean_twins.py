"""Clean-up against naive twins: loops over observations and pairs, each formula written out."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.clean.filter import TrackletFilterConfig, filter_tracklets
from mtmc.clean.interpolate import InterpolateConfig, interpolate
from mtmc.clean.join import JoinConfig, _costs
from mtmc.clean.motion import velocity_after, velocity_before
from mtmc.clean.occlusion import OcclusionConfig, drop_occluded
from mtmc.clean.split import SplitConfig, _appearance_score, _jump_score, _turn_score
from mtmc.geometry.clock import Clock
from mtmc.types import Array, Tracklet

CLOCK = Clock(fps=5)


def random_tracklet(rng: np.random.Generator, length: int, first: int, track_id: int, dim: int = 3) -> Tracklet:
    frame = first + np.cumsum(rng.integers(1, 3, length))
    center = np.cumsum(rng.normal(0, 12, (length, 2)), axis=0) + 300
    half = rng.uniform(15, 30, (length, 2))
    xyxy = np.concatenate([center - half, center + half], axis=1).astype(np.float32)
    appearance = rng.normal(0.4, 1, (length, dim)).astype(np.float32)
    score = np.full(length, 0.8, np.float32)
    return Tracklet("c", track_id, frame, CLOCK.time_s(frame), xyxy, score, 1, appearance)


def center(box: Array) -> Array:
    return np.array([float(box[0]) + float(box[2]), float(box[1]) + float(box[3])]) / 2


def diagonal(box: Array) -> float:
    return float(np.hypot(float(box[2]) - float(box[0]), float(box[3]) - float(box[1])))


def position_at(tracklet: Tracklet, time_s: float) -> Array:
    points = np.array([center(box) for box in tracklet.xyxy])
    return np.array([np.interp(time_s, tracklet.time_s, points[:, axis]) for axis in range(2)])


def velocity(tracklet: Tracklet, i: int, offset_s: float) -> tuple[Array, float]:
    time = float(tracklet.time_s[i])
    other = min(max(time + offset_s, float(tracklet.time_s[0])), float(tracklet.time_s[-1]))
    if other == time:
        return np.zeros(2), 0.0
    return (position_at(tracklet, other) - position_at(tracklet, time)) / (other - time), abs(other - time)


def angle_deg(a: Array, b: Array) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


@pytest.mark.parametrize("seed", range(5))
def test_velocities(seed: int) -> None:
    tracklet = random_tracklet(np.random.default_rng(seed), 12, 0, 1)
    for measure, offset in ((velocity_before, -1.0), (velocity_after, 1.0)):
        speeds, seconds = measure(tracklet, 1.0)
        for i in range(len(tracklet)):
            expected, elapsed = velocity(tracklet, i, offset)
            np.testing.assert_allclose(speeds[i], expected, atol=1e-9)
            assert seconds[i] == pytest.approx(elapsed)


@pytest.mark.parametrize("seed", range(8))
def test_split_scores(seed: int) -> None:
    tracklet = random_tracklet(np.random.default_rng(seed), 16, 0, 1)
    config = SplitConfig(
        window_s=1.1, max_turn_deg=100, min_turn_speed=0.3, max_position_jump=0.8, max_appearance_change=0.5
    )
    turn, jump, change = (score(tracklet, config) for score in (_turn_score, _jump_score, _appearance_score))
    for i in range(len(tracklet) - 1):
        before, before_s = velocity(tracklet, i, -1.1)
        after, after_s = velocity(tracklet, i + 1, 1.1)
        known = before_s >= 0.55 and after_s >= 0.55
        size, next_size = diagonal(tracklet.xyxy[i]), diagonal(tracklet.xyxy[i + 1])

        ratio = min(np.linalg.norm(before) / (0.3 * size), np.linalg.norm(after) / (0.3 * next_size))
        reverses = known and ratio > 1 and angle_deg(before, after) > 100
        assert turn[i] == pytest.approx(ratio if reverses else 0)

        step = center(tracklet.xyxy[i + 1]) - center(tracklet.xyxy[i])
        elapsed = float(tracklet.time_s[i + 1] - tracklet.time_s[i])
        miss = min(np.linalg.norm(step - before * elapsed), np.linalg.norm(step - after * elapsed))
        assert jump[i] == pytest.approx(miss / (0.8 * max(size, next_size)) if known else 0)

        earlier = [
            a
            for a, t in zip(tracklet.appearance, tracklet.time_s, strict=True)
            if -1.1 <= t - tracklet.time_s[i] <= 0
        ]
        later = [
            a
            for a, t in zip(tracklet.appearance, tracklet.time_s, strict=True)
            if 0 <= t - tracklet.time_s[i + 1] <= 1.1
        ]
        a, b = np.sum(earlier, axis=0, dtype=float), np.sum(later, axis=0, dtype=float)
        cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        assert change[i] == pytest.approx((1 - cosine) / 0.5, rel=1e-6)
    assert (turn > 0).any() or seed


@pytest.mark.parametrize("dim", [3, 0])
def test_join_costs(dim: int) -> None:
    rng = np.random.default_rng(dim)
    tracklets = [random_tracklet(rng, 6, int(rng.integers(0, 25)), i, dim) for i in range(20)]
    config = JoinConfig(
        max_gap_s=3,
        max_extrapolation_error=2.5,
        max_acceleration=0.9,
        max_size_ratio=2.0,
        max_appearance_distance=1.5,
    )
    cost, allowed = _costs(tracklets, config), 0
    for i, a in enumerate(tracklets):
        for j, b in enumerate(tracklets):
            gap = b.start_s - a.end_s
            terms = [np.inf]
            if 0 < gap <= 3:
                step = center(b.xyxy[0]) - center(a.xyxy[-1])
                forward = np.linalg.norm(step - velocity(a, len(a) - 1, -1.0)[0] * gap)
                backward = np.linalg.norm(step - velocity(b, 0, 1.0)[0] * gap)
                sizes = diagonal(a.xyxy[-1]), diagonal(b.xyxy[0])
                size = sum(sizes) / 2
                change = np.linalg.norm(velocity(b, 0, 1.0)[0] - velocity(a, len(a) - 1, -1.0)[0])
                terms = [
                    forward / size / 2.5,
                    backward / size / 2.5,
                    change / (gap + 1.0) / size / 0.9,
                    abs(np.log(sizes[0] / sizes[1])) / np.log(2.0),
                ]
                if dim:
                    means = [t.appearance.sum(axis=0, dtype=float) for t in (a, b)]
                    cosine = means[0] @ means[1] / np.linalg.norm(means[0]) / np.linalg.norm(means[1])
                    terms.append((1 - cosine) / 1.5)
            expected = np.mean(terms) if max(terms) < 1 else 1
            assert cost[i, j] == pytest.approx(expected)
            allowed += expected < 1
    assert allowed > 3


def test_interpolation() -> None:
    rng = np.random.default_rng(0)
    tracklet = random_tracklet(rng, 10, 5, 1)
    tracklet = tracklet[np.array([0, 1, 4, 5, 8, 9])]
    (filled,) = interpolate(
        [tracklet], CLOCK, InterpolateConfig(max_gap_s=1.1, max_visible_gap_s=1.1, max_deviation=99)
    )
    given = dict(zip(tracklet.frame.tolist(), tracklet.xyxy, strict=True))
    frames = set(given)
    for a, b in zip(tracklet.frame[:-1].tolist(), tracklet.frame[1:].tolist(), strict=True):
        if (b - a) / 5 <= 1.1:
            for frame in range(a + 1, b):
                frames.add(frame)
                given[frame] = given[a] + (given[b] - given[a]) * (frame - a) / (b - a)
    assert filled.frame.tolist() == sorted(frames)
    np.testing.assert_allclose(filled.xyxy, [given[frame] for frame in sorted(frames)], rtol=1e-5)


def test_limits_are_inclusive() -> None:
    box = np.array([[0, 0, 32, 32]], np.float32)
    hidden = Tracklet(
        "c", 1, np.arange(1), np.zeros(1), box, np.zeros(1, np.float32), 1, np.zeros((1, 0), np.float32)
    )
    nearer = np.array([[0, 16, 32, 40]], np.float32)
    seen = Tracklet(
        "c", 2, np.arange(1), np.zeros(1), nearer, np.ones(1, np.float32), 1, np.zeros((1, 0), np.float32)
    )
    assert len(drop_occluded([hidden, seen], OcclusionConfig(max_occluded=0.5))) == 2
    assert len(drop_occluded([hidden, seen], OcclusionConfig(max_occluded=0.49))) == 1

    roi = np.zeros((64, 64), bool)
    roi[:32] = True  # a box whose lower edge is at y = 32 stands on row 31
    config = TrackletFilterConfig(min_boxes=0, min_duration_s=0)
    assert filter_tracklets([hidden], config, roi)
    assert not filter_tracklets([seen], config, roi)
