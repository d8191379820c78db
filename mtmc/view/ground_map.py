"""Ground planes of a run as the map needs them: their cameras, and the area in which each one sees vehicles."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import cv2
import numpy as np

from mtmc.types import Array
from mtmc.view.run_data import ViewedRun

__all__ = ["CameraOnPlane", "Plane", "planes_of"]


@dataclass(frozen=True, slots=True)
class CameraOnPlane:
    """One camera.

    Attributes:
        camera: Its index.
        to_plane: Rotation and translation of positions of this camera, as complex numbers (real, imaginary): a
            position z = x + iy of the camera is rotation · z + translation on the plane, meters.
        area: Corners of the convex hull of all positions that it saw vehicles at, on the plane, meters.
    """

    camera: int
    to_plane: tuple[tuple[float, float], tuple[float, float]]
    area: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Plane:
    """One ground plane, with the cameras of those that are aligned with it.

    Attributes:
        name: Of the plane; "" where the scene has but one.
        cameras: Those that saw a vehicle.
    """

    name: str
    cameras: tuple[CameraOnPlane, ...]


def planes_of(viewed: ViewedRun) -> list[Plane]:
    """The ground planes that positions are known on, in order of their names; none without calibration."""
    transforms = viewed.run.scene.plane_transforms()
    found: dict[str, list[CameraOnPlane]] = defaultdict(list)
    for k, (camera, boxes) in enumerate(zip(viewed.run.scene.cameras, viewed.boxes, strict=True)):
        positions = boxes.ground_m[np.isfinite(boxes.ground_m).all(axis=1)]
        if camera.ground_plane not in transforms or not len(positions):
            continue
        root, rotation, translation = transforms[camera.ground_plane]
        place = rotation * (positions[:, 0] + 1j * positions[:, 1]) + translation
        area = _hull(np.stack([place.real, place.imag], axis=1))
        to_plane = ((rotation.real, rotation.imag), (translation.real, translation.imag))
        found[root].append(CameraOnPlane(k, to_plane, area))
    return [Plane(name, tuple(found[name])) for name in sorted(found)]


def _hull(points: Array) -> tuple[tuple[float, float], ...]:
    """Corners of the convex hull of points (K, 2), K ≥ 1."""
    corners = cv2.convexHull(points.astype(np.float32))[:, 0]
    return tuple((round(float(x), 2), round(float(y), 2)) for x, y in corners)
