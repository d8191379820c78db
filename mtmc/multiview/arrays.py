"""Index arithmetic on sorted arrays: ranges, groups, nearest neighbors, one-to-one choices."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array

__all__ = ["group_median", "mutual_nearest", "one_to_one", "ranges", "unique_sorted"]


def ranges(first: Array, last: Array) -> tuple[Array, Array]:
    """All integers of many half-open ranges [first, last), one range after the other.

    Args:
        first: int64 (R,).
        last: int64 (R,); a range with ``last <= first`` is empty.

    Returns:
        The range that each integer belongs to, int64 (K,), and the integers, int64 (K,).

    >>> ranges(np.array([3, 7, 0]), np.array([5, 7, 2]))
    (array([0, 0, 2, 2]), array([3, 4, 0, 1]))
    """
    count = np.maximum(last - first, 0)
    row = np.repeat(np.arange(len(first)), count)
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return row, first[row] + offset


def unique_sorted(values: Array) -> Array:
    """The distinct values in ascending order; for millions of integers faster than :func:`numpy.unique`.

    >>> unique_sorted(np.array([5, 1, 5, 0]))
    array([0, 1, 5])
    """
    ordered = np.sort(values)
    is_new = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_new[1:])
    return ordered[is_new]


def group_median(values: Array, begin: Array) -> Array:
    """Median of each group ``values[begin[g]:begin[g + 1]]``.

    Args:
        values: float (K,), group after group.
        begin: int64 (G + 1,), where the groups begin and the last one ends; no group is empty.

    Returns:
        float (G,).

    >>> group_median(np.array([4.0, 1.0, 2.0, 7.0, 9.0]), np.array([0, 3, 5])).tolist()
    [2.0, 8.0]
    """
    size = np.diff(begin)
    group = np.repeat(np.arange(len(size)), size)
    ordered = values[np.lexsort([values, group])]
    lower = ordered[begin[:-1] + (size - 1) // 2]
    upper = ordered[begin[:-1] + size // 2]
    return np.asarray((lower + upper) / 2)


def mutual_nearest(pairs: Array, distance: Array, camera: Array) -> Array:
    """Pairs (i, j) where j is the nearest partner of i in j's camera, and i that of j in i's camera.

    Args:
        pairs: int64 (P, 2), indices of items.
        distance: float (P,). Of equal distances the first pair counts.
        camera: int64 (N,), camera of each item.

    Returns:
        Rows of ``pairs``, int64 (K,), ascending.

    >>> pairs = np.array([[0, 2], [0, 3], [1, 2]])
    >>> mutual_nearest(pairs, np.array([1.0, 2.0, 0.5]), np.array([0, 0, 1, 1]))
    array([2])
    """
    is_mutual = np.ones(len(pairs), bool)
    cameras = int(camera.max(initial=0)) + 1
    for own, other in ((0, 1), (1, 0)):
        group = pairs[:, own].astype(np.int64) * cameras + camera[pairs[:, other]]
        is_mutual &= _first_least_of_group(group, distance)
    return np.flatnonzero(is_mutual)


def _first_least_of_group(group: Array, value: Array) -> Array:
    """Whether each element has the least value of its group, and is the first of those that have it: bool (K,)."""
    is_least = np.zeros(len(group), bool)
    if not len(group):
        return is_least
    order = np.argsort(group, kind="stable")
    begin = np.flatnonzero(np.diff(group[order], prepend=-1))
    size = np.diff(begin, append=len(order))
    ordered = value[order]
    least = np.minimum.reduceat(ordered, begin)

    tied = np.flatnonzero(ordered == np.repeat(least, size))
    group_of_tied = np.searchsorted(begin, tied, side="right")
    is_first = np.diff(group_of_tied, prepend=-1) > 0
    is_least[order[tied[is_first]]] = True
    return is_least


def one_to_one(cost: Array, row: Array, column: Array, allowed: Array | None = None) -> Array:
    """Greedy matching: the cheapest pairs first, each row and each column at most once.

    Args:
        cost: float (P,). Of equal costs the first pair comes first.
        row: int (P,), one side of each pair.
        column: int (P,), the other side.
        allowed: bool (P,), which pairs may be chosen; None allows all.

    Returns:
        Indices of the chosen pairs, int64 (K,), ascending.

    >>> one_to_one(np.array([3.0, 1.0, 2.0]), np.array([0, 0, 1]), np.array([0, 1, 1]))
    array([1])
    """
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    chosen = []
    for k in np.argsort(cost, kind="stable").tolist():
        if allowed is not None and not allowed[k]:
            continue
        if row[k] in used_rows or column[k] in used_columns:
            continue
        used_rows.add(row[k])
        used_columns.add(column[k])
        chosen.append(k)
    return np.array(sorted(chosen), np.int64)
