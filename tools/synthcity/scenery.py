"""The fixed world around the roads: buildings, trees, poles, signals, paint. All of it decoration from a seed."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array
from tools.synthcity.builder import Mast, Place, Road, Site
from tools.synthcity.ground import GroundMap
from tools.synthcity.markings import paint_lines
from tools.synthcity.mesh import Mesh, box, ellipsoid, tube

__all__ = ["FACADE", "GROUND", "LEAVES", "LIGHT", "PAINT", "PLAIN", "Scenery", "build_scenery"]

GROUND, FACADE, LEAVES, PLAIN, PAINT, LIGHT = range(6)

_WALLS = (
    (0.42, 0.36, 0.29),
    (0.46, 0.44, 0.40),
    (0.33, 0.17, 0.12),
    (0.50, 0.45, 0.36),
    (0.36, 0.36, 0.37),
    (0.28, 0.24, 0.21),
    (0.52, 0.49, 0.45),
    (0.40, 0.24, 0.17),
)
_STEEL, _DARK, _CONCRETE = (0.24, 0.25, 0.26), (0.03, 0.03, 0.032), (0.36, 0.35, 0.33)


class Scenery:
    """A growing list of triangles with a kind, a seed and a colour.

    Attributes:
        lamps: Street lamps' heads, (x, y, z) in metres.
    """

    def __init__(self, sites: list[Site]) -> None:
        self._vertices: list[Array] = []
        self._faces: list[Array] = []
        self._count = 0
        self.lamps: list[tuple[float, float, float]] = []
        self._sites = sites

    def blocks_a_view(self, at: Array) -> bool:
        """Whether something tall here would fill a camera's picture."""
        for site in self._sites:
            gap = np.asarray(at) - site.eye[:2]
            ahead = np.subtract(site.target, site.eye)[:2]
            far = float(np.linalg.norm(gap))
            aim = float(gap @ ahead) / max(far * float(np.linalg.norm(ahead)), 1e-9)
            if far < 7.5 or (far < 26.0 and aim > 0.55):
                return True
        return False

    def walls_a_view(self, middle: Array, along: Array, wide: float, deep: float) -> bool:
        """Whether a building would stand on a camera or close before it; (2,), (2,) and metres."""
        for site in self._sites:
            ahead = np.subtract(site.target, site.eye)[:2]
            ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-9)
            for far in (0.0, 4.0, 8.0, 12.0, 18.0):
                gap = np.asarray(site.eye[:2]) + far * ahead - middle
                across = float(gap @ along), float(gap @ [-along[1], along[0]])
                if abs(across[0]) < wide / 2 + 2.0 and abs(across[1]) < deep / 2 + 2.0:
                    return True
        return False

    def add(self, mesh: Mesh, kind: int, colour: tuple[float, float, float], seed: float = 0.0) -> None:
        """Add a mesh of one material."""
        n = len(mesh.points)
        look = np.tile([kind, seed, *colour], (n, 1))
        self._vertices.append(np.hstack([mesh.points, mesh.normals, mesh.uv, look]).astype(np.float32))
        self._faces.append(mesh.faces + self._count)
        self._count += n

    def buffers(self) -> tuple[bytes, bytes]:
        """Vertices (position, normal, uv, kind and seed, colour; float32) and indices (int32)."""
        return np.concatenate(self._vertices).tobytes(), np.concatenate(self._faces).astype(np.int32).tobytes()


