"""Clean-up of tracklets: split, join, interpolate, drop occluded boxes, filter."""

from __future__ import annotations

from collections.abc import Sequence

from mtmc.clean.config import CleanConfig
from mtmc.clean.filter import filter_tracklets
from mtmc.clean.interpolate import interpolate
from mtmc.clean.join import join
from mtmc.clean.occlusion import drop_occluded
from mtmc.clean.split import split
from mtmc.scene import Camera
from mtmc.types import Array, Tracklet

__all__ = ["CleanConfig", "clean", "drop_occluded", "filter_tracklets", "interpolate", "join", "split"]


def clean(
    tracklets: Sequence[Tracklet], camera: Camera, config: CleanConfig, roi: Array | None = None
) -> list[Tracklet]:
    """Clean the tracklets of one camera, step by step.

    Args:
        tracklets: As tracked; their ids are unique.
        camera: Their camera, whose clock gives the times of interpolated frames.
        config: Configuration of the steps.
        roi: bool (H, W), True inside the region of interest; None where the camera has none.
    """
    cleaned = list(tracklets)
    if config.split.enabled:
        cleaned = split(cleaned, config.split)
    if config.join.enabled:
        cleaned = join(cleaned, config.join)
    if config.interpolate.enabled:
        cleaned = interpolate(cleaned, camera.clock, config.interpolate)
    if config.occlusion.enabled:
        cleaned = drop_occluded(cleaned, config.occlusion)
    if config.filter.enabled:
        cleaned = filter_tracklets(cleaned, config.filter, roi)
    return cleaned
