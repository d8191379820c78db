"""Workloads of cross-camera clustering: tracklets of a road, and of a city that grows with their number.

``road`` is six cameras in line at the distances of AI City S06, one vehicle every two seconds, 25 look-alike models:
the time span grows with N. ``city`` is a lattice of crossings, a camera at each, watched for ten minutes: the cameras
grow with N, about a hundred tracklets each. Same arguments, same workload.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Link, Scene
from mtmc.types import Array, Passage, Tracklet

__all__ = ["Workload", "city", "pair_f1", "road"]

_FPS = 10.0
_ROAD_M = np.array(
    [
        [0, 40, 55, 100, 120, 145],
        [40, 0, 15, 60, 80, 105],
        [55, 15, 0, 40, 65, 90],
        [100, 60, 40, 0, 20, 45],
        [120, 80, 65, 20, 0, 25],
        [145, 105, 90, 45, 25, 0],
    ],
    float,
)
_SPAN_S, _BLOCK_M, _SIGHT_M = 600.0, 300.0, 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """N passages, the place they were seen in, and the vehicle of each: int64 (N,)."""

    passages: list[Passage]
    scene: Scene
    vehicle: Array


def pair_f1(labels: Array, vehicle: Array) -> float:
    """F1 of the pairs that are joined against those that are one vehicle."""

    def pairs(values: Array) -> int:
        count = np.unique(values, return_counts=True)[1]
        return int((count * (count - 1) // 2).sum())

    both = labels.astype(np.int64) * (int(vehicle.max()) + 1) + vehicle
    return 2 * pairs(both) / max(1, pairs(labels) + pairs(vehicle))


def road(n: int, dim: int = 512, seed: int = 31) -> Workload:
    """N tracklets without any geometry: links with windows of travel times, and looks."""
    rng = np.random.default_rng(seed)
    low = rng.standard_normal((12, dim)) / np.sqrt(dim)
    models = rng.standard_normal((25, dim))
    models /= np.linalg.norm(models, axis=1, keepdims=True)
    rows: list[tuple[int, float, float, int, Array]] = []
    vehicle, time = 0, 200.0
    while len(rows) < n:
        vehicle, time = vehicle + 1, time + rng.exponential(2.0)
        forward, length = rng.random() < 0.5, rng.integers(3, 7)
        first = int(rng.integers(0, 7 - length))
        route = list(range(first, first + int(length)))[:: 1 if forward else -1]
        slowness = rng.uniform(0.85, 1.3)
        model, own = models[rng.integers(25)], rng.standard_normal(dim)
        look = 0.8 * model + 0.6 * own / np.linalg.norm(own)
        for camera in route:
            if len(rows) >= n:
                break
            if rng.random() < 0.06:
                continue
            start = time + 1.3 * slowness * _ROAD_M[route[0], camera]
            end = start + rng.uniform(5, 9)
            x = look + 0.55 * rng.standard_normal(dim) / np.sqrt(dim)
            x = x + 0.55 * (rng.standard_normal(12) / np.sqrt(12)) @ low
            x = x + 0.25 * np.sin(camera + np.arange(dim)) / np.sqrt(dim)
            rows.append((camera, start, end, vehicle, (x / np.linalg.norm(x)).astype(np.float32)))
    rows.sort(key=lambda row: row[0])
    passages = [
        _passage(f"c{camera + 1:03d}", k, np.array([start, end]), np.full((2, 2), np.nan), look)
        for k, (camera, start, end, _, look) in enumerate(rows, start=1)
    ]
    least = np.maximum(1.3 * 0.85 * _ROAD_M - 12, 0.1)
    most = 1.3 * 1.3 * _ROAD_M + 5
    links = tuple(
        Link(f"c{a + 1:03d}", "", f"c{b + 1:03d}", "", float(least[a, b]), float(most[a, b]))
        for a in range(6)
        for b in range(6)
        if a != b
    )
    return Workload(passages, _scene("road", 6, links), np.array([row[3] for row in rows]))


def city(n: int, dim: int = 64, seed: int = 32) -> Workload:
    """N tracklets of a lattice of crossings 300 m apart, calibrated, with a link along every road and no travel time.

    Vehicles go straight on or turn at each crossing, 3 to 8 crossings far, 7–13 m/s between them and up to half a
    minute of waiting; a camera misses one in twenty.
    """
    rng = np.random.default_rng(seed)
    side = max(round(np.sqrt(n / 100)), 2)
    models = rng.standard_normal((200, dim))
    steps = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])
    rows: list[tuple[int, Array, Array, int, Array]] = []
    vehicle = 0
    while len(rows) < n:
        vehicle += 1
        at, heading = rng.integers(0, side, 2), int(rng.integers(4))
        time = rng.uniform(0, _SPAN_S)
        look = models[rng.integers(200)] + 0.75 * rng.standard_normal(dim)
        for _ in range(int(rng.integers(3, 9))):
            heading = (heading + int(rng.choice([0, 0, 0, 1, 3]))) % 4
            speed = rng.uniform(7, 13)
            length = 2 * _SIGHT_M / speed
            if rng.random() >= 0.05:
                moments = time + np.linspace(0, length, max(int(length * 2), 3))
                way = (moments - time - length / 2)[:, None] * speed * steps[heading]
                lane = 3.0 * np.array([-steps[heading][1], steps[heading][0]])
                ground = at * _BLOCK_M + lane + way + rng.normal(0, 0.3, (len(moments), 2))
                x = look + 0.9 * rng.standard_normal(dim)
                rows.append((int(at[0] * side + at[1]), moments, ground, vehicle, (x / np.linalg.norm(x))))
            at = at + steps[heading]
            time += length + (_BLOCK_M - 2 * _SIGHT_M) / speed + max(rng.normal(0, 15), 0.0)
            if (at < 0).any() or (at >= side).any():
                break
    rows = sorted(rows[:n], key=lambda row: row[0])
    passages = [
        _passage(_name(camera), k, moments, ground, look.astype(np.float32))
        for k, (camera, moments, ground, _, look) in enumerate(rows, start=1)
    ]
    links = []
    for x in range(side):
        for y in range(side):
            for dx, dy in steps.tolist():
                if 0 <= x + dx < side and 0 <= y + dy < side:
                    links.append(Link(_name(x * side + y), "", _name((x + dx) * side + y + dy), "", 15.0, 75.0))
    return Workload(passages, _scene("city", side * side, tuple(links)), np.array([row[3] for row in rows]))


def _name(camera: int) -> str:
    return f"c{camera + 1:05d}"


def _box(track: int, n: int) -> Array:
    """A place in the picture of its own, so that nobody is taken for tracked twice."""
    left = 2.0 * track
    return np.tile(np.array([left, 0, left + 1, 1], np.float32), (n, 1))


def _passage(camera: str, track: int, time_s: Array, ground: Array, look: Array) -> Passage:
    n = len(time_s)
    tracklet = Tracklet(
        camera,
        track,
        np.maximum.accumulate(np.round(time_s * _FPS).astype(np.int64) + np.arange(n)),
        time_s,
        _box(track, n),
        np.ones(n, np.float32),
        0,
        np.zeros((n, 0), np.float32),
    )
    return Passage(tracklet, look, "", "", ground)


def _scene(name: str, cameras: int, links: tuple[Link, ...]) -> Scene:
    names = [f"c{k + 1:03d}" if name == "road" else _name(k) for k in range(cameras)]
    return Scene(name, Path(), tuple(Camera(c, k + 1, Clock(_FPS)) for k, c in enumerate(names)), links)
