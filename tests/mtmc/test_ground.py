"""Positions on a ground plane in degrees of latitude and longitude, against a geodesic on the ellipsoid."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtmc.geometry.ground import gps_from_meters

A_M, F = 6_378_137.0, 1 / 298.257223563
PLACES = [(0.0, 0.0), (48.1371, 11.5754), (-33.8688, 151.2093), (64.1466, -21.9426), (1e-4, 179.9999)]


def vincenty(lat_deg: float, lon_deg: float, bearing_deg: float, length_m: float) -> tuple[float, float]:
    """The end of a geodesic (Vincenty: Direct and inverse solutions of geodesics on the ellipsoid, 1975), degrees."""
    b_m = A_M * (1 - F)
    alpha, u1 = math.radians(bearing_deg), math.atan((1 - F) * math.tan(math.radians(lat_deg)))
    sigma1 = math.atan2(math.tan(u1), math.cos(alpha))
    sin_a = math.cos(u1) * math.sin(alpha)
    cos2_a = 1 - sin_a**2
    u2 = cos2_a * (A_M**2 - b_m**2) / b_m**2
    big_a = 1 + u2 / 16384 * (4096 + u2 * (-768 + u2 * (320 - 175 * u2)))
    big_b = u2 / 1024 * (256 + u2 * (-128 + u2 * (74 - 47 * u2)))
    sigma = length_m / (b_m * big_a)
    for _ in range(20):
        m = math.cos(2 * sigma1 + sigma)
        inner = math.cos(sigma) * (2 * m**2 - 1) - big_b / 6 * m * (4 * math.sin(sigma) ** 2 - 3) * (4 * m**2 - 3)
        sigma = length_m / (b_m * big_a) + big_b * math.sin(sigma) * (m + big_b / 4 * inner)
    m = math.cos(2 * sigma1 + sigma)
    across = math.sin(u1) * math.sin(sigma) - math.cos(u1) * math.cos(sigma) * math.cos(alpha)
    up = math.sin(u1) * math.cos(sigma) + math.cos(u1) * math.sin(sigma) * math.cos(alpha)
    lat = math.atan2(up, (1 - F) * math.hypot(sin_a, across))
    turn = math.atan2(
        math.sin(sigma) * math.sin(alpha),
        math.cos(u1) * math.cos(sigma) - math.sin(u1) * math.sin(sigma) * math.cos(alpha),
    )
    c = F / 16 * cos2_a * (4 + F * (4 - 3 * cos2_a))
    inner = m + c * math.cos(sigma) * (2 * m**2 - 1)
    lon = math.radians(lon_deg) + turn - (1 - c) * F * sin_a * (sigma + c * math.sin(sigma) * inner)
    return math.degrees(lat), math.degrees(lon)


@pytest.mark.parametrize("origin", PLACES)
@pytest.mark.parametrize("bearing_deg", [0.0, 37.0, -120.0])
def test_points_lie_at_the_end_of_geodesics(origin: tuple[float, float], bearing_deg: float) -> None:
    for angle_deg in range(0, 360, 30):  # compass bearing of the point
        x, y = (2000 * f(math.radians(angle_deg - bearing_deg)) for f in (math.sin, math.cos))
        lat, lon = gps_from_meters(np.array([x, y]), origin, bearing_deg)
        expected = vincenty(*origin, angle_deg, 2000.0)
        off_lon = (lon - expected[1] + 180) % 360 - 180
        meters = 111_320 * np.array([lat - expected[0], off_lon * math.cos(math.radians(lat))])
        assert np.abs(meters).max() < 1e-3  # the tangent plane is longer by L³ / 3R² = 0.07 mm
        assert -180 <= lon <= 180


def test_the_origin_stays_and_unknown_positions_stay_unknown() -> None:
    points = np.array([[[0.0, 0.0], [np.nan, 3.0]]])
    found = gps_from_meters(points, (48.1371, 11.5754), 77.0)
    assert found.shape == (1, 2, 2)
    assert found[0, 0] == pytest.approx((48.1371, 11.5754), abs=1e-12)
    assert np.isnan(found[0, 1]).all()
    assert gps_from_meters(np.array([0.0, -1000.0]), (90.0, 0.0))[0] < 90  # the pole is a place, too
