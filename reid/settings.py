"""Strict settings: the base of every configuration of :mod:`reid`, and reading one from YAML."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from reid.errors import ConfigError

__all__ = ["Settings", "override", "parse_settings", "read_yaml"]

Model = TypeVar("Model", bound="Settings")


class Settings(BaseModel):
    """A frozen group of choices. An unknown key or a value of the wrong type is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping a YAML file holds.

    Raises:
        ConfigError: The file cannot be read, is not YAML, or holds something else than a mapping.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as cause:
        raise ConfigError(f"cannot be read: {cause.strerror}", path=path, remedy="give a YAML file") from cause
    except yaml.YAMLError as cause:
        mark = getattr(cause, "problem_mark", None)
        problem = getattr(cause, "problem", None) or "it is not YAML"
        line = None if mark is None else mark.line + 1
        raise ConfigError(f"expected YAML: {problem}", path=path, line=line, remedy="mend that line") from cause
    if not isinstance(data, dict):
        raise ConfigError("expected 'key: value' lines at the top level", path=path, line=1)
    return data


def override(data: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """A copy of nested ``data`` with ``key.inner=value`` assignments applied; values are read as YAML.

    Example:
        >>> override({"data": {"name": "veri776"}}, ["data.root=/veri", "seed=1"])
        {'data': {'name': 'veri776', 'root': '/veri'}, 'seed': 1}

    Raises:
        ConfigError: An assignment has no ``=``, or leads through something that is not a mapping.
    """
    result = _copied(data)
    for assignment in assignments:
        dotted, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"expected key=value, got {assignment!r}", remedy="write -o data.root=/path, for one")
        *path, last = dotted.strip().split(".")
        place: Any = result
        for key in path:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{dotted}: {key} holds a value, not a group of keys")
        place[last] = yaml.safe_load(text)
    return result


def _copied(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) if isinstance(value, Mapping) else value for key, value in data.items()}


def parse_settings(
    model: type[Model], data: Mapping[str, Any], *, prefix: str = "", path: Path | None = None
) -> Model:
    """Validate ``data`` as ``model``; the first mistake becomes one sentence.

    Args:
        model: The settings class.
        data: Its values, nested mappings.
        prefix: Name of the group they stand in, for the message.
        path: The file they came from, for the message.

    Raises:
        ConfigError: An unknown key (the nearest known one is named) or an impossible value.
    """
    try:
        return model.model_validate(data)
    except ValidationError as failure:
        mistake = failure.errors()[0]
    dotted = ".".join(str(part) for part in (*([prefix] if prefix else []), *mistake["loc"]))
    if mistake["type"] == "extra_forbidden":
        raise ConfigError(f"unknown key {dotted}", path=path, remedy=_nearest(str(mistake["loc"][-1]), model))
    if mistake["type"] == "missing":
        raise ConfigError(f"expected a key {dotted}, got none", path=path, remedy="add it")
    expected = mistake["msg"].removeprefix("Value error, ")
    expected = expected[:1].lower() + expected[1:]
    raise ConfigError(f"{dotted or model.__name__}: {expected}, got {mistake['input']!r}", path=path)


def _nearest(key: str, model: type[BaseModel]) -> str:
    known = sorted(_every_key(model))
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known keys are {', '.join(sorted(model.model_fields))}"


def _every_key(model: type[BaseModel]) -> set[str]:
    keys = set(model.model_fields)
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys |= _every_key(field.annotation)
    return keys
