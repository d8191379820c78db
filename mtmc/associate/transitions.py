"""Transitions: pairs that can be one vehicle on its way from one camera to another, out of sight in between.

A route is a link of the scene, or an ordered pair of cameras where no link says more. What is known of its travel
times beforehand (a link's window or typical time; a distance and usual speeds; nothing) gives prior log odds.
:mod:`mtmc.associate.travel_times` replaces them by what the departures and arrivals of the tracklets show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtmc.associate.gates import group_by_camera, pairs_along_link
from mtmc.multiview.appearance import pair_cosines
from mtmc.multiview.arrays import ranges, unique_sorted
from mtmc.multiview.likelihoods import (
    heading_log_odds,
    speed_log_density,
    travel_time_log_odds,
    travel_window_log_odds,
)
from mtmc.multiview.trajectories import Trajectories
from mtmc.scene import Link, Scene
from mtmc.types import Array, Passage

__all__ = [
    "CROSS_PLANE",
    "GROUND",
    "LINK",
    "UNCONSTRAINED",
    "Transitions",
    "ground_transitions",
    "link_transitions",
    "pool_co_observed",
    "unconstrained_transitions",
]

#: Kinds of routes, the first number of a route's key.
LINK, GROUND, UNCONSTRAINED, CROSS_PLANE = range(4)

_LINK_LIMITS = -6.0, 3.0  # of prior log odds along a link
_MIN_LINK_SPREAD_S, _MIN_LINK_SHARE = 0.5, 0.05
_DEFAULT_SHARE = 0.4  # of the vehicles that leave, which take a link of unknown share
_UNKNOWN_ZONE = 1.0  # log odds against a link that fits only because a zone is unknown

_MAX_PARTNERS = 256  # per passage on average; beyond, only the most similar are kept
_KEPT_PARTNERS = 64
_PAIRS_PER_BLOCK = 2_000_000

_NEIGHBORS = 12  # of a camera, which are reached without passing another camera
_MOVING_MPS, _MIN_HEADING_M = 2.0, 10.0  # slower vehicles, and shorter paths, have no direction
_MIN_GROUND_TIME_S = 0.5
_MIN_GROUND_LOG_DENSITY = -9.0
_GROUND_LIMITS = -8.0, 3.0

_MIN_PLAUSIBLE = -1.5  # log odds of a transition that may well have been
_MAX_OVERLAP_S = 1.0  # seen by both cameras for longer is evidence against; less may be the vehicle's own length


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """T possible transitions on R routes.

    Attributes:
        a, b: int32 (T,), the passage that leaves and the one that arrives.
        route: int32 (T,).
        time_s: float32 (T,), time out of sight; negative where both are seen at once.
        log_odds: float32 (T,), of the time, by what is known beforehand.
        per_s: float64 (R,), vehicles per second that arrive at each route's end.
        route_key: int64 (R, 3): kind, then the index of the link and 0, or the cameras it leads from and to.
    """

    a: Array
    b: Array
    route: Array
    time_s: Array
    log_odds: Array
    per_s: Array
    route_key: Array

    @classmethod
    def concatenate(cls, parts: Sequence[Transitions]) -> Transitions:
        """All transitions of all parts; their routes stay apart."""
        parts = [_NO_TRANSITIONS, *parts]
        routes_before = np.cumsum([0, *(len(part.per_s) for part in parts)])
        renumbered = [part.route + np.int32(first) for part, first in zip(parts, routes_before, strict=False)]
        return cls(
            a=np.concatenate([part.a for part in parts]),
            b=np.concatenate([part.b for part in parts]),
            route=np.concatenate(renumbered),
            time_s=np.concatenate([part.time_s for part in parts]),
            log_odds=np.concatenate([part.log_odds for part in parts]),
            per_s=np.concatenate([part.per_s for part in parts]),
            route_key=np.concatenate([part.route_key for part in parts]),
        )

    @classmethod
    def of(
        cls, pairs: Array, route: Array, start: Array, end: Array, log_odds: Array, per_s: Array, route_key: Array
    ) -> Transitions:
        """Transitions of pairs (P, 2), with their times out of sight taken from the passages' start and end."""
        a, b = pairs.T.astype(np.int32)
        time_s = (start[b] - end[a]).astype(np.float32)
        return cls(a, b, route.astype(np.int32), time_s, log_odds.astype(np.float32), per_s, route_key)


