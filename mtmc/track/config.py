"""The configuration of single-camera tracking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from mtmc.settings import AnyOf, Condition, Settings, UsedWhen

__all__ = ["DEEPSORT", "JDE", "TrackConfig"]

#: What ``association: deepsort`` sets, unless a value is given.
DEEPSORT: dict[str, Any] = {"high_score_threshold": 0.0, "iou_max_distance": 0.7}

#: What ``association: jde`` sets, unless a value is given: the rules of "Towards Real-Time Multi-Object Tracking".
JDE: dict[str, Any] = {
    "appearance_max_distance": 0.7,
    "iou_max_distance": 0.5,
    "tentative_iou_max_distance": 0.7,
    "new_track_threshold": 0.5,
    "n_init": 2,
    "max_age_s": 1.0,
    "high_score_threshold": 0.0,
    "velocity_noise": 1.0,
    "initial_velocity_std": 2.0,
    "buffer_scale": 1.0,
    "duplicate_iou": 0.85,
    "output": "posterior",
}

#: A track is remembered for at least so many frame periods.
_LEAST_PERIODS = 4
#: With appearance features, which tell whether it is the same vehicle, a track is remembered so many times as long.
_FACTOR_WITH_FEATURES = 2

#: Without an embedder, ``motion`` gives no detection an appearance feature; other detectors may.
_DETECTIONS_HAVE_FEATURES = AnyOf(
    (UsedWhen("embed.per_detection", "=", True), UsedWhen("detect.weights", "≠", "motion"))
)


class TrackConfig(Settings):
    """How detections of one camera are linked to tracklets.

    ``association`` chooses the matching strategy (:mod:`mtmc.track.matching`). Every distance is 0 for identical
    inputs; a track and a detection whose distance exceeds the limit are never matched.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        "appearance_memory": "feature_memory",
        "ema_keep": "ema_momentum",
        "gate_chi2": "mahalanobis_gate",
        "motion_gate_chi2": "motion_only_gate",
        "high_score": "high_score_threshold",
        "new_track_score": "new_track_threshold",
        "stopped_memory_s": "stationary_max_age_s",
        "stopped_speed": "stationary_speed",
        "birth_velocity": "initial_velocity_std",
        "newborn_scale": "buffer_scale",
    }
    used_when: ClassVar[Mapping[str, Condition]] = {
        **dict.fromkeys(("motion_weight", "tentative_iou_max_distance"), UsedWhen("track.association", "=", "jde")),
        **dict.fromkeys(("appearance_max_distance", "feature_memory", "mahalanobis_gate"), _DETECTIONS_HAVE_FEATURES),
        "ema_momentum": (_DETECTIONS_HAVE_FEATURES, UsedWhen("track.feature_memory", "=", "ema")),
        "gallery_size": (_DETECTIONS_HAVE_FEATURES, UsedWhen("track.feature_memory", "=", "gallery")),
        **dict.fromkeys(("low_iou_max_distance", "n_high"), UsedWhen("track.high_score_threshold", "≠", 0)),
        "stationary_max_age_s": AnyOf(
            (
                UsedWhen("track.stationary_max_age_s", ">", "track.max_age_s"),
                UsedWhen("track.stationary_max_age_s", "=", 0),
            )
        ),
        "stationary_speed": UsedWhen("track.stationary_max_age_s", ">", "track.max_age_s"),
    }

    association: Literal["staged", "deepsort", "jde"] = Field(
        default="staged",
        description="staged: matching cascade by appearance, or by motion without it, then IoU, then low scores, "
        "then tentative tracks. deepsort, jde: as published; they also change the defaults of other track.* keys.",
    )
    appearance_max_distance: float = Field(
        default=0.5,
        gt=0,
        le=2,
        description="Largest cosine distance (jde: fused distance) at which a track and a detection are matched.",
    )
    feature_memory: Literal["ema", "gallery"] = Field(
        default="ema",
        description="Appearance features kept per track. ema: an exponential moving average. gallery: the latest "
        "gallery_size features, of which the nearest one counts.",
    )
    ema_momentum: float = Field(
        default=0.9,
        ge=0,
        lt=1,
        description="Weight of the old moving average when a new feature is added.",
    )
    gallery_size: int = Field(
        default=5,
        ge=1,
        description="Number of features kept per track when feature_memory is gallery.",
    )
    mahalanobis_gate: float = Field(
        default=9.4877,
        gt=0,
        description="Largest squared Mahalanobis distance in appearance matching: the 0.95 quantile of χ² with 4 "
        "degrees of freedom.",
    )
    motion_only_gate: float = Field(
        default=7.7794,
        gt=0,
        description="The same gate for detections without appearance features, which are matched by motion alone: "
        "the 0.90 quantile.",
    )
    motion_weight: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="Weight of the squared Mahalanobis distance in the fused distance (jde).",
    )
    iou_max_distance: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="Largest 1 − IoU at which a track and a detection are matched by their boxes.",
    )
    tentative_iou_max_distance: float = Field(
        default=0.7,
        gt=0,
        le=1,
        description="Largest 1 − IoU for tentative tracks, where they are matched in a stage of their own (jde).",
    )
    high_score_threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Score from which on a detection is high. A track needs n_high of them to be confirmed, and "
        "detections below are matched last. null: the limit follows from the distribution of the scores seen so "
        "far, and those below two thirds of it are matched last. 0: all are high.",
    )
    low_iou_max_distance: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Largest 1 − IoU in the second association stage.",
    )
    new_track_threshold: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Lowest score of a detection that starts a track.",
    )
    n_init: int = Field(
        default=3,
        ge=1,
        description="Number of consecutive detections that confirm a track.",
    )
    n_high: int = Field(
        default=2,
        ge=0,
        description="Number of detections with a high score that a track needs to be confirmed; no more than n_init.",
    )
    max_age_s: float = Field(
        default=1.0,
        ge=0,
        description="Seconds without a detection after which a confirmed track is deleted; at least four frames, "
        "however slow the camera is, and twice as long with appearance features (staged).",
    )
    stationary_max_age_s: float = Field(
        default=0.0,
        ge=0,
        description="The same for tracks that were stationary at their last detection. Values below max_age_s have "
        "no effect.",
    )
    stationary_speed: float = Field(
        default=0.1,
        ge=0,
        description="Speed over the last second below which a track is stationary, in box heights per second.",
    )
    position_noise: float = Field(
        default=1 / 20,
        gt=0,
        description="Standard deviation of a position, in box heights.",
    )
    velocity_noise: float = Field(
        default=0.3,
        gt=0,
        description="Standard deviation of the change of velocity in one second, in box heights per second.",
    )
    initial_velocity_std: float = Field(
        default=3.0,
        gt=0,
        description="Standard deviation of the velocity of a new track, in box heights per second. Deep SORT's "
        "value, 1/16 per frame, loses vehicles that cross the image fast.",
    )
    buffer_scale: float = Field(
        default=1.5,
        ge=1,
        description="Factor by which boxes are enlarged before the IoU with a track of a single detection is "
        "computed (BIoU), at ten frames per second; at lower rates they are enlarged more. 1 disables it.",
    )
    score_adaptive_noise: bool = Field(
        default=False,
        description="Multiply the measurement variance by 1 − score (NSA Kalman).",
    )
    duplicate_iou: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="IoU above which a lost and a matched track are duplicates; the younger one is deleted. 1 "
        "disables it.",
    )
    same_class: bool = Field(
        default=False,
        description="Match detections only to tracks of the same class.",
    )
    coast_s: float = Field(
        default=0.1,
        ge=0,
        description="Seconds without a detection for which a track outputs its predicted box with score 0. Predicted "
        "boxes after the last detection are not output.",
    )
    output: Literal["detected", "posterior"] = Field(
        default="detected",
        description="Boxes of a tracklet. detected: as they were detected, which fits the pixels best. posterior: as "
        "the Kalman filter estimates them.",
    )

    def memory_s(self, fps: float, *, has_features: bool) -> float:
        """Seconds without a detection after which a confirmed track is deleted, at a frame rate."""
        factor = _FACTOR_WITH_FEATURES if has_features and self.association == "staged" else 1
        return max(factor * self.max_age_s, _LEAST_PERIODS / fps)

    @model_validator(mode="before")
    @classmethod
    def _values_of_association(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        published = {"deepsort": DEEPSORT, "jde": JDE}
        return {**published.get(given.get("association", ""), {}), **given}
