"""The project's own association: candidate pairs, log odds from independent cues, a constrained solver.

Each step is a function that can be called by itself; docs/association.md explains them in this order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from mtmc.associate.candidates import Candidates, score_candidates
from mtmc.associate.config import AssociateConfig
from mtmc.associate.constraints import Constraints
from mtmc.associate.correlation_clustering import greedy_edge_contraction, local_search
from mtmc.associate.evidence import gather_evidence
from mtmc.associate.fitting import fit_alignment, fit_cues
from mtmc.associate.scene_model import SceneModel
from mtmc.scene import Scene
from mtmc.types import Array, Passage

__all__ = [
    "GraphSolution",
    "best_f1_shift",
    "candidate_graph",
    "graph",
    "scored_candidates",
    "solve",
    "solve_scene",
]

_F1_ROUNDS = 2  # of the expected score and the partition that it is the score of
_LEAST_THRESHOLD = 0.2  # probability below which nothing is joined


@dataclass(frozen=True, slots=True, eq=False)
class GraphSolution:
    """Identities, and all that led to them.

    Attributes:
        labels: int64 (N,), equal for passages of one vehicle.
        candidates: The scored pairs; their evidence holds the constraints.
        model: What was fitted to the passages.
    """

    labels: Array
    candidates: Candidates
    model: SceneModel


def graph(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> Array:
    """Labels of N passages, equal for those of one vehicle: int64 (N,).

    Args:
        passages: In order of (camera_id, track_id).
        scene: Its links and the alignment of its ground planes.
        config: The choices.
    """
    return solve_scene(passages, scene, config).labels


def solve_scene(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> GraphSolution:
    """The same labels with the candidates and the model behind them; arguments as of :func:`graph`."""
    candidates, model = scored_candidates(passages, scene, config)
    labels = solve(candidates, candidates.evidence.constraints)
    return GraphSolution(labels, candidates, model)


def candidate_graph(
    passages: Sequence[Passage], scene: Scene, config: AssociateConfig
) -> tuple[Candidates, Constraints]:
    """The candidate pairs with their log odds, and the constraints, by a model fitted to the same passages."""
    candidates, _ = scored_candidates(passages, scene, config)
    return candidates, candidates.evidence.constraints


def scored_candidates(
    passages: Sequence[Passage], scene: Scene, config: AssociateConfig
) -> tuple[Candidates, SceneModel]:
    """The candidate pairs with their log odds, and the model that was fitted to the same passages."""
    aligned = fit_alignment(passages, scene, config)  # clock offsets and calibration corrections
    evidence = gather_evidence(aligned, scene, config)  # candidate pairs and what is measured about them
    model, motion = fit_cues(evidence, config)  # appearance and travel times
    return score_candidates(evidence, model, config, motion), model


def solve(candidates: Candidates, constraints: Constraints, fixed: Array | None = None) -> Array:
    """The partition of the passages with (nearly) the largest sum of log odds that no constraint forbids.

    Args:
        candidates: Of N passages.
        constraints: What can never be one vehicle, or has to be.
        fixed: int64 (N,), identities that stand already, at least 0, and −1 for passages that are free. Passages of
            one identity stay together, those of two identities stay apart.

    Returns:
        int64 (N,): the identity of passages joined to one that stands already; other groups are numbered from the
        largest of these plus 1 by their first passage. Without ``fixed`` a label is the index of the first passage.
    """
    if fixed is not None:
        constraints = constraints.replaced(identity=fixed)
    pinned = {k for members in constraints.groups for k in members}
    if fixed is not None:
        pinned |= set(np.flatnonzero(fixed >= 0).tolist())

    labels = _partition(candidates, constraints, pinned, 0.0)
    for _ in range(_F1_ROUNDS if candidates.objective == "idf1" else 0):
        labels = _partition(candidates, constraints, pinned, best_f1_shift(candidates, labels))
    return labels if fixed is None else _with_identities(labels, fixed)


def _partition(candidates: Candidates, constraints: Constraints, pinned: set[int], shift: float) -> Array:
    """The partition with (nearly) the largest sum of log odds plus ``shift`` inside its groups: int64 (N,)."""
    pairwise = candidates.pairwise(shift)
    labels = greedy_edge_contraction(pairwise, constraints.conflict, constraints.groups)
    return local_search(pairwise, labels, constraints.conflict, pinned)


def best_f1_shift(candidates: Candidates, labels: Array) -> float:
    """What to add to all log odds so that joining by their sign gives the largest expected F1 score of pairs.

    A classifier has the largest F1 score if it accepts what is more probable than half of that score. With p the
    probabilities of the candidate pairs, and J those that a partition joins,

        F = 2 Σ_J p / (|J| + Σ p),   shift = −logit(F / 2) ≥ 0.

    Source: Lipton, Elkan, Naryanaswamy: Optimal thresholding of classifiers to maximize F1 measure, ECML 2014.
    """
    probability = expit(candidates.log_odds)
    is_joined = labels[candidates.pairs[:, 0]] == labels[candidates.pairs[:, 1]]
    found, joined = float(probability[is_joined].sum()), int(is_joined.sum())
    score = 2 * found / max(joined + float(probability.sum()), 1e-9)
    return float(-logit(np.clip(score / 2, _LEAST_THRESHOLD, 0.5)))


def _with_identities(labels: Array, fixed: Array) -> Array:
    """Labels with those of groups that hold a fixed identity replaced by it: int64 (N,)."""
    identity = np.arange(len(labels)) + int(fixed.max(initial=-1)) + 1
    stands = np.flatnonzero(fixed >= 0)
    identity[labels[stands]] = fixed[stands]
    return np.asarray(identity[labels])
