"""Single-camera tracking from given detections: one default for every detector and frame rate, beside its rivals.

    python -m tools.bench.track_real /path/to/data                       # all data sets, everyone who is installed
    python -m tools.bench.track_real DATA --only mtmc --sets s01,traffic  # beginnings of names
    python -m tools.bench.track_real DATA -o track.max_age_s=1            # our settings changed

IDF1 at IoU 0.5, the mean over the sequences of a data set. Everyone gets the same detections and tracks with the
defaults of the package; ours is ``mtmc run``'s filter, tracker and clean-up.

S03's ground truth lacks parked vehicles and those that a single camera saw, which costs all trackers the same:
there the figures compare trackers, and say little about how well vehicles are followed. The same holds for S01
and S04.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.clean import clean
from mtmc.config import RunConfig, load_config
from mtmc.detect.filters import filter_detections
from mtmc.evaluate import score
from mtmc.formats.mot import read_mot
from mtmc.formats.table import Table
from mtmc.formats.track1 import read_track1
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera
from mtmc.track import track
from mtmc.types import Array, Detections
from tools.bench import workload_track
from tools.bench.rivals import RIVALS, Rows, installed

S03_FPS = {"c010": 10, "c011": 10, "c012": 10, "c013": 10, "c014": 10, "c015": 8}
S03_DETECTORS = ("mask_rcnn", "ssd512", "yolo3")


@dataclass(frozen=True)
class Sequence:
    """One camera: what a tracker gets, and what is true.

    Attributes:
        name: For tables.
        frames: Detections of every frame, from frame 0.
        truth: Boxes with identities, the same frames.
        fps: Frame rate.
        size_wh: Width and height of the picture, pixels.
    """

    name: str
    frames: list[Detections]
    truth: Table
    fps: float
    size_wh: tuple[int, int]

    def every(self, step: int) -> Sequence:
        """The sequence at a lower frame rate: every ``step``-th frame."""
        kept = self.truth.frame % step == 0
        truth = self.truth[kept]
        truth = truth.with_columns(frame=truth.frame // step)
        return replace(self, frames=self.frames[::step], truth=truth, fps=self.fps / step)

    def busiest(self, length: int) -> Sequence:
        """The part of that many frames with the most boxes in the ground truth."""
        per_frame = np.bincount(self.truth.frame, minlength=len(self.frames))
        before = np.concatenate([[0], np.cumsum(per_frame)])
        ends = np.minimum(np.arange(len(self.frames)) + length, len(self.frames))
        start = int((before[ends] - before[:-1]).argmax())
        kept = (self.truth.frame >= start) & (self.truth.frame < start + length)
        truth = self.truth[kept]
        truth = truth.with_columns(frame=truth.frame - start)
        return replace(self, frames=self.frames[start : start + length], truth=truth)


def s03(data: Path, detector: str) -> Iterator[Sequence]:
    """CityFlow S03: published detections of one detector, ground truth of the first edition."""
    for camera, fps in S03_FPS.items():
        truth = read_mot(data / "aicity" / "S03" / "gt_v1" / f"{camera}.txt")
        found = read_mot(data / "aicity" / "S03" / "det" / camera / f"det_{detector}.txt")
        yield _sequence(f"{camera} {detector}", found, truth, fps)


def s01(data: Path) -> Iterator[Sequence]:
    """CityFlow S01: detections of a published Faster R-CNN, which are one frame behind the ground truth."""
    truth = _truth_v2(data)
    for number in range(1, 6):
        found = read_mot(data / "aicity" / "S01" / "det_fasterrcnn" / f"c{number:03}.txt", frame_offset=1)
        yield _sequence(f"c{number:03}", found, truth[truth.camera == number], 10)


def tracked_boxes(data: Path, scenario: str) -> Iterator[Sequence]:
    """CityFlow S03 or S04: the boxes of published tracks, their identities left out; all scores are 1."""
    truth = _truth_v2(data)
    for path in sorted((data / "aicity" / f"{scenario}_tracklets" / scenario).glob("c*/mtsc/*.txt")):
        camera = path.parts[-3]
        found = read_mot(path, frame_offset=1)
        rows = truth[truth.camera == int(camera[1:])]
        yield _sequence(camera, found, rows, S03_FPS.get(camera, 10))


def people(data: Path) -> Iterator[Sequence]:
    """TUD-Campus and TUD-Stadtmitte: the boxes of published tracks of pedestrians, 25 frames per second."""
    for folder in sorted((data / "mot").glob("TUD-*")):
        yield _sequence(folder.name, read_mot(folder / "test.txt"), read_mot(folder / "gt.txt"), 25)


def traffic(vehicles: int, *, features: bool = False) -> Iterator[Sequence]:
    """Seeded traffic in straight lines and slow turns, as in ``tools.bench.track``."""
    made = workload_track.make(vehicles, 1000)
    frames = [
        Detections.of(box, conf, appearance=emb if features else None)
        for box, conf, emb in zip(made.xyxy, made.score, made.features, strict=True)
    ]
    truth = _table([(i, ids, box) for i, (ids, box) in enumerate(zip(made.true_ids, made.true_xyxy, strict=True))])
    yield Sequence(f"N={vehicles}", frames, truth, 10, (workload_track.WIDTH, workload_track.HEIGHT))


@dataclass(frozen=True)
class Noise:
    """A detector that is simulated on ground truth.

    Attributes:
        misses: Probability that a box is missed, frame by frame.
        bursts: Mean number of misses of half a second in ten seconds of a vehicle.
        jitter: Standard deviation of each side of a box, in box sizes.
        false_boxes: Mean number of false boxes per frame; half of them come again and again at the same places.
        true_score: Least and largest score of a true box.
        false_score: Least and largest score of a false box.
        twins: Probability of a second, shifted box on a vehicle.
    """

    misses: float = 0.05
    bursts: float = 0.3
    jitter: float = 0.03
    false_boxes: float = 0.5
    true_score: tuple[float, float] = (0.5, 0.95)
    false_score: tuple[float, float] = (0.1, 0.6)
    twins: float = 0.03


def simulated(sequences: Iterator[Sequence], noise: Noise, seed: int = 1) -> Iterator[Sequence]:
    """The same cameras with detections simulated on their ground truth."""
    for number, sequence in enumerate(sequences):
        rng = np.random.default_rng((seed, number))
        yield replace(sequence, frames=_simulate(sequence, noise, rng))


def _simulate(sequence: Sequence, noise: Noise, rng: np.random.Generator) -> list[Detections]:
    truth = sequence.truth
    seen = rng.random(len(truth)) >= noise.misses
    for identity in np.unique(truth.id):
        rows = np.flatnonzero(truth.id == identity)
        for start in rows[rng.random(len(rows)) < noise.bursts / 10 / sequence.fps]:
            burst = (truth.frame[rows] >= truth.frame[start]) & (
                truth.frame[rows] < truth.frame[start] + sequence.fps / 2
            )
            seen[rows[burst]] = False

    width, height = sequence.size_wh
    places = rng.uniform(0, 1, (4, 2)) * (width, height)
    sizes = np.sqrt(np.median((truth.xyxy[:, 2:] - truth.xyxy[:, :2]).prod(axis=1))) * np.array([1.2, 0.8])
    by_frame = _rows_by_frame(truth.frame, len(sequence.frames))
    frames = []
    for rows in by_frame:
        rows = rows[seen[rows]]
        rows = np.concatenate([rows, rows[rng.random(len(rows)) < noise.twins]])
        is_twin = np.arange(len(rows)) >= len(np.unique(rows))
        box = truth.xyxy[rows]
        size = np.tile(box[:, 2:] - box[:, :2], 2)
        box = box + rng.normal(0, 1, box.shape) * size * np.where(is_twin, 3, 1)[:, None] * noise.jitter
        conf = rng.uniform(*noise.true_score, len(rows)) * np.where(is_twin, 0.7, 1)

        n_false = rng.poisson(noise.false_boxes)
        at = np.where(
            rng.random((n_false, 1)) < 0.5,
            places[rng.integers(4, size=n_false)] + rng.normal(0, 3, (n_false, 2)),
            rng.uniform(0, 1, (n_false, 2)) * (width, height),
        )
        half = sizes * rng.uniform(0.6, 1.6, (n_false, 1)) / 2
        false_box = np.concatenate([at - half, at + half], axis=1)
        false_conf = rng.uniform(*noise.false_score, n_false)
        order = rng.permutation(len(rows) + n_false)
        box = np.concatenate([box, false_box])[order]
        box = np.clip(box, 0, [width, height, width, height])
        conf = np.concatenate([conf, false_conf])[order]
        has_area = (box[:, 2:] - box[:, :2] > 1).all(axis=1)
        frames.append(Detections.of(box[has_area], conf[has_area]))
    return frames


def rescored(sequences: Iterator[Sequence], change: Callable[[Array], Array]) -> Iterator[Sequence]:
    """The same detections with other scores."""
    for sequence in sequences:
        frames = [Detections.of(each.xyxy, change(each.score)) for each in sequence.frames]
        yield replace(sequence, frames=frames)


@cache
def _truth_v2(data: Path) -> Table:
    return read_track1(data / "aicity" / "ground_truth_train_v2.txt")


def _v2(data: Path, cameras: range) -> Iterator[Sequence]:
    """CityFlow's ground truth by camera, without detections."""
    truth = _truth_v2(data)
    for number in cameras:
        rows = truth[truth.camera == number]
        if len(rows):
            yield _sequence(f"c{number:03}", rows, rows, 10)


