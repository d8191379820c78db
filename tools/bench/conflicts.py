"""Conflicts against the truth: simulated tracklets, and the vehicles' own positions, headings and sizes.

    python -m tools.bench.conflicts                        # three scenes of ten minutes, simulated
    python -m tools.bench.conflicts --scenes crossroads:91001 --minutes 5

A true conflict is a pair of vehicles whose paths cross at 30° or more, both labeled in the camera then, with a
post-encroachment time up to 5 s: from when the first one last covers a point of the ground that both sweep, to when
the second one first does, by points 0.2 m and times 0.05 s apart.

Columns: true conflicts, summed over the cameras; those with a row; those with a value; rows with a value; those that
are no true crossing at all; median error of the values of true ones; share of their 90 % intervals that hold the
truth.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import argparse
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mtmc.formats.table import Table
from mtmc.traffic.conflicts import Conflict, conflicts
from mtmc.types import Array, GlobalTrack
from tools.bench.traffic import LABELS, NOISE, associated, with_distinct_zones
from tools.synthcity.recipe import Recipe
from tools.synthcity.stage import Mover, Stage, build_stage
from tools.synthcity.tracklets import Simulation, simulate_tracklets
from tools.synthcity.traffic import STEP_S

__all__ = ["Motion", "figures", "main", "true_pet_s"]

SCENES = (("crossroads", 91001), ("roundabout", 91002), ("crossroads", 91005))

_MAX_PET_S, _MIN_SINE = 5.0, 0.5
_GRID_M, _REACH_M, _TIME_S = 0.2, 10.0, 0.05
_LABEL_S = 0.5  # a vehicle is labeled at its crossing if it has a label within this time


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A vehicle's true motion.

    Attributes:
        time_s: float64 (K,), scene seconds.
        pose: float64 (K, 3), center in meters and heading in radians.
        size_m: Length and width.
    """

    time_s: Array
    pose: Array
    size_m: tuple[float, float]


def motion_of(stage: Stage, mover: Mover) -> Motion:
    """The motion of a vehicle of a stage."""
    states = mover.journey.states
    time_s = (mover.journey.first_step + np.arange(len(states))) * STEP_S - stage.recipe.warmup_s
    length_m, width_m, _ = mover.journey.identity.size_m
    return Motion(time_s, states[:, :3], (length_m, width_m))


def true_pet_s(a: Motion, b: Motion, at_m: Array, time_a_s: float, time_b_s: float) -> float | None:
    """Post-encroachment time of two vehicles whose centers are at a crossing (2,) at these times.

    None if they sweep no common point there.
    """
    offsets = np.arange(-_REACH_M, _REACH_M, _GRID_M)
    points = at_m + np.stack(np.meshgrid(offsets, offsets), axis=2).reshape(-1, 2)
    covers_a, covers_b = _covers(a, points, time_a_s), _covers(b, points, time_b_s)
    shared = covers_a.any(axis=1) & covers_b.any(axis=1)
    if not shared.any():
        return None
    times_a, times_b = (
        _times(at_s)[covers[shared].any(axis=0)] for covers, at_s in ((covers_a, time_a_s), (covers_b, time_b_s))
    )
    return float(times_b[0] - times_a[-1] if time_a_s <= time_b_s else times_a[0] - times_b[-1])


def _times(middle_s: float) -> Array:
    return middle_s + np.arange(-6.0, 6.0, _TIME_S)


def _covers(motion: Motion, points: Array, middle_s: float) -> Array:
    """Whether the vehicle covers each point (P, 2) at each time around the crossing: bool (P, T)."""
    at_s = _times(middle_s)
    x, y, angle = (
        np.interp(at_s, motion.time_s, column) for column in (*motion.pose[:, :2].T, np.unwrap(motion.pose[:, 2]))
    )
    away_x, away_y = points[:, :1] - x, points[:, 1:] - y
    along = np.abs(away_x * np.cos(angle) + away_y * np.sin(angle)) <= motion.size_m[0] / 2
    return np.asarray(along & (np.abs(away_y * np.cos(angle) - away_x * np.sin(angle)) <= motion.size_m[1] / 2))


def _crossing(a: Motion, b: Motion) -> tuple[Array, float, float] | None:
    """Place (2,) where the paths of the centers cross at 30° or more, and both times."""
    if ((a.pose.max(axis=0) < b.pose.min(axis=0)) | (b.pose.max(axis=0) < a.pose.min(axis=0)))[:2].any():
        return None
    start_a, start_b = a.pose[:-1, :2], b.pose[:-1, :2]
    way_a, way_b = np.diff(a.pose[:, :2], axis=0), np.diff(b.pose[:, :2], axis=0)
    between = start_b[None] - start_a[:, None]
    determinant = _cross(way_a[:, None], way_b[None])
    with np.errstate(divide="ignore", invalid="ignore"):
        share_a, share_b = _cross(between, way_b[None]) / determinant, _cross(between, way_a[:, None]) / determinant
        found = np.argwhere((share_a >= 0) & (share_a < 1) & (share_b >= 0) & (share_b < 1))
    for i, j in found.tolist():
        if abs(math.sin(a.pose[i, 2] - b.pose[j, 2])) >= _MIN_SINE:
            at_m = start_a[i] + share_a[i, j] * way_a[i]
            return at_m, float(a.time_s[i]), float(b.time_s[j])
    return None


def _cross(a: Array, b: Array) -> Array:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


# A scene


