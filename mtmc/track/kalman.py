"""The motion filter of Deep SORT, for all tracks at once.

The filter follows a box as ``xyah``: centre x, centre y, aspect ratio (width / height) and height, each with its
velocity per frame. All of its noises are diagonal, so the 8 × 8 filter of the paper is exactly four independent
filters of position and velocity, and every step is arithmetic on arrays instead of matrix algebra per track.

A state is float64 (N, 5, 4): for N tracks the position, the velocity, and their covariance (variance of the position,
covariance, variance of the velocity) of 4 coordinates. Nothing is kept here: states go in and come out.

Source: N. Wojke et al., "Simple Online and Realtime Tracking with a Deep Association Metric" (2017), section 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmc.types import Array

__all__ = ["Noise", "boxes", "initiate", "mahalanobis", "measure", "predict", "update"]

_SMALLEST_PX = 1e-3
_HEIGHT_SHARES = np.array([1.0, 1.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations in box heights. Those of the aspect ratio are constants of the paper's code.

    Attributes:
        position: Of a position, in a step and in a measurement.
        velocity: Of the change of a velocity in a step, per frame.
        birth: Of the velocity of what is seen for the first time, per frame.
    """

    position: float = 1 / 20
    velocity: float = 1 / 160
    birth: float = 1 / 16


def measure(xyxy: Array) -> Array:
    """What the filter sees of boxes: (M, 4) → float64 (M, 4) xyah; a box without extent is taken as tiny."""
    xyah = np.array(xyxy, np.float64)
    size = np.maximum(xyah[:, 2:] - xyah[:, :2], _SMALLEST_PX)
    xyah[:, :2] += size / 2
    xyah[:, 2] = size[:, 0] / size[:, 1]
    xyah[:, 3] = size[:, 1]
    return xyah


def boxes(state: Array) -> Array:
    """The boxes that states describe: (N, 5, 4) → float64 (N, 4) xyxy."""
    xyxy = state[:, 0].copy()
    xyxy[:, 2] *= xyxy[:, 3]
    xyxy[:, :2] -= xyxy[:, 2:] / 2
    xyxy[:, 2:] += xyxy[:, :2]
    return xyxy


def initiate(xyah: Array, noise: Noise) -> Array:
    """States of tracks born from measurements, at rest as far as anybody knows: (M, 4) → (M, 5, 4)."""
    state = np.zeros((len(xyah), 5, 4))
    state[:, 0] = xyah
    state[:, 2] = _variance(xyah, 2 * noise.position, 1e-2)
    state[:, 4] = _variance(xyah, noise.birth, 1e-5)
    return state


def predict(state: Array, noise: Noise) -> Array:
    """States one frame later, at constant velocity: (N, 5, 4) → (N, 5, 4)."""
    position, velocity, _, covariance, velocity_variance = state.transpose(1, 0, 2)
    later = state.copy()
    later[:, 0] += velocity
    later[:, 2] += 2 * covariance + velocity_variance + _variance(position, noise.position, 1e-2)
    later[:, 3] += velocity_variance
    later[:, 4] += _variance(position, noise.velocity, 1e-5)
    return later


def update(state: Array, xyah: Array, noise: Noise, trust: Array | None = None) -> Array:
    """States that have seen one measurement each: (N, 5, 4), (N, 4) → (N, 5, 4).

    Args:
        state: Predicted states.
        xyah: Their measurements.
        noise: Standard deviations.
        trust: In [0, 1], (N,): the measurement variance is multiplied by 1 − trust, as in the "noise scale adaptive"
            filter of Y. Du et al., "GIAOTracker" (2021).
    """
    position, _, variance, covariance, _ = state.transpose(1, 0, 2)
    precision = 1 / _innovation_variance(position, variance, noise, trust)
    gain, velocity_gain = variance * precision, covariance * precision
    surprise = xyah - position
    seen = state.copy()
    seen[:, 0] += gain * surprise
    seen[:, 1] += velocity_gain * surprise
    seen[:, 2] -= gain * variance
    seen[:, 3] -= gain * covariance
    seen[:, 4] -= velocity_gain * covariance
    return seen


def mahalanobis(state: Array, xyah: Array, noise: Noise) -> Array:
    """Squared Mahalanobis distance of each measurement from each state: (N, 5, 4), (M, 4) → float64 (N, M)."""
    # Σ (z − x)² / S multiplied out: matrix products instead of an (N, M, 4) array.
    position = state[:, 0]
    precision = 1 / _innovation_variance(position, state[:, 2], noise, None)
    weighted = position * precision
    distance = precision @ np.square(xyah).T
    distance -= 2 * weighted @ xyah.T
    distance += (position * weighted).sum(axis=1)[:, None]
    return np.asarray(distance)


def _innovation_variance(position: Array, variance: Array, noise: Noise, trust: Array | None) -> Array:
    measurement = _variance(position, noise.position, 1e-1)
    if trust is not None:
        measurement *= (1 - trust)[:, None]
    return np.asarray(variance + measurement)


def _variance(xyah: Array, heights: float, aspect: float) -> Array:
    """Variances (N, 4): standard deviations are a share of the height, and a constant for the aspect ratio."""
    variance = np.square(xyah[:, 3:]) * (heights * heights * _HEIGHT_SHARES)
    variance[:, 2] = aspect * aspect
    return np.asarray(variance)
