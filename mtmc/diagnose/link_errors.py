"""Which links between tracklets are wrong, which are missing, and why.

Every error names the two tracklets that association should have separated or joined, with the evidence that
association has for exactly that pair. Of several pairs between two groups of tracklets, the pair with the highest
score represents the group.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.diagnose.link_evidence import LinkEvidence, LinkExplainer
from mtmc.diagnose.matched_run import MatchedRun, matches
from mtmc.pipeline.results import LoadedRun
from mtmc.scene import Scene
from mtmc.types import Array, Passage

__all__ = ["REASONS", "LinkError", "TrackletView", "find_link_errors"]

#: The meaning of each reason; the parts that lose boxes (:data:`~mtmc.diagnose.waterfall.PARTS`) are reasons, too.
REASONS: dict[str, str] = {
    "appearance": "appearance decided: too different for one vehicle, or two vehicles too similar",
    "place and time": "distance on the ground or travel time decided, against or for the link",
    "time gate": "the gap in time is too long, or outside the travel times of the links",
    "link gate": "no link leads from the exit zone of the one to the entry zone of the other",
    "ground gate": "too far apart on the ground for one vehicle",
    "same camera": "two tracklets of one camera, which the rules keep apart",
    "rivals": "the two alone would be joined, but not together with the other tracklets of their identities",
    "through a third": "the two alone would not be joined, but both were joined to a tracklet between them",
    "mixed tracklet": "one of the tracklets shows both vehicles",
    "tracking": "the tracker continued with another vehicle, or never started",
}

#: A second vehicle in a tracklet counts from this fraction of its matched boxes, and from this number of boxes.
_MIXED_FRACTION, _MIXED_BOXES = 0.1, 3

_UNANNOTATED = -1
_Key = tuple[str, int]  # camera id and track id of a tracklet


@dataclass(frozen=True, slots=True, eq=False)
class TrackletView:
    """A vehicle in one camera: a tracklet of the run, or the true boxes of a vehicle without a tracklet.

    Attributes:
        camera_id: The camera.
        track_id: The tracklet, 0 where there is none.
        vehicle: The true identity that most of its boxes match, −1 if it is not annotated.
        identity: The identity in the run, 0 where there is no tracklet.
        frame: int64 (L,).
        time_s: float64 (L,), seconds on the scene's clock.
        xyxy: float64 (L, 4), pixels.
    """

    camera_id: str
    track_id: int
    vehicle: int
    identity: int
    frame: Array
    time_s: Array
    xyxy: Array

    @property
    def name(self) -> str:
        """Such as ``c003/17``."""
        return f"{self.camera_id}/{self.track_id}" if self.track_id else self.camera_id


@dataclass(frozen=True, slots=True, eq=False)
class LinkError:
    """One wrong or missing link.

    Attributes:
        kind: "false merge", "missed merge", "split", "mixed tracklet" or "missing tracklet".
        reason: Its cause, such as "appearance", "time gate" or "detector".
        first, second: The two views concerned; of a missing tracklet the second is the vehicle in another camera,
            or None.
        boxes: Boxes that have, or lack, an identity because of it.
        score: What association computes for the pair, in the explainer's unit; NaN if nothing.
        text: The error in a sentence.
    """

    kind: str
    reason: str
    first: TrackletView
    second: TrackletView | None
    boxes: int
    score: float
    text: str


def find_link_errors(
    run: LoadedRun, matched: MatchedRun, losing_stage: Array, explainer: LinkExplainer
) -> list[LinkError]:
    """All link errors, those with most boxes first.

    A tracklet that is not annotated and was joined to another is no error, since the link may be right. Where the
    protocol accepts vehicles of several cameras only, missing parts of vehicles that a single camera saw are no
    errors either.

    Args:
        run: The run.
        matched: The run matched to ground truth.
        losing_stage: As from :func:`~mtmc.diagnose.missed_boxes.losing_stages`.
        explainer: Of the run's association method.
    """
    tracklets = _LabeledTracklets.of(run, matched)
    errors = [
        *_false_merges(tracklets, explainer),
        *_missed_merges(tracklets, explainer),
        *_mixed_tracklets(tracklets),
        *_missing_tracklets(tracklets, losing_stage),
    ]
    return sorted(
        errors,
        key=lambda e: (-e.boxes, e.kind, e.first.camera_id, e.first.track_id, e.first.vehicle, e.second is not None),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _LabeledTracklets:
    """The run's tracklets with the vehicles that their boxes match.

    Attributes:
        scene: The scene of the run.
        matched: The run matched to ground truth.
        passages: Those that have boxes in the result or were left out of it.
        vehicles: For each tracklet the number of its boxes by true identity, −1 for boxes without a match.
        label: The true identity that most boxes of a tracklet match, or −1.
        identity: The identity that the run gave a tracklet, 0 if it was left out.
        scored_vehicles: True identities that the protocol accepts.
    """

    scene: Scene
    matched: MatchedRun
    passages: Sequence[Passage]
    vehicles: Mapping[_Key, Counter[int]]
    label: Mapping[_Key, int]
    identity: Mapping[_Key, int]
    scored_vehicles: frozenset[int]

    @classmethod
    def of(cls, run: LoadedRun, matched: MatchedRun) -> _LabeledTracklets:
        """Collect what the matching says of each tracklet."""
        vehicles, label = _vehicles_by_tracklet(run.scene, matched)
        passages = [passage for passage in run.passages if _key(passage) in vehicles]

        given = {_key(passage): track.global_id for track in run.tracks for passage in track.passages}
        identity = {_key(passage): given.get(_key(passage), 0) for passage in passages}

        return cls(run.scene, matched, passages, vehicles, label, identity, _scored_vehicles(matched))

    def boxes_of_label(self, passage: Passage) -> int:
        """Boxes of a tracklet that match its main vehicle; all of its boxes if it is not annotated."""
        vehicles, label = self.vehicles[_key(passage)], self.label[_key(passage)]
        return vehicles[label] if label != _UNANNOTATED else vehicles.total()

    def boxes_in(self, passages: Sequence[Passage]) -> int:
        """The sum of :meth:`boxes_of_label`."""
        return sum(map(self.boxes_of_label, passages))

    def second_vehicles(self, passage: Passage) -> dict[int, int]:
        """Other vehicles that many of a tracklet's boxes match: the number of these boxes by true identity."""
        vehicles, label = self.vehicles[_key(passage)], self.label[_key(passage)]
        matched_boxes = sum(boxes for vehicle, boxes in vehicles.items() if vehicle != _UNANNOTATED)
        fewest = max(_MIXED_BOXES, math.ceil(_MIXED_FRACTION * matched_boxes))
        return {
            vehicle: boxes
            for vehicle, boxes in sorted(vehicles.items())
            if vehicle not in (_UNANNOTATED, label) and boxes >= fewest
        }

    def largest(self, groups: Mapping[int, Sequence[Passage]]) -> int:
        """The key of the group with most boxes, the lowest on a tie; 0 without groups."""
        return max(groups, key=lambda group: (self.boxes_in(groups[group]), -group), default=0)

    def view(self, passage: Passage) -> TrackletView:
        """A tracklet of the run as a view."""
        t, key = passage.tracklet, _key(passage)
        xyxy = t.xyxy.astype(np.float64)
        return TrackletView(t.camera_id, t.track_id, self.label[key], self.identity[key], t.frame, t.time_s, xyxy)

    def true_view(self, vehicle: int, camera_id: str) -> TrackletView:
        """The true boxes of a vehicle in a camera as a view."""
        truth, camera = self.matched.truth, self.scene.camera(camera_id)
        rows = np.flatnonzero((truth.id == vehicle) & (truth.camera == camera.number))
        rows = rows[np.argsort(truth.frame[rows], kind="stable")]
        frame = truth.frame[rows]
        return TrackletView(camera_id, 0, vehicle, 0, frame, camera.clock.time_s(frame), truth.xyxy[rows])


