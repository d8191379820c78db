"""What an embedder is, and how a configuration names one."""

from __future__ import annotations

from typing import Protocol

from mtmc.embed.color import ColorHistogramEmbedder
from mtmc.embed.config import EmbedConfig
from mtmc.types import Array
from mtmc.zoo import model_file

__all__ = ["Embedder", "load_embedder"]


class Embedder(Protocol):
    """Crops of vehicles to vectors whose cosine is the similarity of their appearance.

    Attributes:
        name: What to call it.
        size_hw: Height and width of its crops, pixels.
        interpolation: How they are resized to that: ``linear`` or ``cubic``.
        dim: D.
        match_similarity: Cosine that suggests one vehicle rather than two; None where it was not measured.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def size_hw(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def interpolation(self) -> str: ...  # noqa: D102
    @property
    def dim(self) -> int: ...  # noqa: D102
    @property
    def match_similarity(self) -> float | None: ...  # noqa: D102

    def __call__(self, images: Array) -> Array:
        """uint8 (N, h, w, 3) RGB → float32 (N, D), of any length."""
        ...


def load_embedder(config: EmbedConfig, threads: int = 1) -> Embedder | None:
    """The embedder that a configuration names; None for ``none``.

    Raises:
        WeightsError: Weights or card are missing, unreadable, or do not fit each other.
        ConfigError: The device, precision or runtime does not exist here.
        MissingDependency: A package that these weights need is not installed.
    """
    if config.weights == "none":
        return None
    if config.weights == "color_histogram":
        return ColorHistogramEmbedder()
    from reid.inference import load_embedder as load

    return load(
        model_file(config.weights, "embedder"),
        runtime=config.runtime,
        device=config.device,
        precision=config.precision,
        threads=threads,
        card=config.card,
    )
