"""Seeded traffic of one camera: boxes, scores and embeddings for a tracker, and the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

WIDTH, HEIGHT = 1920, 1080
DIM = 512
_MISSES, _FALSE_BOXES, _JITTER, _FEATURE_NOISE = 0.05, 0.05, 0.03, 0.4


@dataclass
class _Vehicle:
    id: int
    center: Array
    velocity: Array
    size: Array
    features: Array
    turn: float = 0.0

    def drive(self, rng: np.random.Generator) -> None:
        """One frame on, along a slowly changing curve."""
        self.turn = 0.95 * self.turn + rng.normal(0, 0.0015)
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        vx, vy = self.velocity
        self.velocity = np.array([cos * vx - sin * vy, sin * vx + cos * vy])
        self.center = self.center + self.velocity

    def is_gone(self) -> bool:
        x, y = self.center
        return not (-5 <= x <= WIDTH + 5 and -5 <= y <= HEIGHT + 5)


@dataclass(frozen=True)
class TrafficFrame:
    """What a tracker gets and what is true in one frame.

    Attributes:
        xyxy: float32 (M, 4).
        score: float32 (M,).
        features: float32 (M, 512), unit length.
        true_ids: int64 (N,).
        true_xyxy: float32 (N, 4).
    """

    xyxy: Array
    score: Array
    features: Array
    true_ids: Array
    true_xyxy: Array


@dataclass(frozen=True)
class Traffic:
    """The columns of :class:`TrafficFrame`, as lists with an entry per frame."""

    xyxy: list[Array]
    score: list[Array]
    features: list[Array]
    true_ids: list[Array]
    true_xyxy: list[Array]


def make(vehicles: int, frames: int = 1000, seed: int = 20240) -> Traffic:
    """The traffic of some frames in memory; see :func:`stream`."""
    made = list(islice(stream(vehicles, seed), frames))
    return Traffic(
        xyxy=[frame.xyxy for frame in made],
        score=[frame.score for frame in made],
        features=[frame.features for frame in made],
        true_ids=[frame.true_ids for frame in made],
        true_xyxy=[frame.true_xyxy for frame in made],
    )


def stream(vehicles: int, seed: int = 20240) -> Iterator[TrafficFrame]:
    """Endless traffic in 1920 × 1080 pixels: a number of vehicles at a time, in four directions with slow turns.

    One in 20 boxes is missed at random, and every vehicle that another one covers by more than 60 %. False boxes
    come at 5 % of the vehicles, boxes jitter by 3 % of their size, and features of one vehicle have a cosine of about
    0.86.
    """
    rng = np.random.default_rng(seed + vehicles)
    common = _unit(rng.standard_normal(DIM))
    road = [_enter(rng, n + 1, common, vehicles, anywhere=True) for n in range(vehicles)]
    entered = vehicles
    while True:
        for slot, vehicle in enumerate(road):
            vehicle.drive(rng)
            if vehicle.is_gone():
                entered += 1
                road[slot] = _enter(rng, entered, common, vehicles, anywhere=False)
        yield _observe(rng, road, common, vehicles)


def _enter(rng: np.random.Generator, number: int, common: Array, vehicles: int, *, anywhere: bool) -> _Vehicle:
    width = rng.uniform(50, 110) * (0.8 if vehicles >= 100 else 1.0)
    height = width * rng.uniform(0.6, 0.85)
    angle = rng.integers(4) * np.pi / 2 + rng.normal(0, 0.15)
    vx, vy = rng.uniform(2.0, 7.0) * np.array([np.cos(angle), np.sin(angle)])
    if anywhere:
        center = np.array([rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT)])
    elif abs(vx) > abs(vy):
        center = np.array([0.0 if vx > 0 else WIDTH, rng.uniform(60, HEIGHT - 60)])
    else:
        center = np.array([rng.uniform(60, WIDTH - 60), 0.0 if vy > 0 else HEIGHT])
    features = _unit(0.6 * common + 0.8 * _unit(rng.standard_normal(DIM)))
    return _Vehicle(number, center, np.array([vx, vy]), np.array([width, height]), features)


def _observe(rng: np.random.Generator, road: list[_Vehicle], common: Array, vehicles: int) -> TrafficFrame:
    center, size = np.array([v.center for v in road]), np.array([v.size for v in road])
    box = np.concatenate([center - size / 2, center + size / 2], 1)
    seen = ~_covered(box, size) & (rng.random(len(road)) > _MISSES)
    n = int(seen.sum())
    true_box = box[seen] + rng.normal(0, _JITTER, (n, 4)) * np.concatenate([size[seen], size[seen]], 1)
    features = np.array([v.features for v in road])[seen]
    true_features = _unit(features + _FEATURE_NOISE * rng.standard_normal((n, DIM)) / np.sqrt(DIM))
    true_score = rng.uniform(0.65, 0.95, n)

    m = rng.poisson(_FALSE_BOXES * vehicles)
    at = np.stack([rng.uniform(0, WIDTH, m), rng.uniform(0, HEIGHT, m)], 1)
    false_width = rng.uniform(40, 110, m)
    false_size = np.stack([false_width, false_width * 0.7], 1)
    false_box = np.concatenate([at - false_size / 2, at + false_size / 2], 1)
    false_features = _unit(0.6 * common + 0.8 * _unit(rng.standard_normal((m, DIM)))) if m else np.zeros((0, DIM))
    false_score = rng.uniform(0.3, 0.75, m)

    order = rng.permutation(n + m)
    return TrafficFrame(
        xyxy=np.concatenate([true_box, false_box])[order].astype(np.float32),
        score=np.concatenate([true_score, false_score])[order].astype(np.float32),
        features=np.concatenate([true_features, false_features])[order].astype(np.float32),
        true_ids=np.array([v.id for v in road]),
        true_xyxy=box.astype(np.float32),
    )


def _covered(box: Array, size: Array) -> Array:
    """Vehicles of which one with a lower bottom edge covers more than 60 %: bool (N,)."""
    top_left = np.maximum(box[:, None, :2], box[None, :, :2])
    overlap = np.clip(np.minimum(box[:, None, 2:], box[None, :, 2:]) - top_left, 0, None).prod(axis=2)
    in_front = box[None, :, 3] > box[:, None, 3]
    return np.asarray(((overlap / size.prod(axis=1)[:, None] > 0.6) & in_front).any(axis=1))


def _unit(x: Array) -> Array:
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))
