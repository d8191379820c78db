"""Pedestrians and cyclists: simple figures, there to distract."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from scipy.spatial import ConvexHull

from mtmc.types import Array
from tools.synthcity.body import Body
from tools.synthcity.mesh import Mesh, ellipsoid, join, tube

__all__ = ["Figure", "draw_figure", "figure_body", "figure_skin"]

_SKIN, _HAIR, _TOP, _LEGS, _SHOES, _METAL = range(6)
_TONES = 8


@dataclass(frozen=True, slots=True)
class Figure:
    """A person on foot or on a bicycle.

    Attributes:
        kind: ``person`` or ``bicycle``.
        stride: Which phase of the step the figure is in, 0–3.
        tones: sRGB of skin, hair, top, legs, shoes, metal.
        size: Relative to an adult of 1.75 m.
    """

    kind: str
    stride: int
    tones: tuple[tuple[int, int, int], ...]
    size: float


def draw_figure(seed: int, kind: str) -> Figure:
    """The figure of a seed."""
    rng = np.random.default_rng([seed, 701])
    skin = ((196, 152, 126), (150, 104, 78), (92, 62, 46))[int(rng.integers(3))]
    hair = ((32, 26, 22), (86, 62, 40), (150, 130, 100), (40, 40, 44))[int(rng.integers(4))]
    red, green, blue = (rng.integers(20, 220, 3) * rng.uniform(0.4, 1.0)).astype(int).tolist()
    legs = ((30, 34, 48), (24, 24, 26), (88, 80, 66), (58, 66, 84))[int(rng.integers(4))]
    return Figure(
        kind,
        int(rng.integers(4)),
        (skin, hair, (red, green, blue), legs, (28, 26, 26), (60, 62, 66)),
        float(rng.uniform(0.9, 1.06)),
    )


def figure_skin(figure: Figure) -> tuple[Array, Array]:
    """Colour and material textures, one column per tone: uint8 (4, 8, 3) and (4, 8, 4)."""
    colour = np.zeros((4, _TONES, 3), np.uint8)
    colour[:, : len(figure.tones)] = np.array(figure.tones)
    material = np.zeros((4, _TONES, 4), np.uint8)
    material[..., 1] = 40
    return colour, material


def _toned(mesh: Mesh, tone: int) -> Mesh:
    return mesh.with_uv((tone + 0.5) / _TONES, 0.5)


def _limb(points: list[tuple[float, float, float]], radius: float, tone: int) -> Mesh:
    parts = [tube(a, b, radius, radius * 0.85, 6) for a, b in pairwise(points)]
    return _toned(join(parts), tone)


@cache
def figure_body(kind: str, stride: int) -> Body:
    """The mesh of a figure; ``wheel`` is empty of wheels."""
    parts = _rider(stride) if kind == "bicycle" else _walker(stride)
    mesh = join(parts)
    nothing = Mesh(np.zeros((3, 3)), np.tile([0, 0, 1.0], (3, 1)), np.zeros((3, 2)), np.zeros((0, 3), int))
    return Body(mesh, mesh, nothing, np.zeros((0, 3)), mesh.points[ConvexHull(mesh.points).vertices])


def _walker(stride: int) -> list[Mesh]:
    swing = (0.30, 0.12, -0.12, -0.30)[stride]
    parts = [
        _toned(ellipsoid((0, 0, 1.63), (0.10, 0.085, 0.125), 5), _SKIN),
        _toned(ellipsoid((-0.015, 0, 1.68), (0.105, 0.09, 0.10), 5), _HAIR),
        _toned(ellipsoid((0, 0, 1.22), (0.14, 0.21, 0.34), 5), _TOP),
        _toned(ellipsoid((0, 0, 0.93), (0.13, 0.17, 0.17), 5), _LEGS),
    ]
    for side in (1, -1):
        step = swing * side
        parts.append(
            _limb([(0, 0.09 * side, 0.92), (0.6 * step, 0.09 * side, 0.48), (step, 0.09 * side, 0.08)], 0.075, _LEGS)
        )
        parts.append(_toned(ellipsoid((step + 0.05, 0.09 * side, 0.05), (0.13, 0.05, 0.05), 4), _SHOES))
        parts.append(
            _limb(
                [(0, 0.22 * side, 1.42), (-0.4 * step, 0.25 * side, 1.12), (-0.5 * step + 0.08, 0.24 * side, 0.86)],
                0.05,
                _TOP,
            )
        )
    return parts


def _rider(stride: int) -> list[Mesh]:
    parts = []
    for x in (0.52, -0.52):
        turn = np.linspace(0, 2 * np.pi, 15)
        ring = [(x + 0.34 * float(np.cos(t)), 0.0, 0.34 + 0.34 * float(np.sin(t))) for t in turn]
        parts.append(_limb(ring, 0.022, _SHOES))
    parts.append(_limb([(-0.52, 0, 0.34), (-0.15, 0, 0.85), (0.42, 0, 0.88), (0.52, 0, 0.34)], 0.022, _METAL))
    parts.append(_limb([(-0.15, 0, 0.85), (-0.02, 0, 0.32), (0.42, 0, 0.82)], 0.022, _METAL))
    parts.append(_limb([(0.44, -0.28, 1.02), (0.44, 0.28, 1.02)], 0.018, _METAL))
    parts.append(_toned(ellipsoid((0.18, 0, 1.62), (0.10, 0.085, 0.125), 5), _SKIN))
    parts.append(_toned(ellipsoid((0.16, 0, 1.68), (0.12, 0.09, 0.09), 5), _HAIR))
    parts.append(_limb([(-0.18, 0, 0.95), (0.12, 0, 1.44)], 0.17, _TOP))
    for side in (1, -1):
        down = 0.16 * side * (1 if stride % 2 else -1)
        parts.append(
            _limb(
                [(-0.16, 0.09 * side, 0.95), (0.18, 0.10 * side, 0.72 + down * 0.4), (0.0, 0.10 * side, 0.32 + down)],
                0.07,
                _LEGS,
            )
        )
        parts.append(
            _limb([(0.10, 0.19 * side, 1.40), (0.28, 0.24 * side, 1.15), (0.43, 0.24 * side, 1.04)], 0.045, _TOP)
        )
    return parts
