"""Drop filled-in boxes that lie behind other vehicles: nobody sees what they enclose, and no annotation has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from mtmc.settings import Settings
from mtmc.types import Array, Tracklet

__all__ = ["HiddenConfig", "drop_hidden", "hidden_share"]

_SAMPLES = 8  # points along each side of a box


class HiddenConfig(Settings):
    """Which filled-in boxes are dropped."""

    enabled: bool = Field(default=True, description="Whether this step is done.")
    max_hidden: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Drop an interpolated box of which detected boxes of nearer vehicles hide a larger share. Of two "
        "boxes the one that reaches farther down is the nearer.",
    )


def drop_hidden(tracklets: Sequence[Tracklet], config: HiddenConfig) -> list[Tracklet]:
    """The same tracklets without the boxes of score 0 that are hidden; ends are detected boxes, so all have some.

    Args:
        tracklets: Of one camera.
        config: How much may be hidden.
    """
    if not tracklets:
        return []
    frame = np.concatenate([t.frame for t in tracklets])
    xyxy = np.concatenate([t.xyxy for t in tracklets]).astype(np.float64)
    seen = np.concatenate([t.score for t in tracklets]) > 0
    keep = np.ones(len(frame), bool)
    order = np.argsort(frame, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(frame[order])) + 1):
        filled = rows[~seen[rows]]
        if len(filled):
            keep[filled] = hidden_share(xyxy[filled], xyxy[rows[seen[rows]]]) <= config.max_hidden
    ends = np.cumsum([len(t) for t in tracklets])[:-1]
    return [
        t if rows.all() else t[rows] for t, rows in zip(tracklets, np.split(keep, ends), strict=True) if rows.any()
    ]


def hidden_share(xyxy: Array, others: Array) -> Array:
    """Share of each box's area that lies in boxes which reach farther down, on a grid of 8 × 8 points: float64 (N,).

    Args:
        xyxy: (N, 4), pixels.
        others: (M, 4), of the same picture; equal lower edges hide nothing.

    >>> hidden_share(np.array([[0, 0, 10, 10.0]]), np.array([[5, 0, 20, 30], [0, 0, 10, 9.0]])).tolist()
    [0.5]
    """
    step = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    size = xyxy[:, 2:] - xyxy[:, :2]
    x = xyxy[:, :1] + size[:, :1] * step  # (N, S)
    y = xyxy[:, 1:2] + size[:, 1:] * step
    nearer = others[None, :, 3] > xyxy[:, None, 3]  # (N, M)
    across = (x[:, None] >= others[None, :, :1]) & (x[:, None] < others[None, :, 2:3])  # (N, M, S)
    down = (y[:, None] >= others[None, :, 1:2]) & (y[:, None] < others[None, :, 3:])
    inside = down[..., :, None] & across[..., None, :] & nearer[..., None, None]  # (N, M, S, S)
    return np.asarray(inside.any(axis=1).mean(axis=(1, 2)))
