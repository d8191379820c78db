"""Journeys out of sight: who can have come from whom, and how likely the time it took is.

A route is a link of the scene, or one camera and another where no link says more. What is known of its travel times
beforehand (the link's window or typical time; a distance and the speeds of traffic; nothing) is mixed with the times
of those journeys that a first solution found on it, so that a route without any description is learned on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mtmc.associate.distance import pair_cosines
from mtmc.associate.evidence import heading_odds, speed_odds, time_odds, window_odds
from mtmc.associate.gates import along, by_camera, distinct, expand
from mtmc.associate.ways import Ways
from mtmc.scene import Scene
from mtmc.types import Array, Passage

__all__ = ["Trips", "any_trips", "ground_trips", "learned", "link_trips", "one_journey"]

_BIN_S = 0.25
_DOUBT = 3.0  # journeys that what is known beforehand counts as much as
_SHARE = 0.4  # of those who leave, that take a link of which no more is known
_UNSEEN = 1.0  # log odds against a link that fits only because a zone was not seen
_FITS = -1.5  # log odds of a journey that may well be
_AT_ONCE_S = 1.0  # in two views; less may be the vehicle's own length
_MOST = 256  # partners per passage; of more than that on average, only those most alike are kept
_KEEP = 64
_NEIGHBOURS = 12  # of a camera, that are reached without passing another


@dataclass(frozen=True, slots=True, eq=False)
class Trips:
    """T possible journeys.

    Attributes:
        a, b: int32 (T,), who leaves and who comes.
        route: int32 (T,).
        seconds: float32 (T,), out of sight; negative where both are seen at once.
        odds: float32 (T,), log odds of the time by what is known beforehand.
        per_s: float64 (R,), vehicles per second that come by each route's end.
    """

    a: Array
    b: Array
    route: Array
    seconds: Array
    odds: Array
    per_s: Array

    @classmethod
    def joined(cls, parts: Sequence[Trips]) -> Trips:
        """All of them, their routes numbered on."""
        before = np.cumsum([0, *(len(p.per_s) for p in parts)])
        return cls(
            np.concatenate([np.zeros(0, np.int32), *(p.a for p in parts)]),
            np.concatenate([np.zeros(0, np.int32), *(p.b for p in parts)]),
            np.concatenate([np.zeros(0, np.int32), *(p.route + k for p, k in zip(parts, before, strict=False))]),
            np.concatenate([np.zeros(0, np.float32), *(p.seconds for p in parts)]),
            np.concatenate([np.zeros(0, np.float32), *(p.odds for p in parts)]),
            np.concatenate([np.zeros(0), *(p.per_s for p in parts)]),
        )


def _trips(pairs: Array, route: Array, start: Array, end: Array, odds: Array, per_s: Array) -> Trips:
    a, b = pairs.T.astype(np.int32)
    seconds = (start[b] - end[a]).astype(np.float32)
    return Trips(a, b, route.astype(np.int32), seconds, odds.astype(np.float32), per_s)


def link_trips(passages: Sequence[Passage], scene: Scene, start: Array, end: Array, slack_s: float = 0.0) -> Trips:
    """Journeys along the links of the scene, each within its window or so.

    A window is that of vehicles seen from zone to zone. Tracklets begin before and end behind, or the other way
    round, so journeys outside are possible, by e times less for every second.

    Args:
        passages: N of them.
        scene: Whose links.
        start: float64 (N,), when each was seen first, seconds.
        end: float64 (N,), when last.
        slack_s: Farthest outside of a window.
    """
    seen = by_camera(passages)
    entered = np.array([bool(p.entry) for p in passages])
    left = np.array([bool(p.exit) for p in passages])
    span = max(float(end.max() - start.min()), 1.0)
    parts = []
    for link in scene.links:
        wide = replace(link, min_s=link.min_s - slack_s, max_s=link.max_s + slack_s)
        pairs = along(wide, passages, start, end, seen)
        a, b = pairs.T
        seconds = start[b] - end[a]
        per_s = max(len(distinct(b)), 1) / span
        if link.typical_s is not None and link.spread_s is not None:
            odds = time_odds(seconds, link.typical_s, max(link.spread_s, 0.5), per_s)
        else:
            outside = np.maximum(np.maximum(link.min_s - seconds, seconds - link.max_s), 0.0)
            odds = float(window_odds(link.max_s - link.min_s, per_s)) - outside
        odds = np.clip(odds, -6.0, 3.0)
        odds -= _UNSEEN * ((bool(link.from_zone) & ~left[a]) | (bool(link.to_zone) & ~entered[b]))
        odds += np.log(_SHARE if link.share is None else max(link.share, 0.05))
        parts.append(_trips(pairs, np.zeros(len(a)), start, end, odds, np.array([per_s])))
    return Trips.joined(parts)


def any_trips(open_: Array, camera: Array, start: Array, end: Array, max_gap_s: float, embeddings: Array) -> Trips:
    """Journeys within ``max_gap_s`` from any camera to any other that is open to it, ``open_`` bool (C, C).

    Where that is more than a few hundred for each passage, those most alike are kept.
    """
    n = len(camera)
    order = np.argsort(start, kind="stable")
    first = np.arange(n) + 1
    last = np.searchsorted(start[order], end[order] + max_gap_s, side="right")
    crowded = int(np.maximum(last - first, 0).sum()) > _MOST * n and embeddings.shape[1] > 0
    found = [np.zeros((0, 2), np.int64)]
    for block in np.array_split(np.arange(n), -(-int(np.maximum(last - first, 0).sum() + 1) // 2_000_000)):
        if not len(block):
            continue
        row, later = expand(first[block], last[block])
        a, b = order[block[row]], order[later]
        keep = open_[camera[a], camera[b]]
        pairs = np.stack([a[keep], b[keep]], axis=1)
        if crowded:
            cosine = np.nan_to_num(pair_cosines(embeddings, pairs, start), nan=-1.0)
            best = np.lexsort([pairs[:, 1], -cosine, pairs[:, 0]])
            lead = pairs[best, 0]
            begin = np.flatnonzero(np.diff(lead, prepend=-1))
            place = np.arange(len(lead)) - np.repeat(begin, np.diff(np.append(begin, len(lead))))
            pairs = pairs[best[place < _KEEP]]
        found.append(pairs)
    pairs = np.concatenate(found)
    cameras = int(camera.max(initial=0)) + 1
    rivals = max(2 * len(pairs) / max(n, 1) / max(cameras - 1, 1), 1.0)
    route, per_s = _camera_routes(pairs, camera, start, end)
    return _trips(pairs, route, start, end, np.full(len(pairs), -np.log(rivals)), per_s)


def ground_trips(
    open_: Array, camera: Array, ways: Ways, max_gap_s: float, typical_mps: float, headings: float
) -> Trips:
    """Journeys between calibrated cameras, of which the distance tells how long they should take.

    The pairs of cameras are those of ``open_``, bool (C, C), as far as they are neighbours: the way to a camera
    beyond the dozen nearest leads past one of these.
    """
    start, end = ways.start_s, ways.end_s
    rows = np.flatnonzero(ways.first >= 0)
    rows = rows[np.argsort(start[rows], kind="stable")]
    found, odds = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    near = open_ & _neighbours(open_, camera[rows], ways.xy[ways.first[rows]])
    for c in np.flatnonzero(near.any(axis=1)).tolist():
        leaving, coming = rows[camera[rows] == c], rows[near[c][camera[rows]]]
        first = np.searchsorted(start[coming], end[leaving], side="left")
        last = np.searchsorted(start[coming], end[leaving] + max_gap_s, side="right")
        row, later = expand(first, last)
        a, b = leaving[row], coming[later]
        out_row, in_row = ways.last[a], ways.first[b]
        step = ways.xy[in_row] - ways.xy[out_row]
        metres, gap = np.hypot(*step.T), start[b] - end[a]
        value = speed_odds(np.maximum(gap, 0.5), metres, typical_mps)
        for velocity in (ways.velocity[out_row], ways.velocity[in_row]):
            speed = np.hypot(*velocity.T)
            cosine = (velocity * step).sum(axis=1) / np.maximum(speed * metres, 1e-9)
            told = (speed > 2.0) & (metres > 10.0)
            value += np.where(told, heading_odds(np.clip(cosine, -1, 1), headings), 0.0)
        keep = value > -9.0
        found.append(np.stack([a[keep], b[keep]], axis=1))
        odds.append(value[keep])
    pairs = np.concatenate(found)
    route, per_s = _camera_routes(pairs, camera, start, end)
    value = np.concatenate(odds) - np.log(per_s[route]) if len(pairs) else np.zeros(0)
    return _trips(pairs, route, start, end, np.clip(value, -8.0, 3.0), per_s)


def _neighbours(open_: Array, camera: Array, xy: Array) -> Array:
    """Each camera's nearest open ones, and those it is a nearest one of, by where passages begin: bool (C, C)."""
    size = len(open_)
    if size <= _NEIGHBOURS + 1:
        return np.ones((size, size), bool)
    count = np.bincount(camera, minlength=size)
    middle = np.stack([np.bincount(camera, xy[:, k], size) for k in (0, 1)], axis=1) / np.maximum(count, 1)[:, None]
    metres = np.hypot(*(middle[:, None] - middle).transpose(2, 0, 1))
    metres[~open_ | (count == 0) | (count == 0)[:, None]] = np.inf
    nearest = np.argsort(metres, axis=1, kind="stable")[:, :_NEIGHBOURS]
    near = np.zeros((size, size), bool)
    near[np.arange(size)[:, None], nearest] = True
    near &= np.isfinite(metres)
    return near | near.T


