"""What all vehicles of a shape and style have painted on them: windows, lamps, gaps, trim."""

from __future__ import annotations

from functools import cache

import numpy as np

from mtmc.types import Array
from tools.synthcity.body import deck_and_roof
from tools.synthcity.canvas import BRAKE, HEAD, TURN, Canvas
from tools.synthcity.shapes import SHAPES, Shape

__all__ = ["STYLES", "base_canvas"]

#: How many styles of front, rear and trim there are.
STYLES = 8

_BLACK, _PLASTIC, _GLASS = (17, 18, 19), (30, 31, 33), (16, 19, 21)
_CHROME, _LAMP_GLASS, _RED = (172, 175, 178), (150, 158, 165), (118, 8, 12)
_BODY_GREY = (206, 207, 205)


@cache
def base_canvas(name: str, style: int, trim: bool) -> Canvas:
    """The drawing shared by all vehicles of a shape, style and trim."""
    shape = SHAPES[name]
    canvas = Canvas(shape)
    for view in ("left", "right"):
        _side(canvas, shape, view, style, trim)
    if shape.vehicle_class == "bus":
        _bus_ends(canvas, shape, style)
    else:
        _top(canvas, shape, style)
        _front(canvas, shape, style, trim)
        _back(canvas, shape, style, trim)
    if shape.box:
        _cargo(canvas, shape, style)
    canvas.finish()
    return canvas


def _rect(a0: float, a1: float, b0: float, b1: float) -> list[tuple[float, float]]:
    return [(a0, b0), (a1, b0), (a1, b1), (a0, b1)]


def _ring(d: float, z: float, radius: float, squash: float = 1.0) -> list[tuple[float, float]]:
    turn = np.linspace(0, 2 * np.pi, 41)
    return [(d + radius * float(np.cos(t)), z + squash * radius * float(np.sin(t))) for t in turn]


def _heights(shape: Shape, d: Array) -> tuple[Array, Array]:
    deck, roof = deck_and_roof(shape, np.asarray(d, float))
    return deck, roof


# ---- sides


def _side(c: Canvas, s: Shape, view: str, style: int, trim: bool) -> None:
    heavy = s.vehicle_class in ("truck", "bus")
    low = 0.40 if trim else 0.30
    if not heavy:
        c.area(view, _rect(-0.1, s.length + 0.1, 0, low), _PLASTIC if trim else None, gloss=70, shade=62)
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
            c.area(view, _ring(d, s.wheel_radius, radius + 0.06), _PLASTIC, gloss=60)
        else:
            c.line(view, _ring(d, s.wheel_radius, radius + 0.025), 0.03, shade=92)
        c.area(view, _ring(d, s.wheel_radius, radius), (7, 7, 8), gloss=10, hole=True)


def _creases(c: Canvas, s: Shape, view: str) -> None:
    d = np.linspace(0.45, s.length - 0.3, 24)
    shoulder = s.belt[0] - 0.16 + (s.belt[1] - s.belt[0] + 0.03) * d / s.length
    if s.vehicle_class == "van" and s.cowl_at < 0.95:
        shoulder = np.full_like(d, 0.78)
    strip = list(zip(d, shoulder, strict=True)) + list(zip(d[::-1], shoulder[::-1] - 0.09, strict=True))
    c.area(view, strip, shade=112)
    c.line(view, list(zip(d, shoulder + 0.012, strict=True)), 0.018, shade=148)
    lower = _rect(s.front_axle_at + 0.55, s.rear_axle_at - 0.5, 0.42, 0.52)
    c.area(view, lower, shade=104)
    c.line(view, [lower[3], lower[2]], 0.014, shade=146)


