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
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.numbering import in_order, number
from mtmc.embed import EmbedConfig
from mtmc.embed.passages import embed_tracklets
from mtmc.evaluate import score
from mtmc.formats.convert import tracklets_of
from mtmc.formats.mot import read_mot
from mtmc.formats.table import Table
from mtmc.geometry.clock import Clock
from mtmc.pipeline.camera import match_similarity_of
from mtmc.pipeline.results import load_run
from mtmc.postprocess import PostprocessConfig
from mtmc.scene import Scene, load_scenes
from mtmc.settings import parse_settings
from mtmc.site.config import SiteConfig
from mtmc.types import GlobalTrack, Passage
from tools.bench.cities import HELD_OUT
from tools.bench.cityflow_cases import SCENES, cityflow_case, oracle
from tools.bench.contest import official, place_for, submission
from tools.bench.perturb import PERTURBATIONS, Case, case_of, placed, withheld

__all__ = ["COLUMNS", "KINDS", "Column", "Place", "idf1_of", "main", "measure", "places"]

#: Kinds of synthetic cities.
KINDS = ("roundabout", "crossroads", "arterial", "highway")
#: What is added to the name of a city → what is wrong in it.
_FORMS = {"": "as it is", " ±3 s": "clocks off by up to 3 s"}
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
        case: What association is given, and what its result is scored by.
        is_official: Whether the official protocol scores it, else plain identity scores.
        match_similarity: Of the embedder.
        postprocess: The run's.
    """

    case: Case
    is_official: bool
    match_similarity: float | None = None
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)


# Places


def places(
    data: Path, *, runs: Path | None = None, cities: Path | None = None, simulated: int = 0
) -> Iterator[tuple[str, Callable[[], Place]]]:
    """Names and makers of places. The name of a place is one word, that of another form of it begins with this word.

    Args:
        data: As :func:`tools.bench.cityflow_cases.cityflow_case` takes it.
        runs: Folder of finished runs of the held-out cities; None leaves them out.
        cities: Folder of these cities, for their true tracklets; None leaves these out.
        simulated: Number of cities that are simulated without rendering.
    """
    for name in SCENES:
        yield name, partial(_real_place, data, name)
        if name == "S01":
            yield "S01 clocks unknown", partial(_real_place, data, name, has_clocks=False)
        if name != "S03":  # no camera of S03 is calibrated
            yield f"{name} without calibrations", partial(_real_place, data, name, has_ground=False)
    makers: dict[str, Callable[[str], Place]] = {}
    if runs is not None:
        makers |= {city: partial(_city_run, runs / city) for city in HELD_OUT}
    if cities is not None:
        makers |= {f"{city} true": partial(_true_city, cities / city) for city in HELD_OUT}
    for k in range(simulated):
        kind, seed = KINDS[k % len(KINDS)], _FIRST_SEED + k
        makers[f"{kind} {seed} true"] = partial(_simulated_city, kind, seed)
    for name, maker in makers.items():
        for suffix, perturbation in _FORMS.items():
            yield name + suffix, partial(maker, perturbation)


def _real_place(data: Path, name: str, has_clocks: bool = True, has_ground: bool = True) -> Place:
    case = cityflow_case(data, name)
    scene = withheld(case.scene, ground=not has_ground)
    if not has_clocks:
        scene = replace(scene, cameras=tuple(replace(c, clock=Clock(c.clock.fps)) for c in scene.cameras))
    known = placed(case.passages, scene)
    return Place(replace(case, scene=scene, passages=known), is_official=False)


def _city_run(folder: Path, perturbation: str) -> Place:
    """The tracklets of a finished run, with the embeddings of the run."""
    run = load_run(folder)
    case = _perturbed(case_of(run.scene, run.passages), perturbation)
    return Place(case, True, match_similarity_of(run.results), run.config.postprocess)


def _true_city(folder: Path, perturbation: str) -> Place:
    """A rendered city, by its ground truth."""
    [scene] = load_scenes(folder / "scene.yaml")
    tables = {c.id: read_mot(c.ground_truth, c.number) for c in scene.cameras if c.ground_truth is not None}
    return _true_place(scene, tables, perturbation)


def _simulated_city(kind: str, seed: int, perturbation: str) -> Place:
    """A city of the same generator, simulated without rendering."""
    from tools.synthcity.recipe import Recipe
    from tools.synthcity.tracklets import TrackNoise, simulate_tracklets

    recipe = Recipe.model_validate({**_RECIPE, "name": f"R{seed}", "place": kind, "seed": seed})
    found = simulate_tracklets(recipe, TrackNoise())
    return _true_place(found.scene, found.truth, perturbation)


def _true_place(scene: Scene, truth: Mapping[str, Table], perturbation: str) -> Place:
    """The ground truth's own boxes as tracklets, without embeddings."""
    passages: list[Passage] = []
    for camera in scene.cameras:
        tracklets = tracklets_of(truth[camera.id], camera.id, camera.clock)
        passages += embed_tracklets(tracklets, camera, EmbedConfig(), None, None).passages
    case = Case(scene, tuple(passages), tuple(p.tracklet for p in passages), Table.concatenate([*truth.values()]))
    return Place(_perturbed(case, perturbation), True)


