"""Movements: which tracklets of a vehicle belong together, its zones, class and speed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mtmc.traffic.ground_paths import ground_path
from mtmc.traffic.movements import movements_of
from mtmc.types import CLASSES, GlobalTrack, Passage
from tests.builders import tracklet

CAR, TRUCK, VEHICLE = (CLASSES.index(name) for name in ("car", "truck", "vehicle"))


def passage(
    camera: str, track: int, start_s: float, *, entry: str = "", exit: str = "", length: int = 10, class_id: int = CAR
) -> Passage:
    """Boxes at 10 per second, so that ``length`` 10 lasts 0.9 s."""
    own = replace(tracklet(camera, track, start_s=start_s, length=length), class_id=class_id)
    return Passage(own, np.zeros(0, np.float32), entry, exit, np.full((length, 2), np.nan))


def spans(*passages: Passage, max_gap_s: float = 30.0) -> list[tuple[str, float, float, int]]:
    found = movements_of([GlobalTrack(7, passages)], max_gap_s)
    return [(m.camera, round(m.enter_s, 3), round(m.leave_s, 3), m.tracklets) for m in found]


def test_fragments_in_one_camera_are_one_movement_and_cameras_are_apart() -> None:
    a, b, c = passage("a", 1, 0.0), passage("a", 2, 5.0), passage("b", 1, 2.0)
    assert spans(a, c, b) == [("a", 0.0, 5.9, 2), ("b", 2.0, 2.9, 1)]


def test_a_long_gap_is_a_return() -> None:
    a, b = passage("a", 1, 0.0), passage("a", 2, 31.0)
    assert len(spans(a, b)) == 2
    assert len(spans(a, b, max_gap_s=31.0)) == 1


def test_the_gap_is_measured_from_the_tracklet_that_ends_last() -> None:
    long, short, late = passage("a", 1, 0.0, length=400), passage("a", 2, 1.0), passage("a", 3, 60.0)
    assert len(spans(long, short, late)) == 1  # 39.9 s to 60 s


def test_leaving_by_a_zone_and_entering_by_one_is_a_return() -> None:
    a, b = passage("a", 1, 0.0, exit="north"), passage("a", 2, 5.0, entry="south")
    assert len(spans(a, b)) == 2
    assert len(spans(a, passage("a", 2, 5.0))) == 1
    assert len(spans(a, passage("a", 2, 3.5, entry="south"))) == 1  # hidden for 2.6 s
    assert len(spans(passage("a", 1, 0.0), b)) == 1


def test_zones_are_those_of_the_first_and_of_the_last_tracklet() -> None:
    [found] = movements_of([GlobalTrack(7, (passage("a", 1, 0.0, entry="in"), passage("a", 2, 3.0, exit="out")))])
    assert (found.vehicle, found.entry_zone, found.exit_zone) == (7, "in", "out")
    assert np.isnan(found.speed_kmh)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (((CAR, 10), (TRUCK, 11)), "truck"),
        (((CAR, 10), (TRUCK, 10)), "car"),  # the lower index
        (((VEHICLE, 50), (TRUCK, 10)), "truck"),  # a specific class is preferred
        (((VEHICLE, 50),), "vehicle"),
    ],
)
def test_the_class_is_the_majority_over_all_cameras(parts: tuple[tuple[int, int], ...], expected: str) -> None:
    passages = [
        passage(f"c{k}", 1, 100.0 * k, length=length, class_id=class_id) for k, (class_id, length) in enumerate(parts)
    ]
    assert {m.vehicle_class for m in movements_of([GlobalTrack(1, tuple(passages))])} == {expected}


@pytest.mark.parametrize("sigma_m", [0.0, 0.5])
def test_speed_on_a_curve_and_with_noise(sigma_m: float) -> None:
    rng = np.random.default_rng(0)
    time_s = np.arange(300) / 10
    angle = time_s * 12.0 / 80  # 12 m/s on a circle of radius 80 m
    ground_m = 80 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + rng.normal(0, sigma_m, (300, 2))
    assert ground_path(time_s, ground_m).speed_mps == pytest.approx(12.0, rel=0.01)


def test_speed_without_positions_or_duration() -> None:
    time_s = np.arange(20) / 10
    assert np.isnan(ground_path(time_s, np.full((20, 2), np.nan)).speed_mps)
    assert np.isnan(ground_path(time_s[:5], np.zeros((5, 2))).speed_mps)
    ground_m = np.stack([5 * time_s, np.zeros(20)], axis=1)
    ground_m[3] = np.nan
    assert ground_path(time_s, ground_m).speed_mps == pytest.approx(5.0, rel=0.1)
