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
_BLOCK = 200_000  # samples per search tree, so that its memory does not grow with the length of a scene


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
    owner = trajectories.owner
    rows = _near_samples(trajectories, max_distance_m)

    # Two trajectories that one camera sees at one time are two vehicles, however near they are.
    is_of_two_cameras = camera[owner[rows[:, 0]]] != camera[owner[rows[:, 1]]]
    rows = _grouped_by_pair(rows[is_of_two_cameras], trajectories)
    first_owner = owner[rows[:, 0]]
    second_owner = owner[rows[:, 1]]

    # The rows are sorted, so a pair begins wherever one of the two trajectories changes.
    is_new_pair = np.diff(first_owner, prepend=-1) != 0
    is_new_pair |= np.diff(second_owner, prepend=-1) != 0
    first_rows = np.flatnonzero(is_new_pair)
    begin = np.append(first_rows, len(rows))
    pairs = np.stack([first_owner[first_rows], second_owner[first_rows]], axis=1)

    distance_m = _distance_between(trajectories.xy, rows)
    return CoObservations(pairs, rows, begin, group_median(distance_m, begin))


def _grouped_by_pair(rows: Array, trajectories: Trajectories) -> Array:
    """The pairs of samples with the smaller trajectory first, sorted by pair and tick: int64 (Q, 2)."""
    owner = trajectories.owner
    is_swapped = owner[rows[:, 0]] > owner[rows[:, 1]]
    rows[is_swapped] = rows[is_swapped][:, ::-1]

    # The last key of lexsort is the first criterion.
    tick = trajectories.tick[rows[:, 0]]
    order = np.lexsort([tick, owner[rows[:, 1]], owner[rows[:, 0]]])
    return np.asarray(rows[order])


def _distance_between(xy: Array, rows: Array) -> Array:
    """Distance of the two samples of each row: float64 (Q,), meters."""
    difference = xy[rows[:, 0]] - xy[rows[:, 1]]
    return np.asarray(np.hypot(difference[:, 0], difference[:, 1]))


def _near_samples(trajectories: Trajectories, max_distance_m: float) -> Array:
    """Pairs of samples of one tick within a distance: int64 (Q, 2).

    The samples are searched in blocks of consecutive times. A tick that the edge of a block cuts in two loses some of
    its pairs of samples, but the same trajectories are near each other at the ticks beside it.
    """
    order = np.argsort(trajectories.tick, kind="stable")
    block_count = max(1, len(order) // _BLOCK)
    found = [np.zeros((0, 2), np.int64)]
    for block in np.array_split(order, block_count):
        if len(block) < 2:
            continue

        # Samples of different ticks are so far apart in the third coordinate that the tree never pairs them.
        tick = trajectories.tick[block]
        since_first = tick - tick.min(initial=0)
        position = np.column_stack([trajectories.xy[block], since_first * _TICK_SPACING_M])

        tree = cKDTree(position)
        near = tree.query_pairs(max_distance_m, output_type="ndarray")
        found.append(block[near])
    return np.concatenate(found)