def build_scenery(place: Place, ground: GroundMap, seed: int) -> Scenery:
    """Furnish a place."""
    rng = np.random.default_rng([seed, 601])
    world = Scenery(place.sites)
    (x0, y0), (width, height) = ground.origin, ground.size_m
    floor = np.array([[x0, y0, 0], [x0 + width, y0, 0], [x0 + width, y0 + height, 0], [x0, y0 + height, 0]], float)
    world.add(
        Mesh(floor, np.tile([0, 0, 1.0], (4, 1)), np.zeros((4, 2)), np.array([[0, 1, 2], [0, 2, 3]])),
        GROUND,
        (1, 1, 1),
    )
    far = 700.0
    apron = np.array([[-far, -far, -0.15], [far, -far, -0.15], [far, far, -0.15], [-far, far, -0.15]])
    world.add(
        Mesh(apron, np.tile([0, 0, 1.0], (4, 1)), np.zeros((4, 2)), np.array([[0, 1, 2], [0, 2, 3]])),
        PLAIN,
        (0.10, 0.11, 0.07),
    )
    for strip in paint_lines(place, ground):
        world.add(strip, PAINT, (0.60, 0.59, 0.55))
    if place.built_up:
        _buildings(world, place, ground, rng)
        _street_furniture(world, place, ground, rng)
    else:
        _roadside(world, place, ground, rng)
    if place.kind == "roundabout":
        _island(world, rng)
    for mast in place.masts:
        _signal(world, mast)
    _skyline(world, ground, rng)
    return world


def _along(road: Road, step_m: float, aside_m: float) -> list[tuple[Array, Array, Array]]:
    """Stations along both sides of a road: (point at a distance from the kerb, direction, outward)."""
    out = []
    line = road.points
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    for s in np.arange(step_m / 2, length[-1], step_m):
        at = np.array([np.interp(s, length, line[:, k]) for k in range(2)])
        ahead = np.array([np.interp(s + 0.5, length, line[:, k]) for k in range(2)])
        behind = np.array([np.interp(s - 0.5, length, line[:, k]) for k in range(2)])
        along = (ahead - behind) / np.linalg.norm(ahead - behind)
        for sign in (1.0, -1.0):
            outward = sign * np.array([along[1], -along[0]])
            out.append((at + outward * (road.half_width_m + aside_m), along, outward))
    return out


def _oriented(mesh: Mesh, at: Array, along: Array) -> Mesh:
    """Turn a mesh's x axis to ``along`` and move it."""
    turn = np.array([[along[0], -along[1], 0], [along[1], along[0], 0], [0, 0, 1]])
    return Mesh(mesh.points @ turn.T + [at[0], at[1], 0], mesh.normals @ turn.T, mesh.uv, mesh.faces)


def _buildings(world: Scenery, place: Place, ground: GroundMap, rng: np.random.Generator) -> None:
    taken: list[tuple[float, float, float]] = []
    setback = place.pavement_m + float(rng.choice([0.5, 2.5, 6.0]))
    for road in place.roads:
        if road.lanes == (0, 0):
            continue
        spots = _along(road, 4.0, setback)
        for sign in (0, 1):
            skip = 0.0
            for at, along, outward in spots[sign::2]:
                skip -= 4.0
                if skip > 0:
                    continue
                wide, deep = float(rng.uniform(11, 24)), float(rng.uniform(11, 16))
                tall = float(rng.choice([6.5, 7, 10, 13, 13, 16.5, 22])) + float(rng.uniform(-0.6, 0.6))
                setting = float(rng.choice([0, 0, 0.8, 2]))
                middle = at + outward * (deep / 2 + setting)
                corners = [
                    middle + along * a * wide / 2 + outward * b * deep / 2 for a in (-1, 0, 1) for b in (-1, 0, 1)
                ]
                reach = float(np.hypot(wide, deep)) / 2
                if world.walls_a_view(middle, along, wide, deep):
                    continue
                clear = ground.kerb_distance(np.array(corners)).min() > place.pavement_m + 0.3
                if not clear or any(np.hypot(middle[0] - x, middle[1] - y) < 0.8 * (reach + r) for x, y, r in taken):
                    continue
                taken.append((float(middle[0]), float(middle[1]), reach))
                skip = wide + (6.0 if rng.random() < 0.12 else 0.2)
                _house(world, rng, middle, along, wide, deep, tall)


