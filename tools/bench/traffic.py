"""Traffic figures against the truth: simulated tracklets of ten minutes, and finished runs of rendered cities.

    python -m tools.bench.traffic                                  # six scenes, simulated
    python -m tools.bench.traffic --scenes crossroads:91001 --minutes 5
    python -m tools.bench.traffic --cities DIR --runs DIR          # rendered cities and their runs

The true movements are those of the simulated vehicles: the streets by which they enter and leave each picture, as
far as they are labeled. Tracklets have the errors of :class:`tools.synthcity.tracklets.TrackNoise`, are cleaned,
located and associated by the defaults, and counted as by ``mtmc count``. A cell is a turning movement, an origin and
destination, or a pair of places, all classes together. Cells whose zones are unknown, as those of vehicles that are
in view when the recording begins or ends, are left out.

Columns: cells; true cells of which the table has no row; vehicles; error of their sum over all cells, Σ|estimate −
truth| / Σ truth; cells with GEH below 5; cells whose 90 % interval holds the truth. GEH = sqrt(2 (m − c)² / (m + c))
with m and c vehicles per hour (UK Department for Transport, TAG unit M3.1). Travel times and speeds: median error of
cells with five vehicles or more.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from mtmc.associate import AssociateConfig, associate_with_evidence
from mtmc.associate.tracklet_links import TrackletLinks
from mtmc.clean import CleanConfig, clean
from mtmc.embed.config import EmbedConfig
from mtmc.embed.passages import embed_tracklets
from mtmc.formats.convert import tracklets_of
from mtmc.formats.table import Table
from mtmc.geometry.zones import inside
from mtmc.pipeline.results import load_run
from mtmc.postprocess import PostprocessConfig, postprocess
from mtmc.scene import Camera, Link, Scene, Zone
from mtmc.traffic.bins import Bins
from mtmc.traffic.count import counted_tracks, views_of
from mtmc.traffic.ground_paths import ground_path, with_sure_positions
from mtmc.traffic.movements import Movement, movements_of
from mtmc.traffic.samples import MovementSamples, View, sample_movements
from mtmc.traffic.tables import ALL_CLASSES, od_matrix, speeds, travel_times, turning_counts
from mtmc.types import Array, GlobalTrack
from tools.synthcity.layout import read_records, record_path, truth_tables
from tools.synthcity.recipe import Recipe, load_recipe
from tools.synthcity.routes import Passing, find_links, find_passages, find_zones
from tools.synthcity.stage import build_stage
from tools.synthcity.tracklets import Simulation, TrackNoise, simulate_tracklets

__all__ = [
    "LABELS",
    "NOISE",
    "Case",
    "Cell",
    "associated",
    "cells_of",
    "count_figures",
    "error_rate",
    "geh",
    "main",
    "with_distinct_zones",
    "zone_names",
]

#: Kind of place and seed; no other tool uses these seeds.
SCENES = (
    ("crossroads", 91001),
    ("roundabout", 91002),
    ("arterial", 91003),
    ("highway", 91004),
    ("crossroads", 91005),
    ("arterial", 91006),
)

#: The detector sees what is labeled, so that both watch the same part of the street: vehicles are in view until
#: their boxes have left the picture.
NOISE = TrackNoise(min_visibility=0.35, min_area_px=900)
LABELS = {"max_truncation": 1.0}

_MOST_SHARED = 0.02  # of the places of a street, in the zone of another

_EDGE_S = 1.0  # movements that begin or end this near to the recording's ends are cut by them

_ALL = Bins(1e6)  # one bin for the whole recording
_LEAST_VEHICLES = 5  # of medians and percentiles


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A scene with its true and its measured movements.

    Attributes:
        name: Of the scene.
        truth: True movements.
        measured: Those of the run.
        samples: What they may have been.
        minutes: Length of the recording.
    """

    name: str
    truth: Sequence[Movement]
    measured: Sequence[Movement]
    samples: MovementSamples
    minutes: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure: the truth, what the run counted, and the estimate with its interval; NaN where there is none."""

    truth: float
    run: float
    estimate: float
    low: float
    high: float

    @property
    def is_covered(self) -> bool:
        """Whether the interval holds the truth."""
        return self.low - 1e-9 <= self.truth <= self.high + 1e-9


# Cases


def simulated_case(kind: str, seed: int, minutes: float) -> Case:
    """Tracklets simulated without rendering, associated by the defaults."""
    name = f"{kind}-{seed}"
    fields = {"name": name, "place": kind, "seed": seed, "duration_s": 60 * minutes, "labels": LABELS}
    recipe = Recipe.model_validate(fields)
    return case_of(name, simulate_tracklets(recipe, NOISE), minutes)


def case_of(name: str, found: Simulation, minutes: float) -> Case:
    """The movements of simulated tracklets."""
    found = with_distinct_zones(found)
    tracks, links = associated(found)
    views = {camera.id: _view(camera) for camera in found.scene.cameras}
    tracks = with_sure_positions(tracks, {camera: view.size_wh for camera, view in views.items()})
    samples = sample_movements(tracks, links, views)
    truth = true_movements(found.passings, found.truth)
    return _whole(Case(name, truth, movements_of(tracks), samples, minutes), views)


def associated(found: Simulation) -> tuple[list[GlobalTrack], TrackletLinks]:
    """The vehicles and links that the defaults find in simulated tracklets."""
    passages = []
    for camera in found.scene.cameras:
        tracklets = clean(tracklets_of(found.tracks[camera.id], camera.id, camera.clock), camera, CleanConfig())
        for p in embed_tracklets(tracklets, camera, EmbedConfig(), None, None).passages:
            passages.append(replace(p, embedding=found.embedding[camera.id, p.tracklet.track_id]))
    association = associate_with_evidence(passages, found.scene, AssociateConfig())
    if association.links is None:
        raise ValueError("expected links of the default method")
    return _written(association.tracks, found.scene), association.links


def _written(tracks: Sequence[GlobalTrack], scene: Scene) -> list[GlobalTrack]:
    """The passages of which a run writes boxes, as they were before postprocessing: what ``mtmc count`` reads."""
    kept = {
        (track.global_id, passage.tracklet.camera_id, passage.tracklet.track_id)
        for track in postprocess(tracks, scene, PostprocessConfig())
        for passage in track.passages
    }
    return [
        GlobalTrack(track.global_id, passages)
        for track in tracks
        if (
            passages := tuple(
                p for p in track.passages if (track.global_id, p.tracklet.camera_id, p.tracklet.track_id) in kept
            )
        )
    ]


def _whole(case: Case, views: Mapping[str, View]) -> Case:
    """The case without movements that the beginning or the end of the recording cuts."""

    def whole(movements: Iterable[Movement]) -> list[Movement]:
        return [
            m
            for m in movements
            if m.enter_s > views[m.camera].first_s + _EDGE_S and m.leave_s < views[m.camera].last_s - _EDGE_S
        ]

    samples = MovementSamples(
        [whole(sample) for sample in case.samples.seen], [whole(sample) for sample in case.samples.completed]
    )
    return replace(case, truth=whole(case.truth), measured=whole(case.measured), samples=samples)


def _view(camera: Camera) -> View:
    first_s, last_s = camera.clock.time_s(np.array([0, (camera.frame_count or 1) - 1])).tolist()
    return View(first_s, last_s, camera.size_wh)


def rendered_case(folder: Path, run_folder: Path) -> Case:
    """A rendered city and the finished run of its videos."""
    recipe = load_recipe(folder / "recipe.yaml")
    stage = build_stage(recipe)
    records = {plan.id: read_records(record_path(folder, plan.id)) for plan in stage.cameras}
    passings = {plan.id: find_passages(stage, plan, records[plan.id]) for plan in stage.cameras}
    run = load_run(run_folder)
    if run.links is None:
        raise ValueError(f"{run_folder}: expected a run of the default method")
    views, tracks = views_of(run), counted_tracks(run)
    samples = sample_movements(tracks, run.links, views)
    truth = true_movements(passings, truth_tables(records, recipe))
    case = Case(folder.name, truth, movements_of(tracks), samples, recipe.duration_s / 60)
    return _renamed(_whole(case, views), passings)


def true_movements(passings: Mapping[str, Sequence[Passing]], truth: Mapping[str, Table]) -> list[Movement]:
    """The movements of the vehicles through each picture."""
    movements = []
    for camera, of_camera in passings.items():
        table = truth[camera]
        for p in of_camera:
            rows = (table.id == p.vehicle) & (table.time_s >= p.start_s) & (table.time_s <= p.end_s)
            path = ground_path(table.time_s[rows], table.ground_m[rows])
            figures = 3.6 * path.speed_mps, 1, path.standing_s()
            movements.append(Movement(p.vehicle, "", camera, p.entry, p.exit, p.start_s, p.end_s, *figures))
    return movements


# Zones


def with_distinct_zones(found: Simulation) -> Simulation:
    """The simulation with zones as an engineer would draw them, and links between these.

    A zone is drawn around the places where the vehicles of a street come in or leave. Streets whose places overlap
    in the picture share one.
    """
    passings = {camera.id: _distinct(found.passings[camera.id]) for camera in found.scene.cameras}
    cameras = []
    for camera in found.scene.cameras:
        if camera.size_wh is None:
            raise ValueError(f"{camera.id}: expected the size of its image")
        zones = find_zones(passings[camera.id], camera.size_wh)
        roles = [("in" if name.endswith(" in") else "out", name, polygon) for name, polygon in zones]
        cameras.append(replace(camera, zones=tuple(Zone(name, polygon, role) for role, name, polygon in roles)))
    links = tuple(Link(*e["from"], *e["to"], e["min_s"], e["max_s"]) for e in find_links(passings))
    return replace(found, scene=replace(found.scene, cameras=tuple(cameras), links=links), passings=passings)


def _distinct(passings: Sequence[Passing]) -> list[Passing]:
    """The passings of a camera with one name for all streets whose places overlap in the picture."""
    entry, leave = zone_names(passings, "entry"), zone_names(passings, "exit")
    return [replace(p, entry=entry.get(p.entry, ""), exit=leave.get(p.exit, "")) for p in passings]


def zone_names(passings: Sequence[Passing], side: str) -> dict[str, str]:
    """The name of each street's zone, by the name of the street."""
    points = _points(passings, side)
    groups = DisjointSet(points)
    for a, b in combinations(points, 2):
        shared = max(_share_inside(points[a], points[b]), _share_inside(points[b], points[a]))
        if shared > _MOST_SHARED:
            groups.merge(a, b)
    role = " in" if side == "entry" else " out"
    return {
        name: " + ".join(sorted(other.removesuffix(role) for other in groups.subset(name))) + role for name in points
    }


