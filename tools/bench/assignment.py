"""Which solver pairs tracks with boxes: ``python -m tools.bench.assignment``.

CPU microseconds per dense n × n problem, one thread, median of five rounds. Tracking solves components of one to four
most of the time; a component as large as 100 would be a picture in which everything can be everything.
"""

from __future__ import annotations

from mtmc.threads import own_threads

own_threads(1)

import statistics  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import lap  # noqa: E402
import numpy as np  # noqa: E402
from scipy.optimize import linear_sum_assignment  # noqa: E402

from mtmc.types import Array  # noqa: E402

SOLVERS: dict[str, Callable[[Array], Any]] = {
    "scipy": linear_sum_assignment,
    "lap": lambda cost: lap.lapjv(cost, extend_cost=True),
}
_ROUNDS = 5


def main() -> None:
    """Print one row per size, the solvers beside each other."""
    print(f"{'n':>5}" + "".join(f"{name:>10}" for name in SOLVERS))
    for n in (2, 4, 10, 30, 100, 200):
        costs = np.random.default_rng(n).random((max(20, 4000 // n), n, n))
        print(f"{n:>5}" + "".join(f"{microseconds(solve, costs):>10.1f}" for solve in SOLVERS.values()))


def microseconds(solve: Callable[[Array], Any], costs: Array) -> float:
    """CPU time per problem: costs float64 (K, n, n)."""
    rounds = []
    for _ in range(_ROUNDS):
        before = time.process_time()
        for cost in costs:
            solve(cost)
        rounds.append((time.process_time() - before) / len(costs) * 1e6)
    return statistics.median(rounds)


if __name__ == "__main__":
    main()
