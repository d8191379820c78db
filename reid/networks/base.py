"""What every backbone is: images to one pooled feature, whatever stands inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from reid.errors import ConfigError

__all__ = ["Backbone", "Family", "Halves", "SizeHw"]

Family = Literal["cnn", "transformer"]
SizeHw = tuple[int, int]
Halves = tuple[nn.Module, nn.Module, int]


class Backbone(nn.Module):  # type: ignore[misc]
    """A network from normalized images to pooled features.

    Args:
        name: As in the configuration.
        body: (B, 3, h, w) to a map (B, c, h', w').
        pool: That map to (B, d).
        dim: d.
        family: Which recipe of training suits it.
        mean: Of the pixels it expects, per channel, in 0…1.
        std: Likewise.
        halves: From this backbone to what :meth:`split` returns, where it can be cut at stride 8.
    """

    def __init__(
        self,
        name: str,
        body: nn.Module,
        pool: nn.Module,
        dim: int,
        *,
        family: Family = "cnn",
        mean: tuple[float, float, float] = (0.485, 0.456, 0.406),
        std: tuple[float, float, float] = (0.229, 0.224, 0.225),
        halves: Callable[[Any], Halves] | None = None,
    ) -> None:
        super().__init__()
        self.name, self.dim, self.family, self.mean, self.std = name, dim, family, mean, std
        self.body, self.pool, self._halves = body, pool, halves

    def forward(self, x: Tensor, camera: Tensor | None = None) -> Tensor:
        """Pooled features (B, d), before any neck.

        Args:
            x: (B, 3, h, w).
            camera: int64 (B,), number of each image's camera from 0, −1 where unknown; for a backbone with
                :class:`reid.networks.cameras.CameraTokens` alone.
        """
        return self.pool(self.body(x) if camera is None else self.body(x, camera))

    def features(self, x: Tensor) -> Tensor:
        """The last map before pooling, (B, c, h', w').

        Raises:
            ConfigError: The backbone has tokens instead of a map.
        """
        found = self.body(x)
        if found.dim() != 4:
            raise ConfigError(f"{self.name} has no feature map", remedy="choose a convolutional backbone")
        return found

    def split(self) -> Halves:
        """The network cut at stride 8: (B, 3, h, w) → (B, c, h/8, w/8), that map → (B, d), and c.

        Both halves share this backbone's parameters.

        Raises:
            ConfigError: This backbone has no map at stride 8.
        """
        if self._halves is None:
            raise ConfigError(
                f"{self.name} has no feature map at an eighth of the image's size",
                remedy="choose a ResNet, DenseNet, ConvNeXt or Swin",
            )
        return self._halves(self)

    def freeze_statistics(self) -> None:
        """Let batch normalizations use their running statistics also while training, and leave them as they are."""
        for layer in self.modules():
            if isinstance(layer, _BatchNorm):
                layer.register_forward_pre_hook(_as_when_tested)

    def accepts(self, size_hw: SizeHw) -> bool:
        """Whether images of this size go through."""
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                self(torch.zeros(1, 3, *size_hw, device=next(self.parameters()).device))
        except (AssertionError, RuntimeError, ValueError):
            return False
        finally:
            self.train(was_training)
        return True


def _as_when_tested(layer: nn.Module, _: Any) -> None:
    """Before each pass, since methods switch whole networks to training."""
    layer.eval()
