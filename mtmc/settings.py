"""Strict settings: the base of every configuration, and reading it from YAML with the line of each mistake."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mtmc.errors import ConfigError, MtmcError

__all__ = ["Settings", "YamlFile", "parse_settings", "read_yaml"]

Location = tuple[int | str, ...]
Model = TypeVar("Model", bound="Settings")


class Settings(BaseModel):
    """A frozen group of choices. An unknown key or a value of the wrong type is an error.

    Each stage declares its own subclass beside the code that reads it; :mod:`mtmc.config` composes them.

    Attributes:
        renamed: Keys of earlier versions, and what the error says of each: the key that it became, relative to the
            same group, or a sentence.
    """

    renamed: ClassVar[Mapping[str, str]] = {}

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class YamlFile:
    """A parsed YAML file that remembers the line each key stands on.

    Attributes:
        path: Where it was read from.
        data: The mapping it holds.
    """

    def __init__(self, path: Path, data: dict[str, Any], lines: Mapping[Location, int]) -> None:
        self.path, self.data, self._lines = path, data, lines

    def line(self, location: Location) -> int | None:
        """The line (from 1) of a key, or of the nearest enclosing one."""
        while location:
            if location in self._lines:
                return self._lines[location]
            location = location[:-1]
        return None


def read_yaml(path: Path, error: type[MtmcError] = ConfigError) -> YamlFile:
    """Read a YAML file whose top level is a mapping (an empty file is an empty mapping).

    Raises:
        MtmcError: Of kind ``error``: the file cannot be read, is not YAML, or holds something else than a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as cause:
        reason = getattr(cause, "strerror", None) or "it is not UTF-8 text"
        raise error(f"cannot be read: {reason}", path=path, remedy="give a YAML file") from cause
    except yaml.YAMLError as cause:
        mark = getattr(cause, "problem_mark", None)
        problem = getattr(cause, "problem", None) or "it is not YAML"
        line = None if mark is None else mark.line + 1
        raise error(f"expected YAML: {problem}", path=path, line=line, remedy="mend that line") from cause
    if data is None:
        return YamlFile(path, {}, {})
    if not isinstance(data, dict):
        came = type(data).__name__
        raise error(f"expected 'key: value' lines at the top level, got a {came}", path=path, line=1)
    return YamlFile(path, data, dict(_key_lines(node, ())))


def _key_lines(node: Any, location: Location) -> list[tuple[Location, int]]:
    lines: list[tuple[Location, int]] = []
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*location, key.value)
            lines += [(inner, key.start_mark.line + 1), *_key_lines(value, inner)]
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            inner = (*location, index)
            lines += [(inner, value.start_mark.line + 1), *_key_lines(value, inner)]
    return lines


def parse_settings(
    model: type[Model],
    data: Mapping[str, Any],
    *,
    file: YamlFile | None = None,
    prefix: Location = (),
    error: type[MtmcError] = ConfigError,
) -> Model:
    """Validate ``data`` as ``model``; the first mistake becomes one sentence.

    Args:
        model: The settings class.
        data: Its values, nested mappings.
        file: Where they came from, for the file and line of the message.
        prefix: Where in that file ``data`` stands.
        error: Kind of error to raise.

    Raises:
        MtmcError: Of kind ``error``: an unknown key (the nearest known one is named) or an impossible value.
    """
    try:
        return model.model_validate(data)
    except ValidationError as failure:
        mistake = failure.errors()[0]
        location: Location = tuple(mistake["loc"])
        path = None if file is None else file.path
        line = None if file is None else file.line((*prefix, *location))
        message, remedy = _explain(model, location, mistake)
        raise error(message, path=path, line=line, remedy=remedy) from None


def _explain(model: type[Settings], location: Location, mistake: Any) -> tuple[str, str]:
    dotted = ".".join(str(part) for part in location)
    if mistake["type"] == "extra_forbidden":
        owner = _settings_at(model, location[:-1])
        key = str(location[-1])
        if owner is not None and key in owner.renamed:
            return f"unknown key {dotted}", _renamed(location[:-1], owner.renamed[key])
        known = [] if owner is None else sorted(owner.model_fields)
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        remedy = f"did you mean {near[0]}?" if near else f"known keys are {', '.join(known)}"
        return f"unknown key {dotted}", remedy
    if mistake["type"] == "missing":
        return f"expected a key {dotted}, got none", f"add {location[-1]}"
    expected = mistake["msg"].removeprefix("Value error, ")
    expected = expected[:1].lower() + expected[1:]
    return f"{dotted or model.__name__}: {expected}, got {mistake['input']!r}", "change that value"


def _renamed(group: Location, key: str) -> str:
    """The remedy for a key of an earlier version: its new name, relative to its group, or a sentence."""
    if " " in key:
        return key
    return "it is now called " + ".".join(str(part) for part in (*group, key))


def _settings_at(model: type[Settings], location: Location) -> type[Settings] | None:
    """The settings class that ``location`` leads to."""
    found: type[Settings] | None = model
    for part in location:
        if isinstance(part, int) or found is None:
            continue
        field = found.model_fields.get(part)
        found = None if field is None else _settings_in(field.annotation)
    return found


def _settings_in(annotation: Any) -> type[Settings] | None:
    """The settings class inside ``Settings``, ``Settings | None`` or ``list[Settings]``."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _settings_in(arg))), None)
