"""Methods by name, one file each."""

from __future__ import annotations

from typing import NamedTuple

from reid.methods import baseline, sgfd, slsr, ssbver, ssml, val
from reid.methods.base import BaseConfig, BaseMethod

__all__ = ["METHODS", "Entry"]


class Entry(NamedTuple):
    """The two names that a method's file exports."""

    config: type[BaseConfig]
    method: type[BaseMethod]


METHODS: dict[str, Entry] = {
    "baseline": Entry(baseline.Config, baseline.Method),
    "ssml": Entry(ssml.Config, ssml.Method),
    "ssbver": Entry(ssbver.Config, ssbver.Method),
    "val": Entry(val.Config, val.Method),
    "sgfd": Entry(sgfd.Config, sgfd.Method),
    "slsr": Entry(slsr.Config, slsr.Method),
}
