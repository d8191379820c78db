"""A user's work on one run: answers go into the journal, identities follow from them."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.embed.passages import EmbeddedTracklets
from mtmc.errors import ConfigError, FormatError
from mtmc.formats.track1 import read_track1, write_track1
from mtmc.pipeline.results import LoadedRun
from mtmc.pipeline.scoring import score_rows, score_scene
from mtmc.scene import Camera
from mtmc.types import Tracklet
from mtmc.view.association import CorrectedRun, RunAssociation
from mtmc.view.corrections import (
    answers,
    check_consistent,
    checked_vehicles,
    contradictions,
    corrections_of,
    counting_entries,
)
from mtmc.view.exports import ExportKind, write_crops, write_truth
from mtmc.view.journal import NUMBER_LIMIT, Box, Entry, Journal, Track, Tracklets, digest_of
from mtmc.view.questions import Question, questions
from mtmc.view.repairs import REPAIRS, embed_parts, repaired
from mtmc.view.run_data import ViewedRun, view_of

__all__ = ["Session", "Snapshot"]


@dataclass(frozen=True, slots=True, eq=False)
class _Repaired:
    """A run after some repairs.

    Attributes:
        repairs: The answers that repair tracklets, without their time.
        viewed: The run with its tracklets repaired.
        association: Of these tracklets.
        index: Of each passage by (camera_id, track_id).
        deleted: Tracklets that were deleted.
    """

    repairs: tuple[Entry, ...]
    viewed: ViewedRun
    association: RunAssociation
    index: dict[Track, int]
    deleted: frozenset[Track]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Tracklets and identities at one moment.

    Attributes:
        sequence: The number of the last answer.
        tracklets: What the tracklets are called: it changes when they are repaired.
        viewed: The run with its tracklets repaired.
        association: Of these tracklets.
        solution: Their identities.
        checked: Numbers of vehicles that a person has checked as they are.
    """

    sequence: int
    tracklets: str
    viewed: ViewedRun
    association: RunAssociation
    solution: CorrectedRun
    checked: frozenset[int]