def _vehicles_by_tracklet(scene: Scene, matched: MatchedRun) -> tuple[dict[_Key, Counter[int]], dict[_Key, int]]:
    """For each tracklet the boxes by true identity, and the true identity of most of them."""
    camera_id = {camera.number: camera.id for camera in scene.cameras}
    boxes = matched.boxes
    is_right = (matched.match >= 0) & matches(matched.iou)
    vehicle = np.where(is_right, matched.truth.id[matched.match], _UNANNOTATED)

    vehicles: dict[_Key, Counter[int]] = defaultdict(Counter)
    label: dict[_Key, int] = {}
    for number, track_id, box_label, box_vehicle in zip(
        boxes.camera.tolist(), boxes.track_id.tolist(), matched.label.tolist(), vehicle.tolist(), strict=True
    ):
        key = camera_id[number], track_id
        label[key] = box_label
        vehicles[key][box_vehicle] += 1
    return vehicles, label


def _scored_vehicles(matched: MatchedRun) -> frozenset[int]:
    """True identities that the protocol accepts: those of several cameras by the official one, else all."""
    views = np.unique(np.stack([matched.truth.id, matched.truth.camera], axis=1), axis=0)
    vehicles, cameras = np.unique(views[:, 0], return_counts=True)
    return frozenset(vehicles[(cameras > 1) | (matched.protocol != "aicity")].tolist())


