"""Several embedders as one: concatenation and weights by hand, and what settings make of a list."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from mtmc.embed import EmbedConfig, load_embedder
from mtmc.embed.color import ColorHistogramEmbedder
from mtmc.embed.ensemble import EnsembleEmbedder
from mtmc.errors import ConfigError
from mtmc.settings import parse_settings
from mtmc.zoo import package_model


class MeanColor:
    """The mean color of a crop, times 1 + the number of its channel: no unit vector."""

    interpolation = "linear"
    dim = 3

    def __init__(self, size_hw: tuple[int, int], spread: float | None, match_similarity: float | None) -> None:
        self.name = f"mean_{size_hw[0]}"
        self.size_hw, self.spread, self.match_similarity = size_hw, spread, match_similarity

    def __call__(self, images: np.ndarray) -> np.ndarray:
        assert images.dtype == np.uint8
        assert images.shape[1:] == (*self.size_hw, 3)
        return np.asarray(images.mean((1, 2)) * [1, 2, 3], np.float32)


def plain(*colors: tuple[int, int, int], size_hw: tuple[int, int] = (16, 32)) -> np.ndarray:
    return np.stack([np.full((*size_hw, 3), color, np.uint8) for color in colors])


def test_parts_are_unit_vectors_times_the_roots_of_their_shares() -> None:
    """Spreads of 0.1 and 0.3 weigh 3 : 1."""
    pair = EnsembleEmbedder([MeanColor((16, 32), 0.1, 0.8), MeanColor((8, 8), 0.3, 0.4)])
    assert (pair.size_hw, pair.dim, pair.name) == ((16, 32), 6, "mean_16 + mean_8")
    (found,) = pair(plain((10, 20, 30)))
    part = np.array([10.0, 40.0, 90.0]) / np.sqrt(10**2 + 40**2 + 90**2)
    np.testing.assert_allclose(found, [*np.sqrt(0.75) * part, *np.sqrt(0.25) * part], rtol=1e-5)
    assert pair.match_similarity == pytest.approx(0.75 * 0.8 + 0.25 * 0.4)


def test_the_order_is_that_of_the_sum_of_standardized_similarities() -> None:
    """Members of unlike scales: the cosine of the ensemble ranks as z does, with means and spreads by hand."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 64, 64, 3), np.uint8) // rng.integers(1, 5, (12, 1, 1, 3), np.uint8)
    color, mean = ColorHistogramEmbedder(), MeanColor((64, 64), 0.05, None)
    color.spread = 0.2
    found = EnsembleEmbedder([color, mean])(images)
    pairs = list(itertools.combinations(range(len(images)), 2))
    z, cosine = [], []
    for a, b in pairs:
        total = 0.0
        for member, spread in ((color, 0.2), (mean, 0.05)):
            va, vb = member(images)[[a, b]].astype(float)
            total += (va @ vb / np.linalg.norm(va) / np.linalg.norm(vb) - 0.37) / spread
        z.append(total)
        cosine.append(float(found[a] @ found[b]))
    assert np.array_equal(np.argsort(z), np.argsort(cosine))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_an_unmeasured_spread_counts_as_a_usual_one_and_a_threshold_is_not_made_up() -> None:
    pair = EnsembleEmbedder([MeanColor((8, 8), None, 0.5), MeanColor((8, 8), 0.2, None)])
    np.testing.assert_allclose(pair.shares, [0.5, 0.5])
    assert pair.match_similarity is None
    with pytest.raises(ConfigError, match="two embedders or more, got 1"):
        EnsembleEmbedder([MeanColor((8, 8), None, None)])


def test_a_list_of_weights_is_an_ensemble() -> None:
    config = parse_settings(EmbedConfig, {"weights": ["package", "color_histogram"]})
    found = load_embedder(config)
    assert isinstance(found, EnsembleEmbedder)
    network, color = found.members
    assert network.name == package_model("embedder").name
    assert isinstance(color, ColorHistogramEmbedder)
    assert found.dim == network.dim + color.dim
    images = np.random.default_rng(1).integers(0, 256, (2, *found.size_hw, 3), np.uint8)
    assert found(images).shape == (2, found.dim)


def test_a_list_of_one_is_that_one_and_none_stands_alone() -> None:
    assert parse_settings(EmbedConfig, {"weights": ["color_histogram"]}).weights == "color_histogram"
    for wrong in ([], ["none", "color_histogram"]):
        with pytest.raises(ConfigError, match="one embedder or more"):
            parse_settings(EmbedConfig, {"weights": wrong})


def test_one_card_does_not_describe_several_weights(tmp_path: Path) -> None:
    config = EmbedConfig(weights=("package", "color_histogram"), card=tmp_path / "card.json")
    with pytest.raises(ConfigError, match=r"card\.json: embed\.card: expected none for several weights"):
        load_embedder(config)


def test_one_embedder_does_not_count_twice() -> None:
    """The package's model has two names, that of the choice and its own."""
    with pytest.raises(ConfigError, match=r"expected different embedders, got .*embedder\.onnx twice"):
        load_embedder(EmbedConfig(weights=("package", package_model("embedder").name)))


@pytest.mark.parametrize("wrong", [3, None, ["auto", None], ["auto", " "]])
def test_weights_are_names(wrong: object) -> None:
    with pytest.raises(
        ConfigError, match="weights: expected the name or file of an embedder, or a list of them, got"
    ):
        parse_settings(EmbedConfig, {"weights": wrong})
