"""The AI City Challenge's official evaluation of multi-camera tracking (2021 Track 3, 2022 Track 1), step by step.

Predictions, and only they, pass three filters in this order: :func:`inside_roi`, :func:`seen_by_several_cameras`,
:func:`without_repeats`. Those in cameras without ground truth are then left out (:func:`of_cameras`), the cameras are
laid end to end without regard to clocks, and identities are matched at IoU ≥ 0.5 (:func:`mtmc.evaluate.score`).
The challenge ranks IDF1.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np

from mtmc.errors import ConfigError
from mtmc.evaluate.rows import joint_key, of_cameras, without_repeats
from mtmc.evaluate.scores import METRICS, Scores, score
from mtmc.formats.table import Table
from mtmc.types import Array

__all__ = ["filter_predictions", "inside_roi", "is_inside_roi", "score_aicity", "seen_by_several_cameras"]


def inside_roi(predicted: Table, rois: Mapping[int, Array], *, skip_missing: bool = False) -> Table:
    """Step 1: drop a box if any of its four corners lies on a pixel of the image outside the region of interest.

    Corners outside the image do not count against a box. The corners are (left, top) and (left + width,
    top + height), as in the official program, cut to whole pixels.

    Args:
        predicted: The predictions.
        rois: bool (H, W) for each camera number, true inside.
        skip_missing: Keep all boxes of a camera without a region rather than raise.

    Raises:
        ConfigError: A camera with predictions has no region.
    """
    keep = np.ones(len(predicted), bool)
    for camera in np.unique(predicted.camera).tolist():
        if camera not in rois:
            if skip_missing:
                continue
            message = f"expected a region of interest for every camera with predictions, got none for camera {camera}"
            raise ConfigError(message, remedy="add its image, or score without regions")
        rows = np.flatnonzero(predicted.camera == camera)
        keep[rows] = is_inside_roi(predicted.xyxy[rows], rois[camera])
    return predicted[keep]


def is_inside_roi(xyxy: Array, roi: Array) -> Array:
    """Whether no corner of each box, (R, 4), is on a pixel of the image where ``roi`` (H, W) is false: bool (R,)."""
    height, width = roi.shape
    corners = np.floor(xyxy).astype(np.int64)
    keep = np.ones(len(xyxy), bool)
    for x in corners[:, 0], corners[:, 2]:
        for y in corners[:, 1], corners[:, 3]:
            inside_image = np.flatnonzero((x >= 0) & (x < width) & (y >= 0) & (y < height))
            keep[inside_image] &= roi[y[inside_image], x[inside_image]]
    return keep


def seen_by_several_cameras(predicted: Table) -> Table:
    """Step 2: drop identities that were seen by one camera only. Cameras without ground truth count as cameras."""
    seen = np.unique(joint_key(predicted.id, predicted.camera), return_index=True)[1]
    ids, cameras = np.unique(predicted.id[seen], return_counts=True)
    return predicted[np.isin(predicted.id, ids[cameras > 1])]


def filter_predictions(
    predicted: Table, cameras: Array, rois: Mapping[int, Array] | None, *, skip_missing: bool = False
) -> tuple[Table, tuple[str, ...]]:
    """All steps before the comparison, in the official order, and what each of them dropped, in words.

    Args:
        predicted: The predictions.
        cameras: Numbers of the cameras that have ground truth.
        rois: Regions of interest for step 1, which is left out if None.
        skip_missing: As in :func:`inside_roi`.
    """
    steps: list[tuple[str, Callable[[Table], Table]]] = [
        ("outside the region of interest", lambda t: inside_roi(t, rois or {}, skip_missing=skip_missing)),
        ("of identities seen by one camera only", seen_by_several_cameras),
        ("that repeat an identity in a frame", without_repeats),
        ("in cameras that do not count", lambda t: of_cameras(t, cameras)),
    ]
    notes = [] if rois is not None else ["no region of interest given: predictions are not filtered by one"]
    for what, step in steps if rois is not None else steps[1:]:
        kept = step(predicted)
        notes.append(f"{len(predicted) - len(kept):,} of {len(predicted):,} predicted boxes dropped: {what}")
        predicted = kept
    return predicted, tuple(notes)


def score_aicity(
    truth: Table,
    predicted: Table,
    rois: Mapping[int, Array] | None,
    *,
    min_iou: float = 0.5,
    metrics: Collection[str] = METRICS,
    skip_missing: bool = False,
) -> Scores:
    """The official scores. The ground truth is not filtered; its cameras decide which ones count.

    Args:
        truth: True identities.
        predicted: Predicted identities.
        rois: Regions of interest, bool (H, W) by camera number; None leaves step 1 out.
        min_iou: Least IoU of two boxes of one vehicle; officially 0.5.
        metrics: As in :func:`mtmc.evaluate.score`.
        skip_missing: As in :func:`inside_roi`.
    """
    kept, _ = filter_predictions(predicted, np.unique(truth.camera), rois, skip_missing=skip_missing)
    return score(truth, kept, min_iou=min_iou, metrics=metrics)
