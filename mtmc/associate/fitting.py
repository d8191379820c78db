"""What is learned from the passages of a scene themselves, without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mtmc.associate.candidates import Motion, motion_of, total_log_odds
from mtmc.associate.config import AssociateConfig
from mtmc.associate.correlation_clustering import PairwiseLogOdds, greedy_edge_contraction
from mtmc.associate.evidence import AlignedPassages, Evidence, cameras_of, gather_evidence, on_common_planes, sampled
from mtmc.associate.scene_model import SceneModel, Solution
from mtmc.associate.transitions import fit_travel_times
from mtmc.multiview.appearance import AppearanceModel, fit_appearance, pair_cosines, sample_negative_pairs
from mtmc.multiview.arrays import mutual_nearest
from mtmc.multiview.clock_sync import estimate_clock_offsets
from mtmc.multiview.registration import fit_calibration_correction
from mtmc.scene import Scene
from mtmc.types import Array, Passage

__all__ = ["fit_alignment", "fit_cues", "fit_scene_model"]

_CLOCK_DISTANCES_M = (6.0, 3.0)  # of positions that are one, before and after the first correction
_MIN_CERTAIN = 15  # pairs that show what one vehicle looks like
_SIMILAR_QUANTILE = 0.75  # of all cosines, above which mutually most similar pairs stand in for certain ones


def fit_scene_model(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> SceneModel:
    """Clock offsets, calibration corrections, precision, appearance and travel times of a scene.

    Args:
        passages: N of them, in order of (camera_id, track_id).
        scene: Its links and the alignment of its ground planes.
        config: The choices.
    """
    evidence = gather_evidence(fit_alignment(passages, scene, config), scene, config)
    return fit_cues(evidence, config)[0]


def fit_alignment(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> AlignedPassages:
    """Passages aligned by the clock offsets and calibration corrections that overlapping views show.

    Each is found better once the other is known. Both are therefore estimated twice; what the second time finds is
    added to the first.

    Args:
        passages: N of them, in order of (camera_id, track_id).
        scene: The alignment of its ground planes is used.
        config: The choices.
    """
    camera_ids, camera = cameras_of(passages)
    model = SceneModel(camera_ids)
    trajectories = sampled(passages, np.zeros(len(passages)), config.use_ground)
    corrected = trajectories
    rounds = _CLOCK_DISTANCES_M if config.graph.estimate_clock_offsets else (None,)
    for distance_m in rounds if len(trajectories.owner) else ():
        offsets = None if distance_m is None else estimate_clock_offsets(corrected, camera, distance_m)
        if offsets is not None:
            model = replace(model, clock_offsets=(*model.clock_offsets, offsets), calibration=None)
            trajectories = corrected = sampled(passages, model.clock_offset_of(passages, camera), use_ground=True)
        if config.graph.refine_calibration:
            correction = fit_calibration_correction(trajectories, camera, config.graph.max_distance_m)
            model = replace(model, calibration=correction)
            corrected = correction.apply(trajectories, camera)
    return on_common_planes(passages, scene, model, camera, corrected)


def fit_cues(evidence: Evidence, config: AssociateConfig) -> tuple[SceneModel, Motion]:
    """The evidence's model with appearance and travel times, and the log odds of motion that it gives.

    Travel times need a solution, which needs log odds: a first solution is found with the prior travel times. The
    travel times of its transitions replace the prior, and the appearance model is fitted again.
    """
    cosines = _training_cosines(evidence)
    motion = motion_of(evidence, evidence.model)
    model = replace(evidence.model, appearance=_fit_appearance(evidence, motion, cosines, config))
    if not config.graph.learn_travel_times or not len(evidence.transitions.a):
        return model, motion

    label = _first_solution(evidence, motion, model.appearance, config)
    del motion  # one value for each of millions of pairs, which is computed anew
    in_solution = label[evidence.transitions.a] == label[evidence.transitions.b]
    model = replace(
        model,
        travel_times=fit_travel_times(evidence.transitions, in_solution),
        solution=Solution(evidence.aligned.camera, evidence.aligned.track, label),
    )
    motion = motion_of(evidence, model)
    return replace(model, appearance=_fit_appearance(evidence, motion, cosines, config)), motion


def _first_solution(
    evidence: Evidence, motion: Motion, appearance: AppearanceModel | None, config: AssociateConfig
) -> Array:
    """Labels by the prior travel times, without local search: int64 (N,)."""
    log_odds = total_log_odds(evidence, motion, appearance, config)
    pairwise = PairwiseLogOdds(len(evidence.aligned.passages), evidence.keys, log_odds)
    return greedy_edge_contraction(pairwise, evidence.constraints.conflict)


def _training_cosines(evidence: Evidence) -> tuple[Array, Array]:
    """Cosines of pairs of two vehicles, (S,), and of pairs that are one beyond doubt, (K,)."""
    if evidence.cosine is None:
        return np.zeros(0), np.zeros(0)
    aligned, cosine, embeddings = evidence.aligned, evidence.cosine, evidence.embeddings()
    matches = _finite(pair_cosines(embeddings, evidence.certain, aligned.trajectories.start_s))
    if len(matches) < _MIN_CERTAIN:
        # Pairs that are mutually most similar, and more similar than most, are a start, too.
        finite = _finite(cosine)
        least = np.quantile(finite, _SIMILAR_QUANTILE) if len(finite) else 1.0
        similar = np.flatnonzero(cosine >= least)
        matches = cosine[similar[mutual_nearest(evidence.pairs[similar], -cosine[similar], aligned.camera)]]
    return sample_negative_pairs(embeddings, aligned.camera, evidence.keys), matches


def _fit_appearance(
    evidence: Evidence, motion: Motion, cosines: tuple[Array, Array], config: AssociateConfig
) -> AppearanceModel | None:
    if evidence.cosine is None:
        return None
    negatives, matches = cosines
    return fit_appearance(
        evidence.cosine,
        negatives,
        matches,
        motion.log_odds,
        threshold=config.threshold,
        limit=config.graph.max_appearance_log_odds,
        outlier_rate=config.graph.appearance_outlier_rate,
    )


def _finite(values: Array) -> Array:
    return np.asarray(values[np.isfinite(values)])
