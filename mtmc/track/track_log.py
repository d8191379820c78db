"""Which box of which frame belongs to which track: from a camera's frames to its tracklets."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from mtmc.geometry.clock import Clock
from mtmc.types import Array, Tracklet

__all__ = ["TrackLog"]


@dataclass(slots=True)
class TrackLog:
    """The decisions of a tracker, part by part; each part is about some boxes of one frame."""

    _parts: list[tuple[int, Array, Array, Array, Array, Array]] = field(default_factory=list)

    def add(self, frame: int, ids: Array, xyxy: Array, score: Array, class_id: Array, features: Array) -> None:
        """Write down whose box each one is: track ids, int64 (M,), 0 for nobody's, and columns as in Detections."""
        self._parts.append((frame, ids, xyxy, score, class_id, features))

    def tracklets(self, min_boxes: int, camera_id: str, clock: Clock) -> list[Tracklet]:
        """Tracks with that many detected boxes, up to the last of them, numbered from 1 in order of birth."""
        if not self._parts:
            return []
        frames, part_ids, part_xyxy, part_score, part_class, part_features = zip(*self._parts, strict=True)
        lengths = [len(ids) for ids in part_ids]
        ids, frame = np.concatenate(part_ids), np.repeat(np.array(frames, np.int64), lengths)
        xyxy, score, class_id = np.concatenate(part_xyxy), np.concatenate(part_score), np.concatenate(part_class)
        # The features of a row stay where they are, in its part: they are large, and most runs have none.
        part = np.repeat(np.arange(len(lengths)), lengths)
        row = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)

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
                appearance=np.stack([part_features[p][r] for p, r in zip(part[rows], row[rows], strict=True)]),
            )
            for number, rows in enumerate(tracks, start=1)
        ]
