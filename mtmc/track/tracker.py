"""Detections of one camera, frame by frame, to tracklets."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mtmc.geometry.boxes import iou_matrix
from mtmc.geometry.clock import Clock
from mtmc.track import costs, kalman
from mtmc.track.config import TrackConfig
from mtmc.track.matching import MATCHING_STRATEGIES, Matching
from mtmc.track.track_log import TrackLog
from mtmc.track.track_state import Tracks, update_features
from mtmc.types import Array, Detections, Tracklet

__all__ = ["Tracker", "track"]


def track(
    frames: Iterable[tuple[int, Detections]], camera_id: str, clock: Clock, config: TrackConfig
) -> list[Tracklet]:
    """Track a whole video: (frame number, detections) in increasing order → tracklets."""
    tracker = Tracker(camera_id, clock, config)
    for frame, detections in frames:
        tracker.update(frame, detections)
    return tracker.finish()


class Tracker:
    """Links detections of one camera to tracklets.

    Args:
        camera_id: Name that the tracklets carry.
        clock: Turns durations into numbers of frames, and frames into scene time.
        config: Choices.
    """

    def __init__(self, camera_id: str, clock: Clock, config: TrackConfig) -> None:
        self._camera_id, self._clock, self._config = camera_id, clock, config
        self._noise = kalman.Noise(config.position_noise, config.velocity_noise, config.initial_velocity_std)
        self._max_age = int(config.max_age_s * clock.fps + 1e-9)
        self._stationary_max_age = max(self._max_age, int(config.stationary_max_age_s * clock.fps + 1e-9))
        self._coast = int(config.coast_s * clock.fps + 1e-9)
        self._tracks = Tracks.empty()
        self._next_id = 1
        self._previous: int | None = None
        self._log = TrackLog()

    def update(self, frame: int, detections: Detections) -> None:
        """Look at the next frame. Where frames are missing, tracks are predicted over the gap.

        Raises:
            ValueError: The frame does not come after the one before it.
        """
        previous = frame - 1 if self._previous is None else self._previous
        if frame <= previous:
            raise ValueError(f"Tracker.update: expected a frame after {previous}, got {frame}")
        self._previous = frame
        features = costs.unit(detections.appearance) if detections.appearance.shape[1] else detections.appearance
        xyah = kalman.to_xyah(detections.xyxy)

        self._predict(frame, previous)
        tracks, config = self._tracks, self._config
        matching = Matching(tracks, detections, features, xyah, frame, previous, config, self._noise)
        MATCHING_STRATEGIES[config.association](matching)
        boxes, rows = matching.pairs()
        if len(rows):
            score = detections.score[boxes] if config.score_adaptive_noise else None
            self._update(rows, xyah[boxes], features[boxes], score)
            tracks.mark_matched(rows, frame, config.n_init)
        ids = np.zeros(len(detections), np.int64)
        ids[boxes] = tracks.id[rows]
        xyxy = detections.xyxy
        if config.output == "posterior":
            xyxy = xyxy.copy()
            xyxy[boxes] = kalman.to_xyxy(tracks.state[rows])
        self._mark_missed(frame)
        starting = (ids == 0) & matching.high & (detections.score >= config.new_track_threshold)
        if starting.any():
            ids[starting] = self._initiate(frame, xyah[starting], detections.class_id[starting], features[starting])
        self._log.add(frame, ids, xyxy, detections.score, detections.class_id, features)

    def finish(self) -> list[Tracklet]:
        """Tracklets of all tracks that were ever confirmed, with their tentative beginnings, in order of birth."""
        return self._log.tracklets(self._config.n_init, self._camera_id, self._clock)

    def _predict(self, frame: int, previous: int) -> None:
        """Move all tracks to ``frame``, without those that are unseen for too long."""
        tracks = self._tracks
        max_age: Array | int = self._max_age
        if self._stationary_max_age > self._max_age:
            stationary = self._stationary()
            max_age = np.where(stationary, self._stationary_max_age, self._max_age)
            # What stood still when it was lost stays where it is: over a long memory a slow drift adds up.
            tracks.state[stationary & (tracks.last_seen < previous), 1] = 0
        expired = frame - tracks.last_seen > max_age
        if expired.any():
            tracks = self._tracks = tracks[~expired]
        for _ in range(frame - previous if len(tracks) else 0):
            tracks.state = kalman.predict(tracks.state, self._noise)

    def _update(self, rows: Array, xyah: Array, features: Array, score: Array | None) -> None:
        """Let the tracks ``rows`` learn from a box each."""
        tracks, config = self._tracks, self._config
        tracks.state[rows] = kalman.update(tracks.state[rows], xyah, self._noise, score)
        if features.shape[1]:
            keep = config.ema_momentum if config.feature_memory == "ema" else None
            tracks.features[rows] = update_features(tracks.features[rows], tracks.hits[rows], features, keep)

    def _mark_missed(self, frame: int) -> None:
        """End tentative tracks that are not seen, and duplicates; write predicted boxes of the lately lost."""
        tracks = self._tracks
        unseen = frame - tracks.last_seen
        if not unseen.any():
            return
        ended = (unseen > 0) & ~tracks.confirmed
        if self._config.duplicate_iou < 1:
            ended |= self._duplicates(unseen)
        rows = ((unseen > 0) & (unseen <= self._coast) & ~ended).nonzero()[0]
        if len(rows):
            xyxy = kalman.to_xyxy(tracks.state[rows]).astype(np.float32)
            score, features = (
                np.zeros(len(rows), np.float32),
                np.zeros((len(rows), tracks.features.shape[2]), np.float32),
            )
            self._log.add(frame, tracks.id[rows], xyxy, score, tracks.class_id[rows], features)
        if ended.any():
            self._tracks = tracks[~ended]

    def _initiate(self, frame: int, xyah: Array, class_id: Array, features: Array) -> Array:
        """Begin a track with each of the boxes; returns their ids."""
        size = self._config.gallery_size if self._config.feature_memory == "gallery" else 1
        # A gallery full of copies of the first feature has the same nearest feature as one that holds it once.
        feature = features[:, None].repeat(size, axis=1)
        motion = kalman.initiate(xyah, self._noise)
        new = Tracks.initiate(self._next_id, frame, class_id, feature, motion, self._config.n_init)
        self._next_id += len(new)
        self._tracks = self._tracks.followed_by(new)
        return new.id

    def _stationary(self) -> Array:
        """Which tracks stand still: bool (N,)."""
        velocity, height = self._tracks.state[:, 1], self._tracks.state[:, 0, 3]
        speed = np.hypot(velocity[:, 0], velocity[:, 1]) * self._clock.fps
        return np.asarray(speed < self._config.stationary_speed * height)

    def _duplicates(self, unseen: Array) -> Array:
        """Of each seen and lost track on the same spot, the younger: bool (N,)."""
        tracks = self._tracks
        seen = (tracks.confirmed & (unseen == 0)).nonzero()[0]
        lost = (tracks.confirmed & (unseen > 0)).nonzero()[0]
        xyxy = kalman.to_xyxy(tracks.state)
        i, j = np.nonzero(iou_matrix(xyxy[seen], xyxy[lost]) > self._config.duplicate_iou)
        duplicate = np.zeros(len(tracks), bool)
        duplicate[np.maximum(seen[i], lost[j])] = True
        return duplicate