def cities(folder: Path, *, run: Path | None = None) -> Iterator[Sequence]:
    """Rendered cities: their ground truth, and the detections that a run left in its cache."""
    from mtmc.pipeline.cache import read_arrays
    from mtmc.pipeline.serialize import unpack_detections

    for truth_file in sorted(folder.glob("H*/c*/gt/gt.txt")):
        city, camera = truth_file.parts[-4], truth_file.parts[-3]
        truth = read_mot(truth_file)
        sequence = _sequence(f"{city} {camera}", truth, truth, 10, (960, 540))
        if run is not None:
            parts = sorted((run / city / "cache" / "detect").glob(f"{camera}.from*"))
            if not parts:
                continue
            frames = [d for part in parts for d in unpack_detections(read_arrays(part) or {})]
            sequence = replace(sequence, frames=frames)
        yield sequence


def _sequence(name: str, found: Table, truth: Table, fps: float, size_wh: tuple[int, int] | None = None) -> Sequence:
    n_frames = int(max(found.frame.max(initial=0), truth.frame.max(initial=0))) + 1
    rows = _rows_by_frame(found.frame, n_frames)
    frames = [Detections.of(found.xyxy[r], np.clip(found.score[r], 0, 1)) for r in rows]
    if size_wh is None:
        width, height = np.ceil(np.concatenate([found.xyxy, truth.xyxy])[:, 2:].max(axis=0)).astype(int)
        size_wh = (int(width), int(height))
    return Sequence(name, frames, truth.with_columns(camera=np.zeros(len(truth), np.int64)), fps, size_wh)


