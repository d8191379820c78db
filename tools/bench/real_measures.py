"""What a detector and a tracker do on a clip with annotated frames, as counts that a person can check by eye.

The truth is a MOT file in which a 0 in the seventh column marks what counts neither way: vehicles too small to judge
and regions in which nothing was annotated. Frames without any row were not looked at, and nothing in them is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from mtmc.formats.table import Table
from mtmc.geometry.boxes import area, iou_matrix
from mtmc.types import Array

__all__ = [
    "DetectionCounts",
    "IdentityCounts",
    "Matching",
    "TrackCounts",
    "count_detections",
    "count_tracks",
    "match_boxes",
    "repeated_identities",
    "share_in_several_cameras",
]

_MIN_IOU = 0.5
#: Share of a box that must lie inside a row that does not count, for the box not to count either.
_IGNORED_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Which boxes of the truth were found.

    Attributes:
        truth: int64 (K,), matched rows of the truth, in order of frame.
        found: int64 (K,), the found rows that match them.
        judged: bool (R,), the found rows that count: matched, or in an annotated frame and outside what is ignored.
    """

    truth: Array
    found: Array
    judged: Array


@dataclass(frozen=True, slots=True)
class DetectionCounts:
    """Boxes of single frames.

    Attributes:
        boxes: Annotated boxes that count.
        matched: Those that were found.
        found: Found boxes that count.
    """

    boxes: int
    matched: int
    found: int

    @property
    def recall(self) -> float:
        """Share of the annotated boxes that were found; NaN without any."""
        return _share(self.matched, self.boxes)

    @property
    def precision(self) -> float:
        """Share of the found boxes that are vehicles; NaN without any."""
        return _share(self.matched, self.found)


@dataclass(frozen=True, slots=True)
class IdentityCounts:
    """What became of the annotated vehicles.

    Attributes:
        identities: Annotated vehicles.
        switches: How often an annotated vehicle goes on under another identity than before.
        hand_overs: How often an identity goes on to another annotated vehicle.
        fragments: How often a vehicle is lost and found again, under whatever identity.
        gaps: Annotated boxes that are missed between the first and the last match of their vehicle.
    """

    identities: int
    switches: int
    hand_overs: int
    fragments: int
    gaps: int


@dataclass(frozen=True, slots=True)
class TrackCounts:
    """Boxes and identities of tracks.

    Attributes:
        boxes: Boxes of the tracks, as of single frames.
        identity: None where the truth has no identities.
        interpolated: Boxes that no detection stands behind, in annotated frames and outside what is ignored.
        interpolated_right: Those of them that match an annotated box.
        detected: Annotated boxes that a detection matches.
        kept: Those of them that a box of a track matches behind which a detection stands.
    """

    boxes: DetectionCounts
    identity: IdentityCounts | None
    interpolated: int
    interpolated_right: int
    detected: int
    kept: int

    @property
    def interpolated_precision(self) -> float:
        """Share of the interpolated boxes that are right; NaN without any."""
        return _share(self.interpolated_right, self.interpolated)

    @property
    def kept_share(self) -> float:
        """Share of the matched detections that the tracks keep; NaN without any."""
        return _share(self.kept, self.detected)


def match_boxes(truth: Table, found: Table, min_iou: float = _MIN_IOU) -> Matching:
    """Match boxes one to one in every annotated frame.

    An annotated vehicle keeps the identity that it matched in the frame before, if that still overlaps enough; the
    rest is matched so that most boxes are matched and, among such matchings, the overlap is greatest.

    Args:
        truth: Rows with a score of 0 do not count. Identity −1 means that vehicles have none.
        found: Detections (identity −1) or tracks.
        min_iou: Least overlap of a match.
    """
    counts = truth.score != 0
    judged = np.zeros(len(found), bool)
    pairs: list[tuple[int, int]] = []
    last: dict[int, int] = {}
    for frame in np.unique(truth.frame).tolist():
        here = np.flatnonzero(found.frame == frame)
        vehicles = np.flatnonzero((truth.frame == frame) & counts)
        ignored = truth.xyxy[(truth.frame == frame) & ~counts]
        matched = _match_frame(truth, found, vehicles, here, last, min_iou)
        last = {int(truth.id[row]): int(found.id[column]) for row, column in matched}
        judged[here] = ~_lies_in(found.xyxy[here], ignored, min_iou)
        judged[[column for _, column in matched]] = True
        pairs += matched
    rows = np.array(pairs, np.int64).reshape(-1, 2)
    return Matching(rows[:, 0], rows[:, 1], judged)


def count_detections(truth: Table, found: Table) -> DetectionCounts:
    """Recall and precision of boxes, whatever their identities."""
    matching = match_boxes(truth, found.with_columns(id=np.full(len(found), -1)))
    return _boxes(truth, matching)


