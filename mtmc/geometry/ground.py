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


def metres_from_gps(lat_lon: Array, origin: tuple[float, float]) -> Array:
    """(latitude, longitude) in degrees → (east, north) in metres from ``origin``: (…, 2) → (…, 2).

    An equirectangular approximation: below 1 mm per km over a scenario's few hundred metres.
    """
    lat0, lon0 = origin
    north = (lat_lon[..., 0] - lat0) * _METRES_PER_DEGREE
    east = (lat_lon[..., 1] - lon0) * _METRES_PER_DEGREE * np.cos(np.deg2rad(lat0))
    return np.stack([east, north], axis=-1)
