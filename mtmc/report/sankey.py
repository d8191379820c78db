"""Origins and destinations as a flow diagram (Sankey)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from markupsafe import Markup

from mtmc.report.elements import color_of, rectangle, svg, text

__all__ = ["most_frequent", "sankey_svg"]

_WIDTH, _NODE, _LEFT, _RIGHT, _TOP = 1080.0, 12.0, 330.0, 750.0, 26.0
_FLOW_HEIGHT, _GAP = 420.0, 8.0
_OTHERS = "all others"

Flows = Mapping[tuple[str, str], float]


def most_frequent(flows: Flows, places: int) -> dict[tuple[str, str], float]:
    """The flows between the most frequent origins and destinations, all other places taken together.

    Args:
        flows: Number of vehicles by origin and destination.
        places: How many origins and how many destinations are kept.

    >>> most_frequent({("a", "x"): 5, ("b", "x"): 2, ("c", "y"): 1}, 1)
    {('a', 'x'): 5.0, ('all others', 'x'): 2.0, ('all others', 'all others'): 1.0}
    """
    kept = []
    for side in (0, 1):
        total: dict[str, float] = defaultdict(float)
        for pair, vehicles in flows.items():
            total[pair[side]] += vehicles
        ranked = sorted(total, key=lambda place: (-total[place], place))
        kept.append(set(ranked[:places]))
    merged: dict[tuple[str, str], float] = defaultdict(float)
    for (origin, destination), vehicles in flows.items():
        merged[origin if origin in kept[0] else _OTHERS, destination if destination in kept[1] else _OTHERS] += (
            vehicles
        )
    return dict(merged)


def sankey_svg(flows: Flows) -> Markup:
    """Origins on the left, destinations on the right, bands as wide as their number of vehicles.

    Args:
        flows: Number of vehicles, above 0, by origin and destination.
    """
    total = sum(flows.values())
    scale = _FLOW_HEIGHT / total
    origins, destinations = (_stacked(flows, side, scale) for side in (0, 1))
    height = max(max(top + tall for top, tall in side.values()) for side in (origins, destinations)) + 10
    elements = [
        text(_LEFT - 8, 14, "origin", "tick", "end"),
        text(_RIGHT + _NODE + 8, 14, "destination", "tick"),
    ]

    next_left = {place: top for place, (top, _) in origins.items()}
    next_right = {place: top for place, (top, _) in destinations.items()}
    color = {place: color_of(k) for k, place in enumerate(origins)}
    for origin in origins:
        for destination in destinations:
            vehicles = flows.get((origin, destination), 0.0)
            if vehicles:
                band = (next_left[origin], next_right[destination], scale * vehicles)
                elements.append(_band(*band, color[origin], f"{origin} → {destination}: {vehicles:.1f} vehicles"))
                next_left[origin] += band[2]
                next_right[destination] += band[2]

    for place, (top, tall) in origins.items():
        elements.append(rectangle(_LEFT, top, _NODE, tall, color[place], place))
        elements.append(text(_LEFT - 8, top + tall / 2 + 4, _label(place, tall / scale), "name", "end"))
    for place, (top, tall) in destinations.items():
        elements.append(rectangle(_RIGHT, top, _NODE, tall, "var(--soft)", place))
        elements.append(text(_RIGHT + _NODE + 8, top + tall / 2 + 4, _label(place, tall / scale), "name"))
    return svg(_WIDTH, height, "Origins and destinations", elements)


def _stacked(flows: Flows, side: int, scale: float) -> dict[str, tuple[float, float]]:
    """Top and height of every place of one side, the most frequent first, "all others" last."""
    vehicles: dict[str, float] = defaultdict(float)
    for pair, count in flows.items():
        vehicles[pair[side]] += count
    ordered = sorted(vehicles, key=lambda place: (place == _OTHERS, -vehicles[place], place))
    stacked, top = {}, _TOP
    for place in ordered:
        tall = scale * vehicles[place]
        stacked[place] = top, tall
        top += max(tall, 6.0) + _GAP  # labels of thin bands stay apart
    return stacked


def _label(place: str, vehicles: float) -> str:
    name = place if len(place) <= 34 else place[:33] + "…"
    return f"{name}  {vehicles:.0f}"


def _band(left: float, right: float, tall: float, fill: str, title: str) -> Markup:
    x1, x2 = _LEFT + _NODE, _RIGHT
    middle = (x1 + x2) / 2
    path = (
        f"M{x1:.1f} {left:.1f}C{middle:.1f} {left:.1f} {middle:.1f} {right:.1f} {x2:.1f} {right:.1f}"
        f"v{tall:.1f}C{middle:.1f} {right + tall:.1f} {middle:.1f} {left + tall:.1f} {x1:.1f} {left + tall:.1f}Z"
    )
    return Markup('<path d="{}" fill="{}" fill-opacity="0.45"><title>{}</title></path>').format(path, fill, title)
