"""What ``mtmc models`` prints."""

from __future__ import annotations

import base64
import difflib
import hashlib
from importlib import metadata
from pathlib import Path

from mtmc.errors import ConfigError
from mtmc.zoo.config import ModelsConfig
from mtmc.zoo.download import check_model, file_in_cache, is_complete
from mtmc.zoo.registry import AUTO, PACKAGE_FOLDER, Model, known_models
from mtmc.zoo.resolve import model_file

__all__ = ["check_text", "fetch_text", "list_text", "show_text"]


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
    """Everything that is known of a model.

    Raises:
        ConfigError: There is no such model.
    """
    model = _model(name)
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
    """Download a model unless it is there; where it lies.

    Raises:
        ConfigError: There is no such model.
        WeightsError: The download fails, or the model is not at hand and the network may not be used.
    """
    model = _model(name)
    if model.in_package:
        return f"{model.name} comes with the package: {_path(model, config)}"
    return f"{model.name}: {model_file(model.name, model.task, config)}"


def check_text(config: ModelsConfig) -> tuple[str, bool]:
    """Compare the files of all models at hand with their checksums; the report, and whether all is well."""
    lines, good = [], True
    for model in known_models():
        problem = _package_problem(model) if model.in_package else check_model(model, config.cache_folder)
        good &= not problem
        if problem or _at_hand(model, config) != "no":
            lines.append(f"{model.name}: {problem or 'the file is as registered'}")
    return "\n".join(lines), good


def _package_problem(model: Model) -> str:
    """What is wrong with a file of the package, by the checksums that the installer noted.

    An editable installation notes none; then nothing is known to be wrong.
    """
    weights = PACKAGE_FOLDER / f"{model.task}.onnx"
    try:
        noted = metadata.files("mtmc") or []
    except metadata.PackageNotFoundError:
        noted = []
    for file in noted:
        if file.hash is not None and Path(str(file.locate())).resolve() == weights:
            digest = hashlib.new(file.hash.mode, weights.read_bytes()).digest()
            found = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            if found != file.hash.value:
                return f"{weights}: expected {file.hash.mode} {file.hash.value}, got {found}; install mtmc again"
    return ""


def _path(model: Model, config: ModelsConfig) -> Path:
    return PACKAGE_FOLDER / f"{model.task}.onnx" if model.in_package else file_in_cache(model, config.cache_folder)


def _model(name: str) -> Model:
    models = {model.name: model for model in known_models()}
    if name not in models:
        near = difflib.get_close_matches(name, models, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"the models are {', '.join(models)}"
        raise ConfigError(f"there is no model {name!r}", remedy=remedy)
    return models[name]
