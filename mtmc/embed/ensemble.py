"""Several embedders as one: their unit vectors side by side, each on the scale of its own spread.

What two embedders call similar lies on different scales: the cosines of two different vehicles scatter by 0.1
around 0.7 for color histograms, and by 0.2 around 0 for a network. Standardized by the mean μ and the deviation σ of
such cosines, the similarities can be added::

    z(a, b) = Σᵢ (cosᵢ(a, b) − μᵢ) / σᵢ

One cosine has the same order, that of a vector whose parts are the members' unit vectors times √wᵢ::

    cos(a, b) = Σᵢ wᵢ cosᵢ(a, b)        wᵢ = (1 / σᵢ) / Σⱼ (1 / σⱼ)
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mtmc.embed.embedder import Embedder
from mtmc.embed.pooling import unit_rows
from mtmc.errors import ConfigError
from mtmc.types import Array

__all__ = ["EnsembleEmbedder"]

_UNMEASURED_SPREAD = 0.2  # of an embedder whose card does not say; usual for networks with a normalizing neck


class EnsembleEmbedder:
    """Several embedders as one: uint8 (N, h, w, 3) RGB → float32 (N, D), unit length, D the sum of the members'.

    Crops have the size of the member that takes the most pixels; they are resized for the others.

    Args:
        members: At least two.

    Raises:
        ConfigError: There are fewer.
    """

    def __init__(self, members: Sequence[Embedder]) -> None:
        if len(members) < 2:
            raise ConfigError(f"embed.weights: expected two embedders or more, got {len(members)}")
        self.members = tuple(members)
        largest = max(members, key=lambda member: member.size_hw[0] * member.size_hw[1])
        self.size_hw, self.interpolation = largest.size_hw, largest.interpolation
        self.dim = sum(member.dim for member in members)
        self.name = " + ".join(member.name for member in members)
        precision = np.array([1 / (member.spread or _UNMEASURED_SPREAD) for member in members])
        self.shares = precision / precision.sum()

    @property
    def match_similarity(self) -> float | None:
        """Σ wᵢ mᵢ of the members' thresholds mᵢ; None if one was not measured."""
        thresholds = [member.match_similarity for member in self.members]
        if any(threshold is None for threshold in thresholds):
            return None
        return float(self.shares @ np.array(thresholds, float))

    @property
    def spread(self) -> float | None:
        """Of an ensemble within an ensemble: not measured."""
        return None

    def __call__(self, images: Array) -> Array:
        """Embed crops.

        Raises:
            WeightsError: A member fails or gives vectors without a direction.
        """
        parts = [
            np.sqrt(share) * unit_rows(member(_resized(images, member)), member.name)
            for member, share in zip(self.members, self.shares, strict=True)
        ]
        return np.concatenate(parts, axis=1).astype(np.float32)


def _resized(images: Array, member: Embedder) -> Array:
    """Crops of the size that a member takes; area interpolation, since they only shrink."""
    if images.shape[1:3] == member.size_hw:
        return images
    width_height = member.size_hw[::-1]
    out = np.empty((len(images), *member.size_hw, 3), np.uint8)
    for row, image in zip(out, images, strict=True):
        cv2.resize(np.ascontiguousarray(image), width_height, dst=row, interpolation=cv2.INTER_AREA)
    return out
