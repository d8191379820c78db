"""Where a network trained by SGFD directs its attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reid.analysis.visualization import overlay
from reid.data.augment import normalize, resize
from reid.errors import ConfigError
from reid.methods.sgfd import GeometricNetwork
from reid.training.checkpoint import Trained

__all__ = ["attention_picture"]


def attention_picture(trained: Trained, pictures: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Pictures side by side, and below each the attention of the network.

    Args:
        trained: A network trained by ``sgfd`` with attention.
        pictures: uint8 (H, W, 3) RGB of any size.

    Returns:
        uint8 (2 h, N w, 3) RGB.

    Raises:
        ConfigError: The network has no attention.
    """
    if not isinstance(trained.embedder, GeometricNetwork):
        raise ConfigError(f"{trained.config.method} has no attention", remedy="train sgfd")
    card = trained.card
    crops = [resize(picture, card.size_hw) for picture in pictures]
    images = torch.from_numpy(np.stack([normalize(crop, card.mean, card.std) for crop in crops]))
    with torch.no_grad():
        maps = trained.embedder.attention(images)[:, 0].numpy()
    below = [overlay(crop, heat) for crop, heat in zip(crops, maps, strict=True)]
    both: NDArray[Any] = np.concatenate([np.concatenate(crops, axis=1), np.concatenate(below, axis=1)])
    return both
