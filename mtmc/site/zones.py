"""Entry and exit zones: image regions where many trajectories begin or end in one direction.

Endpoints are clustered by density (DBSCAN, Ester et al. 1996) with distances in sizes of the vehicle's own box, so
that near and far zones are treated equally. A track that ends in the middle of the image may be occluded: a cluster
away from the image border is a zone only if few trajectories pass through it in that direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull

from mtmc.geometry.boxes import bottom_center
from mtmc.geometry.zones import inside
from mtmc.scene import Zone
from mtmc.site.config import SiteConfig
from mtmc.types import Array, Passage, Tracklet

__all__ = ["FoundZone", "TrackEndpoint", "cluster_endpoints", "find_zones", "given_zones", "track_endpoints"]

Role = Literal["in", "out"]

# Endpoints.
_MIN_BOXES, _MIN_DISPLACEMENT = 3, 1.0  # of a track; the displacement is in sizes of its box
_HEADING_S = 1.0  # time over which the heading at an endpoint is measured
_MIN_HEADING_MOTION = 0.1  # of the box's width; less has no heading
_RECORDING_MARGIN_S = 1.0  # endpoints nearer to the begin or end of the recording are cut by it
_BORDER_SHARE = 0.02  # of the image size

# Clusters.
_MAX_DISTANCE = 0.75  # of neighbors, in box sizes
_VERTICAL_UNIT = 0.8  # of the box height
_MIN_HEADING_COSINE = 0.5
_MAX_ENDPOINTS = 4000  # the distance matrix of more would need too much memory

# Zones.
_MIN_BORDER_SHARE = 0.5  # of its endpoints at the border: the zone needs no purity
_POLYGON_MARGIN = 0.015  # of the image width, around the endpoints
_HALF_CONFIDENCE_COUNT = 3  # vehicles that give a confidence of one half


@dataclass(frozen=True, slots=True, eq=False)
class TrackEndpoint:
    """Where a track begins or ends.

    Attributes:
        passage: Index of the passage.
        role: ``in`` for its begin, ``out`` for its end.
        time_s: When.
        px: float64 (2,), ground point.
        heading: float64 (2,), unit vector in the image; 0 for a stationary vehicle.
        box_px: float64 (2,), size of its box.
        at_border: Its box touches the image border.
    """

    passage: int
    role: Role
    time_s: float
    px: Array
    heading: Array
    box_px: Array
    at_border: bool


@dataclass(frozen=True, slots=True, eq=False)
class FoundZone:
    """A zone and its evidence.

    Attributes:
        name: Its position in the image and its role, such as ``mid left in``.
        role: ``in`` or ``out``.
        polygon: float64 (V, 2), pixels.
        endpoints: Indices of its endpoints.
        count: Their number.
        purity: Share of the vehicles seen there in that direction that begin (or end) there.
        at_border: Share of its endpoints at the image border.
        confidence: In [0, 1].
    """

    name: str
    role: Role
    polygon: Array
    endpoints: tuple[int, ...]
    count: int
    purity: float
    at_border: float
    confidence: float


def track_endpoints(
    passages: Sequence[Passage], size_wh: tuple[int, int], recorded_s: tuple[float, float]
) -> list[TrackEndpoint]:
    """Begins and ends of a camera's moving passages, without those cut by the begin or end of the recording.

    Args:
        passages: Of one camera.
        size_wh: Its image size.
        recorded_s: When its recording begins and ends.
    """
    endpoints = []
    for index, passage in enumerate(passages):
        tracklet = passage.tracklet
        if not _is_moving(tracklet):
            continue
        for role in _ROLES:
            endpoint = _endpoint(index, tracklet, role, size_wh)
            after_begin_s, before_end_s = endpoint.time_s - recorded_s[0], recorded_s[1] - endpoint.time_s
            if after_begin_s >= _RECORDING_MARGIN_S and before_end_s >= _RECORDING_MARGIN_S:
                endpoints.append(endpoint)
    return endpoints


_ROLES: tuple[Role, Role] = ("in", "out")


def _is_moving(tracklet: Tracklet) -> bool:
    boxes = tracklet.xyxy.astype(np.float64)
    size = np.median(boxes[:, 2:] - boxes[:, :2], axis=0)
    extent = np.ptp(bottom_center(boxes), axis=0)
    relative_extent = np.hypot(*(extent / size))
    return len(tracklet) >= _MIN_BOXES and relative_extent >= _MIN_DISPLACEMENT


def _endpoint(index: int, tracklet: Tracklet, role: Role, size_wh: tuple[int, int]) -> TrackEndpoint:
    boxes = tracklet.xyxy.astype(np.float64)
    points = bottom_center(boxes)
    if role == "in":
        row, is_near = 0, tracklet.time_s <= tracklet.start_s + _HEADING_S
    else:
        row, is_near = len(tracklet) - 1, tracklet.time_s >= tracklet.end_s - _HEADING_S

    # A motion that is small beside the box is mostly jitter, which has no heading.
    near = np.flatnonzero(is_near)
    motion = points[near[-1]] - points[near[0]]
    length = float(np.hypot(*motion))
    size = boxes[row, 2:] - boxes[row, :2]
    heading = motion / length if length > _MIN_HEADING_MOTION * size[0] else np.zeros(2)

    margin = _BORDER_SHARE * np.array(size_wh)
    touches_top_left = (boxes[row, :2] < margin).any()
    touches_bottom_right = (boxes[row, 2:] > np.array(size_wh) - margin).any()
    at_border = bool(touches_top_left or touches_bottom_right)
    return TrackEndpoint(index, role, float(tracklet.time_s[row]), points[row], heading, size, at_border)


def cluster_endpoints(px: Array, heading: Array, box_px: Array, min_neighbors: int) -> Array:
    """Density clusters (DBSCAN): int64 (N,), −1 for noise, else from 0 in order of decreasing size.

    Args:
        px: float64 (N, 2).
        heading: float64 (N, 2), unit or zero vectors; opposite directions are no neighbors.
        box_px: float64 (N, 2), the unit of distance.
        min_neighbors: Neighbors, itself included, of a core point.
    """
    n = len(px)
    if n == 0:
        return np.zeros(0, np.int64)
    unit = (box_px[:, None] + box_px[None]) / 2 * [1.0, _VERTICAL_UNIT]
    difference = (px[:, None] - px[None]) / unit
    distance = np.hypot(difference[..., 0], difference[..., 1])
    is_stationary = np.asarray(~heading.any(axis=1))
    same_heading = (heading @ heading.T > _MIN_HEADING_COSINE) | is_stationary[:, None] | is_stationary[None]
    is_neighbor = (distance < _MAX_DISTANCE) & same_heading

    is_core = is_neighbor.sum(axis=1) >= min_neighbors
    label = np.full(n, -1, np.int64)
    if not is_core.any():
        return label
    cores = np.flatnonzero(is_core)
    graph = csr_array(is_neighbor[np.ix_(cores, cores)].astype(np.int8))
    clusters, label[cores] = connected_components(graph, directed=False)

    # A border point belongs to the cluster of its nearest core.
    to_core = np.where(is_neighbor[:, cores], distance[:, cores], np.inf)
    border = np.flatnonzero(~is_core & np.isfinite(to_core.min(axis=1)))
    label[border] = label[cores[to_core[border].argmin(axis=1)]]

    size = np.bincount(label[label >= 0], minlength=clusters)
    rank = np.empty(clusters, np.int64)
    rank[np.argsort(-size, kind="stable")] = np.arange(clusters)
    return np.where(label >= 0, rank[label], -1)


def find_zones(
    endpoints: Sequence[TrackEndpoint], passages: Sequence[Passage], size_wh: tuple[int, int], config: SiteConfig
) -> list[FoundZone]:
    """Zones of a camera, entries before exits, the most used first.

    Args:
        endpoints: Of the camera (:func:`track_endpoints`).
        passages: Of the camera.
        size_wh: Its image size.
        config: The settings.
    """
    zones: list[FoundZone] = []
    for role in _ROLES:
        of_role = [k for k, endpoint in enumerate(endpoints) if endpoint.role == role][:_MAX_ENDPOINTS]
        if not of_role:
            continue
        label = cluster_endpoints(
            np.array([endpoints[k].px for k in of_role]),
            np.array([endpoints[k].heading for k in of_role]),
            np.array([endpoints[k].box_px for k in of_role]),
            config.min_support,
        )
        for number in range(label.max(initial=-1) + 1):
            members = [of_role[k] for k in np.flatnonzero(label == number)]
            zone = _zone(role, members, endpoints, passages, size_wh)
            is_plausible = zone.at_border >= _MIN_BORDER_SHARE or zone.purity >= config.min_purity
            if zone.count >= config.min_support and is_plausible:
                zones.append(zone)
    return _named(zones, size_wh)


def given_zones(zones: Sequence[Zone], endpoints: Sequence[TrackEndpoint]) -> list[FoundZone]:
    """The zones of the scene file, with the endpoints that lie in them. An endpoint is in the first such zone.

    Args:
        zones: Of a camera.
        endpoints: Of the camera (:func:`track_endpoints`).
    """
    taken: set[int] = set()
    found = []
    for zone in zones:
        for role in _ROLES:
            if zone.role not in (role, "both"):
                continue
            points = np.array([endpoint.px for endpoint in endpoints]).reshape(-1, 2)
            inner = np.flatnonzero(inside(points, zone.polygon)).tolist()
            members = tuple(k for k in inner if endpoints[k].role == role and k not in taken)
            taken |= set(members)
            at_border = float(np.mean([endpoints[k].at_border for k in members])) if members else 0.0
            found.append(FoundZone(zone.name, role, zone.polygon, members, len(members), 1.0, at_border, 1.0))
    return found


def _zone(
    role: Role,
    members: Sequence[int],
    endpoints: Sequence[TrackEndpoint],
    passages: Sequence[Passage],
    size_wh: tuple[int, int],
) -> FoundZone:
    count = len(members)
    polygon = _polygon(np.array([endpoints[k].px for k in members]), size_wh)
    heading = np.mean([endpoints[k].heading for k in members], axis=0)
    passing = _count_passing(polygon, heading, {endpoints[k].passage for k in members}, passages)
    purity = count / (count + passing)
    at_border = float(np.mean([endpoints[k].at_border for k in members]))
    confidence = (1 - 0.5 ** (count / _HALF_CONFIDENCE_COUNT)) * max(purity, at_border)
    return FoundZone("", role, polygon, tuple(members), count, purity, at_border, round(confidence, 3))


def _count_passing(polygon: Array, heading: Array, own: set[int], passages: Sequence[Passage]) -> int:
    """Other passages that run through the polygon in its direction, from outside to outside.

    Args:
        polygon: float64 (V, 2).
        heading: float64 (2,), mean heading of the zone.
        own: Passages that begin or end in the zone.
        passages: Of the camera.
    """
    count = 0
    for k, passage in enumerate(passages):
        points = bottom_center(passage.tracklet.xyxy.astype(np.float64))
        hits = np.flatnonzero(inside(points, polygon))
        if k in own or not len(hits):
            continue
        width = np.median(passage.tracklet.xyxy[:, 2] - passage.tracklet.xyxy[:, 0])
        before, after = points[hits[0]] - points[0], points[-1] - points[hits[-1]]
        is_passing = min(np.hypot(*before), np.hypot(*after)) > width
        if is_passing and (points[-1] - points[0]) @ heading > 0:
            count += 1
    return count


def _polygon(points: Array, size_wh: tuple[int, int]) -> Array:
    """The convex hull of circles around points, inside the image: (N, 2) → (V, 2)."""
    angle = np.linspace(0, 2 * np.pi, 9)[:-1]
    circle = _POLYGON_MARGIN * size_wh[0] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    cloud = np.clip((points[:, None] + circle).reshape(-1, 2), 0, size_wh)
    hull = ConvexHull(cloud, qhull_options="QJ")
    return np.asarray(np.round(cloud[hull.vertices], 1))


def _named(zones: Sequence[FoundZone], size_wh: tuple[int, int]) -> list[FoundZone]:
    """Names by position in the image, numbered where several are equal."""
    names = []
    for zone in zones:
        x, y = zone.polygon.mean(axis=0) / size_wh
        column = ("left", "middle", "right")[min(int(3 * x), 2)]
        row = ("far", "mid", "near")[min(int(3 * y), 2)]
        names.append(f"{row} {column} {zone.role}")
    named = []
    for k, (zone, name) in enumerate(zip(zones, names, strict=True)):
        number = names[: k + 1].count(name)
        named.append(replace(zone, name=name if names.count(name) == 1 else f"{name} {number}"))
    return named
