"""Traffic tables against counts made by loops over the same movements, and against values computed by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mtmc.scene import Link
from mtmc.traffic.bins import Bins
from mtmc.traffic.movements import Movement
from mtmc.traffic.tables import (
    ALL_CLASSES,
    delays,
    headways,
    od_matrix,
    peak_hours,
    speeds,
    travel_times,
    turning_counts,
)


def move(
    vehicle: int,
    camera: str,
    enter_s: float,
    leave_s: float,
    entry: str = "",
    exit: str = "",
    *,
    kind: str = "car",
    kmh: float = math.nan,
) -> Movement:
    return Movement(vehicle, kind, camera, entry, exit, enter_s, leave_s, kmh, 1)


def of_all(rows: Sequence[Any]) -> list[Any]:
    """The rows of the vehicles of all classes."""
    return [row for row in rows if row.vehicle_class == ALL_CLASSES]


def random_movements(seed: int, vehicles: int = 60) -> list[Movement]:
    """Each vehicle visits one to three cameras in turn, within an hour."""
    rng = np.random.default_rng(seed)
    movements = []
    for vehicle in range(1, vehicles + 1):
        time_s = float(rng.uniform(0, 3600))
        kind = str(rng.choice(["car", "bus"]))
        for camera in rng.permutation(["a", "b", "c"])[: rng.integers(1, 4)].tolist():
            leave_s = time_s + float(rng.uniform(5, 20))
            entry, exit = (str(rng.choice(["north", "south", ""])) for _ in range(2))
            kmh = float(rng.uniform(10, 60)) if rng.random() < 0.7 else math.nan
            movements.append(move(vehicle, camera, time_s, leave_s, entry, exit, kind=kind, kmh=kmh))
            time_s = leave_s + float(rng.uniform(-3, 60))
    return movements


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bin_s", [60.0, 900.0])
def test_turning_counts_and_od_matrix_by_loops(seed: int, bin_s: float) -> None:
    movements = random_movements(seed)
    rows = turning_counts(movements, Bins(bin_s))
    assert sum(row.vehicles for row in rows) == len(movements)
    for row in rows:
        expected = 0
        for m in movements:
            same = (m.camera, m.entry_zone, m.exit_zone, m.vehicle_class)
            if same == (row.camera, row.entry_zone, row.exit_zone, row.vehicle_class):
                expected += row.bin_start_s <= m.enter_s < row.bin_end_s
        assert row.vehicles == expected

    matrix = od_matrix(movements, Bins(bin_s))
    assert sum(row.vehicles for row in matrix) == 60
    for row in matrix:
        expected = 0
        for vehicle in range(1, 61):
            own = [m for m in movements if m.vehicle == vehicle]
            first, last = min(own, key=lambda m: m.enter_s), max(own, key=lambda m: m.leave_s)
            place = (first.camera, first.entry_zone, last.camera, last.exit_zone, first.vehicle_class)
            if place == (row.from_camera, row.from_zone, row.to_camera, row.to_zone, row.vehicle_class):
                expected += row.bin_start_s <= first.enter_s < row.bin_end_s
        assert row.vehicles == expected


def test_travel_times_by_hand() -> None:
    movements = [
        m
        for vehicle, seconds in enumerate([10, 12, 14, 16, 18, 20, 40], start=1)
        for m in (
            move(vehicle, "a", 0.0, 5.0, exit="east"),
            move(vehicle, "b", 5.0 + seconds, 60.0, entry="west"),
        )
    ]
    [row] = of_all(travel_times([*movements, move(9, "a", 0.0, 5.0)]))
    assert (row.from_camera, row.from_zone, row.to_camera, row.to_zone) == ("a", "east", "b", "west")
    assert (row.bin_start_s, row.bin_end_s, row.vehicles) == (0.0, 900.0, 7)
    assert row.mean_s == pytest.approx(130 / 7)
    assert row.sd_s == pytest.approx(math.sqrt(sum((x - 130 / 7) ** 2 for x in (10, 12, 14, 16, 18, 20, 40)) / 6))
    assert (row.p5_s, row.p50_s, row.p85_s) == pytest.approx((10.6, 16.0, 22.0))  # 0.3, 3 and 5.1 of 6 steps
    assert (row.p50_low_s, row.p50_high_s) == (10.0, 40.0)  # of 90 %: P(B < 1) = 1/128, P(B < 2) = 1/16


def test_speeds_between_views_by_the_lengths_of_links() -> None:
    """500 m in 20 and in 30 s: 90 and 60 km/h, whose harmonic mean is 72."""
    movements = [
        m
        for vehicle, seconds in enumerate([20.0, 30.0])
        for m in (move(vehicle, "a", 0.0, 5.0, exit="east"), move(vehicle, "b", 5.0 + seconds, 60.0, entry="west"))
    ]

    def link(from_zone: str, to_zone: str, length_m: float | None, to_camera: str = "b") -> Link:
        return Link("a", from_zone, to_camera, to_zone, 0.0, 60.0, length_m=length_m)

    of_any = link("", "", 700.0)
    [row] = of_all(travel_times(movements, links=[of_any, link("east", "west", 500.0), link("east", "north", 900.0)]))
    assert (row.length_m, row.harmonic_mean_kmh) == (500.0, pytest.approx(72.0))
    [row] = of_all(travel_times(movements, links=[of_any, link("east", "west", None), link("", "west", 600.0)]))
    assert row.length_m == 600.0
    [row] = of_all(travel_times(movements, links=[link("", "", 700.0, to_camera="c")]))
    assert math.isnan(row.length_m)
    assert math.isnan(row.harmonic_mean_kmh)
    [row] = of_all(travel_times([move(1, "a", 0.0, 9.0), move(1, "b", 7.0, 12.0)], links=[of_any]))
    assert math.isnan(row.harmonic_mean_kmh)  # the views overlap


def test_travel_times_of_overlapping_views_are_negative_and_one_vehicle_has_no_spread() -> None:
    [row] = of_all(travel_times([move(1, "a", 0.0, 9.0), move(1, "b", 7.0, 12.0)]))
    assert row.mean_s == -2.0
    assert math.isnan(row.sd_s)
    assert math.isnan(row.p50_low_s)


def test_estimates_of_counts_by_loops_over_samples() -> None:
    samples = [random_movements(seed, vehicles=30) for seed in range(20)]
    rows = turning_counts(samples[0], Bins(1800.0), samples)
    keys = {(r.camera, r.entry_zone, r.exit_zone, r.vehicle_class, r.bin_start_s) for r in rows}
    assert len(keys) == len(rows)
    for row in rows:
        counts = [
            sum(
                (m.camera, m.entry_zone, m.exit_zone, m.vehicle_class)
                == (row.camera, row.entry_zone, row.exit_zone, row.vehicle_class)
                and row.bin_start_s <= m.enter_s < row.bin_end_s
                for m in sample
            )
            for sample in samples
        ]
        assert row.vehicles == counts[0]
        assert row.vehicles_estimate == pytest.approx(np.mean(counts))
        assert row.vehicles > 0 or row.vehicles_estimate >= 0.5
        assert row.vehicles_low <= np.median(counts) <= row.vehicles_high

    matrix = od_matrix(samples[0], Bins(3600.0), samples)
    assert sum(row.vehicles for row in matrix) == 30
    assert sum(row.vehicles_estimate for row in od_matrix(samples[0], Bins(3600.0), samples[:1])) == 30


def test_without_samples_nothing_is_estimated() -> None:
    movements = random_movements(0)
    rows = [*turning_counts(movements), *od_matrix(movements), *travel_times(movements)]
    assert all(math.isnan(row.vehicles_estimate) and math.isnan(row.vehicles_low) for row in rows)


def test_travel_times_are_estimated_over_the_samples_that_have_them() -> None:
    def drive(seconds: float, vehicles: int) -> list[Movement]:
        return [
            m
            for vehicle in range(1, vehicles + 1)
            for m in (
                move(vehicle, "a", 0.0, 5.0, exit="east"),
                move(vehicle, "b", 5.0 + seconds + vehicle / 100, 99.0, entry="west"),
            )
        ]

    samples = [drive(10.0, 9)] * 50 + [drive(20.0, 9)] * 100 + [[move(1, "a", 0.0, 5.0, exit="east")]] * 50
    [row] = of_all(travel_times(drive(10.0, 9), samples=samples))
    assert row.p50_s == pytest.approx(10.05)
    assert row.p50_estimate_s == pytest.approx(20.05)
    assert row.p50_low_s < 10.1
    assert row.p50_high_s > 20.05
    assert row.vehicles_estimate == pytest.approx(0.75 * 9)
    assert row.vehicles_low == 0


def test_headways_by_hand() -> None:
    times_s = [3.0, 5.0, 11.0, 100.0, 101.0]
    movements = [move(k, "a", time_s, time_s + 1, entry="north") for k, time_s in enumerate(times_s)]
    movements.append(move(9, "a", 4.0, 5.0))  # no zone
    found = of_all(headways(movements, Bins(60.0)))
    assert [(r.zone, r.direction, r.bin_start_s, r.headways, r.mean_s, r.min_s) for r in found] == [
        ("north", "in", 0.0, 2, 4.0, 2.0),
        ("north", "in", 60.0, 2, 45.0, 1.0),
    ]


def test_gaps_by_hand() -> None:
    """Behind a car of 4.6 m at 10 m/s, a bus of 11.5 m at 5 m/s, one that stands, one without a speed."""
    passing = [
        ("car", 36.0, 0.0),
        ("bus", 18.0, 3.0),  # 3 s behind the car's front: 3 − 0.46
        ("car", 3.6, 9.0),  # 6 s behind that of the bus: 6 − 2.3
        ("car", math.nan, 20.0),
        ("car", 36.0, 30.0),
        ("car", 36.0, 30.2),  # beside the one before
    ]
    movements = [
        replace(move(k, "a", enter_s, 50.0 + k, "north", kind=kind), entry_kmh=kmh)
        for k, (kind, kmh, enter_s) in enumerate(passing)
    ]
    [row] = of_all(headways(movements))
    assert (row.headways, row.gaps) == (5, 3)
    assert row.mean_gap_s == pytest.approx((2.54 + 3.7 + 0.0) / 3)
    assert (row.min_gap_s, row.p50_gap_s) == pytest.approx((0.0, 2.54))
    [leaving] = of_all(headways([replace(m, entry_zone="", exit_zone="south", exit_kmh=72.0) for m in movements]))
    assert leaving.gaps == 5  # by the speed at the exit: 1 s − 0.23 s behind a car, 1 s − 0.575 s behind the bus
    assert leaving.mean_gap_s == pytest.approx((4 * 0.77 + 0.425) / 5)
    [unknown] = of_all(headways([replace(m, entry_kmh=math.nan) for m in movements]))
    assert unknown.gaps == 0
    assert math.isnan(unknown.p85_gap_s)


@pytest.mark.parametrize("zone", [timezone.utc, timezone(timedelta(hours=5, minutes=30))])
def test_bins_are_quarters_of_the_clock_where_the_date_is_known(zone: timezone) -> None:
    start = datetime(2026, 5, 12, 6, 52, 30, tzinfo=zone)
    bins = Bins.on_the_clock(900.0, start)
    rows = turning_counts([move(k, "a", time_s, time_s + 1) for k, time_s in enumerate((0.0, 449.0, 450.0))], bins)
    clock = [f"{start + timedelta(seconds=row.bin_start_s):%H:%M:%S}" for row in rows]
    assert (clock, [row.vehicles for row in rows]) == (["06:45:00", "07:00:00"], [2, 1])
    hours = Bins.on_the_clock(3600.0, start)
    assert f"{start + timedelta(seconds=hours.of(0.0)[0]):%H:%M}" == "06:00"


def test_speeds_by_hand_and_without_calibration() -> None:
    movements = [move(1, "a", 0, 1, "n", "s", kmh=30.0), move(2, "a", 2, 3, "n", "s", kmh=60.0), move(3, "a", 4, 5)]
    [row] = of_all(speeds(movements))
    assert (row.vehicles, row.mean_kmh, row.p50_kmh) == (2, 45.0, 45.0)
    assert row.harmonic_mean_kmh == pytest.approx(40.0)
    assert not speeds([move(3, "a", 4, 5)])
    [stopped] = of_all(speeds([move(1, "a", 0, 1, kmh=0.0)]))
    assert math.isnan(stopped.harmonic_mean_kmh)


def members(movements: Sequence[Movement], row: Any, class_of_row: str) -> list[Movement]:
    """The movements of the way, bin and class of a row, in order of time."""
    way = (row.camera, row.entry_zone, row.exit_zone)
    return [
        m
        for m in sorted(movements, key=lambda m: m.enter_s)
        if (m.camera, m.entry_zone, m.exit_zone) == way
        and class_of_row in (ALL_CLASSES, m.vehicle_class)
        and row.bin_start_s <= m.enter_s < row.bin_end_s
    ]


@pytest.mark.parametrize("seed", range(3))
def test_classes_have_rows_of_their_own_beside_those_of_all(seed: int) -> None:
    bins, rng = Bins(900.0), np.random.default_rng(seed)
    movements = [replace(m, standing_s=float(rng.random() < 0.3)) for m in random_movements(seed, vehicles=200)]

    for table, is_in in (
        (speeds, lambda m: math.isfinite(m.speed_kmh)),
        (delays, lambda m: bool(m.entry_zone and m.exit_zone)),
    ):
        counted = [m for m in movements if is_in(m)]
        rows = table(movements, bins)  # type: ignore[operator]
        assert sum(row.vehicles for row in of_all(rows)) == len(counted)
        assert sum(row.vehicles for row in rows) == 2 * len(counted)
        for row in rows:
            own = members(counted, row, row.vehicle_class)
            assert row.vehicles == len(own) > 0
            if table is speeds:
                assert row.mean_kmh == pytest.approx(np.mean([m.speed_kmh for m in own]))
            else:
                assert row.standing_vehicles == sum(m.standing_s > 0 for m in own)
    of_way: dict[tuple[str, str, str], set[float]] = {}
    for row in delays(movements, bins):
        of_way.setdefault((row.camera, row.entry_zone, row.exit_zone), set()).add(row.free_flow_s)
    assert all(len(values) == 1 for values in of_way.values())  # one free flow for all classes
    assert not any(math.isnan(value) for values in of_way.values() for value in values)

    for row in travel_times(movements, bins):
        expected = []
        for vehicle in range(1, 201):
            own = sorted((m for m in movements if m.vehicle == vehicle), key=lambda m: m.enter_s)
            expected += [
                b.enter_s - a.leave_s
                for a, b in pairwise(own)
                if (a.camera, a.exit_zone, b.camera, b.entry_zone)
                == (row.from_camera, row.from_zone, row.to_camera, row.to_zone)
                and row.vehicle_class in (ALL_CLASSES, a.vehicle_class)
                and row.bin_start_s <= a.leave_s < row.bin_end_s
            ]
        assert row.vehicles == len(expected) > 0
        assert row.mean_s == pytest.approx(np.mean(expected))

    entering = [m for m in movements if m.entry_zone]
    for row in headways(movements, bins):
        if row.direction == "in":
            at_zone = [m for m in entering if (m.camera, m.entry_zone) == (row.camera, row.zone)]
            at_zone.sort(key=lambda m: m.enter_s)
            expected = [
                later.enter_s - earlier.enter_s
                for earlier, later in pairwise(at_zone)
                if row.vehicle_class in (ALL_CLASSES, later.vehicle_class)
                and row.bin_start_s <= later.enter_s < row.bin_end_s
            ]
            assert row.headways == len(expected) > 0
            assert row.mean_s == pytest.approx(np.mean(expected))


def test_travel_times_of_a_class_are_estimated_from_its_samples() -> None:
    def drive(seconds: float, kind: str) -> list[Movement]:
        first = 1 if kind == "car" else 101
        return [
            m
            for vehicle in range(first, first + 7)
            for m in (
                move(vehicle, "a", 0.0, 5.0, exit="east", kind=kind),
                move(vehicle, "b", 5.0 + seconds, 99.0, entry="west", kind=kind),
            )
        ]

    run = [*drive(10.0, "car"), *drive(30.0, "bus")]
    rows = {row.vehicle_class: row for row in travel_times(run, samples=[run] * 50 + [drive(10.0, "car")] * 50)}
    assert {name: row.p50_estimate_s for name, row in rows.items()} == {"all": 15.0, "bus": 30.0, "car": 10.0}
    assert {name: row.vehicles_estimate for name, row in rows.items()} == {"all": 10.5, "bus": 3.5, "car": 7.0}


def test_the_peak_hour_by_hand() -> None:
    volumes = [10, 20, 30, 40, 25, 5]  # per quarter; the greatest hour is 20 + 30 + 40 + 25
    movements = [
        move(100 * quarter + k, "a", 900.0 * quarter + k, 900.0 * quarter + k + 1)
        for quarter, volume in enumerate(volumes)
        for k in range(volume)
    ]
    [row] = peak_hours([*movements, move(1, "b", 0.0, 1.0)])  # camera b has no hour
    assert (row.camera, row.start_s, row.end_s, row.vehicles) == ("a", 900.0, 4500.0, 115)
    assert row.peak_hour_factor == pytest.approx(115 / 160)
    start = datetime(2026, 5, 12, 6, 57, 30, tzinfo=timezone.utc)  # second 900 is 07:12:30
    [on_clock] = peak_hours(movements, Bins.on_the_clock(900.0, start))
    assert f"{start + timedelta(seconds=on_clock.start_s):%H:%M:%S}" == "07:00:00"
    assert on_clock.end_s - on_clock.start_s == 3600.0
