"""Which box of which frame belongs to which track: from a camera's frames to its tracklets."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from mtmc.geometry.clock import Clock
from mtmc.types import Array, Detections, Tracklet

__all__ = ["History"]


@dataclass(slots=True)
class History:
    """The decisions of a tracker, one entry per frame that has boxes."""

    _frames: list[int] = field(default_factory=list)
    _detections: list[Detections] = field(default_factory=list)
    _ids: list[Array] = field(default_factory=list)
    _xyxy: list[Array] = field(default_factory=list)

    def add(self, frame: int, detections: Detections, ids: Array, xyxy: Array) -> None:
        """Write down the track id of each box of a frame, int64 (M,), and where the box is, (M, 4)."""
        self._frames.append(frame)
        self._detections.append(detections)
        self._ids.append(ids)
        self._xyxy.append(xyxy)

    def tracklets(self, min_boxes: int, camera_id: str, clock: Clock) -> list[Tracklet]:
        """Tracks with that many detected boxes, up to the last of them, numbered from 1 in order of birth."""
        if not self._ids:
            return []
        lengths = [len(ids) for ids in self._ids]
        ids = np.concatenate(self._ids)
        frame = np.repeat(np.array(self._frames, np.int64), lengths)
        # The appearance of a row stays where it is, in the detections of its part: only chosen rows are copied.
        part = np.repeat(np.arange(len(lengths)), lengths)
        row = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        xyxy = np.concatenate(self._xyxy)
        score = np.concatenate([d.score for d in self._detections])
        class_id = np.concatenate([d.class_id for d in self._detections])

        order = np.argsort(ids, kind="stable")
        first = np.searchsorted(ids[order], np.arange(1, ids.max(initial=0) + 2))
        tracks = []
        for start, stop in pairwise(first):
            rows = order[start:stop]
            found = np.flatnonzero(score[rows] > 0)
            if len(found) >= min_boxes:
                tracks.append(rows[: found[-1] + 1])
        return [
            Tracklet(
                camera_id=camera_id,
                track_id=number,
                frame=frame[rows],
                time_s=clock.time_s(frame[rows]),
                xyxy=xyxy[rows],
                score=score[rows],
                class_id=int(np.bincount(class_id[rows]).argmax()),
                appearance=np.stack(
                    [self._detections[p].appearance[r] for p, r in zip(part[rows], row[rows], strict=True)]
                ),
            )
            for number, rows in enumerate(tracks, start=1)
        ]
