"""The choices of cross-camera association."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mtmc.settings import Settings

__all__ = ["AssociateConfig", "GraphConfig"]


class GraphConfig(Settings):
    """The cues of the graph and their weight."""

    correct_clocks: bool = Field(
        True, description="take offset and drift out of clocks, where overlapping views show them"
    )
    register_cameras: bool = Field(
        True, description="take small errors of calibrations and clocks out, as overlapping views show them"
    )
    radius_m: float = Field(25.0, gt=0, description="farther apart at one moment is no candidate, metres")
    least_sigma_m: float = Field(0.8, gt=0, description="least error of a place on the ground, metres")
    drift_mps: float = Field(
        1.5, gt=0, description="how fast a vehicle out of sight strays from a steady course, metres per second"
    )
    continue_s: float = Field(12.0, ge=0, description="longest time out of sight that a course is extrapolated over")
    join_s: float = Field(8.0, ge=0, description="longest gap between two tracklets of one vehicle in one camera")
    heading: float = Field(2.0, gt=0, description="sharpness of directions (von Mises κ)")
    appearance: float = Field(1.0, ge=0, description="weight of appearance; 0 leaves it out")
    appearance_limit: float = Field(5.0, gt=0, description="most that appearance says for or against, log odds")
    bias: float = Field(0.0, description="added to the log odds of every pair; below 0 joins less")


class AssociateConfig(Settings):
    """Which passages may be one vehicle, and how alike they must look."""

    method: Literal["graph", "hierarchical"] = Field(
        "graph", description="graph: the project's own; hierarchical: constrained agglomeration by similarity"
    )
    graph: GraphConfig = GraphConfig()
    min_similarity: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="mean similarity at which two groups are still one vehicle; null: the embedder's own, or 0.5",
    )
    linkage: Literal["average", "complete", "single"] = Field(
        "average", description="similarity of two groups: the mean, the worst or the best pair"
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
