"""What moves before a camera, and how the camera turns light into a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmc.types import Array
from tools.synthcity.body import Body, build_body
from tools.synthcity.identity import Identity
from tools.synthcity.people import Figure, figure_body

__all__ = ["Actor", "Develop"]


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """Something that moves, at one moment.

    Attributes:
        id: 1 … 4095, the number it has in the picture of ids.
        looks: What it is.
        pose: float64 (4, 4), its frame to the world, scale included.
        velocity: float64 (2,), metres per second.
        rolled_m: Distance rolled, turns the wheels.
        steer_rad: Angle of the front wheels.
        braking: Brake lamps are on.
        lamps: Head and tail lamps are on.
    """

    id: int
    looks: Identity | Figure
    pose: Array
    velocity: Array
    rolled_m: float = 0.0
    steer_rad: float = 0.0
    braking: bool = False
    lamps: bool = False

    @property
    def body(self) -> Body:
        """Its meshes."""
        if isinstance(self.looks, Identity):
            return build_body(self.looks.shape)
        return figure_body(self.looks.kind, self.looks.stride)

    def hull(self) -> Array:
        """Corners of its convex hull in the world: float64 (H, 3)."""
        return np.asarray(self.body.hull @ self.pose[:3, :3].T + self.pose[:3, 3])


@dataclass(frozen=True, slots=True)
class Develop:
    """How a camera turns light into a picture.

    Attributes:
        exposure: Factor on the automatic exposure.
        balance: White balance, factors of red, green and blue.
        colourfulness: 1 is neutral.
        soft: Blur, in rendered pixels.
        vignette: Darkening towards the corners.
        grain: Factor on the weather's noise.
        lift: Haze of the lens: how bright black is.
    """

    exposure: float = 1.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    colourfulness: float = 1.0
    soft: float = 0.6
    vignette: float = 0.06
    grain: float = 1.0
    lift: float = 0.01
