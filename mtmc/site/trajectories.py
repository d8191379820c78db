"""Trajectories in the image: bounding boxes sampled at regular times, smoothed, with the ground point below each.

Association samples positions on the ground plane every 0.5 s (:mod:`mtmc.multiview.trajectories`). Learning needs
other samples: the ground plane is unknown, so they are pixels with the size of the box, and clocks are fitted to
them, so they are twice as dense.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from mtmc.geometry.boxes import bottom_center
from mtmc.scene import Camera, read_roi
from mtmc.types import Array, Passage, Tracklet

__all__ = ["STEP_S", "ImageTrajectory", "image_size", "image_trajectories"]

#: Trajectories are sampled at whole multiples of this on the scene's clock.
STEP_S = 0.25
_BORDER_SHARE = 0.006  # of the image width: boxes nearer to the border may be truncated
_MAX_GAP_S = 1.0
_SMOOTHING_S = 0.5
_MIN_DISPLACEMENT = 1.0  # in sizes of the vehicle's own box
_MIN_BOXES, _MIN_SAMPLES = 4, 3
_SIZE_PERCENTILE = 98.0  # trackers may extend boxes beyond the image


@dataclass(frozen=True, slots=True, eq=False)
class ImageTrajectory:
    """One moving vehicle in one camera, sampled every :data:`STEP_S`.

    Attributes:
        camera_id, track_id: Those of its tracklet.
        tick: int64 (K,), times in multiples of :data:`STEP_S`.
        ground_point_px: float64 (K, 2), middle of the box's lower edge.
        box_px: float64 (K, 2), width and height of the box.
        is_whole: bool (K,), the box is clear of the image border, so its size and lower edge are the vehicle's.
        embedding: float32 (D,), D = 0 without one.
    """

    camera_id: str
    track_id: int
    tick: Array
    ground_point_px: Array
    box_px: Array
    is_whole: Array
    embedding: Array


def image_size(camera: Camera, passages: Iterable[Passage]) -> tuple[int, int]:
    """Width and height of a camera's image: as given, else its region of interest's, else what its boxes cover."""
    if camera.size_wh is not None:
        return camera.size_wh
    if camera.roi is not None and camera.roi.is_file():
        height, width = read_roi(camera.roi, None).shape
        return width, height
    corners = [p.tracklet.xyxy[:, 2:] for p in passages]
    if not corners:
        return (1, 1)
    width, height = np.ceil(np.percentile(np.concatenate(corners), _SIZE_PERCENTILE, axis=0)).astype(int).tolist()
    return width, height


def image_trajectories(
    passages: Sequence[Passage], size_wh: Mapping[str, tuple[int, int]]
) -> dict[str, list[ImageTrajectory]]:
    """Trajectories of vehicles that move, by camera, in order of track id.

    Args:
        passages: Of all cameras.
        size_wh: Image size of every camera.
    """
    trajectories: dict[str, list[ImageTrajectory]] = {camera_id: [] for camera_id in size_wh}
    for passage in sorted(passages, key=lambda p: (p.tracklet.camera_id, p.tracklet.track_id)):
        camera_id = passage.tracklet.camera_id
        trajectory = _trajectory(passage, size_wh[camera_id])
        if trajectory is not None:
            trajectories[camera_id].append(trajectory)
    return trajectories


def _trajectory(passage: Passage, size_wh: tuple[int, int]) -> ImageTrajectory | None:
    """None for a stationary vehicle or too short a tracklet."""
    tracklet = passage.tracklet
    if len(tracklet) < _MIN_BOXES or _displacement(tracklet) < _MIN_DISPLACEMENT:
        return None
    tick = _covered_ticks(tracklet.time_s)
    if len(tick) < _MIN_SAMPLES:
        return None
    smoothed = _smoothed_boxes(tracklet)
    boxes = np.stack([np.interp(tick * STEP_S, tracklet.time_s, column) for column in smoothed.T], axis=1)
    margin = _BORDER_SHARE * size_wh[0]
    is_whole = (boxes[:, :2] > margin).all(axis=1) & (boxes[:, 2:] < np.array(size_wh) - margin).all(axis=1)
    return ImageTrajectory(
        tracklet.camera_id,
        tracklet.track_id,
        tick,
        bottom_center(boxes),
        boxes[:, 2:] - boxes[:, :2],
        np.asarray(is_whole),
        passage.embedding,
    )


def _displacement(tracklet: Tracklet) -> float:
    """Extent of the ground points in sizes of the median box."""
    boxes = tracklet.xyxy.astype(np.float64)
    size = boxes[:, 2:] - boxes[:, :2]
    return float(np.hypot(*(np.ptp(bottom_center(boxes), axis=0) / np.median(size, axis=0))))


def _covered_ticks(time_s: Array) -> Array:
    """Ticks between the first and the last box, without those in gaps of more than 1 s: int64 (K,)."""
    tick = np.arange(np.ceil(time_s[0] / STEP_S), np.floor(time_s[-1] / STEP_S) + 1).astype(np.int64)
    following = np.clip(np.searchsorted(time_s, tick * STEP_S), 1, len(time_s) - 1)
    return np.asarray(tick[time_s[following] - time_s[following - 1] <= _MAX_GAP_S])


def _smoothed_boxes(tracklet: Tracklet) -> Array:
    """Moving average over half a second: float64 (L, 4).

    A moving average would draw the ends inwards, so half a window at either end is left as it is.
    """
    boxes, time_s = tracklet.xyxy.astype(np.float64), tracklet.time_s
    boxes_per_s = (len(time_s) - 1) / max(time_s[-1] - time_s[0], 1e-6)
    window = max(1, round(_SMOOTHING_S * boxes_per_s))
    smoothed = uniform_filter1d(boxes, window, axis=0, mode="nearest")
    edge = min(window // 2, (len(boxes) - 1) // 2)
    smoothed[:edge] = boxes[:edge]
    smoothed[len(boxes) - edge :] = boxes[len(boxes) - edge :]
    return np.asarray(smoothed)
