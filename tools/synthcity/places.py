"""The kinds of place: each lays its streets, signals, parking bays and camera sites."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mtmc.types import Array
from tools.synthcity.builder import PARKING_M, Builder, Place, Road, Site
from tools.synthcity.network import LANE_WIDTH_M, Lane, SignalPlan, connect, offset_line, resample

__all__ = ["PLACES", "build_place"]


def crossroads(rng: np.random.Generator) -> Place:
    """A main road and a smaller one cross at a signal; the main road may not turn left."""
    b, reach, main, minor = Builder(), 190.0, 2, 1 + int(rng.integers(2))
    wide, narrow = main * LANE_WIDTH_M, minor * LANE_WIDTH_M + PARKING_M
    at_main, at_minor = narrow + 8.0, wide + 8.0
    b.street("west", (-reach, 0), (0, 0), main, 13.9, (0, at_main), parking=False)
    b.street("east", (reach, 0), (0, 0), main, 13.9, (0, at_main), parking=False)
    b.street("north", (0, 130), (0, 0), minor, 11.1, (0, at_minor), parking=True)
    b.street("south", (0, -130), (0, 0), minor, 11.1, (0, at_minor), parking=True)
    names = ("west", "east", "north", "south")
    plan = SignalPlan((("main", 17.0), ("north", 9.0), ("south", 9.0)), offset_s=float(rng.integers(0, 50)))
    arms = {name: (f"{name}>", f"{name}<") for name in names}
    b.junction("j", arms, plan, {"west": "main", "east": "main", "north": "north", "south": "south"})
    b.lanes[f"west<.{main - 1}"].bus_stop_m = 70.0
    b.lanes[f"east<.{main - 1}"].bus_stop_m = 95.0
    x, y = narrow + 4.0, wide + 4.5
    sites = [
        Site((-x, -y, 7.2), (7, 4.5, 0), 78),
        Site((x + 0.8, y + 0.6, 6.8), (-8, -5, 0), 76),
        Site((x + 62, -wide - 1.6, 6.6), (x + 38, 0.5, 0.4), 62),
        Site((-x - 85, wide + 1.8, 7.0), (-x - 110, -0.5, 0.4), 62),
        Site((narrow + 1.8, y + 48, 6.2), (0.0, y + 26, 0.4), 66),
        Site((x + 140, wide + 2.0, 7.4), (x + 112, -1.0, 0.4), 60),
        Site((-narrow - 2.0, -y - 52, 6.4), (0.4, -y - 28, 0.4), 66),
        Site((-x, y, 8.0), (9, -5, 0), 74),
        Site((-x - 40, -wide - 1.8, 6.8), (-x - 62, 0, 0.4), 62),
    ]
    return b.place("crossroads", b.network([f"{n}>" for n in names], [f"{n}<" for n in names], rng), sites)


def arterial(rng: np.random.Generator) -> Place:
    """One long road with three signalled junctions, timed to follow each other."""
    b, spacing, half = Builder(), 130.0, 240.0
    wide, narrow = 2 * LANE_WIDTH_M, LANE_WIDTH_M + PARKING_M
    at_main, at_minor = narrow + 8.0, wide + 8.0
    centres = [-spacing, 0.0, spacing]
    b.street("main0", (-half, 0), (centres[0], 0), 2, 13.9, (0, at_main), parking=False)
    b.street("main1", (centres[0], 0), (centres[1], 0), 2, 13.9, (at_main, at_main), parking=False)
    b.street("main2", (centres[1], 0), (centres[2], 0), 2, 13.9, (at_main, at_main), parking=False)
    b.street("main3", (centres[2], 0), (half, 0), 2, 13.9, (at_main, 0), parking=False)
    offset = float(rng.integers(0, 50))
    for k, x in enumerate(centres):
        b.street(f"north{k}", (x, 105), (x, 0), 1, 11.1, (0, at_minor), parking=True)
        b.street(f"south{k}", (x, -105), (x, 0), 1, 11.1, (0, at_minor), parking=True)
        arms = {
            "west": (f"main{k}>", f"main{k}<"),
            "east": (f"main{k + 1}<", f"main{k + 1}>"),
            "north": (f"north{k}>", f"north{k}<"),
            "south": (f"south{k}>", f"south{k}<"),
        }
        plan = SignalPlan((("main", 19.0), ("north", 7.0), ("south", 7.0)), offset_s=offset + 10.0 * k)
        phases = {"west": "main", "east": "main", "north": "north", "south": "south"}
        b.junction(f"j{k}", arms, plan, phases)
    b.lanes["main1>.1"].bus_stop_m = 60.0
    b.lanes["main2<.1"].bus_stop_m = 55.0
    ends = ["main0>", "main3<"] + [f"{side}{k}>" for side in ("north", "south") for k in range(3)]
    out = ["main0<", "main3>"] + [f"{side}{k}<" for side in ("north", "south") for k in range(3)]
    x, y = narrow + 4.0, wide + 4.5
    sites = [
        Site((-spacing - x, -y, 7.2), (-spacing + 7, 4, 0), 78),
        Site((spacing + x, y, 7.0), (spacing - 8, -4, 0), 76),
        Site((-x, y, 7.4), (8, -4.5, 0), 78),
        Site((-spacing + 72, -wide - 1.6, 6.6), (-spacing + 48, 0.5, 0.4), 62),
        Site((spacing - 50, wide + 1.8, 6.8), (spacing - 75, 0, 0.4), 62),
        Site((x + 0.8, -y, 7.0), (-8, 5, 0), 76),
        Site((spacing + 80, -wide - 1.8, 7.0), (spacing + 55, 0, 0.4), 60),
        Site((narrow + 1.8, y + 44, 6.2), (0, y + 22, 0.4), 66),
        Site((-spacing - 40, wide + 1.8, 7.0), (-spacing - 66, 0, 0.4), 60),
    ]
    return b.place("arterial", b.network(ends, out, rng), sites)


def roundabout(rng: np.random.Generator) -> Place:
    """Four streets meet in a single-lane ring; whoever comes in gives way."""
    b, radius, arm_end, reach, spread = Builder(), 15.5, 29.0, 150.0, np.deg2rad(29)
    names = ("east", "north", "west", "south")
    angles = {name: np.pi / 2 * k for k, name in enumerate(names)}
    for name, angle in angles.items():
        out = np.array([np.cos(angle), np.sin(angle)])
        b.street(name, out * reach, out * (radius - 2), 1, 13.0, (0, arm_end - radius + 2), parking=False)
    ring = [(name, kind) for name in names for kind in ("pass", "ring")]
    for k, (name, kind) in enumerate(ring):
        a = angles[name] + (-spread if kind == "pass" else spread)
        turn = np.linspace(a, a + (2 * spread if kind == "pass" else np.pi / 2 - 2 * spread), 25)
        points = resample(radius * np.stack([np.cos(turn), np.sin(turn)], axis=1))
        label = f"{kind}-{name}.0"
        b.lanes[label] = Lane(label, label[:-2], 0, points, 6.6)
        following = ring[(k + 1) % len(ring)]
        b.lanes[label].successors = (f"{following[1]}-{following[0]}.0",)
    for k, name in enumerate(names):
        entry = b.connector(f"{name}>.0", f"ring-{name}.0", "r", limit_mps=6.4)
        before = names[k - 1]
        b.lanes[entry].gives_way_to = (f"pass-{name}.0", f"ring-{before}.0")
        b.connector(f"ring-{before}.0", f"{name}<.0", "r", limit_mps=6.8)
    circle = np.linspace(0, 2 * np.pi, 97)
    line = radius * np.stack([np.cos(circle), np.sin(circle)], axis=1)
    b.roads.append(Road(line, 3.6, (0, 0), ()))
    d = radius + 9.0
    sites = [
        Site((-d, -d, 8.0), (4, 4, 0), 80),
        Site((d, d + 1, 7.6), (-5, -4, 0), 78),
        Site((78, -5.6, 6.4), (54, 0, 0.4), 62),
        Site((-100, 5.8, 6.6), (-76, 0, 0.4), 60),
        Site((5.6, 82, 6.2), (0, 58, 0.4), 62),
        Site((-5.6, -88, 6.4), (0, -112, 0.4), 60),
        Site((d, -d, 8.2), (-4, 5, 0), 78),
        Site((-62, -5.6, 6.4), (-38, 0, 0.4), 64),
        Site((120, 5.8, 7.0), (96, 0, 0.4), 58),
    ]
    return b.place("roundabout", b.network([f"{n}>" for n in names], [f"{n}<" for n in names], rng), sites)


def highway(rng: np.random.Generator) -> Place:
    """A motorway of three lanes each way with an exit and an entry ramp on either side."""
    b, half, median, speed = Builder(), 330.0, 1.6, 26.0
    bend = float(rng.uniform(-18, 18))

    def carriageway(a: float, z: float) -> Array:
        x = np.linspace(a, z, 101)
        return np.stack([x, bend * (x / half) ** 2], axis=1)

    entries, exits = [], []
    for side, mirror in (("e", 1.0), ("w", -1.0)):
        flip = np.array([mirror, mirror])

        def line(a: float, z: float, mirror: float = mirror) -> Array:
            base = carriageway(a * mirror, z * mirror)
            return offset_line(base, median)

        parts = (("in", -half, -170, 3), ("merge", -170, -20, 4), ("mid", -20, 90, 3), ("out", 90, half, 3))
        for part, start, stop, lanes in parts:
            b.link(f"{side}-{part}", line(start, stop), lanes, speed)
        for first, second in (("in", "merge"), ("merge", "mid"), ("mid", "out")):
            for i in range(3):
                b.lanes[f"{side}-{first}.{i}"].successors += (f"{side}-{second}.{i}",)
        along = np.array([mirror, 0.0])
        join, leave = b.lanes[f"{side}-merge.3"].points[0], b.lanes[f"{side}-mid.2"].points[-1]
        on = connect(np.array([-310, -52]) * flip, np.array([0.88, 0.47]) * mirror, join, along)
        off = connect(leave, along, np.array([230, -54]) * flip, np.array([0.82, -0.57]) * mirror)
        b.lanes[f"{side}-on.0"] = Lane(f"{side}-on.0", f"{side}-on", 0, on, 18.0, (f"{side}-merge.3",))
        b.lanes[f"{side}-off.0"] = Lane(f"{side}-off.0", f"{side}-off", 0, off, 16.0)
        b.lanes[f"{side}-mid.2"].successors += (f"{side}-off.0",)
        extra = offset_line(line(-178, -4), 3.5 * LANE_WIDTH_M)
        for strip, half_m in ((on, 2.9), (off, 2.9), (extra, 2.4)):
            b.roads.append(Road(strip, half_m, (0, 0), (), motorway=True))
        entries += [f"{side}-in", f"{side}-on"]
        exits += [f"{side}-out", f"{side}-off"]
    width = median + 3 * LANE_WIDTH_M + 2.6
    base = carriageway(-half, half)
    b.roads.append(Road(base, width, (3, 3), ((0.0, 1e9),), motorway=True))

    def y(x: float) -> float:
        return bend * (x / half) ** 2

    sites = [
        Site((-180, y(-180) - 3, 8.5), (-140, y(-140) - 1, 0), 56),
        Site((40, y(40) - width - 4, 9.0), (72, y(72) - 3, 0), 66),
        Site((190, y(190) + 1, 8.5), (150, y(150) + 1, 0), 56),
        Site((-60, y(-60) + width + 4, 9.0), (-92, y(-92) + 3, 0), 66),
        Site((250, y(250) - width - 3, 10.0), (220, y(220), 0), 60),
        Site((-270, y(-270) + width + 3, 10.0), (-240, y(-240), 0), 60),
        Site((100, y(100) + 5, 8.0), (62, y(62) + 4, 0), 52),
        Site((-110, y(-110) - width - 5, 9.0), (-80, y(-80) - 8, 0), 68),
        Site((0, y(0) - 2, 8.5), (36, y(36) - 2, 0), 54),
    ]
    network = b.network(entries, exits, rng)
    return b.place("highway", network, sites, built_up=False, pavement_m=0.0)


#: What ``place:`` in a recipe may say.
PLACES: dict[str, Callable[[np.random.Generator], Place]] = {
    "crossroads": crossroads,
    "roundabout": roundabout,
    "arterial": arterial,
    "highway": highway,
}


def build_place(kind: str, seed: int) -> Place:
    """The place of that kind and seed."""
    return PLACES[kind](np.random.default_rng([seed, 101]))
