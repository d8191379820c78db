"""The loader's benchmark compares the same work."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tools.bench import loader  # noqa: E402


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(12):
        smooth = cv2.GaussianBlur(rng.integers(0, 255, (30, 40, 3), np.uint8), (0, 0), 3)
        cv2.imwrite(str(tmp_path / f"{i}.jpg"), smooth)
    return tmp_path


@pytest.mark.parametrize("recipe", ["baseline", "val"])
def test_all_contestants_make_such_views(folder: Path, recipe: str) -> None:
    """Shape and type are the same; the mean differs by the random part alone."""
    paths = sorted(folder.glob("*.jpg"))
    torch.manual_seed(0)
    (batch,) = loader.ours(recipe, (32, 32))(paths)
    mine = batch.views[0]
    for pillow in (True, False):
        (views,) = loader.torchvision_of(recipe, (32, 32), pillow=pillow)(paths)
        assert views.shape == mine.shape == (12, 3, 32, 32)
        assert views.dtype == mine.dtype == torch.float32
        assert abs(float(views.mean() - mine.mean())) < 0.2


def test_a_row_for_every_recipe_and_size(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert loader.main([str(folder), "--pictures", "4", "--rounds", "1", "--size", "8", "16"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "12 pictures, median 40 x 30 px"
    assert [line.split(" | ")[:2] for line in lines[3:]] == [
        ["| baseline", "8"],
        ["| baseline", "16"],
        ["| val", "8"],
        ["| val", "16"],
    ]