def _window_band(s: Shape) -> tuple[Array, Array, Array]:
    """Distances, lower and upper edge of the side windows."""
    start = s.cowl_at + (0.22 if s.vehicle_class not in ("truck", "bus") else 0.10)
    d = np.linspace(start, s.glass_to, 40)
    deck, roof = _heights(s, d)
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
    c.area(view, frame, _BLACK, gloss=150)
    c.area(view, pane, _GLASS, gloss=250, glass=255)
    half = {"bus": 0.05, "truck": 0.03}.get(s.vehicle_class, 0.045)
    for pillar in s.pillars:
        c.area(
            view,
            _rect(pillar - half, pillar + half, float(low.min()) - edge, float(up.max()) + edge),
            _BLACK,
            gloss=150,
            glass=0,
        )
    if style % 3 == 0 and s.vehicle_class not in ("truck", "bus"):
        c.line(view, list(zip(d, low - edge, strict=True)), 0.018, _CHROME)
    if s.vehicle_class == "van" and s.pillars and s.glass_to < 2.5:
        c.area(view, _rect(s.cowl_at, s.pillars[0] - 0.09, float(low.min()), 1.45), shade=120)


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
        handle = _rect(d - 0.30, d - 0.12, z, z + 0.032)
        c.area(view, handle, _CHROME if style % 3 == 0 else None, gloss=240, shade=150)
        c.line(view, [handle[0], handle[1]], 0.012, shade=50)
    if view == "right" and s.vehicle_class not in ("truck", "bus"):
        c.line(view, _ring(s.rear_axle_at + 0.30, base - 0.14, 0.085), 0.01, shade=60)


