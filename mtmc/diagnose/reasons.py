"""What the run's own association thinks of a pair of passages: possible or not, how alike, enough or not.

Nothing is worked out again here: gates, distances and odds come from :mod:`mtmc.associate`. A method that is not
known below is asked by the gates and the similarity that all methods share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from mtmc.associate import AssociateConfig
from mtmc.associate.candidates import candidates
from mtmc.associate.gates import feasible_pairs, pairs_along_link
from mtmc.associate.graph import scored_candidates
from mtmc.associate.numbering import in_order
from mtmc.associate.scene_model import SceneModel
from mtmc.associate.similarity import pairwise_similarity
from mtmc.scene import Scene
from mtmc.types import Array, Passage

__all__ = ["JUDGES", "Judge", "Opinion", "judge_of"]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What association thinks of a pair.

    Attributes:
        gate: What makes it impossible: "time gate", "link gate", "ground gate" or "same camera"; "" if nothing.
        value: How much speaks for it, in the judge's unit; NaN where nothing is known.
        enough: Whether that would make the two one vehicle if there were no others.
        cue: What weighed most: "appearance" or "place and time".
    """

    gate: str
    value: float
    enough: bool
    cue: str


class Judge(Protocol):
    """Anything that has an opinion of pairs of passages, by (camera_id, track_id)."""

    @property
    def unit(self) -> str:
        """What values are, such as "similarity, 0.50 is enough"."""
        ...

    def ask(self, a: Passage, b: Passage) -> Opinion:
        """The opinion of a pair, whatever its order."""
        ...


def judge_of(
    passages: Sequence[Passage], scene: Scene, config: AssociateConfig, model: SceneModel | None = None
) -> Judge:
    """The judge of a method on all passages of a run.

    Args:
        passages: Of all cameras.
        scene: The place.
        config: The run's choices, with the embedder's own threshold filled in.
        model: What association fitted to these passages; None fits it again, where the method needs one.
    """
    ordered = in_order(passages)
    if model is not None and config.method == "graph":
        return LogOdds(ordered, scene, config, model)
    return JUDGES.get(config.method, Gates)(ordered, scene, config)


class Gates:
    """Of methods that compare a similarity with a threshold: hard gates, appearance mixed with nearness."""

    def __init__(self, passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> None:
        self._place = _places(passages)
        self._scene, self._config = scene, config
        known = pairwise_similarity(passages, feasible_pairs(passages, scene, config), config)
        self._embeddings = known.embeddings
        self._value = dict(zip(map(tuple, known.pairs.tolist()), known.value.tolist(), strict=True))
        self._plain = dict(zip(map(tuple, known.pairs.tolist()), known.appearance_only.tolist(), strict=True))
        self._apart = set(map(tuple, known.conflicting.tolist()))

    @property
    def unit(self) -> str:
        """Similarities, and the least that counts."""
        return f"similarity, {self._config.threshold:.2f} is enough"

    def ask(self, a: Passage, b: Passage) -> Opinion:
        """The gates first, then the similarity."""
        pair = _pair(self._place, a, b)
        cosine = float(self._embeddings[pair[0]] @ self._embeddings[pair[1]]) if len(self._embeddings) else np.nan
        if not (len(a.embedding) and len(b.embedding)):
            cosine = np.nan
        if pair in self._apart:
            return Opinion("ground gate", cosine, False, "place and time")
        if pair not in self._value:
            return Opinion(_closed(a, b, self._scene, self._config) or "ground gate", cosine, False, "place and time")
        value = self._value[pair]
        enough = value >= self._config.threshold
        if self._plain[pair]:
            return Opinion("", value, enough, "appearance")
        # the mixture went the way of appearance if appearance alone would have gone so, and more strongly
        appearance = not np.isnan(cosine) and (cosine > value if enough else cosine < value)
        return Opinion("", value, enough, "appearance" if appearance else "place and time")


class LogOdds:
    """Of the method ``graph``: candidates with log odds, positive ones for one vehicle."""

    def __init__(
        self, passages: Sequence[Passage], scene: Scene, config: AssociateConfig, model: SceneModel | None = None
    ) -> None:
        self._place = _places(passages)
        self._scene, self._config = scene, config
        if model is None:
            self._candidates, _ = scored_candidates(passages, scene, config)
        else:
            self._candidates = candidates(passages, scene, config, model)
        self._constraints = self._candidates.evidence.constraints
        appearance = self._candidates.column("appearance")
        self._best_appearance = float(appearance.max(initial=0.0))

    @property
    def unit(self) -> str:
        """Log odds."""
        return "log odds, above 0 is enough"

    def ask(self, a: Passage, b: Passage) -> Opinion:
        """The rule that forbids the pair, or its log odds and the cue that decided.

        Appearance has joined a pair if its log odds are above those of position and time, and has separated one that
        would be joined if it were as similar as the most similar pair.
        """
        i, j = _pair(self._place, a, b)
        if self._constraints.conflict([i], [j]):
            same = a.tracklet.camera_id == b.tracklet.camera_id
            return Opinion("same camera" if same else "ground gate", np.nan, False, "place and time")
        row = self._candidates.row(i, j)
        if row < 0:
            return Opinion(self._unreached(a, b), np.nan, False, "place and time")
        value = float(self._candidates.log_odds[row])
        appearance = self._candidates.explain(i, j).get("appearance", 0.0)
        motion = value - appearance
        decides = appearance > motion if value > 0 else motion + self._best_appearance > 0 > appearance
        return Opinion("", value, value > 0, "appearance" if decides else "place and time")

    def _unreached(self, a: Passage, b: Passage) -> str:
        """Why a pair that nothing rules out is no candidate."""
        if self._scene.links:
            return _closed(a, b, self._scene, self._config) or "ground gate"
        earlier, later = sorted((a.tracklet, b.tracklet), key=lambda t: t.start_s)
        known = all(np.isfinite(p.ground_m).any() for p in (a, b)) and self._config.use_ground
        longest = self._config.graph.max_extrapolation_s if known else self._config.max_gap_s
        return "time gate" if later.start_s - earlier.end_s > longest or not known else "ground gate"


#: The judge of each method; :class:`Gates` for the others.
JUDGES: dict[str, Callable[[Sequence[Passage], Scene, AssociateConfig], Judge]] = {"graph": LogOdds}


def _closed(a: Passage, b: Passage, scene: Scene, config: AssociateConfig) -> str:
    """The gate of time, links and cameras that shuts a pair out, "" if none does; found by loosening them."""
    pair = in_order([a, b])
    if len(feasible_pairs(pair, scene, config)):
        return ""
    if a.tracklet.camera_id == b.tracklet.camera_id:
        return "same camera"
    if not scene.links:
        return "time gate"
    times = _times(pair)
    at_any_time = (replace(link, min_s=-np.inf, max_s=np.inf) for link in scene.links)
    return "time gate" if any(len(pairs_along_link(link, pair, *times)) for link in at_any_time) else "link gate"


def _times(pair: Sequence[Passage]) -> tuple[Array, Array]:
    return np.array([p.tracklet.start_s for p in pair]), np.array([p.tracklet.end_s for p in pair])


def _places(passages: Sequence[Passage]) -> dict[tuple[str, int], int]:
    return {(p.tracklet.camera_id, p.tracklet.track_id): k for k, p in enumerate(passages)}


def _pair(places: dict[tuple[str, int], int], a: Passage, b: Passage) -> tuple[int, int]:
    i, j = (places[p.tracklet.camera_id, p.tracklet.track_id] for p in (a, b))
    return min(i, j), max(i, j)
