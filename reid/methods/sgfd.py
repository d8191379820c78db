"""SGFD: parts of a vehicle found by learning how far an image was turned (Li et al., self-supervised geometry).

An encoder learns to tell rotations of an image apart; its attention weighs the middle map of the main network
(interpretable attention, without parameters). The plain and the attended feature stand side by side.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from reid.data.loader import Batch
from reid.data.views import RECIPES
from reid.errors import ConfigError
from reid.losses.identity import smoothed_cross_entropy
from reid.methods.base import (
    BaseMethod,
    Logs,
    MethodContext,
    TripletOn,
    embedding_spread,
    resize_recipe,
    total,
    triplet_on,
)
from reid.methods.objectives import ObjectiveConfig, identity_loss, pair_loss
from reid.networks.attention import interpretable_attention, rotate
from reid.networks.base import Backbone, Family
from reid.networks.convolutional import unstride
from reid.networks.heads import CosineHead, classifier, neck
from reid.settings import Condition, UsedWhen
from reid.training.schedule import Schedule

__all__ = ["Config", "GeometricNetwork", "Method"]


class Config(ObjectiveConfig):
    """Choices of SGFD. The paper's ablation: branches global; independent; attention with rotation_weight 0; all."""

    used_when: ClassVar[Mapping[str, Condition]] = {
        **ObjectiveConfig.used_when,
        **dict.fromkeys(
            ("rotation_weight", "window", "exponent", "gain"), UsedWhen("options.branches", "=", "attention")
        ),
        "rotations": (UsedWhen("options.branches", "=", "attention"), UsedWhen("options.rotation_weight", ">", 0)),
        **dict.fromkeys(("encoder", "encoder_weights"), UsedWhen("options.branches", "≠", "global")),
    }

    schedules: ClassVar[dict[Family, Schedule]] = {
        "cnn": Schedule(epochs=80, batch=28, learning_rate=1e-4, weight_decay=5e-4, milestones=(20, 40, 60)),
        "transformer": Schedule(
            epochs=80,
            batch=28,
            optimizer="adamw",
            learning_rate=5e-5,
            weight_decay=1e-4,
            warm_up_epochs=5,
            decay="cosine",
        ),
    }

    branches: Literal["global", "independent", "attention"] = Field(
        "attention",
        description="global leaves out all that is new; independent adds the encoder as a network of its own, whose "
        "pooled feature stands beside the global one, without attention and rotation",
    )
    smoothing: float = Field(0.1, ge=0, lt=1, description="label smoothing ε")
    margin: float = Field(0.5, gt=0, description="of the triplets; the paper uses 0.7 for VehicleID and persons")
    triplet_on: TripletOn = triplet_on()
    rotation_weight: float = Field(1.0, ge=0, description="λ of the rotation loss; 0 leaves that branch out")
    rotations: Literal["one", "all"] = Field(
        "one", description="turns per image: one at random as the authors' program, or all four as printed"
    )
    window: int = Field(7, ge=3, description="K, side of the neighborhood in the attention")
    exponent: Literal["scaled", "raw"] = Field("scaled", description="raw as printed, scaled as the authors' program")
    gain: Literal["one", "places"] = Field(
        "one", description="factor on the attention: one as published, or its number of places"
    )
    encoder: Literal["resnet18", "resnet18_x0_25"] = Field("resnet18", description="network taught by rotation")
    encoder_weights: Path | None = Field(None, description="local ImageNet weights of the encoder")


