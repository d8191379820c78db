"""Life cycles by hand, gaps, and what must not matter."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtmc.geometry.clock import Clock
from mtmc.track import TrackConfig, Tracker, track
from mtmc.types import Detections, Tracklet
from tests.mtmc.track.traffic import boxes_at

CLOCK = Clock(fps=10, start_s=100)


def follow(text: str, config: TrackConfig | None = None, clock: Clock = CLOCK) -> list[Tracklet]:
    """Track one standing vehicle that is detected where ``text`` has an x, in the frames of its letters."""
    frames = [(i, boxes_at(100) if letter == "x" else Detections.empty()) for i, letter in enumerate(text)]
    return track(frames, "c1", clock, config or TrackConfig(coast_s=0))


def frames_of(tracklets: list[Tracklet]) -> list[list[int]]:
    return [t.frame.tolist() for t in tracklets]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ("xx", []),  # never confirmed
        ("xxx", [[0, 1, 2]]),  # confirmed, tentative boxes included
        ("xx.xx", []),  # a tentative track ends at its first miss
        ("xx.xxx", [[3, 4, 5]]),
        ("xxx.x", [[0, 1, 2, 4]]),  # a confirmed one survives
        ("xxx" + "." * 4 + "xxx", [[0, 1, 2, 7, 8, 9]]),  # unseen for 0.5 s, the limit
        ("xxx" + "." * 5 + "xxx", [[0, 1, 2], [8, 9, 10]]),  # for 0.6 s
    ],
)
@pytest.mark.parametrize("duplicate_iou", [1, 0.85])
def test_life_cycle(seen: str, expected: list[list[int]], duplicate_iou: float) -> None:
    config = TrackConfig(max_age_s=0.5, stationary_max_age_s=0, coast_s=0, duplicate_iou=duplicate_iou)
    assert frames_of(follow(seen, config)) == expected


def test_durations_follow_the_clock() -> None:
    config = TrackConfig(max_age_s=0.5, stationary_max_age_s=0, coast_s=0)
    seen = "xxx" + "." * 4 + "xxx"
    assert len(follow(seen, config, Clock(fps=10))) == 1
    assert len(follow(seen, config, Clock(fps=8))) == 2


def test_stopped_vehicles_are_remembered_longer() -> None:
    seen = "x" * 10 + "." * 30 + "xxx"
    assert len(follow(seen, TrackConfig(max_age_s=1, stationary_max_age_s=1))) == 2
    assert len(follow(seen, TrackConfig(max_age_s=1, stationary_max_age_s=5))) == 1
    moving = [(i, boxes_at(100 + 5 * i) if not 10 <= i < 40 else Detections.empty()) for i in range(43)]
    assert len(track(moving, "c1", CLOCK, TrackConfig(max_age_s=1, stationary_max_age_s=5))) == 2


@pytest.mark.parametrize("standing_s", [1.5, 3])
def test_a_vehicle_that_has_just_stopped_is_stationary(standing_s: float) -> None:
    """It drives, stops, stands for a moment, is occluded for five seconds and stands on."""
    stop, hidden = 40, 40 + int(standing_s * 10)
    frames = []
    for i in range(hidden + 70):
        x = 100 + 4 * min(i, stop)
        frames.append((i, Detections.empty() if hidden <= i < hidden + 50 else boxes_at(x)))
    assert len(track(frames, "c", CLOCK, TrackConfig(max_age_s=1))) == 2
    for memory in (10, 60):
        (tracklet,) = track(frames, "c", CLOCK, TrackConfig(max_age_s=1, stationary_max_age_s=memory))
        assert tracklet.xyxy[:, 0].max() == pytest.approx(260, abs=3)  # it does not drift on while it is lost


def test_a_vehicle_that_has_just_started_is_not_stationary() -> None:
    frames = [(i, boxes_at(100 + 4 * max(0, i - 40))) for i in range(50)]
    frames += [(i, Detections.empty()) for i in range(50, 100)]
    frames += [(i, boxes_at(136)) for i in range(100, 105)]
    assert len(track(frames, "c", CLOCK, TrackConfig(max_age_s=1, stationary_max_age_s=20))) == 2


@pytest.mark.parametrize(("fps", "is_stationary"), [(10, True), (20, False)])
def test_the_limit_of_speed_is_in_heights_per_second(fps: float, is_stationary: bool) -> None:
    """Boxes of 30 pixels in height that move by 0.2 pixels per frame: 2 px/s at 10 fps, 4 px/s at 20 fps."""
    frames = [(i, boxes_at(100 + 0.2 * i) if not 50 <= i < 150 else Detections.empty()) for i in range(155)]
    config = TrackConfig(max_age_s=1, stationary_max_age_s=20, stationary_speed=0.1)
    assert len(track(frames, "c", Clock(fps=fps), config)) == (1 if is_stationary else 2)


def test_slow_upward_motion_is_motion() -> None:
    def frames(per_frame: float) -> list[tuple[int, Detections]]:
        hidden = range(30, 60)
        boxes = [boxes_at(100).xyxy - np.float32([0, per_frame * i, 0, per_frame * i]) for i in range(65)]
        return [(i, Detections.empty() if i in hidden else Detections.of(box, [0.9])) for i, box in enumerate(boxes)]

    config = TrackConfig(max_age_s=1, stationary_max_age_s=20)
    assert len(track(frames(0.1), "c", CLOCK, config)) == 1
    assert len(track(frames(0.5), "c", CLOCK, config)) == 2


@pytest.mark.parametrize(("size", "n_tracks"), [(3, 1), (1, 2)])
def test_a_gallery_keeps_earlier_features(size: int, n_tracks: int) -> None:
    """A vehicle turns, is hidden for three frames, and comes back with the features it had at first."""
    first, second = np.eye(2, dtype=np.float32)[:, None]
    features = {i: second if i == 4 else first for i in (0, 1, 2, 3, 4, 8, 9, 10)}
    frames = [(i, boxes_at(100, features=features[i]) if i in features else Detections.empty()) for i in range(11)]
    config = TrackConfig(feature_memory="gallery", gallery_size=size)
    assert len(track(frames, "c", CLOCK, config)) == n_tracks


def test_fast_vehicles_are_followed_from_their_first_box() -> None:
    """Boxes that move on by two thirds of their width from frame to frame, as on a highway at 10 fps."""
    width = float(np.ptp(boxes_at(0).xyxy[0, [0, 2]]))
    passing = [(i, boxes_at(100 + 0.65 * width * i)) for i in range(8)]
    assert frames_of(track(passing, "c1", CLOCK, TrackConfig())) == [list(range(8))]
    assert not track(passing, "c1", CLOCK, TrackConfig(initial_velocity_std=1 / 16, buffer_scale=1))


def test_a_tracklet_says_what_was_seen() -> None:
    features = np.array([[3.0, 4.0]], np.float32)
    frames = [(i, boxes_at(100 + i, class_id=4 if i == 1 else 1, features=features)) for i in range(4)]
    (tracklet,) = track(frames, "c7", CLOCK, TrackConfig())
    assert (tracklet.camera_id, tracklet.track_id, tracklet.class_id) == ("c7", 1, 1)
    np.testing.assert_allclose(tracklet.time_s, [100, 100.1, 100.2, 100.3])
    np.testing.assert_allclose(tracklet.xyxy[:, 0], [100, 101, 102, 103])
    np.testing.assert_allclose(tracklet.score, np.float32(0.9))
    np.testing.assert_allclose(tracklet.appearance, [[0.6, 0.8]] * 4)


def test_posterior_boxes_are_smoother() -> None:
    rng = np.random.default_rng(0)
    frames = [(i, boxes_at(100 + 4 * i + rng.normal(0, 1.5))) for i in range(60)]
    rough, smooth = (
        track(frames, "c", CLOCK, TrackConfig(output=output))[0].xyxy[:, 0] for output in ("detected", "posterior")
    )
    assert np.abs(np.diff(smooth[20:], n=2)).mean() < 0.7 * np.abs(np.diff(rough[20:], n=2)).mean()


def test_missing_frames_are_predicted_over() -> None:
    config = TrackConfig(coast_s=0)
    numbers = [*range(10), *range(18, 24)]
    (tracklet,) = track([(i, boxes_at(100 + 8 * i)) for i in numbers], "c", CLOCK, config)
    assert tracklet.frame.tolist() == numbers
    # Without the prediction over the gap the vehicle is 64 pixels away: boxes do not even touch.
    assert len(track([(n, boxes_at(100 + 8 * i)) for n, i in enumerate(numbers)], "c", CLOCK, config)) == 2


def test_coasting_writes_predictions_only_between_sightings() -> None:
    frames = [(i, boxes_at(100 + 4 * i) if i not in (25, 30, 31) else Detections.empty()) for i in range(32)]
    (tracklet,) = track(frames, "c", CLOCK, TrackConfig(coast_s=0.2))
    assert tracklet.frame.tolist() == list(range(30))
    assert tracklet.score[25] == 0
    assert tracklet.xyxy[25, 0] == pytest.approx(200, abs=1)


def test_weak_boxes_prolong_but_do_not_begin() -> None:
    config = TrackConfig(high_score_threshold=0.5, coast_s=0)
    frames = [(i, boxes_at(100, score=0.9 if i < 3 else 0.3)) for i in range(6)]
    assert frames_of(track(frames, "c", CLOCK, config)) == [[0, 1, 2, 3, 4, 5]]
    weak = [(i, boxes_at(100, score=0.3)) for i in range(6)]
    assert track(weak, "c", CLOCK, config) == []
    assert track(weak, "c", CLOCK, TrackConfig(new_track_threshold=0.5)) == []


def test_classes_may_be_kept_apart() -> None:
    frames = [(i, boxes_at(100, class_id=1 + i // 5)) for i in range(10)]
    assert len(track(frames, "c", CLOCK, TrackConfig())) == 1
    assert [t.class_id for t in track(frames, "c", CLOCK, TrackConfig(same_class=True))] == [1, 2]


def test_duplicates_end_the_younger_track() -> None:
    frames = [(i, boxes_at(100)) for i in range(5)]
    frames += [(i, boxes_at(100, 101)) for i in range(5, 10)]
    frames += [(i, boxes_at(100.5)) for i in range(10, 13)]
    frames += [(i, boxes_at(100, 101)) for i in range(13, 16)]
    kept = track(frames, "c", CLOCK, TrackConfig())
    ended = track(frames, "c", CLOCK, TrackConfig(duplicate_iou=0.85))
    assert (len(kept), len(ended)) == (2, 3)


def test_features_tell_crossing_vehicles_apart() -> None:
    features = np.eye(2, dtype=np.float32)
    frames = []
    for i in range(40):
        a, b = boxes_at(100 + 4 * i, features=features[:1]), boxes_at(260 - 4 * i, features=features[1:])
        meeting = 17 <= i < 23
        frames.append((i, Detections.empty(2) if meeting else Detections.concatenate([b, a] if i % 2 else [a, b])))
    tracklets = track(frames, "c", CLOCK, TrackConfig())
    assert len(tracklets) == 2
    for tracklet in tracklets:
        seen = tracklet.score > 0
        assert (tracklet.appearance[seen] == tracklet.appearance[0]).all()


def test_an_empty_frame_need_not_know_the_size_of_features() -> None:
    features = np.ones((1, 4), np.float32)
    frames = [(i, boxes_at(100, features=features) if i != 5 else Detections.empty()) for i in range(9)]
    (tracklet,) = track(frames, "c", CLOCK, TrackConfig(coast_s=0.1))
    assert tracklet.appearance.shape == (9, 4)
    assert not tracklet.appearance[5].any()


def test_a_box_without_extent_does_no_harm() -> None:
    flat = Detections.of([(10, 10, 10, 10)], [0.9])
    frames = [(i, Detections.concatenate([boxes_at(100 + i), flat])) for i in range(5)]
    assert len(track(frames, "c", CLOCK, TrackConfig())[0]) == 5


def test_order_of_boxes_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    frames = []
    for i in range(50):
        x = np.array([100 + 6 * i, 400 - 6 * i, 150, 300.0]) + rng.normal(0, 1, 4)
        frames.append((i, boxes_at(*x[rng.random(4) > 0.1])))
    shuffled = [(i, d[rng.permutation(len(d))]) for i, d in frames]

    def boxes(of: list[tuple[int, Detections]]) -> set[bytes]:
        return {t.frame.tobytes() + t.xyxy.tobytes() for t in track(of, "c", CLOCK, TrackConfig())}

    assert boxes(frames) == boxes(shuffled)


def test_trackers_know_nothing_of_each_other() -> None:
    frames = [(i, boxes_at(100 + 3 * i, 300)) for i in range(10)]
    alone = track(frames, "a", CLOCK, TrackConfig())
    one, other = Tracker("a", CLOCK, TrackConfig()), Tracker("b", CLOCK, TrackConfig())
    for frame, found in frames:
        one.update(frame, found)
        other.update(frame, found)
    for together in (one.finish(), other.finish()):
        assert [t.track_id for t in together] == [t.track_id for t in alone] == [1, 2]
        assert all((a.xyxy == b.xyxy).all() for a, b in zip(alone, together, strict=True))


def test_nothing_at_all() -> None:
    assert Tracker("c", CLOCK, TrackConfig()).finish() == []
    assert track([(i, Detections.empty()) for i in range(3)], "c", CLOCK, TrackConfig()) == []


def test_frames_must_come_in_order() -> None:
    tracker = Tracker("c", CLOCK, TrackConfig())
    tracker.update(4, Detections.empty())
    with pytest.raises(ValueError, match="expected a frame after 4, got 4"):
        tracker.update(4, Detections.empty())


def test_association_brings_its_own_values() -> None:
    jde = TrackConfig(association="jde")
    assert (jde.appearance_max_distance, jde.iou_max_distance, jde.max_age_s) == (0.7, 0.5, 1.0)
    assert TrackConfig(association="jde", max_age_s=3).max_age_s == 3
    assert TrackConfig(**jde.model_dump()) == jde


@pytest.mark.parametrize("seconds", [math.inf, 1e300])
def test_an_infinite_memory_keeps_a_track_for_ever(seconds: float) -> None:
    config = TrackConfig(n_init=1, max_age_s=2, stationary_max_age_s=seconds)
    tracker = Tracker("c001", Clock(fps=10), config)
    for frame in (*range(30), 5000):
        tracker.update(frame, Detections.of([[10, 20, 50, 50]], [0.9]))
    [tracklet] = tracker.finish()
    assert tracklet.frame.tolist() == [*range(30), 5000]
