"""The choices of cross-camera association."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mtmc.settings import Settings

__all__ = ["AssociateConfig", "ElectricityConfig", "GraphConfig", "HierarchicalConfig", "ZonesConfig"]


class GraphConfig(Settings):
    """The cues of the graph and their weight."""

    estimate_clock_offsets: bool = Field(
        True, description="estimate offset and drift of clocks from overlapping views, and correct them"
    )
    refine_calibration: bool = Field(
        True, description="estimate small errors of calibrations and clocks from overlapping views, and correct them"
    )
    max_distance_m: float = Field(25.0, gt=0, description="farther apart at one time is no candidate, meters")
    min_position_sigma_m: float = Field(
        0.8, gt=0, description="least standard deviation of a position on the ground, meters"
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
        True, description="solve twice, the second time with the travel times of the first solution"
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
    merge_bias_log_odds: float = Field(
        0.5,
        description="added to the log odds of every pair; 0 joins what is more likely one vehicle than two; above 0 "
        "joins more, which identity scores reward, since a vehicle that is not joined at all is lost to them",
    )


class ElectricityConfig(Settings):
    """The rules of ELECTRICITY. Distances are squared Euclidean ones between embeddings times ``scale``."""

    mode: Literal["strict", "fixed", "calibrated"] = Field(
        "calibrated",
        description="strict: as released, mistakes included; fixed: as meant; "
        "calibrated: as meant, with a threshold set from the tracklets at hand",
    )
    scale: float = Field(
        1.0, gt=0, description="factor of the unit embeddings; the released thresholds belong to unnormalised ones"
    )
    match_distance: float = Field(12.0, ge=0, description="strict and fixed: farther apart is another vehicle")
    isolation_distance: float = Field(
        100.0,
        ge=0,
        description="a tracklet with nothing nearer elsewhere is deleted; calibrated keeps the ratio of both",
    )
    impostor_quantile: float = Field(
        0.01,
        ge=0,
        le=1,
        description="calibrated: share of certainly different vehicles that is nearer than the match distance",
    )
    calibrated_distance: float | None = Field(
        None, ge=0, description="calibrated: the match distance found on training scenes; null: by impostor_quantile"
    )
    boxes: bool = Field(
        False, description="compare first boxes with all other boxes, as released; needs embed.every_box"
    )
    min_boxes: int = Field(20, ge=1, description="tracklets of fewer boxes are left out")


class HierarchicalConfig(Settings):
    """How strict constrained agglomeration is."""

    all_pairs: bool = Field(
        False,
        description="true: every two passages of a vehicle must be possible by themselves, as published; "
        "false: one possible and alike pair joins two groups, so that links make chains",
    )


class ZonesConfig(Settings):
    """The steps of the winners of 2021 and 2022: adjacent cameras first, one direction after the other."""

    matching: Literal["tracklets", "boxes"] = Field(
        "tracklets",
        description="of two adjacent cameras; tracklets: complete linkage of embeddings; "
        "boxes: single boxes vote, which needs embed.every_box",
    )
    camera_bias: Literal["none", "mean", "whiten"] = Field(
        "whiten", description="taken out of each camera's embeddings: nothing, their mean, or also their spread"
    )
    whitening: float = Field(3.0, gt=0, description="added to the variances that whitening divides by")
    rerank: bool = Field(True, description="re-rank by k-reciprocal neighbours within each pair of cameras")
    k1: int = Field(20, ge=1, description="neighbours that are reciprocal, at most a quarter of those there are")
    k2: int = Field(3, ge=1, description="neighbours whose descriptions are averaged")
    rerank_weight: float = Field(0.3, ge=0, le=1, description="share of the original distance after re-ranking")
    pair_similarity: float = Field(
        0.5, ge=-1, le=1, description="tracklets: least similarity of two tracklets of adjacent cameras"
    )
    merge_similarity: float = Field(
        0.1, ge=-1, le=1, description="least similarity of two identities of several cameras that become one"
    )
    drop_repeated: bool = Field(
        True,
        description="identities that pass a camera twice are dissolved; false: the least alike of their links is cut",
    )
    soft_s: float = Field(
        0.0, ge=0, description="similarity fades by 1/e per so many seconds outside of a travel time; 0: at once"
    )
    boxes: int = Field(8, ge=1, description="boxes: boxes of each tracklet that vote, evenly spread")
    top_k: int = Field(
        10, ge=1, description="boxes: nearest boxes that get a vote, at most a quarter of those there are"
    )
    min_votes: int = Field(2, ge=1, description="boxes: least mutual votes of two tracklets, both ways together")
    vote_ratio: float = Field(0.5, ge=0, le=1, description="boxes: least share of their boxes that voted so")


class AssociateConfig(Settings):
    """Which passages may be one vehicle, and how alike they must look."""

    method: Literal["graph", "hierarchical", "electricity", "zones"] = Field(
        "graph",
        description="graph: the project's own; published rules: hierarchical (constrained agglomeration), "
        "electricity (AI City 2020), zones (AI City 2021 and 2022)",
    )
    graph: GraphConfig = GraphConfig()
    hierarchical: HierarchicalConfig = HierarchicalConfig()
    electricity: ElectricityConfig = ElectricityConfig()
    zones: ZonesConfig = ZonesConfig()
    min_similarity: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="mean similarity at which two groups are still one vehicle; null: the embedder's own, or 0.5",
    )
    linkage: Literal["average", "complete", "single", "mean_feature"] = Field(
        "average",
        description="hierarchical: similarity of two groups: the mean, the worst or the best pair, "
        "or the cosine of their mean embeddings",
    )
    max_gap_s: float = Field(
        120.0, ge=0, description="longest time out of sight between two passages; unused where the scene has links"
    )
    once_per_camera: bool = Field(
        True, description="a vehicle passes each camera once; false: again, but never twice at the same moment"
    )
    max_ground_m: float | None = Field(
        12.0,
        gt=0,
        description="farther apart at one moment is not one vehicle (calibrated cameras); null: ignore the ground",
    )
    max_speed_mps: float = Field(
        50.0, gt=0, description="metres per second that no vehicle exceeds between two calibrated cameras"
    )
    ground_weight: float = Field(
        0.8, ge=0, le=1, description="share of nearness on the ground in the similarity, against appearance"
    )
    min_overlap_s: float = Field(0.3, ge=0, description="shortest common time that says something about nearness")
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