def _renamed(case: Case, passings: Mapping[str, Sequence[Passing]]) -> Case:
    """The case with shared names of zones that overlap, in what was measured as in the truth."""
    entry = {camera: zone_names(of_camera, "entry") for camera, of_camera in passings.items()}
    leave = {camera: zone_names(of_camera, "exit") for camera, of_camera in passings.items()}

    def renamed(movements: Iterable[Movement]) -> list[Movement]:
        return [
            replace(
                m,
                entry_zone=entry[m.camera].get(m.entry_zone, m.entry_zone),
                exit_zone=leave[m.camera].get(m.exit_zone, m.exit_zone),
            )
            for m in movements
        ]

    samples = MovementSamples(
        [renamed(sample) for sample in case.samples.seen], [renamed(sample) for sample in case.samples.completed]
    )
    return replace(case, truth=renamed(case.truth), measured=renamed(case.measured), samples=samples)


_POINT = {"entry": "start_px", "exit": "end_px"}


def _points(passings: Sequence[Passing], side: str) -> dict[str, Array]:
    """Where the vehicles of each street come in or leave: float64 (N, 2) each, pixels."""
    points: dict[str, list[Array]] = defaultdict(list)
    for p in passings:
        if getattr(p, side):
            points[getattr(p, side)].append(getattr(p, _POINT[side]))
    return {name: np.array(of_name) for name, of_name in sorted(points.items())}


