"""Association of a sliding window with fixed identities, beside association of everything at once.

    python -m tools.bench.window RUN...                  # IDF1 of finished runs, both ways
    python -m tools.bench.window --growth                # milliseconds per new tracklet of longer and longer scenes

A run's passages are replayed in order of their end, some seconds of them at a time. The scenes of ``--growth`` are
the road and the city of :mod:`tools.bench.workload_cluster`, the city several times, one after the other. CPU seconds
of one thread.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.window import Committed, WindowAssociation
from mtmc.formats.convert import table_of_tracks
from mtmc.pipeline.camera import match_similarity_of
from mtmc.pipeline.results import LoadedRun, load_run
from mtmc.pipeline.scoring import score_scene
from mtmc.postprocess import postprocess
from mtmc.scene import Scene
from mtmc.types import GlobalTrack, Passage
from tools.bench.workload_cluster import Workload, city, pair_f1, road

__all__ = ["Replay", "main", "replay"]


@dataclass(frozen=True)
class Replay:
    """What became of passages that came in one after the other.

    Attributes:
        committed: In the order in which they were committed.
        seconds: CPU time of each call.
        window: Largest number of passages in the window.
    """

    committed: list[Committed]
    seconds: list[float]
    window: int

    def tracks(self) -> list[GlobalTrack]:
        """The vehicles, in order of their identities."""
        members: dict[int, list[Passage]] = {}
        for one in self.committed:
            members.setdefault(one.identity, []).append(one.passage)
        return [GlobalTrack(k, tuple(group)) for k, group in sorted(members.items())]


def replay(passages: Sequence[Passage], window: WindowAssociation, step_s: float) -> Replay:
    """Hand over passages in order of their end, ``step_s`` seconds of them at a time."""
    committed: list[Committed] = []
    seconds, largest = [], 0
    for part in _by_end(passages, step_s):
        start = time.process_time()
        committed += window.add(part)
        seconds.append(time.process_time() - start)
        largest = max(largest, len(window))
    return Replay(committed + window.finish(), seconds, largest)


def _by_end(passages: Sequence[Passage], step_s: float) -> Iterator[list[Passage]]:
    ordered = sorted(passages, key=lambda p: p.tracklet.end_s)
    step = np.array([p.tracklet.end_s for p in ordered]) // step_s
    for part in np.split(np.arange(len(ordered)), np.flatnonzero(np.diff(step)) + 1):
        yield [ordered[k] for k in part.tolist()]


def _idf1(run: LoadedRun, tracks: Sequence[GlobalTrack]) -> float:
    written = postprocess(tracks, run.scene, run.config.postprocess)
    table = table_of_tracks(written, {c.id: c.number for c in run.scene.cameras})
    scores = score_scene(run.scene, table)
    return float("nan") if scores is None else 100 * scores.overall.idf1


def _compare(folders: Sequence[Path], settle_s: float, step_s: float) -> None:
    print(f"{'run':12}{'passages':>9}{'at once':>9}{'window':>9}{'loss':>7}{'largest window':>16}")
    losses = []
    for folder in folders:
        run = load_run(folder)
        config = run.config.associate.for_embedder(match_similarity_of(run.results))
        at_once = _idf1(run, associate(run.passages, run.scene, config))
        found = replay(run.passages, WindowAssociation(run.scene, config, settle_s=settle_s), step_s)
        windowed = _idf1(run, found.tracks())
        losses.append(at_once - windowed)
        print(
            f"{folder.name:12}{len(run.passages):9}{at_once:9.2f}{windowed:9.2f}{losses[-1]:7.2f}{found.window:16}",
            flush=True,
        )
    print(f"{'mean':12}{'':27}{np.mean(losses):7.2f}")


def _long_city(n: int) -> Workload:
    """Cities of a thousand tracklets on the same streets, one after the other."""
    passages: list[Passage] = []
    vehicle = []
    latest: dict[str, int] = {}
    scene: Scene | None = None
    for k in range(-(-n // 1000)):
        part = city(1000, seed=32 + k)
        scene = part.scene
        for passage in part.passages:
            tracklet = passage.tracklet
            camera = tracklet.camera_id
            latest[camera] = latest.get(camera, 0) + 1
            moved = replace(
                tracklet,
                track_id=latest[camera],
                time_s=tracklet.time_s + 800.0 * k,
                frame=tracklet.frame + 8000 * k,
            )
            passages.append(replace(passage, tracklet=moved))
        vehicle.append(part.vehicle + 10_000 * k)
    if scene is None:
        raise ValueError("expected at least one tracklet")
    return Workload(passages, scene, np.concatenate(vehicle))


def _growth(settle_s: float, step_s: float, sizes: Sequence[int]) -> None:
    print(f"{'workload':10}{'tracklets':>10}{'ms each':>9}{'F1 at once':>12}{'F1 window':>11}{'largest window':>16}")
    for name, make in (("road", road), ("city", _long_city)):
        for n in sizes:
            work = make(n)
            config = AssociateConfig()
            found = replay(work.passages, WindowAssociation(work.scene, config, settle_s=settle_s), step_s)
            at = {(p.tracklet.camera_id, p.tracklet.track_id): k for k, p in enumerate(work.passages)}
            f1 = []
            for tracks in (associate(work.passages, work.scene, config), found.tracks()):
                labels = np.zeros(len(work.passages), np.int64)
                for track in tracks:
                    for p in track.passages:
                        labels[at[p.tracklet.camera_id, p.tracklet.track_id]] = track.global_id
                f1.append(pair_f1(labels, work.vehicle))
            each = 1000 * sum(found.seconds) / len(work.passages)
            print(f"{name:10}{n:10}{each:9.2f}{f1[0]:12.3f}{f1[1]:11.3f}{found.window:16}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="folders of finished runs with ground truth")
    parser.add_argument("--growth", action="store_true", help="longer and longer simulated scenes")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1000, 2000, 4000, 8000], help="tracklets of --growth"
    )
    parser.add_argument("--settle", type=float, default=30.0, help="seconds between end and commitment (default: 30)")
    parser.add_argument("--step", type=float, default=5.0, help="seconds of passages per call (default: 5)")
    options = parser.parse_args()
    if options.runs:
        _compare(options.runs, options.settle, options.step)
    if options.growth:
        _growth(options.settle, options.step, options.sizes)


if __name__ == "__main__":
    main()
