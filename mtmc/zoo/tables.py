"""What ``mtmc models`` prints."""

from __future__ import annotations

import base64
import hashlib
from importlib import metadata
from pathlib import Path

from mtmc.errors import ConfigError
from mtmc.zoo.config import ModelsConfig
from mtmc.zoo.download import check_model, file_in_cache, is_complete
from mtmc.zoo.registry import AUTO, Model, Task, known_models, nearest_name, package_file, package_model
from mtmc.zoo.resolve import model_file, models_of_auto

__all__ = ["check_text", "fetch_text", "list_text", "show_text"]

#: Tasks for which the package has a model.
_TASKS: tuple[Task, ...] = ("detector", "embedder")


def list_text(config: ModelsConfig) -> str:
    """A table of all models: name, task, license, size, where it is."""
    rows = [("model", "task", "license", "MB", "at hand", "source")]
    for model in known_models():
        size = f"{model.size_bytes / 1e6:.1f}"
        rows.append((model.name, model.task, model.license, size, _at_hand(model, config), model.source))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    auto = [
        f"{task}=auto takes {', else '.join([*names, 'that of the package'])}"
        for task, names in AUTO.items()
        if names
    ]
    return "\n".join([*table, "", f"downloaded models: {config.cache_folder}", *auto])


def _at_hand(model: Model, config: ModelsConfig) -> str:
    if model.in_package:
        return "package"
    return "downloaded" if is_complete(model, config.cache_folder) else "no"


def show_text(name: str, config: ModelsConfig) -> str:
    """Everything that is known of a model, or of those that ``auto`` or ``package`` stands for.

    Raises:
        ConfigError: There is no such model.
    """
    return "\n".join(_facts_text(model, config) for model in _models(name))


def _facts_text(model: Model, config: ModelsConfig) -> str:
    facts = {
        "task": model.task,
        "license": model.license,
        "source": model.source,
        "classes": ", ".join(model.classes) or "–",
        "size": f"{model.size_bytes / 1e6:.1f} MB",
        "file": str(_path(model, config)) + ("" if _at_hand(model, config) != "no" else " (not there)"),
    }
    lines = [f"{key + ':':<10}{value}" for key, value in facts.items()]
    for file in model.files:
        lines += [f"{'sha256:':<10}{file.sha256}", *(f"{'url:':<10}{url}" for url in file.urls)]
    lines += [f"{'measured:':<10}{benchmark}: {figure}" for benchmark, figure in model.measured.items()]
    return "\n".join([model.name, *(f"  {line}" for line in lines)])


def fetch_text(name: str, config: ModelsConfig) -> str:
    """Download a model, or those that ``auto`` prefers, unless they are there; where each lies.

    Raises:
        ConfigError: There is no such model.
        WeightsError: The download fails, or the model is not at hand and the network may not be used.
    """
    return "\n".join(_fetched_text(model, config) for model in _models(name))


def _fetched_text(model: Model, config: ModelsConfig) -> str:
    if model.in_package:
        return f"{model.name} comes with the package: {_path(model, config)}"
    return f"{model.name}: {model_file(model.name, model.task, config)}"


def check_text(config: ModelsConfig) -> tuple[str, bool]:
    """Compare the files of all models at hand with their checksums; the report, and whether all is well."""
    lines, good = [], True
    for model in known_models():
        noted = _noted_checksum(model) if model.in_package else None
        if model.in_package and noted is None:
            lines.append(f"{model.name}: not compared: this installation of the package has no list of checksums")
            continue
        problem = check_model(model, config.cache_folder) if noted is None else _package_problem(model, noted)
        good &= not problem
        if problem or _at_hand(model, config) != "no":
            lines.append(f"{model.name}: {problem or 'the file is as registered'}")
    return "\n".join(lines), good


def _noted_checksum(model: Model) -> metadata.FileHash | None:
    """What the installer noted of a file of the package; an editable installation notes nothing."""
    try:
        files = metadata.files("mtmc") or []
    except metadata.PackageNotFoundError:
        return None
    weights = package_file(model.task)
    return next((file.hash for file in files if Path(str(file.locate())).resolve() == weights), None)


def _package_problem(model: Model, noted: metadata.FileHash) -> str:
    """What is wrong with a file of the package, by the checksum that the installer noted; "" if nothing is."""
    weights = package_file(model.task)
    digest = hashlib.new(noted.mode, weights.read_bytes()).digest()
    found = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    if found == noted.value:
        return ""
    return f"{weights}: expected {noted.mode} {noted.value}, got {found}; install mtmc again"


def _path(model: Model, config: ModelsConfig) -> Path:
    return package_file(model.task) if model.in_package else file_in_cache(model, config.cache_folder)


def _models(name: str) -> list[Model]:
    """The model of that name; for ``auto`` and ``package`` one for each task, as settings understand them."""
    if name == "package":
        return [package_model(task) for task in _TASKS]
    if name == "auto":
        return [models_of_auto(task)[0] for task in _TASKS]
    models = {model.name: model for model in known_models()}
    if name not in models:
        near = nearest_name(name, [*models, "auto", "package"])
        remedy = f"did you mean {near}?" if near else f"the models are {', '.join(models)}"
        raise ConfigError(f"there is no model {name!r}", remedy=remedy)
    return [models[name]]
