"""Pairs of tracklets that association joined or rejected, with their probability and the log odds of every cue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.associate.candidates import CUES, Candidates
from mtmc.associate.evidence import LIMIT
from mtmc.associate.link_probability import link_probability
from mtmc.types import Array, GlobalTrack, Passage

__all__ = ["TrackletLinks", "links_of"]


@dataclass(frozen=True, slots=True, eq=False)
class TrackletLinks:
    """L pairs of tracklets (a, b), sorted by their cameras and track ids.

    Attributes:
        camera_a: Camera of the first tracklet, str (L,).
        track_a: Its track id, int64 (L,).
        camera_b: Camera of the second tracklet, str (L,).
        track_b: Its track id, int64 (L,).
        global_id: Vehicle that holds both, int64 (L,); 0 for a rejected pair.
        probability: Calibrated probability that both are one vehicle, float64 (L,).
        log_odds: Sum of all cues, float64 (L,); above 0 for one vehicle.
        cues: Log odds of each of :data:`mtmc.associate.candidates.CUES`, float64 (L,).
        rule: Name of the constraint that forbids a rejected pair, str (L,); "" where none forbids the pair by itself.
    """

    camera_a: Array
    track_a: Array
    camera_b: Array
    track_b: Array
    global_id: Array
    probability: Array
    log_odds: Array
    cues: Mapping[str, Array]
    rule: Array

    def __len__(self) -> int:
        return len(self.log_odds)

    def arrays(self) -> dict[str, Array]:
        """All columns by name, in the order in which files have them; :meth:`of_arrays` is the inverse."""
        return {
            "camera_a": self.camera_a,
            "track_a": self.track_a,
            "camera_b": self.camera_b,
            "track_b": self.track_b,
            "global_id": self.global_id,
            "probability": self.probability,
            "log_odds": self.log_odds,
            **self.cues,
            "rule": self.rule,
        }

    @classmethod
    def of_arrays(cls, columns: Mapping[str, Array]) -> TrackletLinks:
        """The inverse of :meth:`arrays`.

        Raises:
            KeyError: A column is missing.
        """
        return cls(
            camera_a=columns["camera_a"],
            track_a=columns["track_a"],
            camera_b=columns["camera_b"],
            track_b=columns["track_b"],
            global_id=columns["global_id"],
            probability=columns["probability"],
            log_odds=columns["log_odds"],
            cues={name: columns[name] for name in CUES},
            rule=columns["rule"],
        )


def links_of(
    candidates: Candidates, passages: Sequence[Passage], labels: Array, tracks: Sequence[GlobalTrack]
) -> TrackletLinks:
    """The candidate pairs that are one vehicle, and those that are not although their log odds are positive.

    Pairs of a vehicle that is not among ``tracks`` are left out.

    Args:
        candidates: Pairs of N passages.
        passages: The N passages.
        labels: int64 (N,), equal for passages of one vehicle.
        tracks: The vehicles with their numbers.
    """
    global_id = _global_ids(passages, tracks)
    first, second = candidates.pairs[:, 0], candidates.pairs[:, 1]
    is_joined = (labels[first] == labels[second]) & (global_id[first] > 0)
    is_rejected = (labels[first] != labels[second]) & (candidates.log_odds > 0)
    rows = np.flatnonzero(is_joined | is_rejected)

    camera = np.array([p.tracklet.camera_id for p in passages], np.str_)
    track = np.array([p.tracklet.track_id for p in passages], np.int64)
    a, b, joined = first[rows], second[rows], is_joined[rows]
    return TrackletLinks(
        camera_a=camera[a],
        track_a=track[a],
        camera_b=camera[b],
        track_b=track[b],
        global_id=np.where(joined, global_id[a], 0),
        probability=link_probability(candidates, labels, rows),
        log_odds=candidates.log_odds[rows],
        cues=_cues_of(candidates, rows),
        rule=_rules_of(candidates, rows, joined),
    )


def _global_ids(passages: Sequence[Passage], tracks: Sequence[GlobalTrack]) -> Array:
    """Number of each passage's vehicle, 0 without one: int64 (N,)."""
    index = {(p.tracklet.camera_id, p.tracklet.track_id): k for k, p in enumerate(passages)}
    global_id = np.zeros(len(passages), np.int64)
    for track in tracks:
        for p in track.passages:
            global_id[index[p.tracklet.camera_id, p.tracklet.track_id]] = track.global_id
    return global_id


def _cues_of(candidates: Candidates, rows: Array) -> dict[str, Array]:
    """Log odds of some pairs by cue; one column of all pairs is in memory at a time."""
    cues = {name: candidates.column(name)[rows] for name in CUES if name != "limit"}
    total = sum(cues.values(), np.zeros(len(rows)))
    cues["limit"] = np.clip(total, -LIMIT, LIMIT) - total
    return {name: cues[name] for name in CUES}


def _rules_of(candidates: Candidates, rows: Array, joined: Array) -> Array:
    """The rule that forbids each rejected pair, "" for joined ones: str (L,)."""
    constraints = candidates.evidence.constraints
    pairs = candidates.pairs[rows].tolist()
    rules = ["" if one else constraints.rule(i, j) for (i, j), one in zip(pairs, joined.tolist(), strict=True)]
    return np.array(rules, np.str_)