_NO_TRANSITIONS = Transitions(
    a=np.zeros(0, np.int32),
    b=np.zeros(0, np.int32),
    route=np.zeros(0, np.int32),
    time_s=np.zeros(0, np.float32),
    log_odds=np.zeros(0, np.float32),
    per_s=np.zeros(0),
    route_key=np.zeros((0, 3), np.int64),
)


# Candidates along links


def link_transitions(
    passages: Sequence[Passage], scene: Scene, start: Array, end: Array, slack_s: float = 0.0
) -> Transitions:
    """Transitions along the links of the scene, within each link's window of travel times or a little outside.

    A window holds from zone to zone. Tracklets begin before the zone and end behind it, or the other way round, so
    that times outside are possible, at a loss of 1 log odds per second.

    Args:
        passages: N of them.
        scene: Its links are used.
        start: float64 (N,), first time of each, seconds.
        end: float64 (N,), last time of each.
        slack_s: How far outside of a window a time may be.
    """
    of_camera = group_by_camera(passages)
    has_entry = np.array([bool(p.entry) for p in passages])
    has_exit = np.array([bool(p.exit) for p in passages])
    span_s = max(float(end.max() - start.min()), 1.0)
    parts = []
    for index, link in enumerate(scene.links):
        wider = replace(link, min_s=link.min_s - slack_s, max_s=link.max_s + slack_s)
        pairs = pairs_along_link(wider, passages, start, end, of_camera)
        a, b = pairs.T
        per_s = max(len(unique_sorted(b)), 1) / span_s
        log_odds = _link_log_odds(link, start[b] - end[a], per_s)
        is_unknown = (bool(link.from_zone) & ~has_exit[a]) | (bool(link.to_zone) & ~has_entry[b])
        log_odds -= _UNKNOWN_ZONE * is_unknown
        log_odds += np.log(_DEFAULT_SHARE if link.share is None else max(link.share, _MIN_LINK_SHARE))
        key = np.array([[LINK, index, 0]])
        parts.append(Transitions.of(pairs, np.zeros(len(a)), start, end, log_odds, np.array([per_s]), key))
    return Transitions.concatenate(parts)


def _link_log_odds(link: Link, time_s: Array, per_s: float) -> Array:
    """Log odds of travel times by a link's typical time, or by its window if it has none: float64 (P,)."""
    if link.typical_s is not None and link.spread_s is not None:
        log_odds = travel_time_log_odds(time_s, link.typical_s, max(link.spread_s, _MIN_LINK_SPREAD_S), per_s)
    else:
        outside_s = np.maximum(np.maximum(link.min_s - time_s, time_s - link.max_s), 0.0)
        log_odds = float(travel_window_log_odds(link.max_s - link.min_s, per_s)) - outside_s
    return np.clip(log_odds, *_LINK_LIMITS)


# Candidates between cameras of which nothing is known but time


