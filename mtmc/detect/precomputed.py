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

_log = logging.getLogger(__name__)


def read_detections(
    path: str | PathLike[str], frames: int | None = None, frame_offset: int = 0
) -> Iterator[tuple[int, Detections]]:
    """The detections of a file, frame by frame, frames without any included as far as a tracker could notice them.

    Args:
        path: A file of ``frame,-1,left,top,width,height,confidence,…`` whose frames start at 1.
        frames: How many frames there are; None ends with the last that has a detection. Rows beyond are left out,
            which the log says.
        frame_offset: Added to the file's frame numbers; rows that fall before frame 0 are left out.

    Yields:
        (index of the frame, its detections), indices increasing. Before the first detection, and after each, at most
        10,000 empty frames are given; the rest of a longer gap is skipped.

    Raises:
        FormatError: The file is missing or malformed.
    """
    from mtmc.formats.mot import read_mot

    table = read_mot(path, frame_offset=frame_offset)
    if frames is not None and (table.frame >= frames).any():
        beyond = int((table.frame >= frames).sum())
        _log.warning("%s: %d of %d rows left out: beyond the camera's %d frames", path, beyond, len(table), frames)
        table = table[table.frame < frames]
    yield from _by_frame(table, frames)


def _by_frame(table: Table, frames: int | None) -> Iterator[tuple[int, Detections]]:
    order = np.argsort(table.frame, kind="stable")
    filled, start = np.unique(table.frame[order], return_index=True)
    rows_of = dict(zip(filled.tolist(), np.split(order, start[1:]), strict=True)) if len(order) else {}
    none = np.zeros(0, np.int64)
    for index in _frames_to_give(filled, frames):
        rows = rows_of.get(index, none)
        yield index, Detections.of(table.xyxy[rows], np.clip(table.score[rows], 0, 1), table.class_id[rows])


def _frames_to_give(filled: Array, frames: int | None) -> Iterator[int]:
    """Indices of the frames with detections, ``filled``, and of those between them that are not skipped."""
    following = 0
    for index in filled.tolist():
        gap = index - following
        if gap > _LONGEST_GAP:
            # A gap at the beginning has no track that could notice it.
            yield from range(following, following + _LONGEST_GAP if following else 0)
        else:
            yield from range(following, index)
        yield index
        following = index + 1
    if frames is not None:
        yield from range(following, min(frames, following + _LONGEST_GAP))
