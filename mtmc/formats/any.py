"""Reading a text file of boxes whose format is not given.

Only files of nine columns can be two things: rows of many cameras (``camera id frame left top width height x y``), or
rows of one camera with a score and two more columns (``frame,id,left,top,width,height,score,class,visibility``).
Their values overlap, so the decision rests on what the columns must do in either reading, and on the path where both
fit.
"""

from __future__ import annotations

import os

import numpy as np

from mtmc.formats import mot, track1
from mtmc.formats.table import Table
from mtmc.formats.text import read_numbers
from mtmc.types import Array

__all__ = ["is_track1", "read_any"]

#: A file with this share of repeated (first, second) values counts cameras in its first column: in a file of one
#: camera they are (frame, id), which no tracker writes twice but by mistake.
_REPEATED_SHARE = 0.2
#: An identity with this many different first values, each once, counts frames there: no vehicle is seen by that many
#: cameras for a single frame each.
_MANY_FRAMES = 10
_ROWS_ENOUGH = 50_000


def read_any(path: str | os.PathLike[str], camera: int | None = None, frame_offset: int = 0) -> Table:
    """Read a nine-column multi-camera file or a MOT file, whichever it is.

    Args:
        path: The file.
        camera: Number of the camera that the path names. A file of nine columns that could be either is then one of
            that camera. None, where the path names no camera, reads a MOT file as camera 0.
        frame_offset: Added to the file's frame numbers before they are checked.

    Raises:
        FormatError: The file cannot be read, or is in neither format.
    """
    layout = f"{track1.LAYOUT} (many cameras) or {mot.LAYOUT} (one camera)"
    numbers = read_numbers(path, mot.COLUMNS, layout)
    if is_track1(numbers, one_camera=camera is not None):
        return track1.table_from_track1(numbers, path, frame_offset)
    return mot.table_from_mot(numbers, path, camera or 0, frame_offset)


def is_track1(numbers: Array, *, one_camera: bool = False) -> bool:
    """Whether parsed rows, (R, C), are of the nine-column multi-camera format.

    Args:
        numbers: The rows.
        one_camera: Whether the file is known to be one of a single camera; rows that fit both formats then are.
    """
    if numbers.shape[1] != 9 or not len(numbers):
        return False
    frame_or_left, height_or_score = numbers[:, 2], numbers[:, 6]
    whole_frames = (frame_or_left == np.floor(frame_or_left)).all() and (frame_or_left >= 0).mean() > 0.5
    tall = (height_or_score >= 1).mean() > 0.5
    head = numbers[:_ROWS_ENOUGH]
    tracked = head[head[:, 1] >= 0]
    if not whole_frames or not tall or not len(tracked):
        return False  # no frame number, no height in pixels, or no identity where many cameras have one
    pairs = np.unique(tracked[:, :2], axis=0)
    if len(pairs) < (1 - _REPEATED_SHARE) * len(tracked):
        return True
    rows_of_identity = np.unique(pairs[:, 1], return_counts=True)[1]
    if one_camera or rows_of_identity.max() >= _MANY_FRAMES:
        return False
    return bool((height_or_score > 1).all())
