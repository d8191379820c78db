"""Cameras as tasks on a Ray cluster: an existing one, or a local one started for the run.

Every node must see the videos, the weights and the output folder under the same paths.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mtmc.errors import MissingDependency, MtmcError
from mtmc.scene import Camera
from mtmc.threads import own_threads

__all__ = ["map_cameras"]

T = TypeVar("T")

_RETRIES = 2  # of a task whose worker or node died; errors of the task itself are raised at once


def map_cameras(
    fn: Callable[[Camera], T], cameras: Sequence[Camera], *, workers: int = 1, threads: int = 1
) -> list[T]:
    """``[fn(camera) for camera in cameras]``, each camera a Ray task of ``threads`` CPUs.

    Joins the cluster that ``RAY_ADDRESS`` names or that is running on this machine; else starts a local one of
    ``workers`` × ``threads`` CPUs and stops it at the end.

    Raises:
        MissingDependency: Ray is not installed.
        MtmcError: The cluster cannot be reached, or a task's worker died more often than it is tried again. What
            ``fn`` raises is raised here.
    """
    try:
        import ray
    except ImportError:
        raise MissingDependency.of("ray", "ray", "--runner ray") from None
    own_threads(threads)
    started = _connect(ray, workers * threads)

    def run(camera: Camera) -> T:
        own_threads(threads)
        return fn(camera)

    try:
        task = ray.remote(num_cpus=threads, max_retries=_RETRIES)(run)
        return list(ray.get([task.remote(camera) for camera in cameras]))
    except ray.exceptions.RayTaskError as failure:
        raise (failure.cause if isinstance(failure.cause, Exception) else failure) from None
    except ray.exceptions.RayError as failure:
        raise MtmcError(
            f"a Ray task was lost {_RETRIES + 1} times ({type(failure).__name__})",
            remedy="look at the cluster's memory and logs, then run again; finished stages are kept",
        ) from failure
    finally:
        if started:
            ray.shutdown()


def _connect(ray: Any, cpus: int) -> bool:
    """Make sure of a cluster; True if this call started it."""
    if ray.is_initialized():
        return False
    quiet = {"log_to_driver": False, "configure_logging": True, "logging_level": "ERROR"}
    if os.environ.get("RAY_ADDRESS"):
        try:
            ray.init(**quiet)
        except ConnectionError as failure:
            raise MtmcError(
                f"expected a Ray cluster at RAY_ADDRESS={os.environ['RAY_ADDRESS']}, reached none",
                remedy="start that cluster or correct the address; without RAY_ADDRESS a local one is started",
            ) from failure
        return True
    try:
        ray.init(address="auto", **quiet)
    except ConnectionError:
        ray.init(num_cpus=cpus, include_dashboard=False, **quiet)
    return True
