"""Real clips with the default command and no options: what is found, and which identities are kept.

    python -m tools.bench.real CLIPS                                  # runs below runs/real, docs/real.md
    python -m tools.bench.real CLIPS --cities RUNS                    # and draws of cameras of RUNS/*, finished runs
    python -m tools.bench.real CLIPS --stretches                      # the annotated stretches alone: a few minutes
    python -m tools.bench.real CLIPS --before docs/real_before.json   # two columns

CLIPS is a folder of folders of videos (:mod:`tools.bench.real_clips`). Places are unrelated if a vehicle cannot have
been filmed at two of them: one folder with a clip of each, and cameras of synthetic cities with different seeds.
Finished runs are used again for as long as the code and the settings are the same.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.associate import AssociateConfig, associate
from mtmc.clean import clean
from mtmc.config import load_config
from mtmc.detect.filters import filter_detections
from mtmc.errors import MtmcError
from mtmc.files import atomic_path
from mtmc.formats.convert import table_of_tracks
from mtmc.formats.mot import read_mot
from mtmc.formats.parquet import read_parquet
from mtmc.formats.table import Table
from mtmc.pipeline.camera import CameraResult, load_result, match_similarity_of
from mtmc.pipeline.detection import load_detections
from mtmc.pipeline.learning import with_learned
from mtmc.pipeline.models import make_detector, with_model_files
from mtmc.pipeline.outputs import passages_path
from mtmc.pipeline.results import LoadedRun, load_run
from mtmc.scene import Camera, Scene, load_scenes, read_roi
from mtmc.scene.sceneyaml import restore
from mtmc.site.config import LearnConfig
from mtmc.site.learn import learn_scene
from mtmc.track import track
from mtmc.types import Detections
from mtmc.video.read import probe, read_frames
from tools.bench.perturb import placed, withheld
from tools.bench.real_clips import CLIPS, UNRELATED, Clip
from tools.bench.real_measures import count_detections, count_tracks, repeated_identities, share_in_several_cameras
from tools.markdown import table

__all__ = ["detection_rows", "main"]

_ROOT = Path(__file__).resolve().parents[2]
#: What is looked at before and after an annotated stretch, so that tracks are under way in it.
_AROUND_S = 0.5


def run_folder(videos: Path, out: Path) -> LoadedRun:
    """The default command on a folder: in a process of its own, with no option but that pictures are left out.

    Raises:
        MtmcError: The run failed.
    """
    command = [sys.executable, "-m", "mtmc", "run", "--videos", str(videos), "--out", str(out), "--no-render"]
    status = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if status:
        message = f"expected a finished run, got exit code {status} from: {' '.join(command)}"
        raise MtmcError(message, path=videos, remedy="run the command by itself and read its message")
    return load_run(out)


def measure_clip(run: LoadedRun, camera: Camera, truth: Table) -> dict[str, Any]:
    """Counts of one camera of a finished run against its annotated frames."""
    tracks = read_parquet(run.out / "tracks.parquet")
    return _figures(truth, tracks[tracks.camera == camera.number], detections_of(run, camera))


def measure_stretch(scene: Scene, camera: Camera, truth: Table, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Counts of a camera of which only the annotated frames and the seconds around them are looked at.

    Detection, tracking and clean-up are those of a run with the default settings; vehicles have the identities of
    this camera alone.

    Args:
        scene: The place.
        camera: The camera.
        truth: Its annotated frames.
        overrides: Settings that differ from the defaults, ``key=value``.
    """
    config = with_model_files(scene, load_config(overrides=overrides))
    around = round(_AROUND_S * camera.clock.fps)
    first, last = int(truth.frame.min()) - around, int(truth.frame.max()) + around
    detector = make_detector(config, 1)
    seen: list[tuple[int, Detections]] = []
    for frame in islice(read_frames(str(camera.video), camera.id, camera.clock), last + 1):
        if frame.index >= first:
            seen.append((frame.index, detector([frame])[0]))
    size_wh = camera.size_wh or probe(str(camera.video)).size_wh
    kept = [(frame, filter_detections(found, config.detect.filter, size_wh)) for frame, found in seen]
    tracklets = clean(track(iter(kept), camera.id, camera.clock, config.track), camera, config.clean)
    rows = [Table.of(camera.number, np.full(len(t), t.track_id), t.frame, t.xyxy, score=t.score) for t in tracklets]
    return _figures(truth, Table.concatenate(rows), detection_rows(camera, kept))


def _figures(truth: Table, tracks: Table, detections: Table) -> dict[str, Any]:
    found = count_detections(truth, detections)
    counts = count_tracks(truth, tracks, detections)
    figures = {
        "frames": len(np.unique(truth.frame)),
        "boxes": found.boxes,
        "detector_recall": found.recall,
        "detector_precision": found.precision,
        "identity": None if counts.identity is None else asdict(counts.identity),
        "interpolated": counts.interpolated,
        "track_recall": counts.boxes.recall,
        "track_precision": counts.boxes.precision,
        "interpolated_precision": counts.interpolated_precision,
        "kept_share": counts.kept_share,
        "repeated_identities": repeated_identities(tracks),
    }
    # JSON has no NaN: a share of nothing is null.
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in figures.items()}


