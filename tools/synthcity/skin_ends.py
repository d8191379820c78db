"""Vehicles from above, from ahead and from behind: screens, grilles, lamps, boot lids."""

from __future__ import annotations

import numpy as np

from tools.synthcity.canvas import BRAKE, HEAD, TURN, Canvas
from tools.synthcity.shapes import Shape
from tools.synthcity.skin_parts import BLACK, CHROME, GLASS, PLASTIC, RED, heights, lamp_heights, rect, ring

__all__ = ["draw_back", "draw_front", "draw_top"]


def draw_top(c: Canvas, s: Shape, style: int) -> None:
    """Roof, screens, bonnet and bed."""
    half, roof = s.width / 2, s.width / 2 * s.tumblehome
    screen = [
        (s.screen_top_at - 0.02, roof * 0.97),
        (s.cowl_at, half * 0.90),
        (s.cowl_at, -half * 0.90),
        (s.screen_top_at - 0.02, -roof * 0.97),
    ]
    inner = [
        (s.screen_top_at - 0.07, roof * 0.90),
        (s.cowl_at + 0.06, half * 0.82),
        (s.cowl_at + 0.06, -half * 0.82),
        (s.screen_top_at - 0.07, -roof * 0.90),
    ]
    c.area("top", screen, BLACK, gloss=160)
    c.area("top", inner, GLASS, gloss=250, glass=255)
    if not s.box and not s.bed:
        a, b = s.roof_end_at + 0.05, s.tail_at - 0.04
        c.area(
            "top",
            [(a, roof * 0.90), (b, half * 0.80), (b, -half * 0.80), (a, -roof * 0.90)],
            GLASS,
            gloss=250,
            glass=255,
        )
    if s.cowl_at > 0.6:
        for sign in (1, -1):
            c.line("top", [(s.cowl_at - 0.02, sign * half * 0.86), (0.22, sign * half * 0.70)], 0.013, shade=45)
            c.line("top", [(s.cowl_at - 0.05, sign * half * 0.45), (0.20, sign * half * 0.32)], 0.05, shade=112)
            c.line("top", [(s.cowl_at - 0.05, sign * half * 0.50), (0.20, sign * half * 0.37)], 0.02, shade=146)
        c.line("top", [(s.cowl_at, -half * 0.86), (s.cowl_at, half * 0.86)], 0.06, BLACK)
        c.line("top", [(0.10, -half * 0.62), (0.06, 0.0), (0.10, half * 0.62)], 0.013, shade=45)
    for sign in (1, -1):
        if not s.box:
            c.line(
                "top",
                [(s.screen_top_at + 0.05, sign * roof * 0.90), (s.roof_end_at, sign * roof * 0.90)],
                0.02,
                shade=70,
            )
        c.line("top", [(s.cowl_at + 0.02, 0.35 * sign - 0.1), (s.cowl_at + 0.30, 0.35 * sign - 0.5)], 0.02, BLACK)
    if style in (2, 5) and s.vehicle_class in ("sedan", "suv", "hatchback", "estate"):
        c.area("top", rect(s.screen_top_at + 0.12, s.screen_top_at + 0.80, -0.40, 0.40), BLACK, gloss=250)
    if s.vehicle_class == "sedan":
        c.line("top", [(s.tail_at + 0.05, -half * 0.72), (s.tail_at + 0.05, half * 0.72)], 0.013, shade=45)
    if s.bed:
        a, b = s.bed
        c.area("top", rect(a, b, -half * 0.80, half * 0.80), (26, 26, 27), gloss=40)
        for y in np.linspace(-0.62, 0.62, 7):
            c.line("top", [(a + 0.05, float(y)), (b - 0.05, float(y))], 0.035, (44, 44, 45))


def draw_front(c: Canvas, s: Shape, style: int, trim: bool) -> None:
    """Screen, grille, bumper and head lamps."""
    half, roof = s.width / 2, s.width / 2 * s.tumblehome
    lamp, _ = lamp_heights(s)
    deck = float(heights(s, np.array([s.cowl_at]))[0][0])
    top = s.height - 0.09
    c.area(
        "front",
        [(-half * 0.90, deck), (half * 0.90, deck), (roof * 0.97, top), (-roof * 0.97, top)],
        BLACK,
        gloss=160,
    )
    c.area(
        "front",
        [
            (-half * 0.82, deck + 0.05),
            (half * 0.82, deck + 0.05),
            (roof * 0.9, top - 0.04),
            (-roof * 0.9, top - 0.04),
        ],
        GLASS,
        250,
        glass=255,
    )
    low = s.bumper - 0.22
    c.area("front", rect(-half, half, 0, low), PLASTIC, gloss=60)
    if trim or s.box:
        c.area("front", rect(-half, half, 0, s.bumper + 0.02), PLASTIC, gloss=60)
    wide = half * (0.50, 0.62, 0.44, 0.58)[style % 4]
    upper = lamp + (0.04, 0.02, 0.05, -0.01)[style % 4]
    lower = {0: lamp - 0.12, 1: lamp - 0.20, 2: lamp - 0.07, 3: s.bumper - 0.02}[style % 4]
    grille = [(-wide * 0.86, lower), (wide * 0.86, lower), (wide, upper), (-wide, upper)]
    c.area("front", grille, (11, 11, 12), gloss=110)
    for i in range(4):
        z = lower + (upper - lower) * (i + 0.5) / 4
        c.line("front", [(-wide * 0.88, z), (wide * 0.88, z)], 0.012, CHROME if style == 0 else (52, 53, 55))
    if style % 2 == 0:
        c.line("front", [*grille, grille[0]], 0.018, CHROME)
    c.area("front", ring(0, (upper + lower) / 2, 0.055), CHROME, gloss=240)
    c.area(
        "front",
        [
            (-half * 0.62, low + 0.01),
            (half * 0.62, low + 0.01),
            (half * 0.70, low + 0.13),
            (-half * 0.70, low + 0.13),
        ],
        (13, 13, 14),
        gloss=80,
    )
    _head_lamps(c, s, style, lamp, wide)
    c.line("front", [(-half * 0.80, s.bumper + 0.08), (half * 0.80, s.bumper + 0.08)], 0.012, shade=80)


