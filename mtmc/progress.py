"""Progress bars: one line per worker, gone when done, and none where there is no terminal or ``--quiet`` is given."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from mtmc.log import configure_worker

__all__ = ["Progress", "progress_bar", "share_terminal"]

#: Called with (done, total); total is None while unknown.
Progress = Callable[[int, int | None], None]

_line = 0


def share_terminal(workers: int, lock: Any) -> None:
    """Give this worker process a line of its own on the terminal, and the lock under which all of them draw.

    Its log messages follow the settings of the process that started it.
    """
    global _line
    configure_worker()
    _line = (multiprocessing.current_process()._identity[0] - 1) % workers
    tqdm.set_lock(lock)


@contextmanager
def progress_bar(label: str, unit: str = "frame") -> Iterator[Progress]:
    """A bar on the terminal for a piece of work that reports how far it is."""
    # None leaves it to tqdm, which draws on a terminal only.
    disable = True if logging.getLogger("mtmc").getEffectiveLevel() >= logging.ERROR else None
    with tqdm(desc=label, unit=unit, position=_line, leave=False, disable=disable, dynamic_ncols=True) as bar:

        def update(done: int, total: int | None) -> None:
            if total is not None:
                bar.total = total
            bar.update(done - bar.n)

        yield update
