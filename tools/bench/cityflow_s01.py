"""Cross-camera association on CityFlow S01's own tracklets, without pixels, scored against its ground truth.

The 378 Deep SORT tracklets of five cameras that come with the data, their clocks and homographies, no appearance.
Scored plainly (IoU ≥ 0.5, version 2 of the ground truth): nothing is dropped from either side. Nothing is chosen by
these labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.numbering import number
from mtmc.evaluate import Scores, score
from mtmc.multiview.trajectories import sample_trajectories
from mtmc.postprocess import PostprocessConfig
from mtmc.settings import parse_settings
from mtmc.types import Array, GlobalTrack, Passage
from tools.bench.cityflow_cases import cityflow_case, oracle
from tools.bench.contest import Place, place_for, submission
from tools.bench.perturb import Case

__all__ = ["CUES", "Cue", "Row", "greedy", "rows"]

_NEAR_M = 8.0  # of the plain clustering: farther apart is not one vehicle


@dataclass(frozen=True, slots=True)
class Cue:
    """The default with something left out.

    Attributes:
        name: For the table.
        settings: Of ``associate.graph``.
        place: What is known of the place; see :class:`tools.bench.contest.Entrant`.
    """

    name: str
    settings: Mapping[str, Any]
    place: Place = "given"


CUES: tuple[Cue, ...] = (
    Cue("default", {}),
    Cue("clocks as given", {"estimate_clock_offsets": False}),
    Cue("calibrations as given", {"refine_calibration": False}),
    Cue("clocks and calibrations as given", {"estimate_clock_offsets": False, "refine_calibration": False}),
    Cue("without directions", {"heading_kappa": 1e-6}),
    Cue(
        "without continuations and learned times",
        {"max_extrapolation_s": 0.0, "max_reentry_gap_s": 0.0, "learn_travel_times": False},
    ),
    Cue("without travel times learned on the way", {"learn_travel_times": False}),
    Cue("homographies withheld, place learned", {}, "learned"),
    Cue("homographies withheld, nothing learned", {}, "nothing"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A way of associating and its scores."""

    name: str
    scores: Scores


def rows(data: Path) -> Iterator[Row]:
    """Every line of the table, one after the other.

    Args:
        data: As :func:`tools.bench.cityflow_cases.cityflow_case` takes it.
    """
    case = cityflow_case(data, "S01")

    def row(name: str, tracks: Sequence[GlobalTrack]) -> Row:
        return Row(name, score(case.truth, submission(case, tracks, PostprocessConfig()), metrics=("identity",)))

    passages = case.passages
    yield row("no identities across cameras", number(passages, np.arange(len(passages))))
    yield row("greedy clustering on the ground, clocks as given", number(passages, greedy(passages)))
    known: dict[Place, Case] = {}
    for cue in CUES:
        if cue.place not in known:
            known[cue.place] = place_for(case, cue.place)
        choices = parse_settings(AssociateConfig, {"graph": dict(cue.settings)})
        yield row(cue.name, associate(known[cue.place].passages, known[cue.place].scene, choices))
    yield row("true identities on these tracklets", number(passages, oracle(passages, case.truth, case.scene)))


def greedy(passages: Sequence[Passage], near_m: float = _NEAR_M) -> Array:
    """Plain clustering: the nearest pair of two cameras first, by median distance on the ground at common moments,
    as long as no camera is twice in a group: labels int64 (N,).
    """  # noqa: D205
    trajectories = sample_trajectories(passages)
    names = [p.tracklet.camera_id for p in passages]
    order = np.argsort(trajectories.tick, kind="stable")
    place = np.column_stack([trajectories.xy, trajectories.tick * 1e5])
    near: dict[tuple[int, int], list[float]] = {}
    for i, j in cKDTree(place[order]).query_pairs(25.0):
        a, b = order[i], order[j]
        pair = sorted((int(trajectories.owner[a]), int(trajectories.owner[b])))
        if names[pair[0]] != names[pair[1]]:
            near.setdefault((pair[0], pair[1]), []).append(
                float(np.hypot(*(trajectories.xy[a] - trajectories.xy[b])))
            )
    groups = [[k] for k in range(len(passages))]
    for _, (a, b) in sorted((float(np.median(d)), pair) for pair, d in near.items() if np.median(d) <= near_m):
        mine, theirs = groups[a], groups[b]
        if mine is not theirs and not {names[k] for k in mine} & {names[k] for k in theirs}:
            mine += theirs
            for k in theirs:
                groups[k] = mine
    return np.array([min(group) for group in groups])
