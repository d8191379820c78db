"""Vehicle bodies: a shape's measures lofted into a mesh, with wheels apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import ConvexHull

from mtmc.types import Array
from tools.synthcity.mesh import Mesh, box, ellipsoid, grid, join, revolve
from tools.synthcity.shapes import SHAPES, Shape

__all__ = ["VIEWS", "Atlas", "Body", "build_body", "deck_and_roof"]

#: Share of the texture (x, y, width, height) that shows the vehicle from the left, right, top, front and back.
VIEWS = {
    "left": (0.0, 0.0, 1.0, 0.22),
    "right": (0.0, 0.22, 1.0, 0.22),
    "top": (0.0, 0.44, 1.0, 0.26),
    "front": (0.0, 0.70, 0.5, 0.30),
    "back": (0.5, 0.70, 0.5, 0.30),
}
_PAD = 0.006
_DARK = (0.5, 0.9985)  # a point of the texture that is always dark: undersides

# Half a cross-section from the sill up to the shoulder: share of the half width, share of the height.
_FLANK = np.array(
    [
        (0.80, 0.0),
        (0.93, 0.02),
        (0.965, 0.12),
        (0.985, 0.32),
        (1.0, 0.55),
        (0.998, 0.72),
        (0.985, 0.86),
        (0.965, 0.96),
        (0.94, 1.0),
    ]
)
# From the shoulder over the roof to the middle: share of the way in under glass, share of the way up; and the share
# of the half width where there is only a bonnet or boot lid.
_HOUSE = np.array([(0.03, 0.03), (0.33, 0.33), (0.66, 0.66), (0.90, 0.90), (0.985, 0.97)])
_ROOF = np.array([(0.95, 0.991), (0.80, 1.0), (0.45, 1.006), (0.0, 1.01)])
_LID = np.array([0.90, 0.86, 0.81, 0.74, 0.66, 0.56, 0.42, 0.22, 0.0])


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """What is drawn of a shape, in its own frame.

    Attributes:
        near: The body in full detail.
        far: The same, coarser.
        wheel: One wheel about the origin, outside towards +y.
        wheel_at: float64 (4, 3), wheel centres: front left, front right, rear left, rear right.
        hull: float64 (H, 3), corners of the convex hull of body and wheels: its image has the vehicle's box.
    """

    near: Mesh
    far: Mesh
    wheel: Mesh
    wheel_at: Array
    hull: Array


class Atlas:
    """Where a point of the vehicle lies in its texture, per view."""

    def __init__(self, shape: Shape) -> None:
        top = max(shape.height, shape.box[4] if shape.box else 0.0)
        half = max(shape.width / 2, shape.box[2] if shape.box else 0.0)
        self.length, self.width, self.height = shape.length + 0.08, 2 * half + 0.5, top + 0.15

    def uv(self, view: str, points: Array) -> Array:
        """float64 (…, 3) in the vehicle's frame → (…, 2) in [0, 1]."""
        x, y, z = np.moveaxis(np.asarray(points, float), -1, 0)
        across = {
            "left": x / self.length,
            "right": x / self.length,
            "top": x / self.length,
            "front": y / self.width,
            "back": -y / self.width,
        }[view]
        down = 0.5 - y / self.width if view == "top" else 1 - z / self.height
        left, top, width, height = VIEWS[view]
        inside = np.stack([0.5 + across, down], axis=-1)
        return np.asarray([left, top] + (_PAD + inside * (1 - 2 * _PAD)) * [width, height])


def deck_and_roof(shape: Shape, d: Array) -> tuple[Array, Array]:
    """Profile seen from the side, at distances ``d`` from the nose: (N,) → line below the windows (N,), top (N,)."""
    s = shape
    end = s.length
    deck = [(-1.0, s.hood[0] - 0.10), (0.0, s.hood[0] - 0.06), (0.07, s.hood[0])]
    if s.cowl_at > 0.5:
        deck += [(0.45 * s.cowl_at, s.hood[0] + 0.62 * (s.hood[1] - s.hood[0])), (s.cowl_at, s.hood[1])]
    deck += [(max(s.cowl_at, 0.1) + 0.30, s.belt[0]), (s.tail_at - 0.35, s.belt[1])]
    deck += [
        (min(s.tail_at, end - 0.1), s.boot[0]),
        (end - 0.05, s.boot[1]),
        (end, s.boot[1] - 0.08),
        (end + 1, s.boot[1] - 0.1),
    ]
    middle = 0.55 * s.screen_top_at + 0.45 * s.roof_end_at
    drop = 0.045 if s.vehicle_class != "bus" else 0.02
    roof = [
        (-1.0, 0.0),
        (s.cowl_at, s.hood[1]),
        (s.screen_top_at, s.height - 1.4 * drop),
        (middle, s.height),
        (s.roof_end_at, s.height - 1.8 * drop),
        (s.tail_at, s.boot[0]),
        (s.tail_at + 0.02, 0.0),
        (end + 1, 0.0),
    ]
    fine = np.arange(-0.6, end + 0.6, 0.01)
    sharp = s.cowl_at < 0.5
    low = gaussian_filter1d(np.interp(fine, *np.array(deck).T), 3.0 if sharp else 6.0)
    top = np.interp(fine, *np.array(roof).T)
    rounded = gaussian_filter1d(np.where(top < low, low, top), 2.5 if sharp else 6.0)
    return np.interp(d, fine, low), np.maximum(np.interp(d, fine, rounded), np.interp(d, fine, low))


