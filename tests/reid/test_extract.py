"""Crops reach the embedder resized, in order, whatever the batch."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reid.data.records import Record
from reid.errors import DataError
from reid.evaluation.extract import extract


class Mean:
    """The mean color; remembers how many crops came at once."""

    size_hw = (6, 10)
    interpolation = "linear"

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, images: np.ndarray) -> np.ndarray:
        assert images.dtype == np.uint8
        assert images.shape[1:] == (6, 10, 3)
        self.seen.append(len(images))
        return images.mean(axis=(1, 2)).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 3, 5, 64])
def test_rows_follow_the_records(tmp_path: Path, batch: int) -> None:
    records = []
    for k in range(7):
        picture = np.zeros((8 + k, 12, 3), np.uint8)
        picture[:] = (3 * k, 2 * k, k)  # blue, green, red
        cv2.imwrite(str(tmp_path / f"{k}.png"), picture)
        records.append(Record(tmp_path / f"{k}.png", k, 0))
    embed = Mean()
    expected = [[k, 2 * k, 3 * k] for k in range(7)]
    np.testing.assert_allclose(extract(embed, records, batch=batch), expected)
    assert sum(embed.seen) == 7
    assert max(embed.seen) <= batch


def test_no_records_give_no_rows() -> None:
    assert extract(Mean(), []).shape == (0, 0)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jpg: no such picture"):
        extract(Mean(), [Record(tmp_path / "gone.jpg", 1, 1)])


def test_pictures_are_resized_as_the_card_says(tmp_path: Path) -> None:
    """A step between two columns overshoots when it is resized by cubic interpolation, never by linear."""
    picture = np.full((4, 8, 3), 100, np.uint8)
    picture[:, 4:] = 150
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    seen: list[np.ndarray] = []

    class Keeps(Mean):
        size_hw = (8, 16)

        def __call__(self, images: np.ndarray) -> np.ndarray:
            seen.append(images)
            return np.zeros((len(images), 1), np.float32)

    for interpolation in ("linear", "cubic"):
        embed = Keeps()
        embed.interpolation = interpolation
        extract(embed, [Record(tmp_path / "a.png", 1, 1)])
    linear, cubic = seen
    assert (linear.min(), linear.max()) == (100, 150)
    assert cubic.min() < 100
    assert cubic.max() > 150
