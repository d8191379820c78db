"""From a training's checkpoint to what is shipped: an ONNX file and its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from mtmc.detect.card import Card
from mtmc.files import atomic_path
from tools.detector.network import NAMES, YoloxNano, interpolate
from tools.detector.train import load_network

__all__ = ["SIZE_PX", "export", "write_card", "write_onnx"]

#: Longer side of the pictures that a run shows to the detector.
SIZE_PX = 640
_OPSET = 17


class _Exported(torch.nn.Module):
    """The network as the published export runs it: probabilities in place of logits."""

    def __init__(self, network: YoloxNano) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network.exported(images)


def export(
    checkpoint: Path,
    out: Path,
    about: dict[str, Any],
    start: Path | None = None,
    share: float = 1.0,
    objectness_shift: float = 0.0,
) -> Path:
    """Write ``out`` (fp32, any batch, height and width in multiples of 32) and the card beside it.

    Args:
        checkpoint: ``last.pt`` of a training.
        out: The ``.onnx`` file.
        about: What the card tells readers: data, command, scores.
        start: The weights that the training began with, where ``share`` is below 1.
        share: Of the way from these to the checkpoint, 0…1 (:func:`tools.detector.network.interpolate`).
        objectness_shift: Added to the logits of objectness. It moves all scores, and with them the confidence at
            which recall and precision balance; it hardly changes their order.

    Raises:
        WeightsError: A file is missing, or is not of this network.
    """
    network = load_network(checkpoint)
    if start is not None:
        mixed = interpolate(load_network(start).state_dict(), network.state_dict(), share)
        network.load_state_dict(mixed)
    for level in network.levels:
        level.object_output.bias.data += objectness_shift
    write_onnx(network, out)
    write_card(out, about)
    return out


def write_onnx(network: YoloxNano, out: Path) -> None:
    """Write a network as ONNX: ``images`` (B, 3, H, W) → ``output`` (B, A, 5 + C), B, H and W as they come."""
    example = torch.zeros(1, 3, 96, 128)
    with atomic_path(out) as path:
        torch.onnx.export(
            _Exported(network.eval()),
            (example,),
            str(path),
            opset_version=_OPSET,
            input_names=["images"],
            output_names=["output"],
            dynamic_axes={"images": {0: "batch", 2: "height", 3: "width"}, "output": {0: "batch", 1: "places"}},
            dynamo=False,
        )


def write_card(weights: Path, about: dict[str, Any]) -> Path:
    """Write the card beside a model file."""
    card = Card(kind="yolox", size=SIZE_PX, names=NAMES, about=about)
    with atomic_path(weights.with_suffix(".json")) as path:
        text = json.dumps(card.model_dump(exclude_defaults=True), indent=2, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
    return weights.with_suffix(".json")
