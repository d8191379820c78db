"""Detections of one camera, frame by frame, to tracklets."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mtmc.geometry.boxes import iou_matrix
from mtmc.geometry.clock import Clock
from mtmc.track import costs, kalman
from mtmc.track.config import TrackConfig
from mtmc.track.history import History
from mtmc.track.lifecycle import Tracks, remember
from mtmc.track.rounds import ROUNDS, Matching
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
        self._noise = kalman.Noise(config.position_noise, config.velocity_noise)
        self._max_age = int(config.max_age_s * clock.fps + 1e-9)
        self._stopped_age = max(self._max_age, int(config.stopped_memory_s * clock.fps + 1e-9))
        self._coast = int(config.coast_s * clock.fps + 1e-9)
        self._tracks = Tracks.none()
        self._next_id = 1
        self._previous: int | None = None
        self._history = History()

    def update(self, frame: int, detections: Detections) -> None:
        """Look at the next frame. Where frames are missing, tracks are predicted over the gap.

        Raises:
            ValueError: The frame does not come after the one before it.
        """
        previous = frame - 1 if self._previous is None else self._previous
        if frame <= previous:
            raise ValueError(f"Tracker.update: expected a frame after {previous}, got {frame}")
        self._previous = frame
        if detections.appearance.shape[1]:
            looks = costs.unit(detections.appearance)
            detections = Detections(detections.xyxy, detections.score, detections.class_id, looks)

        self._predict(frame, previous)
        matching = Matching(self._tracks, detections, frame, previous, self._config, self._noise)
        ROUNDS[self._config.association](matching)
        boxes, rows = matching.pairs()
        self._correct(rows, boxes, detections, matching.xyah)
        self._tracks.mark_seen(rows, frame, self._config.n_init)

        ids = np.zeros(len(detections), np.int64)
        ids[boxes] = self._tracks.id[rows]
        xyxy = detections.xyxy
        if self._config.output == "posterior":
            xyxy = xyxy.copy()
            xyxy[boxes] = kalman.boxes(self._tracks.motion[rows])
        self._end(frame)
        starting = (ids == 0) & matching.high & (detections.score >= self._config.new_track_score)
        ids[starting] = self._bear(frame, detections[starting], matching.xyah[starting])
        self._history.add(frame, detections, ids, xyxy)
        if self._coast:
            self._write_lost(frame, detections.appearance.shape[1])

    def finish(self) -> list[Tracklet]:
        """Tracklets of all tracks that were ever confirmed, with their tentative beginnings, in order of birth."""
        return self._history.tracklets(self._config.n_init, self._camera_id, self._clock)

    def _write_lost(self, frame: int, dim: int) -> None:
        """Write predicted boxes, with score 0, for confirmed tracks that were seen a moment ago."""
        tracks = self._tracks
        age = frame - tracks.seen
        rows = np.flatnonzero((age > 0) & (age <= self._coast))
        if len(rows):
            xyxy = kalman.boxes(tracks.motion[rows])
            nothing = np.zeros((len(rows), dim), np.float32)
            unseen = Detections.of(xyxy, np.zeros(len(rows)), tracks.class_id[rows], nothing)
            self._history.add(frame, unseen, tracks.id[rows], unseen.xyxy)

    def _predict(self, frame: int, previous: int) -> None:
        """Move all tracks to ``frame``."""
        tracks = self._tracks
        if self._stopped_age > self._max_age:
            # What stood still when it was lost stays where it is: over a long memory a slow drift adds up.
            tracks.motion[self._stopped() & (tracks.seen < previous), 1] = 0
        for _ in range(min(frame - previous, self._stopped_age + 1)):
            tracks.motion = kalman.predict(tracks.motion, self._noise)

    def _correct(self, rows: Array, boxes: Array, detections: Detections, xyah: Array) -> None:
        """Let the tracks ``rows`` learn position and looks from their ``boxes``."""
        if not len(rows):
            return
        tracks, config = self._tracks, self._config
        trust = detections.score[boxes] if config.score_adaptive_noise else None
        tracks.motion[rows] = kalman.update(tracks.motion[rows], xyah[boxes], self._noise, trust)
        if detections.appearance.shape[1]:
            keep = config.ema_keep if config.appearance_memory == "ema" else None
            looks = detections.appearance[boxes]
            tracks.feature[rows] = remember(tracks.feature[rows], tracks.hits[rows], looks, keep)

    def _bear(self, frame: int, detections: Detections, xyah: Array) -> Array:
        """Begin a track with each of the boxes; returns their ids."""
        size = self._config.gallery_size if self._config.appearance_memory == "gallery" else 1
        born = Tracks.born(
            self._next_id,
            frame,
            detections.class_id,
            # A gallery full of copies of the first feature has the same nearest feature as one that holds it once.
            feature=np.repeat(detections.appearance[:, None], size, axis=1),
            motion=kalman.initiate(xyah, self._noise),
            n_init=self._config.n_init,
        )
        self._next_id += len(born)
        self._tracks = self._tracks.followed_by(born)
        return born.id

    def _end(self, frame: int) -> None:
        """Forget tentative tracks that were missed, tracks unseen for too long, and duplicates."""
        tracks = self._tracks
        max_age = np.where(self._stopped(), self._stopped_age, self._max_age)
        ended = tracks.ended(frame, max_age)
        if self._config.duplicate_iou < 1:
            ended |= self._duplicates(frame)
        if ended.any():
            self._tracks = tracks[~ended]

    def _stopped(self) -> Array:
        """Which tracks stand still: bool (N,)."""
        velocity, height = self._tracks.motion[:, 1], self._tracks.motion[:, 0, 3]
        speed = np.hypot(velocity[:, 0], velocity[:, 1]) * self._clock.fps
        return np.asarray(speed < self._config.stopped_speed * height)

    def _duplicates(self, frame: int) -> Array:
        """Of each seen and lost track on the same spot, the younger: bool (N,)."""
        tracks = self._tracks
        seen = np.flatnonzero(tracks.confirmed & (tracks.seen == frame))
        lost = np.flatnonzero(tracks.confirmed & (tracks.seen < frame))
        xyxy = kalman.boxes(tracks.motion)
        i, j = np.nonzero(iou_matrix(xyxy[seen], xyxy[lost]) > self._config.duplicate_iou)
        duplicate = np.zeros(len(tracks), bool)
        duplicate[np.maximum(seen[i], lost[j])] = True
        return duplicate
