"""The ground as a map: how far every point is from the kerb, and where tyres have worn the road."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from mtmc.types import Array
from tools.synthcity.builder import Place
from tools.synthcity.network import resample

__all__ = ["GroundMap", "draw_ground"]

_CELL_M = 0.25
_FAR_M = 60.0
_FILLET_M = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class GroundMap:
    """Raster of the ground.

    Attributes:
        origin: South-west corner, metres.
        kerb: float32 (rows northward, columns eastward), signed distance to the kerb in metres, negative on the road.
        wear: float32 (rows, columns, 2), tyre tracks and oil, 0–1.
    """

    origin: tuple[float, float]
    kerb: Array
    wear: Array

    @property
    def size_m(self) -> tuple[float, float]:
        """Extent east and north."""
        return self.kerb.shape[1] * _CELL_M, self.kerb.shape[0] * _CELL_M

    def kerb_distance(self, points: Array) -> Array:
        """Signed distance to the kerb: (N, 2) metres → (N,)."""
        cell = ((np.asarray(points) - self.origin) / _CELL_M - 0.5).astype(np.float32)
        x, y = np.ascontiguousarray(cell[:, 0]), np.ascontiguousarray(cell[:, 1])
        return np.asarray(cv2.remap(self.kerb, x, y, cv2.INTER_LINEAR, borderValue=_FAR_M).ravel())


def draw_ground(place: Place) -> GroundMap:
    """Rasterise a place's roads and the wear of its lanes."""
    everything = np.concatenate([road.points for road in place.roads])
    margin = 45.0
    low = np.floor(everything.min(axis=0) - margin)
    columns, rows = (np.ceil((everything.max(axis=0) + margin - low) / _CELL_M)).astype(int)
    x = low[0] + (np.arange(columns) + 0.5) * _CELL_M
    y = low[1] + (np.arange(rows) + 0.5) * _CELL_M
    kerb = np.full((rows, columns), _FAR_M, np.float32)
    for road in place.roads:
        _blend(kerb, x, y, road.points, road.half_width_m, 0.0 if road.motorway else _FILLET_M)
    tracks, oil = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.float32)
    for lane in place.network.lanes.values():
        _wear(tracks, oil, low, lane.points, 0.5 if lane.junction else 1.0)
    tracks = gaussian_filter(np.clip(tracks, 0, 1.6), 0.6)
    wear = np.stack([tracks, gaussian_filter(np.clip(oil, 0, 1), 0.8)], axis=-1)
    return GroundMap((float(low[0]), float(low[1])), kerb, wear)


def _distance(px: Array, py: Array, line: Array) -> Array:
    """Distance of grid points to a polyline: (R, C) each, (N, 2) → (R, C)."""
    best = np.full(np.broadcast(px, py).shape, np.inf, np.float32)
    for a, b in pairwise(line):
        along = b - a
        t = np.clip(((px - a[0]) * along[0] + (py - a[1]) * along[1]) / (along @ along), 0, 1)
        dx, dy = px - a[0] - t * along[0], py - a[1] - t * along[1]
        np.minimum(best, (dx * dx + dy * dy).astype(np.float32), out=best)
    return np.sqrt(best)


def _blend(kerb: Array, x: Array, y: Array, line: Array, half_m: float, fillet_m: float) -> None:
    """Add a road to the distance field; a smooth minimum rounds the corners between roads."""
    coarse = _simplify(line)
    pad = half_m + 24.0
    (x0, y0), (x1, y1) = coarse.min(axis=0) - pad, coarse.max(axis=0) + pad
    columns, rows = slice(*np.searchsorted(x, (x0, x1))), slice(*np.searchsorted(y, (y0, y1)))
    new = _distance(x[None, columns], y[rows, None], coarse) - half_m
    old = kerb[rows, columns]
    if fillet_m > 0:
        # Only where both are streets that really meet: elsewhere one of the two is far and the term vanishes.
        h = np.clip(fillet_m - np.abs(old - new), 0, None) / fillet_m
        kerb[rows, columns] = np.minimum(old, new) - h * h * fillet_m * 0.25
    else:
        kerb[rows, columns] = np.minimum(old, new)


def _simplify(line: Array) -> Array:
    straight = np.linalg.norm(line[-1] - line[0])
    if (
        np.abs(np.cross(np.append(line[-1] - line[0], 0), np.c_[line - line[0], np.zeros(len(line))])[:, 2]).max()
        < 0.01 * straight
    ):
        return line[[0, -1]]
    return resample(line, 8.0 if len(line) > 60 else 3.0)


def _wear(tracks: Array, oil: Array, low: Array, line: Array, strength: float) -> None:
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    side = np.stack([along[:, 1], -along[:, 0]], axis=1)
    for offset, target, width in ((-0.78, tracks, 0.34), (0.78, tracks, 0.34), (0.0, oil, 0.5)):
        pixels = np.round((line + offset * side - low) / _CELL_M * 16).astype(np.int32).reshape(-1, 2)
        stroke = np.zeros(tracks.shape, np.uint8)
        cv2.polylines(stroke, [pixels], False, 255, max(1, round(width / _CELL_M)), cv2.LINE_AA, 4)
        target += stroke * np.float32(strength / 255)
