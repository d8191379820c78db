"""Detections from files: AI City ``det`` files and the MOT challenge's."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from os import PathLike

import numpy as np

from mtmc.formats.table import Table
from mtmc.types import Array, Detections

__all__ = ["read_detections"]

#: Frames without detections that are given one by one before the rest of a gap is skipped. It is longer than any
#: track is remembered, so that skipping changes nothing, and it bounds the work by the rows of the file, whatever the
#: frame numbers: a camera's counter may have run for months.
_LONGEST_GAP = 10_000
#: With more frames without detections than this in a whole file, gaps are skipped as soon as every track has ended.
#: Such files have times in place of frame numbers, or are very long and sparse.
_MOST_EMPTY_FRAMES = 200_000

_log = logging.getLogger(__name__)


def read_detections(
    path: str | PathLike[str],
    frames: int | None = None,
    frame_offset: int = 0,
    remembered_frames: int = _LONGEST_GAP,
) -> Iterator[tuple[int, Detections]]:
    """The detections of a file, frame by frame, frames without any included as far as a tracker could notice them.

    Args:
        path: A file of ``frame,-1,left,top,width,height,confidence,…`` whose frames start at 1.
        frames: How many frames there are; None ends with the last that has a detection. Rows beyond are left out,
            which the log says.
        frame_offset: Added to the file's frame numbers; rows that fall before frame 0 are left out.
        remembered_frames: How many frames a tracker keeps a track without detections.

    Yields:
        (index of the frame, its detections), indices increasing. Before the first detection, and after each, at most
        10,000 empty frames are given; the rest of a longer gap is skipped. Where that comes to more than 200,000
        empty frames in all, it is at most ``remembered_frames`` and one in place of 10,000.

    Raises:
        FormatError: The file is missing or malformed.
    """
    from mtmc.formats.mot import read_mot

    table = read_mot(path, frame_offset=frame_offset)
    if frames is not None and (table.frame >= frames).any():
        beyond = int((table.frame >= frames).sum())
        _log.warning("%s: %d of %d rows left out: beyond the camera's %d frames", path, beyond, len(table), frames)
        table = table[table.frame < frames]
    yield from _by_frame(table, frames, remembered_frames)


def _by_frame(table: Table, frames: int | None, remembered_frames: int) -> Iterator[tuple[int, Detections]]:
    order = np.argsort(table.frame, kind="stable")
    filled, start = np.unique(table.frame[order], return_index=True)
    rows_of = dict(zip(filled.tolist(), np.split(order, start[1:]), strict=True)) if len(order) else {}
    none = np.zeros(0, np.int64)
    for index in _frames_to_give(filled, frames, remembered_frames):
        rows = rows_of.get(index, none)
        yield index, Detections.of(table.xyxy[rows], np.clip(table.score[rows], 0, 1), table.class_id[rows])


def _frames_to_give(filled: Array, frames: int | None, remembered_frames: int) -> Iterator[int]:
    """Indices of the frames with detections, ``filled``, and of those between them that are not skipped."""
    longest_gap = _LONGEST_GAP
    if np.minimum(np.diff(filled) - 1, longest_gap).sum() > _MOST_EMPTY_FRAMES:
        longest_gap = min(longest_gap, remembered_frames + 1)
    following = 0
    for index in filled.tolist():
        gap = index - following
        if gap > longest_gap:
            # A gap at the beginning has no track that could notice it.
            yield from range(following, following + longest_gap if following else 0)
        else:
            yield from range(following, index)
        yield index
        following = index + 1
    if frames is not None:
        yield from range(following, min(frames, following + longest_gap))
