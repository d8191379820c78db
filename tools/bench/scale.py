"""Time, memory and accuracy of cross-camera association as tracklets grow, beside scipy's agglomeration.

    python -m tools.bench.scale                                     # 1k, 10k, 100k of a city; 20k of a road
    python -m tools.bench.scale --workload city --sizes 1000 --methods graph

CPU seconds of one pinned thread and peak memory beyond the workload, each in a process of its own, everything
included but making the workload. scipy gets average linkage over the full matrix of distances, those of impossible
pairs set high, and the best of several cuts; it is left out where the matrix does not fit (above 20,000). F1 is that
of pairs.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from mtmc.associate import METHODS, AssociateConfig
from mtmc.associate.gates import feasible_pairs
from mtmc.multiview.appearance import embeddings_of
from mtmc.settings import parse_settings
from mtmc.types import Array
from tools.bench.workload_cluster import Workload, city, pair_f1, road

__all__ = ["main", "measure"]

_WORKLOADS: dict[str, Callable[[int], Workload]] = {"city": city, "road": road}
_DEFAULT = (("city", (1_000, 10_000, 100_000)), ("road", (2_000, 20_000)))
_LARGEST_MATRIX = 20_000


def _agglomerate(work: Workload) -> Array:
    """scipy: the full matrix, average linkage, the best of several cuts (which none of the others is granted)."""
    from scipy.cluster.hierarchy import fcluster, linkage

    vectors = embeddings_of(work.passages, np.float32)
    allowed = np.zeros((len(vectors), len(vectors)), bool)
    a, b = feasible_pairs(work.passages, work.scene, AssociateConfig()).T
    allowed[a, b] = allowed[b, a] = True
    upper = np.triu_indices(len(vectors), 1)
    distance = 1.0 - (vectors @ vectors.T)[upper].astype(float)
    distance[~allowed[upper]] = 2.0
    del allowed, upper
    tree = linkage(distance, "average")
    cuts = [fcluster(tree, height, "distance") for height in (0.4, 0.5, 0.6, 0.7, 0.8)]
    return np.asarray(max(cuts, key=lambda labels: pair_f1(labels, work.vehicle)))


def _method(name: str) -> Callable[[Workload], Array]:
    return lambda work: METHODS[name](work.passages, work.scene, parse_settings(AssociateConfig, {"method": name}))


METHODS_ON_TRIAL: dict[str, Callable[[Workload], Array]] = {
    "graph": _method("graph"),
    "hierarchical": _method("hierarchical"),
    "scipy": _agglomerate,
}


def measure(workload: str, n: int, method: str) -> dict[str, float]:
    """CPU seconds, MB beyond the workload and pair-F1 of one method, in this process."""
    work = _WORKLOADS[workload](n)
    before = _peak_mb()
    start = time.process_time()
    labels = METHODS_ON_TRIAL[method](work)
    seconds = time.process_time() - start
    return {"seconds": seconds, "mb": _peak_mb() - before, "f1": pair_f1(labels, work.vehicle)}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _apart(workload: str, n: int, method: str) -> dict[str, float] | None:
    """:func:`measure` in a process of its own; None where that was not to be."""
    command = [sys.executable, "-m", "tools.bench.scale", "--one", workload, str(n), method]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr[-500:], file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and print one table for each workload."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=list(_WORKLOADS), help="one of them")
    parser.add_argument("--sizes", type=int, nargs="+", help="instead of the usual ones")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS_ON_TRIAL), default=list(METHODS_ON_TRIAL))
    parser.add_argument("--one", nargs=3, metavar=("WORKLOAD", "N", "METHOD"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one[0], int(args.one[1]), args.one[2])))
        return
    for workload, usual in _DEFAULT:
        if args.workload in (None, workload):
            _table(workload, args.sizes or usual, args.methods)


def _table(workload: str, sizes: tuple[int, ...] | list[int], methods: list[str]) -> None:
    print(f"{workload:14}{'tracklets':>10}{'CPU s':>9}{'MB':>8}{'pair-F1':>9}{'exponent':>10}")
    for method in methods:
        known: list[tuple[int, float]] = []
        for n in sizes:
            found = None if method == "scipy" and n > _LARGEST_MATRIX else _apart(workload, n, method)
            if found is None:
                print(f"{method:14}{n:10}{'–':>9}", flush=True)
                continue
            known.append((n, found["seconds"]))
            grown = [np.log(t / s) / np.log(b / a) for (a, s), (b, t) in pairwise(known)][-1:]
            tail = "".join(f"{value:10.2f}" for value in grown)
            print(f"{method:14}{n:10}{found['seconds']:9.2f}{found['mb']:8.0f}{found['f1']:9.3f}{tail}", flush=True)


if __name__ == "__main__":
    main()
