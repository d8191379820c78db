"""The one-to-one matching of greatest total weight on a sparse graph, exactly.

Most of such a graph decides itself: an edge at least as heavy as the best other edges at both of its ends together
belongs to a best matching. What is left falls into small connected components, each solved by the Hungarian method.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from mtmc.types import Array

__all__ = ["best_matching"]

_DENSE_CELLS = 1 << 24  # a component above this many cells is solved as a sparse problem


def best_matching(left: Array, right: Array, weight: Array) -> Array:
    """Choose edges of greatest total weight such that no two share an end.

    Args:
        left: int64 (E,), node on the left of each edge, from 0.
        right: int64 (E,), node on the right, from 0. No pair of nodes occurs twice.
        weight: float64 (E,), ≥ 0.

    Returns:
        int64, positions of the chosen edges, ascending. Among equal weights, lower nodes on the right come first.
    """
    order = np.lexsort((right, left))
    left, right, weight = left[order], right[order], weight[order]
    open_edges = np.arange(len(left))
    chosen: list[Array] = []
    while len(open_edges):
        decided = open_edges[_decided(left[open_edges], right[open_edges], weight[open_edges])]
        if not len(decided):
            chosen.append(open_edges[_by_component(left[open_edges], right[open_edges], weight[open_edges])])
            break
        chosen.append(decided)
        taken_left = np.zeros(left.max() + 1, bool)
        taken_right = np.zeros(right.max() + 1, bool)
        taken_left[left[decided]] = True
        taken_right[right[decided]] = True
        open_edges = open_edges[~(taken_left[left[open_edges]] | taken_right[right[open_edges]])]
    return np.sort(order[np.concatenate(chosen)]) if chosen else np.zeros(0, np.int64)


def _decided(left: Array, right: Array, weight: Array) -> Array:
    """Positions of edges that belong to a best matching, no two sharing an end; edges are sorted by ``left``."""
    best_left, rival_left = _best_and_rival(left, weight)
    order = np.argsort(right, kind="stable")
    best, rival = _best_and_rival(right[order], weight[order])
    best_right, rival_right = np.empty_like(best), np.empty_like(rival)
    best_right[order], rival_right[order] = best, rival
    return np.flatnonzero(best_left & best_right & (weight >= rival_left + rival_right))


def _best_and_rival(node: Array, weight: Array) -> tuple[Array, Array]:
    """Whether each edge is the first heaviest of its node, and the greatest weight among the node's other edges."""
    start = np.flatnonzero(np.r_[True, node[1:] != node[:-1]])
    count = np.diff(np.r_[start, len(node)])
    top = np.repeat(np.maximum.reduceat(weight, start), count)
    at_top = np.flatnonzero(weight == top)
    is_first = np.r_[True, node[at_top[1:]] != node[at_top[:-1]]]
    best = np.zeros(len(node), bool)
    best[at_top[is_first]] = True
    second = np.repeat(np.maximum.reduceat(np.where(best, 0.0, weight), start), count)
    return best, np.where(best, second, top)


def _by_component(left: Array, right: Array, weight: Array) -> Array:
    """Positions of the edges of a best matching, component by component."""
    left_nodes, left_index = np.unique(left, return_inverse=True)
    right_nodes, right_index = np.unique(right, return_inverse=True)

    # One graph of all nodes, those of the right side numbered after those of the left.
    left_count = len(left_nodes)
    node_count = left_count + len(right_nodes)
    edge_ends = (left_index, right_index + left_count)
    is_edge = np.ones(len(left_index), np.int8)
    graph = coo_matrix((is_edge, edge_ends), shape=(node_count, node_count))
    _, component_of_node = connected_components(graph, directed=False)

    # The edges of each component, in their order.
    component = component_of_node[left_index]
    order = np.argsort(component, kind="stable")
    bounds = np.flatnonzero(np.diff(component[order], prepend=-1, append=-1))

    chosen = []
    for begin, end in pairwise(bounds.tolist()):
        edges = order[begin:end]
        solved = _solve(left_index[edges], right_index[edges], weight[edges])
        chosen.append(edges[solved])
    return np.concatenate(chosen)


def _solve(left: Array, right: Array, weight: Array) -> Array:
    """Positions of the edges of a best matching of one connected component."""
    rows, i = np.unique(left, return_inverse=True)
    columns, j = np.unique(right, return_inverse=True)
    shape = (len(rows), len(columns))
    if shape[0] * shape[1] > _DENSE_CELLS:
        return _solve_sparse(i, j, weight, shape)
    table = np.zeros(shape)
    edge = np.full(shape, -1)
    table[i, j] = weight
    edge[i, j] = np.arange(len(i))
    found = edge[linear_sum_assignment(table, maximize=True)]
    return np.asarray(found[found >= 0])


def _solve_sparse(i: Array, j: Array, weight: Array, shape: tuple[int, int]) -> Array:
    """The same without a dense table: every row gets an empty column of its own, so that all can be matched.

    All weights are raised by 1, which adds the same to every full matching and tells an edge from its absence.
    """
    n, m = shape
    own = np.arange(n)
    ends = np.concatenate([i, own]), np.concatenate([j, m + own])
    graph = csr_matrix((np.concatenate([weight + 1.0, np.ones(n)]), ends), shape=(n, m + n))
    rows, columns = min_weight_full_bipartite_matching(graph, maximize=True)
    real = columns < m
    edge = csr_matrix((np.arange(1, len(i) + 1), (i, j)), shape=shape)
    return np.asarray(edge[rows[real], columns[real]]).reshape(-1) - 1
