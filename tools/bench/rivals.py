"""Trackers of other projects behind one interface, each with its own defaults.

``boxmot`` (AGPL-3.0) and ``trackers`` (Apache-2.0) are installed for measurements only. Camera motion compensation is
off, since a fixed camera does not move and no pictures are given.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from mtmc.types import Array, Detections

__all__ = ["RIVALS", "Contestant", "Rows", "installed"]

#: What a contestant does with frame i; and its rows (frame, ids, boxes) at the end, from what the steps returned.
Step = Callable[[int], Any]
Rows = list[tuple[int, Array, Array]]
Contestant = tuple[Step, Callable[[list[Any]], Rows]]

#: A picture that is given where a tracker demands one.
_BLANK = np.zeros((1080, 1920, 3), np.uint8)


def boxmot(frames: Sequence[Detections], fps: float, *, tracker: str) -> Contestant:
    """A tracker of boxmot, in Python, fed with the embeddings where there are any."""
    import boxmot
    import torch
    from boxmot import structures

    torch.set_num_threads(1)
    theirs = _boxmot_tracker(boxmot, tracker, has_embeddings=any(each.appearance.shape[1] for each in frames))
    prepared = [
        structures.Detections(
            structures.Boxes(torch.from_numpy(each.xyxy)),
            torch.from_numpy(each.score),
            torch.zeros(len(each), dtype=torch.int64),
            str(i),
            embeddings=torch.from_numpy(each.appearance) if each.appearance.shape[1] else None,
        )
        for i, each in enumerate(frames)
    ]

    def rows(found: list[Any]) -> Rows:
        return [(i, t.track_ids.numpy(), t.geometry.values.numpy()) for i, t in enumerate(found)]

    return lambda i: theirs.update(prepared[i], _BLANK), rows


def _boxmot_tracker(boxmot: Any, name: str, *, has_embeddings: bool) -> Any:
    if name == "StrongSort":
        theirs = boxmot.StrongSort()
        theirs.apply_cmc = lambda *_: None
        return theirs
    if name == "BotSort":
        return boxmot.BotSort(use_cmc=False, use_embeddings=has_embeddings)
    return getattr(boxmot, name)()


def trackers(frames: Sequence[Detections], fps: float, *, tracker: str) -> Contestant:
    """A tracker of roboflow/trackers; it takes no embeddings."""
    import supervision
    import trackers

    options = {"enable_cmc": False} if tracker == "BoTSORTTracker" else {}
    theirs = getattr(trackers, tracker)(**options)
    prepared = [
        supervision.Detections(xyxy=each.xyxy, confidence=each.score, class_id=np.zeros(len(each), int))
        for each in frames
    ]

    def rows(found: list[Any]) -> Rows:
        confirmed = [(i, t, t.tracker_id >= 0) for i, t in enumerate(found)]
        return [(i, t.tracker_id[keep], t.xyxy[keep]) for i, t, keep in confirmed]

    return lambda i: theirs.update(prepared[i]), rows


#: Name → (package it needs, how it is set up from the detections of all frames and the frame rate).
RIVALS: dict[str, tuple[str, Callable[[Sequence[Detections], float], Contestant]]] = {
    "boxmot StrongSORT": ("boxmot", partial(boxmot, tracker="StrongSort")),
    "boxmot BoT-SORT": ("boxmot", partial(boxmot, tracker="BotSort")),
    "boxmot ByteTrack": ("boxmot", partial(boxmot, tracker="ByteTrack")),
    "boxmot OC-SORT": ("boxmot", partial(boxmot, tracker="OcSort")),
    "trackers ByteTrack": ("trackers", partial(trackers, tracker="ByteTrackTracker")),
    "trackers OC-SORT": ("trackers", partial(trackers, tracker="OCSORTTracker")),
    "trackers BoT-SORT": ("trackers", partial(trackers, tracker="BoTSORTTracker")),
    "trackers SORT": ("trackers", partial(trackers, tracker="SORTTracker")),
}


def installed(name: str) -> bool:
    """Whether the package of a rival is at hand."""
    return importlib.util.find_spec(RIVALS[name][0]) is not None
