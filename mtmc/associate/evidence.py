"""What speaks for two passages being one vehicle, each cue as log odds: > 0 for, < 0 against, 0 nothing known.

Places and times are compared with what chance would bring: n vehicles per square metre, or per second, that have
nothing to do with the one in question. A cue that others could as well have given is worth little.
"""

from __future__ import annotations

import numpy as np

from mtmc.types import Array

__all__ = ["heading_odds", "meeting_odds", "place_odds", "speed_odds", "time_odds", "window_odds"]

_ASTRAY, _TIMES = 0.1, 4.0  # share of places that are off by more, and by how much: boxes half hidden or shared


def place_odds(distance_m: Array, sigma_m: Array | float, per_m2: float) -> Array:
    """log[N₂(d; σ) / density]: two places d metres apart, where chance has ``per_m2`` vehicles per square metre.

    >>> round(float(place_odds(np.array(0.0), 2.0, 0.004)), 2)
    2.3
    """
    sigma2 = np.square(np.asarray(sigma_m, float))
    return np.asarray(-np.log(2 * np.pi * sigma2 * per_m2) - np.square(distance_m) / (2 * sigma2))


def meeting_odds(distance_m: Array, sigma_m: float, per_m2: float) -> Array:
    """:func:`place_odds` of two places seen at one moment, of which one in ten is off by four times as much.

    >>> near, far = meeting_odds(np.array([0.0, 5.0]), 1.0, 0.002).round(1).tolist()
    >>> near, far, place_odds(np.array(5.0), 1.0, 0.002).round(1).item()
    (4.3, -1.5, -8.1)
    """
    usual = np.log(1 - _ASTRAY) + place_odds(distance_m, sigma_m, per_m2)
    return np.asarray(np.logaddexp(usual, np.log(_ASTRAY) + place_odds(distance_m, _TIMES * sigma_m, per_m2)))


def time_odds(seconds: Array, typical_s: Array | float, spread_s: Array | float, per_s: Array | float) -> Array:
    """log[N(t; typical, spread) / rate]: a travel time, where chance brings ``per_s`` vehicles per second."""
    spread = np.asarray(spread_s, float)
    z = (np.asarray(seconds) - typical_s) / spread
    return np.asarray(-0.5 * z * z - np.log(np.sqrt(2 * np.pi) * spread * per_s))


def window_odds(width_s: Array | float, per_s: Array | float) -> Array:
    """log[1 / (width · rate)]: somewhere within a window of travel times of which no more is known."""
    return np.asarray(-np.log(np.maximum(np.asarray(width_s, float), 0.5) * per_s))


def heading_odds(cosine: Array, sharpness: float) -> Array:
    """Log of a von Mises density over a uniform one: how well two directions agree, ``cosine`` of their angle.

    >>> heading_odds(np.array([1.0, -1.0]), 2.0).round(2).tolist()
    [1.18, -2.82]
    """
    return np.asarray(sharpness * np.asarray(cosine) - np.log(np.i0(sharpness)))


def speed_odds(seconds: Array, metres: Array, typical_mps: float, spread: float = 0.7) -> Array:
    """Log density of a travel time, per second: log-normal about the time that the distance takes.

    Waiting and detours make journeys longer, never much shorter, and short ones vary by seconds, hence 2 s more.

    >>> times = speed_odds(np.array([3.0, 12.0, 60.0]), np.array(100.0), 10.0)
    >>> bool(times.argmax() == 1)
    True
    """
    middle = np.asarray(metres) / typical_mps + 2.0
    z = np.log(np.asarray(seconds) / middle) / spread
    return np.asarray(-0.5 * z * z - np.log(np.asarray(seconds) * spread * np.sqrt(2 * np.pi)))
