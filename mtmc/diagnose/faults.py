"""Which links between tracklets are wrong, which are missing, and why.

Each fault names the two tracklets association would have had to tell apart or bring together, and what it thinks of
exactly that pair. Of several pairs between two groups the one that it likes best stands for the group.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.diagnose.case import Case, matches
from mtmc.diagnose.reasons import Judge, Opinion
from mtmc.pipeline.results import LoadedRun
from mtmc.types import Array, Passage

__all__ = ["REASONS", "Fault", "View", "find_faults"]

#: What each reason means; the parts that lose boxes (:data:`~mtmc.diagnose.waterfall.PARTS`) are reasons too.
REASONS: dict[str, str] = {
    "appearance": "looks decided: too unlike for one vehicle, or two vehicles too alike",
    "place and time": "nearness on the ground or travel time decided, against or for",
    "time gate": "too long out of sight, or outside the travel times of the links",
    "link gate": "no link leads from where one was last seen to where the other came in",
    "ground gate": "too far apart on the ground for one vehicle",
    "same camera": "two tracklets of one camera, which the rules keep apart",
    "rivals": "the two alone would be joined, but not with what each of them was joined to",
    "through a third": "the two alone would not be joined, but each was joined to something between",
    "mixed tracklet": "one of the tracklets shows both vehicles",
    "tracking": "the tracker went on with another vehicle, or never began",
}

_MIXED_SHARE, _MIXED_BOXES = 0.1, 3  # of a tracklet's matched boxes, before a second vehicle in it counts


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A vehicle in one camera: a tracklet of the run, or true boxes that none covers.

    Attributes:
        camera_id: The camera.
        track_id: The tracklet, 0 where there is none.
        vehicle: True identity it shows most, −1 if it is not annotated.
        identity: What the run calls it, 0 where there is no tracklet.
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
class Fault:
    """One thing that is wrong.

    Attributes:
        kind: "false merge", "missed merge", "split", "mixed tracklet" or "missing tracklet".
        reason: What let it happen, such as "appearance", "time gate" or "detector".
        first, second: The two views concerned; of a missing tracklet the second is the vehicle elsewhere, or None.
        boxes: Boxes that have, or lack, an identity because of it.
        value: What association says of the pair, in the judge's unit; NaN if nothing.
        text: In a sentence.
    """

    kind: str
    reason: str
    first: View
    second: View | None
    boxes: int
    value: float
    text: str


def find_faults(run: LoadedRun, case: Case, lost: Array, judge: Judge) -> list[Fault]:
    """All faults, those with most boxes at stake first.

    Joining a tracklet that nobody annotated is not among them: it may be right. Nor, where the protocol accepts
    vehicles of several cameras only, is what is missing of those that one camera only saw: it could not count.

    Args:
        run: The run.
        case: It beside the truth.
        lost: As from :func:`~mtmc.diagnose.lost.lost_at`.
        judge: Of the run's method.
    """
    finder = _Finder(run, case, lost, judge)
    faults = [*finder.false_merges(), *finder.missed_merges(), *finder.mixed(), *finder.missing()]
    return sorted(
        faults,
        key=lambda f: (-f.boxes, f.kind, f.first.camera_id, f.first.track_id, f.first.vehicle, f.second is not None),
    )


class _Finder:
    """The run's tracklets with what they show."""

    def __init__(self, run: LoadedRun, case: Case, lost: Array, judge: Judge) -> None:
        self.run, self.case, self.lost, self.judge = run, case, lost, judge
        self.camera_id = {camera.number: camera.id for camera in run.scene.cameras}
        self.number = {camera.id: camera.number for camera in run.scene.cameras}
        identity = {_name(p): t.global_id for t in run.tracks for p in t.passages}
        shown = self._shown()
        self.passages = [p for p in run.passages if _name(p) in shown]
        self.shows: dict[tuple[str, int], Counter[int]] = shown
        self.identity = {_name(p): identity.get(_name(p), 0) for p in self.passages}
        labels = {}
        boxes = case.boxes
        for camera, track_id, label in np.unique(
            np.stack([boxes.camera, boxes.track_id, case.label], axis=1), axis=0
        ).tolist():
            labels[self.camera_id[camera], track_id] = label
        self.label: dict[tuple[str, int], int] = labels
        seen = np.unique(np.stack([case.truth.id, case.truth.camera], axis=1), axis=0)
        vehicles, cameras = np.unique(seen[:, 0], return_counts=True)
        self.counts = set(vehicles[(cameras > 1) | (case.protocol != "aicity")].tolist())

    def _shown(self) -> dict[tuple[str, int], Counter[int]]:
        """True identities of each tracklet's boxes: how many of each."""
        boxes, case = self.case.boxes, self.case
        right = (case.match >= 0) & matches(case.iou)
        vehicle = np.where(right, case.truth.id[case.match], -1)
        shown: dict[tuple[str, int], Counter[int]] = defaultdict(Counter)
        rows, count = np.unique(np.stack([boxes.camera, boxes.track_id, vehicle], axis=1), axis=0, return_counts=True)
        for (camera, track_id, who), n in zip(rows.tolist(), count.tolist(), strict=True):
            shown[self.camera_id[camera], track_id][who] += n
        return shown

    def size(self, passage: Passage) -> int:
        """Boxes of a tracklet that show its vehicle; all of them if it is not annotated."""
        name = _name(passage)
        label = self.label[name]
        return self.shows[name][label] if label >= 0 else sum(self.shows[name].values())

    def second_vehicles(self, passage: Passage) -> dict[int, int]:
        """Other vehicles that a tracklet shows for some time, and in how many boxes."""
        shown, label = self.shows[_name(passage)], self.label[_name(passage)]
        least = max(_MIXED_BOXES, math.ceil(_MIXED_SHARE * sum(n for who, n in shown.items() if who >= 0)))
        return {who: n for who, n in sorted(shown.items()) if who not in (-1, label) and n >= least}

    def false_merges(self) -> Iterable[Fault]:
        """Of each identity the vehicles that do not belong to its main one."""
        groups: dict[int, list[Passage]] = defaultdict(list)
        for passage in self.passages:
            if self.identity[_name(passage)]:
                groups[self.identity[_name(passage)]].append(passage)
        for _, members in sorted(groups.items()):
            by_vehicle = self._by(members, self.label)
            by_vehicle.pop(-1, None)
            main = self._largest(by_vehicle)
            for vehicle, strangers in sorted(by_vehicle.items()):
                if vehicle == main:
                    continue
                others = [p for p in members if self.label[_name(p)] not in (vehicle, -1)]
                a, b, opinion = self._favourite(strangers, others)
                yield self._fault(
                    "false merge", self._why_joined(a, b, opinion), a, b, sum(map(self.size, strangers)), opinion
                )

    def _why_joined(self, a: Passage, b: Passage, opinion: Opinion) -> str:
        for one, other in ((a, b), (b, a)):
            if self.label[_name(other)] in self.second_vehicles(one):
                return "mixed tracklet"
        if opinion.enough and not opinion.gate:
            return opinion.cue
        return "through a third"

    def missed_merges(self) -> Iterable[Fault]:
        """Of each vehicle the parts that do not have its main identity."""
        by_vehicle = self._by(self.passages, self.label)
        for _, members in sorted(item for item in by_vehicle.items() if item[0] in self.counts):
            # a tracklet that was left out has no identity, so it is a part of its own
            parts = self._by(members, {n: g or -k - 1 for k, (n, g) in enumerate(sorted(self.identity.items()))})
            main = self._largest(parts)
            for identity, part in sorted(parts.items()):
                if identity == main:
                    continue
                at_home = {p.tracklet.camera_id for p in parts[main]}
                fragments = [p for p in part if p.tracklet.camera_id in at_home]
                if len(fragments) == len(part):
                    cameras = {p.tracklet.camera_id for p in fragments}
                    home = [p for p in parts[main] if p.tracklet.camera_id in cameras]
                    a, b, opinion = self._favourite(fragments, home, same_camera=True)
                    kind = "split"
                else:
                    a, b, opinion = self._favourite(part, parts[main], same_camera=False)
                    kind = "missed merge"
                yield self._fault(kind, self._why_apart(opinion), a, b, sum(map(self.size, part)), opinion)

    @staticmethod
    def _why_apart(opinion: Opinion) -> str:
        if opinion.gate:
            return opinion.gate
        return "rivals" if opinion.enough else opinion.cue

    def mixed(self) -> Iterable[Fault]:
        """Tracklets that go over from one vehicle to another."""
        for passage in self.passages:
            for who, n in self.second_vehicles(passage).items():
                view = self._view(passage)
                text = (
                    f"{view.name} shows vehicle {view.vehicle} in {self.size(passage)} boxes and vehicle {who} in {n}"
                )
                other = self._true_view(who, view.camera_id)
                yield Fault("mixed tracklet", "tracking", view, other, n, math.nan, text)

    def missing(self) -> Iterable[Fault]:
        """Vehicles that no tracklet of a camera shows."""
        truth, case = self.case.truth, self.case
        have = {(name[0], label) for name, label in self.label.items()}
        place = np.full(len(truth), -1)
        place[case.match[case.match >= 0]] = np.flatnonzero(case.match >= 0)
        pairs = np.unique(np.stack([truth.id, truth.camera], axis=1), axis=0)
        for vehicle, camera in pairs.tolist():
            if vehicle not in self.counts or (self.camera_id[camera], vehicle) in have:
                continue
            rows = np.flatnonzero((truth.id == vehicle) & (truth.camera == camera))
            causes: Counter[str] = Counter()
            for row, box in zip(rows.tolist(), place[rows].tolist(), strict=True):
                if box < 0:
                    causes[str(self.lost[row])] += 1
                else:
                    causes["box placement" if not matches(case.iou[box : box + 1])[0] else "mixed tracklet"] += 1
            reason = min(causes, key=lambda cause: (-causes[cause], cause))
            view = self._true_view(vehicle, self.camera_id[camera])
            elsewhere = [p for p in self.passages if self.label[_name(p)] == vehicle]
            second = self._view(max(elsewhere, key=self.size)) if elsewhere else None
            text = (
                f"vehicle {vehicle} has no tracklet in {view.camera_id}, where it is annotated in {len(rows)} frames"
            )
            yield Fault("missing tracklet", reason, view, second, len(rows), math.nan, text)

    def _by(self, passages: Sequence[Passage], key: Mapping[tuple[str, int], int]) -> dict[int, list[Passage]]:
        groups: dict[int, list[Passage]] = defaultdict(list)
        for passage in passages:
            groups[key[_name(passage)]].append(passage)
        return dict(groups)

    def _largest(self, groups: Mapping[int, Sequence[Passage]]) -> int:
        return max(groups, key=lambda g: (sum(map(self.size, groups[g])), -g), default=0)

    def _favourite(
        self, these: Sequence[Passage], those: Sequence[Passage], *, same_camera: bool | None = None
    ) -> tuple[Passage, Passage, Opinion]:
        """The pair between two groups that association likes best: possible ones first, then by value and name."""
        asked = [
            (a, b, self.judge.ask(a, b))
            for a in these
            for b in those
            if same_camera is None or same_camera == (a.tracklet.camera_id == b.tracklet.camera_id)
        ]
        return min(
            asked,
            key=lambda t: (
                bool(t[2].gate),
                -t[2].value if math.isfinite(t[2].value) else 1e9,
                _name(t[0]),
                _name(t[1]),
            ),
        )

    def _fault(self, kind: str, reason: str, a: Passage, b: Passage, boxes: int, opinion: Opinion) -> Fault:
        first, second = self._view(a), self._view(b)
        if kind == "false merge":
            text = f"{first.name} (vehicle {first.vehicle}) and {second.name} (vehicle {second.vehicle}) are one"
        else:
            text = f"{first.name} and {second.name} show vehicle {first.vehicle} and are two"
        value = opinion.value
        text += f"; {value:.2f} ({self.judge.unit})" if math.isfinite(value) else ""
        for passage, view in ((a, first), (b, second)):
            others = [f"{n} boxes of vehicle {who}" for who, n in self.second_vehicles(passage).items()]
            text += f"; {view.name} also shows {' and '.join(others)}" if others else ""
        return Fault(kind, reason, first, second, boxes, value, text)

    def _view(self, passage: Passage) -> View:
        t = passage.tracklet
        name = _name(passage)
        xyxy = t.xyxy.astype(np.float64)
        return View(t.camera_id, t.track_id, self.label[name], self.identity[name], t.frame, t.time_s, xyxy)

    def _true_view(self, vehicle: int, camera_id: str) -> View:
        truth = self.case.truth
        rows = np.flatnonzero((truth.id == vehicle) & (truth.camera == self.number[camera_id]))
        rows = rows[np.argsort(truth.frame[rows], kind="stable")]
        frame = truth.frame[rows]
        time_s = self.run.scene.camera(camera_id).clock.time_s(frame)
        return View(camera_id, 0, vehicle, 0, frame, time_s, truth.xyxy[rows])


def _name(passage: Passage) -> tuple[str, int]:
    return passage.tracklet.camera_id, passage.tracklet.track_id
