"""Image ⇄ ground plane by homography, and degrees of latitude and longitude ⇄ meters."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array

__all__ = ["gps_from_meters", "meters_from_gps", "project"]

_METERS_PER_DEGREE = 111_320.0  # of latitude, on a sphere of the Earth's mean circumference
# The ellipsoid of WGS 84 (NGA.STND.0036): semi-major axis in meters, flattening, squared eccentricity e² = f(2 − f).
_SEMI_MAJOR_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563
_ECCENTRICITY_2 = _FLATTENING * (2 - _FLATTENING)


def project(points: Array, to_from: Array) -> Array:
    """Apply a homography: (…, 2) and (3, 3) → float64 (…, 2), NaN for points on its horizon."""
    points = np.asarray(points, np.float64)
    homogeneous = np.concatenate([points, np.ones((*points.shape[:-1], 1))], axis=-1) @ to_from.T
    depth = homogeneous[..., 2:]
    safe = np.where(np.abs(depth) < 1e-12, np.nan, depth)
    return np.asarray(homogeneous[..., :2] / safe)


def meters_from_gps(origin: tuple[float, float]) -> Array:
    """Homography from (latitude, longitude) in degrees to (east, north) in meters from ``origin``: float64 (3, 3).

    An equirectangular approximation: below 1 mm per km over a scenario's few hundred meters.
    """
    lat0, lon0 = origin
    north, east = _METERS_PER_DEGREE, _METERS_PER_DEGREE * np.cos(np.deg2rad(lat0))
    return np.array([[0.0, east, -east * lon0], [north, 0.0, -north * lat0], [0.0, 0.0, 1.0]])


def gps_from_meters(points_m: Array, origin: tuple[float, float], bearing_deg: float = 0.0) -> Array:
    r"""Latitude and longitude of points on a ground plane that touches the WGS 84 ellipsoid at its origin.

    With the bearing β of the second axis, a point (x, y) lies at  e = x cos β + y sin β  east and
    n = −x sin β + y cos β  north. From the Earth's center it is at  P + e E + n N,  P being the origin and E, N the
    unit vectors to the east and to the north there. Its longitude λ and latitude φ, with p = √(X² + Y²), are

        λ = atan2(Y, X)
        φ = atan2(Z + e'² b sin³ θ, p − e² a cos³ θ),  tan θ = Z a / (p b),

    where a, b are the semi-axes, e² = 1 − b²/a² and e'² = a²/b² − 1. The height over the ellipsoid is dropped.

    Args:
        points_m: float64 (…, 2), meters from the origin, seen from above with the second axis 90° to the left of
            the first.
        origin: Latitude and longitude in degrees.
        bearing_deg: Compass bearing of the second axis: degrees clockwise from north.

    Returns:
        float64 (…, 2), latitude and longitude in degrees, longitude in [−180, 180]; NaN where a point is NaN.

    Source: Bowring: Transformation from spatial to geographical coordinates, Survey Review 23, 1976.

    >>> gps_from_meters(np.array([[0.0, 0.0], [0.0, 1000.0]]), (48.0, 11.0)).round(6).tolist()
    [[48.0, 11.0], [48.008994, 11.0]]
    """
    latitude, longitude, bearing = np.deg2rad([*origin, bearing_deg])
    sin_lat, cos_lat, sin_lon, cos_lon = np.sin(latitude), np.cos(latitude), np.sin(longitude), np.cos(longitude)
    normal_m = _SEMI_MAJOR_M / np.sqrt(1 - _ECCENTRICITY_2 * sin_lat**2)  # radius of curvature, east and west
    up = np.array([cos_lat * cos_lon, cos_lat * sin_lon, sin_lat])
    to_east = np.array([-sin_lon, cos_lon, 0.0])
    to_north = np.array([-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat])

    x, y = np.moveaxis(np.asarray(points_m, np.float64), -1, 0)
    east = x * np.cos(bearing) + y * np.sin(bearing)
    north = y * np.cos(bearing) - x * np.sin(bearing)
    center = normal_m * up * [1, 1, 1 - _ECCENTRICITY_2]
    return _geodetic_deg(center + east[..., None] * to_east + north[..., None] * to_north)


def _geodetic_deg(position_m: Array) -> Array:
    """Latitude and longitude (…, 2), degrees, of positions (…, 3) near the surface, meters from the center."""
    x, y, z = np.moveaxis(position_m, -1, 0)
    semi_minor_m = _SEMI_MAJOR_M * (1 - _FLATTENING)
    from_axis = np.hypot(x, y)
    theta = np.arctan2(z * _SEMI_MAJOR_M, from_axis * semi_minor_m)
    second_eccentricity_2 = _ECCENTRICITY_2 / (1 - _ECCENTRICITY_2)
    latitude = np.arctan2(
        z + second_eccentricity_2 * semi_minor_m * np.sin(theta) ** 3,
        from_axis - _ECCENTRICITY_2 * _SEMI_MAJOR_M * np.cos(theta) ** 3,
    )
    return np.asarray(np.rad2deg(np.stack([latitude, np.arctan2(y, x)], axis=-1)))
