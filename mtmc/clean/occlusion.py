"""Drop interpolated boxes that are occluded by other vehicles: there is no vehicle in their pixels to annotate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from mtmc.settings import Condition, Settings, UsedWhen
from mtmc.types import Array, Tracklet

__all__ = ["OcclusionConfig", "drop_occluded", "occluded_fraction"]

#: Sample points along each side of a box.
_SAMPLES = 8


class OcclusionConfig(Settings):
    """Which interpolated boxes are dropped."""

    renamed: ClassVar[Mapping[str, str]] = {"max_hidden": "max_occluded"}
    used_when: ClassVar[Mapping[str, Condition]] = dict.fromkeys(
        ("max_occluded",), UsedWhen("clean.occlusion.enabled", "=", True)
    )

    enabled: bool = Field(default=True, description="Whether this step is done.")
    max_occluded: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Largest fraction of an interpolated box that detected boxes of nearer vehicles may cover. Of "
        "two boxes the one whose lower edge is farther down in the image is the nearer one.",
    )


def drop_occluded(tracklets: Sequence[Tracklet], config: OcclusionConfig) -> list[Tracklet]:
    """The same tracklets without the interpolated boxes (score 0) that are occluded.

    A tracklet that would lose all of its boxes is dropped.

    Args:
        tracklets: Tracklets of one camera.
        config: How much may be occluded.
    """
    if not tracklets:
        return []
    frame = np.concatenate([t.frame for t in tracklets])
    xyxy = np.concatenate([t.xyxy for t in tracklets]).astype(np.float64)
    detected = np.concatenate([t.score for t in tracklets]) > 0

    keep = np.ones(len(frame), bool)
    order = np.argsort(frame, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(frame[order])) + 1):
        interpolated = rows[~detected[rows]]
        if len(interpolated):
            occluders = xyxy[rows[detected[rows]]]
            keep[interpolated] = occluded_fraction(xyxy[interpolated], occluders) <= config.max_occluded

    ends = np.cumsum([len(t) for t in tracklets])[:-1]
    return [
        tracklet if kept.all() else tracklet[kept]
        for tracklet, kept in zip(tracklets, np.split(keep, ends), strict=True)
        if kept.any()
    ]


def occluded_fraction(xyxy: Array, others: Array) -> Array:
    """Fraction of each box's area inside boxes whose lower edge is farther down, on a grid of 8 × 8 points.

    Args:
        xyxy: (N, 4), pixels.
        others: (M, 4), pixels of the same image; a box with an equal lower edge occludes nothing.

    Returns:
        float64 (N,), in [0, 1].

    >>> occluded_fraction(np.array([[0, 0, 10, 10.0]]), np.array([[5, 0, 20, 30], [0, 0, 10, 9.0]])).tolist()
    [0.5]
    """
    # The points are the middles of S equal parts of each side: (N, S).
    relative = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    size = xyxy[:, 2:] - xyxy[:, :2]
    x = xyxy[:, 0:1] + size[:, 0:1] * relative
    y = xyxy[:, 1:2] + size[:, 1:2] * relative

    # The camera looks down on the road: the vehicle that stands farther down in the image is the nearer one.
    is_nearer = others[None, :, 3] > xyxy[:, None, 3]  # (N, M)

    # A point is inside a box if both of its coordinates are.
    x_inside = _is_between(x, others[:, 0], others[:, 2])
    y_inside = _is_between(y, others[:, 1], others[:, 3])
    occluded = y_inside[:, :, :, None] & x_inside[:, :, None, :]  # (N, M, S, S)
    occluded &= is_nearer[:, :, None, None]

    # Several boxes may cover one point, which counts once.
    is_covered = occluded.any(axis=1)
    return np.asarray(is_covered.mean(axis=(1, 2)))


def _is_between(values: Array, low: Array, high: Array) -> Array:
    """Whether low ≤ value < high, for the values (N, S) of each box and the limits (M,) of others: bool (N, M, S)."""
    values = values[:, None, :]
    is_inside = values >= low[None, :, None]
    is_inside &= values < high[None, :, None]
    return np.asarray(is_inside)
