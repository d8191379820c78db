"""The log odds of every candidate pair: one named column per cue, and their sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mtmc.associate.config import AssociateConfig, Objective
from mtmc.associate.correlation_clustering import PairwiseLogOdds
from mtmc.associate.evidence import LIMIT, Cue, Evidence, align, gather_evidence
from mtmc.associate.scene_model import SceneModel
from mtmc.associate.transitions import pool_co_observed
from mtmc.scene import Scene
from mtmc.types import Array, Passage

__all__ = [
    "CUES",
    "HYPOTHESES",
    "Candidates",
    "Motion",
    "candidates",
    "motion_of",
    "score_candidates",
    "total_log_odds",
]

#: How the two passages of a pair can be one vehicle; of several hypotheses the likeliest counts.
HYPOTHESES = ("none", "co-observation", "continuation", "transition", "duplicate")
_NONE, _CO_OBSERVATION, _CONTINUATION, _TRANSITION, _DUPLICATE = range(len(HYPOTHESES))

#: The columns, whose sum is a pair's log odds.
CUES = ("position", "heading", "same_camera", "travel_time", "duplicate", "appearance", "class", "color", "limit")

_VISUAL_CUES = ("appearance", "class", "color")
_WEIGHT_BESIDE_EMBEDDINGS = 0.5  # of class and color
_MAX_LOG_RATIO = 6.0  # of other cues: one pair of similar appearance does not show that two cameras are related


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Log odds of position and time alone.

    Attributes:
        log_odds: float64 (P,), −∞ for pairs that only duplicates make candidates.
        continuation: float64 (K,), of each continuation.
        transition: float (T,), of each transition.
    """

    log_odds: Array
    continuation: Array
    transition: Array


