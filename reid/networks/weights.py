"""Start weights of the backbones built here: from a local file, or from where they were published."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reid.errors import WeightsError

__all__ = ["PUBLISHED", "load_weights", "matching_state", "read_state", "without_prefix"]

_ANOTHER_FILE = "give the file of that network, or set pretrained to false"

#: ImageNet weights that the papers started from.
PUBLISHED = {
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    "resnet50_ibn_a": "https://github.com/XingangPan/IBN-Net/releases/download/v1.0/resnet50_ibn_a-d9d0bb7b.pth",
    "densenet121": "https://download.pytorch.org/models/densenet121-a639ec97.pth",
}


def load_weights(body: nn.Module, name: str, path: Path | None) -> None:
    """Fill ``body`` in place.

    Args:
        body: A network whose names are those of the published weights.
        name: Of the backbone, by which its published weights are found.
        path: A local file (``.safetensors`` or what ``torch.save`` wrote), also the ``embedder.safetensors`` of a
            checkpoint; None to fetch the published ones.

    Raises:
        WeightsError: They cannot be had, or are of another network.
    """
    state = read_state(path) if path is not None else _fetch(name)
    state = {_old_densenet_name(key): tensor for key, tensor in state.items()}
    found = matching_state(state, body.state_dict(), name, path)
    body.load_state_dict(found, strict=False)


def matching_state(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], name: str, path: Path | None = None
) -> dict[str, Tensor]:
    """The tensors of a file under the names that a network wants.

    Programs put the same network under different names: ``module.conv1.weight``, ``backbone.conv1.weight``,
    ``model.net.conv1.weight``. Whatever stands before the wanted names is removed; tensors that are not wanted, such
    as a classifier's, are left out.

    Args:
        state: Tensors by name.
        wanted: State of the network.
        name: What to call the network in a message.
        path: The file, for a message.

    Raises:
        WeightsError: The file holds another network, or two of this kind.
    """
    needed = [key for key in wanted if not key.endswith("num_batches_tracked")]
    prefixes = _prefixes(state, needed)
    complete = [prefix for prefix in prefixes if all(prefix + key in state for key in needed)]
    if len(complete) > 1:
        raise WeightsError(
            f"the file holds {name} {len(complete)} times, under {', '.join(map(repr, complete))}",
            path=path,
            remedy="save the one that is meant to a file of its own",
        )
    if not complete:
        raise _other_network(state, needed, prefixes, name, path)
    prefix = complete[0]
    found = {key: state[prefix + key] for key in wanted if prefix + key in state}
    for key, tensor in found.items():
        if tensor.shape != wanted[key].shape:
            raise WeightsError(
                f"expected {prefix + key} of {name} with shape {tuple(wanted[key].shape)}, got {tuple(tensor.shape)}",
                path=path,
                remedy=_ANOTHER_FILE,
            )
    return found


def without_prefix(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file whose names begin with what stands before the wanted names there, without it.

    Args:
        state: Tensors by name.
        wanted: State of the network.

    Returns:
        All tensors as they are where no wanted name is found behind any prefix.
    """
    prefixes = _prefixes(state, [key for key in wanted if not key.endswith("num_batches_tracked")])
    prefix = prefixes[0] if prefixes else ""
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def _prefixes(state: Mapping[str, Tensor], needed: list[str]) -> list[str]:
    """What stands before the first wanted name in the file, the prefix with most of the wanted names first."""
    endings = [key.removesuffix(needed[0]) for key in state if key == needed[0] or key.endswith("." + needed[0])]
    return sorted(endings, key=lambda prefix: (-sum(prefix + key in state for key in needed), prefix))


def _other_network(
    state: Mapping[str, Tensor], needed: list[str], prefixes: list[str], name: str, path: Path | None
) -> WeightsError:
    if prefixes:
        prefix = prefixes[0]
        absent = [key for key in needed if prefix + key not in state]
        where = f"its names begin with {prefix!r}, and " if prefix else ""
        what = f"{where}{len(absent)} of {len(needed)} are missing, {prefix + absent[0]} the first"
    else:
        what = f"no name ends in {needed[0]}; its names are such as {', '.join(list(state)[:3])}"
    return WeightsError(f"expected weights of {name}: {what}", path=path, remedy=_ANOTHER_FILE)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a weight file by name; those inside a group have the group's name before their own.

    ``{"model": {"conv1.weight": …}, "epoch": 3}`` gives ``model.conv1.weight``. Numbers and texts beside the tensors
    are left out.

    Raises:
        WeightsError: The file is missing, damaged, holds objects that only its own program can read, or no tensors.
    """
    if not path.is_file():
        reason = "expected a file of weights, got a folder" if path.is_dir() else "no such file"
        raise WeightsError(reason, path=path, remedy="give a PyTorch or safetensors file of weights")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = _load_pickle(path)
    except Exception as cause:
        refused = _refused_object(cause)
        if refused is None:
            remedy = "give a PyTorch or safetensors file of weights"
            raise WeightsError(f"unreadable ({type(cause).__name__})", path=path, remedy=remedy) from cause
        raise WeightsError(
            f"the file holds more than tensors, a {refused} among them, and is not opened, because such a file can "
            "run any program",
            path=path,
            remedy="if its source is trusted, open it with torch.load(…, weights_only=False) and save its state_dict",
        ) from cause
    state = dict(_tensors(content, ""))
    if not state:
        raise WeightsError(
            f"expected tensors by name, found none in a {type(content).__name__}",
            path=path,
            remedy="save the network's state_dict() to the file",
        )
    return state


def _load_pickle(path: Path) -> Any:
    """What ``torch.save`` wrote: tensors, plain values, and numbers of NumPy, which many programs keep as scores."""
    with warnings.catch_warnings(), _numbers_of_numpy_allowed():
        warnings.simplefilter("ignore")  # old archives make torch talk about their format
        return torch.load(path, map_location="cpu", weights_only=True)


def _numbers_of_numpy_allowed() -> AbstractContextManager[object]:
    """Lets torch read NumPy's numbers, which can run no program; versions before 2.6 have no such setting."""
    if not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        return nullcontext()
    # How a number of NumPy is rebuilt; the function's name changed with NumPy 2.
    rebuild = np.float64(0).__reduce__()[0]
    scalar = [(rebuild, f"numpy.{package}.multiarray.scalar") for package in ("core", "_core")]
    dtypes = [type(np.dtype(code)) for code in "?bBhHiIlLqQefd"]
    allowed: AbstractContextManager[object] = torch.serialization.safe_globals([*scalar, np.dtype, *dtypes])
    return allowed


def _tensors(value: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of nested mappings under its dotted name."""
    if isinstance(value, Tensor):
        yield prefix, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _tensors(inner, f"{prefix}.{key}" if prefix else str(key))


def _refused_object(cause: Exception) -> str | None:
    """The object that torch refuses to unpickle, taken from its long advice; None if the file is damaged."""
    if not isinstance(cause, pickle.UnpicklingError):
        return None
    named = re.search(r"(?:GLOBAL|Unsupported \w+:?|global) ([\w.]+\.[\w.]+)", str(cause))
    return named[1] if named else None


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
