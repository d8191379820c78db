"""Frame numbers of one camera ⇄ seconds on the scene's clock.

Cameras start at different moments, run at different rates and lose frames. All of it is here, so that every other
module compares seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from mtmc.errors import SceneError
from mtmc.types import Array

__all__ = ["FPS_RANGE", "LATEST_S", "Clock", "midnight_s"]

#: Frames per second of a camera. A slower one shows no motion; faster ones exceed the resolution of time stamps.
FPS_RANGE = (0.01, 100_000.0)

#: Scene times lie within this of 0, seconds: some 300 years, of which a floating-point number resolves microseconds.
LATEST_S = 1e10


@dataclass(frozen=True, slots=True)
class Clock:
    """When a camera's frames were taken.

    Attributes:
        fps: Effective frames per second (what the file delivers per second of scene time).
        start_s: Scene time of frame 0, when there is no ``time_map``.
        time_map: Knots ``(frame, scene seconds)``, both strictly increasing. Between knots time is linear; before
            the first and after the last it goes on at ``fps``. Two knots on neighboring frames are a jump: that is
            how dropped frames are written down.

    Raises:
        SceneError: ``fps`` is not positive, or the knots do not increase, follow one another faster than frames can,
            or are too far from 0.

    >>> clock = Clock(fps=10, time_map=((0, 0.0), (99, 9.9), (100, 15.0)))
    >>> clock.time_s(np.array([50, 99, 100, 110])).tolist()
    [5.0, 9.9, 15.0, 16.0]
    >>> clock.frame_at(16.0)
    110
    """

    fps: float
    start_s: float = 0.0
    time_map: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise SceneError(f"expected a positive frame rate in frames per second, got {self.fps}")
        if not np.isfinite(self.start_s):
            raise SceneError(f"expected a start offset in seconds, got {self.start_s}")
        knots = np.array(self.time_map, float).reshape(-1, 2)
        if len(knots) > 1 and not (np.diff(knots, axis=0) > 0).all():
            raise SceneError(
                "expected a time map whose frames and seconds both increase",
                remedy="give each knot as [frame, seconds], in order",
            )
        if len(knots) and np.abs(knots[:, 1]).max() > LATEST_S:
            raise SceneError(
                f"expected a time map within {LATEST_S:g} s of 0, got {knots[np.abs(knots[:, 1]).argmax(), 1]:g} s",
                remedy="give seconds on the scene's clock; start_utc says when its second 0 was",
            )
        rates = np.diff(knots[:, 0]) / np.diff(knots[:, 1])
        if len(rates) and rates.max() > FPS_RANGE[1]:
            frame = int(knots[rates.argmax(), 0])
            raise SceneError(
                f"expected at most {FPS_RANGE[1]:g} frames per second, got {rates.max():g} after frame {frame}",
                remedy="give each knot as [frame, seconds]; neighboring frames are a frame interval apart",
            )

    def starting_at(self, start_s: float) -> Clock:
        """The same clock, moved so that frame 0 was taken at ``start_s``.

        >>> Clock(fps=10, time_map=((0, 2.0), (50, 9.0))).starting_at(1.0).time_map
        ((0, 1.0), (50, 8.0))
        """
        if not self.time_map:
            return replace(self, start_s=start_s)
        shift_s = start_s - float(self.time_s(np.asarray(0)))
        return replace(self, time_map=tuple((frame, seconds + shift_s) for frame, seconds in self.time_map))

    @property
    def _knots(self) -> tuple[Array, Array]:
        knots = np.array(self.time_map or ((0, self.start_s),), float)
        return knots[:, 0], knots[:, 1]

    def time_s(self, frame: Array) -> Array:
        """Scene seconds of frames: int (…) → float64 (…)."""
        if not self.time_map:  # a tracker asks this for every frame
            return np.asarray(self.start_s + np.asarray(frame, float) * (1.0 / self.fps))
        frames, seconds = self._knots
        return _extrapolate(np.asarray(frame, float), frames, seconds, 1.0 / self.fps)

    def frame_at(self, time_s: float) -> int:
        """The frame nearest to a moment. It may lie before the first or after the last one that was recorded."""
        frames, seconds = self._knots
        return int(np.rint(_extrapolate(np.asarray(time_s, float), seconds, frames, self.fps)))


def _extrapolate(x: Array, knots_x: Array, knots_y: Array, slope: float) -> Array:
    """Linear interpolation that continues with a given slope outside the knots."""
    inside = np.interp(x, knots_x, knots_y)
    before = np.minimum(x - knots_x[0], 0) * slope
    after = np.maximum(x - knots_x[-1], 0) * slope
    return np.asarray(inside + before + after)


def midnight_s(start_utc: datetime | None) -> float:
    """Scene time of the midnight before second 0, in the time zone of its date; 0 if the date is unknown.

    Moments that are round on the clock are so many seconds after it.

    Args:
        start_utc: Date and time of second 0 of the scene's clock.

    >>> midnight_s(datetime.fromisoformat("2026-05-12T00:10:00+02:00"))
    -600.0
    """
    if start_utc is None:
        return 0.0
    return (start_utc.replace(hour=0, minute=0, second=0, microsecond=0) - start_utc) / timedelta(seconds=1)
