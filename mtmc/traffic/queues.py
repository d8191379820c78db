"""Queues: vehicles that stand in a camera's view at one time, by the zone they came from.

A vehicle that stands throughout its time in view is taken to be parked, and is in no queue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist

from mtmc.traffic.bins import QUARTERS, Bins
from mtmc.traffic.ground_paths import GroundPath
from mtmc.traffic.movements import movement_paths
from mtmc.types import Array, GlobalTrack

__all__ = ["Queue", "queues"]

_STEP_S = 1.0
_PARKED_SHARE = 0.95  # of its time in view


@dataclass(frozen=True, slots=True)
class Queue:
    """Vehicles that stand in the view of a calibrated camera, by the zone they entered by.

    Attributes:
        camera: Name of the camera.
        entry_zone: Name of the zone, "" where unknown.
        bin_start_s, bin_end_s: Bin, scene seconds.
        standing_s: Seconds of the bin in which at least one vehicle stands.
        mean_vehicles, p95_vehicles, max_vehicles: Vehicles that stand at a time, over these seconds.
        max_length_m: Greatest distance on the ground between two that stand at one time; 0 for single vehicles.
    """

    camera: str
    entry_zone: str
    bin_start_s: float
    bin_end_s: float
    standing_s: float
    mean_vehicles: float
    p95_vehicles: float
    max_vehicles: int
    max_length_m: float


def queues(tracks: Iterable[GlobalTrack], bins: Bins = QUARTERS) -> list[Queue]:
    """The queues of all cameras, zones and bins in which a vehicle stands."""
    standing: dict[tuple[str, str], dict[int, list[Array]]] = defaultdict(lambda: defaultdict(list))
    for movement, path in movement_paths(tracks):
        for second, position_m in _standing_positions(path):
            standing[movement.camera, movement.entry_zone][second].append(position_m)

    rows = []
    for place, by_second in sorted(standing.items()):
        for k in sorted({bins.number_of(second * _STEP_S) for second in by_second}):
            in_bin = [at for second, at in sorted(by_second.items()) if bins.number_of(second * _STEP_S) == k]
            vehicles = np.array([len(at) for at in in_bin])
            rows.append(
                Queue(
                    *place,
                    bin_start_s=bins.start_s(k),
                    bin_end_s=bins.start_s(k + 1),
                    standing_s=len(in_bin) * _STEP_S,
                    mean_vehicles=float(vehicles.mean()),
                    p95_vehicles=float(np.percentile(vehicles, 95)),
                    max_vehicles=int(vehicles.max()),
                    max_length_m=max(_length_m(at) for at in in_bin),
                )
            )
    return rows


def _standing_positions(path: GroundPath) -> list[tuple[int, Array]]:
    """The seconds in which a vehicle stands, and where; none for a parked one."""
    spells = path.standing_spells()
    if not spells or path.standing_s() > _PARKED_SHARE * (path.time_s[-1] - path.time_s[0]):
        return []
    found = []
    for begin_s, end_s in spells:
        for second in range(int(np.ceil(begin_s / _STEP_S)), int(np.ceil(end_s / _STEP_S))):
            position_m = np.array([np.interp(second * _STEP_S, path.time_s, path.xy_m[:, axis]) for axis in (0, 1)])
            found.append((second, position_m))
    return found


def _length_m(positions_m: Sequence[Array]) -> float:
    return float(pdist(np.array(positions_m)).max()) if len(positions_m) > 1 else 0.0
