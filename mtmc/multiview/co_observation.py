"""Co-observations: trajectories of two cameras that are near one position on the ground at one time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from mtmc.multiview.arrays import group_median
from mtmc.multiview.trajectories import Trajectories
from mtmc.types import Array

__all__ = ["CoObservations", "find_co_observations"]

_TICK_SPACING_M = 1e5  # third coordinate of the search tree, per tick: more than any site is wide
_BLOCK = 200_000  # samples per search tree


@dataclass(frozen=True, slots=True, eq=False)
class CoObservations:
    """Pairs of trajectories of different cameras, with the ticks at which both were within some distance.

    Attributes:
        pairs: int64 (P, 2), first < second, sorted.
        rows: int64 (Q, 2), the samples of the first and the second trajectory, grouped by pair, by ascending tick.
        begin: int64 (P + 1,), where each pair's rows begin and the last one's end.
        distance_m: float64 (P,), median distance over these ticks, meters.
    """

    pairs: Array
    rows: Array
    begin: Array
    distance_m: Array

    @property
    def ticks(self) -> Array:
        """Number of ticks of each pair: int64 (P,)."""
        return np.diff(self.begin)


def find_co_observations(trajectories: Trajectories, camera: Array, max_distance_m: float) -> CoObservations:
    """All co-observations, by a search tree over position and time, so that the cost grows with their number.

    Args:
        trajectories: Of N passages.
        camera: int64 (N,), camera of each passage.
        max_distance_m: Largest distance on the ground.
    """
    rows = _near_samples(trajectories, max_distance_m)
    rows = rows[camera[trajectories.owner[rows[:, 0]]] != camera[trajectories.owner[rows[:, 1]]]]
    is_swapped = trajectories.owner[rows[:, 0]] > trajectories.owner[rows[:, 1]]
    rows[is_swapped] = rows[is_swapped][:, ::-1]

    i, j = trajectories.owner[rows].T if len(rows) else np.zeros((2, 0), np.int64)
    order = np.lexsort([trajectories.tick[rows[:, 0]], j, i])
    rows, i, j = rows[order], i[order], j[order]
    is_new_pair = np.diff(i, prepend=-1).astype(bool) | np.diff(j, prepend=-1).astype(bool)
    first_rows = np.flatnonzero(is_new_pair)
    begin = np.append(first_rows, len(rows))

    distance = np.hypot(*(trajectories.xy[rows[:, 0]] - trajectories.xy[rows[:, 1]]).T)
    pairs = np.stack([i[first_rows], j[first_rows]], axis=1)
    return CoObservations(pairs, rows, begin, group_median(distance, begin))


def _near_samples(trajectories: Trajectories, max_distance_m: float) -> Array:
    """Pairs of samples of one tick within a distance: int64 (Q, 2).

    The samples are searched in blocks of consecutive times. A tick that the edge of a block cuts in two loses some of
    its pairs of samples, but the same trajectories are near each other at the ticks beside it.
    """
    order = np.argsort(trajectories.tick, kind="stable")
    found = [np.zeros((0, 2), np.int64)]
    for block in np.array_split(order, max(1, len(order) // _BLOCK)):
        if len(block) < 2:
            continue
        since_first = trajectories.tick[block] - trajectories.tick[block].min(initial=0)
        position = np.column_stack([trajectories.xy[block], since_first * _TICK_SPACING_M])
        found.append(block[cKDTree(position).query_pairs(max_distance_m, output_type="ndarray")])
    return np.concatenate(found)
