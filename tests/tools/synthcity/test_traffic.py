from __future__ import annotations

import numpy as np
import pytest

from mtmc.types import Array
from tools.synthcity.network import SignalPlan
from tools.synthcity.places import PLACES, build_place
from tools.synthcity.traffic import Journey, Traffic, simulate

SECONDS = 75.0


@pytest.fixture(scope="module", params=list(PLACES))
def run(request: pytest.FixtureRequest) -> tuple[str, Traffic]:
    network = build_place(request.param, 2).network
    return request.param, simulate(network, 2, 90.0 if request.param == "highway" else 50.0, 0.2, SECONDS)


def corners(journey: Journey, row: int) -> Array:
    """The vehicle's outline, a little shrunk: mirrors may touch."""
    x, y, heading = journey.states[row, :3]
    length, width, _ = journey.identity.size_m
    outline = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * [length / 2 - 0.1, width / 2 - 0.08]
    turn = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
    return np.asarray(outline @ turn.T + [x, y])


def overlap(a: Array, b: Array) -> bool:
    """Separating axes of two rectangles."""
    for first in (a, b):
        for k in range(2):
            axis = first[k + 1] - first[k]
            p, q = a @ axis, b @ axis
            if p.max() < q.min() or q.max() < p.min():
                return False
    return True


def test_no_two_vehicles_are_in_the_same_place(run: tuple[str, Traffic]) -> None:
    for step in range(0, round(SECONDS * 10), 5):
        live = [j for j in run[1].journeys if j.first_step <= step < j.first_step + len(j.states)]
        outlines = [corners(j, step - j.first_step) for j in live]
        for i, a in enumerate(outlines):
            for k in range(i):
                near = np.abs(a.mean(0) - outlines[k].mean(0)).max() < 13
                assert not (near and overlap(a, outlines[k])), f"step {step}, vehicles {i} and {k}"


def test_nobody_runs_a_red_light(run: tuple[str, Traffic]) -> None:
    network = build_place(run[0], 2).network
    for crossing in run[1].crossings:
        lane = network.lanes[crossing.lane]
        assert network.signals[lane.junction].state(lane.signal, crossing.time_s) != "red"
    assert len(run[1].crossings) > 10 or not network.signals


def test_vehicles_move_as_vehicles_do(run: tuple[str, Traffic]) -> None:
    fastest = 1.15 * max(lane.limit_mps for lane in build_place(run[0], 2).network.lanes.values())
    for journey in run[1].journeys:
        x, y, heading, speed, acceleration = journey.states[:, :5].T
        assert speed.min() >= 0
        assert speed.max() <= fastest
        assert acceleration.min() >= -7.5
        assert acceleration.max() <= 2.5
        if len(journey.states) > 1:
            assert np.hypot(np.diff(x), np.diff(y)).max() < 0.1 * fastest + 0.2
            assert np.abs(np.diff(heading)).max() < 0.15


def test_traffic_flows_and_queues(run: tuple[str, Traffic]) -> None:
    speeds = np.concatenate([j.states[:, 3] for j in run[1].journeys])
    assert speeds.mean() > 2.5
    if run[0] in ("crossroads", "arterial"):
        assert (speeds < 0.2).mean() > 0.1


@pytest.mark.parametrize("place", ["crossroads", "highway"])
def test_the_same_seed_gives_the_same_bytes(place: str) -> None:
    first, second = (simulate(build_place(place, 3).network, 3, 40.0, 0.2, 20.0) for _ in range(2))
    assert len(first.journeys) > 5
    for a, b in zip(first.journeys, second.journeys, strict=True):
        assert a.identity == b.identity
        assert a.states.tobytes() == b.states.tobytes()
    other = simulate(build_place(place, 3).network, 4, 40.0, 0.2, 20.0)
    assert [j.identity for j in other.journeys] != [j.identity for j in first.journeys]


def test_a_signal_plan_goes_round() -> None:
    plan = SignalPlan((("a", 10.0), ("b", 5.0)), offset_s=2.0)
    assert plan.cycle_s == 25.0
    table = {2.0: "green", 11.9: "green", 12.1: "yellow", 15.5: "red", 26.9: "red", 27.0: "green"}
    assert {t: plan.state("a", t) for t in table} == table
    assert plan.state("b", 17.0) == "green"
    assert not any(plan.state("a", t) == plan.state("b", t) == "green" for t in np.arange(0, 60, 0.5))