def _rows_by_frame(frame: Array, n_frames: int) -> list[Array]:
    order = np.argsort(frame, kind="stable")
    return np.split(order, np.searchsorted(frame[order], np.arange(1, n_frames)))


def datasets(data: Path) -> dict[str, Callable[[], Iterator[Sequence]]]:
    """Name → the sequences of every data set."""
    baseline = Path(os.environ.get("MTMC_CITIES", "/nonexistent"))
    runs = Path(os.environ.get("MTMC_CITY_RUNS", "/nonexistent"))

    def every(step: int, made: Callable[[], Iterator[Sequence]]) -> Callable[[], Iterator[Sequence]]:
        return lambda: (sequence.every(step) for sequence in made())

    found: dict[str, Callable[[], Iterator[Sequence]]] = {}
    for detector in S03_DETECTORS:
        found[f"s03 {detector}"] = lambda detector=detector: s03(data, detector)
    found["s01 faster r-cnn"] = lambda: s01(data)
    for step in (2, 5):
        found[f"s01 faster r-cnn, 1/{step}"] = every(step, found["s01 faster r-cnn"])
    found["s01, scores × 0.4"] = lambda: rescored(s01(data), lambda s: s * 0.4)
    found["s01, scores 1"] = lambda: rescored(s01(data), np.ones_like)
    found["s03 boxes of tracks"] = lambda: tracked_boxes(data, "S03")
    found["s04 boxes of tracks"] = lambda: tracked_boxes(data, "S04")
    found["s04 boxes of tracks, 1/3"] = every(3, found["s04 boxes of tracks"])
    found["people"] = lambda: people(data)
    for vehicles in (10, 30, 100):
        found[f"traffic {vehicles}"] = lambda vehicles=vehicles: traffic(vehicles)
    for step in (2, 5, 10):
        found[f"traffic 30, 1/{step}"] = every(step, found["traffic 30"])
    found["traffic 30, scores × 0.4"] = lambda: rescored(traffic(30), lambda s: s * 0.4)
    found["traffic 30, scores 1"] = lambda: rescored(traffic(30), np.ones_like)
    found["traffic 30, features"] = lambda: traffic(30, features=True)

    s1_s3 = lambda: _v2(data, range(1, 17))  # noqa: E731
    found["simulated v2"] = lambda: simulated(s1_s3(), Noise())
    for step in (2, 5):
        found[f"simulated v2, 1/{step}"] = every(step, found["simulated v2"])
    found["simulated v2, misses"] = lambda: simulated(s1_s3(), Noise(misses=0.3, bursts=1.0))
    found["simulated v2, jitter"] = lambda: simulated(s1_s3(), Noise(jitter=0.10))
    found["simulated v2, false boxes"] = lambda: simulated(s1_s3(), Noise(false_boxes=5, twins=0.2))
    found["simulated v2, low scores"] = lambda: simulated(
        s1_s3(), Noise(true_score=(0.15, 0.4), false_score=(0.1, 0.2), false_boxes=2)
    )
    if baseline.is_dir():
        found["cities simulated"] = lambda: simulated(cities(baseline), Noise())
        found["cities simulated, 1/5"] = every(5, found["cities simulated"])
    if runs.is_dir():
        found["cities"] = lambda: cities(baseline, run=runs)
        found["cities, 1/3"] = every(3, found["cities"])
    return found