def _head_lamps(c: Canvas, s: Shape, style: int, lamp: float, wide: float) -> None:
    half = s.width / 2
    tall, slant = ((0.11, 0.04), (0.08, 0.06), (0.13, 0.02), (0.09, 0.03))[style % 4]
    for sign in (1, -1):
        inner, outer = wide + 0.04, half * 1.02
        shape = [
            (inner, lamp - tall / 2),
            (outer, lamp - tall / 2 + slant),
            (outer, lamp + tall / 2 + slant),
            (inner, lamp + tall / 2),
        ]
        c.area("front", [(sign * y, z) for y, z in shape], (58, 62, 67), gloss=250)
        for share in (0.35, 0.72):
            y = inner + share * (outer - inner) * 0.9
            bulb = ring(sign * y, lamp + slant * share, tall * 0.42)
            c.area("front", bulb, (214, 219, 224), 250, lamp=HEAD)
        edge = [(inner, lamp - tall / 2), (outer, lamp - tall / 2 + slant)]
        c.line("front", [(sign * y, z) for y, z in edge], 0.016, (225, 230, 235))
        fog = s.bumper - 0.12
        c.area("front", rect(sign * half * 0.72, sign * half * 0.90, fog - 0.05, fog + 0.06), (20, 20, 21), gloss=120)
        c.area("front", ring(sign * half * 0.80, fog, 0.04), (170, 172, 172), 250)
        c.area(
            "front",
            rect(sign * half * 0.90, sign * half * 0.99, lamp - 0.03, lamp + 0.03),
            (196, 120, 40),
            250,
            lamp=TURN,
        )


def draw_back(c: Canvas, s: Shape, style: int, trim: bool) -> None:
    """Rear window, boot lid, bumper and tail lamps."""
    half, roof = s.width / 2, s.width / 2 * s.tumblehome
    _, lamp = lamp_heights(s)
    if not s.box:
        deck = float(heights(s, np.array([s.tail_at]))[0][0]) + 0.03
        top = s.height - 0.12
        if s.vehicle_class == "van" and s.height > 2.3:
            top = 1.9
        pane = [(-half * 0.80, deck), (half * 0.80, deck), (roof * 0.90, top), (-roof * 0.90, top)]
        c.area("back", pane, GLASS, gloss=250, glass=255)
        if s.vehicle_class == "van" and s.pillars and s.glass_to < 2.5:
            c.area("back", rect(-0.05, 0.05, deck, top), BLACK, gloss=120, glass=0)
            c.line("back", [(0, 0.4), (0, s.height - 0.1)], 0.015, shade=40)
        c.line("back", [(-0.18, top + 0.04), (0.18, top + 0.04)], 0.03, (120, 10, 12))
    low = 0.42 if not trim else 0.58
    c.area("back", rect(-half, half, 0, low - 0.06), PLASTIC, gloss=60)
    if trim:
        c.area("back", rect(-half, half, 0, low), PLASTIC, gloss=60)
    seam = [(-half * 0.74, lamp + 0.10), (-half * 0.66, 0.60), (half * 0.66, 0.60), (half * 0.74, lamp + 0.10)]
    c.line("back", seam, 0.013, shade=40)
    c.area("back", rect(-0.36, 0.36, lamp - 0.24, lamp - 0.04), shade=104)
    _tail_lamps(c, s, style, lamp)
    if style % 3 == 0:
        c.line("back", [(-half * 0.5, lamp), (half * 0.5, lamp)], 0.022, CHROME)
    c.area("back", ring(0, lamp + 0.02, 0.05), CHROME, gloss=240)
    c.area("back", rect(0.45, 0.58, low - 0.20, low - 0.13), (90, 90, 92), gloss=200)


def _tail_lamps(c: Canvas, s: Shape, style: int, lamp: float) -> None:
    half = s.width / 2
    tall_lamps = s.vehicle_class in ("van", "pickup") or (s.vehicle_class in ("suv", "estate") and style % 4 == 1)
    for sign in (1, -1):
        if s.box:
            shape = rect(half * 0.70, half * 0.95, 0.62, 0.76)
        elif tall_lamps:
            shape = rect(half * 0.82, half * 1.02, lamp - 0.22, lamp + 0.22)
        else:
            inner = half * (0.48, 0.62, 0.40, 0.55)[style % 4]
            shape = [
                (inner, lamp - 0.01),
                (half * 1.02, lamp - 0.08),
                (half * 1.02, lamp + 0.09),
                (inner, lamp + 0.08),
            ]
        c.area("back", [(sign * y, z) for y, z in shape], RED, 250, lamp=BRAKE)
        y = sign * float(np.mean([p[0] for p in shape]))
        z = float(np.mean([p[1] for p in shape]))
        c.area("back", rect(y - 0.05, y + 0.05, z - 0.035, z), (196, 190, 184), 250, lamp=0)
        c.area("back", rect(sign * half * 0.72, sign * half * 0.92, 0.44, 0.48), (104, 10, 12), 230)
