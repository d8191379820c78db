"""Standing, delays and queues of vehicles whose motion is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mtmc.traffic.bins import Bins
from mtmc.traffic.ground_paths import ground_path
from mtmc.traffic.movements import Movement, movements_of
from mtmc.traffic.queues import queues
from mtmc.traffic.tables import ALL_CLASSES, delays
from mtmc.types import Array, GlobalTrack, Passage
from tests.builders import tracklet


def drive(stops: list[tuple[float, float]], duration_s: float = 40.0, mps: float = 10.0) -> tuple[Array, Array]:
    """Time (L,) and position (L, 2) of a vehicle that drives along x and stands from a to b for each (a, b)."""
    time_s = np.arange(round(duration_s * 10)) / 10
    moves = np.ones(len(time_s))
    for begin_s, end_s in stops:
        moves[(time_s >= begin_s) & (time_s < end_s)] = 0
    x = np.concatenate([[0.0], np.cumsum(moves[:-1] * mps / 10)])
    return time_s, np.stack([x, np.zeros(len(x))], axis=1)


@pytest.mark.parametrize("sigma_m", [0.0, 0.3])
def test_standing_of_known_motion(sigma_m: float) -> None:
    time_s, xy_m = drive([(5.0, 15.0), (25.0, 31.0), (35.0, 35.8)])
    rng = np.random.default_rng(0)
    path = ground_path(time_s + 100, xy_m + rng.normal(0, sigma_m, xy_m.shape))
    assert len(path.standing_spells()) == 2  # the third is too short
    assert path.standing_s() == pytest.approx(16.0, abs=2.1)
    [(begin_s, end_s), _] = path.standing_spells()
    assert (begin_s, end_s) == pytest.approx((105.0, 115.0), abs=1.0)


def test_slow_vehicles_do_not_stand_and_unknown_ones_are_unknown() -> None:
    time_s, xy_m = drive([], mps=2.0)
    assert ground_path(time_s, xy_m).standing_s() == 0.0
    assert ground_path(time_s, drive([], mps=1.0)[1]).standing_s() == pytest.approx(39.0)
    assert math.isnan(ground_path(time_s, np.full_like(xy_m, np.nan)).standing_s())


def test_delays_by_hand() -> None:
    def pass_through(vehicle: int, enter_s: float, seconds: float, standing_s: float) -> Movement:
        return Movement(vehicle, "car", "a", "n", "s", enter_s, enter_s + seconds, 30.0, 1, standing_s)

    free = [pass_through(k, 10.0 * k, 10.0 + k, 0.0) for k in range(5)]  # 10, 11, 12, 13 and 14 s
    held = [pass_through(9, 70.0, 40.6, 25.0), pass_through(10, 80.0, 20.6, 5.0)]
    rows = delays(
        [*free, *held, replace(held[0], exit_zone=""), replace(held[0], standing_s=math.nan)], bins=Bins(60.0)
    )
    first, second = (row for row in rows if row.vehicle_class == ALL_CLASSES)
    assert first.free_flow_s == second.free_flow_s == pytest.approx(10.6)  # 0.6 of a step of 1 s
    assert (first.vehicles, first.standing_vehicles, first.mean_standing_s) == (5, 0, 0.0)
    assert first.mean_delay_s == pytest.approx(12 - 10.6)
    assert (second.vehicles, second.standing_vehicles, second.mean_standing_s) == (2, 2, 15.0)
    assert (second.mean_delay_s, second.p50_delay_s, second.p85_delay_s) == pytest.approx((20.0, 20.0, 27.0))
    row = delays([*free[:4], held[0]])[0]
    assert math.isnan(row.free_flow_s)
    assert math.isnan(row.mean_delay_s)


def track(number: int, time_s: Array, xy_m: Array, entry: str = "n") -> GlobalTrack:
    own = replace(tracklet("a", number, length=len(time_s)), time_s=time_s)
    return GlobalTrack(number, (Passage(own, np.zeros(0, np.float32), entry, "", xy_m),))


def test_a_queue_of_three() -> None:
    tracks = [
        track(k + 1, time_s, xy_m - [8.0 * k, 0])
        for k, (time_s, xy_m) in enumerate(drive([(5.0 + 2 * k, 25.0)]) for k in range(3))
    ]
    parked_s, parked_m = drive([(0.0, 40.0)])
    tracks += [track(9, parked_s, parked_m + 50.0), track(8, *drive([(10.0, 20.0)]), entry="w")]
    rows = queues(tracks, bins=Bins(100.0))
    of = {row.entry_zone: row for row in rows}
    assert set(of) == {"n", "w"}
    assert of["n"].max_vehicles == 3
    assert of["n"].standing_s == pytest.approx(20.0, abs=2)
    assert of["n"].mean_vehicles == pytest.approx((20 + 18 + 16) / 20, abs=0.3)
    # The k-th vehicle stands at 10 (5 + 2 k) − 8 k, so the first and the third are 24 m apart.
    assert of["n"].max_length_m == pytest.approx(24.0, abs=0.1)
    assert (of["w"].max_vehicles, of["w"].max_length_m) == (1, 0.0)


def test_queues_by_bin_and_without_calibration() -> None:
    time_s, xy_m = drive([(5.0, 25.0)])
    rows = queues([track(1, time_s, xy_m)], bins=Bins(10.0))
    assert [(row.bin_start_s, row.bin_end_s) for row in rows] == [(0.0, 10.0), (10.0, 20.0), (20.0, 30.0)]
    assert sum(row.standing_s for row in rows) == pytest.approx(20.0, abs=1)
    unknown = track(1, time_s, np.full_like(xy_m, np.nan))
    assert not queues([unknown])
    assert math.isnan(movements_of([unknown])[0].standing_s)
