"""Naming cameras: numbers, ranges, names and the scenarios of CityFlow."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mtmc.errors import ConfigError

__all__ = ["SCENARIOS", "parse_cameras"]

#: Camera numbers of each scenario of CityFlow.
SCENARIOS: dict[str, tuple[int, ...]] = {
    "S01": tuple(range(1, 6)),
    "S02": tuple(range(6, 10)),
    "S03": tuple(range(10, 16)),
    "S04": tuple(range(16, 41)),
    "S05": (10, *range(16, 30), *range(33, 37)),
    "S06": tuple(range(41, 47)),
}

_RANGE = re.compile(r"c?([0-9]{1,9})(?:-c?([0-9]{1,9}))?")


def parse_cameras(text: str, names: Mapping[int, str] | None = None) -> tuple[int, ...]:
    """Camera numbers in ascending order, each once, from a list such as ``1-5``, ``S01`` or ``c001,north``.

    Args:
        text: The list, separated by commas.
        names: The cameras' own names by number, which may stand in the list, too.

    Raises:
        ConfigError: A part of the list is none of these.

    >>> parse_cameras("S02, c001-c003, 2")
    (1, 2, 3, 6, 7, 8, 9)
    """
    number_of = {name: number for number, name in (names or {}).items()}
    numbers: set[int] = set()
    for part in (part.strip() for part in text.split(",")):
        span = _RANGE.fullmatch(part)
        if part in number_of:
            numbers.add(number_of[part])
        elif part.upper() in SCENARIOS:
            numbers.update(SCENARIOS[part.upper()])
        elif span and int(span[1]) <= int(span[2] or span[1]) <= int(span[1]) + 10_000:
            numbers.update(range(int(span[1]), int(span[2] or span[1]) + 1))
        else:
            remedy = "list them as 1-5, c001,c002, by their names or as a scenario from S01 to S06"
            raise ConfigError(f"expected cameras, got '{part}'", remedy=remedy)
    return tuple(sorted(numbers))