def _camera_routes(pairs: Array, camera: Array, start: Array, end: Array) -> tuple[Array, Array]:
    """A route for each ordered pair of cameras that occurs, and how many come by per second."""
    size = int(camera.max(initial=0)) + 1
    if not len(pairs):
        return np.zeros(0, np.int64), np.zeros(0)
    kind, route = np.unique(camera[pairs[:, 0]] * size + camera[pairs[:, 1]], return_inverse=True)
    count = np.bincount(camera, minlength=size)[kind % size]
    return route, count / max(float(end.max() - start.min()), 1.0)


def one_journey(trips: Trips, odds: Array, together: Array) -> Array:
    """Log odds of the journeys, those of one vehicle seen by several cameras at once counted as one: (T,).

    Such a vehicle makes one journey, from any of these cameras to any of the next. Where a pair of its passages may
    well be that journey, that others fit worse, since no link leads there, says nothing more; but that one camera of
    these still saw it when one of the next already did says as much as before.

    Args:
        trips: T journeys.
        odds: (T,), of each by itself.
        together: int64 (N,), label of the vehicle, as far as it is known already.

    >>> one, other = np.array([0, 1], np.int32), np.array([2, 2], np.int32)  # 0 and 1 are one vehicle; 2 came later
    >>> trips = Trips(one, other, np.zeros(2, np.int32), np.ones(2), np.array([1.0, -4.0]), np.ones(1))
    >>> one_journey(trips, trips.odds, np.array([0, 0, 2])).tolist()
    [1.0, 0.0]
    >>> both = Trips(one, other, np.zeros(2, np.int32), np.array([1.0, -2.0]), np.array([1.0, -4.0]), np.ones(1))
    >>> one_journey(both, both.odds, np.array([0, 0, 2])).tolist()
    [1.0, -4.0]
    """
    crowd = np.bincount(together, minlength=1) > 1
    rows = np.flatnonzero((crowd[together[trips.a]] | crowd[together[trips.b]]) & (trips.seconds > -_AT_ONCE_S))
    if not len(rows):
        return odds
    journey = together[trips.a[rows]].astype(np.int64) * len(together) + together[trips.b[rows]]
    _, journey = np.unique(journey, return_inverse=True)
    best = np.full(int(journey.max()) + 1, -np.inf)
    np.maximum.at(best, journey, odds[rows])
    best = np.where(best > _FITS, np.minimum(best, 0.0), -np.inf)
    out = odds.copy()
    out[rows] = np.maximum(odds[rows], best[journey])
    return out