def _false_merges(tracklets: _LabeledTracklets, explainer: LinkExplainer) -> Iterator[LinkError]:
    """For each identity, the vehicles that differ from its main one."""
    joined = [passage for passage in tracklets.passages if tracklets.identity[_key(passage)]]
    for _, members in sorted(_grouped(joined, tracklets.identity).items()):
        by_vehicle = _grouped(members, tracklets.label)
        by_vehicle.pop(_UNANNOTATED, None)
        main = tracklets.largest(by_vehicle)

        for vehicle, wrong in sorted(by_vehicle.items()):
            if vehicle == main:
                continue
            others = [p for p in members if tracklets.label[_key(p)] not in (vehicle, _UNANNOTATED)]
            a, b, evidence = _best_scored_pair(explainer, wrong, others)
            reason = _why_joined(tracklets, a, b, evidence)
            yield _merge_error(tracklets, explainer, "false merge", reason, a, b, wrong, evidence)


def _why_joined(tracklets: _LabeledTracklets, a: Passage, b: Passage, evidence: LinkEvidence) -> str:
    for one, other in ((a, b), (b, a)):
        if tracklets.label[_key(other)] in tracklets.second_vehicles(one):
            return "mixed tracklet"
    if evidence.accepted and not evidence.gate:
        return evidence.cue
    return "through a third"


def _missed_merges(tracklets: _LabeledTracklets, explainer: LinkExplainer) -> Iterator[LinkError]:
    """For each vehicle, the parts that do not have its main identity."""
    # A tracklet that was left out of the result has no identity, so it is a part of its own, with a negative key.
    part_of = {
        key: identity or -order for order, (key, identity) in enumerate(sorted(tracklets.identity.items()), start=1)
    }
    by_vehicle = _grouped(tracklets.passages, tracklets.label)
    for vehicle, members in sorted(by_vehicle.items()):
        if vehicle not in tracklets.scored_vehicles:
            continue
        parts = _grouped(members, part_of)
        main = tracklets.largest(parts)

        for key, part in sorted(parts.items()):
            if key == main:
                continue
            kind, a, b, evidence = _missed_pair(explainer, part, parts[main])
            yield _merge_error(tracklets, explainer, kind, _why_separate(evidence), a, b, part, evidence)


def _missed_pair(
    explainer: LinkExplainer, part: Sequence[Passage], main: Sequence[Passage]
) -> tuple[str, Passage, Passage, LinkEvidence]:
    """A "split" where all of the part lies in cameras of the main part, otherwise a "missed merge"; and the pair."""
    part_cameras = {passage.tracklet.camera_id for passage in part}
    main_cameras = {passage.tracklet.camera_id for passage in main}
    if part_cameras <= main_cameras:
        same_cameras = [passage for passage in main if passage.tracklet.camera_id in part_cameras]
        return "split", *_best_scored_pair(explainer, part, same_cameras, same_camera=True)
    return "missed merge", *_best_scored_pair(explainer, part, main, same_camera=False)


def _why_separate(evidence: LinkEvidence) -> str:
    if evidence.gate:
        return evidence.gate
    return "rivals" if evidence.accepted else evidence.cue


def _mixed_tracklets(tracklets: _LabeledTracklets) -> Iterator[LinkError]:
    """Tracklets that change from one vehicle to another."""
    for passage in tracklets.passages:
        for vehicle, boxes in tracklets.second_vehicles(passage).items():
            view = tracklets.view(passage)
            text = (
                f"{view.name} shows vehicle {view.vehicle} in {tracklets.boxes_of_label(passage)} boxes "
                f"and vehicle {vehicle} in {boxes}"
            )
            other = tracklets.true_view(vehicle, view.camera_id)
            yield LinkError("mixed tracklet", "tracking", view, other, boxes, math.nan, text)


