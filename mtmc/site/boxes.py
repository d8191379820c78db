"""Box scale by camera, from ground truth: how much boxes must grow to fit the annotation.

:mod:`mtmc.postprocess.calibrate` fits the same factors to tables of several scenes for the benchmarks, on a finer
grid and with a least gain; this fit takes passages of one scene and writes the factors into its file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mtmc.errors import SceneError
from mtmc.formats.table import Table
from mtmc.formats.truth import read_truth
from mtmc.geometry.boxes import iou_matrix, iou_pairs
from mtmc.scene import Scene
from mtmc.types import Array, Passage

__all__ = ["best_scale", "fit_box_scales", "grown"]

_FACTORS = np.round(np.arange(0.8, 1.605, 0.05), 2)
_MIN_IOU = 0.2  # of boxes of one vehicle
_MATCH_IOU = 0.5  # from which the protocol counts a box
_MIN_PAIRS = 30


def grown(xyxy: Array, scale: tuple[float, float]) -> Array:
    """Boxes grown about their centers by factors of width and height: (…, 4) → (…, 4)."""
    center = (xyxy[..., :2] + xyxy[..., 2:]) / 2
    half = (xyxy[..., 2:] - xyxy[..., :2]) / 2 * np.array(scale)
    return np.concatenate([center - half, center + half], axis=-1)


def fit_box_scales(scene: Scene, passages: Sequence[Passage]) -> tuple[Scene, str]:
    """The scene with each camera's best box scale, and a table of the gain.

    Raises:
        SceneError: No camera has ground truth.
    """
    cameras, lines = [], ["boxes              width  height   matched before   after      of"]
    for camera in scene.cameras:
        if camera.ground_truth is None or not camera.ground_truth.is_file():
            cameras.append(camera)
            continue
        pairs = _matched(passages, camera.id, read_truth(camera.ground_truth, camera.number))
        scale, before, after = best_scale(*pairs, camera.size_wh)
        cameras.append(replace(camera, box_scale=scale))
        lines.append(
            f"  {camera.id:14}{scale[0]:8.2f}{scale[1]:8.2f}{before:12.0%}{after:14.0%}{len(pairs[0]):12} boxes"
        )
    if len(lines) == 1:
        raise SceneError(
            f"no camera of {scene.name} has ground truth, which --gt needs",
            remedy="leave --gt out, or add ground_truth: FILE to its cameras",
        )
    return replace(scene, cameras=tuple(cameras)), "\n".join(lines) + "\n"


def _matched(passages: Sequence[Passage], camera_id: str, truth: Table) -> tuple[Array, Array]:
    """Boxes of tracklets and of the truth that are each other's best overlap in their frame: (K, 4), (K, 4)."""
    tracklets = [p.tracklet for p in passages if p.tracklet.camera_id == camera_id]
    frame = np.concatenate([np.zeros(0, np.int64), *(t.frame for t in tracklets)])
    boxes = np.concatenate([np.zeros((0, 4)), *(t.xyxy.astype(float) for t in tracklets)])
    predicted, true = [np.zeros((0, 4))], [np.zeros((0, 4))]
    for number in np.intersect1d(frame, truth.frame).tolist():
        predicted_here = boxes[frame == number]
        true_here = truth.xyxy[truth.frame == number]
        iou = iou_matrix(predicted_here, true_here)

        # A pair counts only if each box is the other's best overlap: one true box never serves two predictions.
        best_true = iou.argmax(axis=1)
        best_predicted = iou.argmax(axis=0)
        is_mutual = best_predicted[best_true] == np.arange(len(predicted_here))
        overlaps = iou.max(axis=1) > _MIN_IOU
        rows = np.flatnonzero(is_mutual & overlaps)

        predicted.append(predicted_here[rows])
        true.append(true_here[best_true[rows]])
    return np.concatenate(predicted), np.concatenate(true)


def best_scale(
    predicted: Array, true: Array, size_wh: tuple[int, int] | None
) -> tuple[tuple[float, float], float, float]:
    """Factors of width and height with which most boxes count; (1, 1) where there are too few.

    Args:
        predicted: float64 (K, 4), boxes of tracklets.
        true: float64 (K, 4), the same vehicles' boxes in the truth.
        size_wh: Grown boxes are clipped to the image.

    Returns:
        The factors, and the shares of pairs that count with (1, 1) and with them. Of equally good factors the mean
        IoU decides, then those nearest to 1.
    """
    if len(predicted) < _MIN_PAIRS:
        return (1.0, 1.0), float("nan"), float("nan")

    def value(scale: tuple[float, float]) -> tuple[float, float]:
        boxes = grown(predicted, scale)
        if size_wh is not None:
            boxes = np.clip(boxes, 0, np.tile(size_wh, 2))
        iou = iou_pairs(boxes, true)
        return float((iou >= _MATCH_IOU).mean()), float(iou.mean())

    options = [(float(w), float(h)) for w in _FACTORS for h in _FACTORS]
    best = max(options, key=lambda s: (*value(s), -abs(s[0] - 1) - abs(s[1] - 1)))
    return best, value((1.0, 1.0))[0], value(best)[0]
