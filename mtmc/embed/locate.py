"""Where a tracklet was: its entry and exit zones, and its positions on the ground plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtmc.geometry.boxes import bottom_center
from mtmc.geometry.ground import project
from mtmc.geometry.zones import inside
from mtmc.scene import Camera, Zone
from mtmc.types import Array, Tracklet

__all__ = ["entry_zone", "exit_zone", "ground_positions"]

#: A zone counts as entered or left only within this time of the tracklet's first or last observation.
_MAX_ZONE_DELAY_S = 1.0

_STEP_S = 0.02  # between points of the continued path


def ground_positions(tracklet: Tracklet, camera: Camera) -> Array:
    """Positions of the boxes' bottom centers on the ground plane: float64 (L, 2), meters.

    All values are NaN where the camera is not calibrated.
    """
    if camera.ground_from_image is None:
        return np.full((len(tracklet), 2), np.nan)
    return project(_ground_points(tracklet), camera.ground_from_image)


def entry_zone(tracklet: Tracklet, zones: Sequence[Zone]) -> str:
    """Name of the zone that the tracklet entered by, or "".

    Observations of the first second are tried in order of time; zones of role ``out`` are left out. A vehicle that
    was detected late, or passed the zone between two frames, has none there: its path is then continued back in
    time, for one second, by the straight line fitted to that second in the image.
    """
    age_s = tracklet.time_s - tracklet.start_s
    return _zone_at_end(_ground_points(tracklet), age_s, [zone for zone in zones if zone.role != "out"])


def exit_zone(tracklet: Tracklet, zones: Sequence[Zone]) -> str:
    """Name of the zone that the tracklet left by, or "".

    As :func:`entry_zone`, backwards in time from the last observation; zones of role ``in`` are left out.
    """
    age_s = (tracklet.end_s - tracklet.time_s)[::-1]
    return _zone_at_end(_ground_points(tracklet)[::-1], age_s, [zone for zone in zones if zone.role != "in"])


def _zone_at_end(points: Array, age_s: Array, zones: Sequence[Zone]) -> str:
    """Name of the zone at one end of a path, or "": points (L, 2) in pixels by their time from that end (L,)."""
    near = age_s <= _MAX_ZONE_DELAY_S
    return _first_zone(points[near], zones) or _first_zone(_continued(points[near], age_s[near]), zones)


def _continued(points: Array, age_s: Array) -> Array:
    """Points (N, 2) on the straight line through a path (L, 2), from its end on; none for a single observation."""
    if len(points) < 2:
        return np.zeros((0, 2))
    deviation_s = age_s - age_s.mean()
    velocity = deviation_s @ points / (deviation_s @ deviation_s)
    beyond_s = np.arange(_STEP_S, _MAX_ZONE_DELAY_S + _STEP_S / 2, _STEP_S)
    return np.asarray(points[0] - beyond_s[:, None] * velocity)


def _ground_points(tracklet: Tracklet) -> Array:
    """Bottom centers of the boxes in the image: float64 (L, 2), pixels."""
    return bottom_center(tracklet.xyxy.astype(np.float64))


def _first_zone(points: Array, zones: Sequence[Zone]) -> str:
    """Name of the zone that contains the earliest of the points that lie in any zone, or ""; (N, 2) pixels."""
    first_hits = []
    for zone in zones:
        hits = inside(points, zone.polygon)
        if hits.any():
            first_hits.append((int(np.argmax(hits)), zone.name))
    return min(first_hits)[1] if first_hits else ""
