"""The last step before a result is written: boxes that fit the annotation, and none that it would not have.

::

    boxes.py      grown by a factor (of the run, or calibrated per camera), cut at the image
    weed.py       parked vehicles, small boxes, boxes cut off by the border, two vehicles' boxes on one spot
    sizes.py      of the cameras' images
    calibrate.py  the factors, from the ground truth of training scenes

Gaps are filled earlier (:mod:`mtmc.clean.interpolate`), and vehicles seen by one camera only are left out by
``associate.keep_single_camera``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mtmc.formats.table import Table
from mtmc.polish.boxes import clip_rows, grow
from mtmc.polish.calibrate import calibrate
from mtmc.polish.config import PolishConfig
from mtmc.polish.sizes import image_sizes
from mtmc.polish.weed import cut_off, driven, duplicates, large_enough
from mtmc.scene import Scene
from mtmc.types import Array, GlobalTrack, Passage

__all__ = ["PolishConfig", "calibrate", "image_sizes", "polish", "polish_boxes"]


def polish(
    tracks: Sequence[GlobalTrack],
    scene: Scene,
    config: PolishConfig,
    sizes: Mapping[str, tuple[int, int]] | None = None,
) -> list[GlobalTrack]:
    """The same vehicles with better boxes. A vehicle or passage that loses all of them is left out.

    Identities, times and places on the ground stay: a grown box says nothing new about where a vehicle stands.

    Args:
        tracks: The vehicles.
        scene: Its cameras' ``box_scale`` and image sizes.
        config: The choices.
        sizes: Image sizes by camera id; None looks them up (:func:`image_sizes`).
    """
    passages = [(track.global_id, passage) for track in tracks for passage in track.passages]
    if not passages:
        return []
    length = [len(passage.tracklet) for _, passage in passages]
    numbers = {camera.id: camera.number for camera in scene.cameras}
    table = Table.of(
        np.repeat([numbers[passage.tracklet.camera_id] for _, passage in passages], length),
        np.repeat([vehicle for vehicle, _ in passages], length),
        np.concatenate([passage.tracklet.frame for _, passage in passages]),
        np.concatenate([passage.tracklet.xyxy for _, passage in passages]),
        score=np.concatenate([passage.tracklet.score for _, passage in passages]),
        track_id=np.repeat(np.arange(len(passages)), length),
    )
    xyxy, keep = polish_boxes(table, scene, config, sizes)
    left: dict[int, list[Passage]] = {}
    cuts = np.cumsum(length)[:-1]
    for (vehicle, passage), boxes, rows in zip(passages, np.split(xyxy, cuts), np.split(keep, cuts), strict=True):
        if rows.any():
            tracklet = replace(passage.tracklet, xyxy=boxes.astype(np.float32))[rows]
            polished = replace(passage, tracklet=tracklet, ground_m=passage.ground_m[rows])
            left.setdefault(vehicle, []).append(polished)
    return [GlobalTrack(vehicle, tuple(members)) for vehicle, members in left.items()]


def polish_boxes(
    table: Table, scene: Scene, config: PolishConfig, sizes: Mapping[str, tuple[int, int]] | None = None
) -> tuple[Array, Array]:
    """The boxes of a table as they are to be written, float64 (R, 4), and which of them are: bool (R,).

    Args:
        table: Its ``track_id`` tells passages apart; rows of one are neighbours, in order of frame.
        scene: As in :func:`polish`.
        config: The choices.
        sizes: As in :func:`polish`.
    """
    sizes = image_sizes(scene) if sizes is None else sizes
    scale, size_wh = np.full((len(table), 2), config.box_scale), np.full((len(table), 2), np.nan)
    for camera in scene.cameras:
        rows = table.camera == camera.number
        if camera.box_scale != (1.0, 1.0):
            scale[rows] = camera.box_scale
        size_wh[rows] = sizes.get(camera.id, (np.nan, np.nan))
    xyxy = grow(table.xyxy, scale, config.max_growth_px)
    if config.clip:
        xyxy = clip_rows(xyxy, size_wh)
    keep = large_enough(xyxy, size_wh, config.min_area_px, config.min_area_share)
    if config.min_travel:
        keep &= driven(table.xyxy, table.track_id, table.id, config.min_travel)
    if config.max_cut_off < 1:
        keep &= cut_off(clip_rows(table.xyxy, size_wh), table.track_id, table.frame, size_wh) <= config.max_cut_off
    if config.duplicate_iou < 1:
        rows = np.flatnonzero(keep)
        worse = duplicates(
            xyxy[rows], _moment(table[rows]), table.id[rows], _support(table)[rows], config.duplicate_iou
        )
        keep[rows[worse]] = False
    return xyxy, keep


def _moment(table: Table) -> Array:
    """A number for each row's (camera, frame)."""
    return np.unique(np.stack([table.camera, table.frame], axis=1), axis=0, return_inverse=True)[1].reshape(-1)


def _support(table: Table) -> Array:
    """What speaks for each box: that it was detected, how many boxes its passage has, its score: float64 (R, 3)."""
    seen = table.score > 0
    passage = np.unique(table.track_id, return_inverse=True)[1].reshape(-1)
    boxes = np.bincount(passage, weights=seen)[passage]
    return np.stack([seen.astype(float), boxes, table.score], axis=1)
