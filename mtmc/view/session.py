"""A user's work on one run: answers go into the journal, identities follow from them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtmc.errors import ConfigError
from mtmc.formats.track1 import read_track1, write_track1
from mtmc.pipeline.scoring import score_rows, score_scene
from mtmc.view.association import CorrectedRun, RunAssociation
from mtmc.view.corrections import check_consistent, corrections_of, counting_entries
from mtmc.view.journal import Entry, Journal, Tracklets, digest_of
from mtmc.view.questions import Question, questions
from mtmc.view.run_data import ViewedRun

__all__ = ["Session"]


class Session:
    """The journal of a run, and the identities under it.

    Args:
        viewed: The run.
        folder: Where journal and corrected result are written.

    Raises:
        FormatError: The journal is damaged, or belongs to another version of the run.
    """

    def __init__(self, viewed: ViewedRun, folder: Path) -> None:
        self.viewed, self.folder = viewed, folder
        self.association = RunAssociation(viewed)
        self.journal = Journal(folder / "journal.jsonl", digest_of(viewed.passages))
        self._index = {(p.tracklet.camera_id, p.tracklet.track_id): k for k, p in enumerate(viewed.passages)}
        self._lock = threading.Lock()
        self._solution = self._solved()

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
                self._solution = self._solved()

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
        chosen = sorted(set(passages))
        if not all(0 <= k < len(self.viewed.passages) for k in chosen):
            raise ConfigError(f"expected passages of this run, got {chosen}")
        vehicles = {int(self._solution.vehicle[k]) for k in chosen}
        if len(vehicles) != 1:
            raise ConfigError("expected passages of one vehicle", remedy="split one vehicle at a time")
        rest = sorted(set(np.flatnonzero(self._solution.vehicle == vehicles.pop()).tolist()) - set(chosen))
        if not rest:
            raise ConfigError("expected some passages of the vehicle, got all of them", remedy="leave some out")
        return self._append(
            sequence,
            "split",
            must_link=self._named([(chosen[0], k) for k in chosen[1:]]),
            cannot_link=self._named([(i, j) for i in chosen for j in rest]),
        )

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

    def export(self) -> Path:
        """Write the corrected ``track1.txt`` beside the journal.

        Raises:
            MtmcError: It cannot be written.
        """
        path = self.folder / "track1.txt"
        write_track1(self.association.table(self.state()[1]), path)
        return path

    def scores(self) -> dict[str, list[dict[str, str | float]] | None]:
        """Scores of the run and of the corrected result, a row for each camera and one for all; None without truth.

        Raises:
            MtmcError: The ground truth cannot be read any longer.
        """
        return {"run": self._scores(self.viewed.run.out / "track1.txt"), "corrected": self._scores(self.export())}

    def _scores(self, result: Path) -> list[dict[str, str | float]] | None:
        scene = self.viewed.run.scene
        return score_rows(score_scene(scene, read_track1(result)), scene)

    def _named(self, pairs: Sequence[tuple[int, int]]) -> tuple[Tracklets, ...]:
        passages = self.viewed.passages
        for i, j in pairs:
            if not (0 <= i < len(passages) and 0 <= j < len(passages)) or i == j:
                raise ConfigError(f"expected two passages of this run, got {i} and {j}")
        names = [(p.tracklet.camera_id, p.tracklet.track_id) for p in passages]
        return tuple((*names[i], *names[j]) for i, j in pairs)

    def _append(self, sequence: int, action: str, **facts: Any) -> Entry:
        if self.problem:
            raise ConfigError(self.problem)
        with self._lock:
            if sequence == self.journal.sequence:
                draft = Entry(sequence + 1, action, **facts)
                check_consistent([*self.journal.entries, draft], self._index)
            try:
                return self.journal.append(sequence, action, **facts)
            finally:
                self._solution = self._solved()

    def _solved(self) -> CorrectedRun:
        return self.association.solve(corrections_of(self.journal.entries, self._index))
