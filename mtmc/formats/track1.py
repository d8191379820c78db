"""The AI City Challenge's multi-camera format: ground truth and submissions of Track 1 (Track 3 before 2022).

A line is ``camera id frame left top width height xworld yworld``: whole numbers, frames from 1 (here from 0), and
−1 −1 where the position in the world is not known. Commas, tabs and spaces separate; spaces are written.
"""

from __future__ import annotations

import os

import numpy as np

from mtmc.files import atomic_path
from mtmc.formats.mot import check_whole, checked_frames, has_area, world_or_nan
from mtmc.formats.table import Table
from mtmc.formats.text import number_text, read_numbers
from mtmc.geometry.boxes import xywh_to_xyxy
from mtmc.types import Array

__all__ = ["COLUMNS", "LAYOUT", "read_track1", "table_from_track1", "whole_boxes", "write_track1"]

LAYOUT = "camera id frame left top width height xworld yworld"
COLUMNS = (9,)


def read_track1(path: str | os.PathLike[str], frame_offset: int = 0) -> Table:
    """Read a nine-column file, in its own order. An empty file is an empty table.

    Args:
        path: The file.
        frame_offset: Added to the file's frame numbers before they are checked, as in
            :func:`mtmc.formats.mot.read_mot`.

    Raises:
        FormatError: The file cannot be read or a line is not such a row.
    """
    return table_from_track1(read_numbers(path, COLUMNS, LAYOUT), path, frame_offset)


def table_from_track1(numbers: Array, path: str | os.PathLike[str], frame_offset: int = 0) -> Table:
    """Check the parsed rows of a nine-column file, (R, 9), and name their columns."""
    camera, identity = numbers[:, 0], numbers[:, 1]
    check_whole(camera, path, "camera number", 0, "camera c006 is 6", LAYOUT)
    check_whole(identity, path, "id", None, "identities are whole numbers", LAYOUT)
    frame = checked_frames(numbers[:, 2], path, frame_offset, LAYOUT)
    table = Table.of(camera, identity, frame, xywh_to_xyxy(numbers[:, 3:7]), ground_m=world_or_nan(numbers[:, 7:9]))
    return table[has_area(numbers[:, 5:7], path, LAYOUT) & (frame >= 0)]


def whole_boxes(xyxy: Array) -> Array:
    """Whole (left, top, width, height), int64 (R, 4): each edge goes to the nearest pixel edge, halves to the right
    and down, and a box keeps a width and height of at least 1.

    >>> whole_boxes(np.array([[0.4, 1.5, 9.5, 1.9]])).tolist()
    [[0, 2, 10, 1]]
    """  # noqa: D205
    edges = np.floor(xyxy + 0.5).astype(np.int64)
    return np.concatenate([edges[:, :2], np.maximum(edges[:, 2:] - edges[:, :2], 1)], axis=1)


def write_track1(table: Table, path: str | os.PathLike[str]) -> None:
    """Write a nine-column file, sorted by camera, frame and id; boxes become whole by :func:`whole_boxes`.

    Raises:
        MtmcError: The file cannot be written.
    """
    table = table.sorted()
    known = np.asarray(np.isfinite(table.ground_m).all(axis=1))
    columns = (table.camera, table.id, table.frame + 1, *whole_boxes(table.xyxy).T)
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(
            f"{camera} {identity} {frame} {x} {y} {w} {h} "
            + (f"{number_text(east)} {number_text(north)}\n" if is_known else "-1 -1\n")
            for camera, identity, frame, x, y, w, h, is_known, (east, north) in zip(
                *(column.tolist() for column in columns), known.tolist(), table.ground_m.tolist(), strict=True
            )
        )
