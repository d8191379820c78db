"""What CMC/mAP and re-ranking cost: ours beside a plain sort, dense re-ranking, and rivals where they are installed.

    python -m tools.bench.reid_eval                     # VeRi size, and re-ranking of 2,000 and 10,000 features
    python -m tools.bench.reid_eval --evaluate wild --only ours
    python -m tools.bench.reid_eval --evaluate "" --rerank 5000
    python -m tools.bench.reid_eval --evaluate "" --rerank "" --measures veri     # what the other measures cost

Each contestant runs in a process of its own on one pinned thread. Time is CPU time, the best of some runs, distances
included; memory is what the process grew by beyond the features (Linux only). Equal values are the point: all print
the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reid.evaluation.bootstrap import DRAWS
from reid.evaluation.expansion import expanded
from reid.evaluation.ranks import similarity_blocks
from reid.evaluation.rerank import k_reciprocal
from reid.evaluation.retrieval import Embeddings, evaluate
from reid.evaluation.verification import verify
from tools.bench.workload_reid import SIZES, Size, make

Array = np.ndarray[Any, np.dtype[Any]]
Values = dict[str, float]
Contestant = Callable[[Embeddings, Embeddings], Values]


def ours(query: Embeddings, gallery: Embeddings) -> Values:
    """Ranks by counting."""
    found = evaluate(query, gallery)
    return {"mAP": found.map, "R1": found.r1, "mINP": found.minp}


def sorting(query: Embeddings, gallery: Embeddings) -> Values:
    """The textbook way, vectorised in blocks: sort each row of the distances, look up who is where."""
    precisions, first, penalties = [], [], []
    for start in range(0, len(query), 256):
        rows = slice(start, start + 256)
        order = np.argsort(-(query.features[rows] @ gallery.features.T), axis=1)
        same = gallery.vehicle_id[order] == query.vehicle_id[rows, None]
        junk = same & (gallery.camera_id[order] == query.camera_id[rows, None])
        for hits, left_out in zip(same, junk, strict=True):
            right = np.flatnonzero(hits[~left_out])
            if len(right):
                precisions.append(np.mean(np.arange(1, len(right) + 1) / (right + 1)))
                first.append(right[0] == 0)
                penalties.append(len(right) / (right[-1] + 1))
    return {"mAP": float(np.mean(precisions)), "R1": float(np.mean(first)), "mINP": float(np.mean(penalties))}


def torchreid(query: Embeddings, gallery: Embeddings) -> Values:
    """The rival's ``evaluate_rank`` on its usual squared distances."""
    from torchreid.reid.metrics.rank import evaluate_rank

    distances = 2 - 2 * query.features @ gallery.features.T
    cmc, mean_ap = evaluate_rank(
        distances, query.vehicle_id, gallery.vehicle_id, query.camera_id, gallery.camera_id, use_cython=True
    )
    return {"mAP": float(mean_ap), "R1": float(cmc[0])}


def oml(query: Embeddings, gallery: Embeddings) -> Values:
    """open-metric-learning's ``calc_retrieval_metrics`` on lists sorted by torch."""
    import torch
    from oml.functional.metrics import calc_retrieval_metrics

    retrieved, right = [], []
    offered = torch.from_numpy(gallery.features)
    for i in range(len(query)):
        order = torch.argsort(offered @ torch.from_numpy(query.features[i]), descending=True)
        same = gallery.vehicle_id == query.vehicle_id[i]
        junk = torch.from_numpy(same & (gallery.camera_id == query.camera_id[i]))
        retrieved.append(order[~junk[order]])
        right.append(torch.from_numpy(np.flatnonzero(same & ~junk.numpy())))
    every = (len(gallery),)
    found = calc_retrieval_metrics(
        retrieved, right, cmc_top_k=(1,), precision_top_k=(), map_top_k=every, verbose=False
    )
    return {"mAP": float(found["map"][every[0]]), "R1": float(found["cmc"][1])}


def intervals(query: Embeddings, gallery: Embeddings) -> Values:
    """Ranks by counting, and 2,000 samples of identities."""
    found = evaluate(query, gallery, bootstrap=DRAWS)
    low, high = found.map_interval or (np.nan, np.nan)
    return {"mAP": found.map, "low": low, "high": high}


def pairs(query: Embeddings, gallery: Embeddings) -> Values:
    """All pairs, by sorted blocks."""
    found = verify(
        lambda: similarity_blocks(query.features, gallery.features), query.labels, gallery.labels, camera_rule=True
    )
    return {"TAR at FAR 1e-4": found.true_accept_rate(1e-4) or np.nan}


def expansion(query: Embeddings, gallery: Embeddings) -> Values:
    """Queries expanded by five pictures."""
    found = evaluate(replace(query, features=expanded(query.features, gallery.features, 5)), gallery)
    return {"mAP": found.map, "R1": found.r1}


def rerank_ours(query: Embeddings, gallery: Embeddings) -> Values:
    """Sparse sets."""
    return _reranked(query, gallery, k_reciprocal(query.features, gallery.features))


