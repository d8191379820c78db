"""The filter of arrays against the textbook filter of 8 × 8 matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from mtmc.track import kalman
from mtmc.types import Array

NOISE = kalman.Noise(position=1 / 20, velocity=0.7, initial_velocity=1.5)


class Textbook:
    """The filter of one track, with matrices; its process noise is integrated by a matrix exponential."""

    project = np.eye(4, 8)

    def __init__(self, xyah: Array) -> None:
        h = xyah[3]
        self.mean = np.concatenate([xyah, np.zeros(4)])
        self.covariance = np.diag(
            np.square([h / 10, h / 10, 1e-2, h / 10, 1.5 * h, 1.5 * h, 1e-4, 1.5 * h]),
        )

    def predict(self, elapsed_s: float) -> None:
        h = self.mean[3]
        per_second = np.diag(
            np.square([h / 20, h / 20, 1e-2, h / 20, 0.7 * h, 0.7 * h, 1e-4, 0.7 * h])
            * np.array([10, 10, 10, 10, 1, 1, 1, 1])
        )
        # C. Van Loan, "Computing Integrals Involving the Matrix Exponential" (1978).
        drift = np.diag(np.ones(4), 4)
        block = np.block([[-drift, per_second], [np.zeros((8, 8)), drift.T]])
        exponential = expm(block * elapsed_s)
        motion = exponential[8:, 8:].T
        process = motion @ exponential[:8, 8:]
        self.mean = motion @ self.mean
        self.covariance = motion @ self.covariance @ motion.T + process

    def innovation(self, trust: float = 0.0) -> tuple[Array, Array]:
        h = self.mean[3]
        noise = np.diag(np.square([h / 20, h / 20, 1e-1, h / 20])) * (1 - trust)
        return self.project @ self.mean, self.project @ self.covariance @ self.project.T + noise

    def update(self, xyah: Array, trust: float = 0.0) -> None:
        mean, covariance = self.innovation(trust)
        gain = self.covariance @ self.project.T @ np.linalg.inv(covariance)
        self.mean = self.mean + gain @ (xyah - mean)
        self.covariance = self.covariance - gain @ covariance @ gain.T

    def distance(self, xyah: Array) -> float:
        mean, covariance = self.innovation()
        return float((xyah - mean) @ np.linalg.inv(covariance) @ (xyah - mean))


def some_boxes(rng: np.random.Generator, n: int) -> Array:
    corner, size = rng.uniform(0, 1800, (n, 2)), rng.uniform(10, 300, (n, 2))
    return np.concatenate([corner, corner + size], axis=1)


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_filter_of_matrices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 7
    xyah = kalman.to_xyah(some_boxes(rng, n))
    state = kalman.initiate(xyah, NOISE)
    twins = [Textbook(z) for z in xyah]
    for _ in range(6):
        elapsed_s = float(rng.choice([0.04, 0.1, 0.5]))
        state = kalman.predict(state, NOISE, elapsed_s)
        measured = kalman.to_xyah(some_boxes(rng, n))
        seen, trust = rng.random(n) < 0.7, rng.random(n)
        for twin in twins:
            twin.predict(elapsed_s)
        expected = [[twin.distance(z) for z in measured] for twin in twins]
        np.testing.assert_allclose(kalman.mahalanobis(state, measured, NOISE), expected, rtol=1e-9, atol=1e-7)
        state[seen] = kalman.update(state[seen], measured[seen], NOISE, trust[seen])
        for i in np.flatnonzero(seen):
            twins[i].update(measured[i], trust[i])
        for i, twin in enumerate(twins):
            np.testing.assert_allclose(state[i, :2].ravel(), twin.mean, rtol=1e-9, atol=1e-9)
            covariance = twin.covariance
            np.testing.assert_allclose(state[i, 2], covariance.diagonal()[:4], rtol=1e-8)
            np.testing.assert_allclose(state[i, 3], covariance[:4, 4:].diagonal(), rtol=1e-8, atol=1e-12)
            np.testing.assert_allclose(state[i, 4], covariance.diagonal()[4:], rtol=1e-8)


def test_one_long_step_is_many_short_ones() -> None:
    state = kalman.initiate(kalman.to_xyah(some_boxes(np.random.default_rng(3), 4)), NOISE)
    state[:, 1, :2] = 30
    # Heights stay as they are, so that the noise of every step is the same.
    at_once = kalman.predict(state, NOISE, 0.7)
    for _ in range(7):
        state = kalman.predict(state, NOISE, 0.1)
    np.testing.assert_allclose(at_once, state, rtol=1e-12)


def test_a_change_in_proportion_to_the_speed_is_added() -> None:
    """A vehicle of 50 px moves at 300 px/s, six heights: 0.2 of it is 1.2 heights per second."""
    state = kalman.initiate(np.array([[100.0, 100, 1.5, 50]]), NOISE)
    state[:, 1, :2] = 180, -240
    relative = kalman.predict(state, NOISE, 0.4, np.array([0.2]))
    absolute = kalman.predict(state, kalman.Noise(position=1 / 20, velocity=np.hypot(0.7, 1.2)), 0.4)
    np.testing.assert_allclose(relative[..., :2], absolute[..., :2])
    np.testing.assert_allclose(relative[..., 2:], kalman.predict(state, NOISE, 0.4)[..., 2:])
    np.testing.assert_array_equal(kalman.predict(state, NOISE, 0.4, np.zeros(1)), kalman.predict(state, NOISE, 0.4))


def test_move_is_undone_by_its_opposite() -> None:
    state = kalman.initiate(kalman.to_xyah(some_boxes(np.random.default_rng(2), 3)), NOISE)
    state[:, 1, :2] = 30, -10
    moved = kalman.move(state, 0.5)
    np.testing.assert_allclose(moved[:, 0, :2], state[:, 0, :2] + [15, -5])
    np.testing.assert_array_equal(moved[:, 1:], state[:, 1:])
    np.testing.assert_allclose(kalman.move(moved, -0.5), state)


def test_boxes_are_what_was_measured() -> None:
    xyxy = some_boxes(np.random.default_rng(1), 5)
    np.testing.assert_allclose(kalman.to_xyxy(kalman.initiate(kalman.to_xyah(xyxy), NOISE)), xyxy)


def test_measures_by_hand() -> None:
    np.testing.assert_allclose(kalman.to_xyah(np.array([[10, 20, 50, 40]], np.float32)), [[30, 30, 2, 20]])


def test_nothing_in_nothing_out() -> None:
    state = kalman.initiate(np.zeros((0, 4)), NOISE)
    assert kalman.predict(state, NOISE, 0.1).shape == (0, 5, 4)
    assert kalman.mahalanobis(state, np.ones((3, 4)), NOISE).shape == (0, 3)
