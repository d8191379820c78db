"""Mistakes of a run by its ground truth, as the pages show them: what ``mtmc diagnose`` calls link errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mtmc.diagnose import LinkError, TrackletView, link_errors_of, losing_stages, match_run
from mtmc.view.run_data import ViewedRun

__all__ = ["Mistake", "Side", "mistakes_of"]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two views that a mistake is about.

    Attributes:
        camera: Index of the camera.
        track: Number of the tracklet, 0 for true boxes without one.
        first_frame: Of its boxes.
        last_frame: Of its boxes.
    """

    camera: int
    track: int
    first_frame: int
    last_frame: int


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong or missing link; attributes as of :class:`mtmc.diagnose.LinkError`, ``score`` None if there is none."""

    kind: str
    reason: str
    boxes: int
    score: float | None
    text: str
    first: Side
    second: Side | None


def mistakes_of(viewed: ViewedRun) -> list[Mistake] | None:
    """The mistakes of a run as it was made, those with most boxes first; None without ground truth.

    Raises:
        MtmcError: The ground truth, or what the run read, cannot be read any longer.
    """
    run = viewed.run
    if all(camera.ground_truth is None for camera in run.scene.cameras):
        return None
    matched = match_run(run)
    index = {camera.id: k for k, camera in enumerate(viewed.cameras)}
    return [_mistake(error, index) for error in link_errors_of(run, matched, losing_stages(run, matched))]


def _mistake(error: LinkError, index: dict[str, int]) -> Mistake:
    return Mistake(
        kind=error.kind,
        reason=error.reason,
        boxes=error.boxes,
        score=error.score if math.isfinite(error.score) else None,
        text=error.text,
        first=_side(error.first, index),
        second=None if error.second is None else _side(error.second, index),
    )


def _side(view: TrackletView, index: dict[str, int]) -> Side:
    return Side(index[view.camera_id], view.track_id, int(view.frame[0]), int(view.frame[-1]))
