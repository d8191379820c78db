"""Association without pixels on real and synthetic places, with each correction switched off in turn.

    python -m tools.bench.association DATA                                   # CityFlow's S01, S03 and S04
    python -m tools.bench.association DATA --cities DIR --runs DIR/bench     # and rendered cities
    python -m tools.bench.association DATA --simulated 8                     # and simulated roundabouts and others
    python -m tools.bench.association DATA --only S01 S04 --columns given learned

One row per place, one column per way of associating; IDF1 in percent.

Real places are scored plainly (IoU ≥ 0.5, version 2 of the ground truth, nothing dropped), cities by the official
protocol. A city is tried with the tracklets of a finished run, with its true tracklets and exact clocks, and with
clocks that are wrong by up to three seconds. No column is chosen by these labels.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import partial
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.numbering import in_order, number
from mtmc.commands import run_command
from mtmc.embed import EmbedConfig
from mtmc.embed.passages import embed_tracklets
from mtmc.evaluate import score
from mtmc.evaluate.aicity import score_aicity
from mtmc.formats.convert import table_of_tracks, tracklets_of
from mtmc.formats.mot import read_mot
from mtmc.formats.table import Table
from mtmc.formats.track1 import read_track1, whole_boxes
from mtmc.geometry.boxes import xywh_to_xyxy
from mtmc.geometry.clock import Clock
from mtmc.pipeline.camera import match_similarity_of
from mtmc.pipeline.results import load_run
from mtmc.postprocess import PostprocessConfig, postprocess
from mtmc.scene import Scene, load_scenes, read_roi
from mtmc.settings import parse_settings
from mtmc.site.config import SiteConfig
from mtmc.site.learn import learn_scene
from mtmc.types import GlobalTrack, Passage
from tools.bench.cityflow_s01 import OVERRIDES, oracle, scene_of
from tools.bench.perturb import PERTURBATIONS, Case, case_of, placed, withheld

__all__ = ["COLUMNS", "Column", "Place", "main", "measure", "places"]

_CITIES = ("H01", "H02", "H03", "H04", "H05", "H06")
_CLOCKS_OFF = "clocks off by up to 3 s"
_KINDS = ("roundabout", "crossroads", "arterial", "highway")
_FIRST_SEED = 50101  # of simulated places; no other tool uses these
_RECIPE = {
    "duration_s": 45,
    "start_spread_s": 3,
    "odd_fps_share": 0.25,
    "drops_per_min": 1,
    "demand_per_min": 50,
}  # as of the held-out cities


@dataclass(frozen=True, slots=True)
class Column:
    """A way of associating.

    Attributes:
        settings: Of ``associate.graph``.
        site: Settings of learning the place first; None associates with the scene as given.
        keeps_alignments: Whether learned plane alignments are used.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    site: Mapping[str, Any] | None = None
    keeps_alignments: bool = True


_AS_GIVEN = {"estimate_clock_offsets": False, "refine_calibration": False}

#: By name; "-" says what is left out. The first five associate with the scene as given, the others ("l.") learn the
#: place from the tracklets first.
COLUMNS: dict[str, Column] = {
    "given": Column(),
    "clocks-": Column({"estimate_clock_offsets": False}),
    "calib-": Column({"refine_calibration": False}),
    "both-": Column(_AS_GIVEN),
    "times-": Column({"learn_travel_times": False}),
    "learned": Column(site={}),
    "l.clocks-": Column(site={"clocks": "keep"}),
    "l.align-": Column(site={}, keeps_alignments=False),
    "l.both-": Column(_AS_GIVEN, site={}),
}


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Tracklets, what is known of the place they were seen in, and the truth.

    Attributes:
        name: For the table.
        case: What association is given, and what its result is scored by.
        is_official: Whether the official protocol scores it, else plain identity scores.
        match_similarity: Of the embedder.
        postprocess: The run's.
    """

    name: str
    case: Case
    is_official: bool
    match_similarity: float | None = None
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)


# Places


def places(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Place]]]:
    """Names and makers of all places that the options ask for."""
    data = options.data
    yield "S01", partial(_s01, data, "S01")
    yield "S01 clocks unknown", partial(_s01, data, "S01 clocks unknown", has_clocks=False)
    yield "S01 without calibrations", partial(_s01, data, "S01 without calibrations", has_ground=False)
    yield "S03", partial(_s03_or_s04, data, "S03", "S03")
    yield "S04", partial(_s03_or_s04, data, "S04", "S04")
    yield (
        "S04 without calibrations",
        partial(_s03_or_s04, data, "S04 without calibrations", "S04", has_ground=False),
    )
    if options.runs is not None:
        for city in _CITIES:
            yield city, partial(_city_run, options.runs / city, city)
            yield f"{city} ±3 s", partial(_city_run, options.runs / city, f"{city} ±3 s", _CLOCKS_OFF)
    if options.cities is not None:
        for city in _CITIES:
            yield f"{city} true", partial(_true_city, options.cities / city, f"{city} true")
            name = f"{city} true ±3 s"
            yield name, partial(_true_city, options.cities / city, name, _CLOCKS_OFF)
    for k in range(options.simulated):
        kind, seed = _KINDS[k % len(_KINDS)], _FIRST_SEED + k
        yield f"{kind} {seed} true", partial(_simulated_city, kind, seed, f"{kind} {seed} true")
        name = f"{kind} {seed} true ±3 s"
        yield name, partial(_simulated_city, kind, seed, name, _CLOCKS_OFF)


def _s01(data: Path, name: str, has_clocks: bool = True, has_ground: bool = True) -> Place:
    with TemporaryDirectory() as folder:
        scene, passages = _run_tracklets(scene_of(data, Path(folder)), Path(folder) / "run")
    return _real_place(data, name, scene, passages, has_clocks, has_ground)


def _s03_or_s04(data: Path, name: str, scene_name: str, has_ground: bool = True) -> Place:
    [scene] = load_scenes(data / f"{scene_name}_tracklets" / scene_name)
    with TemporaryDirectory() as folder:
        scene, passages = _run_tracklets(scene, Path(folder) / "run")
    return _real_place(data, name, scene, passages, True, has_ground)


def _run_tracklets(scene: Scene, out: Path) -> tuple[Scene, list[Passage]]:
    """A scene's own tracklets as the pipeline describes them."""
    with redirect_stdout(StringIO()):
        run_command(
            videos=scene.root,
            out=out,
            config_files=(),
            overrides=OVERRIDES,
            runner="local",
            workers=1,
            strict=True,
        )
    return scene, load_run(out).passages


