"""What real detectors and cameras do: scales of scores, low and uneven frame rates, repeated pictures, borders."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.geometry.clock import Clock
from mtmc.track import TrackConfig, Tracker, track
from mtmc.types import Array, Detections, Tracklet
from tests.mtmc.track.traffic import boxes_at

SIZE = (400, 200)


def passing(time_s: Array, speed: float, lanes: int = 2, rng: np.random.Generator | None = None) -> list[Detections]:
    """Vehicles of 40 × 30 pixels in lanes, 150 pixels apart, at ``speed`` pixels per second."""
    noise = np.random.default_rng(0) if rng is None else rng
    frames = []
    for t in time_s:
        left = -2000 + speed * t + 150 * np.arange(40)
        boxes = np.concatenate(
            [np.stack([left, 0 * left + y, left + 40, 0 * left + y + 30], 1) for y in 60 * np.arange(lanes)]
        )
        boxes = boxes[(boxes[:, 0] > 0) & (boxes[:, 2] < 400)]
        frames.append(Detections.of(boxes + noise.normal(0, 1, boxes.shape), np.full(len(boxes), 0.9)))
    return frames


def spread_of_true_positions(tracklet: Tracklet, speed: float) -> float:
    """0 for a single vehicle: where the boxes of a tracklet would be at time 0, largest difference."""
    start = tracklet.xyxy[:, 0] - speed * tracklet.time_s
    return float(np.ptp(start))


@pytest.mark.parametrize(("fps", "speed"), [(2, 60), (3, 100), (10, 300), (30, 300)])
def test_one_default_for_every_frame_rate(fps: float, speed: float) -> None:
    clock = Clock(fps=fps)
    frames = passing(np.arange(int(20 * fps)) / fps, speed)
    tracklets = track(enumerate(frames), "c", clock, TrackConfig(), SIZE)
    assert max(spread_of_true_positions(tracklet, speed) for tracklet in tracklets) < 20
    followed = sum(len(tracklet) for tracklet in tracklets)
    assert followed > 0.8 * sum(len(found) for found in frames)


def test_frames_are_where_the_clock_says() -> None:
    """Every second frame is dropped for a while, which only the clock knows."""
    times = np.concatenate([np.arange(30) / 10, 3 + np.arange(15) / 5, 6 + np.arange(30) / 10])
    knots = tuple((int(i), float(t)) for i, t in enumerate(times))
    frames = passing(times, 150)
    tracklets = track(enumerate(frames), "c", Clock(fps=10, time_map=knots), TrackConfig(), SIZE)
    assert max(spread_of_true_positions(tracklet, 150) for tracklet in tracklets) < 20
    whole = track(enumerate(passing(np.arange(90) / 10, 150)), "c", Clock(fps=10), TrackConfig(), SIZE)
    assert abs(len(tracklets) - len(whole)) <= 1


@pytest.mark.parametrize("scale", [1.0, 0.4, 0.15])
def test_the_scale_of_scores_does_not_matter(scale: float) -> None:
    """Vehicles score 0.9 and something else 0.2, each times ``scale``."""
    rng = np.random.default_rng(4)
    frames = []
    for i in range(60):
        vehicles, other = boxes_at(20 + 3 * i, 220 + 2 * i), boxes_at(100.0)
        score = scale * np.concatenate([rng.normal(0.9, 0.03, 2), rng.normal(0.2, 0.03, 1)])
        both = Detections.concatenate([vehicles, other])
        boxes = both.xyxy + np.float32([[0, 0, 0, 0], [0, 0, 0, 0], [0, 80, 0, 80]])
        frames.append((i, Detections.of(boxes, score.clip(0, 1))))
    tracklets = track(frames, "c", Clock(fps=10), TrackConfig())
    assert [len(tracklet) for tracklet in tracklets] == [60, 60]
    assert len(track(frames, "c", Clock(fps=10), TrackConfig(high_score_threshold=0))) == 3


def test_a_vehicle_beyond_the_border_is_gone_and_one_inside_is_remembered() -> None:
    """One drives out, another one drives in there right after; where it is hidden inside, it is the same."""

    def ids(gap_at: float) -> int:
        x = gap_at - 40 + 8.0 * np.arange(-10, 1)
        seen = [boxes_at(left) for left in x]
        hidden = [Detections.empty()] * 5
        again = [boxes_at(x[-1] + 8 * (5 + i)) for i in range(8)]
        return len(track(enumerate([*seen, *hidden, *again]), "c", Clock(fps=10), TrackConfig(), SIZE))

    assert ids(200) == 1
    assert ids(400) == 2
    tracker = Tracker("c", Clock(fps=10), TrackConfig(), SIZE)
    for i in range(20):
        tracker.update(i, boxes_at(240 + 8 * i) if 240 + 8 * i < 390 else Detections.empty())
    finished_by = next(
        i for i in range(20, 30) if not tracker.update(i, Detections.empty()) and tracker.pop_finished()
    )
    assert finished_by < 25


def test_a_repeated_picture_is_no_evidence_of_standing() -> None:
    """Each picture is shown three times, as where 3 pictures per second were encoded as 10."""
    new = passing(np.arange(30) * 0.3, 80, lanes=1)
    frames = [found for found in new for _ in range(3)]
    clock = Clock(fps=10)
    tracklets = track(enumerate(frames), "c", clock, TrackConfig(), SIZE)
    assert sum(len(t) for t in tracklets) > 0.9 * sum(len(found) for found in frames)
    for tracklet in tracklets:
        shown_first = tracklet.frame % 3 == 0
        start = tracklet.xyxy[shown_first, 0] - 80 * tracklet.time_s[shown_first]
        assert np.ptp(start) < 20

    tracker = Tracker("c", clock, TrackConfig(), SIZE)
    before: set[int] = set()
    for frame, found in enumerate(frames[:60]):
        tracked = tracker.update(frame, found)
        ids = set(tracked.track_id[tracked.confirmed & tracked.detected].tolist())
        if frame % 3:
            assert before <= ids
            np.testing.assert_array_equal(tracked.xyxy, found.xyxy[tracked.detection])
        before = ids
    moving = tracker._tracks.state[tracker._tracks.hits > 9, 1, 0]
    assert len(moving)
    assert (np.abs(moving - 80) < 15).all()


def test_an_identity_is_once_in_a_frame() -> None:
    rng = np.random.default_rng(5)
    frames = []
    for i, found in enumerate(passing(np.arange(80) / 10, 120)):
        twin = found[rng.random(len(found)) < 0.3]
        shifted = Detections.of(twin.xyxy + rng.normal(0, 6, twin.xyxy.shape), twin.score * 0.8)
        frames.append((i, Detections.concatenate([found, shifted])))
    tracker = Tracker("c", Clock(fps=10), TrackConfig(), SIZE)
    for frame, found in frames:
        confirmed = tracker.update(frame, found).track_id
        confirmed = confirmed[confirmed > 0]
        assert len(set(confirmed.tolist())) == len(confirmed)
