"""A seeded pair of tables of the size of CityFlow: true tracks, and predictions with every kind of error."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def make(frames: int = 2000, cameras: int = 6, boxes: int = 12, seed: int = 777) -> tuple[Array, Array]:
    """Ground truth and predictions, float64 (R, 7): camera, id, frame from 1, left, top, width, height.

    Every camera sees about ``boxes`` vehicles at a time, each for some 80 frames; a vehicle has some 480 rows over
    all cameras. Predictions jitter by 5 % of the box, miss 8 % of the rows, rename a quarter of the tracks, switch
    identity within a fifth of them, and add 8 % of false boxes. Rows are sorted by camera, frame and id.
    """
    rng = np.random.default_rng(seed)
    vehicles = int(cameras * frames * boxes / 480)
    truth: list[Array] = []
    predicted: list[Array] = []
    fresh_id = 1_000
    for camera in range(1, cameras + 1):
        tracks = int(frames * boxes / 80)
        starts, lengths = rng.integers(-40, frames - 10, tracks), rng.integers(40, 121, tracks)
        fits = tracks <= vehicles
        ids = rng.permutation(vehicles)[:tracks] + 1 if fits else rng.integers(1, vehicles + 1, tracks)
        for start, length, vehicle in zip(starts.tolist(), lengths.tolist(), ids.tolist(), strict=True):
            frame = np.arange(max(0, start), min(frames, start + length))
            if not len(frame):
                continue
            box, speed, size = _track(rng)
            moved = box + np.outer(frame - frame[0], speed)
            found = rng.random(len(frame)) > 0.08
            noisy = moved + rng.normal(0, 0.05, moved.shape) * np.tile(size, 2)
            if rng.random() < 0.75:
                name = vehicle + 100_000
            else:
                fresh_id += 1
                name = fresh_id
            names = np.full(len(frame), name)
            if rng.random() < 0.2:
                fresh_id += 1
                names[len(frame) // 2 :] = fresh_id
            truth.append(_rows(camera, vehicle, frame + 1, moved))
            predicted.append(_rows(camera, names, frame + 1, noisy)[found])
        predicted.append(_false_boxes(rng, camera, frames, int(frames * boxes * 0.08)))
    return _sorted(truth), _sorted(predicted)


def _track(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """First box (4,), its speed in px per frame (4,) and its size (2,)."""
    left, top = rng.uniform(0, 1700), rng.uniform(0, 950)
    speed = rng.normal(0, 5, 2)
    size = np.array([rng.uniform(50, 180), rng.uniform(40, 130)])
    return np.array([left, top, *size]), np.array([*speed, 0.0, 0.0]), size


def _false_boxes(rng: np.random.Generator, camera: int, frames: int, count: int) -> Array:
    ids = rng.integers(0, max(1, count // 10), count) + 400_000 + camera * 100_000
    frame = rng.integers(1, frames + 1, count)
    spans = ((0, 1700), (0, 950), (50, 180), (40, 130))
    return _rows(camera, ids, frame, np.stack([rng.uniform(*span, count) for span in spans], axis=1))


def _rows(camera: int, ids: int | Array, frame: Array, boxes: Array) -> Array:
    head = np.broadcast_arrays(camera, ids, frame)
    return np.concatenate([np.stack(head, axis=1).astype(float), boxes], axis=1)


def _sorted(parts: list[Array]) -> Array:
    """All rows by camera, frame and id, each such triple once."""
    rows = np.concatenate(parts)
    rows = rows[np.lexsort((rows[:, 1], rows[:, 2], rows[:, 0]))]
    new = np.r_[True, (np.diff(rows[:, :3], axis=0) != 0).any(axis=1)]
    return rows[new]
