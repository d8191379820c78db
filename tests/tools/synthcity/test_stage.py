from __future__ import annotations

import numpy as np
import pytest

from tools.synthcity.builder import Site
from tools.synthcity.identity import Identity
from tools.synthcity.lens import View
from tools.synthcity.places import PLACES, build_place
from tools.synthcity.recipe import Recipe
from tools.synthcity.stage import Stage, build_stage
from tools.synthcity.truth import amodal_box


def test_a_stage_is_the_same_every_time(stage: Stage) -> None:
    again = build_stage(stage.recipe)
    for a, b in zip(stage.movers, again.movers, strict=True):
        assert (a.id, a.journey.identity, a.parked) == (b.id, b.journey.identity, b.parked)
        assert a.journey.states.tobytes() == b.journey.states.tobytes()
    assert [c.view.site for c in stage.cameras] == [c.view.site for c in again.cameras]
    boxes, others = ([amodal_box(a, s.cameras[0].view) for a in s.actors_at(1.0)] for s in (stage, again))
    assert [None if b is None else b[0].tobytes() for b in boxes] == [
        None if b is None else b[0].tobytes() for b in others
    ]


def test_ids_are_whole_from_one(stage: Stage) -> None:
    ids = [m.id for m in stage.movers] + [b.id for b in stage.bystanders]
    assert ids == list(range(1, len(ids) + 1))


def test_losses_of_frames_are_jumps_of_the_clock() -> None:
    recipe = Recipe(
        duration_s=60, warmup_s=1, cameras=6, drops_per_min=4, start_spread_s=3, odd_fps_share=0.5, seed=8
    )
    cameras = build_stage(recipe).cameras
    assert {camera.fps for camera in cameras} == {8.0, 10.0}
    for camera in cameras:
        times = camera.clock.time_s(np.arange(camera.frames))
        steps = np.diff(times) * camera.fps
        assert steps.min() == pytest.approx(1.0, abs=0.02)
        assert abs(camera.frames + round(float((steps - 1).sum())) - 60 * camera.fps) <= 1
    assert any(camera.frames < 60 * camera.fps for camera in cameras)


@pytest.mark.parametrize("kind", list(PLACES))
def test_every_way_of_the_demand_can_be_driven(kind: str) -> None:
    network = build_place(kind, 1).network
    assert network.demand
    for entry, exit_link in network.demand:
        cost = network.costs_to(exit_link)
        assert all(lane.name in cost for lane in network.link(entry))


def test_a_box_is_the_outline_of_a_vehicle(stage: Stage) -> None:
    view = stage.cameras[0].view
    seen = [(actor, boxed) for actor in stage.actors_at(1.0) if (boxed := amodal_box(actor, view)) is not None]
    whole = [(actor, box) for actor, (box, cut) in seen if cut == 0]
    assert whole
    for actor, box in whole:
        # Naïve: every corner of the body and the wheels, not of its hull.
        body = actor.body
        rims = [
            centre + centre[2] * np.array([np.cos(t), 0, np.sin(t)])
            for centre in body.wheel_at
            for t in np.linspace(0, 6.28, 24)
        ]
        points = np.concatenate([body.near.points, np.array(rims).reshape(-1, 3)])
        pixels, _ = view.project(points @ actor.pose[:3, :3].T + actor.pose[:3, 3])
        naive = [*pixels.min(axis=0), *pixels.max(axis=0)]
        np.testing.assert_allclose(box, naive, atol=0.35)


def test_a_vehicle_beside_the_camera_keeps_the_part_that_is_ahead(stage: Stage) -> None:
    actor = next(a for a in stage.actors_at(1.0) if isinstance(a.looks, Identity))
    length = actor.looks.size_m[0] if isinstance(actor.looks, Identity) else 0.0
    middle, along = actor.pose[:3, 3], actor.pose[:3, 0] / np.linalg.norm(actor.pose[:3, 0])
    aside = np.array([-along[1], along[0], 0.0])
    eye = middle + 2.5 * aside + [0, 0, 1.2]
    view = View(Site(tuple(eye), tuple(eye + along), 90.0), (640, 360))
    boxed = amodal_box(actor, view)
    assert boxed is not None
    box, cut = boxed
    # Seen from its left, its nose is the innermost and nothing of it is left of the middle.
    nose = np.array([middle + along * length / 2 - aside * 0.9])
    assert box[0] >= 320
    assert box[0] < view.project(nose)[0][0, 0]
    assert box[2] == 640
    assert cut > 0.5
    behind = View(Site(tuple(eye + 20 * along), tuple(eye + 21 * along), 90.0), (640, 360))
    assert amodal_box(actor, behind) is None
