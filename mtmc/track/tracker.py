"""The single-camera tracker: detections frame by frame in, tracks of the frame and finished tracklets out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mtmc.geometry.boxes import iou_matrix
from mtmc.geometry.clock import Clock
from mtmc.track import costs, kalman
from mtmc.track.config import TrackConfig
from mtmc.track.matching import MATCHING_STRATEGIES, Matching
from mtmc.track.track_log import FrameBoxes, TrackLog
from mtmc.track.track_state import Tracks, update_features
from mtmc.types import Array, Detections, TrackedDetections, Tracklet

__all__ = ["Tracker", "track"]

#: Seconds before the last detection over which the speed of a track is measured.
_STATIONARY_WINDOW_S = 1.0
#: Stands for "for ever" where a duration is infinite, and fits an int64.
_MOST_FRAMES = 2**31
#: Frames of the window at most: it takes memory for every track, and no camera has such a rate.
_LONGEST_WINDOW = 10_000


def track(
    frames: Iterable[tuple[int, Detections]], camera_id: str, clock: Clock, config: TrackConfig
) -> list[Tracklet]:
    """Track a whole video.

    Args:
        frames: (frame number, detections) in increasing order.
        camera_id: Camera id of the tracklets.
        clock: Clock of the camera.
        config: Configuration.

    Returns:
        Tracklets in the order of their ids.
    """
    tracker = Tracker(camera_id, clock, config)
    tracklets = []
    for frame, detections in frames:
        tracker.update(frame, detections)
        tracklets += tracker.pop_finished()
    tracklets += tracker.finish()
    return sorted(tracklets, key=lambda tracklet: tracklet.track_id)


class Tracker:
    """Links the detections of one camera to tracks, a frame at a time.

    A track gets its id when it is confirmed, and its tracklet has the same id. Memory is bounded by the tracks that
    are alive, provided that finished tracklets are taken out with :meth:`pop_finished`.

    Args:
        camera_id: Camera id of the tracklets.
        clock: Converts durations to numbers of frames, and frames to scene time.
        config: Configuration.

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

    def __init__(self, camera_id: str, clock: Clock, config: TrackConfig) -> None:
        self._camera_id = camera_id
        self._clock = clock
        self._config = config
        self._noise = kalman.Noise(config.position_noise, config.velocity_noise, config.initial_velocity_std)
        self._max_age = self._frames(config.max_age_s)
        self._stationary_max_age = max(self._max_age, self._frames(config.stationary_max_age_s))
        # Positions are kept only where a stationary track may grow older than the others.
        self._window = 0
        if self._stationary_max_age > self._max_age:
            self._window = max(2, round(min(_STATIONARY_WINDOW_S * clock.fps, _LONGEST_WINDOW))) + 1
        self._coast = self._frames(config.coast_s)

        self._tracks = Tracks.empty()
        self._log = TrackLog()
        self._finished: list[Tracklet] = []
        self._next_key = 1
        self._next_id = 1
        #: The frame that the tracks are predicted to, and the latest one whose detections were seen.
        self._frame: int | None = None
        self._previous_update: int | None = None

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
        self._predict(frame)
        features = self._unit_features(detections)
        xyah = kalman.to_xyah(detections.xyxy)
        matched, rows = self._match(frame, detections, features, xyah)
        self._update_matched(frame, rows, detections.score[matched], xyah[matched], features[matched])

        track_id = np.zeros(len(detections), np.int64)
        track_id[matched] = self._tracks.track_id[rows]
        xyxy = detections.xyxy
        if self._config.output == "posterior":
            xyxy = xyxy.copy()
            xyxy[matched] = kalman.to_xyxy(self._tracks.state[rows])
        boxes = FrameBoxes(frame, xyxy, detections.score, detections.class_id, features, detected=True)
        self._log.add(boxes, matched, self._tracks.key[rows])

        coasting = self._mark_missed(frame)
        new = self._new_tracks(detections, matched)
        if len(new):
            keys, track_id[new] = self._initiate(frame, xyah[new], detections.class_id[new], features[new])
            self._log.add(boxes, new, keys)
        self._previous_update = frame

        in_track = np.sort(np.concatenate([matched, new])) if len(new) else matched
        tracked = TrackedDetections(
            frame=frame,
            track_id=track_id[in_track],
            xyxy=xyxy[in_track],
            score=detections.score[in_track],
            class_id=detections.class_id[in_track],
            detection=in_track,
        )
        return tracked if coasting is None else tracked.followed_by(coasting)

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

    def _frames(self, seconds: float) -> int:
        """The number of whole frame periods in a duration; 1e-9 absorbs the rounding of e.g. 0.3 · 10."""
        return int(min(seconds * self._clock.fps + 1e-9, _MOST_FRAMES))

    def _unit_features(self, detections: Detections) -> Array:
        features = detections.appearance
        size = self._tracks.features.shape[2]
        if len(features) and len(self._tracks) and features.shape[1] != size:
            raise ValueError(f"Tracker.update: expected features of size {size} as before, got {features.shape[1]}")
        return costs.unit(features) if features.shape[1] else features

    def _predict(self, frame: int) -> None:
        """Predict all tracks to ``frame`` and delete those whose last detection is too old."""
        before = frame - 1 if self._frame is None else self._frame
        if frame <= before:
            raise ValueError(f"Tracker: expected a frame after {before}, got {frame}")
        self._frame = frame

        tracks = self._tracks
        max_age: Array | int = self._max_age
        if len(tracks) and self._window:
            stationary = self._stationary()
            max_age = np.where(stationary, self._stationary_max_age, self._max_age)
            # A stationary track that is lost keeps its position: over a long time even a slow drift adds up.
            tracks.state[stationary & (tracks.last_seen < before), 1] = 0
        expired = frame - tracks.last_seen > max_age
        if expired.any():
            self._delete(expired)
        for _ in range(frame - before if len(self._tracks) else 0):
            self._tracks.state = kalman.predict(self._tracks.state, self._noise)

    def _match(self, frame: int, detections: Detections, features: Array, xyah: Array) -> tuple[Array, Array]:
        """Matches as rows of detections and rows of tracks, int64 (K,) each."""
        previous = frame - 1 if self._previous_update is None else self._previous_update
        matching = Matching(self._tracks, detections, features, xyah, frame, previous, self._config, self._noise)
        MATCHING_STRATEGIES[self._config.association](matching)
        return matching.pairs()

    def _update_matched(self, frame: int, rows: Array, score: Array, xyah: Array, features: Array) -> None:
        """Update the tracks ``rows`` with a detection each, and give an id to those that it confirms."""
        if not len(rows):
            return
        tracks, config = self._tracks, self._config
        adaptive_score = score if config.score_adaptive_noise else None
        tracks.state[rows] = kalman.update(tracks.state[rows], xyah, self._noise, adaptive_score)
        if features.shape[1]:
            momentum = config.ema_momentum if config.feature_memory == "ema" else None
            tracks.features[rows] = update_features(tracks.features[rows], tracks.hits[rows], features, momentum)
        tracks.mark_matched(rows, frame, xyah[:, :2], config.n_init)
        if (tracks.hits[rows] == config.n_init).any():
            self._assign_ids(tracks)

    def _assign_ids(self, tracks: Tracks) -> None:
        """Number the tracks that are confirmed and have no id yet, oldest first.

        A tentative track is deleted at its first miss, so tracks are confirmed in the order of their initiation.
        """
        new = (tracks.confirmed & (tracks.track_id == 0)).nonzero()[0]
        tracks.track_id[new] = self._next_id + np.arange(len(new))
        self._next_id += len(new)

    def _mark_missed(self, frame: int) -> TrackedDetections | None:
        """Delete tentative tracks that were not matched, and duplicates; return predicted boxes of others."""
        tracks = self._tracks
        missed = tracks.last_seen < frame
        if not missed.any():
            return None
        deleted = missed & ~tracks.confirmed
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
        age = frame - tracks.last_seen
        rows = (kept & (age > 0) & (age <= self._coast)).nonzero()[0]
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

    def _new_tracks(self, detections: Detections, matched: Array) -> Array:
        """Rows of the detections that start a track: those without a match whose score is high enough."""
        threshold = max(self._config.high_score_threshold, self._config.new_track_threshold)
        starts = detections.score >= threshold
        starts[matched] = False
        return starts.nonzero()[0]

    def _initiate(self, frame: int, xyah: Array, class_id: Array, features: Array) -> tuple[Array, Array]:
        """Start a track with each of some detections; returns the keys and ids of the tracks."""
        size = self._config.gallery_size if self._config.feature_memory == "gallery" else 1
        # A gallery full of copies of the first feature has the same nearest feature as one that holds it once.
        gallery = features[:, None].repeat(size, axis=1)
        state = kalman.initiate(xyah, self._noise)
        new = Tracks.initiate(self._next_key, frame, class_id, gallery, state, self._config.n_init, self._window)
        self._next_key += len(new)
        self._assign_ids(new)
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
        return np.asarray(self._tracks.recent_speed() * self._clock.fps < self._config.stationary_speed * height)

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
