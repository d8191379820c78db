"""Seconds per frame and per re-identification crop of the synthetic city, by picture size and number of vehicles.

    python -m tools.bench.render                 # one core, pinned; --crops for the crops alone

A frame is all of its work: shadows, vehicles, people, lens and sensor, boxes and visibility of every vehicle, H.264.
What is done once is given by itself: a camera's background, a vehicle's textures. CPU seconds are the median of
several frames, wall seconds their minimum; on a busy machine the first say more, on a graphics card the second.
"""

from __future__ import annotations

import os

os.environ["LP_NUM_THREADS"] = "1"
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mtmc.progress import progress_bar
from mtmc.video.write import VideoWriter
from tools import markdown
from tools.synthcity.actors import Actor
from tools.synthcity.crop_plan import CropPlan
from tools.synthcity.crops import draw_looks, open_station, shoot
from tools.synthcity.film import Studio
from tools.synthcity.identity import Identity
from tools.synthcity.recipe import Recipe
from tools.synthcity.stage import CameraPlan, Stage, build_stage
from tools.synthcity.truth import amodal_box, observe

__all__ = ["main", "measure_crops", "measure_frames"]

SIZES = ((640, 360), (960, 540), (1280, 720), (1920, 1080))
COUNTS = (5, 10, 20, 30)
_SEED = 4
_MOMENTS = 6
_LEAST_PX = 100.0


class _Cost:
    """Seconds of repeated work."""

    def __init__(self) -> None:
        self.cpu: list[float] = []
        self.wall: list[float] = []

    def of(self, work: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)
        return result

    def __str__(self) -> str:
        return f"{np.median(self.cpu):.3f} ({np.min(self.wall):.3f})" if self.cpu else "–"


def measure_frames(size_wh: tuple[int, int], counts: Sequence[int], moments: int = _MOMENTS) -> dict[str, str]:
    """CPU (wall) seconds of a frame by number of vehicles, and of a camera's background.

    The camera stands at busy crossroads; of the vehicles in view the largest are drawn, and all people.
    """
    width, height = size_wh
    stage = build_stage(
        Recipe(seed=_SEED, width_px=width, height_px=height, demand_per_min=160, duration_s=60, cameras=1)
    )
    plan, studio, out = stage.cameras[0], Studio(stage), {}
    background = _Cost()
    background.of(partial(studio.aim, plan))
    for count in counts:
        cost = _Cost()
        with tempfile.TemporaryDirectory() as folder, VideoWriter(Path(folder) / "v.mp4", size_wh, plan.fps) as video:
            for time_s in np.linspace(0, 59, moments).tolist():
                cast = _cast(stage, plan, time_s, count)
                _film(studio, plan, cast, time_s, video)  # paints what is seen for the first time
                if sum(isinstance(actor.looks, Identity) for actor in cast) == count:
                    cost.of(partial(_film, studio, plan, cast, time_s, video))
        out[str(count)] = str(cost)
    studio.close()
    return {**out, "background": str(background)}


def _cast(stage: Stage, plan: CameraPlan, time_s: float, count: int) -> list[Actor]:
    """The ``count`` largest vehicles in view, as far as there are so many, and all people."""
    sizes, people = [], []
    for actor in stage.actors_at(time_s):
        if not isinstance(actor.looks, Identity):
            people.append(actor)
        elif (boxed := amodal_box(actor, plan.view)) is not None:
            box = boxed[0]
            sizes.append((float((box[2] - box[0]) * (box[3] - box[1])), actor))
    share = plan.view.size_wh[0] * plan.view.size_wh[1] / (960 * 540)
    large = sorted((pair for pair in sizes if pair[0] >= _LEAST_PX * share), key=lambda pair: -pair[0])
    return [actor for _, actor in large[:count]] + people


def _film(studio: Studio, plan: CameraPlan, cast: list[Actor], time_s: float, video: VideoWriter) -> None:
    image, ids = studio.painter.paint(cast, time_s, (0.3, 0.6), [])
    observe(studio.painter, plan.view, cast, ids)
    video.write(np.ascontiguousarray(image))


def measure_crops(vehicles: int = 12, views: int = 4) -> dict[str, str]:
    """CPU (wall) seconds of a crop, of a vehicle's first one (its textures are painted), and of a camera station."""
    plan = CropPlan(identities=vehicles, test_identities=0, cameras=2, views=views)
    station, first, later = _Cost(), _Cost(), _Cost()
    stand = station.of(partial(open_station, plan, 0))
    rng = np.random.default_rng(_SEED)
    for looks in draw_looks(plan)[0]:
        for view in range(views):
            cost = later if view else first
            cost.of(partial(_crop, stand, looks, plan, rng))
    return {"crop": str(later), "first of a vehicle": str(first), "station": str(station)}


def _crop(stand: Any, looks: Identity, plan: CropPlan, rng: np.random.Generator) -> None:
    shot = shoot(stand, looks, None, plan.size_px, rng)
    if shot is not None:
        cv2.imencode(".jpg", shot[0])


def main() -> None:
    """Measure and print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", action="store_true", help="crops only")
    options = parser.parse_args()
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    load = os.getloadavg()[0]
    print(f"one core, CPU seconds (wall seconds), load {load:.1f} on {os.cpu_count()} cores\n")
    if not options.crops:
        print(markdown.heading(["size", *(f"{n} vehicles" for n in COUNTS), "background"]))
        with progress_bar("sizes", "size") as progress:
            for done, size in enumerate(SIZES, start=1):
                row = measure_frames(size, COUNTS)
                print(markdown.row([f"{size[0]}×{size[1]}", *row.values()]), flush=True)
                progress(done, len(SIZES))
        print()
    row = measure_crops()
    print(markdown.table(list(row), [row.values()]))


if __name__ == "__main__":
    main()