def _real_place(
    data: Path, name: str, scene: Scene, passages: Sequence[Passage], has_clocks: bool, has_ground: bool
) -> Place:
    truth = read_track1(data / "ground_truth_train_v2.txt")
    truth = truth[np.isin(truth.camera, [c.number for c in scene.cameras])]
    scene = withheld(scene, ground=not has_ground)
    if not has_clocks:
        scene = replace(scene, cameras=tuple(replace(c, clock=Clock(c.clock.fps)) for c in scene.cameras))
    known = tuple(in_order(placed(passages, scene)))
    shown = tuple(p.tracklet for p in known)
    return Place(name, Case(scene, known, shown, truth), is_official=False)


def _city_run(folder: Path, name: str, perturbation: str | None = None) -> Place:
    """The tracklets of a finished run, with the embeddings of the run."""
    run = load_run(folder)
    case = case_of(run.scene, run.passages)
    if perturbation is not None:
        case = PERTURBATIONS[perturbation](case, zlib.crc32(run.scene.name.encode()))
    return Place(name, case, True, match_similarity_of(run.results), run.config.postprocess)


def _true_city(folder: Path, name: str, perturbation: str | None = None) -> Place:
    """A rendered city, by its ground truth."""
    [scene] = load_scenes(folder / "scene.yaml")
    tables = {c.id: read_mot(c.ground_truth, c.number) for c in scene.cameras if c.ground_truth is not None}
    return _true_place(name, scene, tables, perturbation)


def _simulated_city(kind: str, seed: int, name: str, perturbation: str | None = None) -> Place:
    """A city of the same generator, simulated without rendering."""
    from tools.synthcity.recipe import Recipe
    from tools.synthcity.tracklets import TrackNoise, simulate_tracklets

    recipe = Recipe.model_validate({**_RECIPE, "name": f"R{seed}", "place": kind, "seed": seed})
    found = simulate_tracklets(recipe, TrackNoise())
    return _true_place(name, found.scene, found.truth, perturbation)


def _true_place(name: str, scene: Scene, truth: Mapping[str, Table], perturbation: str | None) -> Place:
    """The ground truth's own boxes as tracklets, without embeddings."""
    passages: list[Passage] = []
    for camera in scene.cameras:
        tracklets = tracklets_of(truth[camera.id], camera.id, camera.clock)
        passages += embed_tracklets(tracklets, camera, EmbedConfig(), None, None).passages
    case = Case(scene, tuple(passages), tuple(p.tracklet for p in passages), Table.concatenate([*truth.values()]))
    if perturbation is not None:
        case = PERTURBATIONS[perturbation](case, zlib.crc32(scene.name.encode()))
    return Place(name, case, True)


# Scores


