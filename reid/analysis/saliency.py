"""Which pixels make two crops similar (SSBVER, Eq. 6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reid.analysis.visualization import overlay
from reid.card import Card
from reid.data.augment import normalize

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Saliency", "explain_pair", "pair_picture", "saliency"]


@dataclass(frozen=True, slots=True, eq=False)
class Saliency:
    """How the similarity of two crops depends on their pixels.

    Attributes:
        similarity: Cosine of their embeddings.
        query: float32 (h, w), largest absolute gradient of the similarity over the channels of each pixel.
        gallery: Likewise for the other crop.
    """

    similarity: float
    query: NDArray[Any]
    gallery: NDArray[Any]


def saliency(embed: Callable[[Tensor], Tensor], query: Tensor, gallery: Tensor) -> Saliency:
    """Gradient of the similarity of two crops with respect to both.

    Args:
        embed: A network in evaluation mode, from (B, 3, h, w) to (B, D).
        query: float32 (3, h, w), normalized as the network wants it.
        gallery: Likewise.
    """
    import torch

    pair = torch.stack([query, gallery]).detach().clone().requires_grad_(True)
    with torch.enable_grad():
        features = torch.nn.functional.normalize(embed(pair).float(), dim=1)
        similarity = features[0] @ features[1]
        (gradient,) = torch.autograd.grad(similarity, pair)
    heat = gradient.abs().amax(dim=1).cpu().numpy()
    return Saliency(float(similarity.detach()), heat[0], heat[1])


def pair_picture(query: NDArray[Any], gallery: NDArray[Any], found: Saliency) -> NDArray[Any]:
    """Both crops and, below them, their saliency: uint8 (2 H, 2 W, 3) from two uint8 (H, W, 3) of one size."""
    crops = np.concatenate([query, gallery], axis=1)
    heat = np.concatenate([overlay(query, found.query), overlay(gallery, found.gallery)], axis=1)
    return np.concatenate([crops, heat])


def explain_pair(model: Any, card: Card, query: NDArray[Any], gallery: NDArray[Any]) -> tuple[float, NDArray[Any]]:
    """Similarity and picture of two crops.

    Args:
        model: A torch network in evaluation mode.
        card: What it takes.
        query: uint8 (h, w, 3) RGB of the card's size.
        gallery: Likewise.
    """
    import torch

    def tensor(image: NDArray[Any]) -> Tensor:
        ordered = image[..., ::-1] if card.color == "bgr" else image
        return torch.from_numpy(normalize(ordered, card.mean, card.std))

    found = saliency(model, tensor(query), tensor(gallery))
    return found.similarity, pair_picture(query, gallery, found)
