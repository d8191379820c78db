"""Filming: every camera of a stage, frame by frame, into a video and a record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mtmc.files import atomic_path
from mtmc.progress import progress_bar
from mtmc.types import Array
from mtmc.video.write import VideoWriter
from tools.synthcity.actors import Actor
from tools.synthcity.backdrop import World
from tools.synthcity.gpu import close, open_context
from tools.synthcity.lens import View
from tools.synthcity.light import make_light
from tools.synthcity.painter import Painter
from tools.synthcity.recipe import Recipe
from tools.synthcity.scenery import build_scenery, signal_heads
from tools.synthcity.stage import CameraPlan, Stage, build_stage
from tools.synthcity.truth import Record, observe

__all__ = ["Studio", "film_camera", "record_path"]

_SIGHT_M = 150.0


def record_path(folder: Path, camera_id: str) -> Path:
    """Where a camera's full record lies; that it exists says that the camera is done."""
    return folder / camera_id / "record.parquet"


class Studio:
    """A stage with lights on: holds what the graphics card needs for all its cameras."""

    def __init__(self, stage: Stage) -> None:
        recipe = stage.recipe
        self.stage = stage
        self.context = open_context()
        scenery = build_scenery(stage.place, stage.ground, recipe.seed)
        light = make_light(recipe.weather, recipe.seed)
        self.world = World(self.context, stage.place, stage.ground, scenery, light)
        self.painter = Painter(self.context, self.world)

    def aim(self, plan: CameraPlan) -> None:
        """Point the painter's camera."""
        rendered = _rendered_view(plan.view, self.stage.recipe.supersample)
        self.painter.aim(rendered, self.world.look(rendered), plan.view.size_wh, plan.develop)

    def shoot(self, plan: CameraPlan, frame: int) -> tuple[Array, Array, list[Record]]:
        """One frame: picture uint8 (H, W, 3), ids uint16 (h, w) in the rendered size, and its records."""
        time_s = float(plan.clock.time_s(np.array([frame]))[0])
        actors = [actor for actor in self.stage.actors_at(time_s) if _in_sight(actor, plan.view)]
        # Noise is a fixed picture shifted by amounts that never repeat in step: the golden ratio and √2.
        shift = ((frame * 0.6180339 + plan.number * 0.37) % 1.0, (frame * 0.4142135 + plan.number * 0.71) % 1.0)
        image, ids = self.painter.paint(actors, time_s, shift, self._signals(time_s))
        facts = observe(self.painter, plan.view, actors, ids)
        return image, ids, [self._record(plan, frame, time_s, actor, row) for actor, row in facts]

    def close(self) -> None:
        """Free the graphics card's memory; the studio is of no more use."""
        del self.painter, self.world
        close(self.context)

    def _signals(self, time_s: float) -> list[tuple[tuple[float, float, float], tuple[float, float], str]]:
        """Lit signal lamps: place, direction they face, colour."""
        network, moment = self.stage.place.network, time_s + self.stage.recipe.warmup_s
        out = []
        for mast in self.stage.place.masts:
            state = network.signals[mast.junction].state(mast.phase, moment)
            facing = (float(np.cos(mast.facing_rad)), float(np.sin(mast.facing_rad)))
            drop = {"red": 0.30, "yellow": 0.0, "green": -0.30}[state]
            for x, y, z in signal_heads(mast):
                out.append(((x + 0.2 * facing[0], y + 0.2 * facing[1], z + drop), facing, state))
        return out

    def _record(self, plan: CameraPlan, frame: int, time_s: float, actor: Actor, facts: dict[str, Any]) -> Record:
        mover = self.stage.movers[actor.id - 1]
        state = self.stage.state_at(mover, time_s)
        assert state is not None
        looks = mover.journey.identity
        length, width, height = looks.size_m
        return Record(
            camera=plan.number,
            frame=frame,
            time_s=round(time_s, 4),
            id=mover.id,
            vehicle_class=looks.vehicle_class,
            shape=looks.shape,
            colour=looks.colour,
            parked=mover.parked,
            east_m=round(float(state[0]), 3),
            north_m=round(float(state[1]), 3),
            heading_rad=round(float(state[2]), 4),
            speed_mps=round(float(state[3]), 3),
            length_m=round(length, 3),
            width_m=round(width, 3),
            height_m=round(height, 3),
            **facts,
        )


def _rendered_view(view: View, supersample: float) -> View:
    width, height = (round(v * supersample) for v in view.size_wh)
    return View(view.site, (width, height), view.k1, view.k2)


def _in_sight(actor: Actor, view: View) -> bool:
    gap = actor.pose[:3, 3] - view.eye
    right, _, ahead = gap @ view.axes.T
    reach = 7.0 + max(ahead, 0.0) * view.size_wh[0] / 2 / view.focal_px * 1.25
    return bool(-7.0 < ahead < _SIGHT_M and abs(right) < reach)


def film_camera(recipe: Recipe, index: int, folder: Path, stage: Stage | None = None) -> Path:
    """Film one camera of a recipe into ``folder/cNNN/`` (vdo.mp4 and record.parquet); done work is kept.

    Args:
        recipe: The scene.
        index: Which camera, from 0.
        folder: The scene's folder.
        stage: The recipe's stage, where it is at hand.
    """
    stage = stage or build_stage(recipe)
    plan = stage.cameras[index]
    done = record_path(folder, plan.id)
    if done.is_file() and (done.parent / "vdo.mp4").is_file():
        return done
    studio = Studio(stage)
    studio.aim(plan)
    records: list[Record] = []
    size = plan.view.size_wh
    with (
        VideoWriter(done.parent / "vdo.mp4", size, plan.fps, crf=recipe.crf) as video,
        progress_bar(f"{recipe.name} {plan.id}") as progress,
    ):
        for frame in range(plan.frames):
            image, _, rows = studio.shoot(plan, frame)
            video.write(np.ascontiguousarray(image))
            records += rows
            progress(frame + 1, plan.frames)
    studio.close()
    write_records(records, done)
    return done


def write_records(records: list[Record], path: Path) -> None:
    """Write the full record of a camera; the same records give the same bytes."""
    kinds = {"int": pa.int64(), "float": pa.float64(), "str": pa.string(), "bool": pa.bool_()}
    schema = pa.schema([(name, kinds[str(Record.__annotations__[name])]) for name in Record.names()])
    columns = {name: [getattr(record, name) for record in records] for name in Record.names()}
    with atomic_path(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary, compression="zstd")


def read_records(path: Path) -> list[Record]:
    """Read what :func:`write_records` wrote."""
    return [Record(**row) for row in pq.read_table(path).to_pylist()]
