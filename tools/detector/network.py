"""The detector's network: YOLOX-Nano, as its published ONNX export runs it.

Source: Ge et al., "YOLOX: Exceeding YOLO Series in 2021", and its reference implementation (Apache-2.0). The export
has its batch normalizations folded into the convolutions before them, and so has this network: its weights are those
of the file, in the order in which the graph uses them, and training goes on from there without normalization.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mtmc.detect.card import COCO
from mtmc.errors import WeightsError
from mtmc.types import Array

__all__ = ["NAMES", "STRIDES", "YoloxNano", "interpolate", "load_published"]

#: The labels that are kept of COCO's eighty, in the order of the network's outputs.
NAMES: tuple[str, ...] = ("car", "motorcycle", "bus", "truck")
#: Pixels per cell of the three levels.
STRIDES: tuple[int, ...] = (8, 16, 32)

_HEAD_CHANNELS = 64
_BOX_OUTPUTS = 5  # center x, center y, width, height, objectness


def _convolution(inputs: int, outputs: int, size: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution with bias and its SiLU."""
    layer = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, groups=groups)
    return nn.Sequential(layer, nn.SiLU(inplace=True))


def _separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """A 3×3 convolution of each channel by itself, then a 1×1 convolution across channels."""
    return nn.Sequential(
        _convolution(inputs, inputs, size=3, stride=stride, groups=inputs), _convolution(inputs, outputs)
    )


class _Bottleneck(nn.Module):
    """A 1×1 and a separable 3×3 convolution, with the input added where ``residual``."""

    def __init__(self, channels: int, residual: bool) -> None:
        super().__init__()
        self.reduce = _convolution(channels, channels)
        self.spatial = _separable(channels, channels)
        self.residual = residual

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.spatial(self.reduce(features))
        return features + result if self.residual else result


class _CrossStage(nn.Module):
    """A cross stage partial block: half of the channels pass ``depth`` bottlenecks, the other half none."""

    def __init__(self, inputs: int, outputs: int, depth: int, residual: bool) -> None:
        super().__init__()
        half = outputs // 2
        self.main = _convolution(inputs, half)
        self.bypass = _convolution(inputs, half)
        self.bottlenecks = nn.Sequential(*(_Bottleneck(half, residual) for _ in range(depth)))
        self.join = _convolution(outputs, outputs)

    def forward(self, features: Tensor) -> Tensor:
        main, bypass = self.main(features), self.bypass(features)
        result: Tensor = self.join(torch.cat([self.bottlenecks(main), bypass], dim=1))
        return result


