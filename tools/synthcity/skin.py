"""A vehicle's texture: the shape's base drawing, its paint, and all that is its own."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from mtmc.types import Array
from tools.synthcity.body import VIEWS
from tools.synthcity.canvas import ATLAS_PX, Canvas
from tools.synthcity.identity import Identity
from tools.synthcity.skin_base import STYLES, base_canvas

__all__ = ["RIMS", "paint_skin", "rim_texture"]

#: Number of wheel designs.
RIMS = 8

_DIRT = np.array([112.0, 101.0, 86.0])
_NAMES = ("EXPRESS", "NORDIC", "FRESH & CO", "CITY LINE", "LOGI 24", "FLORA", "AQUA", "BAUWERK", "TAXI", "ELEKTRO")
_PLATES = ((238, 239, 236), (238, 239, 236), (234, 206, 90), (214, 226, 238))


def paint_skin(who: Identity) -> tuple[Array, Array]:
    """Colour and material of a vehicle: uint8 (H, W, 3) sRGB and (H, W, 4) as in :class:`Canvas`."""
    base = base_canvas(who.shape, who.style % STYLES, who.trim)
    paint = base.shade[..., None] * (np.array(who.paint, np.float32) / 128.0)
    bare = base.bare[..., None].astype(np.float32) / 255.0
    colour = np.clip(paint * (1 - bare) + base.fixed * bare, 0, 255).astype(np.uint8)
    material = base.material.copy()
    if who.decal >= 0:
        _decal(base, colour, who)
    _plates(base, colour, material, who)
    _wear(base, colour, material, who)
    # The last row is the colour of everything dark underneath.
    colour[-4:], material[-4:] = 9, (0, 15, 0, 0)
    return colour, material


def _plates(base: Canvas, colour: Array, material: Array, who: Identity) -> None:
    tone = _PLATES[who.plate_tone]
    picture = np.full((44, 200, 3), tone, np.uint8)
    cv2.rectangle(picture, (1, 1), (198, 42), (70, 70, 74), 2)
    cv2.rectangle(picture, (2, 2), (16, 41), (30, 60, 150), -1)
    cv2.putText(picture, who.plate, (22, 32), cv2.FONT_HERSHEY_DUPLEX, 0.95, (22, 24, 40), 2, cv2.LINE_AA)
    s = who.body
    rear = s.boot[1] - 0.26 if s.vehicle_class in ("sedan", "hatchback", "estate", "suv") else 0.52
    if s.vehicle_class in ("truck", "bus"):
        rear = 0.56
    for view, z in (("front", s.bumper - 0.06), ("back", max(rear, 0.50))):
        corners = base.pixels(view, [(-0.26, z - 0.06), (0.26, z + 0.06)])
        x0, x1 = sorted(np.round(corners[:, 0]).astype(int))
        y0, y1 = sorted(np.round(corners[:, 1]).astype(int))
        upright = picture if view == "back" else picture[:, ::-1]
        # Seen from ahead, the vehicle's left is on the right: the texture's front view is a mirror image.
        small = cv2.resize(upright, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
        colour[y0:y1, x0:x1] = small if view == "back" else small[:, ::-1]
        material[y0:y1, x0:x1] = (0, 150, 0, 0)


def _decal(base: Canvas, colour: Array, who: Identity) -> None:
    """Lettering on vans, trucks and buses; stripes or a sticker on cars."""
    rng = np.random.default_rng([who.decal, 401])
    hue = np.array([[[rng.integers(180), 210, 170]]], np.uint8)
    ink = tuple(int(v) for v in cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0])
    s = who.body
    if s.vehicle_class in ("truck", "bus") or s.height > 1.9:
        name = _NAMES[int(rng.integers(len(_NAMES)))]
        if s.box:
            start, stop, low, high = s.box[0] + 0.4, s.box[1] - 0.4, s.box[3] + 0.5, s.box[4] - 0.5
        else:
            start, stop, low, high = s.front_axle_at + 1.0, s.rear_axle_at - 0.8, 0.60, s.belt[0] - 0.10
        if s.vehicle_class == "van":
            start, stop, low, high = 2.3, s.rear_axle_at + 0.4, 0.95, min(1.6, s.height - 0.4)
        if high - low > 0.2:
            for view in ("left", "right"):
                _letters(base, colour, view, name, (start, stop, low, high), ink)
        return
    kind = who.decal % 3
    for view in ("left", "right"):
        if kind == 0:
            _fill(base, colour, view, [(0.6, 0.50), (s.length - 0.4, 0.56), (s.length - 0.4, 0.64), (0.6, 0.60)], ink)
        elif kind == 1:
            _fill(base, colour, view, [(1.6, 0.56), (2.3, 0.56), (2.3, 0.82), (1.6, 0.82)], ink)
            _letters(base, colour, view, _NAMES[who.decal % len(_NAMES)], (1.65, 2.25, 0.6, 0.78), (245, 245, 240))
    if kind == 2:
        for y in (-0.22, 0.22):
            _fill(
                base,
                colour,
                "top",
                [(0.2, y - 0.1), (s.cowl_at - 0.1, y - 0.12), (s.cowl_at - 0.1, y + 0.12), (0.2, y + 0.1)],
                ink,
            )
    _fill(base, colour, "back", [(0.42, 0.74), (0.60, 0.74), (0.60, 0.82), (0.42, 0.82)], ink)


def _fill(base: Canvas, colour: Array, view: str, points: list[tuple[float, float]], ink: tuple[int, ...]) -> None:
    corners = np.round(base.pixels(view, points) * 16).astype(np.int32).reshape(-1, 2)
    mask = np.zeros(colour.shape[:2], np.uint8)
    cv2.fillPoly(mask, [corners], 255, cv2.LINE_AA, 4)
    mask[base.bare > 128] = 0
    share = mask[..., None] / 255.0
    colour[:] = (colour * (1 - share) + np.array(ink) * share).astype(np.uint8)


def _letters(
    base: Canvas, colour: Array, view: str, text: str, room: tuple[float, float, float, float], ink: tuple[int, ...]
) -> None:
    start, stop, low, high = room
    corners = base.pixels(view, [(start, low), (stop, high)])
    x0, x1 = sorted(np.round(corners[:, 0]).astype(int))
    y0, y1 = sorted(np.round(corners[:, 1]).astype(int))
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_TRIPLEX, 2.0, 5)
    picture = np.zeros((height + below + 8, width + 8), np.uint8)
    cv2.putText(picture, text, (4, height + 4), cv2.FONT_HERSHEY_TRIPLEX, 2.0, 255, 5, cv2.LINE_AA)
    fit = min((x1 - x0) / picture.shape[1], (y1 - y0) / picture.shape[0])
    size = max(1, int(picture.shape[1] * fit)), max(1, int(picture.shape[0] * fit))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    # The left side's texture runs from tail to nose, which a reader sees from nose to tail.
    small = small[:, ::-1] if view == "left" else small
    place = colour[y0 : y0 + size[1], x0 : x0 + size[0]]
    share = small[: place.shape[0], : place.shape[1], None] / 255.0
    place[:] = (place * (1 - share) + np.array(ink) * share).astype(np.uint8)


@cache
def _height_of_rows() -> Array:
    """How high a texture row lies on the vehicle, as a share of its height: float32 (H, W)."""
    width, height = ATLAS_PX
    out = np.full((height, width), 0.55, np.float32)
    for view, (left, top, wide, tall) in VIEWS.items():
        if view != "top":
            rows = slice(round(top * height), round((top + tall) * height))
            columns = slice(round(left * width), round((left + wide) * width))
            out[rows, columns] = np.linspace(1, 0, rows.stop - rows.start, dtype=np.float32)[:, None]
    return out


def _wear(base: Canvas, colour: Array, material: Array, who: Identity) -> None:
    """Dirt that is thickest at the sills, and scratches."""
    rng = np.random.default_rng([who.grime, 409])
    width, height = ATLAS_PX
    for _ in range(who.damage):
        view = ("left", "right")[int(rng.integers(2))]
        left, top, wide, tall = VIEWS[view]
        x = (left + wide * rng.uniform(0.15, 0.85)) * width
        y = (top + tall * rng.uniform(0.45, 0.75)) * height
        end = (round(x + rng.normal(0, 30)), round(y + rng.normal(0, 5)))
        cv2.line(colour, (round(x), round(y)), end, (150, 150, 148), 1, cv2.LINE_AA)
    clouds = sum(
        share
        * cv2.resize(
            rng.random((height // cell, width // cell), np.float32), (width, height), interpolation=cv2.INTER_LINEAR
        )
        for cell, share in ((8, 0.3), (40, 0.7))
    )
    low = np.clip(1.1 - 2.1 * _height_of_rows(), 0.06, 1)
    share = np.clip(low * (0.25 + 1.1 * clouds) * who.dirt * 1.1, 0, 0.8)
    share[material[..., 2] > 0] *= 0.3
    colour[:] = (colour * (1 - share[..., None]) + _DIRT.astype(np.float32) * share[..., None]).astype(np.uint8)
    material[..., 1] = (material[..., 1] * (1 - 0.8 * share)).astype(np.uint8)
    material[..., 0] = (material[..., 0] * (1 - 0.5 * share)).astype(np.uint8)


@cache
def rim_texture(design: int) -> Array:
    """Tyre and rim seen from outside: uint8 (128, 128, 4), sRGB and gloss."""
    size, middle = 128, (64, 64)
    picture = np.zeros((size, size, 4), np.uint8)
    picture[..., :3] = (21, 21, 22)
    picture[..., 3] = 20
    metal = (
        (172, 174, 177),
        (150, 152, 155),
        (60, 61, 64),
        (190, 192, 195),
        (118, 120, 124),
        (32, 32, 34),
        (98, 98, 100),
        (160, 162, 160),
    )
    tone = (*metal[design], 210)
    spokes, thick = (5, 10, 6, 7, 9, 5, 14, 8)[design], (9, 5, 9, 7, 6, 12, 4, 6)[design]
    cv2.circle(picture, middle, 44, (14, 14, 15, 40), -1, cv2.LINE_AA)
    cv2.circle(picture, middle, 42, tone, 5, cv2.LINE_AA)
    for k in range(spokes):
        angle = 2 * np.pi * k / spokes
        for spread in (-0.13, 0.13) if design in (0, 4) else (0.0,):
            tip = (round(64 + 41 * np.cos(angle + spread)), round(64 + 41 * np.sin(angle + spread)))
            cv2.line(picture, middle, tip, tone, thick, cv2.LINE_AA)
    cv2.circle(picture, middle, 11, tone, -1, cv2.LINE_AA)
    cv2.circle(picture, middle, 5, (50, 50, 52, 200), -1, cv2.LINE_AA)
    return picture
