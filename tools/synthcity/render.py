"""Rendering whole scenes: one process per core, done cameras kept."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from mtmc.errors import MtmcError
from mtmc.progress import share_terminal
from tools.synthcity.film import film_camera
from tools.synthcity.layout import write_layout
from tools.synthcity.recipe import Recipe
from tools.synthcity.stage import build_stage

__all__ = ["render_scene"]


def render_scene(recipe: Recipe, out: Path, processes: int = 1) -> Path:
    """Render a recipe into ``out/<name>/``; a killed run goes on with the cameras that are missing.

    Args:
        recipe: The scene.
        out: Root folder of scenes.
        processes: Cameras rendered side by side.

    Returns:
        The scene's folder.

    Raises:
        MtmcError: A process died.
    """
    folder = out / recipe.name
    stage = build_stage(recipe)
    jobs = [(recipe, index, folder) for index in range(len(stage.cameras))]
    if processes == 1:
        for job in jobs:
            film_camera(*job, stage=stage)
    else:
        # The software rasteriser's own threads gain little; one thread each leaves the cores to the processes.
        os.environ.setdefault("LP_NUM_THREADS", "1")
        context = multiprocessing.get_context("spawn")
        lock = context.RLock()
        workers = min(processes, len(jobs))
        with ProcessPoolExecutor(workers, context, share_terminal, (processes, lock)) as pool:
            futures = [pool.submit(film_camera, *job) for job in jobs]
            try:
                for future in futures:
                    future.result()
            except BrokenProcessPool:
                raise MtmcError(
                    f"{folder}: a process that rendered died, in the graphics library or because memory ran out",
                    remedy="run again, with fewer --processes if need be; finished cameras are kept",
                ) from None
    write_layout(stage, folder)
    return folder
