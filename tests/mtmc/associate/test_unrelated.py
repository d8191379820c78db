"""Cameras that have no vehicle in common: pairs without sufficient evidence stay apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mtmc.associate import AssociateConfig, associate
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Scene
from mtmc.types import Passage, Tracklet

CAMERAS = 5


def unrelated(rng: np.random.Generator, length_s: float) -> tuple[list[Passage], Scene]:
    """Vehicles of a few kinds with similar appearance, each seen once by one of five cameras that start together."""
    kinds = rng.normal(size=(6, 16))
    passages = []
    for camera in range(CAMERAS):
        for track_id in range(1, int(rng.integers(10, 40))):
            start_s = round(float(rng.uniform(0, length_s - 2)), 1)
            time_s = start_s + np.arange(int(rng.integers(5, 20))) / 10
            embedding = kinds[rng.integers(6)] + 0.8 * rng.normal(size=16)
            tracklet = Tracklet(
                f"c{camera}",
                track_id,
                np.round(time_s * 10).astype(np.int64),
                time_s,
                np.tile([10.0 * track_id, 0, 10.0 * track_id + 9, 9], (len(time_s), 1)).astype(np.float32),
                np.ones(len(time_s), np.float32),
                int(rng.choice([1, 1, 1, 4, 5])),
                np.zeros((len(time_s), 0), np.float32),
            )
            unit = (embedding / np.linalg.norm(embedding)).astype(np.float32)
            passages.append(Passage(tracklet, unit, "", "", np.full((len(time_s), 2), np.nan)))
    cameras = tuple(Camera(f"c{c}", c + 1, Clock(10.0)) for c in range(CAMERAS))
    return passages, Scene("unrelated", Path(), cameras)


def test_at_most_two_vehicles_in_a_hundred_are_in_several_cameras() -> None:
    vehicles = several = 0
    for seed in range(12):
        passages, scene = unrelated(np.random.default_rng([11, seed]), length_s=(10.0, 30.0, 60.0)[seed % 3])
        for track in associate(passages, scene, AssociateConfig()):
            vehicles += 1
            several += len({p.tracklet.camera_id for p in track.passages}) > 1
    assert several <= 0.02 * vehicles
