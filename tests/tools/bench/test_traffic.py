"""The figures of the traffic bench, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtmc.traffic.movements import Movement
from mtmc.traffic.samples import MovementSamples
from tools.bench.traffic import Case, Cell, cells_of, count_figures, error_rate, geh, zone_names
from tools.synthcity.routes import Passing


def move(vehicle: int, camera: str, enter_s: float, entry: str, exit: str) -> Movement:
    return Movement(vehicle, "car", camera, entry, exit, enter_s, enter_s + 5.0, 30.0, 1)


def test_geh_of_hourly_volumes() -> None:
    assert geh(22, 20, 60) == pytest.approx(math.sqrt(2 * 4 / 42))
    assert geh(22, 20, 10) == pytest.approx(math.sqrt(6) * geh(22, 20, 60))
    assert geh(0, 0, 10) == 0.0


@pytest.mark.parametrize("rate", [0.03, 0.2])
def test_the_rate_of_errors_is_that_of_the_binomial_numbers(rate: float) -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(5, 200, 40_000)
    counted = true - rng.binomial(true, rate) + rng.binomial(true, rate)
    cells = [Cell(t, c, c, 0, 0) for t, c in zip(true.tolist(), counted.tolist(), strict=True)]
    assert error_rate(cells) == pytest.approx(rate, rel=0.05)


def test_figures_of_count_cells() -> None:
    cells = [
        Cell(100, 110, 105, 101, 108),
        Cell(50, 45, 49, 46, 52),
        Cell(0, 1, 1, 0, 2),
        Cell(10, 0, 0, math.nan, math.nan),
    ]
    figures = count_figures(cells, minutes=60.0)
    assert figures == pytest.approx([4, 1, 160, 100 * 26 / 160, 100 * 17 / 160, 100, 100, 100 * 2 / 3])


def test_cells_of_counts_hold_what_either_side_has() -> None:
    truth = [move(1, "a", 0.0, "n", "s"), move(2, "a", 1.0, "n", "s"), move(3, "a", 2.0, "w", "s")]
    measured = [move(7, "a", 0.1, "n", "s"), move(8, "a", 3.0, "n", ""), move(9, "a", 4.0, "e", "s")]
    completed = [[measured[0], move(8, "a", 3.0, "n", "s"), measured[2]]] * 200
    case = Case("x", truth, measured, MovementSamples([measured] * 200, completed), 10.0)
    found = {(cell.truth, cell.run, cell.estimate) for cell in cells_of(case, "turning")}
    assert found == {(2, 1, 2.0), (1, 0, 0.0), (0, 1, 1.0)}


def test_streets_whose_places_overlap_share_a_zone() -> None:
    rng = np.random.default_rng(0)
    middle = {"west in": (100, 100), "north in": (110, 105), "east in": (700, 300)}
    passings = [
        Passing(1, name, "", 0.0, 1.0, np.array(at) + rng.normal(0, 10, 2), np.zeros(2))
        for name, at in middle.items()
        for _ in range(30)
    ]
    assert zone_names(passings, "entry") == {
        "west in": "north + west in",
        "north in": "north + west in",
        "east in": "east in",
    }
