"""MOT-style files, one camera each: AI City ``gt``, ``det`` and ``mtsc``, MOTChallenge ``gt`` and results.

A line is ``frame,id,left,top,width,height[,score[,x,y,z]]``; frames count from 1, here from 0. Detections have
id −1. A score of −1 means that none was given and reads as 1. With ten columns, 8 and 9 are a position in the
world, −1,−1 where unknown; with eight or nine (MOT16 and later: class and visibility) they are not read.

Files whose frames count from 0 are read with a ``frame_offset`` of 1. Boxes without area are left out with a note in
the log, as every stage that follows would drop them; the note counts them and names the first line.
"""

from __future__ import annotations

import logging
import os

import numpy as np

from mtmc.errors import FormatError
from mtmc.files import atomic_path
from mtmc.formats.table import Table
from mtmc.formats.text import fail_where, line_of, number_text, read_numbers
from mtmc.geometry.boxes import xywh_to_xyxy, xyxy_to_xywh
from mtmc.types import Array

__all__ = ["COLUMNS", "LARGEST", "LAYOUT", "read_mot", "table_from_mot", "write_mot"]

LAYOUT = "frame,id,left,top,width,height,score,-1,-1,-1"
COLUMNS = (6, 7, 8, 9, 10)
FROM_ONE = (
    "frames count from 1 in this format; for a file that counts from 0 set input.frame_offset=1, or in evaluate "
    "--gt-offset 1 or --pred-offset 1"
)

#: Of frame numbers, identities and frame offsets; beyond it not every whole number is a float64.
LARGEST = 2**53

_log = logging.getLogger(__name__)


def read_mot(path: str | os.PathLike[str], camera: int = 0, frame_offset: int = 0) -> Table:
    """Read the boxes of one camera, in the order of the file. An empty file is an empty table.

    Args:
        path: The file.
        camera: Number of the camera that the file belongs to.
        frame_offset: Added to the file's frame numbers before they are checked; rows that then lie before the first
            frame are left out.

    Raises:
        FormatError: The file cannot be read or a line is not such a row.
    """
    return table_from_mot(read_numbers(path, COLUMNS, LAYOUT), path, camera, frame_offset)


def table_from_mot(numbers: Array, path: str | os.PathLike[str], camera: int = 0, frame_offset: int = 0) -> Table:
    """Check the parsed rows of a MOT file, (R, 6…10), and name their columns; ``frame_offset`` as in read_mot."""
    identity = numbers[:, 1]
    check_whole(identity, path, "id", None, "identities are whole numbers, −1 for detections", LAYOUT)
    frame = checked_frames(numbers[:, 0], path, frame_offset, LAYOUT)
    score = np.ones(len(numbers)) if numbers.shape[1] < 7 else np.where(numbers[:, 6] == -1, 1.0, numbers[:, 6])
    table = Table.of(
        camera,
        identity,
        frame,
        xywh_to_xyxy(numbers[:, 2:6]),
        score=score,
        ground_m=world_or_nan(numbers[:, 7:9]) if numbers.shape[1] == 10 else None,
    )
    return table[has_area(numbers[:, 4:6], path, LAYOUT) & (frame >= 0)]


def checked_frames(numbers: Array, path: str | os.PathLike[str], frame_offset: int, layout: str) -> Array:
    """Frame indices from 0, (R,): the file's numbers, moved by the offset, which count from 1.

    With an offset, rows may come to lie before the first frame; their index is negative.

    Raises:
        FormatError: A number is not whole, is too large, or, without an offset, is below 1.
    """
    remedy = "number the frames in order, or give the time in milliseconds at most"
    fail_where(np.abs(numbers) > LARGEST, path, [numbers], f"a frame number up to {LARGEST}", remedy, layout)
    lowest = 1 if frame_offset == 0 else None
    check_whole(numbers, path, "frame number", lowest, FROM_ONE, layout)
    return np.asarray(numbers - 1 + frame_offset)


def check_whole(
    values: Array, path: str | os.PathLike[str], what: str, lowest: int | None, remedy: str, layout: str
) -> None:
    """Raise for the first row whose value is not a whole number, or is below ``lowest``."""
    bad = np.asarray((values != np.floor(values)) | (np.abs(values) > LARGEST))
    expected = f"a whole {what}"
    if lowest is not None:
        bad |= values < lowest
        expected += f" from {lowest}"
    fail_where(bad, path, [values], expected, remedy, layout)


def has_area(sizes: Array, path: str | os.PathLike[str], layout: str) -> Array:
    """Which rows have a box with positive width and height, bool (R,); the others are counted in the log.

    Args:
        sizes: float64 (R, 2), width and height.
        path: The file.
        layout: What its lines look like.

    Raises:
        FormatError: Most rows have no such box, so the columns hold something else.
    """
    flat = np.asarray((sizes <= 0).any(axis=1))
    if not flat.any():
        return ~flat
    if flat.sum() * 2 > len(flat):
        remedy = "delete the line, or give left,top,width,height rather than two corners"
        columns = [sizes[:, 0], sizes[:, 1]]
        fail_where(flat, path, columns, "a box with positive width and height", remedy, layout)
    first = line_of(int(np.argmax(flat)), path, layout)
    rows = "1 row is" if flat.sum() == 1 else f"{flat.sum():,} rows are"
    _log.warning("%s:%d: %s left out: no positive width and height", os.fspath(path), first, rows)
    return ~flat


def world_or_nan(position: Array) -> Array:
    """World positions (R, 2), with NaN where the file says −1 −1."""
    return np.where((position == -1).all(axis=1, keepdims=True), np.nan, position)


def write_mot(table: Table, path: str | os.PathLike[str]) -> None:
    """Write the boxes of one camera, sorted by frame and id.

    Coordinates are rounded to a millionth of a pixel, so that a file of up to six decimals reads and writes to
    the same numbers. The format has no place for times and classes.

    Raises:
        FormatError: The table holds more than one camera.
        MtmcError: The file cannot be written.
    """
    cameras = np.unique(table.camera)
    if len(cameras) > 1:
        message = f"expected the rows of one camera, got {len(cameras)} cameras"
        raise FormatError(message, path=path, remedy="write one file per camera, or the nine-column format")
    table = table.sorted()
    boxes = np.round(xyxy_to_xywh(table.xyxy), 6) + 0.0  # + 0.0 turns −0 into 0
    known = np.asarray(np.isfinite(table.ground_m).all(axis=1))
    world = [f"{x!r},{y!r}" if k else "-1,-1" for k, (x, y) in zip(known, table.ground_m.tolist(), strict=True)]
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(
            f"{frame},{identity},{x:.12g},{y:.12g},{w:.12g},{h:.12g},{number_text(score)},{position},-1\n"
            for frame, identity, (x, y, w, h), score, position in zip(
                (table.frame + 1).tolist(),
                table.id.tolist(),
                boxes.tolist(),
                table.score.tolist(),
                world,
                strict=True,
            )
        )
