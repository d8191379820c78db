"""The layers a vehicle's texture is drawn on, in metres of its own frame."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mtmc.types import Array
from tools.synthcity.body import VIEWS, Atlas
from tools.synthcity.shapes import Shape

__all__ = ["ATLAS_PX", "BRAKE", "HEAD", "TURN", "Canvas"]

#: Texture size, width and height.
ATLAS_PX = (768, 1120)

#: What a lamp does, as stored in the texture's third material channel.
HEAD, TURN, BRAKE = 220, 150, 90

Points = Sequence[tuple[float, float]]


class Canvas:
    """Drawing surface of one shape.

    Side views take (distance from the nose, height); front and back (y, height), y positive on the vehicle's left;
    the top (distance from the nose, y).

    Attributes:
        fixed: uint8 (H, W, 3), sRGB of what is not painted.
        bare: uint8 (H, W), 255 where ``fixed`` covers the paint.
        shade: uint8 (H, W), paint is multiplied by shade / 128.
        material: uint8 (H, W, 4): glass, gloss, lamp code, hole.
    """

    def __init__(self, shape: Shape) -> None:
        width, height = ATLAS_PX
        self.shape, self.atlas = shape, Atlas(shape)
        self.fixed = np.zeros((height, width, 3), np.uint8)
        self.bare = np.zeros((height, width), np.uint8)
        self.shade = np.full((height, width), 128, np.uint8)
        self.material = np.zeros((height, width, 4), np.uint8)
        self.material[..., 1] = 235
        # One channel each: OpenCV draws on contiguous arrays only.
        self._planes = [np.ascontiguousarray(self.material[..., k]) for k in range(4)]

    def pixels(self, view: str, points: Points) -> Array:
        """Where points of a view lie: float64 (N, 2), texture pixels."""
        a, b = np.asarray(points, float).T
        middle = self.shape.length / 2
        if view in ("left", "right"):
            place = np.stack([middle - a, np.zeros_like(a), b], 1)
        elif view == "top":
            place = np.stack([middle - a, b, np.zeros_like(a)], 1)
        else:
            place = np.stack([np.zeros_like(a), a, b], 1)
        return self.atlas.uv(view, place) * ATLAS_PX

    def metre_px(self, view: str) -> float:
        """Texture pixels per metre across a view."""
        span = self.atlas.length if view in ("left", "right", "top") else self.atlas.width
        return VIEWS[view][2] * ATLAS_PX[0] / span

    def area(
        self,
        view: str,
        points: Points,
        colour: tuple[int, int, int] | None = None,
        gloss: int | None = None,
        glass: int | None = None,
        lamp: int | None = None,
        hole: bool = False,
        shade: int | None = None,
    ) -> None:
        """Fill a polygon; what is None stays as it was."""
        corners = np.round(self.pixels(view, points) * 16).astype(np.int32).reshape(-1, 2)
        if colour is not None:
            cv2.fillPoly(self.fixed, [corners], colour, cv2.LINE_AA, 4)
            cv2.fillPoly(self.bare, [corners], 255, cv2.LINE_AA, 4)
        if shade is not None:
            cv2.fillPoly(self.shade, [corners], shade, cv2.LINE_AA, 4)
        for plane, value in zip(self._planes, (glass, gloss, lamp, 255 if hole else None), strict=True):
            if value is not None:
                cv2.fillPoly(plane, [corners], int(value), cv2.LINE_8, 4)

    def line(
        self,
        view: str,
        points: Points,
        width_m: float,
        colour: tuple[int, int, int] | None = None,
        shade: int | None = None,
    ) -> None:
        """Draw a line in a fixed colour, or as a darker or lighter trace of the paint."""
        corners = np.round(self.pixels(view, points) * 16).astype(np.int32).reshape(-1, 2)
        thick = max(1, round(width_m * self.metre_px(view)))
        if colour is not None:
            cv2.polylines(self.fixed, [corners], False, colour, thick, cv2.LINE_AA, 4)
            cv2.polylines(self.bare, [corners], False, 255, thick, cv2.LINE_AA, 4)
        if shade is not None:
            cv2.polylines(self.shade, [corners], False, shade, thick, cv2.LINE_AA, 4)

    def finish(self) -> None:
        """Gather the material planes; call once, after the last stroke."""
        self.material = np.stack(self._planes, axis=-1)
