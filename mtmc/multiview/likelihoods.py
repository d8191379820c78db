"""Log-likelihood ratios ("log odds") of single cues: > 0 for one vehicle, < 0 against, 0 where nothing is known.

Each compares how often one vehicle gives a measurement with how often chance does. Chance brings n unrelated vehicles
per square meter, or per second. A measurement that other vehicles would often give, too, is therefore weak evidence.
Ratios of independent cues multiply, so their logarithms add up.
"""

from __future__ import annotations

import numpy as np

from mtmc.types import Array

__all__ = [
    "ENDPOINT_KAPPA",
    "co_observation_log_odds",
    "drive_density",
    "heading_log_odds",
    "iou_log_odds",
    "position_log_odds",
    "speed_log_density",
    "travel_time_log_odds",
    "travel_window_log_odds",
    "vector_cosine",
]

#: Concentration (von Mises) of the directions at both ends of a drive about the straight line between them.
ENDPOINT_KAPPA = 3.0

_OUTLIER_RATE, _OUTLIER_SCALE = 0.1, 4.0  # of positions: boxes that are partly hidden or merged
_MIN_WINDOW_S = 0.5
_DETOUR_S = 2.0  # added to a travel time that distance and speed give
_EVEN_IOU, _LOG_ODDS_PER_IOU, _MAX_IOU_LOG_ODDS = 0.5, 12.0, 3.0

_LOG_TIME_SIGMA = 0.2  # of the time of a drive without a stop
_STOP_RATE, _MEAN_STOP_S = 0.25, 10.0  # share of drives with a stop, and its mean duration
_EXTRA_M, _EXTRA_S = 4.0, 0.5  # the straight line is the shortest route
_MIN_SPEED_MPS = 4.0  # mean speed of a drive, at least


def position_log_odds(distance_m: Array, sigma_m: Array | float, per_m2: float) -> Array:
    """log[N₂(d; σ²) / n] of two positions d apart, where n unrelated vehicles are on a square meter.

    N₂ is the density of a two-dimensional normal distribution: exp(−d² / 2σ²) / (2πσ²).

    >>> round(float(position_log_odds(np.array(0.0), 2.0, 0.004)), 2)
    2.3
    """
    variance = np.square(np.asarray(sigma_m, float))
    return np.asarray(-np.log(2 * np.pi * variance * per_m2) - np.square(distance_m) / (2 * variance))


def co_observation_log_odds(distance_m: Array, sigma_m: float, per_m2: float) -> Array:
    """:func:`position_log_odds` with outliers: log[0.9 N₂(d; σ²)/n + 0.1 N₂(d; (4σ)²)/n].

    >>> near, far = co_observation_log_odds(np.array([0.0, 5.0]), 1.0, 0.002).round(1).tolist()
    >>> near, far, position_log_odds(np.array(5.0), 1.0, 0.002).round(1).item()
    (4.3, -1.5, -8.1)
    """
    usual = np.log(1 - _OUTLIER_RATE) + position_log_odds(distance_m, sigma_m, per_m2)
    outlier = np.log(_OUTLIER_RATE) + position_log_odds(distance_m, _OUTLIER_SCALE * sigma_m, per_m2)
    return np.asarray(np.logaddexp(usual, outlier))


def heading_log_odds(cosine: Array, kappa: float) -> Array:
    """Log of a von Mises density of the angle φ between two directions, over the uniform one: κ cos φ − log I₀(κ).

    >>> heading_log_odds(np.array([1.0, -1.0]), 2.0).round(2).tolist()
    [1.18, -2.82]
    """
    return np.asarray(kappa * np.asarray(cosine) - np.log(np.i0(kappa)))


def travel_time_log_odds(
    time_s: Array, typical_s: Array | float, spread_s: Array | float, per_s: Array | float
) -> Array:
    """log[N(t; typical, spread²) / r] of a travel time t, where r unrelated vehicles come by per second.

    >>> travel_time_log_odds(np.array([20.0, 24.0]), 20.0, 2.0, 0.1).round(2).tolist()
    [0.69, -1.31]
    """
    spread = np.asarray(spread_s, float)
    z = (np.asarray(time_s) - typical_s) / spread
    return np.asarray(-0.5 * z * z - np.log(np.sqrt(2 * np.pi) * spread * per_s))


