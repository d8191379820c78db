"""What each stage costs: the run's own answer, mended step by step until it is the truth.

Each step mends one more thing and is scored by the official protocol; what a step gains is what the thing it mends
has cost. The steps begin where the pipeline ends, so a stage is judged on what the stages before it gave it, and the
gains sum to 1 − IDF1 by construction. A gain may be slightly negative, where two errors had hidden each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmc.diagnose.case import Case, matches
from mtmc.evaluate import Scores, score
from mtmc.formats.table import Table
from mtmc.types import Array

__all__ = ["PARTS", "Step", "relabelled", "waterfall"]

#: Name of each part of the loss, in the order in which it is mended, and what is mended.
PARTS: dict[str, str] = {
    "association": "tracklets of one vehicle have different identities, or of two vehicles the same",
    "fragmentation": "one camera's view of a vehicle is in several tracklets",
    "mixed tracklets": "a tracklet goes from one vehicle over to another",
    "interpolated boxes": "boxes that nobody detected, where no vehicle is annotated",
    "false detections": "detected boxes where no vehicle is annotated",
    "box placement": "the vehicle was found, but its box overlaps the true one too little",
    "post-processing": "boxes of vehicles dropped after association",
    "clean-up": "boxes of vehicles tracked, but dropped with their tracklet",
    "tracking": "boxes of vehicles detected, but never tracked",
    "filter": "boxes of vehicles detected, but filtered out before tracking",
    "detector": "vehicles not detected",
    "given boxes": "vehicles that the given tracklets or detections lack",
    "region of interest": "true boxes that the official protocol does not accept in answers",
    "single-camera filter": "vehicles annotated in one camera only, which the protocol does not accept",
}
_MISSING = ("post-processing", "clean-up", "tracking", "filter", "detector", "given boxes")


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the loss.

    Attributes:
        name: What is mended, a key of :data:`PARTS`; "run" for the answer as it is.
        scores: Of the answer once this, and all before it, is mended.
        gain: IDF1 gained by it.
    """

    name: str
    scores: Scores
    gain: float


def waterfall(case: Case, lost: Array) -> list[Step]:
    """The run's scores, then one step for each part of :data:`PARTS`, up to IDF1 = 1.

    Args:
        case: The run beside the truth.
        lost: str (T,), for each true box that no box of the run has found the name of the part that lost it.

    Raises:
        ValueError: A true box was lost by no known part.
    """
    boxes, match, truth = case.boxes, case.match, case.truth
    found = match >= 0
    there = np.zeros(len(truth), bool)
    there[match[found]] = True
    unknown = sorted(set(lost[~there].tolist()) - set(_MISSING))
    if unknown:
        raise ValueError(f"waterfall: expected one of {', '.join(_MISSING)}, got {unknown[0]!r}")
    joined = relabelled(case)
    own = joined.id.copy()
    own[found] = truth.id[match[found]]
    linked = boxes.with_columns(id=own)
    answers = [
        ("association", relabelled(case, fragments=False)),
        ("fragmentation", joined),
        ("mixed tracklets", linked),
        ("interpolated boxes", linked[found | (boxes.score > 0)]),
        ("false detections", linked[found]),
        ("box placement", truth[there]),
    ]
    for name in _MISSING:
        there = there | (lost == name)
        answers.append((name, truth[there]))
    steps = [Step("run", case.score(case.written), 0.0)]
    for name, answer in answers:
        _add(steps, name, case.score(answer))
    _add(steps, "region of interest", case.score(truth, regions=False))
    _add(steps, "single-camera filter", score(truth, truth, metrics=("identity",)))
    return steps


def _add(steps: list[Step], name: str, scores: Scores) -> None:
    steps.append(Step(name, scores, scores.idf1 - steps[-1].scores.idf1))


def relabelled(case: Case, *, fragments: bool = True) -> Table:
    """The run's boxes, each tracklet under the true identity that it overlaps most; those without one by themselves.

    Args:
        case: The run beside the truth.
        fragments: Whether all tracklets of a vehicle in a camera count as one. Otherwise only those do that the run
            itself has joined, the largest such group under the true identity.
    """
    boxes, label = case.boxes, case.label
    own = int(max(case.truth.id.max(), boxes.id.max(initial=0))) + 1
    tracklet = np.unique(np.stack([boxes.camera, boxes.track_id], axis=1), axis=0, return_inverse=True)[1]
    identity = np.where(label >= 0, label, own + tracklet.reshape(-1))
    if not fragments:
        group = np.unique(np.stack([boxes.camera, boxes.id, label], axis=1), axis=0, return_inverse=True)[1]
        group = group.reshape(-1)
        right = (case.match >= 0) & (case.truth.id[case.match] == label) & matches(case.iou)
        size = np.bincount(group, weights=right, minlength=int(group.max(initial=-1)) + 1)
        largest = _largest_groups(boxes.camera, label, group, size)
        identity = np.where((label >= 0) & ~largest[group], own + len(boxes) + group, identity)
    return boxes.with_columns(id=identity)


def _largest_groups(camera: Array, label: Array, group: Array, size: Array) -> Array:
    """Which groups hold the most matched boxes of their vehicle in their camera: bool (G,). Ties: the first."""
    largest = np.zeros(len(size), bool)
    best: dict[tuple[int, int], tuple[float, int]] = {}
    first = np.unique(group, return_index=True)[1]
    for g, row in enumerate(first.tolist()):
        key = int(camera[row]), int(label[row])
        if key not in best or size[g] > best[key][0]:
            best[key] = float(size[g]), g
    for _, g in best.values():
        largest[g] = True
    return largest
