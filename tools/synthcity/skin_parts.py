"""Colours and outlines that the drawings of a vehicle share."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array
from tools.synthcity.body import deck_and_roof
from tools.synthcity.shapes import Shape

__all__ = [
    "BLACK",
    "BODY_GREY",
    "CHROME",
    "GLASS",
    "LAMP_GLASS",
    "PLASTIC",
    "RED",
    "heights",
    "lamp_heights",
    "rect",
    "ring",
]

BLACK, PLASTIC, GLASS = (17, 18, 19), (30, 31, 33), (16, 19, 21)
CHROME, LAMP_GLASS, RED = (172, 175, 178), (150, 158, 165), (118, 8, 12)
BODY_GREY = (206, 207, 205)


def rect(a0: float, a1: float, b0: float, b1: float) -> list[tuple[float, float]]:
    """The corners of a rectangle."""
    return [(a0, b0), (a1, b0), (a1, b1), (a0, b1)]


def ring(d: float, z: float, radius: float, squash: float = 1.0) -> list[tuple[float, float]]:
    """A circle, squashed if asked."""
    turn = np.linspace(0, 2 * np.pi, 41)
    return [(d + radius * float(np.cos(t)), z + squash * radius * float(np.sin(t))) for t in turn]


def heights(shape: Shape, d: Array) -> tuple[Array, Array]:
    """Heights of the line below the windows and of the top, at distances from the nose: (N,) → (N,), (N,)."""
    deck, roof = deck_and_roof(shape, np.asarray(d, float))
    return deck, roof


def lamp_heights(s: Shape) -> tuple[float, float]:
    """Middle height of the head lamps and of the tail lamps."""
    front = s.hood[0] - 0.10 if s.cowl_at > 0.6 else 0.78
    return front, (s.boot[1] - 0.16 if not s.box else 0.98)
