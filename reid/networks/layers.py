"""A backbone's parameters by depth, and which of them weight decay leaves alone: for learning rates by layer."""

from __future__ import annotations

from typing import Any

from torch import nn

from reid.networks.base import Backbone

__all__ = ["layers_of", "undecayed"]


def layers_of(backbone: Backbone) -> list[list[nn.Parameter]]:
    """The parameters of each layer, from the image upwards.

    The layers of a timm network are those that timm itself groups its parameters by: stem, blocks. Those of the other
    networks are the modules that :class:`torch.nn.Sequential` chains, at any depth; a normalization belongs to the
    layer below it.
    """
    net = _of_timm(backbone)
    if net is not None:
        return _layers_of_timm(net)
    layers: list[list[nn.Parameter]] = []
    for module in _chained(nn.Sequential(backbone.body, backbone.pool)):
        own = list(module.parameters())
        if layers and all(parameter.ndim <= 1 for parameter in own):
            layers[-1] += own
        elif own:
            layers.append(own)
    return layers


def undecayed(module: nn.Module, backbone: Backbone) -> set[nn.Parameter]:
    """The parameters that weight decay usually leaves out.

    Biases and the parameters of normalizations, which are those of less than two axes, and what timm lists for the
    backbone (position embeddings, class tokens).
    """
    few = {parameter for parameter in module.parameters() if parameter.ndim <= 1}
    net = _of_timm(backbone)
    listed = net.no_weight_decay() if hasattr(net, "no_weight_decay") else set()
    named = {} if net is None else dict(net.named_parameters())
    return few | {named[name] for name in listed if name in named}


def _of_timm(backbone: Backbone) -> Any:
    """The network of timm inside, or None."""
    net = getattr(backbone.body, "net", None)
    return net if hasattr(net, "group_matcher") else None


def _layers_of_timm(net: Any) -> list[list[nn.Parameter]]:
    from timm.models import group_parameters

    number = group_parameters(net, net.group_matcher(coarse=False), reverse=True)
    layers: list[list[nn.Parameter]] = [[] for _ in range(max(number.values()) + 1)]
    for name, parameter in net.named_parameters():
        layers[number[name]].append(parameter)
    return [layer for layer in layers if layer]


def _chained(module: nn.Module) -> list[nn.Module]:
    """The modules that a chain of chains runs through, in order."""
    if type(module) is not nn.Sequential:
        return [module]
    return [inner for child in module.children() for inner in _chained(child)]
