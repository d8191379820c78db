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
import importlib.util
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from mtmc.evaluate import score
from mtmc.formats.table import Table
from mtmc.geometry.clock import Clock
from mtmc.track import TrackConfig, Tracker
from mtmc.types import Detections
from tools.bench.workload_track import HEIGHT, WIDTH, Array, Traffic, make

#: What a contestant does with frame i; and its rows (frame, ids, boxes) at the end, from what the steps returned.
Step = Callable[[int], Any]
Rows = list[tuple[int, Array, Array]]
_TURN = 50
Contestant = tuple[Step, Callable[[list[Any]], Rows]]


def mtmc(traffic: Traffic, *, features: bool) -> Contestant:
    """This project's tracker as it ships, with the embeddings or without."""
    frames = [
        Detections.of(box, conf, appearance=emb if features else None)
        for box, conf, emb in zip(traffic.xyxy, traffic.score, traffic.features, strict=True)
    ]
    tracker = Tracker("bench", Clock(fps=10), TrackConfig())

    def rows(_: list[Any]) -> Rows:
        return [
            (int(frame), np.array([t.track_id]), box[None])
            for t in tracker.finish()
            for frame, box in zip(t.frame, t.xyxy, strict=True)
        ]

    return lambda i: tracker.update(i, frames[i]), rows


def boxmot(traffic: Traffic, *, tracker: str) -> Contestant:
    """A tracker of boxmot, in Python, fed with the embeddings."""
    import boxmot
    import torch
    from boxmot import structures

    torch.set_num_threads(1)
    blank = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    if tracker == "StrongSort":
        theirs = boxmot.StrongSort()
        theirs.apply_cmc = lambda *_: None
    else:
        theirs = boxmot.BotSort(use_cmc=False)
    frames = [
        structures.Detections(
            structures.Boxes(torch.from_numpy(box)),
            torch.from_numpy(conf),
            torch.zeros(len(conf), dtype=torch.int64),
            str(i),
            embeddings=torch.from_numpy(emb),
        )
        for i, (box, conf, emb) in enumerate(zip(traffic.xyxy, traffic.score, traffic.features, strict=True))
    ]

    def rows(found: list[Any]) -> Rows:
        return [(i, t.track_ids.numpy(), t.geometry.values.numpy()) for i, t in enumerate(found)]

    return lambda i: theirs.update(frames[i], blank), rows


def trackers(traffic: Traffic) -> Contestant:
    """ByteTrack of roboflow/trackers; it takes no embeddings."""
    import supervision
    from trackers import ByteTrackTracker

    theirs = ByteTrackTracker()
    frames = [
        supervision.Detections(xyxy=box, confidence=conf, class_id=np.zeros(len(conf), int))
        for box, conf in zip(traffic.xyxy, traffic.score, strict=True)
    ]

    def rows(found: list[Any]) -> Rows:
        return [(i, t.tracker_id[t.tracker_id >= 0], t.xyxy[t.tracker_id >= 0]) for i, t in enumerate(found)]

    return lambda i: theirs.update(frames[i]), rows


#: Name → (package it needs, how it is set up).
CONTESTANTS: dict[str, tuple[str, Callable[[Traffic], Contestant]]] = {
    "mtmc": ("mtmc", partial(mtmc, features=True)),
    "mtmc, no embeddings": ("mtmc", partial(mtmc, features=False)),
    "boxmot StrongSORT": ("boxmot", partial(boxmot, tracker="StrongSort")),
    "boxmot BoT-SORT": ("boxmot", partial(boxmot, tracker="BotSort")),
    "trackers ByteTrack": ("trackers", trackers),
}


def race(names: list[str], size: int, frames: int) -> dict[str, tuple[float, float]]:
    """CPU milliseconds per frame and IDF1 of each contestant on traffic of ``size`` vehicles."""
    traffic = make(size, frames)
    steps, finishes = zip(*(CONTESTANTS[name][1](traffic) for name in names), strict=True)
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
    chosen = [
        name
        for name, (package, _) in CONTESTANTS.items()
        if importlib.util.find_spec(package) and name.startswith(tuple(args.only.split(",")))
    ]
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