def _stations(shape: Shape, step: float) -> Array:
    s = shape
    ends = [0.0, 0.02, 0.05, 0.1, 0.18, 0.3, 0.45]
    keys = [s.cowl_at, s.cowl_at + 0.08, s.screen_top_at, s.screen_top_at + 0.15, s.roof_end_at, s.roof_end_at - 0.15]
    keys += [s.tail_at, s.tail_at - 0.08, s.tail_at + 0.06] + ends + [s.length - e for e in ends]
    keys += list(np.arange(0.45, s.length - 0.45, step))
    values = np.unique(np.round(np.clip(keys, 0, s.length), 3))
    return np.asarray(values[np.concatenate([[True], np.diff(values) > 0.015])])


def _sections(shape: Shape, step: float) -> Array:
    """Cross-sections from nose to tail: (N, K, 3), each from the left sill over the roof to the right sill."""
    d = _stations(shape, step)
    deck, roof = deck_and_roof(shape, d)
    high = roof - deck
    blunt = 0.35 if shape.cowl_at < 0.5 else 1.0
    nose, tail = np.clip(1 - d / 0.7, 0, 1) ** 2, np.clip(1 - (shape.length - d) / 0.6, 0, 1) ** 2
    half = shape.width / 2 * (1 - blunt * (0.13 * nose + 0.10 * tail)) * (1 - 0.02 * (2 * d / shape.length - 1) ** 2)
    sill = (0.17 if shape.height < 1.6 else 0.24) + (0.06 * nose + 0.10 * tail) * blunt
    if shape.vehicle_class in ("truck", "bus"):
        sill = np.full_like(d, 0.34)
    flank = np.stack([half[:, None] * _FLANK[:, 0], sill[:, None] + (deck - sill)[:, None] * _FLANK[:, 1]], axis=-1)
    upper = _upper(shape, half, deck, high)
    side = np.concatenate([flank, upper], axis=1)
    side = np.concatenate([side, side[:, -2::-1] * [-1, 1]], axis=1)
    x = np.broadcast_to(shape.length / 2 - d[:, None], side.shape[:2])
    points = np.concatenate([x[..., None], side], axis=-1)
    return _round_ends(shape, points, nose, tail, blunt)


def _upper(shape: Shape, half: Array, deck: Array, high: Array) -> Array:
    """Glass house, roof or lid of every section: (N, 9, 2)."""
    full = max(float(high.max()), 1e-6)
    inward = 0.94 + (shape.tumblehome - 0.94) * np.clip(high / full, 0, 1) ** 0.9
    base, top = 0.93 * half, inward * half
    y_house = base[:, None] + (top - base)[:, None] * _HOUSE[:, 0]
    y_roof = top[:, None] * _ROOF[:, 0]
    crown = 0.03 if shape.vehicle_class not in ("truck", "bus") else 0.01
    z_house = deck[:, None] + (high - 0.01)[:, None] * _HOUSE[:, 1]
    z_roof = deck[:, None] + (high - 0.01)[:, None] * np.minimum(_ROOF[:, 1], 1) + crown * (1 - _ROOF[:, 0] ** 2)
    house = np.stack([np.concatenate([y_house, y_roof], 1), np.concatenate([z_house, z_roof], 1)], axis=-1)
    z_lid = deck[:, None] + 0.045 * (1 - (_LID / _LID[0]) ** 2.5) + np.zeros_like(high)[:, None]
    lid = np.stack([half[:, None] * _LID, z_lid], axis=-1)
    share = np.clip(high / 0.12, 0, 1)[:, None, None]
    share = share * share * (3 - 2 * share)
    return np.asarray((1 - share) * lid + share * house)


def _round_ends(shape: Shape, points: Array, nose: Array, tail: Array, blunt: float) -> Array:
    """Bend nose and tail back towards their corners and upwards."""
    out = points.copy()
    aside = np.abs(points[..., 1]) / (shape.width / 2)
    rise = np.clip(points[..., 2] - shape.bumper, 0, 0.6)
    sink = np.clip(shape.bumper - points[..., 2], 0, None)
    out[..., 0] -= blunt * nose[:, None] * (0.20 * aside**2.4 + 0.30 * rise + 0.25 * sink)
    out[..., 0] += blunt * tail[:, None] * (0.12 * aside**2.4 + 0.10 * np.clip(rise - 0.2, 0, None) + 0.3 * sink)
    low, high = out[..., 0].min(), out[..., 0].max()
    out[..., 0] = (out[..., 0] - (low + high) / 2) * (shape.length / (high - low))
    return np.asarray(out)