def _perturbed(case: Case, perturbation: str) -> Case:
    return PERTURBATIONS[perturbation](case, zlib.crc32(case.scene.name.encode()))


# Scores


def measure(place: Place, names: Sequence[str]) -> dict[str, float]:
    """IDF1 in percent of each column, and of no identities and true identities across cameras."""
    case = place.case
    passages = in_order(case.passages)
    learned: dict[str, Case] = {}
    scores = {"none": idf1_of(place, number(passages, np.arange(len(passages))))}
    for name in names:
        column = COLUMNS[name]
        known = case
        if column.site is not None:
            key = repr(column.site)
            if key not in learned:
                learned[key] = place_for(
                    case, "learned on given ground", parse_settings(SiteConfig, dict(column.site))
                )
            known = learned[key]
        scene = known.scene if column.keeps_alignments else replace(known.scene, plane_alignments=())
        choices = parse_settings(AssociateConfig, {"graph": dict(column.settings)})
        scores[name] = idf1_of(place, associate(known.passages, scene, choices, place.match_similarity))
    scores["true ids"] = idf1_of(place, number(passages, oracle(passages, case.truth, case.scene)))
    return scores


def idf1_of(place: Place, tracks: Sequence[GlobalTrack]) -> float:
    """IDF1 of some vehicles in percent, by the protocol of the place."""
    table = submission(place.case, tracks, place.postprocess)
    if place.is_official:
        return 100 * official(place.case, table).idf1
    return 100 * score(place.case.truth, table, metrics=("identity",)).idf1


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
    known = places(options.data, runs=options.runs, cities=options.cities, simulated=options.simulated)
    chosen = [(name, maker) for name, maker in known if not options.only or name.startswith(tuple(options.only))]
    shown = ["none", *options.columns, "true ids"]
    print(f"{'IDF1, percent':26}" + "".join(f"{name:>10}" for name in shown) + f"{'seconds':>9}")
    figures = {}
    with ProcessPoolExecutor(options.processes) as pool:
        jobs = [(name, pool.submit(_measured, maker, options.columns)) for name, maker in chosen]
        for name, job in jobs:
            scores, seconds = job.result()
            figures[name] = {column: round(scores[column], 2) for column in shown}
            print(f"{name:26}" + "".join(f"{scores[k]:10.1f}" for k in shown) + f"{seconds:9.0f}", flush=True)
    for kind, names in _families(list(figures)).items():
        means = [float(np.mean([figures[name][column] for name in names])) for column in shown]
        print(f"{'mean, ' + kind:26}" + "".join(f"{value:10.1f}" for value in means))
    if options.out is not None:
        options.out.write_text(yaml.safe_dump(figures, sort_keys=False), encoding="utf-8")


def _families(names: Sequence[str]) -> dict[str, list[str]]:
    """Cities of one kind, whose mean is of interest."""
    families: dict[str, list[str]] = {}
    for name in names:
        first, *rest = name.split(maxsplit=1)
        if first in HELD_OUT:
            families.setdefault("cities " + " ".join(rest), []).append(name)
        elif first in KINDS:
            families.setdefault("simulated", []).append(name)
    return {kind: members for kind, members in families.items() if len(members) > 1}


if __name__ == "__main__":
    main()
