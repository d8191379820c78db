"""Samples at equal times, and mutually best pairs: what registration, bundle adjustment and clock fits share.

These choose pairs of trajectories by a score that all ties share, so that the result does not depend on their order;
:func:`mtmc.multiview.arrays.mutual_nearest` resolves ties by order instead.
"""

from __future__ import annotations

import numpy as np

from mtmc.multiview.arrays import ranges
from mtmc.types import Array

__all__ = ["best_of_both", "simultaneous_rows"]


def simultaneous_rows(tick_a: Array, tick_b: Array, offset: int) -> tuple[Array, Array]:
    """All pairs of samples with ``tick_b == tick_a + offset``: rows of a and of b, int64 (E,) each.

    >>> rows_a, rows_b = simultaneous_rows(np.array([0, 1]), np.array([3, 2, 3]), 2)
    >>> rows_a.tolist(), rows_b.tolist()
    ([0, 1, 1], [1, 0, 2])
    """
    order = np.argsort(tick_b, kind="stable")
    first, last = (np.searchsorted(tick_b[order], tick_a + offset, side) for side in ("left", "right"))
    row_a, index_b = ranges(first, last)
    return row_a, order[index_b]


def best_of_both(score: Array, index_a: Array, index_b: Array) -> Array:
    """Pairs whose score is positive and the greatest of both their members: bool (P,). Ties are all kept.

    >>> best_of_both(np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1]), np.array([0, 1, 1])).tolist()
    [False, False, True]
    """
    is_best = score > 0
    for index in (index_a, index_b):
        greatest = np.zeros(index.max(initial=-1) + 1)
        np.maximum.at(greatest, index, score)
        is_best &= score == greatest[index]
    return np.asarray(is_best)
