"""Tracklets as ways through the picture: foot points at even moments, smoothed, and which boxes are whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from mtmc.geometry.boxes import foot
from mtmc.scene import Camera, read_roi
from mtmc.types import Array, Passage

__all__ = ["STEP_S", "Trajectory", "image_size", "sample_trajectories"]

#: Ways are sampled at whole multiples of this on the scene's clock.
STEP_S = 0.25
_BORDER = 0.006  # of the picture's width: boxes nearer to the border than that may be cut
_LONGEST_GAP_S = 1.0
_SMOOTH_S = 0.5
_LEAST_TRAVEL = 1.0  # in sizes of its own box; less is standing still


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """One moving vehicle in one camera, sampled every :data:`STEP_S`.

    Attributes:
        camera_id, track_id: Whose it is.
        tick: int64 (K,), moments in multiples of :data:`STEP_S`.
        px: float64 (K, 2), foot points in pixels.
        box_px: float64 (K, 2), width and height of the box.
        whole: bool (K,), the box is clear of the picture's border, so its foot and size are the vehicle's.
        embedding: float32 (D,), D = 0 where there is none.
    """

    camera_id: str
    track_id: int
    tick: Array
    px: Array
    box_px: Array
    whole: Array
    embedding: Array


def image_size(camera: Camera, passages: Iterable[Passage]) -> tuple[int, int]:
    """Width and height of a camera's picture: as given, else its region of interest's, else what its boxes cover."""
    if camera.size_wh is not None:
        return camera.size_wh
    if camera.roi is not None and camera.roi.is_file():
        height, width = read_roi(camera.roi, None).shape
        return width, height
    corners = [p.tracklet.xyxy[:, 2:] for p in passages]
    if not corners:
        return (1, 1)
    # Trackers may extend boxes beyond the picture, so the outermost few do not count.
    width, height = np.ceil(np.percentile(np.concatenate(corners), 98.0, axis=0)).astype(int).tolist()
    return width, height


def sample_trajectories(
    passages: Sequence[Passage], size_wh: Mapping[str, tuple[int, int]]
) -> dict[str, list[Trajectory]]:
    """The ways of vehicles that move, by camera, in order of track id.

    Args:
        passages: Of all cameras.
        size_wh: Picture size of every camera.
    """
    out: dict[str, list[Trajectory]] = {camera_id: [] for camera_id in size_wh}
    for passage in sorted(passages, key=lambda p: (p.tracklet.camera_id, p.tracklet.track_id)):
        camera_id = passage.tracklet.camera_id
        way = _way(passage, size_wh[camera_id])
        if way is not None:
            out[camera_id].append(way)
    return out


def _way(passage: Passage, size_wh: tuple[int, int]) -> Trajectory | None:
    tracklet = passage.tracklet
    boxes = tracklet.xyxy.astype(np.float64)
    size = boxes[:, 2:] - boxes[:, :2]
    extent = np.ptp(foot(boxes), axis=0) / np.median(size, axis=0)
    if len(tracklet) < 4 or np.hypot(*extent) < _LEAST_TRAVEL:
        return None
    time_s = tracklet.time_s
    tick = np.arange(np.ceil(time_s[0] / STEP_S), np.floor(time_s[-1] / STEP_S) + 1).astype(np.int64)
    at = np.clip(np.searchsorted(time_s, tick * STEP_S), 1, len(time_s) - 1)
    tick = tick[time_s[at] - time_s[at - 1] <= _LONGEST_GAP_S]
    if len(tick) < 3:
        return None
    window = max(1, round(_SMOOTH_S * (len(time_s) - 1) / max(time_s[-1] - time_s[0], 1e-6)))
    smooth = uniform_filter1d(boxes, window, axis=0, mode="nearest")
    # Averaging drags the ends inwards; the straight line through the end points does not.
    edge = min(window // 2, (len(boxes) - 1) // 2)
    smooth[:edge], smooth[len(boxes) - edge :] = boxes[:edge], boxes[len(boxes) - edge :]
    at_tick = np.stack([np.interp(tick * STEP_S, time_s, column) for column in smooth.T], axis=1)
    margin = _BORDER * size_wh[0]
    clear = (at_tick[:, :2] > margin).all(axis=1) & (at_tick[:, 2:] < np.array(size_wh) - margin).all(axis=1)
    return Trajectory(
        tracklet.camera_id,
        tracklet.track_id,
        tick,
        foot(at_tick),
        at_tick[:, 2:] - at_tick[:, :2],
        np.asarray(clear),
        passage.embedding,
    )
