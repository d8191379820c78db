"""The registry of models, as data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

__all__ = ["MODELS", "PACKAGE_FOLDER", "Model", "Task", "find_model", "package_model"]

Task = Literal["detector", "embedder"]

#: The models that come with the package: ``detector.onnx`` and ``embedder.onnx``, each with its JSON card.
PACKAGE_FOLDER = Path(__file__).resolve().parent / "weights"


@dataclass(frozen=True, slots=True)
class Model:
    """A model, and what one must know before using it.

    Attributes:
        name: What settings call it.
        task: What it does.
        license: Of the weights, by its SPDX identifier.
        source: Where the weights come from.
        classes: What a detector tells apart.
        measured: What it was measured at: benchmark → figure. Those that this project did not measure say who did.
        size_bytes: Size of the file.
        sha256: Of the file; "" for a model of the package, whose files the installer checks.
        url: Where the file can be downloaded; "" for a model of the package.
        card: The JSON card that is written beside a downloaded file.
    """

    name: str
    task: Task
    license: str
    source: str
    classes: tuple[str, ...] = ()
    measured: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int = 0
    sha256: str = ""
    url: str = ""
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def in_package(self) -> bool:
        """Whether the file comes with the package."""
        return not self.url


@lru_cache
def package_model(task: Task) -> Model:
    """The model of the package for a task, described by the card beside it."""
    weights = PACKAGE_FOLDER / f"{task}.onnx"
    card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    about = card.get("about", card)  # a detector's card keeps what is for readers apart
    return Model(
        name=about["name"],
        task=task,
        license=about["license"],
        source=about["source"],
        classes=tuple(card.get("names", ())),
        measured={name: str(figure) for name, figure in about.get("scores", {}).items()},
        size_bytes=weights.stat().st_size,
    )


#: Models that can be downloaded. Licenses are those of the weights as their publishers state them.
MODELS: tuple[Model, ...] = ()


def find_model(name: str, task: Task) -> Model | None:
    """The model of that name and task; None if the registry has none."""
    known = (package_model(task), *MODELS)
    return next((model for model in known if (model.name, model.task) == (name, task)), None)
