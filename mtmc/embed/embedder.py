"""What an embedder is."""

from __future__ import annotations

from typing import Protocol

from mtmc.types import Array

__all__ = ["Embedder"]


class Embedder(Protocol):
    """Crops of vehicles to vectors whose cosine is the similarity of their appearance.

    Attributes:
        name: What to call it.
        size_hw: Height and width of its crops, pixels.
        interpolation: How they are resized to that: ``linear`` or ``cubic``.
        dim: D.
        match_similarity: Cosine that suggests one vehicle rather than two; None where it was not measured.
        spread: Standard deviation of the cosine of two different vehicles; None where it was not measured.
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
    @property
    def spread(self) -> float | None: ...  # noqa: D102

    def __call__(self, images: Array) -> Array:
        """uint8 (N, h, w, 3) RGB → float32 (N, D), of any length."""
        ...
