"""The Kalman filter of Deep SORT, for all tracks at once.

The filter follows a box as ``xyah``: center x, center y, aspect ratio (width / height) and height, each with its
velocity per second, so that it does not matter how often a camera takes a picture, nor whether pictures are missing.
All noise covariances of the paper are diagonal, so its 8 × 8 filter is exactly four independent
filters of (position, velocity), and every step is arithmetic on arrays instead of matrix algebra per track.

A state is float64 (N, 5, 4): N tracks; the position x, the velocity v and the entries of their covariance matrix
(variance of x, covariance of x and v, variance of v); 4 coordinates. The functions are pure: states go in and come
out.

Source: N. Wojke et al., "Simple Online and Realtime Tracking with a Deep Association Metric" (2017), section 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from mtmc.types import Array

__all__ = ["Noise", "initiate", "mahalanobis", "move", "predict", "to_xyah", "to_xyxy", "update"]

#: Smallest width and height of a box, in pixels: the aspect ratio of an empty box is not defined.
_MIN_SIZE_PX = 1e-3

#: Standard deviations of the aspect ratio in Deep SORT's code, at ten frames per second. It has no unit, so they are
#: no share of the height.
_ASPECT_POSITION_STD = 1e-2
_ASPECT_VELOCITY_STD = 1e-4
_ASPECT_MEASUREMENT_STD = 1e-1

#: Deep SORT adds the variance of a position once per frame; here it is added once per tenth of a second.
_STEP_S = 0.1

#: Which coordinates of ``xyah`` have a standard deviation in proportion to the height of the box.
_SCALES_WITH_HEIGHT = np.array([1.0, 1.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations in box heights. Those of the aspect ratio are constants of Deep SORT's code.

    Attributes:
        position: Of a measured position, and of the deviation from a straight path in a tenth of a second.
        velocity: Of the change of a velocity in one second, in box heights per second.
        initial_velocity: Of the velocity of a new track, in box heights per second.
    """

    position: float = 1 / 20
    velocity: float = 1.0
    initial_velocity: float = 2.0


def to_xyah(xyxy: Array) -> Array:
    """Convert boxes to measurements: (M, 4) → float64 (M, 4).

    >>> to_xyah(np.array([[10, 20, 50, 40]])).tolist()
    [[30.0, 30.0, 2.0, 20.0]]
    """
    xyah = np.array(xyxy, np.float64)
    size = np.maximum(xyah[:, 2:] - xyah[:, :2], _MIN_SIZE_PX)

    xyah[:, :2] += size / 2
    xyah[:, 2] = size[:, 0] / size[:, 1]
    xyah[:, 3] = size[:, 1]
    return xyah


def to_xyxy(state: Array) -> Array:
    """The boxes that states describe: (N, 5, 4) → float64 (N, 4)."""
    xyxy = state[:, 0].copy()
    xyxy[:, 2] *= xyxy[:, 3]
    xyxy[:, :2] -= xyxy[:, 2:] / 2
    xyxy[:, 2:] += xyxy[:, :2]
    return xyxy


def initiate(xyah: Array, noise: Noise) -> Array:
    """States of new tracks, with unknown velocity of mean 0: measurements (M, 4) → (M, 5, 4)."""
    state = np.zeros((len(xyah), 5, 4))
    state[:, 0] = xyah
    state[:, 2] = _variance(xyah, 2 * noise.position, _ASPECT_POSITION_STD)
    state[:, 4] = _variance(xyah, noise.initial_velocity, _ASPECT_VELOCITY_STD)
    return state


def move(state: Array, elapsed_s: float) -> Array:
    """States with only the positions of ``elapsed_s`` seconds later, or earlier where it is negative: (N, 5, 4)."""
    moved = state.copy()
    moved[:, 0] += state[:, 1] * elapsed_s
    return moved


