"""Cameras: a pose, a pinhole, and a lens that bends lines a little."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mtmc.types import Array
from tools.synthcity.builder import Site

__all__ = ["View"]

_NEAR_M, _FAR_M = 0.4, 900.0


@dataclass(frozen=True, eq=False)
class View:
    """What a camera looks at.

    A point (X right, Y down, Z ahead) lands at ``centre + focal · (X, Y)/Z · (1 + k1 r² + k2 r⁴)`` where r² is
    (X² + Y²)/Z².

    Attributes:
        site: Eye, target and horizontal field of view (of the undistorted picture).
        size_wh: Picture size in pixels.
        k1, k2: Radial distortion; negative k1 is a barrel.
    """

    site: Site
    size_wh: tuple[int, int]
    k1: float = 0.0
    k2: float = 0.0

    @cached_property
    def axes(self) -> Array:
        """float64 (3, 3): rows are the camera's right, down and ahead in the world."""
        ahead = np.subtract(self.site.target, self.site.eye).astype(float)
        ahead /= np.linalg.norm(ahead)
        right = np.cross(ahead, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(ahead, right), ahead])

    @property
    def eye(self) -> Array:
        """float64 (3,)."""
        return np.asarray(self.site.eye, float)

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return float(self.size_wh[0] / 2 / np.tan(np.deg2rad(self.site.fov_deg) / 2))

    def project(self, points: Array) -> tuple[Array, Array]:
        """World → picture: float64 (N, 3) → pixels (N, 2) and distance along the view (N,)."""
        x, y, z = ((np.asarray(points, np.float64) - self.eye) @ self.axes.T).T
        ahead = np.maximum(z, 0.05)
        u, v = x / ahead, y / ahead
        r2 = np.minimum(u * u + v * v, 4.0)
        bend = self.focal_px * (1 + r2 * (self.k1 + self.k2 * r2))
        width, height = self.size_wh
        return np.stack([width / 2 + bend * u, height / 2 + bend * v], axis=1), z

    def rays(self, pixels: Array) -> Array:
        """Directions (X/Z, Y/Z) of distorted pixels: (…, 2) → (…, 2), by Newton's method on the radius."""
        q = (np.asarray(pixels, np.float64) - np.array(self.size_wh) / 2) / self.focal_px
        bent = np.sqrt((q * q).sum(axis=-1))
        r = bent.copy()
        for _ in range(12):
            r2 = r * r
            value = r * (1 + r2 * (self.k1 + self.k2 * r2)) - bent
            r -= value / (1 + r2 * (3 * self.k1 + 5 * self.k2 * r2))
        return np.asarray(q * np.divide(r, bent, out=np.ones_like(r), where=bent > 0)[..., None])

    def on_ground(self, pixels: Array) -> Array:
        """Where rays meet the road: pixels (…, 2) → metres (…, 2), NaN above the horizon."""
        rays = self.rays(pixels)
        world = np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], axis=-1) @ self.axes
        down = world[..., 2:]
        reach = np.where(down < -1e-6, -self.eye[2] / np.where(down < -1e-6, down, -1.0), np.nan)
        return np.asarray(self.eye[:2] + reach * world[..., :2])

    def widening(self) -> float:
        """How much wider an undistorted picture must be to cover this one, at least 1."""
        width, height = self.size_wh
        edge = np.array([(0, 0), (width / 2, 0), (0, height / 2)], float)
        ideal = np.abs(self.rays(edge)) * self.focal_px / (np.array(self.size_wh) / 2)
        return float(max(1.0, np.nanmax(ideal[np.abs(edge - np.array(self.size_wh) / 2) > 0.5 * 1]) + 0.01))

    def clip_from_world(self, widening: float = 1.0) -> Array:
        """OpenGL's matrix (4, 4) of the pinhole, with a field of view widened by a factor."""
        width, height = self.size_wh
        fx, fy = 2 * self.focal_px / width / widening, 2 * self.focal_px / height / widening
        n, f = _NEAR_M, _FAR_M
        projection = np.array(
            [[fx, 0, 0, 0], [0, -fy, 0, 0], [0, 0, (f + n) / (f - n), -2 * f * n / (f - n)], [0, 0, 1, 0]], float
        )
        pose = np.eye(4)
        pose[:3, :3] = self.axes
        pose[:3, 3] = -self.axes @ self.eye
        return np.asarray(projection @ pose)

    def distance_of_depth(self, depth: Array) -> Array:
        """Values of the depth buffer → metres along the view."""
        n, f = _NEAR_M, _FAR_M
        ndc = 2 * np.asarray(depth, np.float64) - 1
        return np.asarray(2 * f * n / (f + n - ndc * (f - n)))

    def lens_uniform(self) -> tuple[float, float, float, float]:
        """Focal lengths in clip units and distortion, for the shaders."""
        width, height = self.size_wh
        return 2 * self.focal_px / width, 2 * self.focal_px / height, self.k1, self.k2
