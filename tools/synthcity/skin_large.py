"""What only buses and trucks have."""

from __future__ import annotations

import numpy as np

from tools.synthcity.canvas import BRAKE, HEAD, TURN, Canvas
from tools.synthcity.shapes import Shape
from tools.synthcity.skin_parts import BLACK, GLASS, PLASTIC, RED, rect, ring

__all__ = ["draw_bus_ends", "draw_cargo"]


def draw_bus_ends(c: Canvas, s: Shape, style: int) -> None:
    """Front, back and roof of a bus."""
    half, top = s.width / 2, s.height
    c.area("front", rect(-half, half, s.belt[0] - 0.1, top - 0.12), BLACK, gloss=220)
    c.area("front", rect(-half * 0.94, half * 0.94, s.belt[0] - 0.02, top - 0.52), GLASS, 250, glass=255)
    c.area("front", rect(-half * 0.75, half * 0.75, top - 0.44, top - 0.18), (8, 8, 8), 220)
    for i in range(9):
        if (style * 37 + i * 11) % 5:
            y = -0.62 + i * 0.15
            c.area("front", rect(y, y + 0.10, top - 0.38, top - 0.24), (236, 150, 30), 220, lamp=TURN)
    c.area("front", rect(-half, half, 0.2, 0.42), PLASTIC, gloss=60)
    for sign in (1, -1):
        c.area("front", rect(sign * half * 0.55, sign * half * 0.95, 0.66, 0.86), (60, 64, 68), 250)
        for y in (0.64, 0.84):
            c.area("front", ring(sign * half * y, 0.76, 0.085), (214, 218, 222), 250, lamp=HEAD)
        c.area("back", rect(sign * half * 0.86, sign * half * 0.97, 0.70, 1.35), RED, 250, lamp=BRAKE)
    c.area("back", rect(-half * 0.86, half * 0.86, top - 1.35, top - 0.40), GLASS, 250, glass=255)
    c.area("back", rect(-half * 0.7, half * 0.7, 0.55, 1.15), shade=88)
    for i in range(6):
        c.line("back", [(-half * 0.66, 0.6 + 0.1 * i), (half * 0.66, 0.6 + 0.1 * i)], 0.02, shade=50)
    for at in (0.25, 0.62):
        d = at * s.length
        c.area("top", rect(d, d + 1.6, -0.8, 0.8), (198, 199, 198), gloss=80)
        c.line("top", [*rect(d, d + 1.6, -0.8, 0.8), (d, -0.8)], 0.05, (120, 120, 120))


def _scaled(tone: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    return int(tone[0] * share), int(tone[1] * share), int(tone[2] * share)


def draw_cargo(c: Canvas, s: Shape, style: int) -> None:
    """The box or bed of a truck."""
    assert s.box is not None
    start, stop, half, floor, top = s.box
    tone = ((226, 227, 224), (202, 205, 207), (234, 234, 232), (188, 190, 186))[style % 4]
    rail = _scaled(tone, 0.62)
    for view in ("left", "right"):
        c.area(view, rect(start, stop, floor, top), tone, gloss=110, glass=0, lamp=0)
        for d in np.arange(start + 0.35, stop, 0.42):
            c.line(view, [(float(d), floor + 0.08), (float(d), top - 0.06)], 0.014, _scaled(tone, 0.92))
        c.line(view, [(start, floor + 0.05), (stop, floor + 0.05)], 0.09, rail)
        c.line(view, [(start, top - 0.04), (stop, top - 0.04)], 0.06, rail)
        low = max(floor - 0.06, 0.5)
        c.area(view, rect(start - 0.3, stop, 0, low), (24, 24, 25), gloss=30)
        for d in np.arange(start + 0.5, stop - 0.3, 1.2):
            c.area(view, rect(float(d), float(d) + 0.14, floor + 0.01, floor + 0.06), (190, 110, 20), 220)
    c.area("back", rect(-half, half, floor, top), tone, gloss=100, glass=0, lamp=0)
    c.line("back", [(0, floor), (0, top)], 0.02, (60, 60, 60))
    for y in (-0.75, -0.25, 0.25, 0.75):
        c.line("back", [(y * half, floor), (y * half, top)], 0.03, rail)
    c.area("back", rect(-half, half, 0.3, floor), (26, 26, 27), gloss=40)
    for sign in (1, -1):
        c.area("back", rect(sign * half * 0.68, sign * half * 0.95, floor - 0.26, floor - 0.10), RED, 250, lamp=BRAKE)
    c.area("front", rect(-half, half, s.height + 0.02, top + 0.1), tone, gloss=100)
    c.area(
        "top",
        rect(start - 0.02, stop, -half - 0.05, half + 0.05),
        (206, 207, 204) if top > 2 else (70, 62, 52),
        gloss=60,
    )
