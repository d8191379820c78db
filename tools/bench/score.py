"""What scoring costs: ours beside motmetrics and TrackEval, on one pinned thread.

    python -m tools.bench.score                 # 2,000 frames of 6 cameras, everyone
    python -m tools.bench.score --frames 20000 --only ours

Each contestant runs in a process of its own, with the tables in memory in the form that it likes; time is the CPU
time of the best of some runs, memory what the process grew by. Equal values are the point: all print the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tools.bench.workload_score import Array, make

Run = Callable[[], dict[str, float]]


def ours(truth: Array, predicted: Array, metrics: tuple[str, ...]) -> Run:
    """Our own scorer, from tables."""
    from mtmc.evaluate import score
    from mtmc.formats.table import Table
    from mtmc.geometry.boxes import xywh_to_xyxy

    tables = [
        Table.of(rows[:, 0], rows[:, 1], rows[:, 2] - 1, xywh_to_xyxy(rows[:, 3:])) for rows in (truth, predicted)
    ]

    def run() -> dict[str, float]:
        found = score(*tables, metrics=metrics)
        return {"IDF1": found.idf1, "IDTP": found.idtp, "HOTA": found.hota, "MOTA": found.mota}

    return run


def motmetrics(truth: Array, predicted: Array) -> Run:
    """The official AI City way: ``compare_to_groundtruth``, then the identity measures; from data frames."""
    import pandas as pd  # type: ignore[import-untyped]

    warnings.simplefilter("ignore")
    import motmetrics as mm

    if not hasattr(np, "asfarray"):  # NumPy 2 lacks it, motmetrics 1.4 calls it
        mm.distances.np = SimpleNamespace(**vars(np), asfarray=lambda a: np.asarray(a, float))
    frames = []
    for rows in (truth, predicted):
        table = pd.DataFrame(rows[:, 3:], columns=["X", "Y", "Width", "Height"])
        table["FrameId"] = (rows[:, 0] * max(truth[:, 2].max(), predicted[:, 2].max()) + rows[:, 2]).astype(int)
        table["Id"] = rows[:, 1].astype(int)
        frames.append(table.set_index(["FrameId", "Id"]))

    def run() -> dict[str, float]:
        events = mm.utils.compare_to_groundtruth(*frames, "iou", distth=0.5)
        found = mm.metrics.create().compute(events, metrics=["idf1", "idp", "idr", "idtp"], return_dataframe=False)
        return {"IDF1": float(found["idf1"]), "IDTP": float(found["idtp"])}

    return run


def trackeval(truth: Array, predicted: Array, hota: bool) -> Run:
    """TrackEval's metrics on its own overlaps; from arrays."""
    warnings.simplefilter("ignore")
    from trackeval.datasets._base_dataset import _BaseDataset
    from trackeval.metrics import HOTA, Identity

    def run() -> dict[str, float]:
        sides = []
        moments = np.unique(np.concatenate([truth, predicted])[:, [0, 2]], axis=0)
        keys = moments[:, 0] * 1e7 + moments[:, 1]
        for rows in (truth, predicted):
            index = np.unique(rows[:, 1], return_inverse=True)[1]
            cuts = np.searchsorted(rows[:, 0] * 1e7 + rows[:, 2], keys)[1:]
            sides.append((np.split(index, cuts), np.split(rows[:, 3:], cuts), int(index.max()) + 1))
        (true_ids, true_boxes, n), (ids, boxes, m) = sides
        overlaps = [_BaseDataset._calculate_box_ious(a, b) for a, b in zip(true_boxes, boxes, strict=True)]
        data: dict[str, Any] = {
            "num_gt_dets": len(truth),
            "num_tracker_dets": len(predicted),
            "num_gt_ids": n,
            "num_tracker_ids": m,
            "num_timesteps": len(moments),
            "gt_ids": true_ids,
            "tracker_ids": ids,
            "similarity_scores": overlaps,
        }
        found = Identity({"PRINT_CONFIG": False}).eval_sequence(data)
        result = {"IDF1": float(found["IDF1"]), "IDTP": float(found["IDTP"])}
        if hota:
            result["HOTA"] = float(np.mean(HOTA().eval_sequence(data)["HOTA"]))
        return result

    return run


CONTESTANTS: dict[str, Callable[[Array, Array], Run]] = {
    "ours IDF1": lambda t, p: ours(t, p, ("identity",)),
    "ours IDF1+HOTA": lambda t, p: ours(t, p, ("identity", "hota")),
    "ours IDF1+HOTA+MOTA": lambda t, p: ours(t, p, ("identity", "hota", "clear")),
    "motmetrics IDF1": motmetrics,
    "trackeval IDF1": lambda t, p: trackeval(t, p, hota=False),
    "trackeval IDF1+HOTA": lambda t, p: trackeval(t, p, hota=True),
}


def measure(name: str, folder: Path, repeat: int) -> dict[str, Any]:
    """Run one contestant in this process."""
    import resource

    run = CONTESTANTS[name](np.load(folder / "truth.npy"), np.load(folder / "predicted.npy"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    for _ in range(repeat):
        start = time.process_time()
        values = run()
        seconds.append(time.process_time() - start)
        if len(seconds) == 1:
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": min(seconds), "first": seconds[0], "mb": grown / 1024, "values": values}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", default="", help="contestants whose name begins so")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, folder = options.child
        print(json.dumps(measure(name, Path(folder), options.repeat)))
        return
    with tempfile.TemporaryDirectory() as folder:
        truth, predicted = make(options.frames)
        np.save(Path(folder) / "truth.npy", truth)
        np.save(Path(folder) / "predicted.npy", predicted)
        print(f"{options.frames:,} frames of 6 cameras: {len(truth):,} true and {len(predicted):,} predicted boxes")
        print(f"{'':22}{'CPU s':>9}{'first':>9}{'MB':>7}  values")
        for name in (name for name in CONTESTANTS if name.startswith(options.only)):
            found = _in_own_process(name, folder, options.repeat)
            values = "  ".join(f"{key} {value!r}" for key, value in found["values"].items() if value == value)
            print(f"{name:22}{found['seconds']:9.3f}{found['first']:9.3f}{found['mb']:7.0f}  {values}", flush=True)


def _in_own_process(name: str, folder: str, repeat: int) -> dict[str, Any]:
    pinned = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-m", "tools.bench.score", "--repeat", str(repeat), "--child", name, folder]
    done = subprocess.run(command, env=os.environ | pinned, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


if __name__ == "__main__":
    main()
