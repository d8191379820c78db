"""Outlines of vehicles on the ground: where they are sure, and how sure.

The lower edge of a box touches the outline at its point of least depth. With n the unit vector of depth, which is
normal to the rows of the image on the ground, h that of the heading, and a rectangle of length l and width w, the
center lies deeper by

    l/2 |h·n| + w/2 |h⊥·n|,

in the direction u of the image's columns on the ground. Length and width are those that are usual for the class.
Position and velocity are those of a straight line fitted to the lower edges of one second. The spread of the
residuals is taken as the standard deviation of the position, without a gain by averaging, as errors of neighboring
frames are similar.

A position is sure where its boxes were detected, lie within the image, have no nearer vehicle's box over their lower
edge, and are at least four in the second, with one before and one after.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mtmc.geometry.boxes import bottom_center
from mtmc.geometry.ground import project
from mtmc.scene import Camera
from mtmc.traffic.ground_paths import is_whole
from mtmc.traffic.movements import Movement, movement_passages
from mtmc.types import Array, GlobalTrack

__all__ = ["SIZE_M", "STEP_S", "Outlines", "has_free_lower_edge", "local_lines", "outlines_of"]

#: Time between two outlines, seconds.
STEP_S = 0.1

#: Usual length and width by class, meters.
SIZE_M = {
    "vehicle": (4.6, 1.85),
    "car": (4.6, 1.85),
    "van": (5.3, 2.0),
    "pickup": (5.5, 2.0),
    "truck": (8.0, 2.5),
    "bus": (11.5, 2.55),
    "motorcycle": (2.2, 0.8),
    "bicycle": (1.8, 0.6),
    "person": (0.5, 0.5),
}
_SIZE_SPREAD = 0.1  # of a length, standard deviation

_HALF_WINDOW_S = 0.5
_MIN_ROWS = 4
_MAX_COVER = 0.1  # of the lower edge
_MIN_SPEED_MPS = 1.0  # a slower vehicle keeps the heading that it had


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """The rectangle of a vehicle on the ground at K times that are multiples of :data:`STEP_S`, where it is sure.

    Attributes:
        movement: The movement.
        length_m, width_m: Its usual size.
        step: int64 (K,), increasing; the times are ``step * STEP_S``, scene seconds.
        center_m: float64 (K, 2), meters.
        velocity_mps: float64 (K, 2).
        heading: float64 (K, 2), unit vectors.
        sd_m: float64 (K,), standard deviation of the center in each direction.
        velocity_sd_mps: float64 (K,), of the velocity in each direction.
    """

    movement: Movement
    length_m: float
    width_m: float
    step: Array
    center_m: Array
    velocity_mps: Array
    heading: Array
    sd_m: Array
    velocity_sd_mps: Array

    @property
    def half_length_sd_m(self) -> float:
        """Standard deviation of half the length."""
        return _SIZE_SPREAD * self.length_m / 2


def outlines_of(tracks: Iterable[GlobalTrack], camera: Camera) -> list[Outlines]:
    """The outlines of all movements through a camera's view; none without its calibration and image size.

    Args:
        tracks: All vehicles that the camera sees.
        camera: The camera.
    """
    if camera.ground_from_image is None or camera.size_wh is None:
        return []
    own = [(m, passages) for m, passages in movement_passages(tracks) if m.camera == camera.id]
    if not own:
        return []
    frames = [np.concatenate([p.tracklet.frame for p in ps]) for _, ps in own]
    boxes = [np.concatenate([p.tracklet.xyxy for p in ps]).astype(np.float64) for _, ps in own]
    times = [np.concatenate([p.tracklet.time_s for p in ps]) for _, ps in own]
    scores = [np.concatenate([p.tracklet.score for p in ps]) for _, ps in own]
    is_free_row = has_free_lower_edge(np.concatenate(frames), np.concatenate(boxes))
    is_free = np.split(is_free_row, np.cumsum([len(xyxy) for xyxy in boxes])[:-1])
    found = []
    for (movement, _), xyxy, time_s, score, free in zip(own, boxes, times, scores, is_free, strict=True):
        is_sure = free & (score > 0) & is_whole(xyxy, camera.size_wh)
        order = np.argsort(time_s[is_sure], kind="stable")
        outlines = _outlines(movement, time_s[is_sure][order], xyxy[is_sure][order], camera.ground_from_image)
        if outlines is not None:
            found.append(outlines)
    return found


def _outlines(movement: Movement, time_s: Array, xyxy: Array, ground_from_image: Array) -> Outlines | None:
    """The outlines of a movement from its sure boxes, (L,) and (L, 4) in order of time; None without any."""
    edge_m, row, column = _on_ground(bottom_center(xyxy), ground_from_image)
    is_known = np.isfinite(edge_m + row + column).all(axis=1)
    time_s, edge_m, row, column = time_s[is_known], edge_m[is_known], row[is_known], column[is_known]
    if len(time_s) < _MIN_ROWS:
        return None
    steps = np.arange(math.ceil(time_s[0] / STEP_S), math.floor(time_s[-1] / STEP_S) + 1)
    line = local_lines(time_s, edge_m, steps * STEP_S)
    is_sure = np.isfinite(line.sd)
    heading = _headings(line.velocity[is_sure])
    if heading is None:
        return None

    at = np.clip(np.searchsorted(time_s, steps[is_sure] * STEP_S), 0, len(time_s) - 1)
    depth, column = np.stack([-row[at, 1], row[at, 0]], axis=1), column[at]
    length_m, width_m = SIZE_M[movement.vehicle_class]
    along = np.abs((heading * depth).sum(axis=1))
    across = np.sqrt(np.maximum(1 - along**2, 0))
    half_depth_m = length_m / 2 * along + width_m / 2 * across
    away_m = -column * (half_depth_m / np.abs((column * depth).sum(axis=1)))[:, None]
    return Outlines(
        movement=movement,
        length_m=length_m,
        width_m=width_m,
        step=steps[is_sure],
        center_m=line.position[is_sure] + away_m,
        velocity_mps=line.velocity[is_sure],
        heading=heading,
        sd_m=np.hypot(line.sd[is_sure], _SIZE_SPREAD * half_depth_m),
        velocity_sd_mps=line.sd[is_sure] / _HALF_WINDOW_S,
    )


def _on_ground(px: Array, ground_from_image: Array) -> tuple[Array, Array, Array]:
    """Points (L, 2) on the ground, meters, and the directions there of the image's rows and columns, unit vectors."""
    at_m = project(px, ground_from_image)
    row, column = (
        _units(project(px + np.array(step), ground_from_image) - at_m) for step in ([1.0, 0.0], [0.0, 1.0])
    )
    return at_m, row, column


