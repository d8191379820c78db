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


def ground_positions(tracklet: Tracklet, camera: Camera) -> Array:
    """Positions of the boxes' bottom centers on the ground plane: float64 (L, 2), meters.

    All values are NaN where the camera is not calibrated.
    """
    if camera.ground_from_image is None:
        return np.full((len(tracklet), 2), np.nan)
    return project(_ground_points(tracklet), camera.ground_from_image)


def entry_zone(tracklet: Tracklet, zones: Sequence[Zone]) -> str:
    """Name of the zone that the tracklet entered by, or "".

    Observations of the first second are tried in order of time; zones of role ``out`` are left out.
    """
    early = tracklet.time_s - tracklet.start_s <= _MAX_ZONE_DELAY_S
    return _first_zone(_ground_points(tracklet)[early], [zone for zone in zones if zone.role != "out"])


def exit_zone(tracklet: Tracklet, zones: Sequence[Zone]) -> str:
    """Name of the zone that the tracklet left by, or "".

    Observations of the last second are tried backwards in time; zones of role ``in`` are left out.
    """
    late = tracklet.end_s - tracklet.time_s <= _MAX_ZONE_DELAY_S
    return _first_zone(_ground_points(tracklet)[late][::-1], [zone for zone in zones if zone.role != "in"])


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
