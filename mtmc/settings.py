"""Strict settings: the base of every configuration, and reading it from YAML with the line of each mistake.

There is one copy of this in the repository, :mod:`reid.settings`; the rest of ``mtmc`` imports it from here.
"""

from __future__ import annotations

from reid.settings import Location, Settings, YamlFile, override, parse_settings, parse_value, read_yaml

__all__ = ["Location", "Settings", "YamlFile", "override", "parse_settings", "parse_value", "read_yaml"]
