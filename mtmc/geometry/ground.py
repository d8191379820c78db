"""Image ⇄ ground plane by homography, and GPS degrees ⇄ local metres."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array

__all__ = ["metres_from_gps", "project"]

_METRES_PER_DEGREE = 111_320.0  # of latitude, on a sphere of the Earth's mean circumference


def project(points: Array, to_from: Array) -> Array:
    """Apply a homography: (…, 2) and (3, 3) → float64 (…, 2), NaN for points on its horizon."""
    points = np.asarray(points, np.float64)
    homogeneous = np.concatenate([points, np.ones((*points.shape[:-1], 1))], axis=-1) @ to_from.T
    depth = homogeneous[..., 2:]
    safe = np.where(np.abs(depth) < 1e-12, np.nan, depth)
    return np.asarray(homogeneous[..., :2] / safe)


def metres_from_gps(origin: tuple[float, float]) -> Array:
    """Homography from (latitude, longitude) in degrees to (east, north) in metres from ``origin``: float64 (3, 3).

    An equirectangular approximation: below 1 mm per km over a scenario's few hundred metres.
    """
    lat0, lon0 = origin
    north, east = _METRES_PER_DEGREE, _METRES_PER_DEGREE * np.cos(np.deg2rad(lat0))
    return np.array([[0.0, east, -east * lon0], [north, 0.0, -north * lat0], [0.0, 0.0, 1.0]])
