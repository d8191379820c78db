"""Cameras on this machine: one after the other, or shared among worker processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from mtmc.errors import MtmcError
from mtmc.progress import share_terminal
from mtmc.threads import own_threads

__all__ = ["map_cameras"]

S = TypeVar("S")
T = TypeVar("T")


def map_cameras(
    fn: Callable[[S], T],
    cameras: Sequence[S],
    *,
    workers: int = 1,
    threads: int = 1,
    remedy: str = "run again with fewer --workers; finished stages are kept",
) -> list[T]:
    """``[fn(camera) for camera in cameras]``, in ``workers`` processes.

    Every process takes the next camera when it is done with one, and keeps its models between them.

    Args:
        fn: Picklable; its results too.
        cameras: What to work on; picklable.
        workers: Processes. With one, all is done in this process.
        threads: Threads each of them may use.
        remedy: What to do when a worker process has died.

    Raises:
        MtmcError: A worker process died. What ``fn`` raises is raised here.
    """
    if workers == 1 or len(cameras) < 2:
        own_threads(threads)
        return [fn(camera) for camera in cameras]
    context = multiprocessing.get_context("spawn")
    own_threads(threads)  # inherited by the workers through the environment, before they import NumPy
    with ProcessPoolExecutor(
        max_workers=min(workers, len(cameras)),
        mp_context=context,
        initializer=_start_worker,
        initargs=(threads, workers, context.RLock()),
    ) as pool:
        futures = [pool.submit(fn, camera) for camera in cameras]
        try:
            for future in as_completed(futures):
                future.result()
            return [future.result() for future in futures]
        except BrokenProcessPool:
            raise MtmcError(
                "a worker process died, most often because memory ran out",
                remedy=remedy,
            ) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _start_worker(threads: int, workers: int, lock: Any) -> None:
    own_threads(threads)
    share_terminal(workers, lock)
