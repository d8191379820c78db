"""The parts of a place, and the builder that lays them: streets, junctions, signals, parking bays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mtmc.types import Array
from tools.synthcity.network import LANE_WIDTH_M, Lane, Network, SignalPlan, connect, offset_line, resample

__all__ = ["PARKING_M", "Bay", "Builder", "Mast", "Place", "Road", "Site", "Zebra"]

#: Width of a parking strip.
PARKING_M = 2.3
_GUTTER_M = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class Road:
    """A strip of asphalt and the lines painted on it.

    Attributes:
        points: float64 (N, 2), centre line.
        half_width_m: Kerb to centre line.
        lanes: Lanes along and against the direction of ``points``; (0, 0) has no lines.
        painted: Stations (from, to) along it that carry lines.
        parking_m: Width of the parking strip at each kerb.
        motorway: Edge lines and long dashes.
    """

    points: Array
    half_width_m: float
    lanes: tuple[int, int]
    painted: tuple[tuple[float, float], ...]
    parking_m: float = 0.0
    motorway: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """Where a camera may hang: eye and target in metres, horizontal field of view in degrees."""

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    fov_deg: float


@dataclass(frozen=True, slots=True)
class Mast:
    """A signal mast: its foot, the direction its lamps face, its junction and phase, and the length of its arm."""

    x: float
    y: float
    facing_rad: float
    junction: str
    phase: str
    arm_m: float


@dataclass(frozen=True, slots=True)
class Bay:
    """A parking space: centre and heading."""

    x: float
    y: float
    heading_rad: float


@dataclass(frozen=True, slots=True)
class Zebra:
    """A pedestrian crossing and the stop line before it: centre, direction of the road, kerb-to-kerb half width.

    The stop line covers the lanes towards the junction, which lie right of the centre as one drives in.
    """

    x: float
    y: float
    heading_rad: float
    half_width_m: float
    stop_width_m: float


@dataclass(slots=True, eq=False)
class Place:
    """Everything fixed about a place but its looks."""

    kind: str
    network: Network
    roads: list[Road] = field(default_factory=list)
    zebras: list[Zebra] = field(default_factory=list)
    masts: list[Mast] = field(default_factory=list)
    bays: list[Bay] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)
    pavement_m: float = 3.8
    built_up: bool = True


class Builder:
    """Lays streets and junctions; its methods are called in the order a place is told in.

    Attributes:
        lanes, roads, zebras, masts, bays, signals: What has been laid so far.
    """

    def __init__(self) -> None:
        self.lanes: dict[str, Lane] = {}
        self.roads: list[Road] = []
        self.zebras: list[Zebra] = []
        self.masts: list[Mast] = []
        self.bays: list[Bay] = []
        self.signals: dict[str, SignalPlan] = {}

    def link(self, name: str, line: Array, lanes: int, limit_mps: float) -> None:
        """Lanes side by side, to the right of ``line``."""
        for i in range(lanes):
            points = resample(offset_line(line, (i + 0.5) * LANE_WIDTH_M))
            self.lanes[f"{name}.{i}"] = Lane(f"{name}.{i}", name, i, points, limit_mps)

    def street(
        self,
        name: str,
        start: tuple[float, float] | Array,
        end: tuple[float, float] | Array,
        lanes: int,
        limit_mps: float,
        trims: tuple[float, float],
        parking: bool,
    ) -> None:
        """A straight two-way street without its trimmed ends: link ``name>`` from start to end, ``name<`` back."""
        line = resample(np.array([start, end], float), 2.0)
        length = float(np.linalg.norm(np.subtract(end, start)))
        along = np.subtract(end, start) / length
        inner = resample(np.array([start + along * trims[0], end - along * trims[1]]), 2.0)
        self.link(name + ">", inner, lanes, limit_mps)
        self.link(name + "<", inner[::-1], lanes, limit_mps)
        parking_m = PARKING_M if parking else 0.0
        half = lanes * LANE_WIDTH_M + parking_m + _GUTTER_M
        self.roads.append(Road(line, half, (lanes, lanes), ((trims[0], length - trims[1]),), parking_m))
        if parking:
            self._bays(inner, lanes * LANE_WIDTH_M + parking_m / 2)

    def _bays(self, line: Array, offset_m: float) -> None:
        for direction in (line, line[::-1]):
            kerb = resample(offset_line(direction, offset_m), 6.3)
            heading = np.arctan2(*(kerb[1] - kerb[0])[::-1])
            self.bays += [Bay(float(x), float(y), float(heading)) for x, y in kerb[2:-3]]

    def junction(
        self, name: str, arms: dict[str, tuple[str, str]], plan: SignalPlan, phase_of: dict[str, str]
    ) -> None:
        """Connect the arms' links: ``arms`` maps an arm to (link in, link out).

        Arms of a phase shared with another arm do not turn left: oncoming traffic has green with them.
        """
        self.signals[name] = plan
        for arm, (link_in, _) in arms.items():
            shared = sum(phase == phase_of[arm] for phase in phase_of.values()) > 1
            for other, (_, link_out) in arms.items():
                if other != arm:
                    self._turns(name, link_in, link_out, phase_of[arm], allow_left=not shared)
            self._furniture(name, link_in, phase_of[arm])

    def _count(self, link: str) -> int:
        return sum(lane.link == link for lane in self.lanes.values())

    def _turns(self, junction: str, link_in: str, link_out: str, phase: str, allow_left: bool) -> None:
        n_in, n_out = self._count(link_in), self._count(link_out)
        first, target = self.lanes[f"{link_in}.0"], self.lanes[f"{link_out}.0"]
        a, b = _end(first)[1], _start(target)[1]
        left = a[0] * b[1] - a[1] * b[0]
        if float(np.dot(a, b)) > 0.7:
            pairs = [(i, i) for i in range(min(n_in, n_out))]
        elif left < 0:
            pairs = [(n_in - 1, n_out - 1)]
        else:
            pairs = [(0, 0)] if allow_left else []
        for i, j in pairs:
            self.connector(f"{link_in}.{i}", f"{link_out}.{j}", junction, phase)

    def connector(self, source: str, target: str, junction: str, signal: str = "", limit_mps: float = 0.0) -> str:
        """A lane through a junction; its speed limit keeps lateral acceleration below 2.2 m/s²."""
        a, b = self.lanes[source], self.lanes[target]
        points = connect(*_end(a), *_start(b))
        limit = limit_mps or min(a.limit_mps, b.limit_mps, float(np.sqrt(2.2 * _radius(points))))
        name = f"{source}-{target}"
        self.lanes[name] = Lane(name, name, 0, points, limit, (target,), junction, signal)
        a.successors += (name,)
        return name

    def _furniture(self, junction: str, link_in: str, phase: str) -> None:
        """The zebra, stop line and signal mast of one arm."""
        lanes = self._count(link_in)
        point, along = _end(self.lanes[f"{link_in}.0"])
        right = np.array([along[1], -along[0]])
        centre = point - right * LANE_WIDTH_M / 2
        half = next(
            road.half_width_m for road in self.roads if road.lanes[0] == lanes and _on_line(road.points, centre)
        )
        heading = float(np.arctan2(along[1], along[0]))
        zebra = centre + along * 3.0
        self.zebras.append(Zebra(float(zebra[0]), float(zebra[1]), heading, half, lanes * LANE_WIDTH_M))
        foot = point + along * 0.6 + right * (half - LANE_WIDTH_M / 2 + 1.0)
        self.masts.append(Mast(float(foot[0]), float(foot[1]), heading + np.pi, junction, phase, half * 0.75))

    def network(self, entries: list[str], exits: list[str], rng: np.random.Generator) -> Network:
        """Close the network; the demand of each possible origin–destination pair is drawn."""
        bare = Network(self.lanes, tuple(entries), tuple(exits), self.signals, {})
        bare.find_conflicts()
        demand = {}
        for target in exits:
            cost = bare.costs_to(target)
            for source in entries:
                weight = float(rng.uniform(0.5, 1.5)) * self._count(source) * self._count(target)
                if source.rstrip("<>") != target.rstrip("<>") and f"{source}.0" in cost:
                    demand[source, target] = weight
        return Network(self.lanes, tuple(entries), tuple(exits), self.signals, demand)

    def place(self, kind: str, network: Network, sites: list[Site], **facts: object) -> Place:
        """The finished place."""
        made = Place(kind, network, self.roads, self.zebras, self.masts, self.bays, sites)
        for name, value in facts.items():
            setattr(made, name, value)
        return made


def _end(lane: Lane) -> tuple[Array, Array]:
    along = lane.points[-1] - lane.points[-2]
    return lane.points[-1], along / np.linalg.norm(along)


def _start(lane: Lane) -> tuple[Array, Array]:
    along = lane.points[1] - lane.points[0]
    return lane.points[0], along / np.linalg.norm(along)


def _radius(points: Array) -> float:
    """The tightest radius of a curve in metres, at most 1 km."""
    along = np.diff(points, axis=0)
    heading = np.unwrap(np.arctan2(along[:, 1], along[:, 0]))
    step = np.linalg.norm(along, axis=1)[1:]
    bend = np.convolve(np.abs(np.diff(heading)) / step, np.ones(3) / 3, "same")
    return float(1 / max(bend.max(), 1e-3))


def _on_line(line: Array, point: Array) -> bool:
    a, b = line[0], line[-1]
    along = (b - a) / np.linalg.norm(b - a)
    gap = point - a
    return bool(abs(along[0] * gap[1] - along[1] * gap[0]) < 0.5 and -1 < gap @ along < np.linalg.norm(b - a) + 1)
