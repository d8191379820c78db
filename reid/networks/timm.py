"""Any network of the package timm, in particular ViT, Swin and ConvNeXt."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reid.errors import ConfigError, MissingDependency, WeightsError
from reid.networks.base import Backbone, Halves, SizeHw
from reid.networks.cameras import CameraTokens
from reid.networks.packaged import in_order, packaged_weights
from reid.networks.weights import matching_state, read_state, without_prefix

__all__ = ["timm_backbone"]


class _Body(nn.Module):  # type: ignore[misc]
    """The network up to its last map or tokens."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net
        # The camera embeddings inside the network, if it has them; in a list, as in _Pool.
        self.cameras: list[CameraTokens] = []

    def forward(self, x: Tensor, camera: Tensor | None = None) -> Tensor:
        for tokens in self.cameras:
            tokens.camera = camera
        try:
            found = self.net.forward_features(x)
        finally:
            for tokens in self.cameras:
                tokens.camera = None
        # Swin keeps channels last; everything here expects them second.
        return found.permute(0, 3, 1, 2) if self.channels_last else found

    @property
    def channels_last(self) -> bool:
        return getattr(self.net, "output_fmt", "NCHW") == "NHWC"


class _Pool(nn.Module):  # type: ignore[misc]
    """The network's own way from its last map or tokens to one feature."""

    def __init__(self, body: _Body) -> None:
        super().__init__()
        # In a list, so that its parameters belong to the body alone. A copy of the backbone copies both together.
        self._body = [body]

    def forward(self, x: Tensor) -> Tensor:
        (body,) = self._body
        x = x.permute(0, 2, 3, 1) if body.channels_last else x
        return body.net.forward_head(x, pre_logits=True)


def timm_backbone(
    name: str,
    *,
    sizes: Sequence[SizeHw],
    pretrained: bool = False,
    weights: Path | None = None,
    drop_path: float = 0.0,
) -> Backbone:
    """A timm network that takes all of ``sizes``.

    Args:
        name: As timm lists it.
        sizes: Image sizes; the first is the one position embeddings are laid out for.
        pretrained: Fetch its published weights.
        weights: A local file of them instead, or a name of :data:`reid.networks.packaged.PACKAGED`.
        drop_path: Stochastic depth while training, where the network has it.

    Raises:
        ConfigError: timm has no such network, or packaged weights are of another.
        WeightsError: The weights cannot be had.
        MissingDependency: timm is not installed, or the package of the weights.
    """
    try:
        import timm
    except ImportError as cause:
        raise MissingDependency.of("timm", "torch", f"the backbone {name}") from cause
    if not timm.is_model(name):
        near = timm.list_models(f"*{name[:6]}*")[:3]
        remedy = f"did you mean {', '.join(near)}?" if near else "timm.list_models() names them"
        raise ConfigError(f"timm has no network {name}", remedy=remedy)
    net = _create(timm, name, sizes, pretrained and weights is None, drop_path)
    packaged = packaged_weights(weights, f"timm:{name}")
    if packaged is not None:
        path = packaged.locate()
        net.load_state_dict(in_order(read_state(path), net.state_dict(), name, path), strict=False)
    elif weights is not None:
        net.load_state_dict(_adapted(read_state(weights), net, name, weights), strict=False)
    config = net.pretrained_cfg
    body = _Body(net)
    pool = _Pool(body)
    net.eval()
    try:
        with torch.no_grad():
            dim = pool(body(torch.zeros(1, 3, *sizes[0]))).shape[1]
    except (AssertionError, RuntimeError, ValueError) as cause:
        raise ConfigError(
            f"timm:{name} does not take images of {sizes[0][0]} × {sizes[0][1]} px", remedy="change size_hw"
        ) from cause
    net.train()
    tokens = any(word in type(net).__name__ for word in ("Transformer", "Eva", "Vit", "Beit"))
    return Backbone(
        f"timm:{name}",
        body,
        pool,
        dim,
        family="transformer" if tokens or hasattr(net, "stages") else "cnn",
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        halves=_HALVES.get(type(net).__name__),
    )


def _adapted(state: dict[str, Tensor], net: Any, name: str, path: Path) -> dict[str, Tensor]:
    """The tensors of a file under the network's names; timm converts other namings and sizes of position embeddings.

    Raises:
        WeightsError: The file holds another network.
    """
    wanted = net.state_dict()
    bare = without_prefix(state, wanted)
    convert = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
    if convert is not None:
        try:
            bare = convert(bare, net)
        except (KeyError, RuntimeError, ValueError):  # nothing that it knows; the names that are there tell why
            bare = state
    return matching_state(bare, wanted, name, path)


def _create(timm: Any, name: str, sizes: Sequence[SizeHw], pretrained: bool, drop_path: float) -> Any:
    """Create the network with as much of what is wanted as its constructor knows."""
    several = {"dynamic_img_size": True} if len(set(sizes)) > 1 else {}
    of_size: list[dict[str, Any]] = [{"img_size": sizes[0], **several}, {"img_size": sizes[0]}, {}]
    of_depth: list[dict[str, Any]] = [{"drop_path_rate": drop_path}, {}] if drop_path else [{}]
    for choice in ({**a, **b} for a in of_size for b in of_depth):
        try:
            with _without_retry_messages():
                return timm.create_model(name, pretrained=pretrained, num_classes=0, **choice)
        except TypeError:  # an argument the constructor does not know
            continue
        except Exception as cause:
            if not pretrained:
                raise
            raise WeightsError(
                f"weights of {name} cannot be fetched, perhaps for want of a connection",
                remedy="give a local file as weights, or set pretrained to false",
            ) from cause
    raise ConfigError(f"{name} cannot be built without a classifier", remedy="choose another network")


@contextmanager
def _without_retry_messages() -> Iterator[None]:
    """Silence the downloader's ten lines about each attempt; the error that follows says it once."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _halves_of_convnext(whole: Backbone) -> Halves:
    net = whole.body.net
    lower = nn.Sequential(net.stem, *net.stages[:2])
    return lower, nn.Sequential(*net.stages[2:], net.norm_pre, net.head), net.feature_info[1]["num_chs"]


def _halves_of_swin(whole: Backbone) -> Halves:
    net = whole.body.net
    lower = nn.Sequential(net.patch_embed, *net.layers[:2], _Permute(0, 3, 1, 2))
    upper = nn.Sequential(_Permute(0, 2, 3, 1), *net.layers[2:], net.norm, net.head)
    return lower, upper, net.feature_info[1]["num_chs"]


def _halves_of_efficientnet(whole: Backbone) -> Halves:
    """MobileNetV2 is one of them, too; all reach an eighth of the image's size in their third stage."""
    net = whole.body.net
    lower = nn.Sequential(net.conv_stem, net.bn1, *net.blocks[:3])
    channels = next(stage["num_chs"] for stage in net.feature_info if stage["reduction"] == 8)
    upper = nn.Sequential(*net.blocks[3:], net.conv_head, net.bn2, net.global_pool)
    return lower, upper, channels


class _Permute(nn.Module):  # type: ignore[misc]
    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(*self.order)


_HALVES = {
    "ConvNeXt": _halves_of_convnext,
    "EfficientNet": _halves_of_efficientnet,
    "SwinTransformer": _halves_of_swin,
}
