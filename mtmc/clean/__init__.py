"""Tracklets mended and weeded: split, join, interpolate, drop_hidden, drop."""

from __future__ import annotations

from collections.abc import Sequence

from mtmc.clean.config import CleanConfig
from mtmc.clean.drop import drop
from mtmc.clean.hidden import drop_hidden
from mtmc.clean.interpolate import interpolate
from mtmc.clean.join import join
from mtmc.clean.split import split
from mtmc.scene import Camera
from mtmc.types import Array, Tracklet

__all__ = ["CleanConfig", "clean", "drop", "drop_hidden", "interpolate", "join", "split"]


def clean(
    tracklets: Sequence[Tracklet], camera: Camera, config: CleanConfig, roi: Array | None = None
) -> list[Tracklet]:
    """Clean the tracklets of one camera, step by step.

    Args:
        tracklets: As tracked, ids unique.
        camera: Where they were seen; its clock says when the frames of a gap were taken.
        config: The steps' settings.
        roi: bool (H, W), True inside the region of interest; None where the camera has none.
    """
    mended = list(tracklets)
    if config.split.enabled:
        mended = split(mended, config.split)
    if config.join.enabled:
        mended = join(mended, config.join)
    if config.interpolate.enabled:
        mended = interpolate(mended, camera.clock, config.interpolate)
    if config.hidden.enabled:
        mended = drop_hidden(mended, config.hidden)
    if config.drop.enabled:
        mended = drop(mended, config.drop, roi)
    return mended
