"""The core types as rows of a table, and rows as tracklets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mtmc.formats.table import Table
from mtmc.geometry.clock import Clock
from mtmc.types import GlobalTrack, Tracklet

__all__ = ["table_of_tracks", "tracklets_of"]


def table_of_tracks(tracks: Sequence[GlobalTrack], number: Mapping[str, int]) -> Table:
    """Every box of every vehicle, in file order.

    Args:
        tracks: The vehicles.
        number: Camera id → camera number.
    """
    parts = []
    for track in tracks:
        for passage in track.passages:
            tracklet = passage.tracklet
            rows = len(tracklet)
            parts.append(
                Table.of(
                    number[tracklet.camera_id],
                    np.full(rows, track.global_id),
                    tracklet.frame,
                    tracklet.xyxy,
                    score=tracklet.score,
                    class_id=np.full(rows, tracklet.class_id),
                    track_id=np.full(rows, tracklet.track_id),
                    time_s=tracklet.time_s,
                    ground_m=passage.ground_m,
                )
            )
    return Table.concatenate(parts).sorted()


def tracklets_of(table: Table, camera_id: str, clock: Clock) -> list[Tracklet]:
    """The tracklets of one camera's rows, in order of id; rows without an identity (−1) are left out.

    Where a frame holds an identity twice, its first row counts.
    """
    tracklets = []
    for track_id in np.unique(table.id[table.id >= 0]):
        rows = table[table.id == track_id]
        frame, first = np.unique(rows.frame, return_index=True)
        classes, count = np.unique(rows.class_id[first], return_counts=True)
        tracklets.append(
            Tracklet(
                camera_id=camera_id,
                track_id=int(track_id),
                frame=frame,
                time_s=clock.time_s(frame),
                xyxy=rows.xyxy[first].astype(np.float32),
                score=rows.score[first].astype(np.float32),
                class_id=int(classes[count.argmax()]),
                appearance=np.zeros((len(frame), 0), np.float32),
            )
        )
    return tracklets
