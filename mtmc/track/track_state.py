"""The tracks that are alive, as parallel columns, and how detections change them.

A track is **tentative** from its first detection until ``n_init`` detections in a row confirm it; a tentative track
is deleted at its first miss. A **confirmed** track that is not matched is *lost*, and is deleted when its last
detection is older than the maximum age.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from mtmc.track.costs import unit
from mtmc.types import Array

__all__ = ["Tracks", "update_features"]


@dataclass(slots=True, eq=False)
class Tracks:
    """N living tracks of one camera, oldest first.

    Attributes:
        key: int64 (N,), number of the track in the order of initiation, from 1; a track keeps it for life.
        track_id: int64 (N,), id of its tracklet, ≥ 1; 0 while the track is tentative.
        hits: int64 (N,), number of detections so far.
        last_seen: int64 (N,), frame of the latest detection.
        last_seen_s: float64 (N,), its time.
        high_hits: int64 (N,), number of detections with a high score so far.
        confirmed: bool (N,).
        has_prior: bool (N,), whether its first velocity was the common motion of vehicles at its place.
        class_id: int64 (N,), class of the first detection.
        features: float32 (N, B, D), unit length: the appearance features kept; B = 1 for a moving average.
        state: float64 (N, 5, 4), see :mod:`mtmc.track.kalman`.
        recent_xy: float64 (N, W, 2), box centers of the latest W detections, in pixels, as a ring buffer.
        recent_s: float64 (N, W), their times; of a track with fewer detections, the first one is repeated.
    """

    key: Array
    track_id: Array
    hits: Array
    last_seen: Array
    last_seen_s: Array
    high_hits: Array
    confirmed: Array
    has_prior: Array
    class_id: Array
    features: Array
    state: Array
    recent_xy: Array
    recent_s: Array

    @classmethod
    def empty(cls) -> Tracks:
        """No tracks, with features of no particular size."""
        integers = np.zeros(0, np.int64)
        return cls(
            key=integers,
            track_id=integers,
            hits=integers,
            last_seen=integers,
            last_seen_s=np.zeros(0),
            high_hits=integers,
            confirmed=np.zeros(0, bool),
            has_prior=np.zeros(0, bool),
            class_id=integers,
            features=np.zeros((0, 1, 0), np.float32),
            state=np.zeros((0, 5, 4)),
            recent_xy=np.zeros((0, 1, 2)),
            recent_s=np.zeros((0, 1)),
        )

    @classmethod
    def initiate(
        cls,
        first_key: int,
        frame: int,
        time_s: float,
        class_id: Array,
        high: Array,
        features: Array,
        state: Array,
        window: int,
    ) -> Tracks:
        """New tracks of one detection each in ``frame``, with keys from ``first_key`` on.

        ``window`` is the number W of recent detections whose positions are kept; 0 keeps none.
        """
        n = len(class_id)
        return cls(
            key=np.arange(first_key, first_key + n),
            track_id=np.zeros(n, np.int64),
            hits=np.ones(n, np.int64),
            last_seen=np.full(n, frame),
            last_seen_s=np.full(n, time_s),
            high_hits=high.astype(np.int64),
            confirmed=np.zeros(n, bool),
            has_prior=np.asarray(state[:, 1].any(axis=1)),
            class_id=class_id,
            features=features,
            state=state,
            recent_xy=state[:, None, 0, :2].repeat(window, axis=1),
            recent_s=np.full((n, window), time_s),
        )

    def __len__(self) -> int:
        return len(self.key)

    def __getitem__(self, rows: Array) -> Tracks:
        """The chosen tracks (boolean mask or indices), all columns together."""
        if rows.dtype == bool:
            rows = rows.nonzero()[0]
        return Tracks(*[getattr(self, name).take(rows, axis=0) for name in _COLUMNS])

    def followed_by(self, younger: Tracks) -> Tracks:
        """These tracks and then the others."""
        if not len(self):
            return younger
        return Tracks(*[np.concatenate((getattr(self, name), getattr(younger, name))) for name in _COLUMNS])

    def mark_matched(self, rows: Array, frame: int, time_s: float, high: Array, xy: Array) -> None:
        """Count a detection in ``frame`` for each of the tracks ``rows``.

        Args:
            rows: int64 (K,), tracks.
            frame: Number of the frame.
            time_s: Its time.
            high: bool (K,), whether the score of the detection is high.
            xy: (K, 2), centers of the detected boxes.
        """
        window = self.recent_s.shape[1]
        if window:
            slot = self.hits[rows] % window
            self.recent_xy[rows, slot] = xy
            self.recent_s[rows, slot] = time_s
        self.mark_repeated(rows, frame, time_s, high)

    def mark_repeated(self, rows: Array, frame: int, time_s: float, high: Array) -> None:
        """Count a detection for each of the tracks ``rows`` that does not tell where the vehicle is now."""
        self.hits[rows] += 1
        self.high_hits[rows] += high
        self.last_seen[rows] = frame
        self.last_seen_s[rows] = time_s

    def confirm(self, n_init: int, n_high: int) -> Array:
        """Confirm the tracks with ``n_init`` detections, ``n_high`` of them with a high score.

        Returns:
            int64 (K,), the rows of those that were tentative before.
        """
        new = (~self.confirmed & (self.hits >= n_init) & (self.high_hits >= n_high)).nonzero()[0]
        self.confirmed[new] = True
        return new

    def recent_speed(self, window_s: float) -> Array:
        """Speed over the last ``window_s`` seconds up to the last detection, in pixels per second: float64 (N,).

        The slope of a least-squares line through the box centers, infinity where they span less than half the time.
        The velocity of the Kalman filter would not do: after a stop it takes seconds to come down.
        """
        age_s = self.last_seen_s[:, None] - self.recent_s
        weight = (age_s < window_s + 1e-6).astype(float)
        total = weight.sum(axis=1)

        mean_age = (weight * age_s).sum(axis=1) / total
        mean_xy = (weight[..., None] * self.recent_xy).sum(axis=1) / total[:, None]
        centered_age = weight * (age_s - mean_age[:, None])
        covariance = (centered_age[..., None] * (self.recent_xy - mean_xy[:, None])).sum(axis=1)
        variance = np.square(centered_age).sum(axis=1)

        span_s = (weight * age_s).max(axis=1)
        is_known = span_s >= window_s / 2
        speed = np.hypot(*covariance.T)
        unknown = np.full(len(self), np.inf)
        return np.asarray(np.divide(speed, variance, out=unknown, where=is_known & (variance > 0)))


_COLUMNS = tuple(field.name for field in fields(Tracks))


def update_features(features: Array, hits: Array, new: Array, momentum: float | None) -> Array:
    """Appearance features after one more detection of each track.

    Args:
        features: float32 (K, B, D), unit length.
        hits: int64 (K,), number of detections before this one.
        new: float32 (K, D), unit length.
        momentum: Weight of the old moving average, which becomes momentum · old + (1 − momentum) · new, scaled to
            unit length. None replaces the oldest of B features instead.

    Returns:
        float32 (K, B, D), unit length.
    """
    if momentum is None:
        features = features.copy()
        features[np.arange(len(new)), hits % features.shape[1]] = new
        return features
    mean = np.float32(momentum) * features
    mean += np.float32(1 - momentum) * new[:, None]
    return unit(mean)
