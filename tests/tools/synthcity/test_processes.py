"""Cameras rendered side by side, without drawing anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtmc.errors import MtmcError
from tools.synthcity import render
from tools.synthcity.stage import Stage


def die(*_: object, **__: object) -> None:
    """What the graphics library does now and then."""
    os._exit(1)


def test_a_process_that_dies_is_told_and_nothing_hangs(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LP_NUM_THREADS", "1")  # set for good by what is tested
    monkeypatch.setattr(render, "film_camera", die)
    with pytest.raises(MtmcError, match=r"a worker process died.*run again, with fewer --processes"):
        render.render_scene(stage.recipe, tmp_path, processes=2)
