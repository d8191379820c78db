"""Plots of retrieval: curves pass where their numbers are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reid.analysis.plots import Axis, cmc_plot, line_plot, roc_plot, write_plots
from reid.data.images import read_image
from reid.evaluation.retrieval import RetrievalScores
from reid.evaluation.verification import Verification

BLUE, RED = (31, 119, 180), (214, 39, 40)


def near(picture: np.ndarray, column: float, row: float, color: tuple[int, int, int]) -> bool:
    """Whether there is a pixel of about that color within two pixels."""
    part = picture[round(row) - 2 : round(row) + 3, round(column) - 2 : round(column) + 3]
    return bool((np.abs(part.astype(int) - color).sum(axis=2) < 60).any())


def scores(name: str, cmc: list[float]) -> RetrievalScores:
    return RetrievalScores(name, 0.5, 0.5, 0.4, tuple(cmc), queries=10, unmatched=0)


def test_axes_map_their_ends_to_the_frame() -> None:
    linear, log = Axis("x", (0, 1, 4)), Axis("x", (1e-4, 1e-2, 1), log=True)
    assert linear.share(np.array([0, 1, 4, -1, 9])).tolist() == [0, 0.25, 1, 0, 1]
    assert log.share(np.array([1e-4, 1e-3, 1e-2, 1, 1e-9])).tolist() == pytest.approx([0, 0.25, 0.5, 1, 0])


def test_lines_pass_through_their_points() -> None:
    """The frame is 690 × 500 px with its lower left corner at (80, 530)."""
    curves = {
        "rising": (np.array([0.0, 10.0]), np.array([0.0, 1.0])),
        "flat": (np.array([0.0, 10.0]), np.array([0.8, 0.8])),
    }
    picture = line_plot(curves, Axis("x", (0, 5, 10)), Axis("y", (0, 0.5, 1)))
    assert picture.shape == (600, 800, 3)
    assert picture.dtype == np.uint8
    for share in (0.1, 0.3, 0.5):
        assert near(picture, 80 + 690 * share, 530 - 500 * share, BLUE)
    assert near(picture, 300, 530 - 400, RED)
    assert not near(picture, 300, 530 - 300, RED)


def test_cmc_and_roc_show_their_numbers(tmp_path: Path) -> None:
    picture = cmc_plot([scores("market", [0.6 + 0.008 * k for k in range(50)]), scores("other", [0.9] * 50)])
    # Shares from 0.6 to 1: rank 26 has 0.8, in the middle.
    assert near(picture, 80 + 690 * 25 / 49, 530 - 250, BLUE)
    assert near(picture, 300, 530 - 500 * 0.75, RED)
    pairs = Verification(
        np.array([0.9, 0.5]), np.array([4, 10]), np.array([0, 1000]), same=10, different=10_000
    )  # the axis begins at 10⁻⁴, where no false pair is drawn below
    roc = roc_plot(pairs)
    assert near(roc, 80, 530 - 200, BLUE)
    assert near(roc, 80 + 690 * 0.75, 530 - 500, BLUE)
    assert near(roc, 80 + 690 * 0.4, 530 - 200, BLUE)  # a step: no true pair is added on the way
    write_plots(tmp_path / "plots", [scores("market", [1.0] * 50)], pairs)
    assert read_image(tmp_path / "plots/cmc.png").shape == (600, 800, 3)
    assert np.array_equal(read_image(tmp_path / "plots/roc.png"), roc)
