"""The choices of single-camera tracking."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from mtmc.settings import Settings

__all__ = ["JDE", "TrackConfig"]

#: What ``association: jde`` sets, unless a value is given: the rules of "Towards Real-Time Multi-Object Tracking".
JDE: dict[str, Any] = {
    "appearance_max_distance": 0.7,
    "iou_max_distance": 0.5,
    "tentative_iou_max_distance": 0.7,
    "new_track_score": 0.5,
    "n_init": 2,
    "max_age_s": 1.0,
    "velocity_noise": 1 / 160,
    "birth_velocity": 1 / 16,
    "newborn_scale": 1.0,
    "duplicate_iou": 0.85,
    "output": "posterior",
}


class TrackConfig(Settings):
    """How detections of one camera are linked to tracklets.

    ``association`` chooses the order of the matching rounds (:mod:`mtmc.track.rounds`). Distances run from 0 (the
    same) upwards, a pair above its limit is never matched.
    """

    association: Literal["deepsort", "jde"] = Field(
        default="deepsort",
        description="deepsort: appearance first, recently seen tracks before older ones, then overlap. "
        "jde: appearance and motion fused, then overlap, then tentative tracks; it changes the defaults below.",
    )
    appearance_max_distance: float = Field(
        default=0.5,
        gt=0,
        le=2,
        description="Cosine (jde: fused) distance up to which a track and a box are the same.",
    )
    appearance_memory: Literal["ema", "gallery"] = Field(
        default="ema",
        description="What a track remembers: one running mean, or its latest features, nearest one counts.",
    )
    ema_keep: float = Field(
        default=0.9, ge=0, lt=1, description="Share of the running mean that a new feature leaves."
    )
    gallery_size: int = Field(default=5, ge=1, description="Features remembered per track by the gallery.")
    gate_chi2: float = Field(
        default=9.4877,
        gt=0,
        description="Squared Mahalanobis gate of the first round: χ² at 0.95 with 4 degrees.",
    )
    motion_gate_chi2: float = Field(
        default=7.7794,
        gt=0,
        description="The same where boxes have no appearance: χ² at 0.90, since nothing else tells.",
    )
    motion_weight: float = Field(default=0.02, ge=0, le=1, description="Share of motion in the fused distance (jde).")
    iou_max_distance: float = Field(default=0.7, gt=0, le=1, description="1 − IoU limit for tracks seen a frame ago.")
    tentative_iou_max_distance: float = Field(
        default=0.7, gt=0, le=1, description="1 − IoU limit for tentative tracks, where they have their own round."
    )
    high_score: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Boxes scoring less only prolong tracks that nothing better fits; 0: no such boxes.",
    )
    low_iou_max_distance: float = Field(
        default=0.5, gt=0, le=1, description="1 − IoU limit for those low-scoring boxes."
    )
    new_track_score: float = Field(default=0.0, ge=0, le=1, description="Boxes scoring less start no track.")
    n_init: int = Field(default=3, ge=1, description="Boxes in consecutive frames that confirm a track.")
    max_age_s: float = Field(default=3.0, ge=0, description="A confirmed track unseen for longer ends.")
    stopped_memory_s: float = Field(
        default=0.0,
        ge=0,
        description="The same for a track that stood still when last seen; at least max_age_s counts.",
    )
    stopped_speed: float = Field(
        default=0.1, ge=0, description="Slower than this, in box heights per second, is standing still."
    )
    position_noise: float = Field(
        default=1 / 20, gt=0, description="Standard deviation of a position, in box heights."
    )
    velocity_noise: float = Field(
        default=1 / 320, gt=0, description="Standard deviation of a change of velocity, in box heights per frame."
    )
    birth_velocity: float = Field(
        default=0.3,
        gt=0,
        description="Standard deviation of the velocity of a vehicle seen for the first time, in box heights per "
        "frame; in the paper 1/16, which loses those that cross the picture fast.",
    )
    newborn_scale: float = Field(
        default=1.5,
        ge=1,
        description="Boxes grow by this factor before their overlap with tracks of one box counts; 1: they do not.",
    )
    score_adaptive_noise: bool = Field(
        default=False, description="Trust a box by its score: measurement variance × (1 − score), as NSA Kalman does."
    )
    duplicate_iou: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="A lost track that overlaps a seen one by more ends if it is the younger; 1: never.",
    )
    same_class: bool = Field(default=False, description="Match boxes only with tracks of their class.")
    coast_s: float = Field(
        default=0.1,
        ge=0,
        description="A track writes its predicted box, with score 0, until unseen for longer; if found again.",
    )
    output: Literal["detected", "posterior"] = Field(
        default="detected",
        description="Boxes of a tracklet: as detected (they fit the pixels best), or smoothed by the motion filter.",
    )

    @model_validator(mode="before")
    @classmethod
    def _values_of_association(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("association") == "jde":
            return {**JDE, **given}
        return given