def true_conflicts(stage: Stage, truth: Table) -> dict[tuple[int, int], float]:
    """The post-encroachment times up to 5 s in a camera, by the two vehicles."""
    motion = {mover.id: motion_of(stage, mover) for mover in stage.movers if not mover.parked}
    labeled = {
        number: truth.time_s[truth.id == number] for number in np.unique(truth.id).tolist() if number in motion
    }
    found = {}
    for a, b in combinations(sorted(labeled), 2):
        spans = labeled[a], labeled[b]
        if max(t[0] for t in spans) - min(t[-1] for t in spans) > 2 * _MAX_PET_S:
            continue
        crossing = _crossing(_cut(motion[a], spans[0]), _cut(motion[b], spans[1]))
        if crossing is None or any(np.abs(t - s).min() > _LABEL_S for t, s in zip(spans, crossing[1:], strict=True)):
            continue
        pet_s = true_pet_s(motion[a], motion[b], *crossing)
        if pet_s is not None and pet_s <= _MAX_PET_S:
            found[a, b] = pet_s
    return found


def _cut(motion: Motion, labeled_s: Array) -> Motion:
    """The motion from just before the first label to just after the last one."""
    rows = (motion.time_s >= labeled_s[0] - _LABEL_S) & (motion.time_s <= labeled_s[-1] + _LABEL_S)
    return Motion(motion.time_s[rows], motion.pose[rows], motion.size_m)


def figures(
    rows: Sequence[Conflict], truth: dict[tuple[int, int], float], vehicle: dict[int, int]
) -> tuple[Counter[str], list[float], list[bool]]:
    """Numbers of conflicts in a camera, errors of the values, and whether their intervals hold the truth.

    Args:
        rows: Post-encroachment times of the run.
        truth: True ones, by vehicles.
        vehicle: The true vehicle of each of the run.
    """
    counts: Counter[str] = Counter(true=len(truth))
    errors, covered, seen = [], [], set()
    for row in rows:
        first, second = sorted((vehicle.get(row.first_vehicle, 0), vehicle.get(row.second_vehicle, 0)))
        pair = first, second
        is_known = math.isfinite(row.value_s)
        counts["values"] += is_known
        if pair in truth:
            counts["rows"] += pair not in seen
            counts["told"] += is_known and pair not in seen
            seen.add(pair)
        if is_known and pair in truth:
            errors.append(row.value_s - truth[pair])
            covered.append(row.low_s <= truth[pair] <= row.high_s)
        elif is_known:
            counts["not true"] += 1
    return counts, errors, covered


def scene_figures(kind: str, seed: int, minutes: float) -> tuple[Counter[str], list[float], list[bool]]:
    """The figures of all cameras of a simulated scene."""
    fields = {"name": f"{kind}-{seed}", "place": kind, "seed": seed, "duration_s": 60 * minutes, "labels": LABELS}
    recipe = Recipe.model_validate(fields)
    found = with_distinct_zones(simulate_tracklets(recipe, NOISE))
    tracks, _ = associated(found)
    return compare(build_stage(recipe), found, tracks)


def compare(
    stage: Stage, found: Simulation, tracks: Sequence[GlobalTrack]
) -> tuple[Counter[str], list[float], list[bool]]:
    """The figures of all cameras of a scene whose tracklets were associated."""
    rows = [row for row in conflicts(tracks, found.scene.cameras) if row.measure == "PET"]
    total: Counter[str] = Counter()
    errors: list[float] = []
    covered: list[bool] = []
    for camera in found.scene.cameras:
        truth = true_conflicts(stage, found.truth[camera.id])
        own = [row for row in rows if row.camera == camera.id]
        counts, camera_errors, camera_covered = figures(own, truth, _vehicles(found, tracks, camera.id))
        total, errors, covered = total + counts, errors + camera_errors, covered + camera_covered
    return total, errors, covered


def _vehicles(found: Simulation, tracks: Sequence[GlobalTrack], camera: str) -> dict[int, int]:
    """The true vehicle of each vehicle of the run, by most boxes in a camera."""
    boxes: dict[int, Counter[int]] = defaultdict(Counter)
    for track in tracks:
        for passage in track.passages:
            if passage.tracklet.camera_id == camera:
                true = found.vehicle.get((camera, passage.tracklet.track_id), 0)
                boxes[track.global_id][true] += len(passage.tracklet)
    return {number: counts.most_common(1)[0][0] for number, counts in boxes.items()}


def _report(scenes: Iterator[tuple[str, tuple[Counter[str], list[float], list[bool]]]]) -> None:
    names = ("true", "rows", "told", "values", "not true")
    print(f"{'':20}" + "".join(f"{name:>10}" for name in names) + f"{'error, s':>10}{'covered':>10}")
    for name, (counts, errors, covered) in scenes:
        error_s = float(np.median(np.abs(errors))) if errors else math.nan
        share = float(np.mean(covered)) if covered else math.nan
        print(f"{name:20}" + "".join(f"{counts[n]:10}" for n in names) + f"{error_s:10.2f}{share:10.0%}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = [f"{kind}:{seed}" for kind, seed in SCENES]
    parser.add_argument("--scenes", nargs="*", default=usual, metavar="KIND:SEED", help="simulated scenes")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the scenes")
    options = parser.parse_args()
    pairs = [scene.split(":") for scene in options.scenes]
    _report((f"{k}-{seed}", scene_figures(k, int(seed), options.minutes)) for k, seed in pairs)


if __name__ == "__main__":
    main()