def _missing_tracklets(tracklets: _LabeledTracklets, losing_stage: Array) -> Iterator[LinkError]:
    """Vehicles of a camera without a tracklet in it."""
    truth = tracklets.matched.truth
    with_tracklet = {(camera_id, label) for (camera_id, _), label in tracklets.label.items()}
    camera_id = {camera.number: camera.id for camera in tracklets.scene.cameras}

    for vehicle, number in np.unique(np.stack([truth.id, truth.camera], axis=1), axis=0).tolist():
        camera = camera_id[number]
        if vehicle not in tracklets.scored_vehicles or (camera, vehicle) in with_tracklet:
            continue
        rows = np.flatnonzero((truth.id == vehicle) & (truth.camera == number))
        reason = _main_cause(tracklets.matched, rows, losing_stage)
        view = tracklets.true_view(vehicle, camera)
        elsewhere = [p for p in tracklets.passages if tracklets.label[_key(p)] == vehicle]
        second = tracklets.view(max(elsewhere, key=tracklets.boxes_of_label)) if elsewhere else None
        text = f"vehicle {vehicle} has no tracklet in {camera}, where it is annotated in {len(rows)} frames"
        yield LinkError("missing tracklet", reason, view, second, len(rows), math.nan, text)


def _main_cause(matched: MatchedRun, rows: Array, losing_stage: Array) -> str:
    """The most frequent cause by which true boxes have no tracklet of their own, the first by name on a tie."""
    box_of = np.full(len(matched.truth), -1)
    has_truth = np.flatnonzero(matched.match >= 0)
    box_of[matched.match[has_truth]] = has_truth

    causes: Counter[str] = Counter()
    for row, box in zip(rows.tolist(), box_of[rows].tolist(), strict=True):
        if box < 0:
            causes[str(losing_stage[row])] += 1
        elif matches(matched.iou[box : box + 1])[0]:
            causes["mixed tracklet"] += 1
        else:
            causes["box placement"] += 1
    return min(causes, key=lambda cause: (-causes[cause], cause))


def _best_scored_pair(
    explainer: LinkExplainer, first: Sequence[Passage], second: Sequence[Passage], *, same_camera: bool | None = None
) -> tuple[Passage, Passage, LinkEvidence]:
    """The pair between two groups with the highest score: pairs that no gate excludes first; ties by key."""
    explained = [
        (a, b, explainer.explain(a, b))
        for a in first
        for b in second
        if same_camera is None or same_camera == (a.tracklet.camera_id == b.tracklet.camera_id)
    ]

    def rank(entry: tuple[Passage, Passage, LinkEvidence]) -> tuple[bool, float, _Key, _Key]:
        a, b, evidence = entry
        cost = -evidence.score if math.isfinite(evidence.score) else math.inf
        return bool(evidence.gate), cost, _key(a), _key(b)

    return min(explained, key=rank)


def _merge_error(
    tracklets: _LabeledTracklets,
    explainer: LinkExplainer,
    kind: str,
    reason: str,
    a: Passage,
    b: Passage,
    concerned: Sequence[Passage],
    evidence: LinkEvidence,
) -> LinkError:
    """The error of a pair, with its sentence; ``concerned`` are the tracklets whose identity is wrong."""
    first, second = tracklets.view(a), tracklets.view(b)
    if kind == "false merge":
        text = f"{first.name} (vehicle {first.vehicle}) and {second.name} (vehicle {second.vehicle}) are one identity"
    else:
        text = f"{first.name} and {second.name} show vehicle {first.vehicle} and are two identities"
    if math.isfinite(evidence.score):
        text += f"; {evidence.score:.2f} ({explainer.unit})"
    for passage, view in ((a, first), (b, second)):
        others = [f"{n} boxes of vehicle {vehicle}" for vehicle, n in tracklets.second_vehicles(passage).items()]
        text += f"; {view.name} also shows {' and '.join(others)}" if others else ""
    return LinkError(kind, reason, first, second, tracklets.boxes_in(concerned), evidence.score, text)


def _grouped(passages: Sequence[Passage], key_of: Mapping[_Key, int]) -> dict[int, list[Passage]]:
    groups: dict[int, list[Passage]] = defaultdict(list)
    for passage in passages:
        groups[key_of[_key(passage)]].append(passage)
    return dict(groups)


def _key(passage: Passage) -> _Key:
    return passage.tracklet.camera_id, passage.tracklet.track_id