class _Pyramid(nn.Module):
    """Spatial pyramid pooling: the maxima of windows of 5, 9 and 13 cells beside the features themselves."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.reduce = _convolution(inputs, inputs // 2)
        self.join = _convolution(inputs * 2, outputs)

    def forward(self, features: Tensor) -> Tensor:
        reduced = self.reduce(features)
        pooled = [functional.max_pool2d(reduced, size, stride=1, padding=size // 2) for size in (5, 9, 13)]
        result: Tensor = self.join(torch.cat([reduced, *pooled], dim=1))
        return result


class _Backbone(nn.Module):
    """CSPDarknet: features at strides of 8, 16 and 32 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _convolution(12, 16, size=3)
        self.stage2 = nn.Sequential(_separable(16, 32, stride=2), _CrossStage(32, 32, depth=1, residual=True))
        self.stage3 = nn.Sequential(_separable(32, 64, stride=2), _CrossStage(64, 64, depth=3, residual=True))
        self.stage4 = nn.Sequential(_separable(64, 128, stride=2), _CrossStage(128, 128, depth=3, residual=True))
        self.stage5 = nn.Sequential(
            _separable(128, 256, stride=2), _Pyramid(256, 256), _CrossStage(256, 256, depth=1, residual=False)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # Each 2×2 block of pixels becomes one place with twelve channels.
        rows = (images[:, :, ::2], images[:, :, 1::2])
        blocks = torch.cat([row[..., column::2] for column in (0, 1) for row in rows], dim=1)
        fine = self.stage3(self.stage2(self.stem(blocks)))
        middle = self.stage4(fine)
        return fine, middle, self.stage5(middle)


class _Neck(nn.Module):
    """Path aggregation: coarse features to fine ones, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.lateral_middle = _convolution(256, 128)
        self.down_middle = _CrossStage(256, 128, depth=1, residual=False)
        self.lateral_fine = _convolution(128, 64)
        self.down_fine = _CrossStage(128, 64, depth=1, residual=False)
        self.shrink_fine = _separable(64, 64, stride=2)
        self.up_middle = _CrossStage(128, 128, depth=1, residual=False)
        self.shrink_middle = _separable(128, 128, stride=2)
        self.up_coarse = _CrossStage(256, 256, depth=1, residual=False)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        coarse_lateral = self.lateral_middle(coarse)
        middle = self.down_middle(torch.cat([_double(coarse_lateral), middle], dim=1))
        middle_lateral = self.lateral_fine(middle)
        fine = self.down_fine(torch.cat([_double(middle_lateral), fine], dim=1))
        middle = self.up_middle(torch.cat([self.shrink_fine(fine), middle_lateral], dim=1))
        coarse = self.up_coarse(torch.cat([self.shrink_middle(middle), coarse_lateral], dim=1))
        return fine, middle, coarse


class _Level(nn.Module):
    """The head of one level: classes on one branch, box and objectness on the other."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        channels = _HEAD_CHANNELS
        self.stem = _convolution(inputs, channels)
        self.class_branch = nn.Sequential(_separable(channels, channels), _separable(channels, channels))
        self.class_output = nn.Conv2d(channels, classes, 1)
        self.box_branch = nn.Sequential(_separable(channels, channels), _separable(channels, channels))
        self.box_output = nn.Conv2d(channels, 4, 1)
        self.object_output = nn.Conv2d(channels, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        features = self.stem(features)
        classes = self.class_output(self.class_branch(features))
        boxes = self.box_branch(features)
        return torch.cat([self.box_output(boxes), self.object_output(boxes), classes], dim=1).flatten(2)


class YoloxNano(nn.Module):
    """YOLOX-Nano with its batch normalizations folded.

    Args:
        classes: How many labels it tells apart.
    """

    def __init__(self, classes: int = len(NAMES)) -> None:
        super().__init__()
        self.backbone = _Backbone()
        self.neck = _Neck()
        self.levels = nn.ModuleList(_Level(channels, classes) for channels in (64, 128, 256))

    def forward(self, images: Tensor) -> Tensor:
        """Raw predictions at every place, fine level first.

        Args:
            images: float (B, 3, H, W), BGR, 0…255; H and W are multiples of 32.

        Returns:
            float (B, A, 5 + C): offset of the center from its cell's corner, in cells; logarithm of width and
            height, in cells; logits of objectness and of the classes.
        """
        features = self.neck(*self.backbone(images))
        parts = [level(part) for level, part in zip(self.levels, features, strict=True)]
        return torch.cat(parts, dim=2).transpose(1, 2)

    def exported(self, images: Tensor) -> Tensor:
        """As :meth:`forward`, with probabilities in place of logits: what the published ONNX file puts out."""
        raw = self(images)
        return torch.cat([raw[..., :4], raw[..., 4:].sigmoid()], dim=2)


def load_published(weights: Path, names: Sequence[str] = NAMES) -> YoloxNano:
    """The network of a published YOLOX-Nano export, with the class outputs of some of COCO's labels.

    Args:
        weights: ``yolox_nano.onnx`` of the YOLOX project.
        names: Labels to keep, among :data:`mtmc.detect.card.COCO`.

    Raises:
        WeightsError: The file is no ONNX, or its layers are not YOLOX-Nano's.
    """
    remedy = "give yolox_nano.onnx as the YOLOX project exports it"
    layers = _layers(weights)
    network = YoloxNano(len(names))
    rows = [COCO.index(name) for name in names]
    own = _in_graph_order(network)
    if len(layers) != len(own):
        raise WeightsError(f"expected {len(own)} convolutions, got {len(layers)}", path=weights, remedy=remedy)
    class_outputs = {id(level.class_output) for level in network.levels}
    for layer, (kernel, bias) in zip(own, layers, strict=True):
        if id(layer) in class_outputs and len(kernel) == len(COCO):
            kernel, bias = kernel[rows], bias[rows]
        if kernel.shape != tuple(layer.weight.shape):
            raise WeightsError(
                f"expected a convolution of {tuple(layer.weight.shape)}, got {kernel.shape}",
                path=weights,
                remedy=remedy,
            )
        layer.weight.data = torch.tensor(kernel)
        layer.bias.data = torch.tensor(bias)
    return network


def interpolate(start: dict[str, Tensor], end: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights on the line between two networks of one origin: ``(1 − share) start + share end``.

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models", 2022, eq. 1: what a network knew before it was
    fine-tuned is lost less than what it learned is gained.
    """
    return {name: torch.lerp(start[name], end[name], share) for name in end}


def _double(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")


def _in_graph_order(network: YoloxNano) -> list[nn.Conv2d]:
    """The convolutions in the order in which the published graph runs them."""
    return [part for part in network.modules() if isinstance(part, nn.Conv2d)]


def _layers(weights: Path) -> list[tuple[Array, Array]]:
    """Kernel and bias of each convolution of an ONNX graph, in the order of its nodes."""
    import onnx

    try:
        graph = onnx.load(str(weights)).graph
    except Exception as cause:  # protobuf has no error of its own to name
        raise WeightsError("cannot be read as ONNX", path=weights) from cause
    values = {part.name: onnx.numpy_helper.to_array(part) for part in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    return [(np.array(values[node.input[1]]), np.array(values[node.input[2]])) for node in nodes]
