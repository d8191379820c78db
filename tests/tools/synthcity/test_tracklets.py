"""Tracklets without pixels: the geometry of the stage, visibility by depth order, and the tracker's drawn errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtmc.formats.mot import read_mot
from mtmc.geometry.boxes import iou_pairs
from mtmc.scene import load_scenes
from tests.tools.synthcity.conftest import TINY
from tools.synthcity.identity import Identity
from tools.synthcity.stage import Stage
from tools.synthcity.tracklets import Simulation, TrackNoise, observe_boxes, simulate_tracklets, write_tracklets
from tools.synthcity.truth import Record, amodal_box

CLEAN = TrackNoise(
    jitter=0, miss=0, split=0, ghosts_per_min=0, parked=False, appearance=0, min_length=1, min_visibility=0.35
)


@pytest.fixture(scope="module")
def records(stage: Stage) -> list[Record]:
    return observe_boxes(stage, stage.cameras[0])


@pytest.fixture(scope="module")
def clean() -> Simulation:
    return simulate_tracklets(TINY, CLEAN)


def test_boxes_are_those_of_the_stage(stage: Stage, records: list[Record]) -> None:
    plan = stage.cameras[0]
    for frame in (0, 7, plan.frames - 1):
        time_s = float(plan.clock.time_s(np.array([frame]))[0])
        expected = {}
        for actor in stage.actors_at(time_s):
            near = np.linalg.norm(actor.pose[:2, 3] - plan.view.eye[:2]) < 100
            if isinstance(actor.looks, Identity) and near and (found := amodal_box(actor, plan.view)) is not None:
                expected[actor.id] = found[0]
        ours = {r.id: (r.x1, r.y1, r.x2, r.y2) for r in records if r.frame == frame}
        assert expected.keys() <= ours.keys()
        for number, box in expected.items():
            np.testing.assert_allclose(ours[number], box, atol=0.011)


def test_visibility_is_what_nearer_boxes_leave(stage: Stage, records: list[Record]) -> None:
    eye = stage.cameras[0].view.eye
    frame = [r for r in records if r.frame == 5]
    assert any(r.visibility < 0.9 for r in frame)
    for record in frame:
        covered = 0
        away = np.linalg.norm([record.east_m - eye[0], record.north_m - eye[1], eye[2]])
        # The inner part of the box, sampled at the middles of 10 × 10 cells.
        w, h = record.x2 - record.x1, record.y2 - record.y1
        for i in range(10):
            for j in range(10):
                x = record.x1 + 0.06 * w + (i + 0.5) / 10 * 0.88 * w
                y = record.y1 + 0.06 * h + (j + 0.5) / 10 * 0.88 * h
                for other in frame:
                    nearer = np.linalg.norm([other.east_m - eye[0], other.north_m - eye[1], eye[2]]) < away
                    dx, dy = 0.06 * (other.x2 - other.x1), 0.06 * (other.y2 - other.y1)
                    if nearer and other.x1 + dx < x < other.x2 - dx and other.y1 + dy < y < other.y2 - dy:
                        covered += 1
                        break
        assert record.visibility == pytest.approx(1 - covered / 100, abs=0.021)  # places are rounded to millimetres


def test_without_errors_tracks_are_the_truth(clean: Simulation) -> None:
    for camera, truth in clean.truth.items():
        tracks = clean.tracks[camera]
        where = {
            (clean.vehicle[camera, t], f): b for t, f, b in zip(tracks.id, tracks.frame, tracks.xyxy, strict=True)
        }
        for number, frame, box in zip(truth.id, truth.frame, truth.xyxy, strict=True):
            assert iou_pairs(where[number, frame], box) > 0.999


def test_errors_are_those_asked_for() -> None:
    recipe = TINY.model_copy(update={"duration_s": 12.0, "drops_per_min": 0.0})
    clean = simulate_tracklets(recipe, CLEAN)
    noisy = simulate_tracklets(recipe, CLEAN.model_copy(update={"jitter": 0.05, "miss": 0.3, "ghosts_per_min": 20.0}))
    assert {len(v) for v in noisy.embedding.values()} == {64}
    boxes = {True: 0, False: 0}
    for camera, table in noisy.tracks.items():
        for track in table.id.tolist():
            boxes[noisy.vehicle[camera, track] > 0] += 1
    assert boxes[False] > 0
    whole = sum(len(t.id) for t in clean.tracks.values())
    assert boxes[True] / whole == pytest.approx(0.7, abs=0.08)  # 425 boxes: 3.5 standard deviations


def test_the_folder_loads_and_repeats(tmp_path: Path) -> None:
    folders = [write_tracklets(TINY, TrackNoise(), tmp_path / name) for name in "ab"]
    files = sorted(p.relative_to(folders[0]) for p in folders[0].rglob("*") if p.is_file())
    assert [(folders[0] / f).read_bytes() for f in files] == [(folders[1] / f).read_bytes() for f in files]
    [scene] = load_scenes(folders[0])
    assert [c.id for c in scene.cameras] == ["c001", "c002"]
    for camera in scene.cameras:
        assert camera.ground_from_image is not None
        assert camera.ground_truth is not None
        assert len(read_mot(camera.tracklets[0]).id) > 0
