"""Entry and exit zones: where many ways begin or end, in one direction.

Ends are clustered by density (DBSCAN, Ester et al. 1996) with distances in sizes of the vehicle's own box, so that
far and near zones are treated alike. An end in the middle of the picture may be a vehicle hidden by something: a
cluster away from the border is kept only if few ways run through it in that direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull

from mtmc.geometry.boxes import foot
from mtmc.geometry.zones import inside
from mtmc.site.config import SiteConfig
from mtmc.types import Array, Passage

__all__ = ["FoundZone", "TrackEndpoint", "cluster", "find_zones", "track_endpoints"]

_NEAR = 0.75  # sizes of the box: ends nearer than that are neighbours
_SAME_WAY = 0.5  # cosine of directions
_DIRECTION_S = 1.0
_AT_ONCE_S = 1.0  # ends that near to the recording's begin or end are not ends of ways
_BORDER = 0.02  # of the picture's size
_MARGIN = 0.015  # of the picture's width, around a zone's points
_MOST = 4000


@dataclass(frozen=True, slots=True, eq=False)
class TrackEndpoint:
    """Where a way begins or ends.

    Attributes:
        passage: Index of the passage.
        role: ``in`` for its begin, ``out`` for its end.
        time_s: When.
        px: float64 (2,), foot point.
        heading: float64 (2,), unit direction of motion there; 0 where it stands.
        box_px: float64 (2,), size of its box.
        at_border: Its box touches the picture's border.
    """

    passage: int
    role: Literal["in", "out"]
    time_s: float
    px: Array
    heading: Array
    box_px: Array
    at_border: bool


@dataclass(frozen=True, slots=True, eq=False)
class FoundZone:
    """A zone.

    Attributes:
        name: Such as ``left in``; where in the picture, and its role.
        role: ``in`` or ``out``.
        polygon: float64 (V, 2), pixels.
        ends: Indices of the ends that made it.
        count: How many those are.
        purity: Share of the vehicles seen there in that direction that begin (or end) there.
        at_border: Share of its ends at the picture's border.
        sure: Confidence in [0, 1].
    """

    name: str
    role: Literal["in", "out"]
    polygon: Array
    ends: tuple[int, ...]
    count: int
    purity: float
    at_border: float
    sure: float


def track_endpoints(
    passages: Sequence[Passage], size_wh: tuple[int, int], span_s: tuple[float, float]
) -> list[TrackEndpoint]:
    """Begins and ends of the moving passages of a camera, but for those that the recording itself cuts.

    Args:
        passages: Of one camera.
        size_wh: Its picture size.
        span_s: When its recording begins and ends.
    """
    out = []
    for k, passage in enumerate(passages):
        tracklet = passage.tracklet
        boxes = tracklet.xyxy.astype(np.float64)
        feet, size = foot(boxes), boxes[:, 2:] - boxes[:, :2]
        if len(tracklet) < 3 or np.hypot(*(np.ptp(feet, axis=0) / np.median(size, axis=0))) < 1.0:
            continue
        for role, row, near in (
            ("in", 0, tracklet.time_s <= tracklet.start_s + _DIRECTION_S),
            ("out", len(tracklet) - 1, tracklet.time_s >= tracklet.end_s - _DIRECTION_S),
        ):
            time_s = float(tracklet.time_s[row])
            if time_s < span_s[0] + _AT_ONCE_S or time_s > span_s[1] - _AT_ONCE_S:
                continue
            rows = np.flatnonzero(near)
            gone = feet[rows[-1]] - feet[rows[0]]
            length = float(np.hypot(*gone))
            heading = gone / length if length > 0.1 * size[row, 0] else np.zeros(2)
            limit = _BORDER * np.array(size_wh)
            at_border = bool((boxes[row, :2] < limit).any() or (boxes[row, 2:] > np.array(size_wh) - limit).any())
            out.append(
                TrackEndpoint(k, "in" if role == "in" else "out", time_s, feet[row], heading, size[row], at_border)
            )
    return out


def cluster(px: Array, heading: Array, box_px: Array, least: int) -> Array:
    """Density clusters of ends: int64 (N,), −1 for noise, else from 0 in order of size.

    Args:
        px: float64 (N, 2).
        heading: float64 (N, 2), unit or zero; opposite directions never meet.
        box_px: float64 (N, 2), the unit of distance.
        least: Neighbours, itself included, that make a core.
    """
    n = len(px)
    if n == 0:
        return np.zeros(0, np.int64)
    unit = (box_px[:, None] + box_px[None]) / 2
    gap = (px[:, None] - px[None]) / (unit * [1.0, 0.8])
    stands = np.asarray(~heading.any(axis=1))
    same = (heading @ heading.T > _SAME_WAY) | stands[:, None] | stands[None]
    near = (np.hypot(gap[..., 0], gap[..., 1]) < _NEAR) & same
    core = near.sum(axis=1) >= least
    label = np.full(n, -1, np.int64)
    if not core.any():
        return label
    rows = np.flatnonzero(core)
    count, found = connected_components(csr_array(near[np.ix_(rows, rows)].astype(np.int8)), directed=False)
    label[rows] = found
    far = np.where(near[:, rows], np.hypot(gap[:, rows, 0], gap[:, rows, 1]), np.inf)
    edge = np.flatnonzero(~core & np.isfinite(far.min(axis=1)))
    label[edge] = label[rows[far[edge].argmin(axis=1)]]
    size = np.bincount(label[label >= 0], minlength=count)
    rank = np.empty(count, np.int64)
    rank[np.lexsort((np.arange(count), -size))] = np.arange(count)
    return np.where(label >= 0, rank[label], -1)


def find_zones(
    ends: Sequence[TrackEndpoint], passages: Sequence[Passage], size_wh: tuple[int, int], config: SiteConfig
) -> list[FoundZone]:
    """Zones of a camera, most used first within a role."""
    out: list[FoundZone] = []
    for role in ("in", "out"):
        mine = [k for k, end in enumerate(ends) if end.role == role][:_MOST]
        if not mine:
            continue
        px, heading, box = (np.array([getattr(ends[k], name) for k in mine]) for name in ("px", "heading", "box_px"))
        label = cluster(px, heading, box, config.min_support)
        for number in range(label.max(initial=-1) + 1):
            members = [mine[k] for k in np.flatnonzero(label == number)]
            zone = _zone("in" if role == "in" else "out", members, ends, passages, size_wh)
            if zone.count >= config.min_support and (zone.at_border >= 0.5 or zone.purity >= config.min_purity):
                out.append(zone)
    return _named(out, size_wh)


def _zone(
    role: Literal["in", "out"],
    members: Sequence[int],
    ends: Sequence[TrackEndpoint],
    passages: Sequence[Passage],
    size_wh: tuple[int, int],
) -> FoundZone:
    px = np.array([ends[k].px for k in members])
    polygon = _hull(px, size_wh)
    heading = np.mean([ends[k].heading for k in members], axis=0)
    through = _through(polygon, heading, {ends[k].passage for k in members}, passages)
    purity = len(members) / (len(members) + through)
    at_border = float(np.mean([ends[k].at_border for k in members]))
    sure = (1 - 0.5 ** (len(members) / 3)) * max(purity, at_border)
    return FoundZone("", role, polygon, tuple(members), len(members), purity, at_border, round(sure, 3))


def _through(polygon: Array, heading: Array, own: set[int], passages: Sequence[Passage]) -> int:
    """Other passages that run through the zone in its direction, with some way before and behind it."""
    count = 0
    for k, passage in enumerate(passages):
        feet = foot(passage.tracklet.xyxy.astype(np.float64))
        hit = np.flatnonzero(inside(feet, polygon))
        if k in own or not len(hit):
            continue
        size = np.median(passage.tracklet.xyxy[:, 2] - passage.tracklet.xyxy[:, 0])
        before, behind = feet[hit[0]] - feet[0], feet[-1] - feet[hit[-1]]
        along = feet[-1] - feet[0]
        if min(np.hypot(*before), np.hypot(*behind)) > size and along @ heading > 0:
            count += 1
    return count


def _hull(points: Array, size_wh: tuple[int, int]) -> Array:
    """A polygon with some margin around points, inside the picture: (N, 2) → (V, 2)."""
    turn = np.linspace(0, 2 * np.pi, 9)[:-1]
    ring = _MARGIN * size_wh[0] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    cloud = np.clip((points[:, None] + ring).reshape(-1, 2), 0, size_wh)
    return np.asarray(np.round(cloud[ConvexHull(cloud, qhull_options="QJ").vertices], 1))


def _named(zones: Sequence[FoundZone], size_wh: tuple[int, int]) -> list[FoundZone]:
    """Names by place in the picture, numbered where several share one."""
    spots = []
    for zone in zones:
        x, y = zone.polygon.mean(axis=0) / size_wh
        across, down = ("left", "middle", "right")[min(int(3 * x), 2)], ("far", "mid", "near")[min(int(3 * y), 2)]
        spots.append(f"{down} {across} {zone.role}")
    out = []
    for k, (zone, spot) in enumerate(zip(zones, spots, strict=True)):
        alike = [j for j, other in enumerate(spots) if other == spot]
        name = spot if len(alike) == 1 else f"{spot} {alike.index(k) + 1}"
        out.append(
            FoundZone(name, zone.role, zone.polygon, zone.ends, zone.count, zone.purity, zone.at_border, zone.sure)
        )
    return out
