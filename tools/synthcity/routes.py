"""What a place learner should find: where vehicles come into and leave each picture, and the ways between cameras."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull

from mtmc.types import Array
from tools.synthcity.stage import CameraPlan, Stage
from tools.synthcity.traffic import STEP_S
from tools.synthcity.truth import Record, labelled

__all__ = ["Passing", "find_links", "find_passages", "find_zones"]

_GAP_S = 8.0
_ENOUGH = 2


@dataclass(frozen=True, slots=True, eq=False)
class Passing:
    """One vehicle's way through one picture.

    Attributes:
        vehicle: Its identity.
        entry, exit: Street on which it was first and last labelled, such as ``west> in``; "" where the recording
            began or ended with the vehicle in the picture.
        start_s, end_s: When.
        start_px, end_px: The middle of its box's lower edge then, (2,).
    """

    vehicle: int
    entry: str
    exit: str
    start_s: float
    end_s: float
    start_px: Array
    end_px: Array


def find_passages(stage: Stage, plan: CameraPlan, records: list[Record]) -> list[Passing]:
    """The passings of a camera, from its labelled boxes; a vehicle gone for some seconds passes anew."""
    tracks: dict[int, list[Record]] = {}
    for record in records:
        if not record.parked and labelled(record, stage.recipe.labels):
            tracks.setdefault(record.id, []).append(record)
    out = []
    for vehicle, rows in sorted(tracks.items()):
        cuts = [i for i in range(1, len(rows)) if rows[i].time_s - rows[i - 1].time_s > _GAP_S]
        for part in np.split(np.arange(len(rows)), cuts):
            first, last = rows[part[0]], rows[part[-1]]
            if last.time_s - first.time_s < 0.5:
                continue
            entry = f"{_street(stage, vehicle, first.time_s)} in" if first.frame > 0 else ""
            leave = f"{_street(stage, vehicle, last.time_s)} out" if last.frame < plan.frames - 1 else ""
            at = [np.array([(r.x1 + r.x2) / 2, r.y2]) for r in (first, last)]
            out.append(Passing(vehicle, entry, leave, first.time_s, last.time_s, *at))
    return out


def _street(stage: Stage, vehicle: int, time_s: float) -> str:
    """The street a vehicle is on; inside a junction the one it comes from."""
    journey = stage.movers[vehicle - 1].journey
    row = round((time_s + stage.recipe.warmup_s) / STEP_S) - journey.first_step
    lane = stage.place.network.lanes[journey.lanes[min(max(row, 0), len(journey.lanes) - 1)]]
    return lane.link if not lane.junction else lane.name.split("-")[0].rsplit(".", 1)[0]


def find_zones(passages: list[Passing], size_wh: tuple[int, int]) -> list[tuple[str, Array]]:
    """Entry and exit regions of a picture: a name and a polygon (V, 2) around where its vehicles appeared."""
    spots: dict[str, list[Array]] = {}
    for passing in passages:
        spots.setdefault(passing.entry, []).append(passing.start_px)
        spots.setdefault(passing.exit, []).append(passing.end_px)
    return [(name, _around(np.array(spots[name]), size_wh)) for name in sorted(spots) if name]


def _around(points: Array, size_wh: tuple[int, int]) -> Array:
    """A polygon with some margin around points: (N, 2) → (V, 2)."""
    margin = 0.02 * size_wh[0]
    turn = np.linspace(0, 2 * np.pi, 9)[:-1]
    ring = margin * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    cloud = (points[:, None] + ring).reshape(-1, 2)
    corners = cloud[ConvexHull(cloud).vertices]
    return np.asarray(np.clip(corners, 0, size_wh))


def find_links(passages: dict[str, list[Passing]]) -> list[dict[str, Any]]:
    """Ways from one camera's exit to another's entry, with the travel times seen, half a second spared each side.

    Times are negative where the pictures overlap. A way must have been taken twice.
    """
    times: dict[tuple[str, str, str, str], list[float]] = {}
    by_vehicle: dict[int, list[tuple[str, Passing]]] = {}
    for camera, parts in sorted(passages.items()):
        for passing in parts:
            by_vehicle.setdefault(passing.vehicle, []).append((camera, passing))
    for ways in by_vehicle.values():
        ordered = sorted(ways, key=lambda item: (item[1].start_s, item[0]))
        for (a, first), (b, second) in pairwise(ordered):
            if a != b and first.exit and second.entry:
                times.setdefault((a, first.exit, b, second.entry), []).append(second.start_s - first.end_s)
    return [
        {
            "from": [a, leave],
            "to": [b, entry],
            "min_s": round(min(seen) - 0.5, 1),
            "max_s": round(max(seen) + 0.5, 1),
        }
        for (a, leave, b, entry), seen in sorted(times.items())
        if len(seen) >= _ENOUGH
    ]
