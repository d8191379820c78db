"""Embedders that run in torch: from TorchScript, from a checkpoint, or by the name of a network."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from reid.card import Card
from reid.errors import ConfigError, WeightsError
from reid.networks import build
from reid.networks.weights import matching_state, read_state
from reid.training import checkpoint_files as checkpoint

__all__ = ["open_file", "open_named", "runner"]


def open_file(path: Path, card: Card) -> Any:
    """The module of a ``.torchscript`` or ``.safetensors`` file, of a folder that holds one, or of a training.

    Raises:
        WeightsError: The file is not what its name says, or not of the card's backbone.
        ConfigError: The card's backbone does not exist.
    """
    if path.suffix == ".torchscript":
        return _open_torchscript(path)
    if path.is_dir() and checkpoint.find(path) is not None:
        return _open_training(path)
    if path.is_dir() or path.suffix == ".safetensors":
        return _open_checkpoint(path, card)
    raise WeightsError(
        f"expected .onnx, .xml, .torchscript, .safetensors or a checkpoint folder, got {path.suffix or 'no suffix'}",
        path=path,
        remedy="export the model to ONNX, or save its state dict as safetensors",
    )


def open_named(weights: str) -> tuple[Any, Card]:
    """The network that ``timm:NAME``, ``timm:NAME:FILE`` or ``timm:NAME?pretrained=false`` means, and its card.

    Without a file these are the weights that timm downloads; with ``?pretrained=false`` there are none.

    Raises:
        WeightsError: The weights cannot be had.
        ConfigError: There is no such network.
        MissingDependency: timm is not installed.
    """
    name, _, file = weights.removeprefix("timm:").partition(":")
    name, mark, query = name.partition("?")
    if mark and query != "pretrained=false":
        raise ConfigError(f"expected timm:{name}?pretrained=false, got {weights}")
    size_hw = _size_hw(name)
    path = Path(file) if file else None
    network = build(f"timm:{name}", sizes=[size_hw], pretrained=not (file or mark), weights=path)
    card = Card(
        size_hw=size_hw, dim=network.dim, name=name, mean=network.mean, std=network.std, backbone=f"timm:{name}"
    )
    return network.eval(), card


def _size_hw(name: str) -> tuple[int, int]:
    """The size of the images a timm network was trained on."""
    try:
        from timm.models import get_pretrained_cfg
    except ImportError:
        return (224, 224)  # building it will say that timm is missing
    found = get_pretrained_cfg(name, allow_unregistered=True)
    return (224, 224) if found is None else tuple(found.input_size[1:])


def _open_torchscript(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # Torch wants people off this format. Those who have such a file know.
            warnings.simplefilter("ignore", (FutureWarning, DeprecationWarning))
            return torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise WeightsError(f"expected a TorchScript module, got {reason}", path=path) from None


def _open_training(path: Path) -> Any:
    """The deployed network of a training's checkpoint; its configuration says how it is built."""
    from reid.training.checkpoint import open_checkpoint

    return open_checkpoint(path).embedder


def _open_checkpoint(path: Path, card: Card) -> Any:
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if len(files) != 1:
        raise WeightsError(f"expected a folder with one .safetensors file, found {len(files)}", path=path)
    if not card.backbone:
        raise WeightsError(
            "expected a card that names a backbone, got none",
            path=path,
            remedy='add "backbone": "resnet50", say, to the card',
        )
    network = build(card.backbone, sizes=[card.size_hw])
    state = matching_state(read_state(files[0]), network.state_dict(), card.backbone, files[0])
    network.load_state_dict(state, strict=False)
    return network.eval()


def runner(
    module: Any, *, device: str = "cpu", precision: str = "fp32", threads: int = 1
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """A module as a function of arrays: float32 images (n, 3, h, w) → float32 (n, D).

    Raises:
        ConfigError: The device or the precision does not exist here.
        WeightsError: (when called) The module fails, or gives something else than one tensor.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device {device}: this torch finds no CUDA here", remedy="set device to cpu")
    if precision not in ("fp32", "bf16"):
        raise ConfigError(f"precision: expected one of fp32, bf16, got {precision!r}")
    torch.set_num_threads(threads)
    module = module.to(device)
    kind = device.partition(":")[0]

    def run(images: NDArray[Any]) -> NDArray[Any]:
        try:
            with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16"):
                given = module(torch.from_numpy(images).to(device))
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise WeightsError(f"the network fails on a batch of shape {images.shape}: {reason}") from error
        if not isinstance(given, torch.Tensor):
            raise WeightsError(f"expected a network that gives one tensor, got {type(given).__name__}")
        embeddings: NDArray[Any] = given.float().cpu().numpy()
        return embeddings

    return run
