"""A training's state as one folder of safetensors and JSON, written whole or not at all.

::

    checkpoint/
      checkpoint.json        configuration, epoch, number of classes, state of the optimizer but for its tensors
      card.json              what the deployed network takes and gives
      embedder.safetensors   what is deployed
      training.safetensors   all parameters and buffers of the method, and the optimizer's tensors
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

from reid.card import Card, write_card
from reid.errors import WeightsError

__all__ = ["FILES", "find", "read_embedder", "read_json", "read_training", "write"]

FILES = ("checkpoint.json", "embedder.safetensors", "training.safetensors", "card.json")
_NOTHING = "give the folder that a training wrote, or the one above it"


def find(path: Path) -> Path | None:
    """The complete checkpoint at ``path``, or the one that a killed swap left beside it; None if there is neither."""
    for folder in (path, path / "checkpoint", _old(path)):
        if all((folder / name).is_file() for name in FILES):
            return folder
    return None


def write(
    folder: Path,
    about: dict[str, Any],
    card: Card,
    embedder: dict[str, Tensor],
    method: dict[str, Tensor],
    optimizer: Any,
) -> Path:
    """Write a checkpoint; a reader, or a kill at any moment, finds the old one or the new one.

    Args:
        folder: Where to.
        about: JSON values.
        card: Of what is deployed.
        embedder: State of what is deployed.
        method: State of all that is trained.
        optimizer: Its ``state_dict()``.
    """
    from safetensors.torch import save_file

    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    tensors, rest = _take_tensors(optimizer, "optimizer")
    tensors |= {f"method.{k}": v for k, v in method.items()}
    save_file(_plain(embedder), part / FILES[1])
    save_file(_plain(tensors), part / FILES[2])
    (part / FILES[0]).write_text(json.dumps({**about, "optimizer": rest}, indent=1) + "\n", encoding="utf-8")
    write_card(card, part / FILES[3])
    for name in FILES:
        _flush(part / name)
    old = _old(folder)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return folder


def read_json(folder: Path) -> dict[str, Any]:
    """The JSON description that a checkpoint holds.

    Raises:
        WeightsError: ``folder`` is no complete checkpoint.
    """
    found = _need(folder)
    try:
        about: dict[str, Any] = json.loads((found / FILES[0]).read_text(encoding="utf-8"))
    except ValueError as cause:
        raise WeightsError("expected JSON", path=found / FILES[0], remedy=_NOTHING) from cause
    return about


def read_embedder(folder: Path) -> dict[str, Tensor]:
    """State of what is deployed.

    Raises:
        WeightsError: ``folder`` is no complete checkpoint.
    """
    return _load(_need(folder) / FILES[1])


def read_training(folder: Path) -> tuple[dict[str, Tensor], Any]:
    """State of the method, and of its optimizer as ``load_state_dict`` wants it.

    Raises:
        WeightsError: ``folder`` is no complete checkpoint.
    """
    found = _need(folder)
    tensors = _load(found / FILES[2])
    method = {k.removeprefix("method."): v for k, v in tensors.items() if k.startswith("method.")}
    return method, _put_tensors(read_json(found)["optimizer"], tensors)


def _need(path: Path) -> Path:
    found = find(path)
    if found is None:
        raise WeightsError(f"expected a checkpoint folder with {', '.join(FILES)}", path=path, remedy=_NOTHING)
    return found


def _load(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    try:
        state: dict[str, Tensor] = load_file(path)
    except Exception as cause:
        raise WeightsError(f"unreadable ({type(cause).__name__})", path=path, remedy="train again") from cause
    return state


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _plain(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors on the CPU that share no memory."""
    return {k: v.detach().cpu().contiguous().clone() for k, v in state.items()}


def _take_tensors(value: Any, name: str) -> tuple[dict[str, Tensor], Any]:
    """Replace every tensor of a nested value by a reference to its name."""
    if isinstance(value, Tensor):
        return {name: value}, {"tensor": name}
    tensors: dict[str, Tensor] = {}
    if isinstance(value, dict):
        items = []
        for key, inner in value.items():
            found, rest = _take_tensors(inner, f"{name}.{key}")
            tensors |= found
            items.append([key, rest])
        return tensors, {"items": items}  # pairs, because JSON would turn the numbers of parameters into text
    if isinstance(value, (list, tuple)):
        rests = []
        for number, inner in enumerate(value):
            found, rest = _take_tensors(inner, f"{name}.{number}")
            tensors |= found
            rests.append(rest)
        return tensors, rests
    return tensors, value


def _put_tensors(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict) and "tensor" in value:
        return tensors[value["tensor"]]
    if isinstance(value, dict):
        return {key: _put_tensors(inner, tensors) for key, inner in value["items"]}
    return [_put_tensors(inner, tensors) for inner in value] if isinstance(value, list) else value


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
