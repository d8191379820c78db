"""The calibration of links against a general optimizer and against loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from tools.bench.link_calibration import Links, expected_calibration_error, fit_coefficients, leave_one_place_out

BETA = np.array([-1.0, 0.5, 0.2, -0.4, 1.5])


def links(seed: int, place: str, count: int, beta: np.ndarray = BETA) -> Links:
    rng = np.random.default_rng(seed)
    features = np.column_stack([np.ones(count), rng.normal(0, 2, (count, 3)), rng.random(count) < 0.6]).astype(float)
    return Links(place, place, features, rng.random(count) < expit(features @ beta))


def test_coefficients_against_a_general_optimizer() -> None:
    """Places have the same weight: each of 200 pairs half as much as each of 100."""
    parts = [links(1, "a", 200), links(2, "b", 100), links(3, "c", 20)]

    def loss(beta: np.ndarray) -> float:
        total = 0.05 * float(np.square(beta[1:]).sum())
        for part, weight in zip(parts, (0.5, 1.0, 2.0), strict=True):
            sign = np.where(part.is_true, 1, -1)
            total += weight * float(np.logaddexp(0, -sign * (part.features @ beta)).sum())
        return total

    found = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-8}).x
    np.testing.assert_allclose(fit_coefficients(parts), found, atol=1e-4)


def test_a_place_is_left_out_with_all_its_forms() -> None:
    odd = links(4, "odd", 300, -BETA)
    usual = [links(5, "a", 300), links(6, "b", 300)]
    predicted = leave_one_place_out([*usual, odd, Links("odd, learned", "odd", odd.features, odd.is_true)])
    np.testing.assert_allclose(predicted[2], expit(odd.features @ fit_coefficients(usual)))
    np.testing.assert_array_equal(predicted[2], predicted[3])


def test_calibration_error_against_a_loop() -> None:
    rng = np.random.default_rng(7)
    p = np.append(rng.random(500), 1.0)
    is_true = rng.random(501) < p**2
    total = 0.0
    for k in range(10):
        rows = [i for i in range(501) if min(int(p[i] * 10), 9) == k]
        total += (
            abs(sum(p[i] for i in rows) / len(rows) - sum(is_true[i] for i in rows) / len(rows)) * len(rows) / 501
        )
    assert expected_calibration_error(p, is_true) == pytest.approx(total)
