"""The synthetic city's fixtures: a graphics context, and one small scene that is rendered once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtmc.errors import MissingDependency
from tools.synthcity.recipe import Recipe
from tools.synthcity.stage import Stage, build_stage

TINY = Recipe(
    name="S07",
    place="crossroads",
    seed=5,
    duration_s=2.0,
    warmup_s=25.0,
    cameras=2,
    width_px=320,
    height_px=180,
    supersample=1.25,
    start_spread_s=1.0,
    drops_per_min=40.0,
    pedestrians=2,
    cyclists=1,
)


@pytest.fixture(scope="session")
def egl() -> None:
    """Skips a test where nothing can be rendered."""
    from tools.synthcity.gpu import open_context

    try:
        open_context().release()
    except MissingDependency as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def stage() -> Stage:
    """The small scene before it is drawn."""
    return build_stage(TINY)


@pytest.fixture(scope="session")
def rendered(egl: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small scene on disk."""
    from tools.synthcity.render import render_scene

    return render_scene(TINY, tmp_path_factory.mktemp("city"))
