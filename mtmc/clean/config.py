"""The configuration of tracklet clean-up, composed of that of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from mtmc.clean.filter import TrackletFilterConfig
from mtmc.clean.interpolate import InterpolateConfig
from mtmc.clean.join import JoinConfig
from mtmc.clean.occlusion import OcclusionConfig
from mtmc.clean.split import SplitConfig
from mtmc.settings import Settings

__all__ = ["CleanConfig"]


class CleanConfig(Settings):
    """The steps between tracking and embedding, in this order; each can be disabled."""

    renamed: ClassVar[Mapping[str, str]] = {"hidden": "occlusion", "drop": "filter"}

    split: SplitConfig = SplitConfig()
    join: JoinConfig = JoinConfig()
    interpolate: InterpolateConfig = InterpolateConfig()
    occlusion: OcclusionConfig = OcclusionConfig()
    filter: TrackletFilterConfig = TrackletFilterConfig()