def ours(sequence: Sequence, config: RunConfig, *, cleaned: bool = True) -> Table:
    """Filter, tracker and clean-up as in ``mtmc run``, without a region of interest."""
    camera = Camera("bench", 0, Clock(sequence.fps), size_wh=sequence.size_wh)
    rules = config.detect.filter
    frames = ((i, filter_detections(each, rules, sequence.size_wh)) for i, each in enumerate(sequence.frames))
    tracklets = track(frames, camera.id, camera.clock, config.track, sequence.size_wh)
    if cleaned:
        tracklets = clean(tracklets, camera, config.clean)
    return _table([(t.frame, np.full(len(t), t.track_id), t.xyxy) for t in tracklets])


def theirs(sequence: Sequence, name: str) -> Table:
    """A rival's tracks."""
    step, rows = RIVALS[name][1](sequence.frames, sequence.fps)
    return _table(rows([step(i) for i in range(len(sequence.frames))]))


def _table(rows: Rows | list[tuple[Array, Array, Array]]) -> Table:
    if not rows:
        return Table.empty()
    frames = [np.broadcast_to(np.asarray(frame), ids.shape) for frame, ids, _ in rows]
    return Table.of(
        0,
        np.concatenate([ids for _, ids, _ in rows]).astype(np.int64),
        np.concatenate(frames).astype(np.int64),
        np.concatenate([np.asarray(xyxy).reshape(-1, 4) for _, _, xyxy in rows]),
    )


def _idf1(truth: Table, predicted: Table) -> tuple[float, float, float]:
    if not len(predicted):
        return 0.0, 0.0, 0.0
    found = score(truth, predicted, metrics=("identity",))
    return found.idf1, found.idp, found.idr


def measure(
    data: Path,
    sets: list[str],
    names: list[str],
    config: RunConfig,
    known: dict[str, Any],
    frames: int,
    verbose: bool,
) -> Iterator[tuple[str, dict[str, float]]]:
    """The mean IDF1 of every contestant on each data set."""
    for set_name, make in datasets(data).items():
        if not set_name.startswith(tuple(sets)):
            continue
        scores: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
        missing = [name for name in names if name in ("mtmc", "mtmc tracker") or f"{set_name}|{name}" not in known]
        for whole in make() if missing else ():
            sequence = whole.busiest(frames) if frames else whole
            for name in missing:
                if name in ("mtmc", "mtmc tracker"):
                    found = ours(sequence, config, cleaned=name == "mtmc")
                else:
                    found = theirs(sequence, name)
                scores[name].append(_idf1(sequence.truth, found))
                if verbose:
                    print("   ", sequence.name, name, "{:.3f} {:.3f} {:.3f}".format(*scores[name][-1]))
        for name in missing:
            known[f"{set_name}|{name}"] = np.mean(scores[name], axis=0).tolist()
        yield set_name, {name: known[f"{set_name}|{name}"] for name in names}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with aicity/ and mot/")
    parser.add_argument("--sets", default="", help="beginnings of data sets' names, separated by commas")
    parser.add_argument("--only", default="", help="beginnings of contestants' names")
    parser.add_argument("--known", type=Path, help="JSON file that keeps the rivals' scores between calls")
    parser.add_argument("--config", type=Path, action="append", help="our settings instead of the defaults")
    parser.add_argument("-o", "--override", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--frames", type=int, default=0, help="no more than the busiest frames of each sequence")
    parser.add_argument("-v", "--verbose", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    known = json.loads(args.known.read_text()) if args.known and args.known.exists() else {}
    names = ["mtmc", "mtmc tracker"]
    names += [
        n for n in RIVALS if n != "boxmot StrongSORT" and (installed(n) or any(k.endswith("|" + n) for k in known))
    ]
    names = [name for name in names if name.startswith(tuple(args.only.split(",")))]
    config = load_config(args.config or [], args.override)

    print(f"{'':28}" + "".join(f"{name[-14:]:>15}" for name in names))
    for set_name, row in measure(args.data, args.sets.split(","), names, config, known, args.frames, args.verbose):
        best = max((row[name][0] for name in names if not name.startswith("mtmc")), default=0.0)
        cells = "".join(f"{row[name][0]:15.3f}" for name in names)
        print(f"{set_name:28}{cells}   {row[names[0]][0] - best:+.3f}", flush=True)
        if args.known:
            args.known.write_text(json.dumps(known, indent=0))


if __name__ == "__main__":
    main()
