"""The observations of each track, until it becomes a tracklet.

The rows of a frame are copied to the end of a block of columns that all tracks share, so that the arrays of the frame
can be freed. When the block is full, each track takes its rows out of it, and the block is written again.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from mtmc.geometry.clock import Clock
from mtmc.types import Array, Tracklet

__all__ = ["FrameBoxes", "TrackLog"]

#: Rows of the shared block. A frame with more boxes makes it larger.
_BLOCK_ROWS = 8192

#: One observation, without its features.
_OBSERVATION = np.dtype(
    [
        ("frame", np.int64),
        ("xyxy", np.float32, 4),
        ("score", np.float32),
        ("class_id", np.int64),
        ("detected", bool),
    ]
)


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

    The latest observations of a track are rows of the shared block, older ones are chunks of its own.
    """

    def __init__(self) -> None:
        self._block = _Block.allocate(0, 0)
        self._n_used = 0
        self._rows: defaultdict[int, list[int]] = defaultdict(list)
        self._chunks: defaultdict[int, list[_Block]] = defaultdict(list)

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
        n = len(rows)
        if not n:
            return
        self._reserve(n, boxes.features.shape[1])

        start = self._n_used
        self._n_used += n
        self._block.write(slice(start, self._n_used), boxes, rows)
        for row, key in enumerate(keys.tolist(), start):
            self._rows[key].append(row)

    def _reserve(self, n_rows: int, size: int) -> None:
        """Make sure that ``n_rows`` rows with features of that size fit into the block."""
        capacity, block_size = self._block.features.shape
        if self._n_used + n_rows <= capacity and size == block_size:
            return
        for key, rows in self._rows.items():
            self._chunks[key].append(self._block.take(rows))
        self._rows.clear()
        self._n_used = 0
        if n_rows > capacity or size != block_size:
            self._block = _Block.allocate(max(n_rows, _BLOCK_ROWS), size)

    def discard(self, key: int) -> None:
        """Remove the observations of a track that becomes no tracklet."""
        self._rows.pop(key, None)
        self._chunks.pop(key, None)

    def pop(self, key: int, track_id: int, camera_id: str, clock: Clock) -> Tracklet:
        """Remove a track and return its tracklet, without the predicted boxes after the last detection."""
        chunks = self._chunks.pop(key, [])
        if key in self._rows:
            chunks.append(self._block.take(self._rows.pop(key)))
        observations = _Block.concatenate(chunks)
        length = int(observations.records["detected"].nonzero()[0][-1]) + 1
        records = observations.records[:length]
        frame = records["frame"].copy()
        return Tracklet(
            camera_id=camera_id,
            track_id=track_id,
            frame=frame,
            time_s=clock.time_s(frame),
            xyxy=records["xyxy"].copy(),
            score=records["score"].copy(),
            class_id=int(np.bincount(records["class_id"]).argmax()),
            appearance=observations.features[:length],
        )


class _Block:
    """Observations as columns: all in one array of records but for the features, whose size depends on the model."""

    def __init__(self, records: Array, features: Array) -> None:
        self.records = records
        self.features = features

    @classmethod
    def allocate(cls, length: int, size: int) -> _Block:
        """A block to write to, with features of that size."""
        return cls(np.empty(length, _OBSERVATION), np.empty((length, size), np.float32))

    @classmethod
    def concatenate(cls, parts: list[_Block]) -> _Block:
        """All observations of some parts, in order."""
        if len(parts) == 1:
            return parts[0]
        records = np.concatenate([part.records for part in parts])
        return cls(records, np.concatenate([part.features for part in parts]))

    def write(self, place: slice, boxes: FrameBoxes, rows: Array) -> None:
        """Write some rows of a frame to ``place``."""
        records = self.records[place]
        records["frame"] = boxes.frame
        records["xyxy"] = boxes.xyxy[rows]
        records["score"] = boxes.score[rows]
        records["class_id"] = boxes.class_id[rows]
        records["detected"] = boxes.detected
        np.take(boxes.features, rows, axis=0, out=self.features[place], mode="clip")  # "raise" would copy twice

    def take(self, rows: list[int]) -> _Block:
        """A copy of some rows."""
        return _Block(self.records[rows], self.features[rows])
