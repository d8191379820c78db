"""Which model a setting means, where its file lies, and what a run says about it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mtmc.zoo.registry import PACKAGE_FOLDER, Model, Task, find_model, package_model

__all__ = ["ModelSummary", "choose", "describe", "model_file"]

#: Settings that name a method without weights.
_METHODS = {
    "motion": "background subtraction",
    "color_histogram": "color histogram",
    "none": "none",
}


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What a run says about a model.

    Attributes:
        name: The model's own name, or its file's.
        source: Where it comes from.
        license: Of the weights; "" where nobody says.
        size_bytes: Size of its file; 0 where there is none.
    """

    name: str
    source: str
    license: str = ""
    size_bytes: int = 0

    def __str__(self) -> str:
        """``city_nano (in the package, MIT)``."""
        facts = ", ".join(fact for fact in (self.source, self.license) if fact)
        return f"{self.name} ({facts})" if facts else self.name

    def as_dict(self) -> dict[str, str | int]:
        """For the manifest."""
        return asdict(self)


def choose(weights: str, task: Task) -> str:
    """The setting with ``auto`` and ``package`` replaced by the name of the model that they stand for."""
    return package_model(task).name if weights in ("auto", "package") else weights


def model_file(weights: str, task: Task) -> str:
    """The file that a setting means; a setting that names no model of the registry is returned as it is."""
    model = find_model(choose(weights, task), task)
    return weights if model is None else str(_file_of(model))


def _file_of(model: Model) -> Path:
    return PACKAGE_FOLDER / f"{model.task}.onnx"


def describe(weights: str, task: Task) -> ModelSummary:
    """What to say of the model that a setting means: its name, where it comes from, its license."""
    name = choose(weights, task)
    if name in _METHODS:
        return ModelSummary(_METHODS[name], "")
    model = find_model(name, task)
    if model is not None:
        source = "in the package" if model.in_package else model.source
        return ModelSummary(model.name, source, model.license, model.size_bytes)
    path = Path(name)
    if not path.is_file():
        return ModelSummary(path.name, "")
    return ModelSummary(path.name, "given file", _license_in_card(path), path.stat().st_size)


def _license_in_card(weights: Path) -> str:
    """The license that the card beside a model file states; "" if there is no card, or none that can be read."""
    try:
        card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
        return str(card.get("about", card).get("license", ""))
    except (OSError, ValueError, AttributeError):
        return ""