def measure(place: Place, names: Sequence[str]) -> dict[str, float]:
    """IDF1 in percent of each column, and of no identities and true identities across cameras."""
    passages = in_order(place.case.passages)
    bare = withheld(place.case.scene, ground=False)
    learned: dict[str, tuple[Scene, Sequence[Passage]]] = {}
    scores = {"none": _idf1(place, number(passages, np.arange(len(passages))))}
    for name in names:
        column = COLUMNS[name]
        scene: Scene = place.case.scene
        known: Sequence[Passage] = passages
        if column.site is not None:
            key = repr(column.site)
            if key not in learned:
                site = parse_settings(SiteConfig, dict(column.site))
                on_bare = placed(place.case.passages, bare)
                found = learn_scene(bare, on_bare, site).scene
                learned[key] = found, placed(on_bare, found)
            scene, known = learned[key]
            if not column.keeps_alignments:
                scene = replace(scene, plane_alignments=())
        choices = parse_settings(AssociateConfig, {"graph": dict(column.settings)})
        scores[name] = _idf1(place, associate(known, scene, choices, place.match_similarity))
    scores["true ids"] = _idf1(place, number(passages, oracle(passages, place.case.truth, place.case.scene)))
    return scores


def _idf1(place: Place, tracks: Sequence[GlobalTrack]) -> float:
    """IDF1 in percent, of the boxes that people submit."""
    case = place.case
    shown = {(t.camera_id, t.track_id): t for t in case.shown}
    own = {(p.tracklet.camera_id, p.tracklet.track_id): p for p in case.passages}
    members = [
        sorted((p.tracklet.camera_id, p.tracklet.track_id) for p in track.passages)
        for track in sorted(tracks, key=lambda t: t.global_id)
    ]
    vehicles = [
        GlobalTrack(k, tuple(sorted((replace(own[key], tracklet=shown[key]) for key in keys), key=_in_time)))
        for k, keys in enumerate(members, start=1)
    ]
    written = postprocess(vehicles, case.scene, place.postprocess)
    table = table_of_tracks(written, {c.id: c.number for c in case.scene.cameras})
    table = table.with_columns(xyxy=xywh_to_xyxy(whole_boxes(table.xyxy)))
    if not place.is_official:
        return 100 * score(case.truth, table, metrics=("identity",)).idf1
    rois = {c.number: read_roi(c.roi, official=True) for c in case.scene.cameras if c.roi is not None}
    return 100 * score_aicity(case.truth, table, rois or None, metrics=("identity",), skip_missing=True).idf1


def _in_time(passage: Passage) -> tuple[float, str, int]:
    return passage.tracklet.start_s, passage.tracklet.camera_id, passage.tracklet.track_id


# Command line


def _measured(maker: Callable[[], Place], names: Sequence[str]) -> tuple[dict[str, float], float]:
    start = time.perf_counter()
    return measure(maker(), names), time.perf_counter() - start


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of CityFlow's S01/, S03_tracklets/, S04_tracklets/, cam_*/")
    parser.add_argument("--cities", type=Path, help="folder of rendered cities, for their true tracklets")
    parser.add_argument("--runs", type=Path, help="folder of finished runs of these cities")
    parser.add_argument("--simulated", type=int, default=0, metavar="N", help="cities simulated without rendering")
    parser.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="places whose names begin with these")
    parser.add_argument("--columns", nargs="+", default=list(COLUMNS), choices=list(COLUMNS), help="default: all")
    parser.add_argument("--processes", type=int, default=1, help="places measured at a time")
    parser.add_argument("--out", type=Path, help="YAML file that gets all figures")
    options = parser.parse_args()
    chosen = [
        (name, maker) for name, maker in places(options) if not options.only or name.startswith(tuple(options.only))
    ]
    shown = ["none", *options.columns, "true ids"]
    print(f"{'IDF1, percent':26}" + "".join(f"{name:>9}" for name in shown) + f"{'seconds':>9}")
    figures = {}
    with ProcessPoolExecutor(options.processes) as pool:
        jobs = [(name, pool.submit(_measured, maker, options.columns)) for name, maker in chosen]
        for name, job in jobs:
            scores, seconds = job.result()
            figures[name] = {column: round(scores[column], 2) for column in shown}
            print(f"{name:26}" + "".join(f"{scores[k]:9.1f}" for k in shown) + f"{seconds:9.0f}", flush=True)
    for kind, names in _families(list(figures)).items():
        means = [float(np.mean([figures[name][column] for name in names])) for column in shown]
        print(f"{'mean, ' + kind:26}" + "".join(f"{value:9.1f}" for value in means))
    if options.out is not None:
        options.out.write_text(yaml.safe_dump(figures, sort_keys=False), encoding="utf-8")


def _families(names: Sequence[str]) -> dict[str, list[str]]:
    """Cities of one kind, whose mean is of interest."""
    families: dict[str, list[str]] = {}
    for name in names:
        first, *rest = name.split(maxsplit=1)
        if first in _CITIES:
            families.setdefault("cities " + " ".join(rest), []).append(name)
        elif first in _KINDS:
            families.setdefault("simulated", []).append(name)
    return {kind: members for kind, members in families.items() if len(members) > 1}


if __name__ == "__main__":
    main()
