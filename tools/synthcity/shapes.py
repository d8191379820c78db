"""The body shapes: eight classes, several shapes each, as the few measures that make a silhouette.

All lengths in metres. Distances ``*_at`` count from the nose backwards; heights from the road.

::

            screen_top_at        roof_end_at
                  ╱▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔╲
     cowl_at     ╱                  ╲  tail_at
    ╱▔▔▔▔▔▔▔▔▔▔▔▔ belt ─────────── belt ▔▔▔▔▏ boot
   ▕ hood                                   ▕
    ▔(wheel)▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔(wheel)▔▔▔▔▔▔
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["SHAPES", "VEHICLE_CLASSES", "Shape", "shapes_of"]

VEHICLE_CLASSES = ("sedan", "hatchback", "estate", "suv", "van", "pickup", "truck", "bus")


@dataclass(frozen=True, slots=True)
class Shape:
    """One silhouette.

    Attributes:
        vehicle_class: One of :data:`VEHICLE_CLASSES`.
        length, width, height: Outer measures, mirrors and racks left out.
        wheel_radius: Tyre radius.
        front_axle_at, rear_axle_at: Distances of the axles from the nose.
        hood: Height of the bonnet's leading edge and of its end at the windscreen.
        cowl_at, screen_top_at: Lower and upper end of the windscreen.
        roof_end_at, tail_at: Upper and lower end of the rear window.
        belt: Height of the line under the side windows, front and rear.
        boot: Height of the boot lid at the rear window and at its end.
        tumblehome: Roof width as a share of the body's.
        doors: Door gaps, distances from the nose.
        pillars: Pillars in the side windows, distances from the nose.
        glass_to: Where the side windows end; less than the roof for a van's cargo space.
        box: Cargo box as (from, to, half width, floor, top), or None.
        bed: The pickup's open bed as (from, to), or None.
        bumper: Height of the foremost point.
        weight: How often it is seen among its class.
    """

    vehicle_class: str
    length: float
    width: float
    height: float
    wheel_radius: float
    front_axle_at: float
    rear_axle_at: float
    hood: tuple[float, float]
    cowl_at: float
    screen_top_at: float
    roof_end_at: float
    tail_at: float
    belt: tuple[float, float]
    boot: tuple[float, float]
    tumblehome: float
    doors: tuple[float, ...]
    pillars: tuple[float, ...]
    glass_to: float
    box: tuple[float, float, float, float, float] | None = None
    bed: tuple[float, float] | None = None
    bumper: float = 0.52
    weight: float = 1.0

    @property
    def load(self) -> tuple[tuple[float, float, float, float, float], ...]:
        """What stands on an open platform, as ``box``: the headboard behind the cab and three stacks."""
        if self.box is None or self.box[4] > self.height:
            return ()
        start, stop, half, _, top = self.box
        room, high = stop - start, self.height - top
        return (
            (start, start + 0.08, half, top, top + 0.95 * high),
            (start + 0.06 * room, start + 0.44 * room, 0.90 * half, top, top + 0.80 * high),
            (start + 0.48 * room, start + 0.72 * room, 0.80 * half, top, top + 0.55 * high),
            (start + 0.76 * room, start + 0.96 * room, 0.86 * half, top, top + 0.35 * high),
        )


def _load() -> dict[str, Shape]:
    table = yaml.safe_load(Path(__file__).with_name("shapes.yaml").read_text(encoding="utf-8"))
    shapes = {}
    for name, row in table.items():
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in row.items()}
        shapes[name] = Shape(**values)
    return shapes


#: Every silhouette by name.
SHAPES: dict[str, Shape] = _load()


def shapes_of(vehicle_class: str) -> list[str]:
    """Names of the shapes of a class, in the table's order."""
    return [name for name, shape in SHAPES.items() if shape.vehicle_class == vehicle_class]
