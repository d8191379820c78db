"""ResNets, with and without instance normalization, and DenseNet-121, over torchvision's layers."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from reid.networks.base import Backbone, Halves

__all__ = ["HalfInstanceNorm", "densenet", "resnet", "unstride"]


class HalfInstanceNorm(nn.Module):  # type: ignore[misc]
    """IBN-a: instance normalization on the first half of the channels, batch normalization on the second.

    The names of its parts are those of the published weights.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.half = channels // 2
        self.IN = nn.InstanceNorm2d(self.half, affine=True)
        self.BN = nn.BatchNorm2d(channels - self.half)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c, h, w) to the same shape."""
        first, second = x.split([self.half, x.shape[1] - self.half], 1)
        return torch.cat([self.IN(first.contiguous()), self.BN(second.contiguous())], 1)


def resnet(name: str, *, ibn: bool = False, last_stride: int = 1, stem_relu: bool = True) -> Backbone:
    """A residual network without its classifier.

    Args:
        name: ``resnet18`` or ``resnet50``, or ``resnet50_ibn_a`` with ``ibn``.
        ibn: Instance normalization in the first three stages (IBN-a).
        last_stride: Of the last stage; 1 keeps the map at a sixteenth of the image.
        stem_relu: False leaves out the first activation, as a widespread baseline does.
    """
    from torchvision import models

    net = getattr(models, name.removesuffix("_ibn_a"))(weights=None)
    if last_stride == 1:
        unstride(net, "layer4")
    if ibn:
        for stage in (net.layer1, net.layer2, net.layer3):
            for block in stage:
                block.bn1 = HalfInstanceNorm(block.bn1.num_features)
    # Torchvision's names, so that its weights fit.
    names = ["conv1", "bn1", *(["relu"] if stem_relu else []), "maxpool", "layer1", "layer2", "layer3", "layer4"]
    body = nn.Sequential(OrderedDict((part, getattr(net, part)) for part in names))
    return Backbone(name, body, _average_pool(), net.fc.in_features, halves=_halves_of_resnet)


def unstride(net: nn.Module, stage: str) -> nn.Module:
    """Make a stage of a residual network keep the size of its map, in place; its weights stay valid."""
    for layer in getattr(net, stage)[0].modules():
        if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2):
            layer.stride = (1, 1)
    return net


def densenet(name: str, *, last_stride: int = 1, stem_relu: bool = True) -> Backbone:
    """DenseNet-121 without its classifier; ``last_stride`` 1 drops the last of its poolings."""
    from torchvision import models

    net = getattr(models, name)(weights=None)
    body = net.features
    if last_stride == 1:
        body.transition3.pool = nn.Identity()
    if not stem_relu:
        del body.relu0
    body.add_module("relu5", nn.ReLU(inplace=True))
    return Backbone(name, body, _average_pool(), net.classifier.in_features, halves=_halves_of_densenet)


def _average_pool() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))


def _halves_of_resnet(whole: Backbone) -> Halves:
    body = whole.body
    last = body.layer2[-1]
    channels = (last.bn3 if hasattr(last, "bn3") else last.bn2).num_features
    return body[:-2], nn.Sequential(body[-2:], whole.pool), channels


def _halves_of_densenet(whole: Backbone) -> Halves:
    body = whole.body
    cut = list(body._modules).index("denseblock2") + 1
    return body[:cut], nn.Sequential(body[cut:], whole.pool), body.transition2.norm.num_features
