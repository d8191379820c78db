"""Triangle meshes: the type, a few solids, and normals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmc.types import Array

__all__ = ["Mesh", "box", "ellipsoid", "grid", "join", "revolve", "smooth_normals", "tube"]


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Indexed triangles, counter-clockwise seen from outside.

    Attributes:
        points: float64 (V, 3), metres.
        normals: float64 (V, 3), unit length.
        uv: float64 (V, 2), texture coordinates.
        faces: int64 (F, 3).
    """

    points: Array
    normals: Array
    uv: Array
    faces: Array

    def moved(self, by: tuple[float, float, float]) -> Mesh:
        """The same mesh somewhere else."""
        return Mesh(self.points + np.asarray(by), self.normals, self.uv, self.faces)

    def with_uv(self, u: float, v: float) -> Mesh:
        """The same mesh, all of it showing one point of the texture."""
        return Mesh(self.points, self.normals, np.tile([u, v], (len(self.points), 1)).astype(float), self.faces)

    def vertex_bytes(self) -> bytes:
        """Rows of position, normal, uv as float32, for a vertex buffer."""
        return np.hstack([self.points, self.normals, self.uv]).astype(np.float32).tobytes()


def join(parts: list[Mesh]) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0] + [len(part.points) for part in parts[:-1]])
    return Mesh(
        np.concatenate([part.points for part in parts]),
        np.concatenate([part.normals for part in parts]),
        np.concatenate([part.uv for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=True)]),
    )


def smooth_normals(points: Array, faces: Array) -> Array:
    """Area-weighted vertex normals: (V, 3), (F, 3) → (V, 3)."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    normals = np.zeros_like(points)
    for k in range(3):
        np.add.at(normals, faces[:, k], flat)
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))


def grid(sheet: Array) -> Mesh:
    """A sheet of points (N, K, 3) as a surface; outside is where (next row) × (next column) points."""
    n, k, _ = sheet.shape
    index = np.arange(n * k).reshape(n, k)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    points = sheet.reshape(-1, 3)
    area = np.cross(points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]])
    faces = faces[(area * area).sum(axis=1) > 1e-14]
    return Mesh(points, smooth_normals(points, faces), np.zeros((len(points), 2)), faces)


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Mesh:
    """A box with flat sides; uv runs over each side in metres."""
    points: list[Array] = []
    normals: list[Array] = []
    uv: list[Array] = []
    faces: list[Array] = []
    span = np.subtract(high, low)
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for sign in (-1, 1):
            corner = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])[::sign]
            side = np.zeros((4, 3))
            side[:, u], side[:, v], side[:, axis] = corner[:, 0], corner[:, 1], (sign + 1) / 2
            points.append(np.asarray(low) + side * span)
            normals.append(np.tile(np.eye(3)[axis] * sign, (4, 1)))
            flat = {0: (1, 2), 1: (0, 2), 2: (0, 1)}[axis]
            uv.append(np.stack([side[:, flat[0]] * span[flat[0]], side[:, flat[1]] * span[flat[1]]], 1))
            faces.append(np.array([[0, 1, 2], [0, 2, 3]]) + 4 * len(faces))
    return Mesh(*(np.concatenate(part) for part in (points, normals, uv, faces)))


def ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float], rings: int = 6) -> Mesh:
    """An ellipsoid of ``rings`` × 2·``rings`` patches."""
    turn = np.linspace(0, 2 * np.pi, 2 * rings + 1)
    tilt = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    unit = np.stack(
        [
            np.outer(np.cos(tilt), np.cos(turn)),
            np.outer(np.cos(tilt), np.sin(turn)),
            np.outer(np.sin(tilt), turn * 0 + 1),
        ],
        axis=-1,
    )
    mesh = grid(unit[:, ::-1])
    normals = mesh.points / np.asarray(radii)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Mesh(mesh.points * np.asarray(radii) + np.asarray(centre), normals, mesh.uv, mesh.faces)


def revolve(profile: list[tuple[float, float]], sides: int) -> Mesh:
    """A profile of (radius, y) turned about the y axis; uv maps the x–z plane of the unit circle to [0, 1]²."""
    turn = np.linspace(0, 2 * np.pi, sides + 1)
    rows = [np.stack([r * np.cos(turn), np.full_like(turn, y), r * np.sin(turn)], 1) for r, y in profile]
    mesh = grid(np.stack(rows)[:, ::-1])
    return Mesh(mesh.points, mesh.normals, 0.5 + 0.5 * mesh.points[:, [0, 2]] * [1, -1], mesh.faces)


def tube(
    start: tuple[float, float, float], end: tuple[float, float, float], r0: float, r1: float, sides: int = 8
) -> Mesh:
    """A cone stump between two points, open at its ends."""
    axis = np.subtract(end, start).astype(float)
    axis /= np.linalg.norm(axis)
    side = np.cross(axis, [1.0, 0, 0] if abs(axis[0]) < 0.9 else [0, 1.0, 0])
    side /= np.linalg.norm(side)
    up = np.cross(axis, side)
    turn = np.linspace(0, 2 * np.pi, sides + 1)
    ring = np.outer(np.cos(turn), side) + np.outer(np.sin(turn), up)
    mesh = grid(np.stack([np.asarray(start) + r0 * ring, np.asarray(end) + r1 * ring])[:, ::-1])
    outward = np.concatenate([ring[::-1], ring[::-1]])
    return Mesh(mesh.points, outward, mesh.uv, mesh.faces)
