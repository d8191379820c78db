"""Saliency against finite differences; pictures by what their pixels say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from reid.analysis.saliency import pair_picture, saliency  # noqa: E402
from reid.analysis.visualization import (  # noqa: E402
    embedding_plot,
    overlay,
    principal_plane,
    ranked_list,
    save_picture,
    stack,
)
from reid.errors import ConfigError  # noqa: E402


def test_saliency_agrees_with_finite_differences() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Tanh(), torch.nn.Flatten()).double().eval()
    network.requires_grad_(False)
    query, gallery = torch.rand(3, 5, 4).double(), torch.rand(3, 5, 4).double()

    def embed(x: torch.Tensor) -> torch.Tensor:
        return network(x.double())

    def similarity(a: torch.Tensor, b: torch.Tensor) -> float:
        fa, fb = embed(torch.stack([a, b]))
        return float(fa @ fb / fa.norm() / fb.norm())

    found = saliency(embed, query, gallery)
    assert found.similarity == pytest.approx(similarity(query, gallery), abs=1e-6)
    step = 1e-5
    for which, heat in (("query", found.query), ("gallery", found.gallery)):
        slopes = np.zeros((3, 5, 4))
        for place in np.ndindex(3, 5, 4):
            nudge = torch.zeros(3, 5, 4).double()
            nudge[place] = step
            pairs = [
                (query + s * nudge, gallery) if which == "query" else (query, gallery + s * nudge) for s in (1, -1)
            ]
            slopes[place] = (similarity(*pairs[0]) - similarity(*pairs[1])) / (2 * step)
        np.testing.assert_allclose(heat, np.abs(slopes).max(axis=0), atol=1e-5)


def test_saliency_finds_the_pixels_that_matter() -> None:
    """An embedder that looks at the left half only."""
    found = saliency(lambda x: x[..., :4].flatten(1), torch.rand(3, 6, 8), torch.rand(3, 6, 8))
    assert (found.query[:, 4:] == 0).all()
    assert (found.query[:, :4] > 0).all()
    crops = np.zeros((6, 8, 3), np.uint8)
    assert pair_picture(crops, crops, found).shape == (12, 16, 3)


def test_overlay_is_red_where_hot_and_blue_where_cold() -> None:
    heat = np.zeros((4, 4))
    heat[:, 2:] = 1
    picture = overlay(np.zeros((8, 8, 3), np.uint8), heat)
    assert picture[0, 7, 0] > picture[0, 7, 2]
    assert picture[0, 0, 2] > picture[0, 0, 0]
    assert overlay(np.zeros((8, 8, 3), np.uint8), np.zeros((4, 4))).shape == (8, 8, 3)


def test_ranked_list_frames_right_and_wrong() -> None:
    tile = np.full((20, 60, 3), 10, np.uint8)
    picture = ranked_list(tile, [tile, tile], [True, False], [0.9, 0.8])
    width = picture.shape[1] // 3
    right, wrong = picture[0, width], picture[0, 2 * width]
    assert right[1] > right[0]
    assert wrong[0] > wrong[1]
    np.testing.assert_array_equal(picture[4:24, width + 4 : width + 64], tile)
    assert stack([picture, picture[:, :width]]).shape == (2 * picture.shape[0], picture.shape[1], 3)


def test_principal_plane_keeps_the_most_variance() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 6)) * [1, 9, 1, 5, 1, 1]
    place = principal_plane(features)
    variance = np.linalg.eigvalsh(np.cov(features.T))[::-1]
    np.testing.assert_allclose(place.var(axis=0, ddof=1), variance[:2], rtol=1e-9)
    assert abs(place[:, 0] @ place[:, 1]) < 1e-6


def test_embedding_plot_draws_every_identity() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([7, 3, 9], 4)
    picture = embedding_plot(rng.normal(size=(3, 8))[[0] * 4 + [1] * 4 + [2] * 4], labels, side_px=100)
    colors = {tuple(c) for c in picture.reshape(-1, 3) if c.min() < 60 and c.max() > 190}
    assert len(colors) >= 3


def test_pictures_are_written_as_rgb(tmp_path: Path) -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[..., 0] = 200
    save_picture(tmp_path / "new" / "red.png", picture)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "new" / "red.png"))[..., ::-1], picture)
    with pytest.raises(ConfigError, match=r"ends in \.png or \.jpg"):
        save_picture(tmp_path / "red.xyz", picture)
