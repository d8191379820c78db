"""How vehicles move from picture to picture in each part of the image, learned from detections without a track.

Where vehicles move by more than their length from one picture to the next, the box of a new track does not overlap
with the next box of the same vehicle, and the nearest box may belong to another one. But vehicles at one place have
similar velocities: of all displacements from a box of one picture to a box of the next, those between two vehicles
are spread widely, and those of one vehicle lie close together. The peak of their distribution is the common motion,
which gives a new track its first velocity.

Displacements are in heights of the box, so that they do not depend on the distance of a vehicle, and per frame
period.
"""

from __future__ import annotations

import numpy as np

from mtmc.types import Array

__all__ = ["CommonMotion"]

#: The latest displacements that are remembered.
_MEMORY = 4096
#: Displacements of at most so many box heights are looked at, along each axis, in bins of this size.
_RANGE = 8.0
_BIN = 0.25
_N_BINS = round(2 * _RANGE / _BIN)
#: Up to this displacement, in box heights, the boxes of a vehicle overlap, and are matched without a prior.
_OVERLAPPING = 1.0
#: Two boxes of different height or width, by more than this factor, are two vehicles.
_SIZE_RATIO = 1.5
#: Standard deviations of the weight of other places, in box heights: in all directions; along and across the road.
_AROUND, _ALONG, _ACROSS = 5.0, 8.0, 1.0
#: Displacements that lie further apart, in box heights, are not the same motion.
_SAME_MOTION = 1.5
#: A peak is significant if its count exceeds what is expected by so many standard deviations. Displacements between
#: different vehicles are expected so many times as densely as if they were uniform: vehicles drive in lanes.
_SIGNIFICANCE, _DENSITY = 6.0, 4.0
#: The memory is searched for a peak when this share of it is new.
_RENEWED = 0.05
#: So many displacements are computed at once, which saves time where there are few in a picture.
_AT_ONCE = 64
#: Boxes of a picture at most, which bounds the memory for their displacements.
_MOST_BOXES = 256
_ITERATIONS = 3


class CommonMotion:
    """Displacements between boxes of successive pictures, and the motion that they have in common.

    Attributes:
        is_fast: Whether vehicles anywhere move so far from picture to picture that a prior is of use.
    """

    def __init__(self) -> None:
        self.is_fast = False
        self._xy = np.zeros((_MEMORY, 2))
        self._moved = np.zeros((_MEMORY, 2))
        self._bin = np.zeros(_MEMORY, np.intp)
        self._pending: list[tuple[Array, Array, float]] = []
        self._n_pending = 0
        self._n_seen = 0
        self._n_new = 0

    def add(self, before: Array, after: Array, periods: float) -> None:
        """Take note of the displacements from the boxes of one picture to those of the next.

        Args:
            before: (N, 4), boxes as :func:`mtmc.track.kalman.to_xyah` gives them, the first ones of their tracks.
            after: (M, 4), boxes of the next picture that older tracks do not explain.
            periods: Frame periods between the pictures.
        """
        if not (len(before) and len(after)):
            return
        before, after = before[:_MOST_BOXES], after[:_MOST_BOXES]
        self._pending.append((before, after, periods))
        self._n_pending += len(before) * len(after)
        if self._n_pending >= _AT_ONCE:
            self._take_pending()

    def _take_pending(self) -> None:
        """Remember the displacements between the boxes of similar size and place added since the last call."""
        pending, self._pending, self._n_pending = self._pending, [], 0
        before = np.concatenate([earlier.repeat(len(later), axis=0) for earlier, later, _ in pending])
        after = np.concatenate([np.tile(later, (len(earlier), 1)) for earlier, later, _ in pending])
        periods = np.concatenate([np.full(len(earlier) * len(later), each) for earlier, later, each in pending])
        moved = (after[:, :2] - before[:, :2]) / (periods * before[:, 3])[:, None]
        size_before, size_after = _size(before), _size(after)
        is_similar = np.maximum(size_before, size_after) < _SIZE_RATIO * np.minimum(size_before, size_after)
        fits = ((np.abs(moved) < _RANGE) & is_similar).all(axis=1)
        self._remember(before[fits, :2][-_MEMORY:], moved[fits][-_MEMORY:])

    def _remember(self, xy: Array, moved: Array) -> None:
        n = len(xy)
        place = (self._n_seen + np.arange(n)) % _MEMORY
        column, row = ((moved + _RANGE) / _BIN).astype(np.intp).T
        self._xy[place], self._moved[place], self._bin[place] = xy, moved, column * _N_BINS + row
        self._n_seen += n
        self._n_new += n
        n_known = min(self._n_seen, _MEMORY)
        if self._n_new > _RENEWED * n_known:
            self._n_new = 0
            self.is_fast = _peak(self._bin[:n_known], np.ones(n_known)) is not None

    def prior(self, xyah: Array, fps: float) -> tuple[Array, Array]:
        """What is known of the velocity of vehicles that come into view.

        Args:
            xyah: (M, 4), their boxes.
            fps: Frame periods per second.

        Returns:
            Mean velocity in pixels per second, 0 where nothing is known, and its variance: float64 (M, 2) each.
        """
        mean, variance = np.zeros((2, len(xyah), 2))
        for row, box in enumerate(xyah):
            mean[row], variance[row] = self._prior(box)
        scale = xyah[:, 3:] * fps
        return mean * scale, variance * np.square(scale)

    def _prior(self, box: Array) -> tuple[Array, Array]:
        """Mean and variance of the displacement of a box, (2,) each, in box heights per frame period.

        The displacements around the box show the direction of the road, and those in its lane, along that direction,
        how fast vehicles are.
        """
        known = slice(min(self._n_seen, _MEMORY))
        offset = (self._xy[known] - box[:2]) / box[3]
        is_around = np.exp(-np.square(offset / _AROUND).sum(axis=1) / 2)
        around = _peak(self._bin[known], is_around)
        if around is None:
            return np.zeros(2), np.zeros(2)
        x, y = around / np.hypot(*around)
        is_in_lane = np.exp(-np.square(offset @ np.array([[x, -y], [y, x]]) / (_ALONG, _ACROSS)).sum(axis=1) / 2)
        in_lane = _peak(self._bin[known], is_in_lane)
        if in_lane is None:
            return _mean_shift(self._moved[known], is_around, around)
        return _mean_shift(self._moved[known], is_in_lane, in_lane)


