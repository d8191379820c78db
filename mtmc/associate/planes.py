"""Grounds of which it is known roughly how they lie to one another: ways laid out on one, and journeys between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mtmc.associate.travel import Trips, any_trips
from mtmc.associate.ways import PLANES_M, Ways
from mtmc.geometry.drive import STRAIGHT, cosine, drive_density
from mtmc.types import Array

__all__ = ["laid_out", "plane_trips"]

_ASTRAY = 0.1  # share of journeys that take another way than the placement tells
_AT_ONCE_S, _AT_ONCE = 1.0, 3.0  # seconds in both views, and log odds against that
_LEAST_S = 0.5  # views that hardly share road may still see a vehicle at once
_MOVING_MPS = 2.0
_LIMITS = -12.0, 4.0  # of log odds


def laid_out(ways: Ways, planes: Sequence[str], layout: Mapping[str, tuple[str, complex, complex]]) -> Ways:
    """Ways on the planes that theirs rest on in the end, so that places of several can be compared, roughly.

    Args:
        ways: On their own planes.
        planes: Names of these, by number.
        layout: As :meth:`mtmc.scene.Scene.layout` gives it.
    """
    if all(layout.get(name, (name, 1 + 0j, 0j))[0] == name for name in planes):
        return ways  # and no copy
    names = list(planes)
    xy, velocity, plane = ways.xy.copy(), ways.velocity.copy(), ways.plane.copy()
    of_row = ways.plane[ways.owner]
    for number, name in enumerate(planes):
        end, turn, shift = layout.get(name, (name, 1 + 0j, 0j))
        if end == name:
            continue
        if end not in names:
            names.append(end)
        root, rows = names.index(end), of_row == number
        place = turn * _complex(xy[rows] - number * PLANES_M) + shift
        xy[rows] = _pairs(place) + root * PLANES_M
        velocity[rows] = _pairs(turn * _complex(velocity[rows]))
        plane[ways.plane == number] = root
    return replace(ways, xy=xy, velocity=velocity, plane=plane)


def plane_trips(open_: Array, camera: Array, ways: Ways, max_gap_s: float, embeddings: Array) -> Trips:
    """Journeys from plane to plane, by distance, speed and direction at both ends.

    Args:
        open_: bool (C, C), from which camera to which other.
        camera: int64 (N,).
        ways: Laid out on common planes.
        max_gap_s: Longest time out of sight.
        embeddings: float (N, D).
    """
    trips = any_trips(open_, camera, ways.start_s, ways.end_s, max_gap_s, embeddings)
    known = np.flatnonzero((ways.first[trips.a] >= 0) & (ways.first[trips.b] >= 0))
    last, first = ways.last[trips.a[known]], ways.first[trips.b[known]]
    step = _complex(ways.xy[first] - ways.xy[last])
    leaving, coming = _complex(ways.velocity[last]), _complex(ways.velocity[first])
    seconds = np.maximum(trips.seconds[known].astype(float), _LEAST_S)
    odds = np.log(drive_density(seconds, np.abs(step), 0.5 * (np.abs(leaving) + np.abs(coming))) + 1e-9)
    odds -= np.log(trips.per_s[trips.route[known]])
    for velocity in (leaving, coming):
        straight = STRAIGHT * cosine(velocity, step) - np.log(np.i0(STRAIGHT))
        odds += np.where(np.abs(velocity) > _MOVING_MPS, straight, 0.0)
    out = trips.odds.astype(float)
    out[known] = np.logaddexp(np.log(1 - _ASTRAY) + np.clip(odds, *_LIMITS), np.log(_ASTRAY) + out[known])
    out -= np.where(trips.seconds < -_AT_ONCE_S, _AT_ONCE, 0.0)  # the grounds share no road
    return replace(trips, odds=out.astype(np.float32))


def _complex(pairs: Array) -> Array:
    return np.asarray(pairs[:, 0] + 1j * pairs[:, 1])


def _pairs(values: Array) -> Array:
    return np.stack([values.real, values.imag], axis=1)