def _share_inside(points: Array, others: Array) -> float:
    """Share of points inside the convex hull of others with its margin."""
    [(_, polygon)] = find_zones([Passing(0, "x", "", 0.0, 0.0, at, at) for at in others], (10_000, 10_000))
    return float(inside(points, polygon).mean())


# Cells


def cells_of(case: Case, table: str) -> list[Cell]:
    """The cells of a table whose zones are all known: all that the truth, the run or the estimate has.

    Args:
        case: The scene.
        table: ``turning``, ``od``, ``times`` (medians) or ``speeds`` (85th percentiles).
    """
    truth, run, samples = _without_class(case.truth), _without_class(case.measured), case.samples
    if table == "turning":
        completed = [_without_class(sample) for sample in samples.completed]
        return _count_cells(turning_counts(truth, _ALL), turning_counts(run, _ALL, completed))
    if table == "od":
        completed = [_without_class(sample) for sample in samples.completed]
        return _count_cells(od_matrix(truth, _ALL), od_matrix(run, _ALL, completed))
    if table == "times":
        true_rows = _of_all_classes(travel_times(truth, _ALL))
        rows = {_key(row): row for row in _of_all_classes(travel_times(run, _ALL, samples.seen))}
        return [
            Cell(t.p50_s, row.p50_s, row.p50_estimate_s, row.p50_low_s, row.p50_high_s)
            for t in true_rows
            if _is_known(t) and (row := rows.get(_key(t))) and min(t.vehicles, row.vehicles) >= _LEAST_VEHICLES
        ]
    speed = {_key(row): row for row in _of_all_classes(speeds(run, _ALL))}
    return [
        Cell(t.p85_kmh, row.p85_kmh, row.p85_kmh, math.nan, math.nan)
        for t in _of_all_classes(speeds(truth, _ALL))
        if _is_known(t) and (row := speed.get(_key(t))) and min(t.vehicles, row.vehicles) >= _LEAST_VEHICLES
    ]


