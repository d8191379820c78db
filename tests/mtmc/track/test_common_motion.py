"""The common motion of vehicles: from simulated roads whose motion is known."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from mtmc.geometry.clock import Clock
from mtmc.track import TrackConfig, kalman, track
from mtmc.track.common_motion import CommonMotion, _peak, _sums_of_neighbors
from mtmc.types import Array, Detections, Tracklet

CLOCK = Clock(fps=10)
WIDTH, HEIGHT = 40.0, 30.0
ROAD = 1200.0
#: Vertical position of each lane, and its displacement from picture to picture in box heights.
LANES = {100.0: -2.5, 150.0: -2.2, 400.0: 2.4, 450.0: 2.0}


def road(n_frames: int, lanes: dict[float, float], seed: int = 0) -> list[Array]:
    """Centers of vehicles in every picture, (M, 3): x, y and the number of the vehicle; ten vehicles in each lane."""
    rng = np.random.default_rng(seed)
    gaps = rng.uniform(2 * WIDTH, 5 * WIDTH, (len(lanes), 10 + n_frames))
    pictures: list[list[tuple[float, float, int]]] = [[] for _ in range(n_frames)]
    for lane, (y, moved) in enumerate(lanes.items()):
        for number, start in enumerate(np.cumsum(gaps[lane])):
            for frame in range(n_frames):
                behind = start if moved else start % ROAD
                x = abs(moved) * HEIGHT * frame + ROAD - behind
                if 0 <= x <= ROAD:
                    pictures[frame].append((x if moved >= 0 else ROAD - x, y, 1000 * lane + number))
    return [np.add(picture, (*rng.normal(0, 0.5, 2), 0)) for picture in pictures]


def detections(centers: Array) -> Detections:
    half = np.array([WIDTH, HEIGHT]) / 2
    return Detections.of(np.concatenate([centers[:, :2] - half, centers[:, :2] + half], axis=1), [0.9] * len(centers))


def boxes(centers: Array) -> Array:
    """As the Kalman filter measures them."""
    return kalman.to_xyah(detections(centers).xyxy)


def learned(pictures: list[Array], periods: float = 1.0) -> CommonMotion:
    motion = CommonMotion()
    for before, after in pairwise(pictures):
        motion.add(boxes(before), boxes(after), periods)
    return motion


def followed(pictures: list[Array]) -> dict[int, float]:
    """Share of the steps of each lane from picture to picture that a tracklet has."""
    tracklets = track(enumerate(map(detections, pictures)), "c", CLOCK, TrackConfig())
    right = {step for tracklet in tracklets for step in steps_of(tracklet, pictures)}
    shares = {}
    for lane in {int(number) // 1000 for picture in pictures for number in picture[:, 2]}:
        steps = {
            (frame, int(number))
            for frame in range(1, len(pictures))
            for number in np.intersect1d(pictures[frame - 1][:, 2], pictures[frame][:, 2])
            if int(number) // 1000 == lane
        }
        shares[lane] = len(steps & right) / len(steps)
    return shares


def steps_of(tracklet: Tracklet, pictures: list[Array]) -> set[tuple[int, int]]:
    """(frame, vehicle) where two boxes in successive pictures are those of one vehicle."""
    center = (tracklet.xyxy[:, :2] + tracklet.xyxy[:, 2:]) / 2
    vehicle = []
    for frame, at in zip(tracklet.frame.tolist(), center, strict=True):
        distance = np.hypot(*(pictures[frame][:, :2] - at).T)
        vehicle.append(int(pictures[frame][distance.argmin(), 2]) if distance.min() < 1 else -1)
    frames = tracklet.frame.tolist()
    return {
        (frames[i], vehicle[i])
        for i in range(1, len(frames))
        if frames[i] == frames[i - 1] + 1 and vehicle[i] == vehicle[i - 1] >= 0
    }


def test_vehicles_are_followed_that_move_by_more_than_their_length(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = road(60, LANES)
    assert min(followed(pictures).values()) > 0.85
    monkeypatch.setattr(CommonMotion, "add", lambda *_: None)
    assert max(followed(pictures).values()) < 0.4


def test_vehicles_that_stand_beside_fast_ones_are_followed() -> None:
    shares = followed(road(60, {**LANES, 180.0: 0.0}))
    assert shares[4] > 0.99
    assert min(shares.values()) > 0.8


def test_motion_is_known_by_place() -> None:
    motion = learned(road(40, LANES))
    assert motion.is_fast
    velocity, variance = motion.prior(boxes(np.array([[600, y, 0] for y in LANES])), fps=10)
    expected = np.array([[moved * HEIGHT * 10, 0] for moved in LANES.values()])
    np.testing.assert_allclose(velocity, expected, atol=0.5 * HEIGHT * 10)
    assert (np.sqrt(variance) < 1.0 * HEIGHT * 10).all()


def test_periods_between_the_pictures_count() -> None:
    """Every other picture is missing: displacements are twice as large, and the motion is the same."""
    motion = learned(road(80, {100.0: 1.5, 300.0: 1.5})[::2], 2.0)
    velocity, _ = motion.prior(boxes(np.array([[600, 100, 0]])), fps=10)
    np.testing.assert_allclose(velocity, [[1.5 * HEIGHT * 10, 0]], atol=0.5 * HEIGHT * 10)


@pytest.mark.parametrize("moved", [0.0, 0.3, 0.6])
def test_boxes_that_overlap_need_no_prior(moved: float) -> None:
    motion = learned(road(40, {100.0: moved, 400.0: -moved}))
    assert not motion.is_fast


def test_detections_at_random_have_no_common_motion() -> None:
    motion = CommonMotion()
    rng = np.random.default_rng(0)
    for _ in range(200):
        before, after = (rng.uniform(0, 600, (12, 3)) for _ in range(2))
        motion.add(boxes(before), boxes(after), periods=1.0)
        assert not motion.is_fast


def test_memory_is_bounded_and_keeps_the_latest() -> None:
    motion = CommonMotion()
    box = np.array([[500.0, 300, 1.3, 30]])
    for moved in (3.0, -3.0):
        for _ in range(5000):
            motion.add(box, np.add(box, [[30 * moved, 0, 0, 0]]), periods=1.0)
        assert len(motion._moved) == len(motion._xy) == len(motion._bin) == 4096
        velocity, variance = motion.prior(box, fps=10)
        np.testing.assert_allclose(velocity, [[30 * moved * 10, 0]])
        np.testing.assert_allclose(variance, 0, atol=1e-9)
    many = np.tile(box, (100, 1))
    motion.add(many, np.add(many, [[60, 0, 0, 0]]), periods=1.0)
    np.testing.assert_allclose(motion.prior(box, fps=10)[0], [[600, 0]])


def test_a_picture_of_very_many_boxes_takes_little_memory() -> None:
    motion = CommonMotion()
    crowd = np.random.default_rng(0).uniform(1, 2, (4000, 4)) * [500, 500, 1, 30]
    tracemalloc.start()
    motion.add(crowd, crowd, periods=1.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6  # all 16 million displacements would take more than 500 MB


def test_a_box_of_another_size_is_another_vehicle() -> None:
    motion = CommonMotion()
    box = np.array([[500.0, 300, 1.3, 30]])
    for other in ([[590, 300, 1.3, 60]], [[590, 300, 1.3, 15]], [[590, 300, 2.2, 30]]):
        for _ in range(100):
            motion.add(box, np.array(other, float), periods=1.0)
    assert not motion.is_fast


def test_sums_of_neighbors() -> None:
    histogram = np.random.default_rng(0).integers(0, 9, (7, 7)).astype(float)
    sums = _sums_of_neighbors(histogram)
    for i in range(7):
        for j in range(7):
            assert sums[i, j] == histogram[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].sum()


def test_equal_weights_count_as_what_they_are() -> None:
    """Whether a peak is significant depends on the number of displacements, not on the scale of their weights."""
    rng = np.random.default_rng(0)
    bins = np.concatenate([rng.integers(0, 64 * 64, 300), np.full(20, 20 * 64 + 30)])
    for scale in (1e-6, 1.0, 1e3):
        peak = _peak(bins, np.full(len(bins), scale))
        assert peak is not None
        np.testing.assert_allclose(peak, [20.5 / 4 - 8, 30.5 / 4 - 8], atol=0.26)
        assert _peak(bins[:-12], np.full(len(bins) - 12, scale)) is None
