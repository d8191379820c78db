"""Strict settings: the base of every configuration, and reading it from YAML with the line of each mistake.

There is one copy of this in the repository, :mod:`reid.settings`; the rest of ``mtmc`` imports it from here.
"""

from __future__ import annotations

from reid.settings import (
    AnyOf,
    Condition,
    Location,
    Settings,
    UsedWhen,
    YamlFile,
    override,
    parse_settings,
    parse_value,
    read_yaml,
    settings_without_effect,
    value_at,
)

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
