"""Traffic: the intelligent driver model on a network, with signals, right of way, lane changes and bus stops.

Car following is Treiber, Hennecke and Helbing's intelligent driver model (2000); the incentive and safety criteria of
lane changes follow MOBIL (Kesting, Treiber, Helbing 2007). Only +, −, ×, ÷ and √ decide anything, so a seed gives the
same traffic on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from mtmc.types import Array
from tools.synthcity.identity import Identity, fleet
from tools.synthcity.network import LANE_WIDTH_M, Lane, Network

__all__ = ["STEP_S", "Crossing", "Journey", "Traffic", "simulate"]

STEP_S = 0.1
_LOOKAHEAD_M = 110.0
_LANE_CHANGE_S = 3.2
_STANDSTILL_M = 2.0
_BRAKE = 2.2


@dataclass(frozen=True, slots=True, eq=False)
class Journey:
    """Where one vehicle was.

    Attributes:
        identity: Its looks.
        first_step: Simulation step of row 0.
        states: float64 (T, 7): x, y in metres, heading in radians (continuous), speed in m/s, acceleration in m/s²,
            steering angle in radians, distance rolled in metres. One row per :data:`STEP_S`.
        lanes: The lane of each row.
    """

    identity: Identity
    first_step: int
    states: Array
    lanes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Crossing:
    """A vehicle passed a stop line: when, which vehicle (index of its journey), into which junction lane."""

    time_s: float
    vehicle: int
    lane: str


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """All journeys of a simulation that ran from time 0."""

    journeys: tuple[Journey, ...]
    crossings: tuple[Crossing, ...]


@dataclass(slots=True, eq=False)
class _Car:
    number: int
    identity: Identity
    exit_link: str
    lane: Lane
    s: float
    v: float
    cruise: float
    headway_s: float
    pull: float
    born: int
    previous: Lane | None = None
    a: float = 0.0
    drift: float = 0.0
    side: float = 0.0
    side_from: float = 0.0
    side_age_s: float = 99.0
    leaving: Lane | None = None
    decided_s: float = 0.0
    dwell_s: float = 0.0
    served: str = ""
    rolled: float = 0.0
    rows: list[tuple[float, ...]] = field(default_factory=list)
    lanes: list[str] = field(default_factory=list)

    @property
    def length(self) -> float:
        return self.identity.size_m[0]

    @property
    def heavy(self) -> bool:
        return self.length > 6.1


class _Simulation:
    """The state of all vehicles; :meth:`step` moves time on by :data:`STEP_S`."""

    def __init__(self, network: Network, seed: int, demand_per_min: float, lookalike_share: float, total_s: float):
        self.network = network
        self.rng = np.random.default_rng([seed, 307])
        self.costs = {link: network.costs_to(link) for link in network.exits}
        self.before: dict[str, list[Lane]] = {name: [] for name in network.lanes}
        for lane in network.lanes.values():
            for following in lane.successors:
                self.before[following].append(lane)
        self.cars: list[_Car] = []
        self.done: list[_Car] = []
        self.crossings: list[Crossing] = []
        self.number = 0
        self.steps = 0
        self._plan_departures(seed, demand_per_min, lookalike_share, total_s)

    def _plan_departures(self, seed: int, per_min: float, lookalike_share: float, total_s: float) -> None:
        pairs = sorted(self.network.demand)
        weights = np.cumsum([self.network.demand[pair] for pair in pairs])
        count = int(per_min * total_s / 60)
        moments = np.sort(self.rng.random(count)) * total_s
        picks = np.searchsorted(weights, self.rng.random(count) * weights[-1], side="right")
        identities = fleet(seed, count, lookalike_share)
        self.departures = [(float(t), *pairs[p], who) for t, p, who in zip(moments, picks, identities, strict=True)]
        self.waiting: list[tuple[float, str, str, Identity]] = []

    # ---- one step

    def step(self) -> None:
        """Depart, look, decide, move."""
        self._depart()
        self.on: dict[str, list[_Car]] = {}
        for car in self.cars:
            self.on.setdefault(car.lane.name, []).append(car)
            if car.leaving is not None:
                self.on.setdefault(car.leaving.name, []).append(car)
        for cars in self.on.values():
            cars.sort(key=lambda car: (car.s, car.number))
        accelerations = [self._accelerate(car) for car in self.cars]
        for car, a in zip(self.cars, accelerations, strict=True):
            car.a = a
        for car in self.cars:
            self._consider_lane_change(car)
        for car in self.cars:
            self._move(car)
        self.done += [car for car in self.cars if car.s >= car.lane.length and not car.lane.successors]
        self.cars = [car for car in self.cars if car.s < car.lane.length or car.lane.successors]
        self.steps += 1

    @property
    def time_s(self) -> float:
        return self.steps * STEP_S

    def _depart(self) -> None:
        while self.departures and self.departures[0][0] <= self.time_s:
            self.waiting.append(self.departures.pop(0))
        still = []
        for wish in self.waiting:
            if not self._enter(*wish[1:]):
                still.append(wish)
        self.waiting = still

    def _enter(self, entry: str, exit_link: str, identity: Identity) -> bool:
        if identity.size_m[0] > 6.1:
            exit_link = self._straight_exit(entry, exit_link)
        lanes = self.network.link(entry)
        best: tuple[float, Lane, _Car | None] | None = None
        for lane in lanes:
            cost = self.costs[exit_link].get(lane.name, math.inf)
            last = min((car for car in self.cars if lane in (car.lane, car.leaving)), key=lambda c: c.s, default=None)
            room = 200.0 if last is None else last.s - last.length / 2 - identity.size_m[0] / 2
            score = cost - 0.3 * room
            if room > 8.0 + (0 if last is None else 0.8 * last.v) and (best is None or score < best[0]):
                best = (score, lane, last)
        if best is None:
            return False
        _, lane, last = best
        heavy = identity.size_m[0] > 6.1
        cruise = (0.86 if heavy else 1.0) * (0.9 + 0.2 * float(self.rng.random()))
        start = lane.limit_mps * cruise * 0.9 if last is None else min(lane.limit_mps * 0.9, last.v + 1)
        self.cars.append(
            _Car(
                self.number,
                identity,
                exit_link,
                lane,
                0.0,
                start,
                cruise,
                headway_s=1.0 + 0.6 * float(self.rng.random()),
                pull=(0.9 if heavy else 1.3 + float(self.rng.random())),
                born=self.steps,
                drift=round(0.5 * (float(self.rng.random()) - 0.5), 3) * (0.3 if heavy else 1.0),
                dwell_s=8.0 + 6.0 * float(self.rng.random()),
            )
        )
        self.number += 1
        return True

    def _straight_exit(self, entry: str, wished: str) -> str:
        """Long vehicles keep to the gentlest way: the exit whose heading differs least from the entry's."""
        lane = self.network.link(entry)[0]
        start = lane.points[1] - lane.points[0]

        def turn(link: str) -> float:
            exit_lane = self.network.link(link)[-1]
            return -float(start @ (exit_lane.points[-1] - exit_lane.points[-2]))

        reachable = sorted(link for source, link in self.network.demand if source == entry)
        return min(reachable, key=lambda link: (round(turn(link), 3), link != wished, link))

    # ---- looking ahead

    def _next(self, car: _Car, lane: Lane) -> Lane | None:
        """The successor on the car's cheapest way, or None at an exit or a dead end."""
        cost = self.costs[car.exit_link]
        options = [name for name in lane.successors if name in cost]
        return self.network.lanes[min(options, key=lambda name: (cost[name], name))] if options else None

    def _accelerate(self, car: _Car) -> float:
        gap, closing = self._obstacle(car)
        wish = self._wished_speed(car)
        ratio = car.v / wish
        free = 1.0 - ratio * ratio * ratio * ratio
        wanted = _STANDSTILL_M + max(
            0.0, car.v * car.headway_s + car.v * closing / (2 * math.sqrt(car.pull * _BRAKE))
        )
        near = wanted / max(gap, 0.2)
        return min(max(car.pull * (free - near * near), -7.5), car.pull)

    def _wished_speed(self, car: _Car) -> float:
        """The speed limit here, and what a gentle braking before every slower lane ahead allows."""
        wish = car.lane.limit_mps * car.cruise
        ahead, lane = car.lane.length - car.s, car.lane
        while ahead < 60.0:
            following = self._next(car, lane)
            if following is None:
                break
            limit = following.limit_mps * min(car.cruise, 1.0)
            wish = min(wish, math.sqrt(limit * limit + 2 * 1.4 * max(ahead, 0.0)))
            ahead, lane = ahead + following.length, following
        return max(wish, 0.5)

    def _obstacle(self, car: _Car) -> tuple[float, float]:
        """Free metres ahead of the bumper, and how fast they shrink."""
        best = (1e3, 0.0)
        ahead, lane, start = -car.s, car.lane, car.s
        front = car.length / 2
        if car.leaving is not None:  # it still blocks, and is blocked by, the lane it comes from
            for other in self.on.get(car.leaving.name, ()):
                if other is not car and other.s > car.s:
                    best = (other.s - car.s - front - other.length / 2, car.v - other.v)
                    break
        while ahead < _LOOKAHEAD_M:
            for other in self.on.get(lane.name, ()):
                if other is not car and (other.s > start or (other.s == start and other.number < car.number)):
                    best = min(best, (ahead + other.s - front - other.length / 2, car.v - other.v))
                    break
            best = min(best, self._stops(car, lane, ahead))
            if best[0] < ahead + lane.length - front:
                return best
            following = self._next(car, lane)
            end = ahead + lane.length
            if following is None:
                if self.network.lanes[lane.name].link != car.exit_link:
                    best = min(best, (end - front - 3.0, car.v))  # the end of an acceleration lane
                return best
            best = min(best, self._merging(car, lane, following, end))
            if not self._may_enter(car, following, end - front):
                return min(best, (end - front - 0.8 + _STANDSTILL_M - 0.5, car.v))
            ahead, lane, start = end, following, -1.0
        return best

    def _stops(self, car: _Car, lane: Lane, ahead: float) -> tuple[float, float]:
        """A bus's next stop."""
        if car.identity.vehicle_class != "bus" or lane.bus_stop_m is None or car.served == lane.name:
            return 1e3, 0.0
        gap = ahead + lane.bus_stop_m
        if lane is car.lane and gap < 2.5 and car.v < 0.3:
            car.dwell_s -= STEP_S
            if car.dwell_s <= 0:
                car.served = lane.name
        return (gap + _STANDSTILL_M, car.v) if gap > -1.0 else (1e3, 0.0)

    def _merging(self, car: _Car, lane: Lane, following: Lane, end: float) -> tuple[float, float]:
        """Vehicles on other lanes that will reach the common successor first."""
        best = (1e3, 0.0)
        for other_lane in self.before[following.name]:
            if other_lane is lane or end > 45.0:
                continue
            for other in self.on.get(other_lane.name, ()):
                left = other_lane.length - other.s
                committed = other.lane is other_lane and self._next(other, other_lane) is following
                if committed and (left, other.number) < (end, car.number):
                    best = min(best, (end - left - car.length / 2 - other.length / 2, car.v - other.v))
        return best

    # ---- junctions

    def _may_enter(self, car: _Car, lane: Lane, gap: float) -> bool:
        """Whether the stop line before a junction lane is open to a car whose bumper is ``gap`` metres from it."""
        if not (lane.signal or lane.gives_way_to) or gap > 70.0:
            return True
        if lane.signal:
            state = self.network.signals[lane.junction].state(lane.signal, self.time_s)
            if state == "red" and gap > -0.5:
                return False
            if state == "yellow" and gap > car.v * car.v / (2 * 2.8):
                return False
        if gap < 0:
            return True
        if gap < 0.5 * car.v * car.v / _BRAKE + 6.0:
            return self._is_clear(car, lane) and self._has_room_beyond(car, lane)
        return True

    def _is_clear(self, car: _Car, lane: Lane) -> bool:
        crossing = lane.conflicts.difference(lane.gives_way_to)
        inside = (other for name in sorted(crossing) for other in self.on.get(name, ()))
        if not all(self._is_leaving(other) for other in inside):
            return False
        for name in lane.gives_way_to:
            foe = self.network.lanes[name]
            for other in self.on.get(name, ()):
                following = self._next(other, foe)
                exits = following is not None and following.junction != ""
                near = foe.length - other.s < max(2.6 * other.v, 7.0)
                if not exits and (near or name.startswith("pass")):
                    return False
        return True

    def _is_leaving(self, other: _Car) -> bool:
        """It is on an exit lane of a roundabout: no signal, no priority to others, so it only goes away."""
        return not other.lane.signal and not other.lane.gives_way_to

    def _has_room_beyond(self, car: _Car, lane: Lane) -> bool:
        """Do not block the box: the lane behind the junction must have room for all that are on their way."""
        if not lane.signal:
            return True
        beyond = self.network.lanes[lane.successors[0]]
        queue = self.on.get(beyond.name, [])
        if not queue or queue[0].v > 4.0:
            return True
        taken = sum(other.length + 2.5 for other in self.on.get(lane.name, ()))
        return queue[0].s - queue[0].length / 2 - taken > car.length + 2.5

    # ---- lane changes

    def _consider_lane_change(self, car: _Car) -> None:
        lane = car.lane
        if lane.junction or car.leaving is not None or self.time_s < car.decided_s or car.v < 1.0:
            return
        car.decided_s = self.time_s + 0.8
        cost = self.costs[car.exit_link]
        here = cost.get(lane.name, math.inf)
        left = lane.length - car.s
        if left < 15.0 + 2.0 * car.v or car.s < 8.0:
            return
        for side in (-1, 1):
            target = self.network.neighbour(lane, side)
            if target is None or target.name not in cost:
                continue
            gain = here - cost[target.name]
            must = gain > 5.0
            if (gain < -5.0 or left < 35.0 or car.heavy) and not must:
                continue
            if self._fits(car, target, must) and (must or self._is_faster(car, target)):
                self._change(car, target, side)
                return

    def _fits(self, car: _Car, target: Lane, must: bool) -> bool:
        margin = 1.0 if must else 2.5
        for other in self.on.get(target.name, ()):
            reach = (car.length + other.length) / 2 + margin
            apart = other.s - car.s
            if abs(apart) < reach:
                return False
            follower, leader = (other, car) if apart < 0 else (car, other)
            closing = max(follower.v - leader.v, 0.0)
            if abs(apart) - reach < 0.35 * follower.v * follower.headway_s + closing * closing / (2 * _BRAKE):
                return False
        return True

    def _is_faster(self, car: _Car, target: Lane) -> bool:
        def room(lane: Lane) -> tuple[float, float]:
            ahead = [(o.s - car.s, o.v) for o in self.on.get(lane.name, ()) if o is not car and o.s > car.s]
            return min(ahead, default=(150.0, lane.limit_mps))

        (gap, speed), (new_gap, new_speed) = room(car.lane), room(target)
        return gap < 45.0 and new_gap > gap + 12.0 and new_speed > speed - 1.0

    def _change(self, car: _Car, target: Lane, side: int) -> None:
        self.on[car.lane.name] = self.on.get(car.lane.name, [])
        self.on.setdefault(target.name, []).append(car)
        self.on[target.name].sort(key=lambda c: (c.s, c.number))
        car.s *= target.length / car.lane.length
        car.leaving, car.lane, car.previous = car.lane, target, None
        car.side = car.side_from = -side * LANE_WIDTH_M
        car.side_age_s = 0.0

    # ---- moving

    def _move(self, car: _Car) -> None:
        before = car.v
        car.v = max(0.0, car.v + car.a * STEP_S)
        moved = 0.5 * (before + car.v) * STEP_S
        car.s += moved
        car.rolled += moved
        if car.side_age_s < _LANE_CHANGE_S:
            # A change goes on only while the car rolls: nobody slides sideways in a queue.
            car.side_age_s += STEP_S * min(1.0, car.v / 3.0)
            t = min(car.side_age_s / _LANE_CHANGE_S, 1.0)
            car.side = car.side_from * (1 - t * t * (3 - 2 * t))
            if t >= 0.92:
                car.leaving = None
        nose = car.s + car.length / 2 - 1.0  # a bumper on the line has not crossed it
        if nose >= car.lane.length > nose - moved:
            following = self._next(car, car.lane)
            if following is not None and following.signal:
                self.crossings.append(Crossing(round(self.time_s, 3), car.number, following.name))
        if car.s >= car.lane.length:
            following = self._next(car, car.lane)
            if following is not None:
                car.previous, car.s, car.lane = car.lane, car.s - car.lane.length, following
                car.leaving = None
        self._record(car)

    def _point(self, car: _Car, ahead: float) -> tuple[float, float]:
        s, lane = car.s + ahead, car.lane
        if s < 0 and car.previous is not None:
            return car.previous.at(s + car.previous.length)
        while s > lane.length:
            following = self._next(car, lane)
            if following is None:
                break
            s, lane = s - lane.length, following
        return lane.at(s)

    def _record(self, car: _Car) -> None:
        half = 0.5 * car.length * 0.58
        (x0, y0), (x1, y1), (x2, y2) = self._point(car, -half), self._point(car, half), self._point(car, half + 2.5)
        dx, dy = x1 - x0, y1 - y0
        norm = math.sqrt(dx * dx + dy * dy)
        aside = car.side + car.drift
        x = 0.5 * (x0 + x1) + aside * dy / norm
        y = 0.5 * (y0 + y1) - aside * dx / norm
        heading = math.atan2(dy, dx)
        if car.side_age_s < _LANE_CHANGE_S:
            t = car.side_age_s / _LANE_CHANGE_S
            slide = -car.side_from * 6 * t * (1 - t) / _LANE_CHANGE_S * min(1.0, car.v / 3.0)
            heading -= slide / max(car.v, 3.0)
        steer = math.atan2(dx * (y2 - y1) - dy * (x2 - x1), dx * (x2 - x1) + dy * (y2 - y1))
        if car.rows:
            heading += 2 * math.pi * round((car.rows[-1][2] - heading) / (2 * math.pi))
        row = (x, y, heading, car.v, car.a, min(max(1.3 * steer, -0.55), 0.55), car.rolled)
        car.rows.append(tuple(round(value, 4) for value in row))
        car.lanes.append(car.lane.name)


def simulate(network: Network, seed: int, demand_per_min: float, lookalike_share: float, total_s: float) -> Traffic:
    """Run the traffic of a network from empty streets for ``total_s`` seconds."""
    simulation = _Simulation(network, seed, demand_per_min, lookalike_share, total_s)
    for _ in range(round(total_s / STEP_S)):
        simulation.step()
    cars = sorted(simulation.done + simulation.cars, key=lambda car: car.number)
    journeys = tuple(
        Journey(car.identity, car.born, np.array(car.rows), tuple(car.lanes)) for car in cars if car.rows
    )
    return Traffic(journeys, tuple(simulation.crossings))
