"""The settings of learning a scene model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from mtmc.settings import Condition, Settings, UsedWhen

__all__ = ["LearnConfig", "SiteConfig"]


class SiteConfig(Settings):
    """How a scene model is learned. Nothing here is a fact of any particular scene."""

    renamed: ClassVar[Mapping[str, str]] = {
        "most_clock_s": "max_clock_offset_s",
        "longest_travel_s": "max_travel_time_s",
        "longest_overlap_s": "max_overlap_s",
        "least_count": "min_support",
        "least_purity": "min_purity",
        "max_chance": "max_false_link_probability",
        "set_clocks": "set_clocks: false is now clocks: keep, and set_clocks: true is clocks: learn",
        "update_clocks": "update_clocks: false is now clocks: keep, and update_clocks: true is clocks: learn",
    }

    ground: Literal["auto", "keep", "learn"] = Field(
        "auto", description="homographies: keep those given, learn new ones, or (auto) learn if no camera has one"
    )
    max_clock_offset_s: float = Field(3.0, ge=0, description="how far clocks may be wrong, in seconds either way")
    clocks: Literal["auto", "keep", "learn"] = Field(
        "auto",
        description="significant clock corrections: keep all clocks, correct any (learn), or (auto) only those that "
        "scene.yaml does not state",
    )
    links: Literal["auto", "keep", "learn"] = Field(
        "auto", description="zones and links: keep those given, learn new ones, or (auto) learn what is not given"
    )
    max_travel_time_s: float = Field(60.0, gt=0, description="longest time out of sight between two cameras, seconds")
    max_overlap_s: float = Field(
        20.0, ge=0, description="how long before it leaves one view a vehicle may enter the next, seconds"
    )
    min_support: int = Field(3, ge=2, description="vehicles that make a zone or a link")
    min_purity: float = Field(
        0.35,
        ge=0,
        le=1,
        description="least share of the vehicles at a zone inside the image that begin (or end) there; "
        "a lower share is taken for occlusion",
    )
    max_false_link_probability: float = Field(
        0.25, gt=0, lt=1, description="greatest probability at which a link may not exist"
    )
    max_false_link_share: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="greatest share of false links among all, measured on entries in reversed order of time",
    )
    min_ground_probability: float = Field(
        0.9,
        ge=0,
        lt=1,
        description="least probability that two views share road; with less they keep planes of their own",
    )
    min_alignment_probability: float = Field(
        0.9, gt=0, lt=1, description="least probability of a connection between ground planes that share no road"
    )


class LearnConfig(SiteConfig):
    """Whether and how a run learns the scene model before it associates."""

    used_when: ClassVar[Mapping[str, Condition]] = dict.fromkeys(
        SiteConfig.model_fields, UsedWhen("learn.enabled", "=", True)
    )

    enabled: bool = Field(
        True, description="learn from the tracklets what scene.yaml does not state; --no-learn is the same as false"
    )
