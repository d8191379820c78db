"""Fill the gaps of tracklets with linearly interpolated boxes, where the motion on both sides supports them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from mtmc.clean.motion import velocity_after, velocity_before
from mtmc.clean.occlusion import occluded_fraction
from mtmc.geometry.boxes import center, diagonal
from mtmc.geometry.clock import Clock
from mtmc.settings import Condition, Settings, UsedWhen
from mtmc.types import Array, Tracklet

__all__ = ["InterpolateConfig", "interpolate"]

#: A vehicle that moves by less than this many box diagonals over a gap has stood there all the time.
_STANDING = 0.25
#: Least share of the frames of its time, of those with any detection, in which a tracklet must have been detected.
_LEAST_DETECTED = 0.5
#: Least mean fraction of the boxes of a gap that nearer vehicles cover where the vehicle was hidden.
_HIDDEN = 0.25


class InterpolateConfig(Settings):
    """Which gaps are filled."""

    used_when: ClassVar[Mapping[str, Condition]] = dict.fromkeys(
        ("max_gap_s", "max_visible_gap_s", "window_s", "max_deviation"),
        UsedWhen("clean.interpolate.enabled", "=", True),
    )

    enabled: bool = Field(default=True, description="Whether this step is done.")
    max_gap_s: float = Field(default=3.0, ge=0, description="Longest gap that is filled, in seconds.")
    max_visible_gap_s: float = Field(
        default=1.0,
        ge=0,
        description="Longest gap that is filled where the vehicle moved and no nearer vehicle hid it, in seconds: "
        "the detector saw an empty road.",
    )
    window_s: float = Field(
        default=1.0, gt=0, description="Seconds before and after a gap over which the velocity is measured."
    )
    max_deviation: float = Field(
        default=0.5,
        gt=0,
        description="Largest distance, in box diagonals, between the middle of a gap as interpolated and as "
        "extrapolated from the velocity on each of its sides.",
    )


def interpolate(tracklets: Sequence[Tracklet], clock: Clock, config: InterpolateConfig) -> list[Tracklet]:
    """Add a box in every missing frame of the gaps that the motion on both sides supports.

    The boxes are linear in time between the detected boxes on both sides. They have score 0 and zero appearance
    features. They replace boxes of score 0 that a tracklet has already, such as predictions of the tracker.

    Args:
        tracklets: Tracklets of one camera.
        clock: Clock of that camera.
        config: Which gaps are filled.
    """
    detected = [_detected(tracklet) for tracklet in tracklets]
    boxes_in = _BoxesByFrame(detected)
    return [_fill_gaps(tracklet, boxes_in, clock, config) for tracklet in detected]


class _BoxesByFrame:
    """The detected boxes of all tracklets, by frame."""

    def __init__(self, tracklets: Sequence[Tracklet]) -> None:
        frame = np.concatenate([np.zeros(0, np.int64), *[tracklet.frame for tracklet in tracklets]])
        xyxy = np.concatenate([np.zeros((0, 4), np.float32), *[tracklet.xyxy for tracklet in tracklets]])
        order = np.argsort(frame, kind="stable")
        self._frame, self._xyxy = frame[order], xyxy[order].astype(np.float64)
        self._distinct = np.unique(frame)

    def __call__(self, frame: int) -> Array:
        start, stop = np.searchsorted(self._frame, [frame, frame + 1])
        return np.asarray(self._xyxy[start:stop])

    def frame_count(self, first: int, last: int) -> int:
        """Number of frames from ``first`` to ``last`` in which anything was detected."""
        start, stop = np.searchsorted(self._distinct, [first, last + 1])
        return int(stop - start)


def _detected(tracklet: Tracklet) -> Tracklet:
    """The tracklet without predicted boxes, if it has any other."""
    detected = tracklet.score > 0
    return tracklet[detected] if detected.any() and not detected.all() else tracklet


def _fill_gaps(tracklet: Tracklet, boxes_in: _BoxesByFrame, clock: Clock, config: InterpolateConfig) -> Tracklet:
    if len(tracklet) < _LEAST_DETECTED * boxes_in.frame_count(int(tracklet.frame[0]), int(tracklet.frame[-1])):
        return tracklet  # it is put together of boxes here and there: nothing says what was between them
    filled = [
        frames
        for gap in _supported_gaps(tracklet, config)
        if len(frames := _boxes_of_gap(tracklet, gap, boxes_in, clock, config))
    ]
    if not filled:
        return tracklet
    new = np.concatenate(filled)
    time_s = clock.time_s(new)
    xyxy = _interpolated(tracklet, time_s)
    appearance = np.zeros((len(new), tracklet.appearance.shape[1]), np.float32)

    frame = np.concatenate([tracklet.frame, new])
    order = np.argsort(frame)
    return Tracklet(
        camera_id=tracklet.camera_id,
        track_id=tracklet.track_id,
        frame=frame[order],
        time_s=np.concatenate([tracklet.time_s, time_s])[order],
        xyxy=np.concatenate([tracklet.xyxy, xyxy.astype(np.float32)])[order],
        score=np.concatenate([tracklet.score, np.zeros(len(new), np.float32)])[order],
        class_id=tracklet.class_id,
        appearance=np.concatenate([tracklet.appearance, appearance])[order],
    )


def _supported_gaps(tracklet: Tracklet, config: InterpolateConfig) -> Array:
    """The gaps that are short enough and agree with the motion on both sides: int64 (G,), the observation before.

    With the step s of the box center over a gap of t seconds and the velocity v on one side, the middle of the gap is
    extrapolated ``|s / 2 − v t / 2|`` away from where it is interpolated. A side with a single observation has no
    velocity and supports nothing, unless the vehicle stood.
    """
    is_gap = (np.diff(tracklet.frame) > 1) & (np.diff(tracklet.time_s) <= config.max_gap_s)
    gap = np.flatnonzero(is_gap)
    if not len(gap):
        return gap
    step, size = _steps(tracklet)
    before, before_s = velocity_before(tracklet, config.window_s)
    after, after_s = velocity_after(tracklet, config.window_s)
    elapsed_s = np.diff(tracklet.time_s)[gap, None]

    forward = np.hypot(*(step[gap] - before[gap] * elapsed_s).T) / 2
    backward = np.hypot(*(step[gap] - after[gap + 1] * elapsed_s).T) / 2
    is_known = (before_s[gap] > 0) & (after_s[gap + 1] > 0)
    follows = is_known & (np.maximum(forward, backward) <= config.max_deviation * size[gap])
    stands = np.hypot(*step[gap].T) <= _STANDING * size[gap]
    return np.asarray(gap[follows | stands])


def _boxes_of_gap(
    tracklet: Tracklet, gap: int, boxes_in: _BoxesByFrame, clock: Clock, config: InterpolateConfig
) -> Array:
    """The frames of a gap that are filled: all, or none where the detector saw the road empty for too long."""
    frames = np.arange(tracklet.frame[gap] + 1, tracklet.frame[gap + 1])
    if tracklet.time_s[gap + 1] - tracklet.time_s[gap] <= config.max_visible_gap_s:
        return frames
    step, size = _steps(tracklet[gap : gap + 2])
    if np.hypot(*step[0]) <= _STANDING * size[0]:
        return frames
    xyxy = _interpolated(tracklet, clock.time_s(frames))
    covered = [
        occluded_fraction(box[None], boxes_in(frame))[0] for box, frame in zip(xyxy, frames.tolist(), strict=True)
    ]
    return frames if np.mean(covered) >= _HIDDEN else frames[:0]


def _steps(tracklet: Tracklet) -> tuple[Array, Array]:
    """From each observation to the next: the step of the box center, (L − 1, 2), and the mean diagonal, (L − 1,)."""
    size = diagonal(tracklet.xyxy)
    return np.diff(center(tracklet.xyxy), axis=0), (size[:-1] + size[1:]) / 2


def _interpolated(tracklet: Tracklet, time_s: Array) -> Array:
    """Boxes at the times (K,), linear between the observations: float64 (K, 4)."""
    return np.stack([np.interp(time_s, tracklet.time_s, tracklet.xyxy[:, side]) for side in range(4)], axis=1)