def unconstrained_transitions(
    is_open: Array,
    camera: Array,
    start: Array,
    end: Array,
    max_gap_s: float,
    embeddings: Array,
    kind: int = UNCONSTRAINED,
) -> Transitions:
    """Transitions within ``max_gap_s`` between any two cameras that are open to each other.

    Every partner is equally likely: the log odds are −log of the number of partners per passage and camera. Where
    there are more than some hundred partners per passage, the most similar ones are kept.

    Args:
        is_open: bool (C, C), from which camera to which.
        camera: int64 (N,).
        start: float64 (N,), first time of each, seconds.
        end: float64 (N,), last time of each.
        max_gap_s: Longest time out of sight.
        embeddings: float (N, D).
        kind: Of the routes.
    """
    n = len(camera)
    order = np.argsort(start, kind="stable")
    first = np.arange(n) + 1
    last = np.searchsorted(start[order], end[order] + max_gap_s, side="right")
    possible = int(np.maximum(last - first, 0).sum())
    is_crowded = possible > _MAX_PARTNERS * n and embeddings.shape[1] > 0

    found = [np.zeros((0, 2), np.int64)]
    for block in np.array_split(np.arange(n), -(-(possible + 1) // _PAIRS_PER_BLOCK)):
        if not len(block):
            continue
        row, later = ranges(first[block], last[block])
        a, b = order[block[row]], order[later]
        keep = is_open[camera[a], camera[b]]
        pairs = np.stack([a[keep], b[keep]], axis=1)
        found.append(_most_similar_partners(pairs, embeddings, start) if is_crowded else pairs)
    pairs = np.concatenate(found)

    cameras = int(camera.max(initial=0)) + 1
    partners = max(2 * len(pairs) / max(n, 1) / max(cameras - 1, 1), 1.0)
    route, per_s, key = _camera_routes(kind, pairs, camera, start, end)
    return Transitions.of(pairs, route, start, end, np.full(len(pairs), -np.log(partners)), per_s, key)


def _most_similar_partners(pairs: Array, embeddings: Array, start: Array) -> Array:
    """The 64 most similar second passages of each first one: int64 (Q, 2)."""
    cosine = np.nan_to_num(pair_cosines(embeddings, pairs, start), nan=-1.0)
    order = np.lexsort([pairs[:, 1], -cosine, pairs[:, 0]])
    first = pairs[order, 0]
    begin = np.flatnonzero(np.diff(first, prepend=-1))
    size = np.diff(np.append(begin, len(first)))
    rank = np.arange(len(first)) - np.repeat(begin, size)
    return pairs[order[rank < _KEPT_PARTNERS]]


# Candidates between calibrated cameras


def ground_transitions(
    is_open: Array, camera: Array, trajectories: Trajectories, max_gap_s: float, speed_mps: float, kappa: float
) -> Transitions:
    """Transitions between calibrated cameras, by the time that the distance should take and by direction.

    Log odds: log-normal density of the travel time, over the rate at the arriving camera, plus a von Mises ratio of
    the direction at either end about the straight line between them.

    Args:
        is_open: bool (C, C), from which camera to which. Only neighbors are used: beyond the dozen nearest cameras, a
            vehicle passes one of these first.
        camera: int64 (N,).
        trajectories: Of N passages.
        max_gap_s: Longest time out of sight.
        speed_mps: Usual speed.
        kappa: Concentration of the directions.
    """
    start, end = trajectories.start_s, trajectories.end_s
    rows = np.flatnonzero(trajectories.first >= 0)
    rows = rows[np.argsort(start[rows], kind="stable")]
    is_near = is_open & _neighboring(is_open, camera[rows], trajectories.xy[trajectories.first[rows]])
    found, densities = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for c in np.flatnonzero(is_near.any(axis=1)).tolist():
        leaving, arriving = rows[camera[rows] == c], rows[is_near[c][camera[rows]]]
        first = np.searchsorted(start[arriving], end[leaving], side="left")
        last = np.searchsorted(start[arriving], end[leaving] + max_gap_s, side="right")
        row, later = ranges(first, last)
        a, b = leaving[row], arriving[later]
        log_density = _ground_log_density(trajectories, a, b, speed_mps, kappa)
        keep = log_density > _MIN_GROUND_LOG_DENSITY
        found.append(np.stack([a[keep], b[keep]], axis=1))
        densities.append(log_density[keep])
    pairs = np.concatenate(found)
    route, per_s, key = _camera_routes(GROUND, pairs, camera, start, end)
    log_odds = np.concatenate(densities) - np.log(per_s[route]) if len(pairs) else np.zeros(0)
    return Transitions.of(pairs, route, start, end, np.clip(log_odds, *_GROUND_LIMITS), per_s, key)


def _ground_log_density(trajectories: Trajectories, a: Array, b: Array, speed_mps: float, kappa: float) -> Array:
    """Log density of the time from the end of a to the start of b, plus both directions' log odds: float64 (P,)."""
    last, first = trajectories.last[a], trajectories.first[b]
    step = trajectories.xy[first] - trajectories.xy[last]
    distance_m = np.hypot(*step.T)
    gap_s = trajectories.start_s[b] - trajectories.end_s[a]
    value = speed_log_density(np.maximum(gap_s, _MIN_GROUND_TIME_S), distance_m, speed_mps)
    for velocity in (trajectories.velocity[last], trajectories.velocity[first]):
        speed = np.hypot(*velocity.T)
        cosine = (velocity * step).sum(axis=1) / np.maximum(speed * distance_m, 1e-9)
        has_direction = (speed > _MOVING_MPS) & (distance_m > _MIN_HEADING_M)
        value += np.where(has_direction, heading_log_odds(np.clip(cosine, -1, 1), kappa), 0.0)
    return value


def _neighboring(is_open: Array, camera: Array, xy: Array) -> Array:
    """Whether one of two cameras is among the other's dozen nearest open ones: bool (C, C).

    Args:
        is_open: bool (C, C).
        camera: int64 (K,), cameras of the trajectories.
        xy: float64 (K, 2), where these begin; a camera is at their mean.
    """
    size = len(is_open)
    if size <= _NEIGHBORS + 1:
        return np.ones((size, size), bool)
    count = np.bincount(camera, minlength=size)
    sums = np.stack([np.bincount(camera, xy[:, axis], size) for axis in (0, 1)], axis=1)
    center = sums / np.maximum(count, 1)[:, None]
    distance_m = np.hypot(*(center[:, None] - center).transpose(2, 0, 1))
    is_empty = count == 0
    distance_m[~is_open | is_empty | is_empty[:, None]] = np.inf

    nearest = np.argsort(distance_m, axis=1, kind="stable")[:, :_NEIGHBORS]
    is_near = np.zeros((size, size), bool)
    is_near[np.arange(size)[:, None], nearest] = True
    is_near &= np.isfinite(distance_m)
    return is_near | is_near.T


def _camera_routes(kind: int, pairs: Array, camera: Array, start: Array, end: Array) -> tuple[Array, Array, Array]:
    """A route for each ordered pair of cameras that occurs.

    Returns:
        int64 (P,), route of each pair; float64 (R,), passages per second of the arriving camera; int64 (R, 3), keys.
    """
    size = int(camera.max(initial=0)) + 1
    if not len(pairs):
        return np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 3), np.int64)
    code = camera[pairs[:, 0]] * size + camera[pairs[:, 1]]
    codes, route = np.unique(code, return_inverse=True)
    arrivals = np.bincount(camera, minlength=size)[codes % size]
    per_s = arrivals / max(float(end.max() - start.min()), 1.0)
    key = np.stack([np.full(len(codes), kind), codes // size, codes % size], axis=1)
    return route, per_s, key


# One vehicle in several cameras at once


def pool_co_observed(transitions: Transitions, log_odds: Array, group: Array) -> Array:
    """Log odds where the pairs of one vehicle seen by several cameras at once are not counted several times: (T,).

    A vehicle that several overlapping cameras see makes only one transition to the next group of cameras. If any of
    its pairs has log odds above ``_MIN_PLAUSIBLE``, the other pairs of that transition are not penalized for having
    no link: their log odds are raised to at least min(best, 0). Pairs that overlap in time by more than 1 s keep
    their penalty, because an overlap is real evidence against a transition.

    Args:
        transitions: T of them.
        log_odds: (T,), of each by itself.
        group: int64 (N,), label of the passages that are one vehicle by position and time alone.

    >>> a, b = np.array([0, 1], np.int32), np.array([2, 2], np.int32)  # 0 and 1 are one vehicle; 2 came later
    >>> key = np.zeros((1, 3), np.int64)
    >>> ours = Transitions(a, b, np.zeros(2, np.int32), np.ones(2), np.array([1.0, -4.0]), np.ones(1), key)
    >>> pool_co_observed(ours, ours.log_odds, np.array([0, 0, 2])).tolist()
    [1.0, 0.0]
    >>> overlapping = replace(ours, time_s=np.array([1.0, -2.0]))
    >>> pool_co_observed(overlapping, ours.log_odds, np.array([0, 0, 2])).tolist()
    [1.0, -4.0]
    """
    has_company = np.bincount(group, minlength=1) > 1
    source, target = group[transitions.a], group[transitions.b]
    is_pooled = (has_company[source] | has_company[target]) & (transitions.time_s > -_MAX_OVERLAP_S)
    rows = np.flatnonzero(is_pooled)
    if not len(rows):
        return log_odds
    code = source[rows].astype(np.int64) * len(group) + target[rows]
    _, pool = np.unique(code, return_inverse=True)
    best = np.full(int(pool.max()) + 1, -np.inf)
    np.maximum.at(best, pool, log_odds[rows])
    floor = np.where(best > _MIN_PLAUSIBLE, np.minimum(best, 0.0), -np.inf)
    out = log_odds.copy()
    out[rows] = np.maximum(log_odds[rows], floor[pool])
    return out
