"""Data sets by name, augmentation and sampling.

Each data set is one module with a function from a folder to a :class:`~reid.data.records.DatasetSplit`; its docstring
shows the layout it reads, its constants hold the published counts it checks.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from reid.data import cityflow, cuhk03, folder, market, synthcity, vehicleid, veri, veriwild, viper
from reid.data.records import DatasetSplit, Record, Track
from reid.errors import ConfigError

__all__ = ["DATASETS", "DatasetSplit", "Record", "Track", "load_dataset"]

#: ``DATASETS[name](root, **options)``; every loader takes ``check_counts``, its other options are its own.
DATASETS: dict[str, Callable[..., DatasetSplit]] = {
    "veri776": veri.load,
    "vehicleid": vehicleid.load,
    "veriwild": veriwild.load,
    "cityflow": cityflow.load,
    "market1501": market.load_market,
    "dukemtmc": market.load_duke,
    "cuhk03": cuhk03.load,
    "viper": viper.load,
    "folder": folder.load,
    "synthcity": synthcity.load,
}


def load_dataset(name: str, root: Path, **options: Any) -> DatasetSplit:
    """Read a data set by name.

    Args:
        name: Key of :data:`DATASETS`.
        root: Its folder.
        options: What its loader takes, for example ``size=1600`` of ``vehicleid`` or ``check_counts=False``.

    Raises:
        ConfigError: There is no such data set, or it has no such option.
        DataError: The folder is not as it should be.
    """
    _known(name, list(DATASETS), "a data set")
    load = DATASETS[name]
    signature = inspect.signature(load, eval_str=True)
    for option in options:
        _known(option, list(signature.parameters)[1:], f"an option of {name}")
    typed = {
        option: _typed(option, value, signature.parameters[option].annotation) for option, value in options.items()
    }
    return load(root, **typed)


def _typed(option: str, value: Any, annotation: Any) -> Any:
    """The value of an option in the type that the loader takes."""
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError as cause:
        expected = cause.errors()[0]["msg"]
        raise ConfigError(f"{option}: {expected[:1].lower()}{expected[1:]}, got {value!r}") from None


def _known(word: str, words: list[str], what: str) -> None:
    if word not in words:
        near = difflib.get_close_matches(word, words, 1)
        remedy = f"did you mean {near[0]}?" if near else ""
        raise ConfigError(f"expected {what} ({', '.join(words)}), got {word}", remedy=remedy)
