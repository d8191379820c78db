"""Everything that can go wrong in training and running an embedder, as sentences.

::

    ReidError                what the command line prints without a traceback, exit code 2
    ├── ConfigError          a choice: unknown key, impossible value, something this machine cannot do
    ├── DataError            a dataset that is missing, incomplete or malformed
    ├── WeightsError         a model file that is missing, unreadable or gives nonsense
    └── MissingDependency    an optional package that is not installed
"""

from __future__ import annotations

import os

__all__ = ["ConfigError", "DataError", "MissingDependency", "ReidError", "WeightsError"]


class ReidError(Exception):
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
        self.message, self.path, self.line, self.remedy = message, path, line, remedy

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments would be lost when a worker process sends the error home.
        return _rebuild, (type(self), self.message, self.path, self.line, self.remedy)


def _rebuild(
    kind: type[ReidError], message: str, path: str | os.PathLike[str] | None, line: int | None, remedy: str
) -> ReidError:
    return kind(message, path=path, line=line, remedy=remedy)


class ConfigError(ReidError):
    """A choice is unknown, impossible, or not possible on this machine."""


class DataError(ReidError):
    """A dataset is missing, incomplete or malformed."""


class WeightsError(ReidError):
    """A model file is missing, unreadable, of the wrong kind, or gives nonsense."""


class MissingDependency(ReidError):
    """An optional package is not installed."""

    @classmethod
    def of(cls, package: str, extra: str, purpose: str) -> MissingDependency:
        """The error for a missing optional package, with the one command that installs it."""
        return cls(f"{purpose} needs the package {package}", remedy=f"pip install 'mtmc[{extra}]'")
