"""Progress bars: one line per worker, gone when done, silent where nobody watches."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

__all__ = ["Progress", "progress_bar"]

#: Called with (done, total); total is None while unknown.
Progress = Callable[[int, int | None], None]


@contextmanager
def progress_bar(label: str, unit: str = "frame") -> Iterator[Progress]:
    """A bar on the terminal for a piece of work that reports how far it is."""
    # Workers of a process pool are numbered from 1; each keeps to its own line.
    identity = multiprocessing.current_process()._identity
    position = identity[0] - 1 if identity else 0
    with tqdm(desc=label, unit=unit, position=position, leave=False, disable=None, dynamic_ncols=True) as bar:

        def update(done: int, total: int | None) -> None:
            if total is not None:
                bar.total = total
            bar.update(done - bar.n)

        yield update