def _headings(velocity: Array) -> Array | None:
    """Directions of velocities, (K, 2); where too slow, that of the latest, or of the first, that is not."""
    moving = np.flatnonzero(np.hypot(*velocity.T) >= _MIN_SPEED_MPS)
    if not len(moving):
        return None
    latest = np.maximum(np.searchsorted(moving, np.arange(len(velocity)), side="right") - 1, 0)
    return _units(velocity[moving[latest]])


def _units(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.hypot(*vectors.T), 1e-9)[:, None])


def has_free_lower_edge(frame: Array, xyxy: Array) -> Array:
    """Whether at most a tenth of a box's lower edge lies in a box of the same frame that reaches farther down.

    Args:
        frame: int64 (N,).
        xyxy: float64 (N, 4), pixels.

    Returns:
        bool (N,).
    """
    is_free = np.ones(len(frame), bool)
    order = np.argsort(frame, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(frame[order])) + 1):
        x1, y1, x2, y2 = xyxy[rows].T
        covered_px = np.minimum(x2[:, None], x2) - np.maximum(x1[:, None], x1)
        is_nearer = (y2 > y2[:, None]) & (y1 < y2[:, None])
        is_free[rows] = (np.where(is_nearer, covered_px, 0) <= _MAX_COVER * (x2 - x1)[:, None]).all(axis=1)
    return is_free


@dataclass(frozen=True, slots=True, eq=False)
class LocalLines:
    """Straight lines fitted to the points of one second around K times.

    Attributes:
        position, velocity: float64 (K, 2), of the line at its time.
        sd: float64 (K,), standard deviation of the points about the line in each direction; NaN where there are too
            few.
    """

    position: Array
    velocity: Array
    sd: Array


def local_lines(time_s: Array, xy: Array, at_s: Array) -> LocalLines:
    """Least squares in the windows [at − 0.5 s, at + 0.5 s].

    Args:
        time_s: float64 (L,), increasing.
        xy: float64 (L, 2).
        at_s: float64 (K,).
    """
    begin = np.searchsorted(time_s, at_s - _HALF_WINDOW_S, side="left")
    end = np.searchsorted(time_s, at_s + _HALF_WINDOW_S, side="right")
    count = np.maximum(end - begin, 1)

    def mean(values: Array) -> Array:
        total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
        return np.asarray((total[end] - total[begin]) / count.reshape(-1, *[1] * (values.ndim - 1)))

    middle = xy.mean(axis=0)
    t, p = time_s - time_s.mean(), xy - middle
    mean_t, mean_p = mean(t), mean(p)
    variance_t = np.maximum(mean(t * t) - mean_t**2, 1e-12)
    velocity = (mean(t[:, None] * p) - mean_t[:, None] * mean_p) / variance_t[:, None]
    variance_p = mean(p * p) - mean_p**2 - velocity**2 * variance_t[:, None]
    degrees_of_freedom = np.maximum(count - 2, 1)
    sd = np.sqrt(np.maximum(variance_p.mean(axis=1), 0) * count / degrees_of_freedom)

    before = np.searchsorted(time_s, at_s, side="right") - begin
    after = end - np.searchsorted(time_s, at_s, side="left")
    is_sure = (end - begin >= _MIN_ROWS) & (before > 0) & (after > 0)
    position = middle + mean_p + velocity * (at_s - time_s.mean() - mean_t)[:, None]
    return LocalLines(position, velocity, np.where(is_sure, sd, np.nan))