def learned(trips: Trips, same: Array) -> Array:
    """Log odds of the journeys once a solution is known: float64 (T,).

    The time's density is a smoothed histogram of the times that the solution has on the same route, without the
    journey in question (nobody vouches for himself), mixed with what was known before. Routes that few take are less
    likely.

    Args:
        trips: T journeys.
        same: bool (T,), whether the solution has both in one vehicle.
    """
    out = trips.odds.astype(float)
    order = np.argsort(trips.route, kind="stable")
    edges = np.searchsorted(trips.route[order], np.arange(len(trips.per_s) + 1))
    for route, (lo, hi) in enumerate(pairwise(edges.tolist())):
        rows = order[lo:hi]
        if not len(rows):
            continue
        per_s, mine = trips.per_s[route], same[rows]
        seconds = trips.seconds[rows].astype(float)
        known = seconds[mine]
        least = float(seconds.min())
        place = np.round((seconds - least) / _BIN_S).astype(np.int64)
        count = np.bincount(place[mine], minlength=int(place.max()) + 1).astype(float)
        spread = (
            0.0
            if len(known) < 2
            else min(float(np.std(known)), float(np.ptp(np.quantile(known, [0.25, 0.75]))) / 1.34)
        )
        width = max(1.06 * spread * max(len(known), 1) ** -0.2, 0.75)
        others = gaussian_filter1d(count, width / _BIN_S, mode="constant")[place] / _BIN_S
        others -= mine / (width * np.sqrt(2 * np.pi))
        left = len(known) - mine
        density = np.maximum(others, 0.0) + _DOUBT * np.exp(out[rows]) * per_s
        leavers = len(distinct(trips.a[rows]))
        share = (left + 1) / (leavers + 2)
        out[rows] = np.log(density / (left + _DOUBT) / per_s) + 0.5 * np.log(np.clip(share, 0.01, 1.0))
    return out
