"""Threads are owned: every process says how many it uses, and no library opens a pool of its own.

Unpinned pools cost many times their gain when several processes share a machine.
"""

from __future__ import annotations

import os
import sys

__all__ = ["own_threads", "share_cores"]

_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def own_threads(threads: int) -> None:
    """Limit this process, and those it starts, to a number of threads.

    BLAS reads its limit when NumPy is first imported, so call this before; OpenCV and torch are told directly if they
    are loaded already.
    """
    for variable in _VARIABLES:
        os.environ[variable] = str(threads)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def share_cores(workers: int) -> int:
    """Threads for each of ``workers`` processes so that together they fill the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // workers)
