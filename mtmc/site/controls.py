"""Controls: traffic without any relation to that of other cameras, but with its rates, platoons and cycles.

What is found in controls is found by chance (target and decoy, as in Elias and Gygi 2007).
"""

from __future__ import annotations

import numpy as np

from mtmc.types import Array

__all__ = ["mirrored_time_s"]


def mirrored_time_s(time_s: Array, part: float) -> Array:
    """Times of a camera's events in reversed order, then shifted cyclically by a part of their duration: (N,).

    With begin b, end e and duration d = e − b, a time t becomes b + ((e − t + part · d) mod d). NaN stays NaN.

    Args:
        time_s: float64 (N,).
        part: From 0 to 1.

    >>> mirrored_time_s(np.array([10.0, 11.0, 14.0]), 0.25).tolist()
    [11.0, 10.0, 11.0]
    """
    known_s = time_s[np.isfinite(time_s)]
    if not len(known_s):
        return time_s
    begin_s, duration_s = known_s.min(), max(float(np.ptp(known_s)), 1e-9)
    return np.asarray(begin_s + np.mod(known_s.max() - time_s + part * duration_s, duration_s))
