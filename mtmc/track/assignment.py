"""One-to-one assignment of tracks and detections.

The best assignment is the one that gains most, a pair gaining ``limit − cost``; pairs at or above the limit are left
apart. Gated costs leave a sparse graph: nearly every track has one candidate which has no other suitor. Those pairs
are taken at once, and only what is contested is solved, one connected component at a time. The result is the same
as solving the whole matrix.
"""

from __future__ import annotations

from collections import defaultdict

import lap
import numpy as np
from scipy.optimize import linear_sum_assignment

from mtmc.types import Array

__all__ = ["assign", "components", "least_cost_pairs"]

#: Rows and columns from which lap is faster than scipy (``python -m tools.bench.assignment``).
_LAP_SIZE = 30


def assign(cost: Array, limit: float, rank: Array | None = None) -> tuple[Array, Array]:
    """Pairs of rows and columns that gain most together.

    Args:
        cost: (N, M), infinity where a pair cannot be.
        limit: Pairs must cost less.
        rank: int (N,). Rows of lower rank choose first, whatever the others would gain (Deep SORT's matching
            cascade); without it all rows are equal.

    Returns:
        Matching rows and columns, int64 (K,) each, K ≤ min(N, M), ordered by row.

    >>> assign(np.array([[0.1, 0.6], [0.2, np.inf]]), limit=0.9)
    (array([0, 1]), array([1, 0]))
    """
    rows, columns = np.nonzero(cost < limit)
    if len(set(rows.tolist())) == len(rows) == len(set(columns.tolist())):
        return rows, columns
    lonely = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
    contested = ~lonely
    pairs: list[tuple[int, int]] = list(zip(rows[lonely].tolist(), columns[lonely].tolist(), strict=True))
    for members, wanted in components(rows[contested].tolist(), columns[contested].tolist()):
        pairs += _solve(cost, limit, rank, members, wanted)
    pairs.sort()
    matched = np.array(pairs, np.int64).reshape(-1, 2)
    return matched[:, 0], matched[:, 1]


def components(rows: list[int], columns: list[int]) -> list[tuple[list[int], list[int]]]:
    """Connected components of a bipartite graph given by its edges, as (sorted rows, sorted columns) each."""
    columns_of, rows_of = defaultdict(list), defaultdict(list)
    for row, column in zip(rows, columns, strict=True):
        columns_of[row].append(column)
        rows_of[column].append(row)
    found = []
    seen: set[int] = set()
    for start in columns_of:
        if start in seen:
            continue
        seen.add(start)
        members, wanted, frontier = [], set(), [start]
        while frontier:
            row = frontier.pop()
            members.append(row)
            for column in columns_of[row]:
                if column not in wanted:
                    wanted.add(column)
                    fresh = [r for r in rows_of[column] if r not in seen]
                    seen.update(fresh)
                    frontier += fresh
        found.append((sorted(members), sorted(wanted)))
    return found


def least_cost_pairs(cost: Array) -> tuple[Array, Array]:
    """Pairs of rows and columns of least total cost, as many as possible.

    Small problems are solved by scipy, large ones by lap. Both are variants of the algorithm of R. Jonker and A.
    Volgenant, "A Shortest Augmenting Path Algorithm for Dense and Sparse Linear Assignment Problems" (1987).

    Args:
        cost: float (N, M), finite.

    Returns:
        Rows and columns, int64 (min(N, M),) each, ordered by row.

    >>> least_cost_pairs(np.array([[4.0, 1.0], [2.0, 3.0], [9.0, 9.0]]))
    (array([0, 1]), array([1, 0]))
    """
    if min(cost.shape) < _LAP_SIZE:
        return linear_sum_assignment(cost)
    column_of_row, _ = lap.lapjv(cost, extend_cost=True, return_cost=False)
    rows = (column_of_row >= 0).nonzero()[0]
    return rows, column_of_row[rows].astype(np.int64)


def _solve(
    cost: Array, limit: float, rank: Array | None, rows: list[int], columns: list[int]
) -> list[tuple[int, int]]:
    """The best pairs within one component, rank after rank."""
    ranks = [0] * len(rows) if rank is None else rank[rows].tolist()
    pairs = []
    for turn in sorted(set(ranks)):
        choosing = [row for row, r in zip(rows, ranks, strict=True) if r == turn]
        block = np.minimum(cost[np.ix_(choosing, columns)], limit)
        chosen = [
            (choosing[i], columns[j])
            for i, j in zip(*(side.tolist() for side in least_cost_pairs(block)), strict=True)
            if block[i, j] < limit
        ]
        pairs += chosen
        taken = {column for _, column in chosen}
        columns = [column for column in columns if column not in taken]
    return pairs
