"""Association of a finished run, solved again under a user's corrections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mtmc.associate.candidates import CUES, Candidates, candidates
from mtmc.associate.graph import solve
from mtmc.associate.link_probability import link_probability
from mtmc.associate.numbering import number
from mtmc.formats.convert import table_of_tracks
from mtmc.formats.table import Table
from mtmc.pipeline.camera import match_similarity_of
from mtmc.postprocess import postprocess
from mtmc.types import Array, GlobalTrack, Passage
from mtmc.view.corrections import Corrections, stable_ids
from mtmc.view.run_data import ViewedRun

__all__ = ["CorrectedRun", "Link", "RunAssociation"]


@dataclass(frozen=True, slots=True)
class Link:
    """Why two passages are one vehicle, or are not.

    Attributes:
        a, b: Passages, a < b.
        is_joined: Whether they are one vehicle now.
        probability: That they are one vehicle, calibrated, before any answer about them.
        log_odds: Sum of all cues.
        cues: Log odds by cue, those that say nothing left out.
        rule: Name of the constraint that forbids the pair, "" if none does.
    """

    a: int
    b: int
    is_joined: bool
    probability: float
    log_odds: float
    cues: dict[str, float]
    rule: str


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedRun:
    """Identities under a user's corrections.

    Attributes:
        corrections: What the user said.
        labels: int64 (N,), equal for passages of one vehicle.
        vehicle: int64 (N,), number of the vehicle of each passage, from 1.
    """

    corrections: Corrections
    labels: Array
    vehicle: Array


class RunAssociation:
    """The candidate pairs of a run, and its solutions under corrections.

    Runs of methods other than ``graph`` have no candidates. Their passages keep the identities of the run.

    Args:
        viewed: The run.
        numbers: int64 (N,), numbers of the passages before any answer, 0 for those without one; those of the run
            if None.
    """

    def __init__(self, viewed: ViewedRun, numbers: Array | None = None) -> None:
        self.viewed = viewed
        run = viewed.run
        self.config = run.config.associate.for_embedder(match_similarity_of(run.results))
        self.candidates: Candidates | None = None
        if run.scene_model is not None and viewed.passages:
            self.candidates = candidates(viewed.passages, run.scene, self.config, run.scene_model)
        self._columns = {} if self.candidates is None else self.candidates.columns
        self._given_numbers = numbers

    @cached_property
    def agrees_with_run(self) -> bool:
        """Whether this version of the program gives the identities of the run, as long as nothing is corrected."""
        in_result = self.viewed.run_id > 0
        return bool((self._ids_without_answers[in_result] == self.viewed.run_id[in_result]).all())

    @cached_property
    def numbers(self) -> Array:
        """Numbers of the passages before any answer: int64 (N,), 0 for those without one."""
        if self._given_numbers is not None:
            return self._given_numbers
        return self._ids_without_answers if self.agrees_with_run else self.viewed.run_id

    def solve(self, corrections: Corrections) -> CorrectedRun:
        """The identities under some corrections. Vehicles that these leave alone keep their numbers."""
        labels = self._labels(corrections)
        ids = stable_ids(labels, self.numbers, self.viewed.lengths, corrections.numbers)
        return CorrectedRun(corrections, labels, ids)

    def links_of(self, solution: CorrectedRun, vehicle: int) -> list[Link]:
        """The candidate pairs within a vehicle, and those with other vehicles that have positive log odds."""
        found = self.candidates
        if found is None:
            return []
        is_member = solution.vehicle == vehicle
        inside = is_member[found.pairs]
        is_joined = inside.all(axis=1)
        rows = np.flatnonzero(is_joined | (inside.any(axis=1) & (found.log_odds > 0)))
        return self._links(solution, rows)

    def link(self, solution: CorrectedRun, a: int, b: int) -> Link | None:
        """The evidence about two passages, None where they are no candidate pair."""
        if self.candidates is None:
            return None
        [rows] = np.nonzero((self.candidates.pairs == sorted((a, b))).all(axis=1))
        return next(iter(self._links(solution, rows)), None)

    def vehicles(self, solution: CorrectedRun) -> list[GlobalTrack]:
        """All vehicles, with the boxes of their tracklets."""
        groups: dict[int, list[Passage]] = {}
        for passage, vehicle in zip(self.viewed.passages, solution.vehicle.tolist(), strict=True):
            groups.setdefault(vehicle, []).append(passage)
        return [GlobalTrack(k, tuple(sorted(groups[k], key=_first_seen))) for k in sorted(groups)]

    def tracks(self, solution: CorrectedRun) -> list[GlobalTrack]:
        """The vehicles as a result file has them: by the run's settings, after post-processing."""
        run = self.viewed.run
        tracks = self.vehicles(solution)
        if not self.config.keep_single_camera:
            tracks = [track for track in tracks if len(track.camera_ids) > 1]
        return postprocess(tracks, run.scene, run.config.postprocess)

    def table(self, solution: CorrectedRun) -> Table:
        """The rows of the corrected ``track1.txt``."""
        return table_of_tracks(self.tracks(solution), {c.id: c.number for c in self.viewed.run.scene.cameras})

    def _labels(self, corrections: Corrections) -> Array:
        if self.candidates is None:
            return self._run_labels()
        constraints = self.candidates.evidence.constraints.replaced(
            must_link=corrections.must_link, cannot_link=corrections.cannot_link
        )
        return solve(self.candidates, constraints)

    def _run_labels(self) -> Array:
        """Labels of the run's own vehicles; passages outside of its result are alone."""
        run_id = self.viewed.run_id
        alone = int(run_id.max(initial=0)) + 1 + np.arange(len(run_id))
        return np.where(run_id > 0, run_id, alone)

    @cached_property
    def _ids_without_answers(self) -> Array:
        """Numbers of the run before post-processing, 0 for passages of vehicles that association drops."""
        passages: Sequence[Passage] = self.viewed.passages
        if self.candidates is None:
            return self.viewed.run_id
        tracks = number(passages, self._labels(Corrections()), self.config.keep_single_camera)
        row = {id(passage): k for k, passage in enumerate(passages)}
        ids = np.zeros(len(passages), np.int64)
        for track in tracks:
            ids[[row[id(p)] for p in track.passages]] = track.global_id
        return ids

    def _links(self, solution: CorrectedRun, rows: Array) -> list[Link]:
        found = self.candidates
        assert found is not None
        probability = link_probability(found, solution.labels, rows)
        constraints = found.evidence.constraints
        links = []
        for row, p in zip(rows.tolist(), probability.tolist(), strict=True):
            a, b = found.pairs[row].tolist()
            is_joined = bool(solution.vehicle[a] == solution.vehicle[b])
            cues = {name: float(self._columns[name][row]) for name in CUES}
            links.append(
                Link(
                    a=a,
                    b=b,
                    is_joined=is_joined,
                    probability=p,
                    log_odds=float(found.log_odds[row]),
                    cues={name: value for name, value in cues.items() if value},
                    rule="" if is_joined else constraints.rule(a, b),
                )
            )
        return links


def _first_seen(passage: Passage) -> tuple[float, str, int]:
    return passage.tracklet.start_s, passage.tracklet.camera_id, passage.tracklet.track_id
