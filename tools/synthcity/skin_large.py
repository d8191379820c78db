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
        c.area("back", rect(sign * half * 0.80, sign * half * 0.97, 0.62, 1.42), (70, 8, 10), 250)
        for z, tone, code in ((0.76, RED, BRAKE), (1.02, (190, 110, 20), TURN), (1.28, RED, BRAKE)):
            c.area("back", ring(sign * half * 0.885, z, 0.10), tone, 250, lamp=code)
        c.area("back", rect(sign * half * 0.75, sign * half * 0.95, top - 0.26, top - 0.18), RED, 250, lamp=BRAKE)
    c.area("back", rect(-half * 0.92, half * 0.92, top - 1.42, top - 0.34), BLACK, gloss=200)
    c.area("back", rect(-half * 0.86, half * 0.86, top - 1.35, top - 0.62), GLASS, 250, glass=255)
    c.area("back", rect(-0.42, 0.42, top - 0.56, top - 0.40), (236, 150, 30), 220, lamp=TURN)
    c.area("back", rect(-half * 0.7, half * 0.7, 0.62, 1.22), (22, 22, 23), gloss=60)
    for i in range(6):
        c.line("back", [(-half * 0.66, 0.67 + 0.1 * i), (half * 0.66, 0.67 + 0.1 * i)], 0.03, (64, 64, 66))
    c.area("back", rect(-half, half, 0.2, 0.46), PLASTIC, gloss=60)
    for at, long in ((0.22, 0.20), (0.60, 0.14)):
        d, end = at * s.length, (at + long) * s.length
        c.area("top", rect(d, end, -0.7, 0.7), (142, 144, 144), gloss=60)
        c.line("top", [*rect(d, end, -0.7, 0.7), (d, -0.7)], 0.06, (92, 93, 93))
        c.line("top", [(d, 0), (end, 0)], 0.04, (104, 105, 105))


def _scaled(tone: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    return int(tone[0] * share), int(tone[1] * share), int(tone[2] * share)


def draw_cargo(c: Canvas, s: Shape, style: int) -> None:
    """The box or platform of a truck, what it carries and what hangs below."""
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
        _chassis(c, s, view)
        for d in np.arange(start + 0.5, stop - 0.3, 1.2):
            c.area(view, rect(float(d), float(d) + 0.14, floor + 0.01, floor + 0.06), (190, 110, 20), 220)
    _cargo_back(c, s, tone)
    if top > s.height:
        c.area("front", rect(-half, half, s.height + 0.02, top + 0.1), tone, gloss=100)
    c.area(
        "top",
        rect(start - 0.02, stop, -half - 0.05, half + 0.05),
        (206, 207, 204) if top > 2 else (70, 62, 52),
        gloss=60,
    )
    _load(c, s, style)


def _chassis(c: Canvas, s: Shape, view: str) -> None:
    """Below the cargo: dark, with a tank, side guards and mudguards."""
    assert s.box is not None
    start, stop, _, floor, _ = s.box
    c.area(view, rect(start - 0.3, stop, 0, max(floor - 0.06, 0.5)), (20, 20, 21), gloss=30)
    ahead, behind = s.front_axle_at + 1.5 * s.wheel_radius, s.rear_axle_at - 1.5 * s.wheel_radius
    tank = max(ahead + 0.1, start)
    c.area(view, rect(tank, tank + 0.8, 0.46, floor - 0.16), (150, 153, 156), gloss=180)
    for z in (0.50, 0.72):
        c.line(view, [(tank + 0.9, z), (behind, z)], 0.07, (168, 170, 172))
    c.area(view, ring(s.rear_axle_at, s.wheel_radius, 1.28 * s.wheel_radius), (44, 44, 46), gloss=70)


def _cargo_back(c: Canvas, s: Shape, tone: tuple[int, int, int]) -> None:
    """Doors with their frame, rods and hinges; lamps and the guard below."""
    assert s.box is not None
    _, _, half, floor, top = s.box
    rail = _scaled(tone, 0.62)
    c.area("back", rect(-half, half, floor, top), rail, gloss=100, glass=0, lamp=0)
    for sign in (1, -1):
        c.area("back", rect(sign * 0.02, sign * (half - 0.07), floor + 0.10, top - 0.10), tone, gloss=100)
        if top > s.height:
            for y in (0.30, 0.72):
                c.line(
                    "back", [(sign * y * half, floor + 0.10), (sign * y * half, top - 0.10)], 0.035, (120, 122, 124)
                )
            c.area("back", rect(sign * 0.22 * half, sign * 0.38 * half, floor + 0.5, floor + 0.6), (40, 40, 42))
            for z in np.linspace(floor + 0.3, top - 0.3, 3):
                c.area("back", rect(sign * (half - 0.16), sign * half, z - 0.04, z + 0.04), (70, 70, 72))
            c.area("back", rect(sign * half * 0.80, sign * half * 0.96, top - 0.08, top - 0.03), RED, 250, lamp=BRAKE)
    c.line("back", [(0, floor), (0, top)], 0.03, (50, 50, 50))
    c.area("back", rect(-half, half, 0.3, floor), (22, 22, 23), gloss=40)
    c.area("back", rect(-half * 0.95, half * 0.95, 0.40, 0.52), (120, 122, 124), gloss=60)
    for k in range(8):
        left = -half * 0.95 + k * half * 1.9 / 8
        c.area("back", rect(left, left + half * 1.9 / 16, 0.41, 0.51), (196, 40, 30), 90)
    for sign in (1, -1):
        c.area("back", rect(sign * half * 0.60, sign * half * 0.96, floor - 0.30, floor - 0.08), RED, 250, lamp=BRAKE)
        c.area("back", rect(sign * half * 0.62, sign * half * 0.72, floor - 0.28, floor - 0.10), (196, 120, 40), 250)


def _load(c: Canvas, s: Shape, style: int) -> None:
    """Stacks on a platform: timber, sheeted goods, crates."""
    tones = ((174, 138, 94), (40, 74, 128), (60, 90, 70), (136, 60, 46), (150, 152, 152))
    for k, (start, stop, half, floor, top) in enumerate(s.load):
        tone = tones[(style + k) % len(tones)] if k else (66, 68, 70)
        edge = _scaled(tone, 0.6)
        places = (("left", start, stop, floor, top), ("right", start, stop, floor, top))
        for view, a0, a1, b0, b1 in (*places, ("back", -half, half, floor, top), ("top", start, stop, -half, half)):
            c.area(view, rect(a0, a1, b0, b1), tone, gloss=60, glass=0, lamp=0)
            for share in np.linspace(0, 1, 5):
                a = a0 + float(share) * (a1 - a0)
                c.line(view, [(a, b0), (a, b1)], 0.03, edge)
            for b in (b0, (b0 + b1) / 2, b1):
                c.line(view, [(a0, b), (a1, b)], 0.03, edge)
