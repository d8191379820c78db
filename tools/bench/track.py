"""What association costs: ours beside boxmot and trackers, on one pinned thread.

    python -m tools.bench.track                          # 10, 30 and 100 vehicles, everyone who is installed
    python -m tools.bench.track --sizes 30 --only mtmc,trackers

CPU milliseconds per frame and IDF1 (IoU 0.5) on the same seeded traffic. Input is prepared beforehand in the form
that each tool likes; camera motion compensation is off, all else is as the tool ships it. The contestants take turns
every few frames, so that whatever else the machine does costs them alike.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mtmc.evaluate import score
from mtmc.formats.table import Table
from mtmc.geometry.clock import Clock
from mtmc.track import TrackConfig, Tracker
from mtmc.types import Detections
from tools.bench.rivals import RIVALS, Contestant, Rows, installed
from tools.bench.workload_track import Traffic, make

_FPS = 10.0
_TURN = 50
_OURS = "mtmc"
_WITHOUT_EMBEDDINGS = "mtmc, no embeddings"


def ours(frames: Sequence[Detections]) -> Contestant:
    """This project's tracker as it ships."""
    tracker = Tracker("bench", Clock(_FPS), TrackConfig())

    def rows(_: list[Any]) -> Rows:
        return [
            (int(frame), np.array([t.track_id]), box[None])
            for t in tracker.finish()
            for frame, box in zip(t.frame, t.xyxy, strict=True)
        ]

    return lambda i: tracker.update(i, frames[i]), rows


def contestant(name: str, traffic: Traffic) -> Contestant:
    """A tracker by its name, with the detections of all frames in the form that it likes."""
    frames = [
        Detections.of(box, conf, appearance=None if name == _WITHOUT_EMBEDDINGS else emb)
        for box, conf, emb in zip(traffic.xyxy, traffic.score, traffic.features, strict=True)
    ]
    return RIVALS[name][1](frames, _FPS) if name in RIVALS else ours(frames)


def race(names: list[str], size: int, frames: int) -> dict[str, tuple[float, float]]:
    """CPU milliseconds per frame and IDF1 of each contestant on traffic of ``size`` vehicles."""
    traffic = make(size, frames)
    steps, finishes = zip(*(contestant(name, traffic) for name in names), strict=True)
    seconds = np.zeros((frames, len(names)))
    found: list[list[Any]] = [[] for _ in names]
    for turn in range(0, frames, _TURN):
        for n, step in enumerate(steps):
            for i in range(turn, min(turn + _TURN, frames)):
                start = time.process_time()
                result = step(i)
                seconds[i, n] = time.process_time() - start
                found[n].append(result)
    truth = _table([(i, traffic.true_ids[i], traffic.true_xyxy[i]) for i in range(frames)])
    return {
        name: (float(seconds[:, n].mean()) * 1e3, score(truth, _table(finish(found[n])), metrics=("identity",)).idf1)
        for n, (name, finish) in enumerate(zip(names, finishes, strict=True))
    }


def _table(rows: Rows) -> Table:
    return Table.of(
        0,
        np.concatenate([ids for _, ids, _ in rows]),
        np.concatenate([np.full(len(ids), frame) for frame, ids, _ in rows]),
        np.concatenate([xyxy for _, _, xyxy in rows]),
    )


def main() -> None:
    """Run the race and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10,30,100", help="vehicles at a time")
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--only", default="", help="beginnings of the contestants' names")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    names = [_OURS, _WITHOUT_EMBEDDINGS, *(name for name in RIVALS if installed(name))]
    chosen = [name for name in names if name.startswith(tuple(args.only.split(",")))]
    sizes = [int(size) for size in args.sizes.split(",")]
    results = {size: race(chosen, size, args.frames) for size in sizes}
    print("CPU ms per frame / IDF1 | × our time")
    print(f"{'':24}" + "".join(f"{f'N={size}':>24}" for size in sizes))
    for name in chosen:
        cells = []
        for size in sizes:
            (ms, idf1), base = results[size][name], results[size][chosen[0]][0]
            cells.append(f"{f'{ms:.3f} / {idf1:.4f} | {ms / base:5.1f}':>24}")
        print(f"{name:24}" + "".join(cells))


if __name__ == "__main__":
    main()
