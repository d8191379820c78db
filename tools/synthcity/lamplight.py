"""Light that comes from lamps: of streets on vehicles, and of vehicles on each other."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array
from tools.synthcity.actors import Actor
from tools.synthcity.identity import Identity
from tools.synthcity.light import Light

__all__ = ["head_lamp_light", "street_light"]


def street_light(light: Light, lamps: list[tuple[float, float, float]], actor: Actor) -> tuple[float, ...]:
    """Light of the street lamps at (x, y, z) on an actor, linear colour."""
    lamp = np.array(light.street_lamps)
    if lamp[0] <= 0:
        return (0.0, 0.0, 0.0)
    gap = np.array(lamps) - actor.pose[:3, 3]
    square = (gap * gap).sum(axis=1)
    steep = np.clip((gap[:, 2] / np.sqrt(square) - 0.12) / 0.6, 0, 1)
    return tuple(float(v) for v in 10 * lamp * (steep / (square + 40)).sum())


def head_lamp_light(light: Light, actors: list[Actor]) -> dict[int, tuple[Array, float]]:
    """For every actor the direction and strength of the head lamps that light it most."""
    none = np.array([0.0, 0.0, 1.0]), 0.0
    if light.glow <= 0.2:
        return {actor.id: none for actor in actors}
    lit = [a for a in actors if a.lamps and isinstance(a.looks, Identity)]
    out = {}
    for actor in actors:
        best = none
        for other in lit:
            gap = actor.pose[:3, 3] - other.pose[:3, 3]
            far = float(np.linalg.norm(gap))
            if other is actor or far < 1.0 or far > 45.0:
                continue
            aim = float(gap @ other.pose[:3, 0]) / far
            strength = 9.0 * np.clip((aim - 0.90) / 0.08, 0, 1) / max(far, 5.0) ** 2
            if strength > best[1]:
                best = (-gap / far, float(strength))
        out[actor.id] = best
    return out
