"""Post-processing: the last step before a result is written. It fits boxes to the annotation and suppresses some.

::

    expand.py       boxes expanded by a factor (of the run, or calibrated per camera) and clipped to the image
    suppress.py     boxes of parked vehicles, small boxes, truncated boxes, duplicate boxes of two identities, and
                    second boxes of one identity in one frame
    image_sizes.py  width and height of each camera's image
    calibrate.py    the factors, from the ground truth of training scenes

Gaps are filled earlier (:mod:`mtmc.clean.interpolate`), and vehicles seen by one camera only are removed by
``associate.keep_single_camera``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mtmc.formats.table import Table
from mtmc.postprocess.calibrate import calibrate, fit_box_scales
from mtmc.postprocess.config import PostprocessConfig
from mtmc.postprocess.expand import clip_to_image, expand_boxes
from mtmc.postprocess.image_sizes import image_sizes
from mtmc.postprocess.suppress import duplicate_boxes, is_moving, min_size, repeated_boxes, truncation
from mtmc.scene import Scene
from mtmc.types import Array, GlobalTrack, Passage

__all__ = [
    "PostprocessConfig",
    "calibrate",
    "fit_box_scales",
    "image_sizes",
    "postprocess",
    "postprocess_boxes",
]

ImageSizes = Mapping[str, tuple[int, int]]  # camera id → (width, height), pixels


def postprocess(
    tracks: Sequence[GlobalTrack], scene: Scene, config: PostprocessConfig, sizes: ImageSizes | None = None
) -> list[GlobalTrack]:
    """The same vehicles with better boxes. A vehicle or passage that loses all its boxes is removed.

    Identities, times and ground positions stay as they are: expanding a box does not move the vehicle.

    Args:
        tracks: The vehicles; each (camera, track) is in one of them at most.
        scene: Its cameras' ``box_scale`` and image sizes.
        config: Settings of this stage.
        sizes: Image sizes by camera id; None looks them up (:func:`image_sizes`).
    """
    members = [(track.global_id, passage) for track in tracks for passage in track.passages]
    if not members:
        return []

    xyxy, keep = postprocess_boxes(_rows_of(members, scene), scene, config, sizes)

    ends = np.cumsum([len(passage.tracklet) for _, passage in members])[:-1]
    remaining: dict[int, list[Passage]] = {}
    for (global_id, passage), boxes, rows in zip(members, np.split(xyxy, ends), np.split(keep, ends), strict=True):
        if rows.any():
            tracklet = replace(passage.tracklet, xyxy=boxes.astype(np.float32))[rows]
            changed = replace(passage, tracklet=tracklet, ground_m=passage.ground_m[rows])
            remaining.setdefault(global_id, []).append(changed)
    return [GlobalTrack(global_id, tuple(passages)) for global_id, passages in remaining.items()]


def postprocess_boxes(
    table: Table, scene: Scene, config: PostprocessConfig, sizes: ImageSizes | None = None
) -> tuple[Array, Array]:
    """The boxes of a table as they are written, float64 (R, 4), and which of them are written, bool (R,).

    Args:
        table: Rows of one tracklet (camera and ``track_id``) stand next to each other, in order of frame.
        scene: As in :func:`postprocess`.
        config: Settings of this stage.
        sizes: As in :func:`postprocess`.
    """
    scale, size_wh = _scale_and_size(table, scene, config.box_scale, image_sizes(scene) if sizes is None else sizes)
    tracklet = _group_index(table.camera, table.track_id)

    xyxy = expand_boxes(table.xyxy, scale, config.max_expansion_px)
    if config.clip:
        xyxy = clip_to_image(xyxy, size_wh)

    # Size is judged on the box that is written; motion and truncation on the box that was tracked.
    keep = min_size(xyxy, size_wh, config.min_area_px, config.min_area_share)
    if config.min_displacement:
        keep &= is_moving(table.xyxy, tracklet, table.id, config.min_displacement)
    if config.max_truncation < 1:
        visible = clip_to_image(table.xyxy, size_wh)
        keep &= truncation(visible, tracklet, table.frame, size_wh) <= config.max_truncation
    if config.duplicate_iou < 1:
        rows = np.flatnonzero(keep)
        picture = _group_index(table.camera[rows], table.frame[rows])
        support = _support(table.score, tracklet)[rows]
        keep[rows] = ~duplicate_boxes(xyxy[rows], picture, table.id[rows], support, config.duplicate_iou)

    # Association joins duplicates of one camera. An identity is in a frame once all the same.
    rows = np.flatnonzero(keep)
    picture = _group_index(table.camera[rows], table.frame[rows])
    keep[rows] = ~repeated_boxes(picture, table.id[rows], _support(table.score, tracklet)[rows])
    return xyxy, keep


def _rows_of(members: Sequence[tuple[int, Passage]], scene: Scene) -> Table:
    """The boxes of (global id, passage) pairs, one passage after the other."""
    tracklets = [passage.tracklet for _, passage in members]
    length = [len(tracklet) for tracklet in tracklets]
    numbers = {camera.id: camera.number for camera in scene.cameras}
    return Table.of(
        np.repeat([numbers[tracklet.camera_id] for tracklet in tracklets], length),
        np.repeat([global_id for global_id, _ in members], length),
        np.concatenate([tracklet.frame for tracklet in tracklets]),
        np.concatenate([tracklet.xyxy for tracklet in tracklets]),
        score=np.concatenate([tracklet.score for tracklet in tracklets]),
        track_id=np.repeat([tracklet.track_id for tracklet in tracklets], length),
    )


def _scale_and_size(table: Table, scene: Scene, box_scale: float, sizes: ImageSizes) -> tuple[Array, Array]:
    """Factors of width and height, and image (width, height) in pixels or NaN, of each row: float64 (R, 2) each."""
    scale = np.full((len(table), 2), box_scale)
    size_wh = np.full((len(table), 2), np.nan)
    for camera in scene.cameras:
        rows = table.camera == camera.number
        if camera.box_scale != (1.0, 1.0):
            scale[rows] = camera.box_scale
        size_wh[rows] = sizes.get(camera.id, (np.nan, np.nan))
    return scale, size_wh


def _group_index(first: Array, second: Array) -> Array:
    """A number from 0 for each distinct pair of values, in their order: int64 (R,)."""
    pairs = np.stack([first, second], axis=1)
    return np.asarray(np.unique(pairs, axis=0, return_inverse=True)[1]).reshape(-1)


def _support(score: Array, tracklet: Array) -> Array:
    """Evidence for each box: that it was detected, detected boxes of its tracklet, its score: float64 (R, 3)."""
    detected = score > 0
    boxes_of_tracklet = np.bincount(tracklet, weights=detected)[tracklet]
    return np.stack([detected.astype(float), boxes_of_tracklet, score], axis=1)
