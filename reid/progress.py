"""Progress of long work: a bar on a terminal, a line of the log every half minute elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from time import perf_counter
from typing import TypeVar

from tqdm import tqdm

__all__ = ["REPORT_EVERY_S", "progress"]

_LOG = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds between two lines of the log about the same work.
REPORT_EVERY_S = 30.0


def progress(items: Collection[T], title: str, *, unit: str = "batch", shown: bool = True) -> Iterator[T]:
    """The items one after the other, and how many are done.

    Args:
        items: What is worked on.
        title: Of the work.
        unit: What one item is.
        shown: False in all but one of several processes.
    """
    reported = perf_counter()
    for done, item in enumerate(tqdm(items, title, unit=unit, disable=None if shown else True, leave=False)):
        yield item
        if shown and perf_counter() - reported >= REPORT_EVERY_S:
            reported = perf_counter()
            _LOG.info("%s: %s %d/%d", title, unit, done + 1, len(items))