class Method(BaseMethod):
    """The network that is deployed, its classifiers, and the rotation branch that teaches the encoder."""

    def __init__(self, context: MethodContext) -> None:
        super().__init__()
        config: Config = context.config
        self.config, size = config, config.size_hw
        if size[0] != size[1] or size[0] % 8:
            raise ConfigError(f"expected square images with sides that 8 divides, got size_hw {size}")
        if config.window % 2 == 0:
            raise ConfigError(f"window: expected an odd number, got {config.window}")
        self.views = (resize_recipe(RECIPES["sgfd"], size),)
        self.test_view = resize_recipe(RECIPES["test"], size)
        encoder: Any = None
        channels = 0
        if config.branches != "global":
            encoder = context.network(name=config.encoder, weights=config.encoder_weights, sizes=[size])
        if config.branches == "attention":
            encoder, channels = unstride(encoder.body, "layer3"), encoder.dim
        self.network = GeometricNetwork(
            context.network(sizes=[size], last_stride=config.last_stride), encoder, config
        )
        self.classifiers = nn.ModuleList(
            classifier(norm.num_features, context.classes) for norm in self.network.norms
        )
        turned = config.branches == "attention" and config.rotation_weight > 0
        self.rotation = _RotationHead(channels) if turned else None

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]
        """The main network."""
        return self.network.backbone

    @property
    def embedder(self) -> nn.Module:
        """All features behind their necks; the rotation branch is dropped."""
        return self.network

    def step(self, batch: Batch) -> tuple[Tensor, Logs]:
        """Identity losses on each feature, rotation loss on the turned images."""
        images, config = batch.views[0], self.config
        parts: Logs = {}
        if self.rotation is not None and self.network.encoder is not None:
            # Before the upright pass: the encoder's running statistics see both.
            turns = self._turns(len(images)).to(images.device)
            shown = images.repeat(len(turns) // len(images), 1, 1, 1)
            seen = self.rotation(self.network.encoder(rotate(shown, turns)))
            parts["rotation"] = config.rotation_weight * smoothed_cross_entropy(seen, turns)
        features = self.network.features(images)
        names = ("global", "attended" if config.branches == "attention" else "independent")
        for name, x, norm, classify in zip(names, features, self.network.norms, self.classifiers, strict=False):
            behind = norm(x)
            identity = identity_loss(config, classify, behind, batch.label, config.smoothing)
            pairs = pair_loss(config, x, behind, batch.label, on=config.triplet_on, margin=config.margin)
            parts[name] = (identity + pairs) / len(features)
        loss, logs = total(parts)
        return loss, {**logs, "spread": embedding_spread(features[0])}

    def _turns(self, count: int) -> Tensor:
        """Quarter turns of ``count`` images: one of each image, or four, those of all images one after the other."""
        if self.config.rotations == "one":
            return torch.randint(4, (count,))
        return torch.arange(4).repeat_interleave(count)


class GeometricNetwork(nn.Module):  # type: ignore[misc]
    """Main network cut in two, its upper half twice, and an encoder that directs the second.

    Args:
        backbone: The main network.
        encoder: Images (B, 3, s, s) to a map (B, c, s/8, s/8); with independent branches a backbone, whose feature is
            the second one; None leaves that out.
        config: Choices of branches and attention.
    """

    def __init__(self, backbone: Backbone, encoder: nn.Module | None, config: Config) -> None:
        super().__init__()
        self.backbone, self.encoder, self.config = backbone, encoder, config
        self.attended = copy.deepcopy(backbone.split()[1]) if config.branches == "attention" else None
        second = {"global": [], "independent": [getattr(encoder, "dim", 0)], "attention": [backbone.dim]}
        dims = [backbone.dim, *second[config.branches]]
        self.norms = nn.ModuleList(map(neck, dims))
        self.dim = sum(dims)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, s, s) to (B, dim): the second feature, then the global one, each behind its neck."""
        found = [norm(x) for norm, x in zip(self.norms, self.features(images), strict=True)]
        return torch.cat(found[::-1], dim=1)

    def features(self, images: Tensor) -> list[Tensor]:
        """The global feature (B, d), and the attended one or the encoder's if there is that branch."""
        if self.config.branches == "independent" and self.encoder is not None:
            return [self.backbone(images), self.encoder(images)]
        lower, upper, _ = self.backbone.split()
        middle = lower(images)
        if self.attended is None:
            return [upper(middle)]
        weights = self.attention(images)
        if self.config.gain == "places":
            weights = weights * (weights.shape[2] * weights.shape[3])
        # In full precision: the weights sum to 1 over a thousand places, too small for half precision.
        return [upper(middle), self.attended(middle.float() * weights)]

    def attention(self, images: Tensor) -> Tensor:
        """The encoder's attention: (B, 1, s/8, s/8) float32, sums to 1 for each image.

        Raises:
            ConfigError: The network has no attention.
        """
        if self.encoder is None or self.attended is None:
            raise ConfigError("this network has no attention", remedy="train sgfd with branches: attention")
        return interpretable_attention(self.encoder(images), self.config.window, self.config.exponent)


class _RotationHead(nn.Sequential):  # type: ignore[misc]
    """Two residual blocks, and which of four rotations it was."""

    def __init__(self, channels: int) -> None:
        from torchvision.models.resnet import BasicBlock

        def block() -> nn.Module:
            shortcut = nn.Sequential(nn.Conv2d(channels, channels, 1, 2, bias=False), nn.BatchNorm2d(channels))
            return BasicBlock(channels, channels, stride=2, downsample=shortcut)

        super().__init__(block(), block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), CosineHead(channels, 4))
