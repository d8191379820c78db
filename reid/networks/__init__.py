"""Backbones by name: the networks of the papers, a few small ones, and anything timm has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from reid.errors import ConfigError
from reid.networks.base import Backbone, Family, SizeHw
from reid.networks.cameras import use_cameras
from reid.networks.convolutional import densenet, resnet
from reid.networks.narrow import narrow_resnet
from reid.networks.osnet import osnet
from reid.networks.packaged import packaged_weights
from reid.networks.pooling import Pooling, use_gem
from reid.networks.timm import timm_backbone
from reid.networks.weights import load_weights

__all__ = ["BACKBONES", "TIMM_NAMES", "Backbone", "build", "family_of"]

#: Networks built here; ``BACKBONES[name](name, last_stride=…, stem_relu=…)``.
BACKBONES: dict[str, Callable[..., Backbone]] = {
    "resnet18": resnet,
    "resnet18_x0_25": partial(narrow_resnet, width=0.25),
    "resnet50": resnet,
    "resnet50_ibn_a": partial(resnet, ibn=True),
    "densenet121": densenet,
    "osnet_x1_0": partial(osnet, width=1.0),
    "osnet_x0_5": partial(osnet, width=0.5),
    "osnet_x0_25": partial(osnet, width=0.25),
}

#: Names of the papers' other networks; any more of timm's as ``timm:<name>``.
TIMM_NAMES = {
    "vit_base_patch16_224": "vit_base_patch16_224",
    "swin_base_patch4_window7_224": "swin_base_patch4_window7_224",
    "convnext_base": "convnext_base",
}

_TRANSFORMER_LIKE = ("vit", "deit", "swin", "convnext", "eva", "beit", "cait", "xcit", "maxvit", "coat")


def family_of(name: str) -> Family:
    """The recipe of training that suits a backbone, by its name alone."""
    return "transformer" if name.removeprefix("timm:").startswith(_TRANSFORMER_LIKE) else "cnn"


def build(
    name: str,
    *,
    sizes: Sequence[SizeHw] = ((256, 256),),
    pretrained: bool = False,
    weights: Path | None = None,
    last_stride: int = 1,
    stem_relu: bool = True,
    drop_path: float = 0.0,
    pooling: Pooling = "own",
    gem_p: float = 3.0,
    cameras: int = 0,
    camera_weight: float = 0.0,
) -> Backbone:
    """A backbone without classifier.

    Args:
        name: A key of :data:`BACKBONES` or :data:`TIMM_NAMES`, or ``timm:`` and any name timm lists.
        sizes: Image sizes (h, w) that must go through; the first is the one tested at.
        pretrained: Start from published ImageNet weights, fetched unless ``weights`` is given.
        weights: A local file to start from, or a name of :data:`reid.networks.packaged.PACKAGED`.
        last_stride: Of the last stage, where the network has one.
        stem_relu: Whether the first activation is there, likewise.
        drop_path: Stochastic depth, where the network has it.
        pooling: From the last map to the feature.
        gem_p: Exponent of generalized-mean pooling, at first.
        cameras: Number of camera embeddings; 0 for none.
        camera_weight: Their weight λ.

    Raises:
        ConfigError: No such backbone, it does not take images of one of ``sizes``, the weights are of another, or it
            cannot have that pooling or camera embeddings.
        WeightsError: Weights cannot be had or are of another network.
        MissingDependency: The package of the weights is not installed.
    """
    if name.startswith("timm:") or name in TIMM_NAMES:
        inner = TIMM_NAMES.get(name, name.removeprefix("timm:"))
        found = timm_backbone(inner, sizes=sizes, pretrained=pretrained, weights=weights, drop_path=drop_path)
        found.name = name
    elif name in BACKBONES:
        choices: dict[str, Any] = {"last_stride": last_stride, "stem_relu": stem_relu}
        found = BACKBONES[name](name, **choices)
        packaged_weights(weights, name)  # raises: all of them are of timm's networks
        if pretrained or weights is not None:
            load_weights(found.body, name, weights)
    else:
        known = ", ".join([*BACKBONES, *TIMM_NAMES])
        raise ConfigError(f"unknown backbone {name}", remedy=f"known are {known} and timm:<any>")
    if pooling != "own":
        use_gem(found, gem_p, learned=pooling == "gem")
    if cameras:
        use_cameras(found, cameras, camera_weight)
    for size in dict.fromkeys(sizes):
        if not found.accepts(size):
            raise ConfigError(
                f"{name} does not take images of {size[0]} × {size[1]} px",
                remedy="change size_hw (and local_size_hw of ssbver) to one it was built for, or the backbone",
            )
    return found
