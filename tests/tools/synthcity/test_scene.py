"""A small scene, rendered: needs EGL."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from mtmc.formats.mot import read_mot
from mtmc.formats.parquet import read_parquet, write_parquet
from mtmc.geometry.boxes import area
from mtmc.geometry.ground import project
from mtmc.scene.cityflow import read_calibration
from mtmc.scene.load import load_scenes
from tools.synthcity.actors import Actor
from tools.synthcity.film import Studio, read_records, record_path
from tools.synthcity.layout import ORIGIN_LAT_LON, truth_table, truth_tables
from tools.synthcity.stage import Stage
from tools.synthcity.truth import labelled


@pytest.fixture(scope="module")
def studio(egl: None, stage: Stage) -> Studio:
    studio = Studio(stage)
    studio.aim(stage.cameras[0])
    return studio


def test_visible_boxes_agree_with_the_picture_of_ids(studio: Studio) -> None:
    plan = studio.stage.cameras[0]
    seen = 0
    for frame in (0, 9):
        image, ids, records = studio.shoot(plan, frame)
        assert image.shape == (180, 320, 3)
        rows = ((np.arange(180) + 0.5) * ids.shape[0] / 180).astype(int)
        columns = ((np.arange(320) + 0.5) * ids.shape[1] / 320).astype(int)
        small = ids[rows][:, columns]
        for r in records:
            y, x = np.nonzero(small == r.id)
            assert (r.vx1, r.vy1, r.vx2, r.vy2) == (x.min(), y.min(), x.max() + 1, y.max() + 1)
            # The amodal box holds the visible pixels; half a rendered pixel may stick out.
            assert r.x1 - 1 <= r.vx1
            assert r.vx2 <= r.x2 + 1
            assert r.y1 - 1 <= r.vy1
            assert r.vy2 <= r.y2 + 1
            seen += 1
        vehicles = {m.id for m in studio.stage.movers} & set(np.unique(small).tolist())
        assert {r.id for r in records} <= vehicles
    assert seen > 8


def test_visibility_counts_every_vehicle_alone(studio: Studio) -> None:
    """Naïve twin: draw each vehicle by itself on an empty stage whose depth hides nothing."""
    plan = studio.stage.cameras[0]
    time_s = float(plan.clock.time_s(np.array([0]))[0])
    _, ids, records = studio.shoot(plan, 0)
    actors: dict[int, Actor] = {actor.id: actor for actor in studio.stage.actors_at(time_s)}
    painter = studio.painter
    planes = painter._planes
    nothing = np.ones((ids.shape[0], ids.shape[1]), np.float32)
    painter._planes = (
        *planes[:2],
        painter.context.texture(ids.shape[::-1], 1, nothing.tobytes(), dtype="f4"),
        planes[3],
    )
    try:
        for record in records:
            _, alone = painter.paint([actors[record.id]], 0.0, (0.0, 0.0))
            share = (ids == record.id).sum() / max((alone == record.id).sum(), 1)
            assert record.visibility == pytest.approx(share, abs=1e-3)
    finally:
        painter._planes = planes


def test_a_studio_is_not_disturbed_by_another_nor_by_what_is_left_of_it(studio: Studio, stage: Stage) -> None:
    plan, other_plan = stage.cameras
    before = studio.shoot(plan, 3)[0]
    other = Studio(stage)
    other.aim(other_plan)
    seen = other.shoot(other_plan, 3)[0]
    np.testing.assert_array_equal(studio.shoot(plan, 3)[0], before)
    np.testing.assert_array_equal(other.shoot(other_plan, 3)[0], seen)
    other.close()
    np.testing.assert_array_equal(studio.shoot(plan, 3)[0], before)


@pytest.mark.slow
def test_the_scene_loads_as_cityflow_and_as_scene_yaml(rendered: Path, stage: Stage) -> None:
    scene = load_scenes(rendered)[0]
    assert [camera.id for camera in scene.cameras] == ["c001", "c002"]
    for camera, plan in zip(scene.cameras, stage.cameras, strict=True):
        assert camera.video is not None
        with av.open(str(camera.video)) as video:
            assert sum(1 for _ in video.decode(video=0)) == plan.frames
        frames = np.arange(plan.frames)
        np.testing.assert_allclose(camera.clock.time_s(frames), plan.clock.time_s(frames), atol=1e-3)
    (rendered / "scene.yaml").rename(rendered / "aside.yaml")
    try:
        plain = load_scenes(rendered)[0]
        starts = [round(float(c.clock.time_s(np.array([0]))[0]), 3) for c in plain.cameras]
        assert starts == [round(float(p.clock.time_s(np.array([0]))[0]), 3) for p in stage.cameras]
        assert [c.frame_count for c in plain.cameras] == [p.frames for p in stage.cameras]
    finally:
        (rendered / "aside.yaml").rename(rendered / "scene.yaml")


@pytest.mark.slow
def test_ground_truth_survives_every_format(rendered: Path, stage: Stage, tmp_path: Path) -> None:
    records = {plan.id: read_records(record_path(rendered, plan.id)) for plan in stage.cameras}
    assert all(records.values())
    listed = [{r.id for r in rows if labelled(r, stage.recipe.labels)} for rows in records.values()]
    for plan in stage.cameras:
        table = truth_tables(records, stage.recipe)[plan.id].sorted()
        rows = [r for r in records[plan.id] if labelled(r, stage.recipe.labels)]
        assert len(truth_table(records[plan.id], stage.recipe)) == len(rows)
        assert len(table) == sum(r.id in listed[0] & listed[1] for r in rows)
        again = read_mot(rendered / plan.id / "gt" / "gt.txt", plan.number)
        write_parquet(table, tmp_path / "t.parquet")
        parquet = read_parquet(tmp_path / "t.parquet")
        for other in (again, parquet):
            assert (other.id == table.id).all()
            assert (other.frame == table.frame).all()
            np.testing.assert_allclose(other.xyxy, table.xyxy, atol=1e-5)
            np.testing.assert_allclose(other.ground_m, table.ground_m, atol=1e-6)
        assert (area(table.xyxy) >= stage.recipe.labels.min_area_px).all()


@pytest.mark.slow
def test_the_calibration_is_about_right(rendered: Path, stage: Stage) -> None:
    for plan in stage.cameras:
        gps_from_image = read_calibration(rendered / plan.id / "calibration.txt")
        pixels = np.array([[160.0, 120.0], [100.0, 140.0], [230.0, 150.0]])
        degrees = project(pixels, gps_from_image)
        assert np.abs(degrees - ORIGIN_LAT_LON).max() < 0.01
        scene = next(c for c in load_scenes(rendered)[0].cameras if c.id == plan.id)
        assert scene.ground_from_image is not None
        error = np.linalg.norm(project(pixels, scene.ground_from_image) - plan.view.on_ground(pixels), axis=1)
        assert (error < 4.0).all()
        assert (error > 0.001).all()


@pytest.mark.slow
def test_the_same_recipe_gives_the_same_bytes_and_done_work_is_kept(
    rendered: Path, stage: Stage, tmp_path: Path
) -> None:
    from tools.synthcity.render import render_scene

    names = [
        f"{plan.id}/{part}" for plan in stage.cameras for part in ("record.parquet", "gt/gt.txt", "calibration.txt")
    ]
    before = {name: (rendered / name).read_bytes() for name in [*names, "scene.yaml"]}
    stamp = (rendered / "c001" / "vdo.mp4").stat().st_mtime_ns
    (rendered / "c002" / "record.parquet").unlink()
    render_scene(stage.recipe, rendered.parent)
    assert {name: (rendered / name).read_bytes() for name in before} == before
    assert (rendered / "c001" / "vdo.mp4").stat().st_mtime_ns == stamp
