"""Paths on the ground plane, by the second: their speed, and when the vehicle stands.

Single positions are noisy, and the sum of the distances between them overestimates the length of a path. Positions
are therefore averaged in windows of one second. All figures are unknown without calibration.

The lower edge of a box stands for the ground below the vehicle only where the image shows the vehicle whole. A box
that the border of the image cuts gives no position.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from mtmc.types import Array, GlobalTrack, Passage

__all__ = ["GroundPath", "ground_path", "is_whole", "with_sure_positions"]

_BORDER_PX = 5.0  # a box this near to the border of the image may be cut, as boxes of detectors are not exact

_WINDOW_S = 1.0

#: A slower vehicle stands, meters per second (5 km/h).
STANDING_MPS = 5 / 3.6

_LEAST_SPELL_S = 2.0

_SPOT_S = 3.0  # around a moment whose speed is asked for


@dataclass(frozen=True, slots=True, eq=False)
class GroundPath:
    """Mean positions of a vehicle in W windows of one second.

    Attributes:
        time_s: float64 (W,), mean time of each window, scene seconds.
        xy_m: float64 (W, 2), mean position, meters.
    """

    time_s: Array
    xy_m: Array

    @property
    def speed_mps(self) -> float:
        """Length of the path divided by its duration, meters per second; NaN without a duration."""
        if len(self.time_s) < 2:
            return float("nan")
        return float(self._steps_m().sum() / (self.time_s[-1] - self.time_s[0]))

    def speed_at(self, time_s: float) -> float:
        """The same over the windows within three seconds of a moment; NaN for fewer than two of them."""
        near = np.abs(self.time_s - time_s) <= _SPOT_S
        return GroundPath(self.time_s[near], self.xy_m[near]).speed_mps

    def standing_spells(self) -> list[tuple[float, float]]:
        """Begin and end, scene seconds, of the times of at least two seconds in which the vehicle stands."""
        if len(self.time_s) < 2:
            return []
        stands = np.concatenate([[False], self._steps_m() / np.diff(self.time_s) < STANDING_MPS, [False]])
        begins, ends = np.flatnonzero(~stands[:-1] & stands[1:]), np.flatnonzero(stands[:-1] & ~stands[1:])
        spells = [(float(self.time_s[a]), float(self.time_s[b])) for a, b in zip(begins, ends, strict=True)]
        return [(begin_s, end_s) for begin_s, end_s in spells if end_s - begin_s >= _LEAST_SPELL_S]

    def standing_s(self) -> float:
        """Sum of :meth:`standing_spells`; NaN without a duration."""
        if len(self.time_s) < 2:
            return float("nan")
        return float(sum(end_s - begin_s for begin_s, end_s in self.standing_spells()))

    def _steps_m(self) -> Array:
        return np.asarray(np.linalg.norm(np.diff(self.xy_m, axis=0), axis=1))


def ground_path(time_s: Array, ground_m: Array) -> GroundPath:
    """The path of a vehicle by the second, empty without positions.

    Args:
        time_s: float64 (L,), increasing, seconds.
        ground_m: float64 (L, 2), meters; rows with NaN are left out.

    >>> ground_path(np.arange(50) / 10, np.stack([np.arange(50.0), np.zeros(50)], axis=1)).speed_mps
    10.0
    """
    is_known = np.isfinite(ground_m).all(axis=1)
    time_s, ground_m = time_s[is_known], ground_m[is_known]
    if not len(time_s):
        return GroundPath(np.zeros(0), np.zeros((0, 2)))
    window = np.floor((time_s - time_s[0]) / _WINDOW_S).astype(np.int64)
    _, window, count = np.unique(window, return_inverse=True, return_counts=True)
    mean_s = np.bincount(window, time_s) / count
    mean_m = np.stack([np.bincount(window, ground_m[:, axis]) / count for axis in (0, 1)], axis=1)
    return GroundPath(mean_s, mean_m)


def is_whole(xyxy: Array, size_wh: tuple[int, int]) -> Array:
    """Whether the border of the image cuts none of a vehicle: boxes (N, 4) → bool (N,)."""
    margin_px = np.concatenate([xyxy[:, :2], np.array(size_wh) - xyxy[:, 2:]], axis=1)
    return np.asarray((margin_px > _BORDER_PX).all(axis=1))


def with_sure_positions(
    tracks: Iterable[GlobalTrack], size_of: Mapping[str, tuple[int, int] | None]
) -> list[GlobalTrack]:
    """The vehicles without the positions of boxes that the border of the image cuts.

    Args:
        tracks: The vehicles.
        size_of: Image size of each camera in pixels; where it is unknown, all positions stay.
    """
    return [
        GlobalTrack(track.global_id, tuple(_with_sure_positions(p, size_of) for p in track.passages))
        for track in tracks
    ]


def _with_sure_positions(passage: Passage, size_of: Mapping[str, tuple[int, int] | None]) -> Passage:
    size_wh = size_of.get(passage.tracklet.camera_id)
    if size_wh is None:
        return passage
    whole = is_whole(passage.tracklet.xyxy, size_wh)
    return replace(passage, ground_m=np.where(whole[:, None], passage.ground_m, np.nan))
