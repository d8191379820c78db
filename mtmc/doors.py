"""The door between ``reid`` and ``mtmc``: its errors come in as ours, word for word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mtmc.errors import ConfigError, FormatError, MissingDependency, MtmcError, WeightsError
from reid import errors as reid_side

__all__ = ["reid_errors"]

_OURS: dict[type[reid_side.ReidError], type[MtmcError]] = {
    reid_side.ConfigError: ConfigError,
    reid_side.DataError: FormatError,
    reid_side.MissingDependency: MissingDependency,
    reid_side.WeightsError: WeightsError,
}


@contextmanager
def reid_errors() -> Iterator[None]:
    """Every :class:`reid.errors.ReidError` raised inside comes out as the :class:`MtmcError` of the same name."""
    try:
        yield
    except reid_side.ReidError as error:
        kind = _OURS.get(type(error), MtmcError)
        raise kind(error.message, path=error.path, line=error.line, remedy=error.remedy) from error
