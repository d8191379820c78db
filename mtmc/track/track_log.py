"""The observations of each track, until it becomes a tracklet.

Storing an observation costs a reference to a row of its frame. So that a track that lives long does not keep the
columns of all its frames alive, its rows are copied out of them from time to time.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields

import numpy as np

from mtmc.geometry.clock import Clock
from mtmc.types import Array, Tracklet

__all__ = ["FrameBoxes", "TrackLog"]


@dataclass(frozen=True, slots=True, eq=False)
class FrameBoxes:
    """Boxes of one frame, as parallel columns.

    Attributes:
        frame: Number of the frame.
        xyxy: (M, 4), pixels.
        score: (M,).
        class_id: int64 (M,).
        features: float32 (M, D), appearance features.
        detected: Whether the boxes were detected; otherwise they were predicted.
    """

    frame: int
    xyxy: Array
    score: Array
    class_id: Array
    features: Array
    detected: bool


class TrackLog:
    """Observations of the tracks that are alive, by the key of the track.

    The latest observations of a track are rows of their frames, older ones are chunks of copied columns.
    """

    def __init__(self) -> None:
        self._rows: defaultdict[int, list[tuple[FrameBoxes, int]]] = defaultdict(list)
        self._chunks: defaultdict[int, list[_Columns]] = defaultdict(list)

    def __len__(self) -> int:
        """Number of tracks with observations."""
        return len(self._rows.keys() | self._chunks.keys())

    def add(self, boxes: FrameBoxes, rows: Array, keys: Array) -> None:
        """Add one observation to each of some tracks.

        Args:
            boxes: Boxes of a frame.
            rows: int64 (K,), rows of ``boxes``.
            keys: int64 (K,), the track that each row belongs to.
        """
        for row, key in zip(rows.tolist(), keys.tolist(), strict=True):
            self._rows[key].append((boxes, row))

    def copy_rows(self) -> None:
        """Copy the rows of all tracks, so that their frames are no longer needed."""
        for key, rows in self._rows.items():
            self._chunks[key].append(_Columns.of(rows))
        self._rows.clear()

    def discard(self, key: int) -> None:
        """Remove the observations of a track that becomes no tracklet."""
        self._rows.pop(key, None)
        self._chunks.pop(key, None)

    def pop(self, key: int, track_id: int, camera_id: str, clock: Clock) -> Tracklet:
        """Remove a track and return its tracklet, without the predicted boxes after the last detection."""
        chunks = self._chunks.pop(key, [])
        if key in self._rows:
            chunks.append(_Columns.of(self._rows.pop(key)))
        columns = _Columns.concatenate(chunks)
        length = int(columns.detected.nonzero()[0][-1]) + 1
        return Tracklet(
            camera_id=camera_id,
            track_id=track_id,
            frame=columns.frame[:length],
            time_s=clock.time_s(columns.frame[:length]),
            xyxy=columns.xyxy[:length],
            score=columns.score[:length],
            class_id=int(np.bincount(columns.class_id[:length]).argmax()),
            appearance=columns.features[:length],
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Columns:
    """L observations of one track, as parallel columns."""

    frame: Array
    xyxy: Array
    score: Array
    class_id: Array
    features: Array
    detected: Array

    @classmethod
    def of(cls, rows: list[tuple[FrameBoxes, int]]) -> _Columns:
        """A copy of some rows of some frames."""
        return cls(
            frame=np.array([boxes.frame for boxes, _ in rows], np.int64),
            xyxy=np.array([boxes.xyxy[row] for boxes, row in rows], np.float32),
            score=np.array([boxes.score[row] for boxes, row in rows], np.float32),
            class_id=np.array([boxes.class_id[row] for boxes, row in rows], np.int64),
            features=np.array([boxes.features[row] for boxes, row in rows], np.float32),
            detected=np.array([boxes.detected for boxes, _ in rows], bool),
        )

    @classmethod
    def concatenate(cls, parts: list[_Columns]) -> _Columns:
        """All observations of some parts, in order."""
        if len(parts) == 1:
            return parts[0]
        return cls(*[np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)])