def travel_window_log_odds(width_s: Array | float, per_s: Array | float) -> Array:
    """log[1 / (w·r)] of a travel time somewhere in a window of w seconds, where r vehicles come by per second.

    >>> travel_window_log_odds(np.array([10.0, 20.0]), 0.2).round(2).tolist()
    [-0.69, -1.39]
    """
    return np.asarray(-np.log(np.maximum(np.asarray(width_s, float), _MIN_WINDOW_S) * per_s))


def speed_log_density(time_s: Array, distance_m: Array, speed_mps: float, spread: float = 0.7) -> Array:
    """Log density, per second, of the travel time over a distance: log-normal about d / v + 2 s.

    Stops and detours make travel times longer, never much shorter, and short ones vary by seconds, hence the 2 s.

    >>> times = speed_log_density(np.array([3.0, 12.0, 60.0]), np.array(100.0), 10.0)
    >>> times.round(2).tolist()
    [-3.62, -3.05, -7.3]
    """
    median_s = np.asarray(distance_m) / speed_mps + _DETOUR_S
    z = np.log(np.asarray(time_s) / median_s) / spread
    return np.asarray(-0.5 * z * z - np.log(np.asarray(time_s) * spread * np.sqrt(2 * np.pi)))


def drive_density(time_s: Array, distance_m: Array, speed_mps: Array) -> Array:
    """Density, per second, of the time of a drive over a distance at a vehicle's own speed.

    Three in four take the time m = (d + 4 m) / v + 0.5 s, log-normal with σ = 0.2. The others stop on the way, for an
    exponentially distributed time of 10 s on average.

    Args:
        time_s: Times, greater than 0.
        distance_m: Distances in a straight line.
        speed_mps: Speeds; below 4 m/s count as that, as no vehicle is slow all the way.

    >>> drive_density(np.array([2.0, 6.0, 15.0]), np.array(50.0), np.array(10.0)).round(3).tolist()
    [0.0, 0.273, 0.01]
    """
    usual_s = (distance_m + _EXTRA_M) / np.maximum(speed_mps, _MIN_SPEED_MPS) + _EXTRA_S
    z = np.log(time_s / usual_s) / _LOG_TIME_SIGMA
    without_stop = np.exp(-0.5 * np.square(z)) / (time_s * _LOG_TIME_SIGMA * np.sqrt(2 * np.pi))
    stopped_s = time_s - usual_s
    with_stop = np.where(stopped_s > 0, np.exp(-np.maximum(stopped_s, 0.0) / _MEAN_STOP_S) / _MEAN_STOP_S, 0.0)
    return np.asarray((1 - _STOP_RATE) * without_stop + _STOP_RATE * with_stop)


def iou_log_odds(iou: Array) -> Array:
    """Log odds of two boxes of one image being one vehicle, linear in their IoU: 12 (IoU − 0.5), within ±3.

    >>> iou_log_odds(np.array([0.45, 0.5, 0.6, 1.0])).round(2).tolist()
    [-0.6, 0.0, 1.2, 3.0]
    """
    linear = _LOG_ODDS_PER_IOU * (np.asarray(iou) - _EVEN_IOU)
    return np.asarray(np.clip(linear, -_MAX_IOU_LOG_ODDS, _MAX_IOU_LOG_ODDS))


def vector_cosine(first: Array, second: Array) -> Array:
    """Cosines of the angles between plane vectors given as complex numbers, 0 where one has no length.

    >>> vector_cosine(np.array([1 + 0j, 1j, 0j]), np.array([2 + 0j, 1 + 0j, 1 + 0j])).tolist()
    [1.0, 0.0, 0.0]
    """
    return np.asarray((first * second.conj()).real / np.maximum(np.abs(first) * np.abs(second), 1e-9))
