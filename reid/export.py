"""A training's network as one file that other programs can run."""

from __future__ import annotations

import dataclasses
import json
import warnings
from pathlib import Path

import torch

from reid.card import METADATA_KEY, Card, card_path, write_card
from reid.errors import ConfigError, MissingDependency
from reid.training.checkpoint import Trained, open_checkpoint

__all__ = ["export_checkpoint"]


def export_checkpoint(folder: Path, path: Path) -> Card:
    """Write a checkpoint's network as ONNX or TorchScript, with its card beside it (and inside the ONNX file).

    Args:
        folder: A checkpoint, or the folder of a training.
        path: ``.onnx`` or ``.torchscript``.

    Raises:
        ConfigError: ``path`` has another suffix.
        WeightsError: There is no checkpoint, or it is damaged.
        MissingDependency: A package that writes ONNX is not installed.
    """
    if path.suffix not in (".onnx", ".torchscript"):
        raise ConfigError(f"expected a file that ends in .onnx or .torchscript, got {path.name}", path=path)
    trained = open_checkpoint(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(2, 3, *trained.card.size_hw)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporters comment on their own deprecations and on traced shapes
        if path.suffix == ".torchscript":
            torch.jit.trace(trained.embedder, example, check_trace=False).save(str(path))
        else:
            _write_onnx(trained, example, path)
    write_card(trained.card, card_path(path))
    return trained.card


def _write_onnx(trained: Trained, example: torch.Tensor, path: Path) -> None:
    try:
        import onnx
    except ImportError as cause:
        raise MissingDependency("writing ONNX needs the package onnx", remedy="pip install onnx") from cause
    torch.onnx.export(
        trained.embedder,
        (example,),
        str(path),
        input_names=["images"],
        output_names=["embeddings"],
        dynamic_axes={"images": {0: "batch"}, "embeddings": {0: "batch"}},
        dynamo=False,
    )
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(dataclasses.asdict(trained.card))
    onnx.save(model, str(path))
