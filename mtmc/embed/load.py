"""The embedder that a configuration names."""

from __future__ import annotations

from mtmc.embed.color import ColorHistogramEmbedder
from mtmc.embed.config import EmbedConfig
from mtmc.embed.embedder import Embedder
from mtmc.embed.ensemble import EnsembleEmbedder
from mtmc.errors import ConfigError
from mtmc.zoo import model_file

__all__ = ["load_embedder"]


def load_embedder(config: EmbedConfig, threads: int = 1) -> Embedder | None:
    """The embedder that a configuration names, an ensemble where it names several; None for ``none``.

    Raises:
        WeightsError: Weights or card are missing, unreadable, or do not fit each other.
        ConfigError: The device, precision or runtime does not exist here, or one card is given for several weights.
        MissingDependency: A package that these weights need is not installed.
    """
    if config.weights == "none":
        return None
    if isinstance(config.weights, str):
        return _load(config.weights, config, threads)
    if config.card is not None:
        raise ConfigError(
            "embed.card: expected none for several weights, got one",
            path=config.card,
            remedy="put each card beside its weights",
        )
    return EnsembleEmbedder([_load(name, config, threads) for name in config.weights])


def _load(weights: str, config: EmbedConfig, threads: int) -> Embedder:
    if weights == "color_histogram":
        return ColorHistogramEmbedder()
    from reid.inference import load_embedder as load

    return load(
        model_file(weights, "embedder"),
        runtime=config.runtime,
        device=config.device,
        precision=config.precision,
        threads=threads,
        card=config.card,
    )
