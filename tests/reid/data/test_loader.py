"""Batches are the same whatever reads them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from reid.data.images import read_image  # noqa: E402
from reid.data.loader import Batch, CropDataset, make_loader  # noqa: E402
from reid.data.records import Record  # noqa: E402
from reid.data.sampler import IdentityBatches  # noqa: E402
from reid.data.views import AugmentationRecipe, make_view  # noqa: E402
from reid.errors import DataError  # noqa: E402


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    rng = np.random.default_rng(0)
    made = []
    for k in range(12):
        path = tmp_path / f"{k}.png"
        cv2.imwrite(str(path), rng.integers(0, 256, (20, 24, 3), np.uint8))
        made.append(Record(path, vehicle_id=10 * (k // 3), camera_id=k % 3, view=k % 2))
    return made


def batches_of(records: list[Record], workers: int) -> list[Batch]:
    recipes = [
        AugmentationRecipe(size_hw=(16, 16), flip=0.5, crop="pad"),
        AugmentationRecipe(size_hw=(8, 8), crop="resized"),
    ]
    sampler = IdentityBatches(np.repeat(np.arange(4), 3), 2, 3, seed=7)
    return list(make_loader(CropDataset(records, recipes), sampler, workers=workers))


def test_batches_hold_what_was_drawn(records: list[Record]) -> None:
    batches = batches_of(records, 0)
    draws = list(IdentityBatches(np.repeat(np.arange(4), 3), 2, 3, seed=7))
    assert len(batches) == len(draws) == 2
    for batch, drawn in zip(batches, draws, strict=True):
        assert batch.index.tolist() == [d.item for d in drawn]
        assert batch.label.tolist() == [d.item // 3 for d in drawn]
        assert batch.camera.tolist() == [d.item % 3 for d in drawn]
        assert batch.view.tolist() == [d.item % 2 for d in drawn]
        assert [tuple(v.shape) for v in batch.views] == [(6, 3, 16, 16), (6, 3, 8, 8)]
        assert batch.flipped.shape == (2, 6)
        first, flipped = make_view(
            read_image(records[drawn[0].item].path),
            AugmentationRecipe(size_hw=(16, 16), flip=0.5, crop="pad"),
            np.random.default_rng(drawn[0].seed),
        )
        assert torch.equal(batch.views[0][0], first)
        assert bool(batch.flipped[0, 0]) == flipped


def test_workers_change_nothing(records: list[Record]) -> None:
    for alone, shared in zip(batches_of(records, 0), batches_of(records, 2), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(alone.views, shared.views, strict=True))
        assert torch.equal(alone.index, shared.index)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_picture_is_one_sentence_whatever_reads_it(records: list[Record], workers: int) -> None:
    records[5].path.write_text("not a picture")
    with pytest.raises(DataError) as caught:
        batches_of(records, workers)
    assert str(caught.value).startswith(f"{records[5].path}: expected a picture, got something else; ")
    assert caught.value.path == records[5].path


def test_damaged_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jpg: no such picture"):
        read_image(tmp_path / "gone.jpg")
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(DataError, match=r"text\.jpg: expected a picture"):
        read_image(tmp_path / "text.jpg")
