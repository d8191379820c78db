"""Ground planes that are roughly aligned: trajectories on one common plane, and transitions from plane to plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mtmc.associate.transitions import CROSS_PLANE, Transitions, unconstrained_transitions
from mtmc.multiview.likelihoods import ENDPOINT_KAPPA, drive_density, heading_log_odds, vector_cosine
from mtmc.multiview.trajectories import PLANE_SPACING_M, Trajectories
from mtmc.types import Array

__all__ = ["cross_plane_transitions", "to_common_plane"]

_OTHER_ROUTE_RATE = 0.1  # share of transitions that do not take the route that the alignment suggests
_MAX_OVERLAP_S, _OVERLAP_LOG_ODDS = 1.0, 3.0  # seen on both planes for longer, and log odds against that
_MIN_TIME_S = 0.5  # views that hardly share any road may still see a vehicle at once
_MOVING_MPS = 2.0
_LIMITS = -12.0, 4.0  # of log odds by distance, speed and direction


def to_common_plane(
    trajectories: Trajectories, planes: Sequence[str], alignment: Mapping[str, tuple[str, complex, complex]]
) -> Trajectories:
    """Trajectories on the reference planes that their own planes are aligned to.

    Args:
        trajectories: On their own planes.
        planes: Names of these, by number.
        alignment: Plane → (reference plane, rotation, translation in meters): z ↦ rotation · z + translation, with
            positions as complex numbers.
    """
    unmoved = {name: (name, 1 + 0j, 0j) for name in planes}
    to_reference = {name: alignment.get(name, unmoved[name]) for name in planes}
    if all(reference == name for name, (reference, _, _) in to_reference.items()):
        return trajectories  # and no copy
    names = list(planes)
    xy, velocity, plane = trajectories.xy.copy(), trajectories.velocity.copy(), trajectories.plane.copy()
    plane_of_row = trajectories.plane[trajectories.owner]
    for number, name in enumerate(planes):
        reference, rotation, translation = to_reference[name]
        if reference == name:
            continue
        if reference not in names:
            names.append(reference)
        target, rows = names.index(reference), plane_of_row == number
        position = rotation * _complex(xy[rows] - number * PLANE_SPACING_M) + translation
        xy[rows] = _pairs(position) + target * PLANE_SPACING_M
        velocity[rows] = _pairs(rotation * _complex(velocity[rows]))
        plane[trajectories.plane == number] = target
    return replace(trajectories, xy=xy, velocity=velocity, plane=plane)


def cross_plane_transitions(
    is_open: Array, camera: Array, trajectories: Trajectories, max_gap_s: float, embeddings: Array
) -> Transitions:
    """Transitions from plane to plane, by distance, the vehicle's own speed and its direction at both ends.

    The prior log odds are those of a mixture: with probability 0.9 the vehicle drives straight from one to the other
    (:func:`drive_density` over the rate of arrivals, and von Mises ratios of both directions), with 0.1 it takes
    another route, of which only the longest time is known.

    Args:
        is_open: bool (C, C), from which camera to which.
        camera: int64 (N,).
        trajectories: On common planes.
        max_gap_s: Longest time out of sight.
        embeddings: float (N, D).
    """
    found = unconstrained_transitions(
        is_open, camera, trajectories.start_s, trajectories.end_s, max_gap_s, embeddings, CROSS_PLANE
    )
    log_odds = found.log_odds.astype(float)
    known = np.flatnonzero((trajectories.first[found.a] >= 0) & (trajectories.first[found.b] >= 0))
    direct = np.clip(_direct_log_odds(found, trajectories, known), *_LIMITS)
    log_odds[known] = np.logaddexp(
        np.log(1 - _OTHER_ROUTE_RATE) + direct, np.log(_OTHER_ROUTE_RATE) + log_odds[known]
    )
    log_odds -= np.where(found.time_s < -_MAX_OVERLAP_S, _OVERLAP_LOG_ODDS, 0.0)  # the planes share no road
    return replace(found, log_odds=log_odds.astype(np.float32))


def _direct_log_odds(found: Transitions, trajectories: Trajectories, rows: Array) -> Array:
    """Log odds of driving straight from the end of one trajectory to the start of the other: float64 (K,)."""
    last, first = trajectories.last[found.a[rows]], trajectories.first[found.b[rows]]
    step = _complex(trajectories.xy[first] - trajectories.xy[last])
    leaving, arriving = _complex(trajectories.velocity[last]), _complex(trajectories.velocity[first])
    time_s = np.maximum(found.time_s[rows].astype(float), _MIN_TIME_S)
    speed = 0.5 * (np.abs(leaving) + np.abs(arriving))
    log_odds = np.log(drive_density(time_s, np.abs(step), speed) + 1e-9)
    log_odds -= np.log(found.per_s[found.route[rows]])
    for velocity in (leaving, arriving):
        heading = heading_log_odds(vector_cosine(velocity, step), ENDPOINT_KAPPA)
        log_odds += np.where(np.abs(velocity) > _MOVING_MPS, heading, 0.0)
    return log_odds


def _complex(pairs: Array) -> Array:
    return np.asarray(pairs[:, 0] + 1j * pairs[:, 1])


def _pairs(values: Array) -> Array:
    return np.stack([values.real, values.imag], axis=1)
