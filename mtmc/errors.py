"""Everything that can go wrong, as sentences: one tree for ``mtmc`` and ``reid``.

::

    MtmcError                what the command line prints without a traceback, exit code 2
    ├── ConfigError          a choice of the run: unknown key, impossible value
    ├── DataError            a data set or file that is missing, incomplete or malformed
    │   └── FormatError      a text or table file: wrong columns, a malformed row
    ├── SceneError           a fact of the scene: missing camera, bad calibration, bad clock
    ├── VideoError           a video that is missing, empty, truncated, of the wrong size
    ├── WeightsError         a model file that is missing, unreadable or gives nonsense
    └── MissingDependency    an optional package that is not installed

The root and its kinds that both packages need are those of :mod:`reid.errors`, so that what ``reid`` raises needs no
translation; the others are defined here. A message names the file (and line), what was expected, what came and the
remedy: ``gt.txt:12: expected 9 comma-separated numbers, got 7; …``.
"""

from __future__ import annotations

from reid.errors import ConfigError, DataError, MissingDependency, WeightsError
from reid.errors import ReidError as MtmcError

__all__ = [
    "ConfigError",
    "DataError",
    "FormatError",
    "MissingDependency",
    "MtmcError",
    "SceneError",
    "VideoError",
    "WeightsError",
]


class SceneError(MtmcError):
    """A fact about the scene is missing or contradicts another."""


class FormatError(DataError):
    """A text or table file is not in the format it should be in."""


class VideoError(MtmcError):
    """A video is missing, empty, truncated, undecodable or of the wrong size."""