def detections_of(run: LoadedRun, camera: Camera) -> Table:
    """What the tracker was given: the detections of a finished run that pass its filter."""
    [result] = [result for result in run.results if result.camera_id == camera.id]
    found = load_detections(run.cache, camera.id, result.stage_keys["detect"])
    if found is None:
        raise MtmcError("the detections of the run are gone", path=run.out, remedy="repeat the run")
    size_wh = camera.size_wh or found.extent_wh
    roi = None if camera.roi is None else read_roi(camera.roi, size_wh)
    rules = run.config.detect.filter
    return detection_rows(camera, [(frame, filter_detections(each, rules, size_wh, roi)) for frame, each in found])


def detection_rows(camera: Camera, frames: Sequence[tuple[int, Detections]]) -> Table:
    """Detections of numbered frames as rows without identities."""
    rows = [
        Table.of(camera.number, np.full(len(found), -1), np.full(len(found), frame), found.xyxy, score=found.score)
        for frame, found in frames
    ]
    return Table.concatenate(rows)


def measure_stretches(clips: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The table of clips by their annotated stretches alone, as JSON."""
    rows: dict[str, Any] = {}
    for clip in CLIPS:
        [scene] = load_scenes(clips / clip.folder)
        camera = scene.camera(clip.camera_id)
        rows[_name(clip)] = measure_stretch(scene, camera, read_mot(clip.boxes_path(clips), camera.number), overrides)
        print(f"{_name(clip)}: {rows[_name(clip)]}", file=sys.stderr)
    return {"clips": rows}


def _name(clip: Clip) -> str:
    return f"{clip.folder} {clip.camera_id}"


def unrelated_folder(clips: Path, runs: Path) -> Path:
    """A folder with one clip of each place, and what the single runs already detected in them as its run's cache."""
    folder, cache = runs / "unrelated_clips", runs / "unrelated" / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    for name in UNRELATED:
        video = clips / name
        link = folder / video.name
        if not link.is_symlink():
            link.symlink_to(video.resolve())
        done = runs / video.parent.name / "cache"
        if done.is_dir():
            shutil.copytree(done, cache, dirs_exist_ok=True)
    return folder


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """What a finished run found in the cameras of one place, whatever its settings were.

    Attributes:
        scene: The place.
        results: What became of each camera that has passages.
    """

    scene: Scene
    results: tuple[CameraResult, ...]

    @classmethod
    def load(cls, folder: Path) -> World:
        """Read scene and passages of a run, which may be of a version with other settings.

        Raises:
            MtmcError: The folder holds no finished run.
        """
        if not (folder / "run.json").is_file():
            raise MtmcError("found no run.json", path=folder, remedy="give a folder of finished runs")
        place = json.loads((folder / "run.json").read_text(encoding="utf-8"))["place"]
        scene = restore(place["scene"], Path(place["folder"]))
        results = [load_result(passages_path(folder, camera.id), camera.id, {}) for camera in scene.cameras]
        return cls(scene, tuple(result for result in results if result is not None and result.passages))


def draw_unrelated(worlds: Sequence[World], seed: int) -> tuple[int, int]:
    """Vehicles in several cameras, and all, of one camera of each place, drawn by chance.

    The places are different cities, so that no vehicle is in two of them. Calibrations, zones and links are withheld;
    what a run by default learns about a place is learned from the passages, as there.
    """
    rng = np.random.default_rng(seed)
    cameras, passages = [], []
    for number, world in enumerate(worlds, start=1):
        drawn = world.results[int(rng.integers(len(world.results)))]
        name = f"unrelated{number}"
        cameras.append(replace(world.scene.camera(drawn.camera_id), id=name, number=number))
        passages += [
            replace(passage, tracklet=replace(passage.tracklet, camera_id=name)) for passage in drawn.passages
        ]
    given = withheld(replace(worlds[0].scene, cameras=tuple(cameras)))
    scene = with_learned(given, learn_scene(given, placed(passages, given), LearnConfig()).scene)
    similarity = match_similarity_of(worlds[0].results)
    tracks = associate(placed(passages, scene), scene, AssociateConfig(), similarity)
    return share_in_several_cameras(table_of_tracks(tracks, {camera.id: camera.number for camera in scene.cameras}))


def measure(clips: Path, runs: Path, cities: Path | None, draws: int) -> dict[str, Any]:
    """Every table, as JSON.

    Args:
        clips: Folder of folders of videos.
        runs: Where the runs on them lie, or will lie.
        cities: Folder of finished runs on synthetic cities, or None.
        draws: How often cameras are drawn from these.
    """
    rows: dict[str, Any] = {}
    for folder in dict.fromkeys(clip.folder for clip in CLIPS):
        run = run_folder(clips / folder, runs / folder)
        for clip in (clip for clip in CLIPS if clip.folder == folder):
            camera = run.scene.camera(clip.camera_id)
            rows[_name(clip)] = measure_clip(run, camera, read_mot(clip.boxes_path(clips), camera.number))
    unrelated = run_folder(unrelated_folder(clips, runs), runs / "unrelated")
    several, vehicles = share_in_several_cameras(read_parquet(unrelated.out / "tracks.parquet"))
    tables: dict[str, Any] = {"clips": rows, "unrelated_clips": {"several": several, "vehicles": vehicles}}
    if cities is not None:
        worlds = [World.load(manifest.parent) for manifest in sorted(cities.glob("*/run.json"))]
        counts = [draw_unrelated(worlds, seed) for seed in range(draws)]
        tables["unrelated_cities"] = [{"several": several, "vehicles": vehicles} for several, vehicles in counts]
    return tables


#: Key of a row, its name, decimals of a share or None for a count.
_COLUMNS: tuple[tuple[str, str, int | None], ...] = (
    ("frames", "annotated frames", None),
    ("boxes", "boxes", None),
    ("detector_recall", "detector: recall", 3),
    ("detector_precision", "detector: precision", 3),
    ("track_recall", "tracks: recall", 3),
    ("track_precision", "tracks: precision", 3),
    ("kept_share", "matched detections that tracks keep", 3),
    ("identity.identities", "annotated vehicles", None),
    ("identity.switches", "identity switches", None),
    ("identity.hand_overs", "wrong hand-overs of an identity", None),
    ("identity.fragments", "fragments", None),
    ("identity.gaps", "missed boxes between a vehicle's first and last", None),
    ("repeated_identities", "identity twice in a frame (whole clip)", None),
    ("interpolated", "interpolated boxes", None),
    ("interpolated_precision", "interpolated boxes: precision", 3),
)


def page(now: dict[str, Any], before: dict[str, Any] | None) -> str:
    """The tables in Markdown; where there are figures of before, each cell reads "before → now"."""
    names = list(now["clips"])
    rows = []
    for key, title, digits in _COLUMNS:
        cells = []
        for name in names:
            earlier = {} if before is None else before["clips"].get(name, {})
            cells.append(_change(_figure(earlier, key), _figure(now["clips"][name], key), digits))
        rows.append([title, *cells])
    clips = table(["", *names], rows)
    if "unrelated_clips" not in now:
        return clips
    rows = []
    for title, key in (
        ("six clips of six places", "unrelated_clips"),
        ("draws of synthetic cities", "unrelated_cities"),
    ):
        for label, tables in (("before", before), ("now", now)):
            if tables is not None and key in tables:
                rows.append(_unrelated_row(f"{title}, {label}", tables[key]))
    return clips + "\n\n" + table(["unrelated cameras", "vehicles", "in several cameras", "share"], rows)


def _figure(row: dict[str, Any], key: str) -> Any:
    """A figure by its key, ``group.name`` for one of a group; None if it is not known."""
    value: Any = row
    for name in key.split("."):
        value = None if value is None else value.get(name)
    return value


def _change(before: float | None, now: float | None, digits: int | None) -> str:
    """The cell ``before → now``, or one of them where the other is not known or the same."""
    first, second = _number(before, digits), _number(now, digits)
    return second if first in ("–", second) else f"{first} → {second}"


def _number(value: float | None, digits: int | None) -> str:
    if value is None:
        return "–"
    return str(value) if digits is None else f"{value:.{digits}f}"


def _unrelated_row(title: str, counted: dict[str, int] | list[dict[str, int]]) -> list[str]:
    draws = counted if isinstance(counted, list) else [counted]
    several, vehicles = sum(draw["several"] for draw in draws), sum(draw["vehicles"] for draw in draws)
    worst = max(draw["several"] / draw["vehicles"] for draw in draws)
    share = f"{several / vehicles:.1%}" + (f", worst draw {worst:.1%}" if len(draws) > 1 else "")
    return [title, str(vehicles), str(several), share]


def main() -> None:
    """Run, measure, and write the page and its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, help="folder of folders of videos")
    parser.add_argument("--runs", type=Path, default=_ROOT / "runs" / "real", help="where the runs lie")
    parser.add_argument("--cities", type=Path, help="folder of finished runs on synthetic cities")
    parser.add_argument("--draws", type=int, default=20, help="draws of one camera from each of them")
    parser.add_argument("--before", type=Path, help="JSON of an earlier measurement, shown beside")
    parser.add_argument("--json", type=Path, default=_ROOT / "runs" / "real" / "real.json", help="figures")
    parser.add_argument("--page", type=Path, help="write the tables there instead of printing them")
    parser.add_argument("--stretches", action="store_true", help="the annotated stretches alone, in this process")
    parser.add_argument(
        "-o", "--override", action="append", default=[], metavar="KEY=VALUE", help="other settings for --stretches"
    )
    args = parser.parse_args()
    if args.stretches:
        now = measure_stretches(args.clips, args.override)
    else:
        now = measure(args.clips, args.runs, args.cities, args.draws)
    with atomic_path(args.json) as temporary:
        temporary.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    before = None if args.before is None else json.loads(args.before.read_text(encoding="utf-8"))
    tables = page(now, before)
    if args.page is None:
        print(tables)
    else:
        args.page.write_text(tables + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
