"""The choices of cross-camera association."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from mtmc.settings import Condition, Settings, UsedWhen

__all__ = [
    "AssociateConfig",
    "CrossroadZonesConfig",
    "ElectricityConfig",
    "GraphConfig",
    "HierarchicalConfig",
    "Objective",
]

Objective = Literal["precision", "idf1"]


class GraphConfig(Settings):
    """The cues of the graph and their weight."""

    renamed: ClassVar[Mapping[str, str]] = {
        "correct_clocks": "estimate_clock_offsets",
        "register_cameras": "refine_calibration",
        "radius_m": "max_distance_m",
        "least_sigma_m": "min_position_sigma_m",
        "drift_mps": "extrapolation_sigma_mps",
        "continue_s": "max_extrapolation_s",
        "join_s": "max_reentry_gap_s",
        "unlinked_s": "max_unlinked_gap_s",
        "link_slack_s": "travel_time_slack_s",
        "typical_mps": "default_speed_mps",
        "learn_times": "learn_travel_times",
        "heading": "heading_kappa",
        "appearance": "appearance_weight",
        "appearance_limit": "max_appearance_log_odds",
        "unlike": "appearance_outlier_rate",
    }
    used_when: ClassVar[Mapping[str, Condition]] = {
        **dict.fromkeys(
            (
                "estimate_clock_offsets",
                "refine_calibration",
                "max_distance_m",
                "min_position_sigma_m",
                "extrapolation_sigma_mps",
                "max_extrapolation_s",
            ),
            UsedWhen("associate.use_ground", "=", True),
        ),
        **dict.fromkeys(
            ("max_appearance_log_odds", "appearance_outlier_rate"),
            UsedWhen("associate.graph.appearance_weight", ">", 0),
        ),
    }

    estimate_clock_offsets: bool = Field(
        True, description="estimate offset and drift of clocks from overlapping views, and correct them"
    )
    refine_calibration: bool = Field(
        True, description="estimate small errors of calibrations and clocks from overlapping views, and correct them"
    )
    max_distance_m: float = Field(25.0, gt=0, description="farther apart at one time is no candidate, meters")
    min_position_sigma_m: float = Field(
        1.3,
        gt=0,
        description="least standard deviation of a position on the ground, meters: two views see two points of a "
        "vehicle, and a point that is uniform over the length of a car has 4.5 m / √12",
    )
    extrapolation_sigma_mps: float = Field(
        1.5, gt=0, description="growth of the standard deviation of an extrapolated position, meters per second"
    )
    max_extrapolation_s: float = Field(
        12.0, ge=0, description="longest time out of sight that a trajectory is extrapolated over, seconds"
    )
    max_reentry_gap_s: float = Field(
        8.0, ge=0, description="longest time out of sight before a vehicle returns to the same camera, seconds"
    )
    max_unlinked_gap_s: float = Field(
        20.0,
        ge=0,
        description="longest time out of sight between two cameras that no link joins, in a scene with links; "
        "0: the links are complete",
    )
    travel_time_slack_s: float = Field(
        2.0,
        ge=0,
        description="how far outside of a link's travel times a transition may be, at a loss of 1 log odds per "
        "second: tracklets seldom begin and end where the times were measured",
    )
    default_speed_mps: float = Field(
        8.0, gt=0, description="usual speed from one camera to another where there is no link, meters per second"
    )
    learn_travel_times: bool = Field(
        True, description="learn from departures and arrivals which routes exist, and their travel times"
    )
    heading_kappa: float = Field(2.0, gt=0, description="concentration of directions (von Mises κ)")
    appearance_weight: float = Field(1.0, ge=0, description="weight of appearance; 0 leaves it out")
    max_appearance_log_odds: float = Field(8.0, gt=0, description="largest log odds of appearance, for or against")
    appearance_outlier_rate: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of one vehicle's pairs as dissimilar as two: partly hidden, or mixed",
    )
    objective: Objective = Field(
        "precision",
        description="what identities are chosen by; precision: tracklets are joined where one vehicle is likelier "
        "than two; idf1: by the largest expected F1 score, which also joins less likely ones, since it counts what "
        "is not joined as lost",
    )


class ElectricityConfig(Settings):
    """The rules of ELECTRICITY. Distances are squared Euclidean ones between embeddings times ``scale``."""

    renamed: ClassVar[Mapping[str, str]] = {"boxes": "per_box", "impostor_quantile": "negative_quantile"}
    used_when: ClassVar[Mapping[str, Condition]] = {
        "negative_quantile": (
            UsedWhen("associate.electricity.mode", "=", "calibrated"),
            UsedWhen("associate.electricity.calibrated_distance", "=", None),
        ),
        "calibrated_distance": UsedWhen("associate.electricity.mode", "=", "calibrated"),
    }

    mode: Literal["strict", "fixed", "calibrated"] = Field(
        "calibrated",
        description="strict: as released, mistakes included; fixed: as meant; "
        "calibrated: as meant, with a threshold set from the tracklets at hand",
    )
    scale: float = Field(
        1.0, gt=0, description="factor of the unit embeddings; the released thresholds belong to unnormalized ones"
    )
    match_distance: float = Field(
        12.0,
        ge=0,
        description="strict and fixed: largest distance of one vehicle; calibrated: only its ratio to "
        "isolation_distance counts",
    )
    isolation_distance: float = Field(
        100.0,
        ge=0,
        description="a tracklet without a tracklet within this distance in another camera is deleted; calibrated "
        "keeps the ratio of both distances",
    )
    negative_quantile: float = Field(
        0.01,
        ge=0,
        le=1,
        description="calibrated: the match distance is this quantile of the distances of negative pairs, tracklets "
        "that one camera sees at the same time",
    )
    calibrated_distance: float | None = Field(
        None,
        ge=0,
        description="calibrated: the match distance found on training scenes; null: by negative_quantile",
    )
    per_box: bool = Field(
        False, description="compare first boxes with all other boxes, as released; needs embed.per_detection"
    )
    min_boxes: int = Field(20, ge=1, description="tracklets of fewer boxes are left out")


class HierarchicalConfig(Settings):
    """Constrained agglomerative clustering."""

    used_when: ClassVar[Mapping[str, Condition]] = {
        name: UsedWhen("associate.use_ground", "=", True)
        for name in ("max_ground_m", "ground_weight", "min_overlap_s")
    }

    all_pairs: bool = Field(
        False,
        description="true: every two passages of a vehicle must be feasible by themselves, as published; "
        "false: one feasible pair that reaches the threshold joins two groups, so that links make chains",
    )
    linkage: Literal["average", "complete", "single", "mean_feature"] = Field(
        "average",
        description="similarity of two groups: of the mean, the worst or the best pair, "
        "or the cosine of their mean embeddings",
    )
    once_per_camera: bool = Field(
        True, description="a vehicle passes each camera once; false: again, but never twice at the same time"
    )
    max_ground_m: float = Field(
        12.0,
        gt=0,
        description="largest distance on the ground, at one time, of two observations of one vehicle (calibrated "
        "cameras), meters",
    )
    ground_weight: float = Field(
        0.8,
        ge=0,
        le=1,
        description="weight of nearness on the ground in the similarity; the rest is the weight of appearance",
    )
    min_overlap_s: float = Field(
        0.3, ge=0, description="shortest common time over which nearness on the ground is measured, seconds"
    )


class CrossroadZonesConfig(Settings):
    """The steps of the winners of 2021 and 2022: adjacent cameras first, one direction after the other."""

    renamed: ClassVar[Mapping[str, str]] = {
        "soft_s": "time_decay_s",
        "boxes": "votes_per_tracklet",
        "drop_repeated": "drop_repeated_cameras",
    }
    used_when: ClassVar[Mapping[str, Condition]] = {
        "whitening": UsedWhen("associate.crossroad_zones.camera_bias", "=", "whiten"),
        **dict.fromkeys(("k1", "k2", "rerank_weight"), UsedWhen("associate.crossroad_zones.rerank", "=", True)),
        "pair_similarity": UsedWhen("associate.crossroad_zones.matching", "=", "tracklets"),
        **dict.fromkeys(
            ("votes_per_tracklet", "top_k", "min_votes", "vote_ratio"),
            UsedWhen("associate.crossroad_zones.matching", "=", "boxes"),
        ),
    }

    matching: Literal["tracklets", "boxes"] = Field(
        "tracklets",
        description="of two adjacent cameras; tracklets: complete linkage of embeddings; "
        "boxes: single boxes vote, which needs embed.per_detection",
    )
    camera_bias: Literal["none", "mean", "whiten"] = Field(
        "whiten",
        description="what is removed from each camera's embeddings: nothing, their mean, or also their covariance",
    )
    whitening: float = Field(3.0, gt=0, description="added to the variances that whitening divides by")
    rerank: bool = Field(True, description="re-rank by k-reciprocal neighbors within each pair of cameras")
    k1: int = Field(20, ge=1, description="size of the k-reciprocal neighborhood, at most a quarter of the vectors")
    k2: int = Field(3, ge=1, description="number of neighbors over which the re-ranked features are averaged")
    rerank_weight: float = Field(0.3, ge=0, le=1, description="weight of the original distance after re-ranking")
    pair_similarity: float = Field(
        0.5, ge=-1, le=1, description="tracklets: least similarity of two tracklets of adjacent cameras"
    )
    merge_similarity: float = Field(
        0.1, ge=-1, le=1, description="least similarity of two identities of several cameras that are merged"
    )
    drop_repeated_cameras: bool = Field(
        True,
        description="dissolve identities with two tracklets of one camera; false: refuse the least similar match "
        "that would cause it",
    )
    time_decay_s: float = Field(
        0.0,
        ge=0,
        description="outside of a travel time's window the similarity falls by the factor 1/e per so many seconds; "
        "0: such pairs are no candidates",
    )
    votes_per_tracklet: int = Field(
        8, ge=1, description="boxes: boxes of each tracklet that vote, evenly spread over it"
    )
    top_k: int = Field(
        10, ge=1, description="boxes: nearest boxes that a box votes for, at most a quarter of all of them"
    )
    min_votes: int = Field(
        2, ge=1, description="boxes: least mutual votes of two tracklets, both directions together"
    )
    vote_ratio: float = Field(
        0.5, ge=0, le=1, description="boxes: least share of the boxes of two tracklets that support the match"
    )


class AssociateConfig(Settings):
    """Which passages can be one vehicle, and the similarity that this takes."""

    renamed: ClassVar[Mapping[str, str]] = {
        **{
            name: f"hierarchical.{name}"
            for name in ("linkage", "once_per_camera", "ground_weight", "min_overlap_s", "max_ground_m")
        },
        "zones": "crossroad_zones",
    }
    used_when: ClassVar[Mapping[str, Condition]] = {
        **{
            name: UsedWhen("associate.method", "=", name)
            for name in ("graph", "hierarchical", "electricity", "crossroad_zones")
        },
        "min_similarity": UsedWhen("associate.method", "=", "graph", "hierarchical", "electricity"),
        "max_gap_s": UsedWhen("associate.method", "=", "graph", "hierarchical", "crossroad_zones"),
        "use_ground": UsedWhen("associate.method", "=", "graph", "hierarchical"),
        "max_speed_mps": (
            UsedWhen("associate.method", "=", "graph", "hierarchical"),
            UsedWhen("associate.use_ground", "=", True),
        ),
    }

    method: Literal["graph", "hierarchical", "electricity", "crossroad_zones"] = Field(
        "graph",
        description="graph: the project's own; published rules: hierarchical (constrained agglomeration), "
        "electricity (AI City 2020), crossroad_zones (AI City 2021 and 2022)",
    )
    graph: GraphConfig = GraphConfig()
    hierarchical: HierarchicalConfig = HierarchicalConfig()
    electricity: ElectricityConfig = ElectricityConfig()
    crossroad_zones: CrossroadZonesConfig = CrossroadZonesConfig()
    min_similarity: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="mean similarity at which two groups are still one vehicle; null: the embedder's own, or 0.5",
    )
    max_gap_s: float = Field(
        120.0, ge=0, description="longest time out of sight between two passages; unused where the scene has links"
    )
    use_ground: bool = Field(
        True, description="use ground positions, where cameras are calibrated; false: appearance and time alone"
    )
    max_speed_mps: float = Field(
        50.0, gt=0, description="highest speed of a vehicle between two calibrated cameras, meters per second"
    )
    keep_single_camera: bool = Field(
        True, description="keep vehicles seen by one camera only; scoring removes them by itself"
    )

    def for_embedder(self, match_similarity: float | None) -> AssociateConfig:
        """These choices with ``min_similarity`` filled in from an embedder's card, unless it was chosen."""
        if self.min_similarity is not None or match_similarity is None:
            return self
        return self.model_copy(update={"min_similarity": match_similarity})

    @property
    def threshold(self) -> float:
        """The similarity that counts: 0.5 suits embedders trained on vehicles, when nothing else is known."""
        return 0.5 if self.min_similarity is None else self.min_similarity
