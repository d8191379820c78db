"""What is learned from the passages of a scene themselves, without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import expit

from mtmc.associate.candidates import Motion, motion_of, other_likelihood_ratio
from mtmc.associate.config import AssociateConfig
from mtmc.associate.evidence import AlignedPassages, Evidence, cameras_of, gather_evidence, on_common_planes, sampled
from mtmc.associate.scene_model import SceneModel
from mtmc.associate.travel_times import fit_travel_times
from mtmc.multiview.appearance import AppearanceModel, fit_appearance, pair_cosines, sample_negative_pairs
from mtmc.multiview.categories import fit_categories
from mtmc.multiview.clock_sync import estimate_clock_offsets
from mtmc.multiview.registration import fit_calibration_correction
from mtmc.scene import Scene
from mtmc.types import Array, Passage

__all__ = ["fit_alignment", "fit_cues", "fit_scene_model"]

_CLOCK_DISTANCES_M = (6.0, 3.0)  # of positions that are one, before and after the first correction
_ROUNDS = 2  # of appearance and travel times
_MIN_MATCHING_LOG_ODDS = -3.0  # of pairs that class and color are learned from


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

    Either makes the other more certain: routes that exist show how similar two pictures of one vehicle are, and
    similar pairs show which routes exist. Travel times are fitted first by times alone, then with appearance, class
    and color.
    """
    cosines = _training_cosines(evidence)
    aligned = evidence.aligned
    has_categories = aligned.class_probability.any() or aligned.color_probability.any()
    has_visual_cues = evidence.cosine is not None or has_categories
    model = evidence.model
    for _ in range(_ROUNDS if has_visual_cues else 1):
        if config.graph.learn_travel_times and len(evidence.transitions.a):
            ratio = other_likelihood_ratio(evidence, model)
            times = fit_travel_times(evidence.transitions, aligned.sightings, ratio)
            model = replace(model, travel_times=times)
        motion = motion_of(evidence, model)
        model = replace(model, appearance=_fit_appearance(evidence, motion, cosines, config))
        model = _with_categories(model, evidence, motion) if has_visual_cues else model
    return model, motion_of(evidence, model)


def _with_categories(model: SceneModel, evidence: Evidence, motion: Motion) -> SceneModel:
    """The model with class and color, fitted to pairs of two cameras by how probable position and time make them."""
    aligned = evidence.aligned
    is_of_two_cameras = aligned.camera[evidence.pairs[:, 0]] != aligned.camera[evidence.pairs[:, 1]]
    rows = np.flatnonzero(is_of_two_cameras & (motion.log_odds > _MIN_MATCHING_LOG_ODDS))
    pairs, matching = evidence.pairs[rows], expit(motion.log_odds[rows])
    return replace(
        model,
        classes=fit_categories(aligned.class_probability, aligned.camera, pairs, matching),
        colors=fit_categories(aligned.color_probability, aligned.camera, pairs, matching),
    )


def _training_cosines(evidence: Evidence) -> tuple[Array, Array]:
    """Cosines of pairs of two vehicles, (S,), and of pairs that are one beyond doubt, (K,)."""
    if evidence.cosine is None:
        return np.zeros(0), np.zeros(0)
    aligned, embeddings = evidence.aligned, evidence.embeddings()
    matches = _finite(pair_cosines(embeddings, evidence.certain, aligned.trajectories.start_s))
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