def rerank_dense(query: Embeddings, gallery: Embeddings) -> Values:
    """The standard way: N × N matrices of distances, of ranks and of weights."""
    x = np.concatenate([query.features, gallery.features])
    distance = np.maximum(2 - 2 * x @ x.T, 0)
    scaled = distance / distance.max(axis=1, keepdims=True)
    del distance
    order = np.argsort(scaled, axis=1).astype(np.int32)
    weights = np.zeros_like(scaled)
    for i in range(len(x)):
        wide = _mutual(order, i, 20)
        members = [wide]
        for j in wide:
            narrow = _mutual(order, j, 10)
            if len(np.intersect1d(narrow, wide)) > 2 / 3 * len(narrow):
                members.append(narrow)
        known = np.unique(np.concatenate(members))
        weight = np.exp(-scaled[i, known])
        weights[i, known] = weight / weight.sum()
    weights = np.stack([weights[order[i, :6]].mean(axis=0) for i in range(len(x))])
    holders = [np.flatnonzero(column) for column in weights.T]
    result = scaled[: len(query)].copy()
    for i in range(len(query)):
        smaller = np.zeros(len(x), np.float32)
        for j in np.flatnonzero(weights[i]):
            smaller[holders[j]] += np.minimum(weights[i, j], weights[holders[j], j])
        result[i] = 0.7 * (1 - smaller / (2 - smaller)) + 0.3 * result[i]
    return _reranked(query, gallery, result[:, len(query) :])


def rerank_torchreid(query: Embeddings, gallery: Embeddings) -> Values:
    """The rival's numpy re-ranking, which squares the distances it is given."""
    from torchreid.reid.utils.rerank import re_ranking

    def between(a: Embeddings, b: Embeddings) -> Array:
        return np.sqrt(np.maximum(2 - 2 * a.features @ b.features.T, 0))

    return _reranked(
        query, gallery, re_ranking(between(query, gallery), between(query, query), between(gallery, gallery))
    )


def _mutual(order: Array, i: int, k: int) -> Array:
    near = order[i, : k + 1]
    return near[(order[near, : k + 1] == i).any(axis=1)]


def _reranked(query: Embeddings, gallery: Embeddings, distances: Array) -> Values:
    global _spent
    _spent = time.process_time()  # scoring the result is not part of the race
    found = evaluate(query, gallery, distances=distances)
    return {"mAP": found.map, "R1": found.r1, "mean distance": float(distances.mean(dtype=np.float64))}


_spent: float | None = None

EVALUATE: dict[str, Contestant] = {"ours": ours, "sorting": sorting, "oml": oml, "torchreid": torchreid}
MEASURES: dict[str, Contestant] = {"scores": ours, "intervals": intervals, "pairs": pairs, "expansion": expansion}
RERANK: dict[str, Contestant] = {"ours": rerank_ours, "dense": rerank_dense, "torchreid": rerank_torchreid}


def measure(task: str, name: str, size: Size, noise: float, seed: int, repeat: int) -> dict[str, Any]:
    """Run one contestant in this process."""
    global _spent
    contestant = {"evaluate": EVALUATE, "measures": MEASURES, "rerank": RERANK}[task][name]
    contestant(*make(Size(40, 200, 10, 4)))  # imports
    query, gallery = make(size, noise=noise, seed=seed)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of making the features
    before = _memory_kb("VmRSS")
    best, values = np.inf, {}
    for _ in range(repeat):
        _spent = None
        start = time.process_time()
        values = contestant(query, gallery)
        best = min(best, (_spent or time.process_time()) - start)
    return {"seconds": best, "MB": (_memory_kb("VmHWM") - before) / 1024, **values}


def _memory_kb(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0])


def race(task: str, names: list[str], size: Size, noise: float, seed: int, repeat: int) -> None:
    """Each contestant in a process of its own, one line each."""
    pinned = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    print(f"{task}: {size.queries:,} queries x {size.images:,} images, {size.identities:,} identities")
    for name in names:
        request = json.dumps(
            {"task": task, "name": name, "size": size, "noise": noise, "seed": seed, "repeat": repeat}
        )
        command = [sys.executable, "-m", "tools.bench.reid_eval", "--measure", request]
        done = subprocess.run(command, env=pinned, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"  {name:10s} {done.stderr.strip().splitlines()[-1]}")
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        values = ", ".join(f"{k} {v:.6f}" for k, v in found.items() if k not in ("seconds", "MB"))
        print(f"  {name:10s} {found['seconds']:8.3f} s {found['MB']:7.0f} MB  {values}")


def main() -> None:
    """Parse, and run everyone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluate", default="veri", help="sizes, with commas: veri, wild")
    parser.add_argument("--rerank", default="2000,10000", help="numbers of features, an eighth of them queries")
    parser.add_argument("--measures", default="", help="sizes at which our further measures are timed, with commas")
    parser.add_argument("--only", default="", help="contestants, with commas")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        request = json.loads(arguments.measure)
        print(json.dumps(measure(**{**request, "size": Size(*request["size"])})))
        return
    only = set(filter(None, arguments.only.split(",")))
    for name in filter(None, arguments.evaluate.split(",")):
        race("evaluate", [n for n in EVALUATE if not only or n in only], SIZES[name], 2.3, 99, arguments.repeat)
    for name in filter(None, arguments.measures.split(",")):
        race("measures", [n for n in MEASURES if not only or n in only], SIZES[name], 2.3, 99, arguments.repeat)
    for count in map(int, filter(None, arguments.rerank.split(","))):
        size = Size(count // 8, count - count // 8, count // 50, 20)
        race(
            "rerank",
            [n for n in RERANK if not only or n in only],
            size,
            2.6,
            4,
            arguments.repeat if count < 5_000 else 1,
        )


if __name__ == "__main__":
    main()
