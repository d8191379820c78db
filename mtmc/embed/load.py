"""The embedder that a configuration names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mtmc.embed.color import ColorHistogramEmbedder
from mtmc.embed.config import EmbedConfig
from mtmc.embed.embedder import Embedder
from mtmc.embed.ensemble import EnsembleEmbedder
from mtmc.errors import ConfigError
from mtmc.zoo import Task, model_file, name_remedy, setting_names

__all__ = ["check_embedders", "load_embedder"]


def check_embedders(config: EmbedConfig) -> None:
    """Refuse a name of no embedder or of no attribute network, before anything is downloaded or loaded.

    Raises:
        ConfigError: A setting names neither a model nor a file, or one embedder twice.
    """
    for name in config.names:
        _check_name(name, "embedder", "embed.weights", "auto, package, color_histogram, none")
    _check_different(config.names)
    _check_name(config.attributes, "attributes", "embed.attributes", "none")


def _check_name(name: str, task: Task, key: str, choices: str) -> None:
    is_path = Path(name).suffix or set("/:") & set(name) or Path(name).exists()
    if name not in setting_names(task) and not is_path:
        raise ConfigError(
            f"{key}: expected {choices}, a model of mtmc models list or a model file, got {name!r}",
            remedy=name_remedy(name, task),
        )


def _check_different(names: Sequence[str]) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(
            f"embed.weights: expected different embedders, got {twice[0]} twice",
            remedy="name each once; auto and package stand for models of mtmc models list",
        )


def load_embedder(config: EmbedConfig, threads: int = 1) -> Embedder | None:
    """The embedder that a configuration names, an ensemble where it names several; None for ``none``.

    Raises:
        WeightsError: Weights or card are missing, unreadable, or do not fit each other.
        ConfigError: A name is of no embedder or given twice, the device, precision or runtime does not exist here, or
            one card is given for several weights.
        MissingDependency: A package that these weights need is not installed.
    """
    if config.weights == "none":
        return None
    check_embedders(config)
    files = [model_file(name, "embedder") for name in config.names]
    if len(files) == 1:
        return _load(files[0], config, threads)
    _check_different(files)
    if config.card is not None:
        raise ConfigError(
            "embed.card: expected none for several weights, got one",
            path=config.card,
            remedy="put each card beside its weights",
        )
    return EnsembleEmbedder([_load(file, config, threads) for file in files])


def _load(weights: str, config: EmbedConfig, threads: int) -> Embedder:
    if weights == "color_histogram":
        return ColorHistogramEmbedder()
    from reid.inference import load_embedder as load

    return load(
        weights,
        runtime=config.runtime,
        device=config.device,
        precision=config.precision,
        threads=threads,
        card=config.card,
    )
