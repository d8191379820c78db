"""The truth of the benchmark of conflicts, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tools.bench.conflicts import Motion, true_pet_s


def straight(at_s: float, direction_deg: float, size_m: tuple[float, float]) -> Motion:
    """A vehicle at 10 m/s whose center is at (0, 0) at a time."""
    time_s = np.arange(-20.0, 20.0, 0.1)
    angle = np.full(len(time_s), np.deg2rad(direction_deg))
    along = 10 * (time_s - at_s)
    return Motion(time_s, np.stack([along * np.cos(angle), along * np.sin(angle), angle], axis=1), size_m)


@pytest.mark.parametrize("is_swapped", [False, True])
def test_two_vehicles_at_a_right_angle(is_swapped: bool) -> None:
    """A car of 4 × 2 m crosses at 0 s, a truck of 8 × 3 m at 2 s.

    They share 3 m along the car's path and 2 m along the truck's: the car has left when its center is 1.5 + 2 m
    behind the crossing, at .35 s, and the truck comes when its center is 1 + 4 m before it, at 1.5 s.
    """
    car, truck = (straight(0.0, 0.0, (4.0, 2.0)), 0.0), (straight(2.0, 90.0, (8.0, 3.0)), 2.0)
    (a, at_a_s), (b, at_b_s) = (truck, car) if is_swapped else (car, truck)
    assert true_pet_s(a, b, np.zeros(2), at_a_s, at_b_s) == pytest.approx(1.15, abs=0.15)  # steps of 0.05 s and 0.2 m


def test_vehicles_side_by_side_share_no_ground() -> None:
    car = straight(0.0, 0.0, (4.0, 2.0))
    beside = Motion(car.time_s, car.pose + np.array([0, 3.0, 0]), (4.0, 2.0))
    assert true_pet_s(car, beside, np.zeros(2), 0.0, 0.0) is None
