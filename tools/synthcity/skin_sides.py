"""The sides of vehicles: windows, doors, creases, lamps that wrap round, wheel arches."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array
from tools.synthcity.canvas import BRAKE, HEAD, Canvas
from tools.synthcity.shapes import Shape
from tools.synthcity.skin_parts import (
    BLACK,
    BODY_GREY,
    CHROME,
    GLASS,
    LAMP_GLASS,
    PLASTIC,
    RED,
    heights,
    lamp_heights,
    rect,
    ring,
)

__all__ = ["draw_side"]


def draw_side(c: Canvas, s: Shape, view: str, style: int, trim: bool) -> None:
    """One side of any vehicle."""
    heavy = s.vehicle_class in ("truck", "bus")
    low = 0.40 if trim else 0.30
    if not heavy:
        c.area(view, rect(-0.1, s.length + 0.1, 0, low), PLASTIC if trim else None, gloss=70, shade=62)
        _creases(c, s, view)
    _side_windows(c, s, view, style)
    _doors(c, s, view, style)
    if s.vehicle_class == "bus":
        _bus_side(c, s, view, style)
    elif not heavy:
        _side_lamps(c, s, view, style)
    for d in (s.front_axle_at, s.rear_axle_at):
        radius = s.wheel_radius * 1.13
        if trim or heavy:
            c.area(view, ring(d, s.wheel_radius, radius + 0.06), PLASTIC, gloss=60)
        else:
            c.line(view, ring(d, s.wheel_radius, radius + 0.025), 0.03, shade=92)
        c.area(view, ring(d, s.wheel_radius, radius), (7, 7, 8), gloss=10, hole=True)


def _creases(c: Canvas, s: Shape, view: str) -> None:
    d = np.linspace(0.45, s.length - 0.3, 24)
    shoulder = s.belt[0] - 0.16 + (s.belt[1] - s.belt[0] + 0.03) * d / s.length
    if s.vehicle_class == "van" and s.cowl_at < 0.95:
        shoulder = np.full_like(d, 0.78)
    strip = list(zip(d, shoulder, strict=True)) + list(zip(d[::-1], shoulder[::-1] - 0.09, strict=True))
    c.area(view, strip, shade=112)
    c.line(view, list(zip(d, shoulder + 0.012, strict=True)), 0.018, shade=148)
    lower = rect(s.front_axle_at + 0.55, s.rear_axle_at - 0.5, 0.42, 0.52)
    c.area(view, lower, shade=104)
    c.line(view, [lower[3], lower[2]], 0.014, shade=146)


def _window_band(s: Shape) -> tuple[Array, Array, Array]:
    """Distances, lower and upper edge of the side windows."""
    start = s.cowl_at + (0.22 if s.vehicle_class not in ("truck", "bus") else 0.10)
    d = np.linspace(start, s.glass_to, 40)
    deck, roof = heights(s, d)
    low = np.maximum(deck, np.interp(d, [s.cowl_at, s.tail_at], s.belt)) + 0.03
    up = np.minimum(roof - 0.085, s.height - 0.115)
    if s.vehicle_class == "van" and s.height > 2.3:
        up = np.minimum(up, 1.86)
    if s.vehicle_class == "truck":
        up = np.minimum(up, s.height - 0.35)
    if s.vehicle_class == "bus":
        up = np.minimum(up, s.height - 0.48)
    return d, low, np.maximum(up, low)


def _side_windows(c: Canvas, s: Shape, view: str, style: int) -> None:
    d, low, up = _window_band(s)
    edge = 0.028
    frame = list(zip(d, low - edge, strict=True)) + list(zip(d[::-1], up[::-1] + edge, strict=True))
    pane = list(zip(d, low, strict=True)) + list(zip(d[::-1], up[::-1], strict=True))
    c.area(view, frame, BLACK, gloss=150)
    c.area(view, pane, GLASS, gloss=250, glass=255)
    half = {"bus": 0.05, "truck": 0.03}.get(s.vehicle_class, 0.045)
    for pillar in s.pillars:
        c.area(
            view,
            rect(pillar - half, pillar + half, float(low.min()) - edge, float(up.max()) + edge),
            BLACK,
            gloss=150,
            glass=0,
        )
    if style % 3 == 0 and s.vehicle_class not in ("truck", "bus"):
        c.line(view, list(zip(d, low - edge, strict=True)), 0.018, CHROME)
    if s.vehicle_class == "van" and s.pillars and s.glass_to < 2.5:
        c.area(view, rect(s.cowl_at, s.pillars[0] - 0.09, float(low.min()), 1.45), shade=120)


def _doors(c: Canvas, s: Shape, view: str, style: int) -> None:
    sill = 0.34 if s.vehicle_class not in ("truck", "bus") else 0.62
    _, low, _ = _window_band(s)
    base = float(low.mean())
    for i, d in enumerate(s.doors):
        top = base if i < len(s.doors) - 1 or s.vehicle_class != "van" else s.height - 0.2
        c.line(view, [(d + 0.02, sill), (d, 0.62), (d - 0.01, top)], 0.013, shade=38)
    if len(s.doors) > 1:
        c.line(view, [(s.doors[0], sill), (s.doors[-1], sill)], 0.013, shade=45)
    for d in s.doors[1:]:
        z = base - 0.17
        handle = rect(d - 0.30, d - 0.12, z, z + 0.032)
        c.area(view, handle, CHROME if style % 3 == 0 else None, gloss=240, shade=150)
        c.line(view, [handle[0], handle[1]], 0.012, shade=50)
    if view == "right" and s.vehicle_class not in ("truck", "bus"):
        c.line(view, ring(s.rear_axle_at + 0.30, base - 0.14, 0.085), 0.01, shade=60)


def _side_lamps(c: Canvas, s: Shape, view: str, style: int) -> None:
    front, rear = lamp_heights(s)
    reach = (0.30, 0.38, 0.24, 0.34)[style % 4]
    c.area(
        view,
        [(-0.05, front - 0.08), (reach * 0.8, front - 0.01), (reach, front + 0.05), (-0.05, front + 0.04)],
        LAMP_GLASS,
        250,
        lamp=HEAD,
    )
    end = s.length
    if s.vehicle_class in ("van", "pickup") and s.cowl_at < 2:
        c.area(view, rect(end - 0.09, end + 0.05, rear - 0.22, rear + 0.16), RED, 250, lamp=BRAKE)
    else:
        c.area(
            view,
            [
                (end + 0.05, rear - 0.07),
                (end - reach, rear - 0.01),
                (end - reach, rear + 0.05),
                (end + 0.05, rear + 0.08),
            ],
            RED,
            250,
            lamp=BRAKE,
        )
    c.line(
        view,
        [(s.front_axle_at - 0.47, 0.30), (s.front_axle_at - 0.44, 0.60), (s.front_axle_at - 0.52, front)],
        0.011,
        shade=45,
    )
    c.line(view, [(s.rear_axle_at + 0.48, 0.32), (s.rear_axle_at + 0.50, 0.66)], 0.011, shade=45)


def _bus_side(c: Canvas, s: Shape, view: str, style: int) -> None:
    c.area(view, rect(0, s.length, 0.2, 0.42), shade=84)
    c.line(view, [(0, 0.98), (s.length, 0.98)], 0.03, shade=80)
    # Flaps over tank, batteries and engine.
    for d in np.arange(s.front_axle_at + 0.9, s.length - 0.6, 1.3):
        if abs(d - s.rear_axle_at) > 0.7:
            c.line(view, [(float(d), 0.40), (float(d), 0.92)], 0.014, shade=70)
    if style % 2:
        c.area(view, rect(0, s.length, 0.62, 0.92), BODY_GREY, gloss=200)
    if view == "right":
        for at in (0.07, 0.48, 0.80) if s.length > 10 and s.height < 3.3 else (0.08,):
            d = at * s.length
            if min(abs(d + 0.6 - axle) for axle in (s.front_axle_at, s.rear_axle_at)) > 1.1:
                c.area(view, rect(d, d + 1.2, 0.42, s.height - 0.55), BLACK, gloss=200)
                c.area(view, rect(d + 0.05, d + 0.58, 0.50, s.height - 0.62), GLASS, 250, glass=255)
                c.area(view, rect(d + 0.63, d + 1.15, 0.50, s.height - 0.62), GLASS, 250, glass=255)