def _without_class(movements: Iterable[Movement]) -> list[Movement]:
    return [replace(movement, vehicle_class="") for movement in movements]


def _of_all_classes(rows: Sequence[Any]) -> list[Any]:
    return [row for row in rows if row.vehicle_class == ALL_CLASSES]


def _count_cells(true_rows: Sequence[Any], rows: Sequence[Any]) -> list[Cell]:
    truth = {_key(row): row.vehicles for row in true_rows}
    cells = []
    for row in rows:
        if _is_known(row):
            true = truth.pop(_key(row), 0)
            cells.append(Cell(true, row.vehicles, row.vehicles_estimate, row.vehicles_low, row.vehicles_high))
    unlisted = [row for row in true_rows if _is_known(row) and _key(row) in truth]
    return cells + [Cell(row.vehicles, 0, 0, math.nan, math.nan) for row in unlisted]


def _key(row: Any) -> tuple[str, ...]:
    """Cameras and zones of a row."""
    return tuple(getattr(row, name) for name in _PLACES if hasattr(row, name))


def _is_known(row: Any) -> bool:
    return all(_key(row))


_PLACES = ("camera", "entry_zone", "exit_zone", "from_camera", "from_zone", "to_camera", "to_zone")


# Figures


def geh(measured: float, true: float, minutes: float) -> float:
    """sqrt(2 (m − c)² / (m + c)) of two counts as vehicles per hour; 0 for two zeros.

    >>> round(geh(22, 20, 60), 3)
    0.436
    """
    m, c = measured * 60 / minutes, true * 60 / minutes
    return math.sqrt(2 * (m - c) ** 2 / (m + c)) if m + c else 0.0


def count_figures(cells: Sequence[Cell], minutes: float) -> list[float]:
    """Cells, those without a row, true vehicles, errors, GEH and coverage of count cells; shares in percent."""
    listed = [cell for cell in cells if not math.isnan(cell.low)]
    true = sum(cell.truth for cell in cells)
    return [
        len(cells),
        len(cells) - len(listed),
        true,
        100 * sum(abs(cell.run - cell.truth) for cell in cells) / true,
        100 * sum(abs(cell.estimate - cell.truth) for cell in cells) / true,
        _percent(geh(cell.run, cell.truth, minutes) < 5 for cell in cells),
        _percent(geh(cell.estimate, cell.truth, minutes) < 5 for cell in cells),
        _percent(cell.is_covered for cell in listed),
    ]