class Session:
    """The journal of a run, and the identities under it.

    Args:
        viewed: The run.
        folder: Where journal and corrected result are written.

    Raises:
        FormatError: The journal is damaged, belongs to another version of the run, or holds impossible answers.
    """

    def __init__(self, viewed: ViewedRun, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder / "journal.jsonl", digest_of(viewed.passages))
        self._lock = threading.Lock()
        self._embedded: dict[tuple[Hashable, ...], EmbeddedTracklets] = {}
        self._given = _Repaired((), viewed, RunAssociation(viewed), _index_of(viewed), frozenset())
        self.agrees_with_run = self._given.association.agrees_with_run
        self._present = self._drafted = self._given
        self._solution = self._solved(None)

    @property
    def given(self) -> ViewedRun:
        """The run as it was made."""
        return self._given.viewed

    @property
    def viewed(self) -> ViewedRun:
        """The run, its tracklets repaired."""
        return self._present.viewed

    @property
    def association(self) -> RunAssociation:
        """Of the present tracklets."""
        return self._present.association

    @property
    def problem(self) -> str:
        """Why answers are not possible, "" if they are."""
        if self.association.candidates is not None:
            return ""
        method = self.viewed.run.config.associate.method
        return f"the run was associated by {method!r}; answers need associate.method=graph"

    def state(self) -> tuple[int, CorrectedRun]:
        """The number of the last answer, and the identities under all of them."""
        with self._lock:
            return self.journal.sequence, self._solution

    def snapshot(self) -> Snapshot:
        """Tracklets and identities that belong together."""
        with self._lock:
            present = self._present
            name = ".".join(str(repair.sequence) for repair in present.repairs)
            vehicle = dict(zip(present.index, self._solution.vehicle.tolist(), strict=True))
            checked = checked_vehicles(self.journal.entries, vehicle)
            return Snapshot(self.journal.sequence, name, present.viewed, present.association, self._solution, checked)

    def entries(self) -> list[tuple[Entry, bool]]:
        """All answers and whether they count."""
        with self._lock:
            counting = {entry.sequence for entry in counting_entries(self.journal.entries)}
            return [(entry, entry.sequence in counting) for entry in self.journal.entries]

    def reload(self) -> None:
        """Take over answers that another server has written into the journal."""
        with self._lock:
            before = self.journal.sequence
            self.journal.reload()
            if self.journal.sequence != before:
                self._solution = self._solved(self._solution)

    def expect(self, sequence: int) -> None:
        """Refuse a sender that does not know the last answer: its passages may be others now.

        Raises:
            StaleSequence: ``sequence`` is not the number of the last answer.
        """
        with self._lock:
            self.journal.expect(sequence)

    def answer(self, sequence: int, pair: tuple[int, int], is_same: bool) -> Entry:
        """Say of two passages that they are one vehicle, or two.

        Raises:
            StaleSequence: ``sequence`` is not the number of the last answer.
            ConfigError: The answer contradicts others, or answers are not possible.
        """
        named = self._named([pair])
        if is_same:
            return self._append(sequence, "same", must_link=named)
        return self._append(sequence, "different", cannot_link=named)

    def merge(self, sequence: int, vehicles: Sequence[int]) -> Entry:
        """Make several vehicles one; raises as :meth:`answer`."""
        members = [np.flatnonzero(self._solution.vehicle == vehicle) for vehicle in dict.fromkeys(vehicles)]
        if len(members) < 2 or any(len(m) == 0 for m in members):
            raise ConfigError(f"expected two or more vehicles of this run, got {list(vehicles)}")
        every = np.concatenate(members).tolist()
        return self._append(sequence, "merge", must_link=self._named([(every[0], k) for k in every[1:]]))

    def split(self, sequence: int, passages: Sequence[int]) -> Entry:
        """Make some passages of a vehicle a vehicle of their own; raises as :meth:`answer`."""
        chosen, rest = self._of_one_vehicle(passages)
        if not rest:
            raise ConfigError("expected some passages of the vehicle, got all of them", remedy="leave some out")
        return self._append(
            sequence,
            "split",
            must_link=self._named([(chosen[0], k) for k in chosen[1:]]),
            cannot_link=self._named([(i, j) for i in chosen for j in rest]),
        )

    def assign(self, sequence: int, passages: Sequence[int], number: int) -> Entry:
        """Give some passages of a vehicle a number: that of another vehicle, which they join, or one that is free.

        Passages of the vehicle that are left out keep its number and become another vehicle. Raises as
        :meth:`answer`.
        """
        chosen, rest = self._of_one_vehicle(passages)
        if not 0 < number < NUMBER_LIMIT:
            raise ConfigError(f"expected the number of a vehicle, got {number}", remedy="numbers start at 1")
        if self._solution.vehicle[chosen[0]] == number:
            raise ConfigError(f"expected another number than the present one, got {number}")
        others = np.flatnonzero(self._solution.vehicle == number).tolist()
        camera_id, track_id = self._names()[chosen[0]]
        return self._append(
            sequence,
            "assign",
            must_link=self._named([(chosen[0], k) for k in [*chosen[1:], *others]]),
            cannot_link=self._named([(i, j) for i in chosen for j in rest]),
            tracks=((camera_id, track_id),),
            number=number,
        )

    def cut(self, sequence: int, passage: int, frame: int) -> Entry:
        """Make two tracklets of one, the second from a frame on; raises as :meth:`answer`."""
        [track] = self._tracks([passage])
        return self._append(sequence, "cut", tracks=(track,), frame=frame, number=self._free_number(track[0]))

    def give_boxes(self, sequence: int, camera: int, boxes: Sequence[Box], passage: int | None = None) -> Entry:
        """Give boxes that no tracklet holds to one of a camera, or begin one with them; raises as :meth:`answer`.

        Args:
            sequence: The number of the last answer.
            camera: Index of the camera.
            boxes: At most one for a frame.
            passage: The tracklet; None for a new one.
        """
        if not 0 <= camera < len(self.viewed.cameras):
            raise ConfigError(f"expected a camera of this run, got {camera}")
        ordered, camera_id = tuple(sorted(boxes)), self.viewed.cameras[camera].id
        if passage is None:
            track, number = (camera_id, self._free_number(camera_id)), self._free_number(camera_id)
        else:
            [track], number = self._tracks([passage]), 0
            if track[0] != camera_id:
                raise ConfigError(f"expected a tracklet of camera {camera_id}, got one of {track[0]}")
        entry = Entry(sequence + 1, "boxes", tracks=(track,), number=number, boxes=ordered)
        if not entry.is_possible:
            raise ConfigError("expected boxes with an area, one for a frame", remedy="choose them on the pictures")
        width, height = self.viewed.cameras[camera].size_wh
        if any(x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height for _, x1, y1, x2, y2 in ordered):
            raise ConfigError(f"expected boxes within the {width} × {height} pixels of camera {camera_id}")
        return self._append(sequence, "boxes", tracks=(track,), number=number, boxes=ordered)

    def delete(self, sequence: int, passages: Sequence[int]) -> Entry:
        """Take tracklets away; raises as :meth:`answer`."""
        return self._append(sequence, "delete", tracks=self._tracks(passages))

    def reclassify(self, sequence: int, passages: Sequence[int], class_name: str) -> Entry:
        """Say of what class tracklets are; raises as :meth:`answer`."""
        return self._append(sequence, "class", tracks=self._tracks(passages), class_name=class_name)

    def check(self, sequence: int, passages: Sequence[int]) -> Entry:
        """Mark a vehicle, given by all its passages, as checked: no identity changes. Raises as :meth:`answer`."""
        _, rest = self._of_one_vehicle(passages)
        if rest:
            raise ConfigError("expected all passages of a vehicle, got some", remedy="load the page again")
        return self._append(sequence, "check", tracks=self._tracks(passages))

    def undo(self, sequence: int, undoes: int) -> Entry:
        """Let an answer count no longer; raises as :meth:`answer`."""
        if undoes not in {entry.sequence for entry in counting_entries(self.journal.entries)}:
            raise ConfigError(f"expected the number of an answer that counts, got {undoes}")
        return self._append(sequence, "undo", undoes=undoes)

    def questions(self) -> list[Question]:
        """What to ask next, see :func:`mtmc.view.questions.questions`."""
        if self.association.candidates is None:
            return []
        return questions(self.association.candidates, self.state()[1], self.viewed.lengths)

    def export(self, kind: ExportKind = "track1", *, only_checked: bool = False) -> Path:
        """Write the corrected result beside the journal; returns the file or folder.

        With ``only_checked`` ground truth and crops hold the vehicles that a person has checked, and no others.

        ========== =============================================================================================
        ``track1`` ``track1.txt``, as ``mtmc run`` writes it
        ``truth``  ``truth/c001/gt/gt.txt`` …: all vehicles with the boxes of their tracklets, for ``mtmc evaluate``
        ``crops``  ``crops/<vehicle>/<camera>/*.jpg``: the data set ``folder`` of ``reid train``
        ========== =============================================================================================

        Raises:
            ConfigError: No vehicle has been checked, or only checked ones of ``track1`` are asked for.
            MtmcError: It cannot be written; or there is no video to take crops from, or they must not be shown
                (``render.blur``).
        """
        now = self.snapshot()
        if only_checked and kind == "track1":
            raise ConfigError(
                "expected ground truth or crops of the checked vehicles, got track1",
                remedy="export 'truth' or 'crops'",
            )
        if only_checked and not now.checked:
            raise ConfigError("no vehicle has been checked", remedy="mark vehicles on the page Check")
        if kind == "track1":
            path = self.folder / "track1.txt"
            write_track1(now.association.table(now.solution), path)
            return path
        vehicles = now.association.vehicles(now.solution)
        if only_checked:
            vehicles = [vehicle for vehicle in vehicles if vehicle.global_id in now.checked]
        write = write_truth if kind == "truth" else write_crops
        return write(vehicles, now.viewed.run, self.folder / kind)

    def scores(self) -> dict[str, list[dict[str, str | float]] | None]:
        """Scores of the run and of the corrected result, a row for each camera and one for all; None without truth.

        Raises:
            MtmcError: The ground truth cannot be read any longer.
        """
        return {"run": self._scores(self.viewed.run.out / "track1.txt"), "corrected": self._scores(self.export())}

    def _scores(self, result: Path) -> list[dict[str, str | float]] | None:
        scene = self.viewed.run.scene
        return score_rows(score_scene(scene, read_track1(result)), scene)

    def _of_one_vehicle(self, passages: Sequence[int]) -> tuple[list[int], list[int]]:
        """Some passages of one vehicle, and the others of it."""
        chosen = sorted(set(passages))
        if not all(0 <= k < len(self.viewed.passages) for k in chosen):
            raise ConfigError(f"expected passages of this run, got {chosen}")
        vehicles = {int(self._solution.vehicle[k]) for k in chosen}
        if len(vehicles) != 1:
            raise ConfigError("expected passages of one vehicle", remedy="change one vehicle at a time")
        return chosen, sorted(set(np.flatnonzero(self._solution.vehicle == vehicles.pop()).tolist()) - set(chosen))

    def _names(self) -> list[Track]:
        return list(self._present.index)

    def _named(self, pairs: Sequence[tuple[int, int]]) -> tuple[Tracklets, ...]:
        names = self._names()
        for i, j in pairs:
            if not (0 <= i < len(names) and 0 <= j < len(names)) or i == j:
                raise ConfigError(f"expected two passages of this run, got {i} and {j}")
        return tuple((*names[i], *names[j]) for i, j in pairs)

    def _tracks(self, passages: Sequence[int]) -> tuple[Track, ...]:
        names = self._names()
        chosen = sorted(set(passages))
        if not chosen or not all(0 <= k < len(names) for k in chosen):
            raise ConfigError(f"expected passages of this run, got {chosen}")
        return tuple(names[k] for k in chosen)

    def _free_number(self, camera_id: str) -> int:
        """A tracklet number of a camera that no answer has ever used."""
        makers = [entry for entry in self.journal.entries if entry.action in ("cut", "boxes")]
        made = [entry.number for entry in makers if entry.tracks[0][0] == camera_id]
        return max([0, *made, *(number for camera, number in self._given.index if camera == camera_id)]) + 1

    def _append(self, sequence: int, action: str, **facts: Any) -> Entry:
        if self.problem:
            raise ConfigError(self.problem)
        with self._lock:
            if sequence == self.journal.sequence:
                entries = [*self.journal.entries, Entry(sequence + 1, action, **facts)]
                self._drafted = self._repaired(entries)
                check_consistent(entries, self._drafted.index, self._drafted.deleted)
            try:
                return self.journal.append(sequence, action, **facts)
            finally:
                self._solution = self._solved(self._solution)

    def _solved(self, known: CorrectedRun | None) -> CorrectedRun:
        """The identities under the journal; the known ones where nothing that they follow from has changed."""
        before = self._present.association
        self._present = self._read()
        corrections = corrections_of(self.journal.entries, self._present.index, self._present.deleted)
        association = self._present.association
        if known is not None and association is before and corrections == known.corrections:
            return known
        return association.solve(corrections)

    def _read(self) -> _Repaired:
        """The run after the repairs of the journal, whose answers are possible together: it may be edited by hand."""
        try:
            present = self._repaired(self.journal.entries)
            clashing = contradictions(self.journal.entries, present.index, present.deleted)
            if clashing:
                raise ConfigError(f"answers {', '.join(map(str, clashing))} contradict one another")
        except ConfigError as error:
            raise FormatError(
                f"holds answers that are not possible: {error.message}",
                path=self.journal.path,
                remedy="remove the line of the last one (answer k is in line k + 1) and those that follow it",
            ) from None
        return present

    def _repaired(self, entries: Sequence[Entry]) -> _Repaired:
        """The run after the repairs of a journal; pairs are measured anew only if these have changed."""
        counting = answers(entries)
        repairs = tuple(replace(entry, time_utc="") for entry in counting if entry.action in REPAIRS)
        run, deleted = repaired(self._given.viewed.run, counting, self._embed)
        for known in (self._given, self._present, self._drafted):
            if known.repairs == repairs:
                return known
        viewed = view_of(run)
        before = dict(zip(self._given.index, self._given.association.numbers.tolist(), strict=True))
        index = _index_of(viewed)
        numbers = np.array([before.get(name, 0) for name in index], np.int64)
        return _Repaired(repairs, viewed, RunAssociation(viewed, numbers), index, deleted)

    def _embed(self, run: LoadedRun, camera: Camera, parts: Sequence[Tracklet]) -> EmbeddedTracklets:
        """:func:`embed_parts`, once for the same boxes of the same class."""
        key = camera.id, *((p.track_id, p.class_id, p.frame.tobytes(), p.xyxy.tobytes()) for p in parts)
        if key not in self._embedded:
            self._embedded[key] = embed_parts(run, camera, parts)
        return self._embedded[key]


def _index_of(viewed: ViewedRun) -> dict[Track, int]:
    """The place of each passage by (camera_id, track_id), in their order."""
    return {(p.tracklet.camera_id, p.tracklet.track_id): k for k, p in enumerate(viewed.passages)}
