"""Everything that can go wrong, as sentences.

::

    MtmcError                what the command line prints without a traceback, exit code 2
    ├── ConfigError          a choice of the run: unknown key, impossible value
    ├── SceneError           a fact of the place: missing camera, bad calibration, bad clock
    ├── FormatError          a text or table file: wrong columns, a malformed row
    ├── VideoError           a video that is missing, empty, truncated, of the wrong size
    ├── WeightsError         a model file that is missing, unreadable or gives nonsense
    └── MissingDependency    an optional package that is not installed

A message names the file (and line), what was expected, what came and the remedy:
``gt.txt:12: expected 9 comma-separated numbers, got 7; …``.
"""

from __future__ import annotations

import os

__all__ = [
    "ConfigError",
    "FormatError",
    "MissingDependency",
    "MtmcError",
    "SceneError",
    "VideoError",
    "WeightsError",
]


class MtmcError(Exception):
    """An error a user can act on.

    Args:
        message: What was expected and what came, as one clause without a full stop.
        path: The file it happened in, if any.
        line: Line in that file, counted from 1.
        remedy: What to do about it, as one clause.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | os.PathLike[str] | None = None,
        line: int | None = None,
        remedy: str = "",
    ) -> None:
        where = "" if path is None else os.fspath(path) + ("" if line is None else f":{line}") + ": "
        super().__init__(where + message + (f"; {remedy}" if remedy else ""))
        self.path, self.line, self.remedy = path, line, remedy

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments would be lost when a worker process sends the error home.
        return _rebuild, (type(self), str(self), self.path, self.line, self.remedy)


def _rebuild(kind: type[MtmcError], text: str, path: str | None, line: int | None, remedy: str) -> MtmcError:
    error = kind(text)
    error.path, error.line, error.remedy = path, line, remedy
    return error


class ConfigError(MtmcError):
    """A choice of the run is unknown or impossible."""


class SceneError(MtmcError):
    """A fact about the place is missing or contradicts another."""


class FormatError(MtmcError):
    """A text or table file is not in the format it should be in."""


class VideoError(MtmcError):
    """A video is missing, empty, truncated, undecodable or of the wrong size."""


class WeightsError(MtmcError):
    """A model file is missing, unreadable, of the wrong kind, or gives nonsense."""


class MissingDependency(MtmcError):
    """An optional package is not installed."""

    @classmethod
    def of(cls, package: str, extra: str, purpose: str) -> MissingDependency:
        """The error for a missing optional package, with the one command that installs it."""
        return cls(f"{purpose} needs the package {package}", remedy=f"pip install 'mtmc[{extra}]'")
