"""Reading a text file of boxes without being told its format."""

from __future__ import annotations

import os

import numpy as np

from mtmc.formats import mot, track1
from mtmc.formats.table import Table
from mtmc.formats.text import read_numbers
from mtmc.types import Array

__all__ = ["is_track1", "read_any"]


def read_any(path: str | os.PathLike[str], camera: int = 0) -> Table:
    """Read a nine-column multi-camera file or a MOT file, whichever it is.

    Args:
        path: The file.
        camera: Number of the camera, for a MOT file; a nine-column file names its own.

    Raises:
        FormatError: The file cannot be read, or is in neither format.
    """
    layout = f"{track1.LAYOUT} (many cameras) or {mot.LAYOUT} (one camera)"
    numbers = read_numbers(path, mot.COLUMNS, layout)
    return (
        track1.table_from_track1(numbers, path) if is_track1(numbers) else mot.table_from_mot(numbers, path, camera)
    )


def is_track1(numbers: Array) -> bool:
    """Whether parsed rows, (R, C), are of the nine-column multi-camera format.

    MOT16 ground truth has nine columns too, and ends in a flag 0 or 1, a small class and a visibility in [0, 1];
    a nine-column row of many cameras ends in a height and a position, −1 −1 where unknown.
    """
    if numbers.shape[1] != 9:
        return False
    flag, kind, visible = numbers[:, 6], numbers[:, 7], numbers[:, 8]
    mot16 = np.isin(flag, (0, 1)) & (kind >= 0) & (kind == np.floor(kind)) & (visible >= 0) & (visible <= 1)
    return not bool(mot16.all())
