"""Every setting of learning has an effect on the scene model of a simulated place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtmc.geometry.clock import Clock
from mtmc.pipeline.learning import with_learned
from mtmc.scene import Camera, PlaneOrigin, Scene
from mtmc.site.config import LearnConfig, SiteConfig
from mtmc.site.learn import learn_scene
from mtmc.types import Passage
from tests.mtmc.associate import frozen
from tests.mtmc.site.world import SIZE, Pinhole, crossroads_traffic, drive, watch

#: Two stretches of one street, 200 m apart, and two views of one crossroads.
STREET = {"c001": Pinhole((-30.0, -9.0, 8.0), 0.35, 0.3), "c002": Pinhole((230.0, -9.0, 8.0), np.pi - 0.35, 0.3)}
CROSSROADS = {
    "c001": Pinhole((-16.0, -14.0, 8.0), np.deg2rad(42), np.deg2rad(20)),
    "c002": Pinhole((15.0, 16.0, 7.0), np.deg2rad(225), np.deg2rad(18)),
}
CLOCK_ERROR_S = {"c001": 0.0, "c002": -1.2}

#: By key: the place, and a value that differs from the default in its effect.
CASES: dict[str, tuple[str, Any]] = {
    "ground": ("street", "keep"),
    "clocks": ("crossroads", "keep"),
    "links": ("street", "keep"),
    "max_clock_offset_s": ("crossroads", 0.1),
    "max_travel_time_s": ("street", 3.0),
    "max_overlap_s": ("crossroads", 0.0),
    "min_support": ("crossroads", 12),
    "min_purity": ("frozen", 1.0),
    "max_false_link_probability": ("frozen", 1e-6),
    "max_false_link_share": ("street", 1e-6),
    "min_ground_probability": ("crossroads", 1 - 1e-15),
    "min_alignment_probability": ("street", 1 - 1e-12),
}


def street_traffic() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(5)
    eastward, westward = [[-60.0, -1.8], [260.0, -1.8]], [[260.0, 1.8], [-60.0, 1.8]]
    return [
        drive(np.array(eastward if number % 2 else westward), float(rng.uniform(2, 216)), float(rng.uniform(10, 13)))
        for number in range(36)
    ]


@cache
def place(name: str) -> tuple[Scene, Sequence[Passage], dict[str, Any]]:
    """A scene, its passages, and the settings that differ from the defaults."""
    if name == "frozen":
        stored = frozen.load(Path(frozen.__file__).with_name("crossroads.npz"))
        return stored.scene, stored.passages, {"ground": "learn", "links": "learn", "min_support": 2}
    views = STREET if name == "street" else CROSSROADS
    vehicles = street_traffic() if name == "street" else crossroads_traffic(60, seed=4)
    passages = [
        passage
        for camera, view in views.items()
        for number, (time_s, ground) in enumerate(vehicles, start=1)
        if (passage := watch(view, camera, number, np.round(time_s + CLOCK_ERROR_S[camera], 1), ground)) is not None
        and passage.tracklet.frame[0] >= 0
    ]
    cameras = tuple(Camera(c, int(c[1:]), Clock(10.0), size_wh=SIZE, frame_count=2600) for c in views)
    return Scene(name, Path(), cameras), passages, {}


def learned(name: str, **turned: Any) -> list[Any]:
    scene, passages, settings = place(name)
    found = learn_scene(scene, passages, SiteConfig(**{**settings, **turned})).scene
    cameras = [
        (c.ground_plane, None if c.ground_from_image is None else c.ground_from_image.tolist(), c.clock)
        for c in found.cameras
    ]
    zones = [[(zone.name, zone.polygon.tolist()) for zone in c.zones] for c in found.cameras]
    return [cameras, zones, found.links, found.plane_alignments]


@cache
def learned_by_default(name: str) -> list[Any]:
    return learned(name)


@pytest.mark.parametrize("key", CASES)
def test_a_key_changes_the_scene_model(key: str) -> None:
    name, value = CASES[key]
    assert learned(name, **{key: value}) != learned_by_default(name)


def test_every_key_has_a_case() -> None:
    assert CASES.keys() == SiteConfig.model_fields.keys()
    assert LearnConfig.model_fields.keys() - CASES.keys() == {"enabled"}


def test_an_origin_goes_with_the_ground_plane_that_it_belongs_to() -> None:
    scene, passages, settings = place("frozen")
    scene = replace(scene, origins=(PlaneOrigin("", 48.0, 11.0),))
    anew = learn_scene(scene, passages, SiteConfig(**settings))
    assert anew.scene.origins == ()
    assert any(note.startswith("origins and maps: left out") for note in anew.notes)
    kept = learn_scene(scene, passages, SiteConfig(**{**settings, "ground": "keep"}))
    assert kept.scene.origins == scene.origins
    assert with_learned(replace(scene, origins=()), kept.scene).origins == scene.origins
