"""Rows as single numbers: which belong to the same frame, and which repeat one another."""

from __future__ import annotations

import numpy as np

from mtmc.formats.table import Table
from mtmc.types import Array

__all__ = ["frame_keys", "joint_key", "of_cameras", "without_repeats"]

_LARGEST = 2**62


def joint_key(*columns: Array) -> Array:
    """One int64 (R,) for several whole-number columns (R,): equal where all are equal, and ordered as they are."""
    key = np.zeros(len(columns[0]), np.int64)
    if not len(key):
        return key
    size = 1
    for column in columns:
        low = int(column.min())
        span = int(column.max()) - low + 1
        if size * span > _LARGEST:
            # Ranks instead of values: never more of them than rows.
            values, key = np.unique(key, return_inverse=True)
            others, column = np.unique(column, return_inverse=True)
            size, span, low = len(values), len(others), 0
        key = key * span + (column - low)
        size *= span
    return key


def frame_keys(truth: Table, predicted: Table) -> tuple[Array, Array]:
    """A number for each row's (camera, frame), from 0, the same for both tables and ordered as they are.

    Laying the cameras end to end in this way is what the official AI City evaluation calls one sequence.
    """
    camera = np.concatenate([truth.camera, predicted.camera])
    frame = np.concatenate([truth.frame, predicted.frame])
    key = joint_key(camera, frame)
    return key[: len(truth)], key[len(truth) :]


def of_cameras(table: Table, cameras: Array) -> Table:
    """The rows of the given cameras, (C,) numbers."""
    return table[np.isin(table.camera, cameras)]


def without_repeats(table: Table) -> Table:
    """The first row of every (camera, frame, id): an identity is in a frame once."""
    key = joint_key(table.camera, table.frame, table.id)
    ordered = np.sort(key)
    if not (ordered[1:] == ordered[:-1]).any():
        return table
    first = np.unique(key, return_index=True)[1]
    return table[np.sort(first)]