def error_rate(cells: Sequence[Cell]) -> float:
    """The rate ρ of counts that are wrong in either direction: Σ (estimate − truth)² = 2 ρ (1 − ρ) Σ truth.

    >>> round(error_rate([Cell(100, 90, 90, 80, 99), Cell(100, 110, 110, 99, 120)]), 3)
    0.113
    """
    variance = sum((cell.estimate - cell.truth) ** 2 for cell in cells) / (2 * sum(cell.truth for cell in cells))
    return (1 - math.sqrt(max(1 - 4 * variance, 0))) / 2


def _percent(flags: Iterable[bool]) -> float:
    found = list(flags)
    return 100 * sum(found) / len(found) if found else math.nan


def _report(cases: Iterator[Case]) -> None:
    done = list(cases)
    for table, title in (("turning", "turning counts"), ("od", "origin-destination matrix")):
        names = ("cells", "no row", "vehicles", "run, %", "est., %", "run GEH<5", "est. GEH<5", "covered, %")
        print(f"\n{title:26}" + "".join(f"{name:>12}" for name in names))
        every: list[Cell] = []
        for case in done:
            cells = cells_of(case, table)
            every += cells
            print(f"{case.name:26}" + "".join(f"{value:12.0f}" for value in count_figures(cells, case.minutes)))
        print(f"{'all':26}" + "".join(f"{value:12.0f}" for value in count_figures(every, done[0].minutes)))
        print(f"rate of errors {error_rate(every):.3f}")

    names = ("pairs", "run, s", "est., s", "run, %", "est., %", "covered, %", "speeds", "km/h")
    print(f"\n{'travel times and speeds':26}" + "".join(f"{name:>12}" for name in names))
    times: list[Cell] = []
    fast: list[Cell] = []
    for case in done:
        of_case, fast_of_case = cells_of(case, "times"), cells_of(case, "speeds")
        times, fast = times + of_case, fast + fast_of_case
        _print_times(case.name, of_case, fast_of_case)
    _print_times("all", times, fast)


def _print_times(name: str, times: Sequence[Cell], fast: Sequence[Cell]) -> None:
    """Median errors of medians of travel times, absolute and relative, and of 85th percentiles of speeds."""
    run_s = [abs(cell.run - cell.truth) for cell in times]
    estimate_s = [abs(cell.estimate - cell.truth) for cell in times]
    scale_s = [
        max(abs(cell.truth), 1.0) for cell in times
    ]  # times near 0, of views that touch, have no relative error
    errors = [
        run_s,
        estimate_s,
        [100 * error / scale for error, scale in zip(run_s, scale_s, strict=True)],
        [100 * error / scale for error, scale in zip(estimate_s, scale_s, strict=True)],
    ]
    medians = "".join(f"{_median(values):12.1f}" for values in errors)
    covered = _percent(cell.is_covered for cell in times)
    kmh = _median([abs(cell.run - cell.truth) for cell in fast])
    print(f"{name:26}{len(times):12}{medians}{covered:12.0f}{len(fast):12}{kmh:12.1f}", flush=True)


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else math.nan


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = [f"{kind}:{seed}" for kind, seed in SCENES]
    parser.add_argument("--scenes", nargs="*", default=usual, metavar="KIND:SEED", help="simulated scenes")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of simulated scenes")
    parser.add_argument("--cities", type=Path, help="folder of rendered cities")
    parser.add_argument("--runs", type=Path, help="folder of finished runs of these cities")
    options = parser.parse_args()
    if options.cities is not None:
        folders = sorted(path.parent for path in options.cities.glob("*/recipe.yaml"))
        _report(rendered_case(folder, options.runs / folder.name) for folder in folders)
        return
    pairs = [scene.split(":") for scene in options.scenes]
    _report(simulated_case(kind, int(seed), options.minutes) for kind, seed in pairs)


if __name__ == "__main__":
    main()