@dataclass(frozen=True, eq=False)
class Candidates:
    """P pairs of N passages with their log odds.

    Attributes:
        n: N.
        pairs: int32 (P, 2), first < second, sorted.
        log_odds: float64 (P,), above 0 for one vehicle.
        evidence: What was measured.
        motion: Log odds of position and time.
        model: What was fitted.
        appearance_weight: Factor of appearance.
        objective: What the partition is chosen by.
    """

    n: int
    pairs: Array
    log_odds: Array
    evidence: Evidence
    motion: Motion
    model: SceneModel
    appearance_weight: float
    objective: Objective = "precision"

    @cached_property
    def hypothesis(self) -> Array:
        """Hypothesis that counts for each pair, index into :data:`HYPOTHESES`: uint8 (P,).

        A duplicate stands before a co-observation, and either before what happens out of sight.
        """
        found = np.full(len(self.pairs), _NONE, np.uint8)
        found[self.evidence.transition_rows[self._deciding_transitions]] = _TRANSITION
        found[self.evidence.same_camera.rows[self._deciding_continuations]] = _CONTINUATION
        found[self.evidence.position.rows] = _CO_OBSERVATION
        found[self.evidence.duplicate.rows] = _DUPLICATE
        return found

    def column(self, name: str) -> Array:
        """Log odds by one of :data:`CUES`: float64 (P,), 0 where it says nothing.

        ``limit`` is what is taken from a sum beyond ±20.
        """
        evidence = self.evidence
        if name == "position":
            return self._motion_column(evidence.position, evidence.continued_position)
        if name == "heading":
            return self._motion_column(evidence.heading, evidence.continued_heading)
        if name == "same_camera":
            return self._motion_column(None, evidence.same_camera)
        if name == "travel_time":
            return self._transition_column()
        if name == "duplicate":
            return self._duplicate_column()
        if name in _VISUAL_CUES:
            return self._visual_column(name)
        others = sum((self.column(cue) for cue in CUES if cue != "limit"), np.zeros(len(self.pairs)))
        return np.asarray(np.clip(others, -LIMIT, LIMIT) - others)

    @property
    def columns(self) -> dict[str, Array]:
        """All columns by name, each float64 (P,); their sum is ``log_odds``."""
        return {name: self.column(name) for name in CUES}

    @cached_property
    def keys(self) -> Array:
        """``first * N + second`` of each pair: int64 (P,), sorted."""
        return self.pairs[:, 0].astype(np.int64) * self.n + self.pairs[:, 1]

    def row(self, i: int, j: int) -> int:
        """Row of a pair, in either order; −1 if it is no candidate."""
        key = min(i, j) * self.n + max(i, j)
        row = int(np.searchsorted(self.keys, key))
        return row if row < len(self.keys) and self.keys[row] == key else -1

    def explain(self, i: int, j: int) -> dict[str, float]:
        """Log odds of a pair by cue, without those that say nothing; empty if it is no candidate."""
        row = self.row(i, j)
        if row < 0:
            return {}
        values = {name: float(column[row]) for name, column in self._columns.items()}
        return {name: value for name, value in values.items() if value}

    def pairwise(self, shift: float = 0.0) -> PairwiseLogOdds:
        """The log odds as the solver takes them, with the same value added to all."""
        return PairwiseLogOdds(self.n, self.keys, self.log_odds + shift if shift else self.log_odds)

    @cached_property
    def _columns(self) -> dict[str, Array]:
        return self.columns

    @cached_property
    def _deciding_continuations(self) -> Array:
        """The likeliest continuation of each pair that one makes likelier than any transition: int64 (K,)."""
        return _likeliest(self.evidence.same_camera.rows, self.motion.continuation, self.motion.log_odds)

    @cached_property
    def _deciding_transitions(self) -> Array:
        """The likeliest transition of each pair that one makes at least as likely as a continuation: int64 (K,)."""
        return _likeliest(self.evidence.transition_rows, self.motion.transition, self.motion.log_odds)

    def _motion_column(self, observed: Cue | None, continued: Cue) -> Array:
        """A cue of co-observed pairs and of continued ones: float64 (P,)."""
        rows = continued.rows[self._deciding_continuations]
        is_continued = self.hypothesis[rows] == _CONTINUATION
        out = np.zeros(len(self.pairs))
        out[rows[is_continued]] = continued.log_odds[self._deciding_continuations[is_continued]]
        if observed is not None:
            is_observed = self.hypothesis[observed.rows] == _CO_OBSERVATION
            out[observed.rows[is_observed]] = observed.log_odds[is_observed]
        return out

    def _transition_column(self) -> Array:
        """Log odds of the travel time where a transition counts: float64 (P,)."""
        rows = self.evidence.transition_rows[self._deciding_transitions]
        is_transition = self.hypothesis[rows] == _TRANSITION
        out = np.zeros(len(self.pairs))
        out[rows[is_transition]] = self.motion.transition[self._deciding_transitions[is_transition]]
        return out

    def _duplicate_column(self) -> Array:
        out = np.zeros(len(self.pairs))
        out[self.evidence.duplicate.rows] = self.evidence.duplicate.log_odds
        return out

    def _visual_column(self, name: str) -> Array:
        """Appearance, class or color; overlapping boxes show the same pixels, so they add nothing to a duplicate."""
        everything = np.arange(len(self.pairs))
        out = visual_log_ratio(name, self.evidence, self.model, everything, self.appearance_weight)
        out[self.evidence.duplicate.rows] = 0.0
        return out


def candidates(passages: Sequence[Passage], scene: Scene, config: AssociateConfig, model: SceneModel) -> Candidates:
    """The candidate pairs of some passages with their log odds by a model that was fitted to these or others.

    Args:
        passages: N of them, in order of (camera_id, track_id).
        scene: Its links and the alignment of its ground planes.
        config: The choices.
        model: As :func:`mtmc.associate.fitting.fit_scene_model` gives it.
    """
    evidence = gather_evidence(align(passages, scene, config, model), scene, config)
    return score_candidates(evidence, evidence.model, config)


def motion_of(evidence: Evidence, model: SceneModel) -> Motion:
    """Log odds of position and time: of several hypotheses about a pair, the likeliest.

    Where two cameras see both passages at one time, this time decides, whatever else is possible.
    """
    transitions = evidence.transitions
    continuation = _continuation_log_odds(evidence)
    transition: Array = transitions.log_odds
    if model.travel_times is not None:
        ratio = other_likelihood_ratio(evidence, model)
        transition = model.travel_times.log_odds(transitions, evidence.aligned.sightings, ratio)
    transition = pool_co_observed(transitions, transition, evidence.co_observed_group)

    log_odds = np.full(len(evidence.pairs), -np.inf)
    np.maximum.at(log_odds, evidence.same_camera.rows, continuation)
    np.maximum.at(log_odds, evidence.transition_rows, transition)
    log_odds[evidence.position.rows] = evidence.position.log_odds + evidence.heading.log_odds
    return Motion(log_odds, continuation, transition)


