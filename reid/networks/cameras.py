"""Camera embeddings: side information for the tokens of a vision transformer (He et al., TransReID, ICCV 2021)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reid.errors import ConfigError
from reid.networks.base import Backbone

__all__ = ["CameraTokens", "use_cameras"]


class CameraTokens(nn.Module):  # type: ignore[misc]
    """Adds to every token of an image the embedding of the camera that took it, times a weight λ.

    An image by an unknown camera gets the mean of all embeddings. That is every image where the network is deployed:
    there its cameras are others than those of the training.

    Args:
        cameras: N.
        dim: Channels of the tokens, d.
        weight: λ.

    Attributes:
        table: (N, d), the embeddings.
        camera: int64 (B,) in [0, N), −1 where unknown, of the images that pass next; None if all are unknown.
    """

    def __init__(self, cameras: int, dim: int, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.table = nn.Parameter(torch.empty(cameras, dim))
        nn.init.trunc_normal_(self.table, std=0.02)
        self.camera: Tensor | None = None

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, d) to the same shape."""
        unknown = self.table.mean(0)
        if self.camera is None:
            return tokens + self.weight * unknown
        known = self.table[self.camera.clamp(min=0)]
        embedding = torch.where((self.camera >= 0)[:, None], known, unknown)
        return tokens + self.weight * embedding[:, None]


def use_cameras(backbone: Backbone, cameras: int, weight: float) -> None:
    """Give a vision transformer of timm camera embeddings, behind its position embeddings.

    Raises:
        ConfigError: The backbone is of another kind.
    """
    net: Any = getattr(backbone.body, "net", None)
    if not hasattr(net, "norm_pre") or not hasattr(net, "_pos_embed"):
        raise ConfigError(
            f"{backbone.name} cannot have camera embeddings: it is no vision transformer with position embeddings",
            remedy="set options.camera_weight to 0, or choose a backbone such as vit_base_patch16_224",
        )
    tokens = CameraTokens(cameras, net.embed_dim, weight)
    net.norm_pre = nn.Sequential(tokens, net.norm_pre)
    backbone.body.cameras.append(tokens)
