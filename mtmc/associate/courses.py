"""Vehicles that drive on out of sight: the course of one passage, run on, meets that of another, run back."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from mtmc.associate.evidence import heading_odds, place_odds
from mtmc.associate.ways import TICK_S, Ways
from mtmc.types import Array

__all__ = ["continuations"]

_MOVING_MPS = 2.0
_FAST_MPS = 30.0  # the search looks no farther; faster vehicles are found by links
_SIGMAS = 4.0
_BLOCK = 20_000


def continuations(
    ways: Ways,
    camera: Array,
    *,
    continue_s: float,
    join_s: float,
    sigma_m: float,
    drift_mps: float,
    per_m2: float,
) -> tuple[Array, Array]:
    """Pairs whose courses meet half-way in time, and the log odds of the place where they do.

    Args:
        ways: Of N passages.
        camera: int64 (N,).
        continue_s: Longest time out of sight between two cameras.
        join_s: Longest time out of sight between two tracklets of one camera.
        sigma_m: Error of a place.
        drift_mps: What a course strays per second; a tenth of the way driven is added.
        per_m2: Vehicles per square metre that have nothing to do with it.

    Returns:
        int64 (P, 2), who leaves and who comes, and float64 (P,).
    """
    a, b = _near_in_place_and_time(ways, continue_s)
    same = camera[a] == camera[b]
    gap = ways.start_s[b] - ways.end_s[a]
    ok = (gap > -2 * TICK_S) & (gap <= continue_s) & (~same | ((gap > 0) & (gap <= join_s))) & (a != b)
    a, b = a[ok], b[ok]
    out_row, in_row = ways.last[a], ways.first[b]
    gap = np.maximum((ways.tick[in_row] - ways.tick[out_row]) * TICK_S, 0.0)
    v, w = ways.velocity[out_row], ways.velocity[in_row]
    middle = (ways.xy[out_row] + v * (gap / 2)[:, None]) - (ways.xy[in_row] - w * (gap / 2)[:, None])
    error = np.hypot(*middle.T)
    slow, fast = np.sort([np.hypot(*v.T), np.hypot(*w.T)], axis=0)
    sigma = sigma_m + drift_mps * gap + 0.1 * fast * gap
    odds = place_odds(error, sigma, per_m2)
    cosine = (v * w).sum(axis=1) / np.maximum(fast * slow, 1e-9)
    odds += np.where(slow > _MOVING_MPS, heading_odds(np.clip(cosine, -1, 1), 1.0), 0.0)
    near = error < _SIGMAS * sigma
    return np.stack([a[near], b[near]], axis=1), odds[near]


def _near_in_place_and_time(ways: Ways, continue_s: float) -> tuple[Array, Array]:
    """Who can have become whom within ``continue_s``, roughly, by a search tree over place and time."""
    rows = np.flatnonzero(ways.first >= 0)
    none = np.zeros(0, np.int64)
    if len(rows) < 2:
        return none, none
    reach = _FAST_MPS * (continue_s + 2 * TICK_S)
    left = np.column_stack([ways.xy[ways.last[rows]], ways.end_s[rows] * _FAST_MPS])
    came = np.column_stack([ways.xy[ways.first[rows]], ways.start_s[rows] * _FAST_MPS])
    left[:, 2] += reach / 2  # who comes does so between now and continue_s later: a box half as deep
    tree = cKDTree(came)
    out_a, out_b = [none], [none]
    for block in np.array_split(np.arange(len(rows)), -(-len(rows) // _BLOCK)):
        found = tree.query_ball_point(left[block], reach, p=np.inf)
        out_a.append(np.repeat(rows[block], [len(f) for f in found]))
        out_b.append(rows[np.fromiter((k for f in found for k in f), np.int64)])
    return np.concatenate(out_a), np.concatenate(out_b)
