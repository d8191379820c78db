"""Streets as lanes: centre lines with successors, neighbours, signals and conflicts."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field

import numpy as np

from mtmc.types import Array

__all__ = ["LANE_WIDTH_M", "Lane", "Network", "SignalPlan", "connect", "offset_line", "resample"]

LANE_WIDTH_M = 3.4
_LANE_CHANGE_COST_M = 60.0


@dataclass(frozen=True, slots=True)
class SignalPlan:
    """A fixed-time signal: phases follow each other, each green, then yellow, then all red.

    Attributes:
        phases: (name, green seconds) in order.
        offset_s: When the first phase's green begins.
    """

    phases: tuple[tuple[str, float], ...]
    offset_s: float = 0.0
    yellow_s: float = 3.0
    all_red_s: float = 2.0

    @property
    def cycle_s(self) -> float:
        """Seconds until the plan repeats."""
        return sum(green + self.yellow_s + self.all_red_s for _, green in self.phases)

    def state(self, phase: str, time_s: float) -> str:
        """``green``, ``yellow`` or ``red`` of a phase at a moment."""
        moment = (time_s - self.offset_s) % self.cycle_s
        for name, green in self.phases:
            if 0 <= moment < green + self.yellow_s and name == phase:
                return "green" if moment < green else "yellow"
            moment -= green + self.yellow_s + self.all_red_s
        return "red"


@dataclass(slots=True, eq=False)
class Lane:
    """One lane's centre line, in the direction of travel.

    Attributes:
        name: Unique in the network.
        link: The road section it belongs to; lanes of one link lie side by side.
        index: Place in its link, 0 is leftmost. A lane change goes to ``index ± 1``.
        points: float64 (N, 2), metres, about one metre apart.
        limit_mps: Speed limit.
        successors: Lanes that begin where it ends.
        junction: The junction it crosses, or "".
        signal: Phase of the junction's plan that lets vehicles enter it, or "".
        conflicts: Junction lanes whose vehicles it must not meet.
        gives_way_to: Lanes with priority over vehicles that want to enter it.
        bus_stop_m: Where buses stop on it, or None.
    """

    name: str
    link: str
    index: int
    points: Array
    limit_mps: float
    successors: tuple[str, ...] = ()
    junction: str = ""
    signal: str = ""
    conflicts: frozenset[str] = frozenset()
    gives_way_to: tuple[str, ...] = ()
    bus_stop_m: float | None = None
    station: Array = field(init=False)
    length: float = field(init=False)

    def __post_init__(self) -> None:
        # Rounding here keeps the last bits of sin and cos, which differ between machines, out of the traffic.
        self.points = np.round(np.asarray(self.points, np.float64), 6)
        step = np.diff(self.points, axis=0)
        self.station = np.concatenate([[0.0], np.cumsum(np.sqrt((step * step).sum(axis=1)))])
        self.length = float(self.station[-1])

    def at(self, s: float) -> tuple[float, float]:
        """The point at ``s`` metres along it, straight on beyond its ends."""
        last = len(self.station) - 2
        i = min(max(int(np.searchsorted(self.station, s, side="right")) - 1, 0), last)
        share = (s - self.station[i]) / (self.station[i + 1] - self.station[i])
        (x0, y0), (x1, y1) = self.points[i], self.points[i + 1]
        return float(x0 + share * (x1 - x0)), float(y0 + share * (y1 - y0))


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """All lanes of a place.

    Attributes:
        lanes: By name.
        entries: Links on which vehicles set out.
        exits: Links at whose end they leave the place.
        signals: Plan of each signalled junction.
        demand: Weight of each (entry link, exit link): the origin–destination matrix.
    """

    lanes: dict[str, Lane]
    entries: tuple[str, ...]
    exits: tuple[str, ...]
    signals: dict[str, SignalPlan]
    demand: dict[tuple[str, str], float]

    def link(self, name: str) -> list[Lane]:
        """The lanes of a link, left to right."""
        return sorted((lane for lane in self.lanes.values() if lane.link == name), key=lambda lane: lane.index)

    def neighbour(self, lane: Lane, side: int) -> Lane | None:
        """The lane beside it: ``side`` −1 is left, 1 is right."""
        found = self.lanes.get(f"{lane.link}.{lane.index + side}")
        return None if found is None or lane.junction else found

    def costs_to(self, exit_link: str) -> dict[str, float]:
        """Metres from the start of every lane to the end of a link, lane changes included as a penalty."""
        before: dict[str, list[tuple[str, float]]] = {name: [] for name in self.lanes}
        for lane in self.lanes.values():
            for following in lane.successors:
                before[following].append((lane.name, lane.length))
            for side in (-1, 1):
                beside = self.neighbour(lane, side)
                if beside is not None:
                    before[beside.name].append((lane.name, _LANE_CHANGE_COST_M))
        cost = {lane.name: lane.length for lane in self.link(exit_link)}
        heap = [(value, name) for name, value in sorted(cost.items())]
        while heap:
            value, name = heapq.heappop(heap)
            if value > cost[name]:
                continue
            for other, step in before[name]:
                if value + step < cost.get(other, math.inf):
                    cost[other] = value + step
                    heapq.heappush(heap, (cost[other], other))
        return cost

    def find_conflicts(self, clearance_m: float = 2.7) -> None:
        """Fill ``conflicts``: junction lanes of different approaches that come closer than ``clearance_m``."""
        crossing = [lane for lane in self.lanes.values() if lane.junction]
        starts = {lane.name: tuple(lane.points[0]) for lane in crossing}
        for lane in crossing:
            foes = set()
            for other in crossing:
                follows = other.name in lane.successors or lane.name in other.successors
                if other.junction != lane.junction or starts[other.name] == starts[lane.name] or follows:
                    continue
                gap = lane.points[:, None] - other.points[None]
                if ((gap * gap).sum(axis=2)).min() < clearance_m**2:
                    foes.add(other.name)
            lane.conflicts = frozenset(foes)


def resample(points: Array, step_m: float = 1.0) -> Array:
    """The same polyline with points about ``step_m`` apart: (N, 2) → (M, 2)."""
    points = np.asarray(points, np.float64)
    station = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    wanted = np.linspace(0, station[-1], max(2, round(station[-1] / step_m) + 1))
    return np.stack([np.interp(wanted, station, points[:, k]) for k in range(2)], axis=1)


def offset_line(points: Array, right_m: float) -> Array:
    """A polyline moved sideways, positive to the right of its direction: (N, 2) → (N, 2)."""
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    return np.asarray(points + right_m * np.stack([along[:, 1], -along[:, 0]], axis=1))


def connect(start: Array, start_along: Array, end: Array, end_along: Array) -> Array:
    """A smooth path from one pose to another, a cubic Bézier curve: four (2,) → (N, 2)."""
    gap = float(np.linalg.norm(np.subtract(end, start)))
    turn = float(np.dot(start_along, end_along))
    reach = gap * (0.39 if turn < 0.7 else 1 / 3)
    a, b = np.asarray(start) + reach * np.asarray(start_along), np.asarray(end) - reach * np.asarray(end_along)
    t = np.linspace(0, 1, 33)[:, None]
    curve = (1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * a + 3 * (1 - t) * t**2 * b + t**3 * end
    return resample(curve)
