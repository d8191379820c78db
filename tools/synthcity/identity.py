"""Who a vehicle is: everything that tells it from others, drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tools.synthcity.shapes import SHAPES, Shape, shapes_of

__all__ = ["Identity", "draw_identity", "fleet", "lookalike_of"]

_CLASS_SHARES = {
    "sedan": 0.31,
    "hatchback": 0.16,
    "estate": 0.07,
    "suv": 0.25,
    "van": 0.08,
    "pickup": 0.06,
    "truck": 0.045,
    "bus": 0.025,
}

# Shares of paint colours on the road, and sRGB samples of each.
_PAINTS: dict[str, tuple[float, tuple[tuple[int, int, int], ...]]] = {
    "white": (0.25, ((228, 229, 228), (236, 236, 234), (222, 220, 212))),
    "black": (0.20, ((13, 13, 15), (22, 22, 25), (16, 18, 24))),
    "grey": (0.19, ((88, 91, 95), (66, 69, 73), (112, 115, 118), (74, 78, 86))),
    "silver": (0.12, ((164, 167, 170), (180, 183, 185), (150, 153, 158))),
    "blue": (0.09, ((26, 48, 98), (36, 74, 134), (18, 30, 58), (60, 96, 140))),
    "red": (0.07, ((136, 16, 22), (108, 12, 22), (160, 26, 22))),
    "brown": (0.04, ((84, 66, 52), (148, 134, 112), (106, 92, 76))),
    "green": (0.02, ((30, 60, 46), (70, 84, 62))),
    "yellow": (0.01, ((206, 158, 24),)),
    "orange": (0.01, ((190, 82, 22),)),
}
_METALLIC = {"grey": 0.9, "silver": 1.0, "blue": 0.7, "brown": 0.8, "green": 0.6, "black": 0.4, "red": 0.4}
_WORK_PAINTS = {"van": "white", "truck": "white"}
_LETTERS, _DIGITS = "ABCDEFGHJKLMNPRSTUVWXYZ", "0123456789"


@dataclass(frozen=True, slots=True)
class Identity:
    """A vehicle's looks.

    Attributes:
        shape: Name in :data:`tools.synthcity.shapes.SHAPES`.
        scale: Length, width and height relative to the shape's.
        colour: Name of the paint's colour.
        paint: sRGB, 0–255.
        metallic: 0 is plain paint, 1 full metallic.
        style: Picks grille, lamps, trim and side lines.
        wheel: Picks the rim.
        trim: Unpainted sills and bumpers.
        rack: Roof rack.
        tint: Darkness of the windows, 0–1.
        dirt: 0–1.
        decal: Picks lettering or stripes; −1 is none.
        damage: Number of scratches and dents.
        plate: Characters of the number plate.
        plate_tone: Picks the plate's background.
        grime: Seed of dirt and scratches.
        driver: Picks the driver's clothes; a passenger sits beside where odd.
    """

    shape: str
    scale: tuple[float, float, float]
    colour: str
    paint: tuple[int, int, int]
    metallic: float
    style: int
    wheel: int
    trim: bool
    rack: bool
    tint: float
    dirt: float
    decal: int
    damage: int
    plate: str
    plate_tone: int
    grime: int
    driver: int

    @property
    def body(self) -> Shape:
        """The silhouette."""
        return SHAPES[self.shape]

    @property
    def vehicle_class(self) -> str:
        """One of the eight classes."""
        return self.body.vehicle_class

    @property
    def glass_darkness(self) -> float:
        """How little is seen through the windows, 0–1; the cabins of buses and trucks are deep, high and dark."""
        least = {"bus": 0.9, "truck": 0.85}.get(self.vehicle_class, 0.0)
        return least + (1 - least) * self.tint

    @property
    def size_m(self) -> tuple[float, float, float]:
        """Length, width, height in metres, cargo box included."""
        s, body = self.scale, self.body
        width = max(body.width, 2 * body.box[2] if body.box else 0.0)
        height = max(body.height, body.box[4] if body.box else 0.0)
        return body.length * s[0], width * s[1], height * s[2]


def draw_identity(seed: int, vehicle_class: str | None = None) -> Identity:
    """The vehicle of a seed: class, shape, paint and all its details."""
    rng = np.random.default_rng([seed, 211])
    kinds = list(_CLASS_SHARES)
    kind = vehicle_class or kinds[_choose(rng, list(_CLASS_SHARES.values()))]
    names = shapes_of(kind)
    shape = names[_choose(rng, [SHAPES[name].weight for name in names])]
    colour = list(_PAINTS)[_choose(rng, [share for share, _ in _PAINTS.values()])]
    if kind in _WORK_PAINTS and rng.random() < 0.5 and shape != "minivan":
        colour = _WORK_PAINTS[kind]
    if kind == "bus":
        colour = ("yellow", "red", "blue", "white", "green", "silver")[_choose(rng, [0.2, 0.22, 0.2, 0.2, 0.1, 0.08])]
    tones = _PAINTS[colour][1]
    tone = np.array(tones[rng.integers(len(tones))]) + np.round(rng.normal(0, 4, 3)).astype(int)
    lettered = 0.6 if kind in ("truck", "bus") or shape.startswith("van") else 0.06
    return Identity(
        shape=shape,
        scale=_three(np.round(1 + np.clip(rng.normal(0, 0.012, 3), -0.03, 0.03), 3).tolist()),
        colour=colour,
        paint=_three(np.clip(tone, 6, 244).astype(int).tolist()),
        metallic=round(float(_METALLIC.get(colour, 0.1) * rng.uniform(0.5, 1.0)), 2),
        style=int(rng.integers(24)),
        wheel=int(rng.integers(8)),
        trim=bool(rng.random() < (0.6 if kind in ("suv", "van", "pickup") else 0.12)),
        rack=bool(rng.random() < 0.3 and kind in ("estate", "suv", "hatchback")),
        **_marks(rng, lettered),
    )


def lookalike_of(other: Identity, seed: int) -> Identity:
    """Same shape, paint and wheels; another plate, dirt, decal, tint and driver."""
    rng = np.random.default_rng([seed, 223])
    marks = _marks(rng, 0.25)
    if other.vehicle_class in ("bus", "truck"):
        marks["decal"] = other.decal
    return replace(other, **marks)


def fleet(seed: int, count: int, lookalike_share: float) -> list[Identity]:
    """The vehicles of a scene in the order they appear; a share of them copy an earlier one's looks."""
    rng = np.random.default_rng([seed, 227])
    vehicles: list[Identity] = []
    for i in range(count):
        own = seed * 100_003 + i
        if vehicles and rng.random() < lookalike_share:
            # Copies of recent vehicles, so that both are about at the same time.
            vehicles.append(lookalike_of(vehicles[-1 - int(rng.integers(min(len(vehicles), 12)))], own))
        else:
            vehicles.append(draw_identity(own))
    return vehicles


def _choose(rng: np.random.Generator, weights: list[float]) -> int:
    edges = np.cumsum(weights)
    return int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))


def _three(values: list[Any]) -> tuple[Any, Any, Any]:
    first, second, third = values
    return first, second, third


def _marks(rng: np.random.Generator, lettered: float) -> dict[str, Any]:
    """What differs even between two vehicles of one make, shape and paint."""
    plate = "".join(_LETTERS[i] for i in rng.integers(len(_LETTERS), size=3))
    plate += "-" + "".join(_DIGITS[i] for i in rng.integers(10, size=4))
    return {
        "tint": round(float(rng.beta(1.6, 3.2)), 2),
        "dirt": round(float(rng.beta(1.1, 5.0)), 2),
        "decal": int(rng.integers(1000)) if rng.random() < lettered else -1,
        "damage": int(rng.poisson(0.5)),
        "plate": plate,
        "plate_tone": int(rng.integers(4)),
        "grime": int(rng.integers(1 << 30)),
        "driver": int(rng.integers(64)),
    }
