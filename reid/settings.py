"""Strict settings: the base of every configuration, and reading one from YAML with the line of each mistake."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from reid.errors import ConfigError, ReidError

__all__ = [
    "AnyOf",
    "Condition",
    "Location",
    "Settings",
    "UsedWhen",
    "YamlFile",
    "override",
    "parse_settings",
    "parse_value",
    "read_yaml",
    "settings_without_effect",
    "value_at",
]

#: Where a value stands in nested mappings and lists: ``("cameras", 0, "fps")``.
Location = tuple[int | str, ...]
Model = TypeVar("Model", bound="Settings")


@dataclass(frozen=True, slots=True, init=False)
class UsedWhen:
    """A setting has an effect only where another setting has one of some values, or exceeds a limit.

    Attributes:
        key: The other setting, dotted, from the whole configuration.
        relation: ``=`` (one of the values), ``≠`` (none of them) or ``>`` (greater than the value).
        values: What it is compared with; a text with a dot stands for the value of that setting.

    >>> str(UsedWhen("associate.method", "=", "graph", "hierarchical"))
    'associate.method is graph or hierarchical'
    """

    key: str
    relation: Literal["=", "≠", ">"]
    values: tuple[Any, ...]

    def __init__(self, key: str, relation: Literal["=", "≠", ">"], *values: Any) -> None:
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "relation", relation)
        object.__setattr__(self, "values", values)

    def holds(self, config: BaseModel) -> bool:
        """Whether it holds in a whole configuration."""
        value = value_at(config, self.key)
        if self.relation == ">":
            limit = self.values[0]
            return bool(value > (value_at(config, limit) if isinstance(limit, str) else limit))
        return (value in self.values) == (self.relation == "=")

    def found(self, config: BaseModel) -> str:
        """The other setting with its value."""
        return f"{self.key}={_yaml(value_at(config, self.key))}"

    def __str__(self) -> str:
        verb = {"=": "is", "≠": "is not", ">": "is greater than"}[self.relation]
        return f"{self.key} {verb} {' or '.join(_yaml(value) for value in self.values)}"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A setting has an effect where at least one of several conditions holds."""

    conditions: tuple[UsedWhen, ...]

    def holds(self, config: BaseModel) -> bool:
        """Whether one of them holds in a whole configuration."""
        return any(condition.holds(config) for condition in self.conditions)

    def found(self, config: BaseModel) -> str:
        """The other settings with their values."""
        return ", ".join(condition.found(config) for condition in self.conditions)

    def __str__(self) -> str:
        return " or ".join(map(str, self.conditions))


#: One condition, or several that must all hold.
Condition = UsedWhen | AnyOf | tuple[UsedWhen | AnyOf, ...]


class Settings(BaseModel):
    """A frozen group of choices. An unknown key or a value of the wrong type is an error.

    Each part of a program declares its own subclass beside the code that reads it.

    Attributes:
        renamed: Keys of earlier versions, and what the error says of each: the key that it became, relative to the
            same group, or a sentence.
        used_when: Names of fields, single ones or groups, that have an effect only under a condition. A field that is
            not listed always has one. :func:`settings_without_effect` finds the given keys that have none.
    """

    renamed: ClassVar[Mapping[str, str]] = {}
    used_when: ClassVar[Mapping[str, Condition]] = {}

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class YamlFile:
    """A parsed YAML file that remembers where each value comes from.

    Attributes:
        path: Where it was read from.
        data: The mapping it holds.
    """

    def __init__(
        self,
        path: Path,
        data: dict[str, Any],
        lines: Mapping[Location, int],
        assignments: Mapping[Location, str] | None = None,
    ) -> None:
        self.path, self.data = path, data
        self._lines, self._assignments = lines, assignments or {}

    def line(self, location: Location) -> int | None:
        """The line (from 1) of a key, or of the nearest enclosing one."""
        while location:
            if location in self._lines:
                return self._lines[location]
            location = location[:-1]
        return None

    def assignment(self, location: Location) -> str | None:
        """The ``key=value`` text that set the value at ``location``, if one did."""
        for end in range(len(location), 0, -1):
            if location[:end] in self._assignments:
                return self._assignments[location[:end]]
        return None

    def override(self, assignments: Sequence[str]) -> YamlFile:
        """The same file after ``key.inner=value`` assignments.

        Raises:
            ConfigError: An assignment is malformed; see :func:`override`.
        """
        data = override(self.data, assignments)
        assigned: dict[Location, str] = {
            tuple(_position_or_key(part) for part in text.partition("=")[0].strip().split(".")): text
            for text in assignments
        }
        return YamlFile(self.path, data, self._lines, {**self._assignments, **assigned})