def _side_lamps(c: Canvas, s: Shape, view: str, style: int) -> None:
    front, rear = _lamp_heights(s)
    reach = (0.30, 0.38, 0.24, 0.34)[style % 4]
    c.area(
        view,
        [(-0.05, front - 0.08), (reach * 0.8, front - 0.01), (reach, front + 0.05), (-0.05, front + 0.04)],
        _LAMP_GLASS,
        250,
        lamp=HEAD,
    )
    end = s.length
    if s.vehicle_class in ("van", "pickup") and s.cowl_at < 2:
        c.area(view, _rect(end - 0.09, end + 0.05, rear - 0.22, rear + 0.16), _RED, 250, lamp=BRAKE)
    else:
        c.area(
            view,
            [
                (end + 0.05, rear - 0.07),
                (end - reach, rear - 0.01),
                (end - reach, rear + 0.05),
                (end + 0.05, rear + 0.08),
            ],
            _RED,
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
    c.area(view, _rect(0, s.length, 0.2, 0.62), shade=70)
    c.line(view, [(0, 0.98), (s.length, 0.98)], 0.03, shade=80)
    if style % 2:
        c.area(view, _rect(0, s.length, 0.62, 0.92), _BODY_GREY, gloss=200)
    if view == "right":
        for at in (0.07, 0.48, 0.80) if s.length > 10 and s.height < 3.3 else (0.08,):
            d = at * s.length
            if min(abs(d + 0.6 - axle) for axle in (s.front_axle_at, s.rear_axle_at)) > 1.1:
                c.area(view, _rect(d, d + 1.2, 0.42, s.height - 0.55), _BLACK, gloss=200)
                c.area(view, _rect(d + 0.05, d + 0.58, 0.50, s.height - 0.62), _GLASS, 250, glass=255)
                c.area(view, _rect(d + 0.63, d + 1.15, 0.50, s.height - 0.62), _GLASS, 250, glass=255)


# ---- from above


def _top(c: Canvas, s: Shape, style: int) -> None:
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
    c.area("top", screen, _BLACK, gloss=160)
    c.area("top", inner, _GLASS, gloss=250, glass=255)
    if not s.box and not s.bed:
        a, b = s.roof_end_at + 0.05, s.tail_at - 0.04
        c.area(
            "top",
            [(a, roof * 0.90), (b, half * 0.80), (b, -half * 0.80), (a, -roof * 0.90)],
            _GLASS,
            gloss=250,
            glass=255,
        )
    if s.cowl_at > 0.6:
        for sign in (1, -1):
            c.line("top", [(s.cowl_at - 0.02, sign * half * 0.86), (0.22, sign * half * 0.70)], 0.013, shade=45)
            c.line("top", [(s.cowl_at - 0.05, sign * half * 0.45), (0.20, sign * half * 0.32)], 0.05, shade=112)
            c.line("top", [(s.cowl_at - 0.05, sign * half * 0.50), (0.20, sign * half * 0.37)], 0.02, shade=146)
        c.line("top", [(s.cowl_at, -half * 0.86), (s.cowl_at, half * 0.86)], 0.06, _BLACK)
        c.line("top", [(0.10, -half * 0.62), (0.06, 0.0), (0.10, half * 0.62)], 0.013, shade=45)
    for sign in (1, -1):
        if not s.box:
            c.line(
                "top",
                [(s.screen_top_at + 0.05, sign * roof * 0.90), (s.roof_end_at, sign * roof * 0.90)],
                0.02,
                shade=70,
            )
        c.line("top", [(s.cowl_at + 0.02, 0.35 * sign - 0.1), (s.cowl_at + 0.30, 0.35 * sign - 0.5)], 0.02, _BLACK)
    if style in (2, 5) and s.vehicle_class in ("sedan", "suv", "hatchback", "estate"):
        c.area("top", _rect(s.screen_top_at + 0.12, s.screen_top_at + 0.80, -0.40, 0.40), _BLACK, gloss=250)
    if s.vehicle_class == "sedan":
        c.line("top", [(s.tail_at + 0.05, -half * 0.72), (s.tail_at + 0.05, half * 0.72)], 0.013, shade=45)
    if s.bed:
        a, b = s.bed
        c.area("top", _rect(a, b, -half * 0.80, half * 0.80), (26, 26, 27), gloss=40)
        for y in np.linspace(-0.62, 0.62, 7):
            c.line("top", [(a + 0.05, float(y)), (b - 0.05, float(y))], 0.035, (44, 44, 45))


# ---- front and back


def _lamp_heights(s: Shape) -> tuple[float, float]:
    """Middle height of the head lamps and of the tail lamps."""
    front = s.hood[0] - 0.10 if s.cowl_at > 0.6 else 0.78
    return front, (s.boot[1] - 0.16 if not s.box else 0.98)


def _front(c: Canvas, s: Shape, style: int, trim: bool) -> None:
    half, roof = s.width / 2, s.width / 2 * s.tumblehome
    lamp, _ = _lamp_heights(s)
    deck = float(_heights(s, np.array([s.cowl_at]))[0][0])
    top = s.height - 0.09
    c.area(
        "front",
        [(-half * 0.90, deck), (half * 0.90, deck), (roof * 0.97, top), (-roof * 0.97, top)],
        _BLACK,
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
        _GLASS,
        250,
        glass=255,
    )
    low = s.bumper - 0.22
    c.area("front", _rect(-half, half, 0, low), _PLASTIC, gloss=60)
    if trim or s.box:
        c.area("front", _rect(-half, half, 0, s.bumper + 0.02), _PLASTIC, gloss=60)
    wide = half * (0.50, 0.62, 0.44, 0.58)[style % 4]
    upper = lamp + (0.04, 0.02, 0.05, -0.01)[style % 4]
    lower = {0: lamp - 0.12, 1: lamp - 0.20, 2: lamp - 0.07, 3: s.bumper - 0.02}[style % 4]
    grille = [(-wide * 0.86, lower), (wide * 0.86, lower), (wide, upper), (-wide, upper)]
    c.area("front", grille, (11, 11, 12), gloss=110)
    for i in range(4):
        z = lower + (upper - lower) * (i + 0.5) / 4
        c.line("front", [(-wide * 0.88, z), (wide * 0.88, z)], 0.012, _CHROME if style == 0 else (52, 53, 55))
    if style % 2 == 0:
        c.line("front", [*grille, grille[0]], 0.018, _CHROME)
    c.area("front", _ring(0, (upper + lower) / 2, 0.055), _CHROME, gloss=240)
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
            bulb = _ring(sign * y, lamp + slant * share, tall * 0.42)
            c.area("front", bulb, (214, 219, 224), 250, lamp=HEAD)
        edge = [(inner, lamp - tall / 2), (outer, lamp - tall / 2 + slant)]
        c.line("front", [(sign * y, z) for y, z in edge], 0.016, (225, 230, 235))
        fog = s.bumper - 0.12
        c.area(
            "front", _rect(sign * half * 0.72, sign * half * 0.90, fog - 0.05, fog + 0.06), (20, 20, 21), gloss=120
        )
        c.area("front", _ring(sign * half * 0.80, fog, 0.04), (170, 172, 172), 250)
        c.area(
            "front",
            _rect(sign * half * 0.90, sign * half * 0.99, lamp - 0.03, lamp + 0.03),
            (196, 120, 40),
            250,
            lamp=TURN,
        )


def _back(c: Canvas, s: Shape, style: int, trim: bool) -> None:
    half, roof = s.width / 2, s.width / 2 * s.tumblehome
    _, lamp = _lamp_heights(s)
    if not s.box:
        deck = float(_heights(s, np.array([s.tail_at]))[0][0]) + 0.03
        top = s.height - 0.12
        if s.vehicle_class == "van" and s.height > 2.3:
            top = 1.9
        pane = [(-half * 0.80, deck), (half * 0.80, deck), (roof * 0.90, top), (-roof * 0.90, top)]
        c.area("back", pane, _GLASS, gloss=250, glass=255)
        if s.vehicle_class == "van" and s.pillars and s.glass_to < 2.5:
            c.area("back", _rect(-0.05, 0.05, deck, top), _BLACK, gloss=120, glass=0)
            c.line("back", [(0, 0.4), (0, s.height - 0.1)], 0.015, shade=40)
        c.line("back", [(-0.18, top + 0.04), (0.18, top + 0.04)], 0.03, (120, 10, 12))
    low = 0.42 if not trim else 0.58
    c.area("back", _rect(-half, half, 0, low - 0.06), _PLASTIC, gloss=60)
    if trim:
        c.area("back", _rect(-half, half, 0, low), _PLASTIC, gloss=60)
    seam = [(-half * 0.74, lamp + 0.10), (-half * 0.66, 0.60), (half * 0.66, 0.60), (half * 0.74, lamp + 0.10)]
    c.line("back", seam, 0.013, shade=40)
    c.area("back", _rect(-0.36, 0.36, lamp - 0.24, lamp - 0.04), shade=104)
    _tail_lamps(c, s, style, lamp)
    if style % 3 == 0:
        c.line("back", [(-half * 0.5, lamp), (half * 0.5, lamp)], 0.022, _CHROME)
    c.area("back", _ring(0, lamp + 0.02, 0.05), _CHROME, gloss=240)
    c.area("back", _rect(0.45, 0.58, low - 0.20, low - 0.13), (90, 90, 92), gloss=200)


def _tail_lamps(c: Canvas, s: Shape, style: int, lamp: float) -> None:
    half = s.width / 2
    tall_lamps = s.vehicle_class in ("van", "pickup") or (s.vehicle_class in ("suv", "estate") and style % 4 == 1)
    for sign in (1, -1):
        if s.box:
            shape = _rect(half * 0.70, half * 0.95, 0.62, 0.76)
        elif tall_lamps:
            shape = _rect(half * 0.82, half * 1.02, lamp - 0.22, lamp + 0.22)
        else:
            inner = half * (0.48, 0.62, 0.40, 0.55)[style % 4]
            shape = [
                (inner, lamp - 0.01),
                (half * 1.02, lamp - 0.08),
                (half * 1.02, lamp + 0.09),
                (inner, lamp + 0.08),
            ]
        c.area("back", [(sign * y, z) for y, z in shape], _RED, 250, lamp=BRAKE)
        y = sign * float(np.mean([p[0] for p in shape]))
        z = float(np.mean([p[1] for p in shape]))
        c.area("back", _rect(y - 0.05, y + 0.05, z - 0.035, z), (196, 190, 184), 250, lamp=0)
        c.area("back", _rect(sign * half * 0.72, sign * half * 0.92, 0.44, 0.48), (104, 10, 12), 230)


def _bus_ends(c: Canvas, s: Shape, style: int) -> None:
    half, top = s.width / 2, s.height
    c.area("front", _rect(-half, half, s.belt[0] - 0.1, top - 0.12), _BLACK, gloss=220)
    c.area("front", _rect(-half * 0.94, half * 0.94, s.belt[0] - 0.02, top - 0.52), _GLASS, 250, glass=255)
    c.area("front", _rect(-half * 0.75, half * 0.75, top - 0.44, top - 0.18), (8, 8, 8), 220)
    for i in range(9):
        if (style * 37 + i * 11) % 5:
            y = -0.62 + i * 0.15
            c.area("front", _rect(y, y + 0.10, top - 0.38, top - 0.24), (236, 150, 30), 220, lamp=TURN)
    c.area("front", _rect(-half, half, 0.2, 0.42), _PLASTIC, gloss=60)
    for sign in (1, -1):
        c.area("front", _rect(sign * half * 0.55, sign * half * 0.95, 0.66, 0.86), (60, 64, 68), 250)
        for y in (0.64, 0.84):
            c.area("front", _ring(sign * half * y, 0.76, 0.085), (214, 218, 222), 250, lamp=HEAD)
        c.area("back", _rect(sign * half * 0.86, sign * half * 0.97, 0.70, 1.35), _RED, 250, lamp=BRAKE)
    c.area("back", _rect(-half * 0.86, half * 0.86, top - 1.35, top - 0.40), _GLASS, 250, glass=255)
    c.area("back", _rect(-half * 0.7, half * 0.7, 0.55, 1.15), shade=88)
    for i in range(6):
        c.line("back", [(-half * 0.66, 0.6 + 0.1 * i), (half * 0.66, 0.6 + 0.1 * i)], 0.02, shade=50)
    for at in (0.25, 0.62):
        d = at * s.length
        c.area("top", _rect(d, d + 1.6, -0.8, 0.8), (198, 199, 198), gloss=80)
        c.line("top", [*_rect(d, d + 1.6, -0.8, 0.8), (d, -0.8)], 0.05, (120, 120, 120))


def _scaled(tone: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    return int(tone[0] * share), int(tone[1] * share), int(tone[2] * share)


def _cargo(c: Canvas, s: Shape, style: int) -> None:
    assert s.box is not None
    start, stop, half, floor, top = s.box
    tone = ((226, 227, 224), (202, 205, 207), (234, 234, 232), (188, 190, 186))[style % 4]
    rail = _scaled(tone, 0.62)
    for view in ("left", "right"):
        c.area(view, _rect(start, stop, floor, top), tone, gloss=110, glass=0, lamp=0)
        for d in np.arange(start + 0.35, stop, 0.42):
            c.line(view, [(float(d), floor + 0.08), (float(d), top - 0.06)], 0.014, _scaled(tone, 0.92))
        c.line(view, [(start, floor + 0.05), (stop, floor + 0.05)], 0.09, rail)
        c.line(view, [(start, top - 0.04), (stop, top - 0.04)], 0.06, rail)
        low = max(floor - 0.06, 0.5)
        c.area(view, _rect(start - 0.3, stop, 0, low), (24, 24, 25), gloss=30)
        for d in np.arange(start + 0.5, stop - 0.3, 1.2):
            c.area(view, _rect(float(d), float(d) + 0.14, floor + 0.01, floor + 0.06), (190, 110, 20), 220)
    c.area("back", _rect(-half, half, floor, top), tone, gloss=100, glass=0, lamp=0)
    c.line("back", [(0, floor), (0, top)], 0.02, (60, 60, 60))
    for y in (-0.75, -0.25, 0.25, 0.75):
        c.line("back", [(y * half, floor), (y * half, top)], 0.03, rail)
    c.area("back", _rect(-half, half, 0.3, floor), (26, 26, 27), gloss=40)
    for sign in (1, -1):
        c.area(
            "back", _rect(sign * half * 0.68, sign * half * 0.95, floor - 0.26, floor - 0.10), _RED, 250, lamp=BRAKE
        )
    c.area("front", _rect(-half, half, s.height + 0.02, top + 0.1), tone, gloss=100)
    c.area(
        "top",
        _rect(start - 0.02, stop, -half - 0.05, half + 0.05),
        (206, 207, 204) if top > 2 else (70, 62, 52),
        gloss=60,
    )
