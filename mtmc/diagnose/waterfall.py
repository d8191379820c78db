"""The loss of IDF1 by stage: the run's result is corrected step by step until it equals the truth.

Each step corrects one more kind of error and is scored by the official protocol; its gain is the loss that this
kind of error causes. The steps start at the end of the pipeline, so each stage is assessed on the output of the
stages before it, and the gains sum to 1 − IDF1 by construction. A gain may be slightly negative where two errors
had canceled each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmc.diagnose.matched_run import MatchedRun, matches
from mtmc.evaluate import Scores, score
from mtmc.formats.table import Table
from mtmc.types import Array

__all__ = ["PARTS", "Step", "relabel", "waterfall"]

#: The parts of the loss, in the order in which they are corrected, and what each consists of.
PARTS: dict[str, str] = {
    "association": "tracklets of one vehicle have different identities, or of two vehicles the same",
    "fragmentation": "the passage of a vehicle through a camera is divided into several tracklets",
    "mixed tracklets": "a tracklet changes from one vehicle to another",
    "interpolated boxes": "interpolated boxes where no vehicle is annotated",
    "false detections": "detected boxes where no vehicle is annotated",
    "box placement": "the vehicle was detected, but the IoU of its box with the true one is too small",
    "post-processing": "boxes of vehicles dropped after association",
    "clean-up": "boxes of tracked vehicles, dropped with their tracklet",
    "tracking": "boxes of detected vehicles that were not tracked",
    "filter": "boxes of detected vehicles, filtered out before tracking",
    "detector": "vehicles not detected",
    "given boxes": "vehicles that the given tracklets or detections lack",
    "region of interest": "true boxes that the official protocol does not accept in results",
    "single-camera filter": "vehicles annotated in one camera only, which the protocol does not accept",
}
_LOSING_STAGES = ("post-processing", "clean-up", "tracking", "filter", "detector", "given boxes")


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the loss.

    Attributes:
        name: The part that is corrected, a key of :data:`PARTS`; "run" for the result as it is.
        scores: Of the result with this part and all before it corrected.
        gain: IDF1 gained by the correction.
    """

    name: str
    scores: Scores
    gain: float


def waterfall(matched: MatchedRun, losing_stage: Array) -> list[Step]:
    """The run's scores, then one step for each part of :data:`PARTS`, up to IDF1 = 1.

    Args:
        matched: The run matched to ground truth.
        losing_stage: str (T,), for each true box without a match the name of the part that lost it.

    Raises:
        ValueError: A name is unknown.
    """
    boxes, match, truth = matched.boxes, matched.match, matched.truth
    has_match = match >= 0
    present = np.zeros(len(truth), bool)
    present[match[has_match]] = True
    unknown = sorted(set(losing_stage[~present].tolist()) - set(_LOSING_STAGES))
    if unknown:
        raise ValueError(f"waterfall: expected one of {', '.join(_LOSING_STAGES)}, got {unknown[0]!r}")

    defragmented = relabel(matched)
    true_id = defragmented.id.copy()
    true_id[has_match] = truth.id[match[has_match]]
    unmixed = boxes.with_columns(id=true_id)
    results = [
        ("association", relabel(matched, fragments=False)),
        ("fragmentation", defragmented),
        ("mixed tracklets", unmixed),
        ("interpolated boxes", unmixed[has_match | (boxes.score > 0)]),
        ("false detections", unmixed[has_match]),
        ("box placement", truth[present]),
    ]
    for name in _LOSING_STAGES:
        present = present | (losing_stage == name)
        results.append((name, truth[present]))

    steps = [Step("run", matched.score(matched.written), 0.0)]
    for name, result in results:
        _add(steps, name, matched.score(result))
    _add(steps, "region of interest", matched.score(truth, regions=False))
    _add(steps, "single-camera filter", score(truth, truth, metrics=("identity",)))
    return steps


def _add(steps: list[Step], name: str, scores: Scores) -> None:
    steps.append(Step(name, scores, scores.idf1 - steps[-1].scores.idf1))


def relabel(matched: MatchedRun, *, fragments: bool = True) -> Table:
    """The run's boxes with each tracklet under its true identity; tracklets without one get identities of their own.

    Args:
        matched: The run matched to ground truth.
        fragments: Whether all tracklets of a vehicle in a camera get its identity. Otherwise only the largest
            group of them that the run has joined gets it.
    """
    boxes, label = matched.boxes, matched.label
    first_unused = int(max(matched.truth.id.max(), boxes.id.max(initial=0))) + 1
    tracklet = np.unique(np.stack([boxes.camera, boxes.track_id], axis=1), axis=0, return_inverse=True)[1]
    identity = np.where(label >= 0, label, first_unused + tracklet.reshape(-1))
    if not fragments:
        group = np.unique(np.stack([boxes.camera, boxes.id, label], axis=1), axis=0, return_inverse=True)[1]
        group = group.reshape(-1)
        is_right = (matched.match >= 0) & (matched.truth.id[matched.match] == label) & matches(matched.iou)
        size = np.bincount(group, weights=is_right, minlength=int(group.max(initial=-1)) + 1)
        largest = _largest_groups(boxes.camera, label, group, size)
        identity = np.where((label >= 0) & ~largest[group], first_unused + len(boxes) + group, identity)
    return boxes.with_columns(id=identity)


def _largest_groups(camera: Array, label: Array, group: Array, size: Array) -> Array:
    """Whether a group has the most matched boxes of its vehicle in its camera, the first on a tie: bool (G,)."""
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
