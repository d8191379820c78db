"""The tracker a frame at a time: what it says of a frame is what its tracklets say at the end."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

from mtmc.geometry.clock import Clock
from mtmc.track import TrackConfig, Tracker, track
from mtmc.track.track_log import FrameBoxes, TrackLog
from mtmc.types import Detections, TrackedDetections, Tracklet
from tests.mtmc.track.traffic import CONFIGS, boxes_at, crossing_traffic

CLOCK = Clock(fps=8)


def observations(tracklets: list[Tracklet]) -> set[tuple[int, int, tuple[float, ...]]]:
    """(id, frame, box) of every detected box."""
    return {
        (t.track_id, int(frame), tuple(box.tolist()))
        for t in tracklets
        for frame, box, score in zip(t.frame, t.xyxy, t.score, strict=True)
        if score > 0
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_rows_of_frames_are_rows_of_tracklets(name: str) -> None:
    config = TrackConfig(**CONFIGS[name])  # type: ignore[arg-type]
    frames = crossing_traffic(5, 4, gaps=True)
    tracker = Tracker("c", CLOCK, config)
    confirmed, tentative, predicted, taken = set(), [], [], []
    for frame, found in frames:
        tracked = tracker.update(frame, found)
        assert tracked.frame == frame
        assert (tracked.detected == (tracked.score > 0)).all()
        rows = tracked.detection[tracked.detected]
        np.testing.assert_array_equal(tracked.score[tracked.detected], found.score[rows])
        np.testing.assert_array_equal(tracked.class_id[tracked.detected], found.class_id[rows])
        assert len(set(rows.tolist())) == len(rows)
        if config.output == "detected":
            np.testing.assert_array_equal(tracked.xyxy[tracked.detected], found.xyxy[rows])
        for number, box, detected in zip(tracked.track_id.tolist(), tracked.xyxy, tracked.detected, strict=True):
            row = (frame, tuple(box.tolist()))
            if not detected:
                assert number > 0
                predicted.append((number, *row))
            elif number > 0:
                confirmed.add((number, *row))
            else:
                tentative.append(row)
        taken += tracker.pop_finished()
    tracklets = sorted(taken + tracker.finish(), key=lambda t: t.track_id)

    in_tracklets = observations(tracklets)
    assert confirmed <= in_tracklets
    assert {(frame, box) for _, frame, box in in_tracklets - confirmed} <= set(tentative)
    # All but the n_init - 1 tentative detections of a tracklet were reported with its id, if their scores were high.
    n_tentative = len(tracklets) * (config.n_init - 1)
    assert len(in_tracklets - confirmed) >= n_tentative
    assert len(in_tracklets - confirmed) == n_tentative or config.n_high == config.n_init
    written = {
        (t.track_id, int(f), tuple(b.tolist())) for t in tracklets for f, b in zip(t.frame, t.xyxy, strict=True)
    }
    assert written - in_tracklets <= set(predicted)


@pytest.mark.parametrize("name", CONFIGS)
def test_tracklets_do_not_depend_on_when_they_are_taken_out(name: str) -> None:
    config = TrackConfig(**CONFIGS[name])  # type: ignore[arg-type]
    frames = crossing_traffic(2, 4, gaps=False)
    at_once = track(frames, "c", CLOCK, config)
    tracker = Tracker("c", CLOCK, config)
    for frame, found in frames:
        tracker.update(frame, found)
    at_the_end = tracker.finish()
    assert [t.track_id for t in at_once] == [t.track_id for t in at_the_end] == list(range(1, len(at_once) + 1))
    for a, b in zip(at_once, at_the_end, strict=True):
        for column in ("frame", "time_s", "xyxy", "score", "class_id", "appearance"):
            np.testing.assert_array_equal(getattr(a, column), getattr(b, column))


def test_ids_are_given_in_the_order_of_the_first_detections_where_all_scores_are_high() -> None:
    frames = crossing_traffic(7, 0, gaps=False)
    tracklets = track(frames, "c", CLOCK, TrackConfig(high_score_threshold=0))
    starts = [int(t.frame[0]) for t in tracklets]
    assert starts == sorted(starts)
    assert [t.track_id for t in tracklets] == list(range(1, len(starts) + 1))


def test_a_tracklet_is_finished_when_its_track_is_too_old_and_not_before() -> None:
    tracker = Tracker("c", Clock(fps=10), TrackConfig(max_age_s=0.5))
    for frame in range(3):
        tracker.update(frame, boxes_at(100))
    for frame in range(3, 8):
        tracker.update(frame, Detections.empty())
        assert tracker.pop_finished() == []
    tracker.update(8, Detections.empty())
    (tracklet,) = tracker.pop_finished()
    assert (tracklet.track_id, tracklet.frame.tolist()) == (1, [0, 1, 2])
    assert tracker.pop_finished() == tracker.finish() == []


def test_numbers_go_on_after_finish() -> None:
    tracker = Tracker("c", CLOCK, TrackConfig(n_init=1))
    assert tracker.update(0, boxes_at(100, 300)).track_id.tolist() == [1, 2]
    assert [t.track_id for t in tracker.finish()] == [1, 2]
    assert tracker.update(1, boxes_at(100)).track_id.tolist() == [3]


class TestSkip:
    def tracker_after(self, frames: int, **settings: float) -> Tracker:
        tracker = Tracker("c", Clock(fps=10), TrackConfig(**settings))  # type: ignore[arg-type]
        for frame in range(frames):
            tracker.update(frame, boxes_at(100 + 4 * frame))
        return tracker

    def test_a_skipped_frame_is_no_miss(self) -> None:
        skipped, missed = self.tracker_after(2), self.tracker_after(2)
        skipped.skip(2)
        missed.update(2, Detections.empty())
        for tracker in (skipped, missed):
            tracker.update(3, boxes_at(112))
        assert [t.frame.tolist() for t in skipped.finish()] == [[0, 1, 3]]
        assert missed.finish() == []

    def test_it_takes_its_time(self) -> None:
        tracker = self.tracker_after(3, max_age_s=0.5)
        for frame in range(3, 8):
            tracker.skip(frame)
            assert tracker.pop_finished() == []
        tracker.skip(8)
        assert [t.frame.tolist() for t in tracker.pop_finished()] == [[0, 1, 2]]

    def test_boxes_are_predicted_while_coasting(self) -> None:
        tracker = self.tracker_after(30, coast_s=0.2)
        for frame, rows in ((30, 1), (31, 1), (32, 0)):
            tracked = tracker.skip(frame)
            assert (len(tracked), tracked.frame) == (rows, frame)
            if rows:
                assert (tracked.track_id.tolist(), tracked.detection.tolist()) == ([1], [-1])
                assert tracked.xyxy[0, 0] == pytest.approx(100 + 4 * frame, abs=1)
        assert len(self.tracker_after(2, coast_s=0.2).skip(2)) == 0  # tentative tracks do not coast

    @pytest.mark.parametrize("dim", [4, 0])
    def test_skipping_is_leaving_out(self, dim: int) -> None:
        frames = crossing_traffic(3, dim, gaps=True)
        given = dict(frames)
        tracker = Tracker("c", CLOCK, TrackConfig(coast_s=0))
        for frame in range(frames[0][0], frames[-1][0] + 1):
            if frame in given:
                tracker.update(frame, given[frame])
            else:
                tracker.skip(frame)
        assert len(given) < 45
        assert observations(tracker.finish()) == observations(track(frames, "c", CLOCK, TrackConfig(coast_s=0)))

    def test_frames_must_come_in_order(self) -> None:
        tracker = self.tracker_after(3)
        with pytest.raises(ValueError, match="expected a frame after 2, got 2"):
            tracker.skip(2)


class TestMemory:
    def test_arrays_of_old_frames_are_freed_though_a_track_lives_on(self) -> None:
        tracker = Tracker("c", CLOCK, TrackConfig())
        first = boxes_at(100, features=np.ones((1, 4), np.float32))
        boxes = weakref.ref(first.xyxy)
        tracker.update(0, first)
        del first
        for frame in range(1, 250):
            tracker.update(frame, boxes_at(100, features=np.ones((1, 4), np.float32)))
            if frame == 150:
                assert boxes() is None
        (tracklet,) = tracker.finish()
        assert tracklet.frame.tolist() == list(range(250))
        np.testing.assert_allclose(tracklet.appearance, 0.5)

    def test_deleted_tracks_leave_nothing_behind(self) -> None:
        tracker = Tracker("c", CLOCK, TrackConfig(max_age_s=0.5))
        rng = np.random.default_rng(0)
        for frame in range(220):
            tracker.update(frame, boxes_at(*rng.uniform(0, 5000, 3)))
        for frame in range(220, 230):
            tracker.update(frame, Detections.empty())
        assert len(tracker._log) == len(tracker._tracks) == 0

    @pytest.mark.parametrize("rows", [1, 50])
    def test_tracklets_do_not_depend_on_the_size_of_the_block(
        self, rows: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        frames = crossing_traffic(4, 4, gaps=False)
        expected = track(frames, "c", CLOCK, TrackConfig())
        monkeypatch.setattr("mtmc.track.track_log._BLOCK_ROWS", rows)
        for a, b in zip(track(frames, "c", CLOCK, TrackConfig()), expected, strict=True):
            for column in ("frame", "time_s", "xyxy", "score", "class_id", "appearance"):
                np.testing.assert_array_equal(getattr(a, column), getattr(b, column))

    def test_the_size_of_features_may_change_where_no_track_is_left(self) -> None:
        tracker = Tracker("c", CLOCK, TrackConfig())
        for frame in range(8):
            size = 4 if frame < 4 else 6
            tracker.update(frame, boxes_at(100, features=np.ones((1, size), np.float32)))
            if frame == 3:
                assert tracker.finish()[0].appearance.shape == (4, 4)
        assert tracker.finish()[0].appearance.shape == (4, 6)


def test_features_must_keep_their_size() -> None:
    tracker = Tracker("c", CLOCK, TrackConfig())
    tracker.update(0, boxes_at(100, features=np.ones((1, 4), np.float32)))
    tracker.update(1, Detections.empty())
    tracker.update(2, boxes_at(100, features=np.ones((1, 4), np.float32)))
    with pytest.raises(ValueError, match="expected features of size 4 as before, got 3"):
        tracker.update(3, boxes_at(100, features=np.ones((1, 3), np.float32)))


def test_tracked_detections_are_checked() -> None:
    empty = TrackedDetections.empty(4)
    assert (empty.frame, len(empty), empty.confirmed.tolist(), empty.detected.tolist()) == (4, 0, [], [])
    with pytest.raises(ValueError, match=r"TrackedDetections\.score: expected float32 \(0\)"):
        TrackedDetections(4, empty.track_id, empty.xyxy, np.zeros(1, np.float32), empty.class_id, empty.detection)


def test_observations_of_two_blocks_are_one_tracklet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The block holds two rows, so that the third observation is in another one."""
    monkeypatch.setattr("mtmc.track.track_log._BLOCK_ROWS", 2)
    log = TrackLog()
    for frame in range(3):
        box, score = np.full((1, 4), frame, np.float32), np.full(1, 0.5, np.float32)
        boxes = FrameBoxes(frame, box, score, np.ones(1, np.int64), np.zeros((1, 0), np.float32), detected=True)
        log.add(boxes, np.array([0]), np.array([7]))
    tracklet = log.pop(7, 1, "c", CLOCK)
    assert tracklet.frame.tolist() == [0, 1, 2]
    assert tracklet.xyxy[:, 0].tolist() == [0, 1, 2]
