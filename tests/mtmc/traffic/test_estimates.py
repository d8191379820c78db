"""Estimates and their intervals against the binomial distribution and against simulated truths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from mtmc.traffic.estimates import Estimate, estimate_counts, estimate_median


def test_counts_of_samples_that_differ() -> None:
    samples = [{"a": k, "b": 1} for k in range(1, 101)] + [{}] * 100
    found = estimate_counts(samples, miscount_rate=0.0)
    assert found["a"] == Estimate(25.25, 0.0, 90.0)  # 95 % of 200 samples have 90 at most
    assert found["b"] == Estimate(0.5, 0.0, 1.0)
    assert estimate_counts([]) == {}


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_miscounts_widen_the_interval_by_two_binomial_numbers(rate: float) -> None:
    count = 400
    [found] = estimate_counts([{"a": count}] * 4000, miscount_rate=rate).values()
    sigma = math.sqrt(2 * count * rate * (1 - rate))
    assert found.value == count
    assert (found.high - found.low) / 2 == pytest.approx(1.645 * sigma, rel=0.06)
    assert (found.high + found.low) / 2 == pytest.approx(count, abs=0.15 * sigma)


def test_the_interval_covers_a_true_count() -> None:
    """Of counts that were made with the model's errors, nine in ten intervals hold the truth."""
    rng = np.random.default_rng(1)
    covered = []
    for true in rng.integers(20, 200, 400).tolist():
        counted = int(true - rng.binomial(true, 0.1) + rng.binomial(true, 0.1))
        [found] = estimate_counts([{"a": counted}] * 300, miscount_rate=0.1).values()
        covered.append(found.low <= true <= found.high)
    assert 0.86 < np.mean(covered) < 0.96


@pytest.mark.parametrize("n", [1, 4, 5, 6, 7, 20, 101])
def test_the_interval_of_a_median_is_the_shortest_of_order_statistics_with_coverage(n: int) -> None:
    found = estimate_median([list(range(1, n + 1))])
    coverage = {k: 1 - 2 * binom.cdf(k - 1, n, 0.5) for k in range(1, n // 2 + 1)}
    enough = [k for k, value in coverage.items() if value >= 0.9]
    assert found.value == (n + 1) / 2
    if not enough:
        assert math.isnan(found.low)
        assert math.isnan(found.high)
    else:
        assert (found.low, found.high) == (max(enough), n + 1 - max(enough))


def test_the_interval_of_a_median_covers_it() -> None:
    rng = np.random.default_rng(0)
    median = 10.0 * math.log(2)
    found = [estimate_median([sample.tolist()]) for sample in rng.exponential(10.0, (1500, 25))]
    covered = np.mean([one.low <= median <= one.high for one in found])
    exact = 1 - 2 * binom.cdf(binom.ppf(0.05, 25, 0.5) - 1, 25, 0.5)
    assert covered == pytest.approx(exact, abs=0.025)


def test_samples_with_other_values_widen_the_interval_of_a_median() -> None:
    low, high = list(range(20)), list(range(100, 120))
    one, both = estimate_median([low]), estimate_median([low, high])
    assert (both.low, both.high) == (estimate_median([low] * 9 + [high] * 9).low, both.high)
    assert both.low <= one.low + 1  # half of the weight
    assert both.high >= 100
    assert estimate_median([high, low]) == both