def _size(xyah: Array) -> Array:
    """Width and height of boxes: (N, 4) → (N, 2)."""
    return np.stack([xyah[:, 2] * xyah[:, 3], xyah[:, 3]], axis=1)


def _peak(bins: Array, weight: Array) -> Array | None:
    """The most frequent displacement: bins of displacements, int (K,), and their weights (K,) → (2,), box heights.

    None if it is not significant, or if boxes that move so little overlap anyway. Counts are sums over 3 × 3 bins. K
    displacements with weights w count as (Σ w)² / Σ w² of equal weight.
    """
    total, squared = weight.sum(), np.square(weight).sum()
    if squared == 0:
        return None
    histogram = np.bincount(bins, weight, _N_BINS * _N_BINS).reshape(_N_BINS, _N_BINS)
    counts = _sums_of_neighbors(histogram)
    highest = np.unravel_index(counts.argmax(), counts.shape)
    peak = (np.array(highest) + 0.5) * _BIN - _RANGE
    if np.abs(peak).max() <= _OVERLAPPING:
        return None
    count = counts[highest] * total / squared
    expected = _DENSITY * total * total / squared * (3 / _N_BINS) ** 2
    return peak if count > expected + _SIGNIFICANCE * np.sqrt(expected + 1) else None


def _sums_of_neighbors(histogram: Array) -> Array:
    """Sum of each bin and its eight neighbors, (B, B)."""
    padded = np.pad(histogram, 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray(rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:])


def _mean_shift(moved: Array, weight: Array, start: Array) -> tuple[Array, Array]:
    """Mean and variance of the displacements that are the same motion as ``start``: (K, 2), (K,), (2,) → (2,), (2,).

    Source: K. Fukunaga and L. Hostetler, "The Estimation of the Gradient of a Density Function" (1975).
    """
    mean = start
    for _ in range(_ITERATIONS):
        near = weight * (np.square(moved - mean).sum(axis=1) < _SAME_MOTION**2)
        mean = near @ moved / near.sum()
    return mean, near @ np.square(moved - mean) / near.sum()
