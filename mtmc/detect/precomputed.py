"""Detections that somebody else has computed: AI City ``det`` files and the MOT challenge's."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike

import numpy as np

from mtmc.formats.table import Table
from mtmc.types import Array, Detections

__all__ = ["read_detections"]


def read_detections(
    path: str | PathLike[str], frames: int | None = None, frame_offset: int = 0
) -> Iterator[tuple[int, Detections]]:
    """The detections of every frame of a file, frame by frame from 0, frames without any included.

    Args:
        path: A file of ``frame,-1,left,top,width,height,confidence,…`` whose frames start at 1.
        frames: How many frames there are; None ends with the last that has a detection. Rows beyond are left out.
        frame_offset: Added to the file's frame numbers; rows that fall before frame 0 are left out.

    Raises:
        FormatError: The file is missing or malformed.
    """
    from mtmc.formats.mot import read_mot

    table = read_mot(path)
    yield from _by_frame(table, table.frame + frame_offset, frames)


def _by_frame(table: Table, frame: Array, frames: int | None) -> Iterator[tuple[int, Detections]]:
    order = np.argsort(frame, kind="stable")
    count = (int(frame.max()) + 1 if len(frame) else 0) if frames is None else frames
    bounds = np.searchsorted(frame[order], np.arange(count + 1))
    for index in range(count):
        rows = order[bounds[index] : bounds[index + 1]]
        yield index, Detections.of(table.xyxy[rows], np.clip(table.score[rows], 0, 1), table.class_id[rows])