def read_yaml(path: Path, error: type[ReidError] = ConfigError) -> YamlFile:
    """Read a YAML file whose top level is a mapping (an empty file is an empty mapping).

    Raises:
        ReidError: Of kind ``error``: the file cannot be read, is not YAML, or holds something else than a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = dict(_key_lines(node, ()))
        data = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as cause:
        reason = getattr(cause, "strerror", None) or "it is not UTF-8 text"
        raise error(f"cannot be read: {reason}", path=path, remedy="give a YAML file") from cause
    except RecursionError:
        remedy = "write it out, without an alias of what it lies in"
        raise error(
            "expected YAML of finite depth, got values nested without end", path=path, remedy=remedy
        ) from None
    except yaml.YAMLError as cause:
        mark = getattr(cause, "problem_mark", None)
        problem = getattr(cause, "problem", None) or "it is not YAML"
        line = None if mark is None else mark.line + 1
        raise error(f"expected YAML: {problem}", path=path, line=line, remedy="mend that line") from cause
    except ValueError as cause:  # a date such as 2026-13-12
        raise error(f"expected YAML: {cause}", path=path, remedy="correct that value, or put it in quotes") from cause
    if data is None:
        return YamlFile(path, {}, {})
    if not isinstance(data, dict):
        came = type(data).__name__
        raise error(f"expected 'key: value' lines at the top level, got a {came}", path=path, line=1)
    return YamlFile(path, data, lines)


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


def override(data: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """A copy of nested ``data`` with ``key.inner=value`` assignments applied; values are read as YAML.

    A part of the key that leads into a list is a position, counted from 0: ``data.1.root=/veri``.

    Example:
        >>> override({"data": {"name": "veri776"}}, ["data.root=/veri", "seed=1"])
        {'data': {'name': 'veri776', 'root': '/veri'}, 'seed': 1}

    Raises:
        ConfigError: An assignment has no ``=``, or leads through something that is not a mapping.
    """
    result: dict[str, Any] = _copied(data)
    for text in assignments:
        dotted, equals, value = text.partition("=")
        *groups, last = dotted.strip().split(".")
        if not equals or not all((*groups, last)):
            raise ConfigError(f"-o {text}: expected dotted.key=value", remedy="for example -o seed=1")
        group: Any = result
        for key in groups:
            if isinstance(group, dict) and group.get(key) is None:
                group[key] = {}
            group = group[_key_in(group, key, text)]
            if not isinstance(group, (dict, list)):
                raise ConfigError(f"-o {text}: {key} holds a value, not a group of keys")
        group[_key_in(group, last, text)] = parse_value(value)
    return result


def parse_value(text: str) -> Any:
    """The value of an assignment, read as YAML; text that is not YAML stays as it is.

    Example:
        >>> [parse_value(text) for text in ("1", "[1, 2]", "null", "a: b: c", "")]
        [1, [1, 2], None, 'a: b: c', '']
    """
    try:
        return yaml.safe_load(text) if text.strip() else ""
    except (yaml.YAMLError, ValueError):  # the latter for a date that does not exist
        return text


def _key_in(group: dict[str, Any] | list[Any], key: str, text: str) -> Any:
    """The key as the group takes it: a position of a list, or the key itself."""
    if isinstance(group, dict):
        return key
    if not key.isdecimal() or int(key) >= len(group):
        raise ConfigError(f"-o {text}: expected a position from 0 to {len(group) - 1}, got {key}")
    return int(key)


def _position_or_key(part: str) -> int | str:
    return int(part) if part.isdecimal() else part


def _copied(value: Any) -> Any:
    """A copy of nested mappings and lists."""
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def parse_settings(
    model: type[Model],
    data: Mapping[str, Any],
    *,
    file: YamlFile | None = None,
    prefix: Location = (),
    group: str = "",
    error: type[ReidError] = ConfigError,
) -> Model:
    """Validate ``data`` as ``model``; the first mistake becomes one sentence.

    Args:
        model: The settings class.
        data: Its values, nested mappings.
        file: Where they came from, for the file and line of the message.
        prefix: Where in that file ``data`` stands.
        group: Name of ``data`` itself, put before the keys that the message names.
        error: Kind of error to raise.

    Raises:
        ReidError: Of kind ``error``: an unknown key (the nearest known one is named) or an impossible value.
    """
    try:
        return model.model_validate(data)
    except ValidationError as failure:
        mistakes = failure.errors()
    # A misspelt key also leaves its right name missing, so it is the mistake to name.
    mistake = next((m for m in mistakes if m["type"] == "extra_forbidden"), mistakes[0])
    location: Location = tuple(mistake["loc"])
    message, remedy = _explain(model, location, mistake, group)
    if file is None:
        raise error(message, remedy=remedy)
    assignment = file.assignment((*prefix, *location))
    if assignment is not None:
        raise error(f"-o {assignment}: {message}", remedy=remedy)
    raise error(message, path=file.path, line=file.line((*prefix, *location)), remedy=remedy)


def _explain(model: type[Settings], location: Location, mistake: Any, group: str) -> tuple[str, str]:
    """What was expected and what came, and the remedy."""
    dotted = ".".join(str(part) for part in ((group, *location) if group else location))
    if mistake["type"] == "extra_forbidden":
        return f"unknown key {dotted}", _new_name(model, location) or _nearest_key(model, location)
    if mistake["type"] == "missing":
        return f"expected a key {dotted}, got none", f"add {location[-1]}"
    expected = mistake["msg"].removeprefix("Value error, ")
    expected = expected[:1].lower() + expected[1:]
    came = mistake["input"]
    if mistake["type"] == "value_error" and not location:  # about several keys, which the sentence names
        return f"{dotted}: {expected}" if dotted else expected, ""
    shown = str(came) if isinstance(came, date) else repr(came)
    return f"{dotted or model.__name__}: {expected}, got {shown}", "change that value"


def _new_name(model: type[Settings], location: Location) -> str:
    """The remedy for a key of an earlier version: its new name or a sentence; empty for other keys."""
    owner = _settings_at(model, location[:-1])
    key = None if owner is None else owner.renamed.get(str(location[-1]))
    if key is None or " " in key:
        return key or ""
    return "it is now called " + ".".join(str(part) for part in (*location[:-1], key))


def _nearest_key(model: type[Settings], location: Location) -> str:
    """A remedy that names the known key most like an unknown one, in its own group or else in an inner one."""
    owner = _settings_at(model, location[:-1])
    unknown, known = str(location[-1]), [] if owner is None else sorted(owner.model_fields)
    near = difflib.get_close_matches(unknown, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]}?"
    inner = _inner_keys(model)
    if unknown in inner:
        return f"did you mean {inner[unknown]}?"
    return f"known keys are {', '.join(known)}"


def _inner_keys(model: type[Settings]) -> dict[str, str]:
    """Name → dotted name of the keys of all groups inside ``model``; of equal names the outermost."""
    keys: dict[str, str] = {}
    for name, field in model.model_fields.items():
        group = _settings_in(field.annotation)
        if group is None:
            continue
        own = {key: f"{name}.{key}" for key in group.model_fields}
        deeper = {key: f"{name}.{dotted}" for key, dotted in _inner_keys(group).items()}
        keys = deeper | own | keys
    return keys


def settings_without_effect(config: Settings, given: Mapping[str, Any]) -> list[str]:
    """A sentence for each given key that changes nothing under a configuration, in the order given.

    Args:
        config: The whole configuration, with all defaults filled in.
        given: The keys that were set and their values, nested like the configuration.
    """
    return [sentence for key in _leaves(given) if (sentence := _without_effect(config, key))]


def _without_effect(config: Settings, key: tuple[str, ...]) -> str:
    """Why a key has no effect, or nothing: the conditions of its groups come before its own."""
    owner: Settings = config
    for name in key:
        condition = owner.used_when.get(name, ())
        for needed in condition if isinstance(condition, tuple) else (condition,):
            if not needed.holds(config):
                return f"{'.'.join(key)} has no effect with {needed.found(config)}; it is used where {needed}"
        owner = getattr(owner, name)
    return ""


def value_at(config: BaseModel, key: str) -> Any:
    """The value of a dotted key."""
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _leaves(given: Mapping[str, Any], group: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of the innermost keys."""
    for name, value in given.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*group, name))
        else:
            yield (*group, name)


def _yaml(value: Any) -> str:
    """A value as it is written in a configuration.

    >>> _yaml(True), _yaml(None), _yaml("graph")
    ('true', 'null', 'graph')
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


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
