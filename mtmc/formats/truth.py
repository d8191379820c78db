"""The one rule for which rows of a ground truth count.

MOTChallenge, and the tools that write its format, mark what is not to be considered with a 0 in the seventh column;
KITTI and others give regions that do not count the identity −1. Such rows are no ground truth for any reader here:
scores, diagnosis and the fit of box sizes see the same vehicles.
"""

from __future__ import annotations

import os

import numpy as np

from mtmc.errors import FormatError
from mtmc.formats.mot import read_mot
from mtmc.formats.table import Table

__all__ = ["considered", "read_truth", "require_truth"]


def read_truth(path: str | os.PathLike[str], camera: int = 0, frame_offset: int = 0) -> Table:
    """The rows that count of one camera's ground truth, a MOT file; an empty file is an empty table.

    Args:
        path: The file.
        camera: Number of the camera that it belongs to.
        frame_offset: Added to the file's frame numbers before they are checked.

    Raises:
        FormatError: The file cannot be read, a line is no row, or it has rows of which none counts.
    """
    table = read_mot(path, camera, frame_offset)
    kept = considered(table)
    if len(table) and not len(kept):
        _refuse(table, path)
    return kept


def considered(table: Table) -> Table:
    """The rows of a ground truth that count: with a score other than 0, and an identity."""
    counts = np.asarray((table.score != 0) & (table.id >= 0))
    return table if counts.all() else table[counts]


def require_truth(table: Table, path: str | os.PathLike[str]) -> Table:
    """The rows that count of a ground truth that must have some.

    Raises:
        FormatError: There is none: no row at all, or all of them are marked as not to be considered.
    """
    kept = considered(table)
    if not len(kept):
        _refuse(table, path)
    return kept


def _refuse(table: Table, path: str | os.PathLike[str]) -> None:
    rows = len(table)
    flagged = int((table.score == 0).sum())
    if not rows:
        raise FormatError(
            "expected ground truth, got no rows",
            path=path,
            remedy="write one line per box, or leave this ground truth out",
        )
    if flagged == rows:
        message = f"expected ground truth, got {rows:,} rows that all have a 0 in the seventh column"
        remedy = "0 means 'do not consider'; write 1 there for rows that count"
    elif not flagged:
        message = f"expected ground truth, got {rows:,} rows that all have the identity −1"
        remedy = "these look like detections: give a file with identities"
    else:
        message = f"expected ground truth, got {rows:,} rows, each with a 0 in the seventh column or the identity −1"
        remedy = "write 1 there and an identity for rows that count"
    raise FormatError(message, path=path, remedy=remedy)
