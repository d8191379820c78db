"""The loader's benchmark compares the same work."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

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


def test_trainings_from_files_and_from_memory_get_the_same_batches(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rounds of 2 and 4 images per second after one of 9 that is not counted: half the speed, and equal pictures."""
    seen: list[list[torch.Tensor]] = []
    speeds = iter([9.0, 9.0, 2.0, 4.0])

    def run_epoch(*arguments: Any) -> SimpleNamespace:
        seen.append([batch.views[0].clone() for batch in arguments[-1]])
        speed = next(speeds)
        return SimpleNamespace(summary=lambda: {"images_per_second": speed, "device_busy": 0.75})

    monkeypatch.setattr(loader, "run_epoch", run_epoch)
    command = [
        "--step",
        "resnet18_x0_25",
        "--size",
        "16",
        "--batch",
        "4",
        "--steps",
        "3",
        "--rounds",
        "1",
        "--workers",
        "0",
    ]
    assert loader.main([str(folder), *command]) == 0
    for from_files, from_memory in (seen[:2], seen[2:]):
        assert len(from_files) == len(from_memory) == 3
        assert all(torch.equal(a, b) for a, b in zip(from_files, from_memory, strict=True))
    assert (
        "batch 4: 2.00 images/s, 25.0 % of the time waiting for data; 4.00 from memory: 50.0 %"
        in capsys.readouterr().out
    )
