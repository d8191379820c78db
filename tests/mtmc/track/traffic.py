"""Detections for the tests of tracking."""

from __future__ import annotations

import numpy as np

from mtmc.types import Array, Detections

Frames = list[tuple[int, Detections]]


def boxes_at(*x: float, score: float = 0.9, class_id: int = 1, features: Array | None = None) -> Detections:
    """Boxes of 40 × 30 pixels with their left edges at x."""
    xyxy = [(left, 50, left + 40, 80) for left in x]
    return Detections.of(xyxy, [score] * len(x), [class_id] * len(x), features)


def crossing_traffic(seed: int, dim: int, *, gaps: bool) -> Frames:
    """A dozen vehicles on crossing roads: misses, false boxes, similar features, perhaps missing frames."""
    rng = np.random.default_rng(seed)
    n = 12
    center, velocity = rng.uniform(0, 500, (n, 2)), rng.normal(0, 5, (n, 2))
    size, features = rng.uniform(30, 60, (n, 2)), rng.standard_normal((n, dim)) + 1.5
    frames = []
    for frame in range(45):
        center = center + velocity
        seen = rng.random(n) > 0.15
        boxes = np.concatenate([center - size / 2, center + size / 2], 1)[seen]
        boxes += rng.normal(0, 1.5, boxes.shape)
        false_at, false = rng.uniform(0, 500, (2, 2)), rng.standard_normal((2, dim))
        boxes = np.concatenate([boxes, np.concatenate([false_at, false_at + 40], 1)])
        appearance = np.concatenate([features[seen] + 0.3 * rng.standard_normal((int(seen.sum()), dim)), false])
        scores = rng.uniform(0.2, 1, len(boxes))
        if not gaps or rng.random() > 0.15:
            frames.append((frame, Detections.of(boxes, scores, None, appearance)))
    return frames


CONFIGS = {
    "staged": {"high_score_threshold": 0.0},
    "staged, low scores": {"high_score_threshold": 0.5, "n_high": 3, "feature_memory": "gallery", "gallery_size": 3},
    "deepsort, running mean": {"association": "deepsort"},
    "deepsort, gallery": {"association": "deepsort", "feature_memory": "gallery", "gallery_size": 3},
    "deepsort, as published": {"association": "deepsort", "initial_velocity_std": 10 / 16, "buffer_scale": 1},
    "deepsort, low scores": {
        "association": "deepsort",
        "high_score_threshold": 0.5,
        "n_high": 1,
        "score_adaptive_noise": True,
    },
    "jde": {"association": "jde", "duplicate_iou": 1.0, "high_score_threshold": 0.4},
}
