"""Missing zones are drawn as the complete movements of the same zone have them, and only where one is missing."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from mtmc.traffic.movements import Movement
from mtmc.traffic.zone_imputation import PartialMovement, with_zones_imputed

DRAWS = 4000


def partial(entry: str, exit: str, *, cut: tuple[bool, bool] = (True, True), camera: str = "a") -> PartialMovement:
    return PartialMovement(Movement(1, "car", camera, entry, exit, 0.0, 1.0, math.nan, 1), cut)


def zones_of(movements: list[Movement]) -> list[tuple[str, str]]:
    return [(m.entry_zone, m.exit_zone) for m in movements]


def drawn(known: list[PartialMovement], missing: PartialMovement) -> Counter[tuple[str, str]]:
    """What becomes of a movement in many draws."""
    rng = np.random.default_rng(0)
    return Counter(zones_of(with_zones_imputed([*known, missing], rng))[-1] for _ in range(DRAWS))


@pytest.mark.parametrize("is_exit", [True, False])
def test_shares_are_those_of_complete_movements(is_exit: bool) -> None:
    known = [partial("n", "s")] * 6 + [partial("n", "e")] * 2 + [partial("w", "e")] * 50
    known = known if is_exit else [partial(p.movement.exit_zone, p.movement.entry_zone) for p in known]
    found = drawn(known, partial("n", "") if is_exit else partial("", "n"))
    turned = {(b, a) if not is_exit else (a, b): count / DRAWS for (a, b), count in found.items()}
    assert turned == pytest.approx({("n", "s"): 0.75, ("n", "e"): 0.25}, abs=0.03)


def test_the_shares_are_drawn_too() -> None:
    """With one draw of the shares for many movements, their counts vary more than binomial numbers."""
    rng = np.random.default_rng(0)
    known, missing = [partial("n", "s")] * 3 + [partial("n", "e")] * 3, [partial("n", "")] * 100
    to_s = [
        sum(pair == ("n", "s") for pair in zones_of(with_zones_imputed(known + missing, rng))[6:]) for _ in range(300)
    ]
    # Beta(3, 3) has variance 1/28, so the count has 100 · 1/4 + 100 · 99 / 28 · (1 − 1/99 …) ≈ 375, a binomial 25.
    assert 250 < np.var(to_s) < 520


@pytest.mark.parametrize(
    "missing",
    [
        partial("n", "", cut=(True, False)),  # it left over the border, or the recording ended
        partial("", "s", cut=(False, True)),
        partial("", ""),
        partial("x", ""),  # no complete movement enters by x
        partial("n", "", camera="b"),
    ],
)
def test_nothing_is_drawn_where_nothing_is_missing_or_known(missing: PartialMovement) -> None:
    before = missing.movement.entry_zone, missing.movement.exit_zone
    assert drawn([partial("n", "s")] * 3, missing) == {before: DRAWS}