def count_tracks(truth: Table, tracks: Table, detections: Table) -> TrackCounts:
    """Everything about the tracks of one camera.

    Args:
        truth: As :func:`match_boxes` takes it.
        tracks: All boxes of the tracks; a score of 0 says that no detection stands behind the box.
        detections: What the tracker was given.
    """
    matching = match_boxes(truth, tracks)
    seen = tracks.score > 0
    is_right = np.zeros(len(tracks), bool)
    is_right[matching.found] = True
    detected = match_boxes(truth, detections.with_columns(id=np.full(len(detections), -1))).truth
    kept = matching.truth[seen[matching.found]]
    has_identities = bool((truth.id[truth.score != 0] >= 0).all())
    return TrackCounts(
        boxes=_boxes(truth, matching),
        identity=_identity_counts(truth, tracks, matching) if has_identities else None,
        interpolated=int((matching.judged & ~seen).sum()),
        interpolated_right=int((is_right & ~seen).sum()),
        detected=len(detected),
        kept=len(np.intersect1d(detected, kept)),
    )


def repeated_identities(tracks: Table) -> int:
    """Boxes beyond the first of one identity in one frame of one camera, over the whole clip."""
    return len(tracks) - len(np.unique(np.stack([tracks.camera, tracks.frame, tracks.id], axis=1), axis=0))


def share_in_several_cameras(tracks: Table) -> tuple[int, int]:
    """Vehicles that more than one camera saw, and all vehicles."""
    seen = np.unique(np.stack([tracks.id, tracks.camera], axis=1), axis=0)
    _, cameras = np.unique(seen[:, 0], return_counts=True)
    return int((cameras > 1).sum()), len(cameras)


def _match_frame(
    truth: Table, found: Table, vehicles: Array, here: Array, last: dict[int, int], min_iou: float
) -> list[tuple[int, int]]:
    """Pairs of a row of the truth and a found row of one frame."""
    if not len(vehicles) or not len(here):
        return []
    overlap = iou_matrix(truth.xyxy[vehicles], found.xyxy[here])
    overlap = np.where(overlap >= min_iou, overlap, 0.0)
    goes_on = (overlap > 0) & _same_as_before(truth.id[vehicles], found.id[here], last)
    # One box more is worth more than any sum of overlaps, a kept identity more than any number of boxes.
    worth = np.where(overlap > 0, overlap + len(here) + (len(here) + 1) ** 2 * goes_on, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(vehicles[i]), int(here[j])) for i, j in zip(rows, columns, strict=True) if overlap[i, j] > 0]


def _same_as_before(true_ids: Array, found_ids: Array, last: dict[int, int]) -> Array:
    before = np.array([last.get(int(identity), -1) for identity in true_ids])
    is_known = (true_ids >= 0) & (before >= 0)
    return np.asarray(is_known[:, None] & (before[:, None] == found_ids[None]))


def _lies_in(boxes: Array, ignored: Array, min_iou: float) -> Array:
    """Which boxes are one of the ignored rows, or lie for the greater part within one."""
    if not len(boxes) or not len(ignored):
        return np.zeros(len(boxes), bool)
    corner1 = np.maximum(boxes[:, None, :2], ignored[None, :, :2])
    corner2 = np.minimum(boxes[:, None, 2:], ignored[None, :, 2:])
    common = np.clip(corner2 - corner1, 0, None).prod(axis=2)
    inside = common >= _IGNORED_SHARE * area(boxes)[:, None]
    return np.asarray((inside | (iou_matrix(boxes, ignored) >= min_iou)).any(axis=1))


def _boxes(truth: Table, matching: Matching) -> DetectionCounts:
    return DetectionCounts(int((truth.score != 0).sum()), len(matching.truth), int(matching.judged.sum()))


def _identity_counts(truth: Table, tracks: Table, matching: Matching) -> IdentityCounts:
    true_ids = truth.id[matching.truth]
    found_ids = tracks.id[matching.found]
    identities = np.unique(truth.id[truth.score != 0])
    was_matched = np.zeros(len(truth), bool)
    was_matched[matching.truth] = True
    fragments = gaps = 0
    for identity in identities:
        rows = np.flatnonzero((truth.id == identity) & (truth.score != 0))
        rows = rows[np.argsort(truth.frame[rows], kind="stable")]
        lengths = _interruptions(was_matched[rows])
        fragments += len(lengths)
        gaps += sum(lengths)
    return IdentityCounts(
        identities=len(identities),
        switches=_changes(true_ids, found_ids),
        hand_overs=_changes(found_ids, true_ids),
        fragments=fragments,
        gaps=gaps,
    )


def _changes(of: Array, partner: Array) -> int:
    """How often the partner of an identity is another than that before; rows are in order of frame."""
    order = np.argsort(of, kind="stable")
    same = of[order][1:] == of[order][:-1]
    return int((same & (partner[order][1:] != partner[order][:-1])).sum())


def _interruptions(matched: Array) -> Sequence[int]:
    """Lengths of the runs of misses between two matches."""
    return [int(after - before - 1) for before, after in pairwise(np.flatnonzero(matched)) if after - before > 1]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
