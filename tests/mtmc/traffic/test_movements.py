"""Movements: which tracklets of a vehicle belong together, its zones, class and speed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mtmc.traffic.ground_paths import ground_path, with_sure_positions
from mtmc.traffic.movements import movements_of
from mtmc.types import CLASSES, COLORS, Array, GlobalTrack, Passage
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


def test_the_color_is_that_of_most_boxes_and_unknown_without_a_network() -> None:
    def painted(track: int, start_s: float, length: int, color: str) -> Passage:
        probability = np.where(np.array(COLORS) == color, 0.4, 0.1).astype(np.float32)
        return replace(passage("a", track, start_s, length=length), color_probability=probability)

    red, blue = painted(1, 0.0, 10, "red"), painted(2, 2.0, 30, "blue")
    unseen = passage("b", 1, 1.0, length=90)
    assert {m.color for m in movements_of([GlobalTrack(7, (red, unseen, blue))])} == {"blue"}
    assert {m.color for m in movements_of([GlobalTrack(7, (unseen,))])} == {""}


def test_speeds_at_the_zones_are_those_of_three_seconds() -> None:
    """A vehicle enters at 10 m/s, stands from 5 s to 15 s, and leaves at 5 m/s; its first second is not sure."""
    time_s = np.arange(200) / 10
    x_m = np.interp(time_s, [0, 5, 15, 20], [0, 50, 50, 75])
    ground_m = np.stack([x_m, np.zeros(200)], axis=1)
    ground_m[:10] = np.nan
    [m] = movements_of([GlobalTrack(1, (part(1, time_s, ground_m),))])
    assert (m.entry_kmh, m.exit_kmh) == pytest.approx((36.0, 18.0), rel=0.01)
    ground_m[:40] = np.nan
    [m] = movements_of([GlobalTrack(1, (part(1, time_s, ground_m),))])
    assert np.isnan(m.entry_kmh)


def part(track: int, time_s: Array, ground_m: Array, *, entry: str = "", exit: str = "") -> Passage:
    """A tracklet with given times and positions, (L,) and (L, 2)."""
    own = replace(tracklet("a", track, length=len(time_s)), time_s=time_s)
    return Passage(own, np.zeros(0, np.float32), entry, exit, ground_m)


def driven(turn_deg: float, hidden_s: float, speed_mps: float = 8.0) -> tuple[Passage, Passage]:
    """A vehicle that drives straight for 2 s, turns by ``turn_deg`` along an arc out of view, and is seen again."""
    turn = np.deg2rad(turn_deg)
    before, after = np.arange(-20, 1) / 10, np.arange(21) / 10
    radius = speed_mps * hidden_s / turn
    end = radius * np.array([np.sin(turn), 1 - np.cos(turn)])
    first = np.stack([speed_mps * before, 0 * before], axis=1)
    second = end + speed_mps * after[:, None] * np.array([np.cos(turn), np.sin(turn)])
    return part(1, before + 5, first, exit="north"), part(2, after + 5 + hidden_s, second, entry="south")


@pytest.mark.parametrize("hidden_s", [4.0, 10.0])
@pytest.mark.parametrize(("turn_deg", "movements"), [(1, 1), (90, 1), (170, 1), (190, 2), (270, 2), (330, 2)])
def test_a_vehicle_that_turns_by_less_than_half_a_circle_was_hidden(
    turn_deg: float, hidden_s: float, movements: int
) -> None:
    assert len(spans(*driven(turn_deg, hidden_s))) == movements


def test_a_vehicle_that_stood_behind_another_was_hidden() -> None:
    time_s, still = np.arange(21) / 10, np.zeros((21, 2))
    first = part(1, time_s, still, exit="north")
    second = part(2, time_s + 10, still + np.array([3.0, 0.0]), entry="south")
    assert len(spans(first, second)) == 1


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


def test_a_box_that_the_border_cuts_gives_no_position() -> None:
    """36 km/h towards the viewer; below row 400 the image cuts the box, and its lower edge stands still."""
    time_s = np.arange(50) / 10
    foot_px = 100.0 + 100 * time_s  # a tenth of a meter for a pixel
    seen_px = np.minimum(foot_px, 400.0)
    own = tracklet("a", 1, length=len(time_s))
    xyxy = np.stack([0 * time_s + 300, foot_px - 80, 0 * time_s + 340, seen_px], axis=1).astype(np.float32)
    ground_m = np.stack([0 * time_s, seen_px / 10], axis=1)
    vehicle = GlobalTrack(
        1, (Passage(replace(own, time_s=time_s, xyxy=xyxy), np.zeros(0, np.float32), "", "", ground_m),)
    )
    [cut] = movements_of([vehicle])
    [unknown] = movements_of(with_sure_positions([vehicle], {"a": None}))
    [sure] = movements_of(with_sure_positions([vehicle], {"a": (640, 400)}))
    assert cut.speed_kmh == unknown.speed_kmh < 30
    assert sure.speed_kmh == pytest.approx(36.0, rel=0.02)
    assert (sure.enter_s, sure.leave_s, sure.standing_s) == (cut.enter_s, cut.leave_s, 0.0)


def test_a_vehicle_whose_last_position_is_not_known_was_hidden_by_those_before() -> None:
    first, second = driven(90, 4.0)
    first.ground_m[-3:] = np.nan
    second.ground_m[:3] = np.nan
    assert len(spans(first, second)) == 1
    first.ground_m[:] = np.nan
    assert len(spans(first, second)) == 2