def predict(state: Array, noise: Noise, elapsed_s: float, relative_velocity: Array | None = None) -> Array:
    """States after ``elapsed_s`` seconds at constant velocity: (N, 5, 4) → (N, 5, 4).

    With F = [[1, t], [0, 1]], the mean becomes F m and the covariance F P Fᵀ + Q. Velocities change by white noise of
    variance q per second, and positions by white noise of variance p per second:
    Q = q [[t³/3, t²/2], [t²/2, t]] + [[p t, 0], [0, 0]].

    Args:
        state: States of N tracks.
        noise: Standard deviations.
        elapsed_s: t, seconds.
        relative_velocity: Standard deviation of the change of the velocity of the center in one second, as a share of
            the speed, (N,); its square is added to q. None adds nothing.
    """
    predicted = state.copy()
    position, velocity, variance, covariance, velocity_variance = predicted.transpose(1, 0, 2)
    drift = _variance(position, noise.position, _ASPECT_POSITION_STD) * (elapsed_s / _STEP_S)
    change = _variance(position, noise.velocity, _ASPECT_VELOCITY_STD) * elapsed_s

    if relative_velocity is not None:
        speed = np.hypot(velocity[:, 0], velocity[:, 1])
        change[:, :2] += (np.square(relative_velocity * speed) * elapsed_s)[:, None]
    position += velocity * elapsed_s
    variance += elapsed_s * (2 * covariance + elapsed_s * (velocity_variance + change / 3)) + drift
    covariance += elapsed_s * (velocity_variance + change / 2)
    velocity_variance += change
    return predicted


def update(state: Array, xyah: Array, noise: Noise, score: Array | None = None) -> Array:
    """States corrected by one measurement each: (N, 5, 4), (N, 4) → (N, 5, 4).

    With H = [1, 0] and measurement variance R, the innovation variance is S = H P Hᵀ + R and the gain K = P Hᵀ / S.
    The mean becomes m + K (z − H m) and the covariance P − K S Kᵀ.

    Args:
        state: Predicted states.
        xyah: Their measurements.
        noise: Standard deviations.
        score: Detection scores in [0, 1], (N,): R is multiplied by 1 − score, as in the NSA (noise scale adaptive)
            Kalman filter of Y. Du et al., "GIAOTracker" (2021). None leaves R as it is.
    """
    updated = state.copy()
    position, velocity, variance, covariance, velocity_variance = updated.transpose(1, 0, 2)
    precision = 1 / _innovation_variance(position, variance, noise, score)
    position_gain = variance * precision
    velocity_gain = covariance * precision
    innovation = xyah - position

    # In this order: what is still to be computed from a view has not been changed yet.
    position += position_gain * innovation
    velocity += velocity_gain * innovation
    velocity_variance -= velocity_gain * covariance
    covariance -= position_gain * covariance
    variance -= position_gain * variance
    return updated


def mahalanobis(state: Array, xyah: Array, noise: Noise) -> Array:
    """Squared Mahalanobis distance of each measurement from each state: (N, 5, 4), (M, 4) → float64 (N, M).

    Σ (z − x)² / S over the four coordinates, where S is the innovation variance.
    """
    position = state[:, 0]
    precision = 1 / _innovation_variance(position, state[:, 2], noise, None)
    weighted = position * precision

    # The square is expanded, so that there are matrix products instead of an (N, M, 4) array.
    distance = precision @ np.square(xyah).T
    distance -= 2 * weighted @ xyah.T
    distance += (position * weighted).sum(axis=1)[:, None]
    return np.asarray(distance)


def _innovation_variance(position: Array, variance: Array, noise: Noise, score: Array | None) -> Array:
    """S = H P Hᵀ + R of each coordinate: (N, 4)."""
    measurement = _variance(position, noise.position, _ASPECT_MEASUREMENT_STD)
    if score is not None:
        measurement *= (1 - score)[:, None]
    return np.asarray(variance + measurement)


@cache
def _variance_in_heights(std_heights: float) -> Array:
    """Variance of each coordinate in squared box heights: float64 (4,)."""
    return np.asarray(std_heights * std_heights * _SCALES_WITH_HEIGHT)


def _variance(xyah: Array, std_heights: float, aspect_std: float) -> Array:
    """Variances (N, 4): ``std_heights`` box heights squared, and a constant for the aspect ratio."""
    variance = np.square(xyah[:, 3:]) * _variance_in_heights(std_heights)
    variance[:, 2] = aspect_std * aspect_std
    return np.asarray(variance)
