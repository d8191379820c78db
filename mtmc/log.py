"""What a command says while it works: messages of the loggers ``mtmc`` and ``reid`` on the standard error stream.

Library modules log by ``logging.getLogger(__name__)`` and configure nothing. A command calls :func:`configure` once;
worker processes follow it through the environment. By default a terminal, where progress bars show what goes on, gets
warnings only; elsewhere the stages of a run are logged, too.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress

from reid.log import ToStderr

__all__ = ["configure", "configure_worker", "plural", "say"]

_LEVEL_VARIABLE = "MTMC_LOG_LEVEL"
_PACKAGES = ("mtmc", "reid")


def configure(*, verbose: bool = False, quiet: bool = False) -> None:
    """Print messages of the packages from now on, in this process and in its workers.

    Args:
        verbose: Say all there is to say, on a terminal too.
        quiet: Print errors only, and no progress bars.
    """
    usual = logging.WARNING if sys.stderr.isatty() else logging.INFO
    level = logging.DEBUG if verbose else logging.ERROR if quiet else usual
    os.environ[_LEVEL_VARIABLE] = str(level)
    _set_level(level)


def configure_worker() -> None:
    """Print messages as the process does that started this one; without such, leave everything as it is."""
    level = os.environ.get(_LEVEL_VARIABLE, "")
    if level.isdecimal():
        _set_level(int(level))


def _set_level(level: int) -> None:
    for package in _PACKAGES:
        logger = logging.getLogger(package)
        for handler in [h for h in logger.handlers if isinstance(h, ToStderr)]:
            logger.removeHandler(handler)
        handler = ToStderr()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
        logger.setLevel(level)


def plural(count: int, noun: str) -> str:
    """A number with its noun, which gets an s where it is not one.

    >>> plural(1, "camera"), plural(2, "camera")
    ('1 camera', '2 cameras')
    """
    return f"{count} {noun}" + ("" if count == 1 else "s")


def say(text: str) -> None:
    """Print the outcome of a command; once nothing reads it any longer (``mtmc run … | head -1``), discard it."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # What is left in the buffer would raise again when the process ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        with suppress(OSError, ValueError):
            os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
