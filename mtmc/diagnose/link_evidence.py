"""The evidence that the run's own association has for a pair of passages.

The evidence says whether a gate excludes the pair, its score, and whether the score is accepted. Gates,
similarities and log odds come from :mod:`mtmc.associate`; nothing is computed a second way here. Methods without
an explainer of their own below are explained by the gates and the similarity that all methods share.
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
from mtmc.types import Passage

__all__ = ["EXPLAINERS", "LinkEvidence", "LinkExplainer", "link_explainer"]


@dataclass(frozen=True, slots=True)
class LinkEvidence:
    """What association computes for a pair of passages.

    Attributes:
        gate: What excludes the pair: "time gate", "link gate", "ground gate" or "same camera"; "" if nothing does.
        score: The score of the pair in the explainer's unit, NaN where there is none.
        accepted: Whether the score would join the two if there were no other passages.
        cue: The cue with the greatest weight: "appearance" or "place and time".
    """

    gate: str
    score: float
    accepted: bool
    cue: str


class LinkExplainer(Protocol):
    """Anything that gives the evidence for a pair of passages."""

    @property
    def unit(self) -> str:
        """The unit of scores, such as "similarity, 0.50 is enough"."""
        ...

    def explain(self, a: Passage, b: Passage) -> LinkEvidence:
        """The evidence for a pair, in either order."""
        ...


def link_explainer(
    passages: Sequence[Passage], scene: Scene, config: AssociateConfig, model: SceneModel | None = None
) -> LinkExplainer:
    """The explainer of a method for all passages of a run.

    Args:
        passages: Of all cameras.
        scene: The scene of the run.
        config: The run's settings, with the embedder's own threshold filled in.
        model: What association fitted to these passages; None fits it again, where the method needs one.
    """
    ordered = in_order(passages)
    if model is not None and config.method == "graph":
        return GraphExplainer(ordered, scene, config, model)
    return EXPLAINERS.get(config.method, GateExplainer)(ordered, scene, config)


class GateExplainer:
    """Explains methods with hard gates and a threshold on a similarity of appearance and nearness."""

    def __init__(self, passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> None:
        self._index = _index_by_key(passages)
        self._scene, self._config = scene, config
        similarity = pairwise_similarity(passages, feasible_pairs(passages, scene, config), config)
        pairs = [tuple(pair) for pair in similarity.pairs.tolist()]
        self._embeddings = similarity.embeddings
        self._similarity = dict(zip(pairs, similarity.value.tolist(), strict=True))
        self._appearance_only = dict(zip(pairs, similarity.appearance_only.tolist(), strict=True))
        self._conflicting = {tuple(pair) for pair in similarity.conflicting.tolist()}

    @property
    def unit(self) -> str:
        """Similarities, and the threshold."""
        return f"similarity, {self._config.threshold:.2f} is enough"

    def explain(self, a: Passage, b: Passage) -> LinkEvidence:
        """The gate that excludes the pair, or its similarity and the cue that decided.

        In a mixture of appearance and nearness, appearance decided if alone it would have given the same answer
        with a greater margin.
        """
        pair = _pair(self._index, a, b)
        cosine = self._cosine(a, b)
        if pair in self._conflicting:
            return LinkEvidence("ground gate", cosine, False, "place and time")
        if pair not in self._similarity:
            gate = _excluding_gate(a, b, self._scene, self._config) or "ground gate"
            return LinkEvidence(gate, cosine, False, "place and time")

        similarity = self._similarity[pair]
        accepted = similarity >= self._config.threshold
        if self._appearance_only[pair]:
            return LinkEvidence("", similarity, accepted, "appearance")
        decides = not np.isnan(cosine) and (cosine > similarity if accepted else cosine < similarity)
        return LinkEvidence("", similarity, accepted, "appearance" if decides else "place and time")

    def _cosine(self, a: Passage, b: Passage) -> float:
        """The cosine of the two embeddings, NaN where one has none."""
        if not (len(self._embeddings) and len(a.embedding) and len(b.embedding)):
            return float("nan")
        i, j = _pair(self._index, a, b)
        return float(self._embeddings[i] @ self._embeddings[j])


class GraphExplainer:
    """Explains the method ``graph`` by its candidates and their log odds; positive log odds join."""

    def __init__(
        self, passages: Sequence[Passage], scene: Scene, config: AssociateConfig, model: SceneModel | None = None
    ) -> None:
        self._index = _index_by_key(passages)
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

    def explain(self, a: Passage, b: Passage) -> LinkEvidence:
        """The rule that forbids the pair, or its log odds and the cue that decided.

        Appearance has joined a pair if its log odds are above those of position and time, and has separated one that
        would be joined if it were as similar as the most similar pair.
        """
        i, j = _pair(self._index, a, b)
        if self._constraints.conflict([i], [j]):
            same_camera = a.tracklet.camera_id == b.tracklet.camera_id
            gate = "same camera" if same_camera else "ground gate"
            return LinkEvidence(gate, np.nan, False, "place and time")
        row = self._candidates.row(i, j)
        if row < 0:
            return LinkEvidence(self._gate_of_no_candidate(a, b), np.nan, False, "place and time")

        log_odds = float(self._candidates.log_odds[row])
        accepted = log_odds > 0
        appearance = self._candidates.explain(i, j).get("appearance", 0.0)
        motion = log_odds - appearance
        decides = appearance > motion if accepted else motion + self._best_appearance > 0 > appearance
        return LinkEvidence("", log_odds, accepted, "appearance" if decides else "place and time")

    def _gate_of_no_candidate(self, a: Passage, b: Passage) -> str:
        """Why a pair that no constraint excludes is no candidate."""
        if self._scene.links:
            return _excluding_gate(a, b, self._scene, self._config) or "ground gate"
        earlier, later = sorted((a.tracklet, b.tracklet), key=lambda t: t.start_s)
        has_ground = all(np.isfinite(p.ground_m).any() for p in (a, b)) and self._config.use_ground
        if not has_ground:
            return "time gate"
        too_late = later.start_s - earlier.end_s > self._config.graph.max_extrapolation_s
        return "time gate" if too_late else "ground gate"


#: The explainer of each method; :class:`GateExplainer` for the others.
EXPLAINERS: dict[str, Callable[[Sequence[Passage], Scene, AssociateConfig], LinkExplainer]] = {
    "graph": GraphExplainer
}


def _excluding_gate(a: Passage, b: Passage, scene: Scene, config: AssociateConfig) -> str:
    """The gate of time, links and cameras that excludes a pair, "" if none does; found by relaxing them in turn."""
    pair = in_order([a, b])
    if len(feasible_pairs(pair, scene, config)):
        return ""
    if a.tracklet.camera_id == b.tracklet.camera_id:
        return "same camera"
    if not scene.links:
        return "time gate"
    start_s = np.array([passage.tracklet.start_s for passage in pair])
    end_s = np.array([passage.tracklet.end_s for passage in pair])
    at_any_time = (replace(link, min_s=-np.inf, max_s=np.inf) for link in scene.links)
    follows_a_link = any(len(pairs_along_link(link, pair, start_s, end_s)) for link in at_any_time)
    return "time gate" if follows_a_link else "link gate"


def _index_by_key(passages: Sequence[Passage]) -> dict[tuple[str, int], int]:
    return {(p.tracklet.camera_id, p.tracklet.track_id): index for index, p in enumerate(passages)}


def _pair(index: dict[tuple[str, int], int], a: Passage, b: Passage) -> tuple[int, int]:
    i, j = (index[p.tracklet.camera_id, p.tracklet.track_id] for p in (a, b))
    return min(i, j), max(i, j)
