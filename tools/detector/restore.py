"""From a shipped ONNX file back to weights that training can go on from.

An export folds every batch normalisation into the convolution before it. Here each gets one again that leaves the
network as it is: its running mean and variance are those of the convolution's output on training tiles, and its scale
and shift undo them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mtmc.errors import FormatError, WeightsError
from mtmc.files import atomic_path
from mtmc.progress import progress_bar
from mtmc.types import Array
from tools.detector.tiles import TILE_PX

__all__ = ["NETWORK", "restore"]

NETWORK = "yolov5n.yaml"
_BATCH = 32


def restore(weights: Path, tiles: Path, out: Path, count: int = 512, seed: int = 0) -> Path:
    """Write a checkpoint for ``train --start``.

    Args:
        weights: The ``.onnx`` file that :func:`tools.detector.export.export` wrote.
        tiles: Folder with ``images/train``; some of it shows what the layers put out.
        out: The ``.pt`` file.
        count: How many tiles are looked at.
        seed: Of which.

    Raises:
        WeightsError: The file is not of this network.
        FormatError: There are no tiles.
    """
    import torch
    from ultralytics.nn.tasks import DetectionModel

    paths = sorted((tiles / "images" / "train").glob("*.jpg"))
    if not paths:
        raise FormatError("expected *.jpg tiles, found none", path=tiles / "images" / "train")
    chosen = np.random.default_rng(seed).permutation(len(paths))[:count]
    model = DetectionModel(NETWORK, ch=3, nc=1, verbose=False)
    _fill(model, _initialisers(weights), weights)
    _normalise(model, [paths[k] for k in sorted(chosen.tolist())])
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(out) as path:
        torch.save({"model": model, "epoch": -1, "train_args": {}}, path)
    return out


def _initialisers(weights: Path) -> dict[str, Array]:
    import onnx

    try:
        return {part.name: onnx.numpy_helper.to_array(part) for part in onnx.load(str(weights)).graph.initializer}
    except Exception as cause:  # protobuf has no error of its own to name
        raise WeightsError("cannot be read as ONNX", path=weights) from cause


def _fill(model: Any, values: dict[str, Array], weights: Path) -> None:
    """Convolutions as in the file; normalisations add its biases and do nothing else."""
    import torch

    state = {name: torch.tensor(values[name]) for name in model.state_dict() if name in values}
    for name, part in model.named_modules():
        if not isinstance(part, torch.nn.BatchNorm2d):
            continue
        bias = values.get(f"{name.removesuffix('.bn')}.conv.bias")
        if bias is None or len(bias) != part.num_features:
            raise WeightsError(
                f"holds no bias for {name}", path=weights, remedy=f"give a detector that was exported from {NETWORK}"
            )
        part.running_mean.zero_()
        part.running_var.fill_(1.0 - part.eps)
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.ones(len(bias)), torch.tensor(bias)
    try:
        model.load_state_dict(state, strict=False)
    except RuntimeError as cause:
        raise WeightsError(
            "has layers of other sizes", path=weights, remedy=f"give a detector that was exported from {NETWORK}"
        ) from cause


def _normalise(model: Any, paths: Sequence[Path]) -> None:
    """Give every normalisation the statistics of what reaches it, and the scale and shift that undo them."""
    import torch

    parts = [part for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    sums = {part: torch.zeros(2, part.num_features, dtype=torch.float64) for part in parts}
    seen = dict.fromkeys(parts, 0)

    def watch(part: Any) -> Callable[[Any, Any], None]:
        def note(_: Any, given: Any) -> None:
            values = given[0].double()
            sums[part] += torch.stack([values.sum((0, 2, 3)), values.square().sum((0, 2, 3))])
            seen[part] += values.numel() // values.shape[1]

        return note

    hooks = [part.register_forward_pre_hook(watch(part)) for part in parts]
    model.eval()
    with torch.no_grad(), progress_bar("statistics", "tile") as progress:
        for first in range(0, len(paths), _BATCH):
            model(torch.stack([_read(path) for path in paths[first : first + _BATCH]]))
            progress(min(first + _BATCH, len(paths)), len(paths))
    for hook in hooks:
        hook.remove()
    for part in parts:
        mean, square = sums[part] / seen[part]
        variance = (square - mean.square()).clamp(min=0.0)
        part.running_mean.copy_(mean)
        part.running_var.copy_(variance)
        part.weight.data.copy_((variance + part.eps).sqrt())
        part.bias.data.add_(mean.float())


def _read(path: Path) -> Any:
    import torch

    image = cv2.resize(cv2.imread(str(path)), (TILE_PX, TILE_PX))[..., ::-1]
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255
