"""Rendering whole scenes: one process per core, done cameras kept."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from mtmc.runners.local import map_cameras
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
    if processes == 1:
        for index in range(len(stage.cameras)):
            film_camera(recipe, index, folder, stage=stage)
    else:
        # The software rasteriser's own threads gain little; one thread each leaves the cores to the processes.
        os.environ.setdefault("LP_NUM_THREADS", "1")
        map_cameras(
            partial(film_camera, recipe, folder=folder),
            range(len(stage.cameras)),
            workers=processes,
            remedy="run again, with fewer --processes if need be; finished cameras are kept",
        )
    write_layout(stage, folder)
    return folder
