"""The single-camera tracker: detections frame by frame in, tracks of the frame and finished tracklets out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from mtmc.geometry.boxes import iou_matrix
from mtmc.geometry.clock import Clock
from mtmc.track import costs, kalman
from mtmc.track.common_motion import CommonMotion
from mtmc.track.config import TrackConfig
from mtmc.track.matching import MATCHING_STRATEGIES, Matching
from mtmc.track.scores import ScoreHistogram
from mtmc.track.track_log import FrameBoxes, TrackLog
from mtmc.track.track_state import Tracks, update_features
from mtmc.types import Array, Detections, TrackedDetections, Tracklet

__all__ = ["Tracker", "track"]

#: Seconds before the last detection over which the speed of a track is measured.
_STATIONARY_WINDOW_S = 1.0
#: Absorbs the rounding of times.
_ROUNDING_S = 1e-6
#: Detections below this share of the least high score are matched last.
_LOW_SHARE = 2 / 3
#: A vehicle moves if it is faster than this, in box heights per second.
_MOVING = 0.5
#: A velocity is unknown while its standard deviation is above this share of the initial one.
_UNKNOWN_SHARE = 0.9
#: Change of velocity in one second, as a share of the speed, of vehicles that move far from picture to picture: they
#: brake, and they come nearer.
_RELATIVE_VELOCITY = 0.3
#: For so long, identical detections are taken for a picture that is shown again.
_LONGEST_REPEAT_S = 0.5
#: Frames of the window at most: it takes memory for every track, and no camera has such a rate.
_LONGEST_WINDOW = 10_000


def track(
    frames: Iterable[tuple[int, Detections]],
    camera_id: str,
    clock: Clock,
    config: TrackConfig,
    size_wh: tuple[int, int] | None = None,
) -> list[Tracklet]:
    """Track a whole video.

    Args:
        frames: (frame number, detections) in increasing order.
        camera_id: Camera id of the tracklets.
        clock: Clock of the camera.
        config: Configuration.
        size_wh: Width and height of the image in pixels: a vehicle beyond its border is gone. None if not known.

    Returns:
        Tracklets in the order of their ids.
    """
    tracker = Tracker(camera_id, clock, config, size_wh)
    tracklets = []
    for frame, detections in frames:
        tracker.update(frame, detections)
        tracklets += tracker.pop_finished()
    tracklets += tracker.finish()
    return sorted(tracklets, key=lambda tracklet: tracklet.track_id)


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    """The latest picture.

    Attributes:
        detections: What was detected in it.
        boxes: The same as they are output.
        key: int64 (M,), key of the track of each, 0 for none.
        high: bool (M,), whether its score is high.
    """

    detections: Detections
    boxes: FrameBoxes
    key: Array
    high: Array


class Tracker:
    """Links the detections of one camera to tracks, a frame at a time.

    A track gets its id when it is confirmed, and its tracklet has the same id. Memory is bounded by the tracks that
    are alive, provided that finished tracklets are taken out with :meth:`pop_finished`.

    Args:
        camera_id: Camera id of the tracklets.
        clock: Says when each frame was taken. Motion is followed in seconds, so frames may be missing or late.
        config: Configuration.
        size_wh: Width and height of the image in pixels: a vehicle beyond its border is gone. None if not known.

    >>> tracker = Tracker("c001", Clock(fps=10), TrackConfig(n_init=2))
    >>> for frame in range(3):
    ...     tracked = tracker.update(frame, Detections.of([[10 + frame, 20, 50 + frame, 50]], [0.9]))
    ...     print(tracked.track_id, tracked.confirmed)
    [0] [False]
    [1] [ True]
    [1] [ True]
    >>> [(tracklet.track_id, tracklet.frame.tolist()) for tracklet in tracker.finish()]
    [(1, [0, 1, 2])]
    """

    def __init__(
        self, camera_id: str, clock: Clock, config: TrackConfig, size_wh: tuple[int, int] | None = None
    ) -> None:
        self._camera_id = camera_id
        self._clock = clock
        self._config = config
        self._size_wh = size_wh
        self._noise = kalman.Noise(config.position_noise, config.velocity_noise, config.initial_velocity_std)
        # Positions are kept only where a stationary track may grow older than the others.
        self._window = 0
        if config.stationary_max_age_s > config.max_age_s:
            self._window = max(2, round(min(_STATIONARY_WINDOW_S * clock.fps, _LONGEST_WINDOW))) + 1

        self._tracks = Tracks.empty()
        self._scores = ScoreHistogram()
        self._motion = CommonMotion()
        self._log = TrackLog()
        self._finished: list[Tracklet] = []
        self._next_key = 1
        self._next_id = 1
        #: The frame that the tracks are predicted to and its time, and the latest frame whose detections were seen.
        self._frame: int | None = None
        self._time_s = 0.0
        self._previous_update: int | None = None
        self._previous_update_s = 0.0
        self._picture: _Picture | None = None

    def update(self, frame: int, detections: Detections) -> TrackedDetections:
        """Process the detections of the next frame.

        No detections mean that the detector found nothing: tracks that are not matched count as missed. A frame that
        was not given to the detector is skipped instead (:meth:`skip`), or left out.

        Args:
            frame: Its number. Where numbers are missing, tracks are predicted across the gap.
            detections: Its detections; with appearance features of one size in all frames, or with none.

        Returns:
            The tracks of this frame: one row per detection that belongs to a track, and one per track that was missed
            for at most ``coast_s``.

        Raises:
            ValueError: The frame does not come after the one before it, or the size of the features has changed.
        """
        if self._is_repeated(frame, detections):
            return self._repeat(frame)
        self._predict(frame)
        features = self._unit_features(detections)
        xyah = kalman.to_xyah(detections.xyxy)
        first, high = self._classes_of_scores(detections.score)
        matched, rows = self._match(frame, detections, features, xyah, first)
        self._update_matched(frame, rows, detections.score[matched], high[matched], xyah[matched], features[matched])

        track_id = np.zeros(len(detections), np.int64)
        track_id[matched] = self._tracks.track_id[rows]
        xyxy = detections.xyxy
        if self._config.output == "posterior":
            xyxy = xyxy.copy()
            xyxy[matched] = kalman.to_xyxy(self._tracks.state[rows])
        boxes = FrameBoxes(frame, xyxy, detections.score, detections.class_id, features, detected=True)
        key = np.zeros(len(detections), np.int64)
        key[matched] = self._tracks.key[rows]
        new = self._new_tracks(detections, first, matched)
        if len(new):
            key[new], track_id[new] = self._initiate(
                frame, xyah[new], detections.class_id[new], features[new], high[new]
            )
        in_track = key.nonzero()[0]
        self._log.add(boxes, in_track, key[in_track])
        coasting = self._mark_missed(frame)
        self._previous_update, self._previous_update_s = frame, self._time_s
        self._picture = _Picture(detections, boxes, key, high)

        tracked = TrackedDetections(
            frame=frame,
            track_id=track_id[in_track],
            xyxy=xyxy[in_track],
            score=detections.score[in_track],
            class_id=detections.class_id[in_track],
            detection=in_track,
        )
        return tracked if coasting is None else tracked.followed_by(coasting)

    def _is_repeated(self, frame: int, detections: Detections) -> bool:
        """Whether the picture is that of the previous frame: something was moving, and not a number has changed."""
        picture = self._picture
        if picture is None or not len(detections) or self._frame is None or frame <= self._frame:
            return False
        if not np.array_equal(detections.xyxy, picture.detections.xyxy):
            return False
        if not np.array_equal(detections.score, picture.detections.score):
            return False
        if not np.array_equal(detections.appearance, picture.detections.appearance):
            return False
        is_short = self._clock_s(frame) - self._previous_update_s <= _LONGEST_REPEAT_S + _ROUNDING_S
        return is_short and self._may_be_moving()

    def _may_be_moving(self) -> bool:
        """Whether any track is moving, or has a velocity that has not been measured yet."""
        position, velocity, _, _, velocity_variance = self._tracks.state.transpose(1, 0, 2)
        speed = np.hypot(velocity[:, 0], velocity[:, 1])
        unknown_std = _UNKNOWN_SHARE * self._noise.initial_velocity
        is_unknown = velocity_variance[:, 0] > np.square(unknown_std * position[:, 3])
        return bool((is_unknown | (speed > _MOVING * position[:, 3])).any())

    def _repeat(self, frame: int) -> TrackedDetections:
        """The tracks of a picture that is shown again.

        It says where vehicles were when it was taken, and nothing about where they are now: tracks get their boxes
        again, but their positions and velocities remain those of the time when it was first shown.
        """
        assert self._picture is not None
        tracks, picture = self._tracks, self._picture
        self._frame = self._previous_update = frame
        shown = np.isin(picture.key, tracks.key) & (picture.key > 0)
        rows = np.searchsorted(tracks.key, picture.key[shown])
        tracks.mark_repeated(rows, frame, self._clock_s(frame), picture.high[shown])
        self._confirm(tracks)

        in_track = shown.nonzero()[0]
        boxes = replace(picture.boxes, frame=frame)
        self._log.add(boxes, in_track, picture.key[shown])
        return TrackedDetections(
            frame=frame,
            track_id=tracks.track_id[rows],
            xyxy=boxes.xyxy[in_track],
            score=boxes.score[in_track],
            class_id=boxes.class_id[in_track],
            detection=in_track,
        )

    def skip(self, frame: int) -> TrackedDetections:
        """Pass over a frame that the detector did not see, such as a dropped one.

        Tracks are predicted to the frame and grow older, but none counts as missed: tentative tracks are kept.

        Returns:
            The predicted boxes of confirmed tracks whose last detection is at most ``coast_s`` ago.

        Raises:
            ValueError: The frame does not come after the one before it.
        """
        self._predict(frame)
        return self._coasting(frame, self._tracks.confirmed) or TrackedDetections.empty(frame)

    def pop_finished(self) -> list[Tracklet]:
        """Take out the tracklets that no later frame can change, in the order of their ids."""
        finished = sorted(self._finished, key=lambda tracklet: tracklet.track_id)
        self._finished = []
        return finished

    def finish(self) -> list[Tracklet]:
        """End all tracks and take out the tracklets that have not been taken out before, in the order of their ids.

        Tracks that were never confirmed give no tracklet.
        """
        self._delete(np.ones(len(self._tracks), bool))
        return self.pop_finished()

    def _clock_s(self, frame: int) -> float:
        return float(self._clock.time_s(np.asarray(frame)))

    def _classes_of_scores(self, score: Array) -> tuple[Array, Array]:
        """Which detections are matched first, and which confirm a track: bool (M,), bool (M,)."""
        threshold = self._config.high_score_threshold
        if threshold is not None:
            high = np.asarray(score >= threshold)
            return high, high
        self._scores.add(score)
        limit = self._scores.limit
        return np.asarray(score >= _LOW_SHARE * limit), np.asarray(score >= limit)

    def _unit_features(self, detections: Detections) -> Array:
        features = detections.appearance
        size = self._tracks.features.shape[2]
        if len(features) and len(self._tracks) and features.shape[1] != size:
            raise ValueError(f"Tracker.update: expected features of size {size} as before, got {features.shape[1]}")
        return costs.unit(features) if features.shape[1] else features

    def _predict(self, frame: int) -> None:
        """Predict all tracks to ``frame`` and delete those whose last detection is too old."""
        if self._frame is not None and frame <= self._frame:
            raise ValueError(f"Tracker: expected a frame after {self._frame}, got {frame}")
        time_s = self._clock_s(frame)
        elapsed_s = time_s - self._time_s
        before, self._frame, self._time_s = self._frame, frame, time_s

        tracks, config = self._tracks, self._config
        if not len(tracks):
            return
        max_age_s: Array | float = config.memory_s(self._clock.fps, has_features=tracks.features.shape[2] > 0)
        if self._window:
            stationary = self._stationary()
            max_age_s = np.where(stationary, np.maximum(config.stationary_max_age_s, max_age_s), max_age_s)
            # A stationary track that is lost keeps its position: over a long time even a slow drift adds up.
            tracks.state[stationary & (tracks.last_seen < before), 1] = 0
        expired = time_s - tracks.last_seen_s > max_age_s + _ROUNDING_S
        if expired.any():
            self._delete(expired)
        relative = _RELATIVE_VELOCITY * self._tracks.has_prior if self._motion.is_fast else None
        self._tracks.state = kalman.predict(self._tracks.state, self._noise, elapsed_s, relative)

    def _match(
        self, frame: int, detections: Detections, features: Array, xyah: Array, first: Array
    ) -> tuple[Array, Array]:
        """Matches as rows of detections and rows of tracks, int64 (K,) each."""
        previous = frame - 1 if self._previous_update is None else self._previous_update
        elapsed_s = self._time_s - self._previous_update_s
        matching = Matching(
            self._tracks, detections, features, xyah, first, previous, elapsed_s, self._config, self._noise
        )
        MATCHING_STRATEGIES[self._config.association](matching)
        matched, rows = matching.pairs()
        if self._config.association == "staged" and matching.newest.any():
            unexplained = first.copy()
            unexplained[matched[self._tracks.confirmed[rows]]] = False
            self._learn_motion(self._tracks.state[matching.newest], xyah[unexplained], elapsed_s)
        return matched, rows

    def _learn_motion(self, newest: Array, xyah: Array, elapsed_s: float) -> None:
        """Learn from the tracks with one detection, as predicted, and the boxes that older tracks do not explain."""
        if self._motion.is_fast:
            newest = kalman.move(newest, -elapsed_s)
        self._motion.add(newest[:, 0], xyah, elapsed_s * self._clock.fps)

    def _update_matched(
        self, frame: int, rows: Array, score: Array, high: Array, xyah: Array, features: Array
    ) -> None:
        """Update the tracks ``rows`` with a detection each, and give an id to those that it confirms."""
        if not len(rows):
            return
        tracks, config = self._tracks, self._config
        adaptive_score = score if config.score_adaptive_noise else None
        tracks.state[rows] = kalman.update(tracks.state.take(rows, axis=0), xyah, self._noise, adaptive_score)
        if features.shape[1]:
            momentum = config.ema_momentum if config.feature_memory == "ema" else None
            before = tracks.features.take(rows, axis=0)
            tracks.features[rows] = update_features(before, tracks.hits[rows], features, momentum)
        tracks.mark_matched(rows, frame, self._time_s, high, xyah[:, :2])
        self._confirm(tracks)

    def _confirm(self, tracks: Tracks) -> None:
        """Confirm the tracks with enough detections, and number them, oldest first."""
        new = tracks.confirm(self._config.n_init, min(self._config.n_high, self._config.n_init))
        tracks.track_id[new] = self._next_id + np.arange(len(new))
        self._next_id += len(new)

    def _mark_missed(self, frame: int) -> TrackedDetections | None:
        """Delete tentative tracks that were not matched, and duplicates; return predicted boxes of others."""
        tracks = self._tracks
        missed = tracks.last_seen < frame
        if not missed.any():
            return None
        deleted = missed & (~tracks.confirmed | self._outside())
        if self._config.duplicate_iou < 1:
            deleted |= self._duplicates(missed)
        predicted = self._coasting(frame, ~deleted)
        if deleted.any():
            self._delete(deleted)
        return predicted

    def _coasting(self, frame: int, kept: Array) -> TrackedDetections | None:
        """Predicted boxes of the tracks ``kept``, bool (N,), that were missed for at most ``coast_s``; logs them.

        None where there is no such track.
        """
        tracks = self._tracks
        is_short = self._time_s - tracks.last_seen_s <= self._config.coast_s + _ROUNDING_S
        rows = (kept & (tracks.last_seen < frame) & is_short).nonzero()[0]
        if not len(rows):
            return None
        boxes = FrameBoxes(
            frame=frame,
            xyxy=kalman.to_xyxy(tracks.state[rows]).astype(np.float32),
            score=np.zeros(len(rows), np.float32),
            class_id=tracks.class_id[rows],
            features=np.zeros((len(rows), tracks.features.shape[2]), np.float32),
            detected=False,
        )
        self._log.add(boxes, np.arange(len(rows)), tracks.key[rows])
        return TrackedDetections(
            frame=frame,
            track_id=tracks.track_id[rows],
            xyxy=boxes.xyxy,
            score=boxes.score,
            class_id=boxes.class_id,
            detection=np.full(len(rows), -1),
        )

    def _new_tracks(self, detections: Detections, first: Array, matched: Array) -> Array:
        """Rows of the detections that start a track: those without a match whose score is high enough."""
        starts = first & (detections.score >= self._config.new_track_threshold)
        starts[matched] = False
        return starts.nonzero()[0]

    def _initiate(
        self, frame: int, xyah: Array, class_id: Array, features: Array, high: Array
    ) -> tuple[Array, Array]:
        """Start a track with each of some detections; returns the keys and ids of the tracks."""
        size = self._config.gallery_size if self._config.feature_memory == "gallery" else 1
        # A gallery full of copies of the first feature has the same nearest feature as one that holds it once.
        gallery = features[:, None].repeat(size, axis=1)
        state = kalman.initiate(xyah, self._noise)
        if self._motion.is_fast:
            velocity, variance = self._motion.prior(xyah, self._clock.fps)
            state[:, 1, :2] = velocity
            state[:, 4, :2] = np.maximum(state[:, 4, :2], variance)
        new = Tracks.initiate(self._next_key, frame, self._time_s, class_id, high, gallery, state, self._window)
        self._next_key += len(new)
        if self._config.n_init == 1:
            self._confirm(new)
        self._tracks = self._tracks.followed_by(new)
        return new.key, new.track_id

    def _delete(self, deleted: Array) -> None:
        """Delete tracks, bool (N,); those that were confirmed become tracklets."""
        tracks = self._tracks
        for key, track_id in zip(tracks.key[deleted].tolist(), tracks.track_id[deleted].tolist(), strict=True):
            if track_id:
                self._finished.append(self._log.pop(key, track_id, self._camera_id, self._clock))
            else:
                self._log.discard(key)
        self._tracks = tracks[~deleted]

    def _stationary(self) -> Array:
        """Which tracks were slower than ``stationary_speed`` before their last detection: bool (N,)."""
        height = self._tracks.state[:, 0, 3]
        speed = self._tracks.recent_speed(_STATIONARY_WINDOW_S)
        return np.asarray(speed < self._config.stationary_speed * height)

    def _outside(self) -> Array:
        """Which tracks have the center of their box beyond the border of the image: bool (N,)."""
        if self._size_wh is None:
            return np.zeros(len(self._tracks), bool)
        center = self._tracks.state[:, 0, :2]
        return np.asarray(((center < 0) | (center > self._size_wh)).any(axis=1))

    def _duplicates(self, missed: Array) -> Array:
        """Of each pair of a matched and a missed track with a high IoU, the younger track: bool (N,)."""
        tracks = self._tracks
        seen = (tracks.confirmed & ~missed).nonzero()[0]
        lost = (tracks.confirmed & missed).nonzero()[0]
        xyxy = kalman.to_xyxy(tracks.state)
        i, j = np.nonzero(iou_matrix(xyxy[seen], xyxy[lost]) > self._config.duplicate_iou)
        duplicate = np.zeros(len(tracks), bool)
        duplicate[np.maximum(seen[i], lost[j])] = True
        return duplicate
