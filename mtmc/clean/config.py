"""The choices of tracklet clean-up: the steps' own settings, composed."""

from __future__ import annotations

from mtmc.clean.drop import DropConfig
from mtmc.clean.hidden import HiddenConfig
from mtmc.clean.interpolate import InterpolateConfig
from mtmc.clean.join import JoinConfig
from mtmc.clean.split import SplitConfig
from mtmc.settings import Settings

__all__ = ["CleanConfig"]


class CleanConfig(Settings):
    """What is done to tracklets before vehicles are described, in this order; each step can be switched off."""

    split: SplitConfig = SplitConfig()
    join: JoinConfig = JoinConfig()
    interpolate: InterpolateConfig = InterpolateConfig()
    hidden: HiddenConfig = HiddenConfig()
    drop: DropConfig = DropConfig()