def _house(
    world: Scenery, rng: np.random.Generator, at: Array, along: Array, wide: float, deep: float, tall: float
) -> None:
    colour = tuple(np.array(_WALLS[rng.integers(len(_WALLS))]) * rng.uniform(0.8, 1.12))
    seed = float(rng.random() * 90)
    world.add(_oriented(box((-wide / 2, -deep / 2, 0), (wide / 2, deep / 2, tall)), at, along), FACADE, colour, seed)
    rim = box((-wide / 2 - 0.15, -deep / 2 - 0.15, tall), (wide / 2 + 0.15, deep / 2 + 0.15, tall + 0.45))
    world.add(_oriented(rim, at, along), PLAIN, tuple(0.8 * v for v in colour))
    for _ in range(3):
        x, y = rng.uniform(-0.4, 0.3) * wide, rng.uniform(-0.4, 0.3) * deep
        unit = box((x, y, tall + 0.4), (x + rng.uniform(1, 2.5), y + rng.uniform(1, 2), tall + rng.uniform(1.2, 2.4)))
        world.add(_oriented(unit, at, along), PLAIN, (0.33, 0.33, 0.33))


def _tree(world: Scenery, rng: np.random.Generator, at: Array) -> None:
    tall = float(rng.uniform(2.4, 3.6))
    if world.blocks_a_view(at):
        return
    x, y = float(at[0]), float(at[1])
    lean = rng.normal(0, 0.15, 2)
    top = (x + lean[0], y + lean[1], tall)
    world.add(tube((x, y, 0), top, 0.17, 0.11, 6), PLAIN, (0.12, 0.09, 0.07))
    green = np.array([0.085, 0.145, 0.035]) * rng.uniform(0.65, 1.3) * [rng.uniform(0.8, 1.5), 1, 1]
    crown = float(rng.uniform(1.5, 2.6))
    for _ in range(3):
        tip = np.array(top) + rng.normal(0, 1, 3) * [0.8, 0.8, 0.2] + [0, 0, 1.2]
        world.add(tube(top, tuple(tip), 0.07, 0.03, 5), PLAIN, (0.12, 0.09, 0.07))
    n = 190
    d = rng.normal(size=(n, 3))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    lumps = rng.normal(0, 0.55, (7, 3)) * [1, 1, 0.7]
    centres = lumps[rng.integers(7, size=n)] * crown * 0.8 + d * crown * rng.uniform(0.35, 0.72, (n, 1)) * [
        1,
        1,
        0.85,
    ]
    centres += [top[0], top[1], top[2] + crown * 0.75]
    _leaf_cards(world, rng, centres, d, 0.55, green)