def _cap(ring: Array, forward: bool) -> Mesh:
    """The flat face that closes one end."""
    k = len(ring)
    pairs = [(i, k - 1 - i) for i in range(k // 2)]
    faces = []
    for (a, b), (c, e) in pairwise(pairs):
        faces += [(a, c, e), (a, e, b)] if forward else [(a, e, c), (a, b, e)]
    last = pairs[-1]
    faces.append((last[0], k // 2, last[1]) if forward else (last[0], last[1], k // 2))
    normals = np.tile([1.0 if forward else -1.0, 0, 0], (k, 1))
    return Mesh(ring, normals, np.zeros((k, 2)), np.array(faces))


def _project(mesh: Mesh, atlas: Atlas) -> Mesh:
    """Give every face the texture view it faces most; vertices are split where views meet."""
    corners = mesh.points[mesh.faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    facing = np.stack([flat[:, 1], -flat[:, 1], np.abs(flat[:, 2]) * 0.97, flat[:, 0], -flat[:, 0]], 1)
    chosen = np.where(flat[:, 2] < -0.2, -1, facing.argmax(axis=1))
    parts = []
    for k, view in [(-1, ""), *enumerate(VIEWS)]:
        faces = mesh.faces[chosen == k]
        if len(faces):
            used, local = np.unique(faces, return_inverse=True)
            points = mesh.points[used]
            uv = atlas.uv(view, points) if view else np.tile(_DARK, (len(points), 1))
            parts.append(Mesh(points, mesh.normals[used], uv, local.reshape(-1, 3)))
    return join(parts)


def _loft(shape: Shape, atlas: Atlas, step: float, rows: slice) -> Mesh:
    sheet = _sections(shape, step)[:, rows]
    shell = grid(sheet)
    return join(
        [_project(shell, atlas), _project(_cap(sheet[0], True), atlas), _project(_cap(sheet[-1], False), atlas)]
    )


def _extras(shape: Shape, atlas: Atlas) -> list[Mesh]:
    """Mirrors, cargo and the dark underside."""
    s, parts = shape, []
    middle = s.length / 2
    if s.vehicle_class not in ("truck", "bus"):
        deck = float(deck_and_roof(s, np.array([s.cowl_at + 0.35]))[0][0])
        for side in (1, -1):
            mirror = ellipsoid(
                (middle - s.cowl_at - 0.38, side * (s.width / 2 + 0.07), deck + 0.09), (0.07, 0.11, 0.075), 4
            )
            parts.append(_project(mirror, atlas))
    else:
        for side in (1, -1):
            x, y, z = middle - 0.05, side * (s.width / 2 + 0.13), s.belt[0] + 0.35
            parts.append(box((x - 0.06, y - 0.09, z - 0.25), (x + 0.06, y + 0.09, z + 0.25)).with_uv(*_DARK))
    for start, stop, half, floor, top in (s.box, *s.load) if s.box else ():
        parts.append(_project(box((middle - stop, -half, floor), (middle - start, half, top)), atlas))
    low, inner = (0.24, 0.36) if s.vehicle_class not in ("truck", "bus") else (0.38, 0.40)
    top = 0.62 if not s.box else s.box[3]
    under = box((-0.47 * s.length, -inner * s.width, low), (0.46 * s.length, inner * s.width, top))
    parts.append(under.with_uv(*_DARK))
    return parts


def _wheel(radius: float, width: float) -> Mesh:
    w = width / 2
    profile = [
        (0.0, w - 0.045),
        (0.62, w - 0.035),
        (0.70, w - 0.008),
        (0.90, w),
        (1.0, w - 0.05),
        (1.0, -w + 0.05),
        (0.6, -w),
    ]
    mesh = revolve([(r * radius, y) for r, y in profile], 18)
    uv = 0.5 + mesh.points[:, [0, 2]] * [0.49, -0.49] / radius
    return Mesh(mesh.points, mesh.normals, uv, mesh.faces)


@cache
def build_body(name: str) -> Body:
    """The body of a shape."""
    shape = SHAPES[name]
    atlas = Atlas(shape)
    extras = _extras(shape, atlas)
    step = 0.17 if shape.length < 6.1 else 0.34
    near = join([_loft(shape, atlas, step, slice(None)), *extras])
    far = join([_loft(shape, atlas, 3 * step, slice(None, None, 2)), *extras])
    wide = 0.21 if shape.wheel_radius < 0.37 else 0.27
    track = shape.width / 2 - wide / 2 - 0.02
    middle, r = shape.length / 2, shape.wheel_radius
    at = [(middle - d, side * track, r) for d in (shape.front_axle_at, shape.rear_axle_at) for side in (1, -1)]
    rim = revolve([(r, wide / 2), (r, -wide / 2)], 16).points
    everything = np.concatenate([near.points] + [rim + centre for centre in at])
    hull = everything[ConvexHull(everything).vertices]
    return Body(near, far, _wheel(r, wide), np.array(at), hull)
