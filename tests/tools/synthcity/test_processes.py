"""Cameras rendered side by side, without drawing anything."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtmc.errors import MtmcError
from tools.synthcity import render
from tools.synthcity.stage import Stage

ROOT = Path(__file__).parents[3]


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


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_networks_can_be_loaded_after_something_was_drawn(egl: None) -> None:
    """Mesa's LLVM and Triton's in one process: loaded in the wrong order, the second one crashes."""
    lines = "from tools.synthcity.gpu import open_context", "open_context()", "import triton._C.libtriton"
    done = subprocess.run(
        [sys.executable, "-c", "; ".join(lines)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