def other_likelihood_ratio(evidence: Evidence, model: SceneModel) -> Array | None:
    """Likelihood ratio of each transition by all cues but its time: float64 (T,), None if there are none."""
    if model.appearance is None and model.classes is None and model.colors is None:
        return None
    rows = evidence.transition_rows
    log_ratio = sum((visual_log_ratio(name, evidence, model, rows) for name in _VISUAL_CUES), np.zeros(len(rows)))
    return np.asarray(np.exp(np.minimum(log_ratio, _MAX_LOG_RATIO)))


def _continuation_log_odds(evidence: Evidence) -> Array:
    extrapolated = evidence.continued_position.log_odds + evidence.continued_heading.log_odds
    return np.asarray(extrapolated + evidence.same_camera.log_odds)


def total_log_odds(evidence: Evidence, motion: Motion, model: SceneModel, config: AssociateConfig) -> Array:
    """Sum of all cues, within ±20: float64 (P,)."""
    log_odds = motion.log_odds.copy()
    everything = np.arange(len(log_odds))
    for name in _VISUAL_CUES:
        log_odds += visual_log_ratio(name, evidence, model, everything, config.graph.appearance_weight)
    # Overlapping boxes show the same pixels, so appearance adds nothing to a duplicate.
    log_odds[evidence.duplicate.rows] = evidence.duplicate.log_odds
    return np.clip(log_odds, -LIMIT, LIMIT, out=log_odds)


def visual_log_ratio(
    name: str, evidence: Evidence, model: SceneModel, rows: Array, appearance_weight: float = 1.0
) -> Array:
    """Log-likelihood ratio of appearance, class or color, 0 where nothing is known: float64 (K,).

    Embeddings hold much of what class and color say. Where there are embeddings, both count half.

    Args:
        name: ``appearance``, ``class`` or ``color``.
        evidence: P pairs.
        model: What was fitted.
        rows: int (K,), rows of the pairs.
        appearance_weight: Factor of appearance.
    """
    if name == "appearance":
        if model.appearance is None or evidence.cosine is None:
            return np.zeros(len(rows))
        return appearance_weight * model.appearance.log_odds(evidence.cosine[rows])

    categories = model.classes if name == "class" else model.colors
    if categories is None:
        return np.zeros(len(rows))
    aligned = evidence.aligned
    probability = aligned.class_probability if name == "class" else aligned.color_probability
    log_ratio = categories.log_ratio(probability, aligned.camera, evidence.pairs[rows])
    return log_ratio if evidence.cosine is None else _WEIGHT_BESIDE_EMBEDDINGS * log_ratio


def score_candidates(
    evidence: Evidence, model: SceneModel, config: AssociateConfig, motion: Motion | None = None
) -> Candidates:
    """Weigh the evidence by a model.

    Args:
        evidence: P pairs.
        model: Appearance and travel times.
        config: The choices.
        motion: :func:`motion_of` the same evidence and model, if it is known already.
    """
    motion = motion_of(evidence, model) if motion is None else motion
    return Candidates(
        n=len(evidence.aligned.passages),
        pairs=evidence.pairs,
        log_odds=total_log_odds(evidence, motion, model, config),
        evidence=evidence,
        motion=motion,
        model=model,
        appearance_weight=config.graph.appearance_weight,
        objective=config.graph.objective,
    )


def _likeliest(rows: Array, log_odds: Array, best: Array) -> Array:
    """Of the elements of each pair, the first whose log odds are the best of the pair: int64 (K,), one per pair.

    Args:
        rows: int (T,), the pair of each element.
        log_odds: float (T,).
        best: float64 (P,), of each pair; pairs that no element reaches are left out.
    """
    index = np.flatnonzero(log_odds == best[rows])
    _, first = np.unique(rows[index], return_index=True)
    return np.asarray(index[first])
