"""How long a drive takes, and how straight it is, told by where it begins and ends, and how fast, alone."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array

__all__ = ["STRAIGHT", "cosine", "drive_density"]

STRAIGHT = 3.0  #: concentration (von Mises) of the directions at both ends of a drive about the straight line
_SPREAD = 0.2  # of the logarithm of the time, where nobody waits
_WAITS, _WAIT_S = 0.25, 10.0  # share of those who wait, and how long on average
_MORE_M, _MORE_S = 4.0, 0.5  # the straight line is the shortest
_LEAST_MPS = 4.0


def drive_density(seconds: Array, metres: Array, mps: Array) -> Array:
    """Density, per second, of the time of a drive over some distance at some speed.

    Three in four take the time that distance and speed tell, give or take a fifth; the others wait on the way.

    Args:
        seconds: Times, greater than 0.
        metres: Distances in a straight line.
        mps: Speeds; below 4 m/s count as that, as nobody crawls all the way.

    >>> drive_density(np.array([2.0, 6.0, 15.0]), np.array(50.0), np.array(10.0)).round(3).tolist()
    [0.0, 0.273, 0.01]
    """
    usual = (metres + _MORE_M) / np.maximum(mps, _LEAST_MPS) + _MORE_S
    straight = np.exp(-0.5 * np.square(np.log(seconds / usual) / _SPREAD)) / (seconds * _SPREAD * np.sqrt(2 * np.pi))
    late = seconds - usual
    waits = np.where(late > 0, np.exp(-np.maximum(late, 0.0) / _WAIT_S) / _WAIT_S, 0.0)
    return np.asarray((1 - _WAITS) * straight + _WAITS * waits)


def cosine(first: Array, second: Array) -> Array:
    """Cosines of the angles between complex vectors, 0 where one has no length.

    >>> cosine(np.array([1 + 0j, 1j, 0j]), np.array([2 + 0j, 1 + 0j, 1 + 0j])).tolist()
    [1.0, 0.0, 0.0]
    """
    return np.asarray((first * second.conj()).real / np.maximum(np.abs(first) * np.abs(second), 1e-9))
