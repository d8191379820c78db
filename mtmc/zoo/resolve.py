"""Which model a setting means, where its file lies, and what a run says about it."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from mtmc.errors import MtmcError, WeightsError
from mtmc.zoo.config import ModelsConfig
from mtmc.zoo.download import fetch_model, file_in_cache, is_complete
from mtmc.zoo.registry import (
    AUTO,
    CHOICES,
    PERMISSIVE,
    Model,
    Task,
    find_model,
    known_models,
    nearest_name,
    package_file,
    package_model,
)

__all__ = ["ModelSummary", "choose", "describe", "model_file", "models_of_auto", "name_remedy", "setting_names"]

_log = logging.getLogger(__name__)

#: Settings that name a method without weights.
_METHODS = {
    "motion": "background subtraction",
    "color_histogram": "color histogram",
    "none": "none",
}

#: What a message calls the models of a task.
_ONE_OF = {"detector": "a detector", "embedder": "an embedder", "attributes": "an attribute network"}


def setting_names(task: Task) -> tuple[str, ...]:
    """What a setting can be besides a file or a vendor's model: a choice, a method, a name of the registry."""
    return *CHOICES[task], *(model.name for model in known_models() if model.task == task)


def name_remedy(name: str, task: Task) -> str:
    """What to do about a setting that names no model for a task: the nearest name, or what the named model is."""
    other = next((model for model in known_models() if model.name == name and model.task != task), None)
    if other is not None:
        return f"{name} is {_ONE_OF[other.task]}; mtmc models list shows the task of every model"
    near = nearest_name(name, setting_names(task))
    return (
        f"did you mean {near}?" if near else f"choose {_ONE_OF[task]} of mtmc models list, or give the path of a file"
    )


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What a run says about a model.

    Attributes:
        name: The model's own name, or its file's.
        source: Where it comes from.
        license: Of the weights; "" where unknown.
        size_bytes: Size of its file; 0 where there is none.
    """

    name: str
    source: str
    license: str = ""
    size_bytes: int = 0

    def __str__(self) -> str:
        """``street_nano (in the package, Apache-2.0)``."""
        facts = ", ".join(fact for fact in (self.source, self.license) if fact)
        return f"{self.name} ({facts})" if facts else self.name

    def as_dict(self) -> dict[str, str | int]:
        """For the manifest."""
        return asdict(self)


def choose(weights: str, task: Task, config: ModelsConfig | None = None) -> str:
    """The setting with ``auto`` and ``package`` replaced by the name of the model that they stand for.

    ``auto`` stands for the first model of :data:`~mtmc.zoo.registry.AUTO` that is at hand or can be downloaded, else
    for the package's. A download that fails is reported in the log and is no error.
    """
    if weights not in CHOICES[task]:
        return weights
    if weights == "auto":
        return _best_at_hand(task, config or ModelsConfig()).name
    return package_model(task).name if weights == "package" else weights


def _best_at_hand(task: Task, config: ModelsConfig) -> Model:
    *preferred, of_package = models_of_auto(task)
    for model in preferred:
        if is_complete(model, config.cache_folder):
            return model
        if config.may_download:
            try:
                _fetch(model, config)
                return model
            except MtmcError as error:
                _log.warning("%s; %s %s of the package is used", error, task, of_package.name)
    return of_package


def models_of_auto(task: Task) -> list[Model]:
    """What ``auto`` may stand for, the preferred model first; the last one is the package's."""
    listed = map(partial(find_model, task=task), AUTO[task])
    return [*(model for model in listed if model is not None and model.license in PERMISSIVE), package_model(task)]


def _fetch(model: Model, config: ModelsConfig) -> Path:
    _log.warning(
        "%s %s (%s, %s): %.1f MB are being downloaded, once, into %s; --offline does without",
        model.task,
        model.name,
        model.source,
        model.license,
        model.size_bytes / 1e6,
        config.cache_folder,
    )
    return fetch_model(model, config.cache_folder)


def model_file(weights: str, task: Task, config: ModelsConfig | None = None) -> str:
    """The file that a setting means; a setting that names no model of the registry is returned as it is.

    Raises:
        WeightsError: The model is not at hand and cannot be downloaded.
    """
    config = config or ModelsConfig()
    model = find_model(choose(weights, task, config), task)
    if model is None:
        return weights
    if model.in_package:
        return str(package_file(model.task))
    if is_complete(model, config.cache_folder):
        return str(file_in_cache(model, config.cache_folder))
    if not config.may_download:
        raise WeightsError(
            f"expected {model.name} in {config.cache_folder}, but it is not there and the network may not be used",
            remedy=f"run mtmc models fetch {model.name} where there is a network, or choose the package's model",
        )
    return str(_fetch(model, config))


def describe(name: str, task: Task) -> ModelSummary:
    """What to say of a model that :func:`choose` has named: its name, where it comes from, its license."""
    name = choose(name, task) if name == "package" else name
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
