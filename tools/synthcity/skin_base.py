"""What all vehicles of a shape and style have painted on them."""

from __future__ import annotations

from functools import cache

from tools.synthcity.canvas import Canvas
from tools.synthcity.shapes import SHAPES
from tools.synthcity.skin_ends import draw_back, draw_front, draw_top
from tools.synthcity.skin_large import draw_bus_ends, draw_cargo
from tools.synthcity.skin_sides import draw_side

__all__ = ["STYLES", "base_canvas"]

#: How many styles of front, rear and trim there are.
STYLES = 8


@cache
def base_canvas(name: str, style: int, trim: bool) -> Canvas:
    """The drawing shared by all vehicles of a shape, style and trim."""
    shape = SHAPES[name]
    canvas = Canvas(shape)
    for view in ("left", "right"):
        draw_side(canvas, shape, view, style, trim)
    if shape.vehicle_class == "bus":
        draw_bus_ends(canvas, shape, style)
    else:
        draw_top(canvas, shape, style)
        draw_front(canvas, shape, style, trim)
        draw_back(canvas, shape, style, trim)
    if shape.box:
        draw_cargo(canvas, shape, style)
    canvas.finish()
    return canvas
