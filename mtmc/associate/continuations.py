"""Continuations: a trajectory that ends, extrapolated forwards, meets another that begins, extrapolated backwards."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy.spatial import cKDTree

from mtmc.multiview.likelihoods import heading_log_odds, position_log_odds
from mtmc.multiview.trajectories import TICK_S, Trajectories
from mtmc.types import Array

__all__ = ["Continuations", "continuation_candidates"]

_MOVING_MPS = 2.0  # slower vehicles have no direction
_SEARCHED_MPS = 30.0  # of the search; faster vehicles are found along links
_MAX_SIGMAS = 4.0
_HEADING_KAPPA = 1.0
_SIGMA_PER_M = 0.1  # share of the distance driven out of sight that is added to the uncertainty
_BLOCK = 20_000  # passages at a time


@dataclass(frozen=True, slots=True, eq=False)
class Continuations:
    """K pairs, the one that ends first and the one that begins, with the log odds of two cues.

    Attributes:
        pairs: int64 (K, 2).
        position: float64 (K,), log odds of the distance between the extrapolated positions.
        heading: float64 (K,), log odds of the two directions, 0 where one of them stands.
    """

    pairs: Array
    position: Array
    heading: Array


def continuation_candidates(
    trajectories: Trajectories,
    camera: Array,
    *,
    max_extrapolation_s: float,
    max_reentry_gap_s: float,
    sigma_m: float,
    extrapolation_sigma_mps: float,
    per_m2: float,
) -> Continuations:
    """Pairs whose extrapolations agree half-way in time.

    With a gap of t seconds, both extrapolated by t / 2 at their own velocity, the distance between them is normal
    with σ = sigma_m + (extrapolation_sigma_mps + 0.1 · speed) · t. Pairs beyond 4 σ are no candidates.

    Args:
        trajectories: Of N passages.
        camera: int64 (N,).
        max_extrapolation_s: Longest gap between two cameras.
        max_reentry_gap_s: Longest gap between two tracklets of one camera.
        sigma_m: Standard deviation of a position.
        extrapolation_sigma_mps: Its growth per second out of sight.
        per_m2: Unrelated vehicles per square meter.
    """
    a, b = _near_in_position_and_time(trajectories, max_extrapolation_s)
    same_camera = camera[a] == camera[b]
    gap_s = trajectories.start_s[b] - trajectories.end_s[a]
    fits_any = (gap_s > -2 * TICK_S) & (gap_s <= max_extrapolation_s) & (a != b)
    fits_same_camera = (gap_s > 0) & (gap_s <= max_reentry_gap_s)
    is_possible = fits_any & (~same_camera | fits_same_camera)
    a, b = a[is_possible], b[is_possible]

    last, first = trajectories.last[a], trajectories.first[b]
    gap_s = np.maximum((trajectories.tick[first] - trajectories.tick[last]) * TICK_S, 0.0)
    velocity_a, velocity_b = trajectories.velocity[last], trajectories.velocity[first]
    forwards = trajectories.xy[last] + velocity_a * (gap_s / 2)[:, None]
    backwards = trajectories.xy[first] - velocity_b * (gap_s / 2)[:, None]
    distance_m = np.hypot(*(forwards - backwards).T)

    slower, faster = np.sort([np.hypot(*velocity_a.T), np.hypot(*velocity_b.T)], axis=0)
    sigma = sigma_m + extrapolation_sigma_mps * gap_s + _SIGMA_PER_M * faster * gap_s
    cosine = (velocity_a * velocity_b).sum(axis=1) / np.maximum(faster * slower, 1e-9)
    heading = np.where(slower > _MOVING_MPS, heading_log_odds(np.clip(cosine, -1, 1), _HEADING_KAPPA), 0.0)
    position = position_log_odds(distance_m, sigma, per_m2)
    keep = distance_m < _MAX_SIGMAS * sigma
    return Continuations(np.stack([a[keep], b[keep]], axis=1), position[keep], heading[keep])


def _near_in_position_and_time(trajectories: Trajectories, max_gap_s: float) -> tuple[Array, Array]:
    """Pairs (a, b) where b begins up to ``max_gap_s`` after a ends, roughly, by a search tree.

    Time is the third coordinate, in units of the distance that the fastest vehicle drives. All of b's that begin
    between the end of a and the largest gap later lie in a cube about the middle of this span.
    """
    rows = np.flatnonzero(trajectories.first >= 0)
    none = np.zeros(0, np.int64)
    if len(rows) < 2:
        return none, none
    reach = _SEARCHED_MPS * (max_gap_s + 2 * TICK_S)
    end_xy = trajectories.xy[trajectories.last[rows]]
    start_xy = trajectories.xy[trajectories.first[rows]]
    ends = np.column_stack([end_xy, trajectories.end_s[rows] * _SEARCHED_MPS])
    starts = np.column_stack([start_xy, trajectories.start_s[rows] * _SEARCHED_MPS])
    ends[:, 2] += reach / 2
    tree = cKDTree(starts)
    out_a, out_b = [none], [none]
    for block in np.array_split(np.arange(len(rows)), -(-len(rows) // _BLOCK)):
        found = tree.query_ball_point(ends[block], reach, p=np.inf)
        out_a.append(np.repeat(rows[block], [len(near) for near in found]))
        out_b.append(rows[np.fromiter(chain.from_iterable(found), np.int64)])
    return np.concatenate(out_a), np.concatenate(out_b)
