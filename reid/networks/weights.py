"""Start weights of the backbones built here: from a local file, or from where they were published."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reid.errors import WeightsError

__all__ = ["PUBLISHED", "load_weights", "read_state"]

#: ImageNet weights that the papers started from.
PUBLISHED = {
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    "resnet50_ibn_a": "https://github.com/XingangPan/IBN-Net/releases/download/v1.0/resnet50_ibn_a-d9d0bb7b.pth",
    "densenet121": "https://download.pytorch.org/models/densenet121-a639ec97.pth",
}

_CLASSIFIERS = ("fc.", "classifier.", "head.")


def load_weights(body: nn.Module, name: str, path: Path | None) -> None:
    """Fill ``body`` in place.

    Args:
        body: A network whose names are those of the published weights.
        name: Of the backbone; tells where its weights are published.
        path: A local file (``.safetensors`` or a PyTorch state), also the ``embedder.safetensors`` of a checkpoint;
            None to fetch the published ones.

    Raises:
        WeightsError: They cannot be had, or are of another network.
    """
    state = read_state(path) if path is not None else _fetch(name)
    # A training of this package keeps the body within the embedder.
    state = {k.removeprefix("backbone.body."): v for k, v in state.items()}
    state = {_old_densenet_name(k): v for k, v in state.items() if not k.startswith(_CLASSIFIERS)}
    wanted = body.state_dict()
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    wrong = [k for k in wanted if k in state and state[k].shape != wanted[k].shape]
    if missing or wrong:
        first = (missing or wrong)[0]
        what = "has no" if missing else "has another shape of"
        raise WeightsError(
            f"expected weights of {name}, got a file that {what} {first}",
            path=path,
            remedy="give the file of that network, or set pretrained to false",
        )
    body.load_state_dict({k: state[k] for k in wanted if k in state}, strict=False)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a weight file by name, prefixes of wrappers removed.

    Raises:
        WeightsError: The file is missing or holds no tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # old archives make torch talk about their format
                state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as cause:
        reason = "no such file" if not path.exists() else f"unreadable ({type(cause).__name__})"
        raise WeightsError(reason, path=path, remedy="give a PyTorch or safetensors file of weights") from cause
    for wrapper in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not any(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError("expected tensors by name, found none", path=path)
    return {str(k).removeprefix("module."): v for k, v in state.items() if isinstance(v, Tensor)}


def _fetch(name: str) -> dict[str, Tensor]:
    url = PUBLISHED.get(name)
    if url is None:
        raise WeightsError(f"no weights of {name} are published", remedy="set pretrained to false, or give weights")
    try:
        found: dict[str, Tensor] = torch.hub.load_state_dict_from_url(url, map_location="cpu", progress=False)
    except Exception as cause:
        raise WeightsError(
            f"weights of {name} cannot be fetched from {url}",
            remedy="fetch the file elsewhere and name it as weights, or set pretrained to false",
        ) from cause
    return found


def _old_densenet_name(key: str) -> str:
    """DenseNet's published names hold dots and a prefix that its layers no longer have."""
    key = key.removeprefix("features.")
    for part in ("norm", "relu", "conv"):
        for number in ("1", "2"):
            key = key.replace(f".{part}.{number}.", f".{part}{number}.")
    return key