def _leaf_cards(
    world: Scenery, rng: np.random.Generator, centres: Array, outward: Array, size: float, green: Array
) -> None:
    n = len(centres)
    normal = outward + rng.normal(0, 0.45, (n, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    side = np.cross(normal, rng.normal(size=(n, 3)))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(normal, side)
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    points = centres[:, None] + size * (square[None, :, :1] * side[:, None] + square[None, :, 1:] * up[:, None])
    soft = outward * 0.7 + normal * 0.5
    soft /= np.linalg.norm(soft, axis=1, keepdims=True)
    faces = np.array([[0, 1, 2], [0, 2, 3]])[None] + 4 * np.arange(n)[:, None, None]
    uv = np.tile((square + 1) / 2, (n, 1))
    mesh = Mesh(points.reshape(-1, 3), np.repeat(soft, 4, axis=0), uv, faces.reshape(-1, 3))
    world.add(mesh, LEAVES, tuple(green), float(rng.random() * 50))


def _lamp(world: Scenery, at: Array, outward: Array, tall: float = 8.0) -> None:
    x, y = float(at[0]), float(at[1])
    head = (x - outward[0] * 1.8, y - outward[1] * 1.8, tall)
    world.add(tube((x, y, 0), (x, y, tall - 0.3), 0.10, 0.06, 8), PLAIN, _STEEL)
    world.add(tube((x, y, tall - 0.3), head, 0.05, 0.04, 6), PLAIN, _STEEL)
    world.add(
        box((head[0] - 0.3, head[1] - 0.16, tall - 0.10), (head[0] + 0.3, head[1] + 0.16, tall + 0.04)), PLAIN, _STEEL
    )
    world.add(
        box((head[0] - 0.24, head[1] - 0.12, tall - 0.13), (head[0] + 0.24, head[1] + 0.12, tall - 0.10)),
        LIGHT,
        (1.0, 0.86, 0.6),
    )
    world.lamps.append(head)


def _street_furniture(world: Scenery, place: Place, ground: GroundMap, rng: np.random.Generator) -> None:
    for road in place.roads:
        if road.lanes == (0, 0):
            continue
        for k, (at, _, outward) in enumerate(_along(road, 13.5, 0.8)):
            near = min(float(np.hypot(at[0] - s.eye[0], at[1] - s.eye[1])) for s in place.sites)
            if k % 4 == 1 and ground.kerb_distance(at[None])[0] > 0.5 and near > 5.0:
                _lamp(world, at, outward)
        leafy = float(rng.uniform(0.15, 0.7))
        for at, _, _ in _along(road, 9.0, place.pavement_m - 0.6):
            spot = at + rng.normal(0, 0.3, 2)
            if rng.random() < leafy and ground.kerb_distance(spot[None])[0] > place.pavement_m - 1.2:
                _tree(world, rng, spot)
        for at, along, _ in _along(road, 7.0, 1.5):
            if rng.random() < 0.28 and ground.kerb_distance(at[None])[0] > 0.9:
                _small_thing(world, rng, at + rng.normal(0, 0.25, 2), along)


def _small_thing(world: Scenery, rng: np.random.Generator, at: Array, along: Array) -> None:
    x, y = float(at[0]), float(at[1])
    kind = int(rng.integers(6))
    if kind == 0:
        world.add(tube((x, y, 0), (x, y, 0.95), 0.25, 0.27, 10), PLAIN, (0.08, 0.11, 0.09))
    elif kind == 1:
        world.add(tube((x, y, 0), (x, y, 0.9), 0.07, 0.07, 8), PLAIN, (0.40, 0.08, 0.06))
    elif kind == 2:
        world.add(_oriented(box((-0.45, -0.2, 0), (0.45, 0.2, 1.25)), at, along), PLAIN, (0.30, 0.31, 0.31))
    elif kind == 3:
        world.add(_oriented(box((-0.9, -0.25, 0.42), (0.9, 0.25, 0.48)), at, along), PLAIN, (0.22, 0.14, 0.08))
        for side in (-0.75, 0.7):
            world.add(_oriented(box((side, -0.22, 0), (side + 0.06, 0.22, 0.42)), at, along), PLAIN, _DARK)
    elif kind == 4:
        world.add(tube((x, y, 0), (x, y, 2.6), 0.035, 0.035, 6), PLAIN, _STEEL)
        tone = ((0.05, 0.10, 0.40), (0.50, 0.05, 0.05), (0.55, 0.50, 0.10))[int(rng.integers(3))]
        sign = _oriented(box((-0.02, -0.3, 2.0), (0.02, 0.3, 2.6)), at, along)
        world.add(sign, PLAIN, tone)
    else:
        _bush(world, rng, at)


def _bush(world: Scenery, rng: np.random.Generator, at: Array) -> None:
    outward = rng.normal(size=(70, 3)) * [1, 1, 0.8]
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    centres = outward * rng.uniform(0.25, 0.62, (70, 1)) * [1.3, 1.0, 0.8] + [at[0], at[1], 0.5]
    _leaf_cards(world, rng, centres, outward, 0.28, np.array([0.07, 0.115, 0.03]))


def _signal(world: Scenery, mast: Mast) -> None:
    x, y = mast.x, mast.y
    across = np.array([-np.sin(mast.facing_rad), np.cos(mast.facing_rad)])
    # The arm reaches over the lanes it serves, which lie to the left of a driver's mast.
    tip = np.array([x, y]) - across * mast.arm_m
    world.add(tube((x, y, 0), (x, y, 5.6), 0.11, 0.08, 8), PLAIN, _STEEL)
    world.add(tube((x, y, 5.5), (float(tip[0]), float(tip[1]), 5.7), 0.06, 0.05, 6), PLAIN, _STEEL)
    for px, py, pz in signal_heads(mast):
        world.add(box((px - 0.17, py - 0.17, pz - 0.5), (px + 0.17, py + 0.17, pz + 0.5)), PLAIN, _DARK)


def signal_heads(mast: Mast) -> list[tuple[float, float, float]]:
    """Centres of a mast's signal heads: one at the pole, one or two above the lanes."""
    across = np.array([-np.sin(mast.facing_rad), np.cos(mast.facing_rad)])
    reach = [0.97, 0.55] if mast.arm_m > 5 else [0.95]
    over = [np.array([mast.x, mast.y]) - across * mast.arm_m * share for share in reach]
    return [(mast.x, mast.y, 3.2)] + [(float(p[0]), float(p[1]), 5.4) for p in over]


def _roadside(world: Scenery, place: Place, ground: GroundMap, rng: np.random.Generator) -> None:
    """A motorway's rails, lamps, signs and trees."""
    main = next(road for road in place.roads if road.lanes != (0, 0))
    for a, b in zip(main.points[:-1:2], main.points[2::2], strict=False):
        along = (b - a) / np.linalg.norm(b - a)
        length = float(np.linalg.norm(b - a))
        for side in (-0.55, 0.55):
            shift = a + side * np.array([along[1], -along[0]])
            world.add(_oriented(box((0, -0.02, 0.45), (length, 0.02, 0.78)), shift, along), PLAIN, (0.40, 0.41, 0.42))
            world.add(_oriented(box((0, -0.05, 0), (0.1, 0.05, 0.7)), shift, along), PLAIN, _STEEL)
        for side in (-1.0, 1.0):
            edge = a + side * (main.half_width_m + 1.0) * np.array([along[1], -along[0]])
            ends = np.array([edge, edge + along * length])
            if ground.kerb_distance(ends).min() > 0.4:
                world.add(
                    _oriented(box((0, -0.02, 0.40), (length, 0.02, 0.72)), edge, along), PLAIN, (0.40, 0.41, 0.42)
                )
                world.add(_oriented(box((0, -0.05, 0), (0.1, 0.05, 0.65)), edge, along), PLAIN, _STEEL)
    for k, (at, _, outward) in enumerate(_along(main, 32.0, 2.2)):
        if k % 2 == 0 and ground.kerb_distance(at[None])[0] > 0.6:
            _lamp(world, at, outward, 10.0)
    for at, along, outward in _along(main, 11.0, 9.0):
        for far in rng.uniform(0, 26, 3):
            spot = at + outward * far + along * rng.uniform(-5, 5)
            if rng.random() < 0.45 and ground.kerb_distance(spot[None])[0] > 5.0:
                _tree(world, rng, spot)


def _island(world: Scenery, rng: np.random.Generator) -> None:
    for _ in range(7):
        angle, reach = rng.uniform(0, 6.28), rng.uniform(0, 8.0)
        _tree(world, rng, reach * np.array([np.cos(angle), np.sin(angle)]))
    world.add(ellipsoid((0, 0, -2.0), (9.5, 9.5, 2.9), 8), PLAIN, (0.06, 0.085, 0.03))


def _skyline(world: Scenery, ground: GroundMap, rng: np.random.Generator) -> None:
    """Far blocks all around, so that no street ends in nothing."""
    (x0, y0), (width, height) = ground.origin, ground.size_m
    middle = np.array([x0 + width / 2, y0 + height / 2])
    for angle in np.linspace(0, 2 * np.pi, 56, endpoint=False):
        out = np.array([np.cos(angle), np.sin(angle)])
        at = middle + out * (np.array([width, height]) / 2 + rng.uniform(15, 70, 2))
        wide, deep, tall = rng.uniform(18, 45), rng.uniform(15, 30), float(rng.choice([8, 12, 16, 22, 30]))
        along = np.array([-out[1], out[0]])
        colour = tuple(np.array(_WALLS[rng.integers(len(_WALLS))]) * rng.uniform(0.6, 0.95))
        world.add(
            _oriented(box((-wide / 2, -deep / 2, -1), (wide / 2, deep / 2, tall)), at, along),
            FACADE,
            colour,
            float(rng.random() * 90),
        )
