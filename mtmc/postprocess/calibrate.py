"""How much larger than a result's boxes the annotated ones are, camera by camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from mtmc.errors import SceneError
from mtmc.formats.table import Table
from mtmc.formats.truth import read_truth
from mtmc.geometry.boxes import iou_matrix, iou_pairs
from mtmc.postprocess.expand import clip_to_image, expand_boxes
from mtmc.scene import Camera, Scene
from mtmc.types import Array, Passage

__all__ = ["calibrate", "fit_box_scales", "mutual_best"]

_FACTORS = np.exp(np.linspace(np.log(0.7), np.log(1.8), 23))  # tried, in equal ratios of about 4 %
_LOOSE_IOU = 0.1  # boxes that overlap by less are not of one vehicle, however they are expanded
_MIN_PAIRS = 50  # from which a camera is calibrated
_MIN_GAIN = 0.01  # share of pairs that must be gained over the unchanged boxes, or they stay unchanged


def calibrate(
    gt: Table,
    tracks: Table,
    *,
    min_iou: float = 0.5,
    min_pairs: int = _MIN_PAIRS,
    sizes: Mapping[int, tuple[int, int]] | None = None,
) -> dict[int, tuple[float, float]]:
    """Factors of width and height with which boxes match the annotation best, for each camera of ``tracks``.

    A grid of factors is searched for the one with which most boxes reach ``min_iou`` with their partner in the ground
    truth; near that maximum, the largest mean IoU decides. Partners are each other's best overlap before expansion. A
    camera with too few of them, or that gains less than one per cent, keeps (1, 1). Use it on training scenes only:
    the factors are facts about an annotation and a detector, not about a street.

    Args:
        gt: Annotated boxes; those of other cameras are ignored.
        tracks: A result's boxes as its detector made them; identities are ignored.
        min_iou: The IoU that scoring asks for.
        min_pairs: Least number of partners from which a camera is calibrated.
        sizes: (width, height) of the images by camera number; expanded boxes are clipped to them.

    Returns:
        By camera number, (factor of the width, factor of the height), rounded to 0.01.
    """
    factors = {}
    for camera in np.unique(tracks.camera).tolist():
        boxes, true_boxes = (table[table.camera == camera] for table in (tracks, gt))
        factors[camera] = _fit(boxes, true_boxes, (sizes or {}).get(camera), min_iou, min_pairs).factors
    return factors


@dataclass(frozen=True, slots=True)
class _Fit:
    """The factors of a camera.

    Attributes:
        factors: Of width and height.
        pairs: Number of pairs of a box and its partner in the ground truth.
        before, after: Share of the pairs that match without and with the factors; NaN of too few pairs.
    """

    factors: tuple[float, float]
    pairs: int
    before: float = float("nan")
    after: float = float("nan")


def fit_box_scales(scene: Scene, passages: Sequence[Passage]) -> tuple[Scene, str]:
    """The scene with the factors of each camera that has ground truth, and a table of what they gain.

    Raises:
        SceneError: No camera has ground truth.
    """
    cameras, lines = [], ["boxes              width  height   matched before   after      of"]
    for camera in scene.cameras:
        if camera.ground_truth is not None and camera.ground_truth.is_file():
            truth = read_truth(camera.ground_truth, camera.number)
            fit = _fit(_boxes_of(passages, camera), truth, camera.size_wh)
            camera = replace(camera, box_scale=fit.factors)
            width, height = fit.factors
            lines.append(
                f"  {camera.id:14}{width:8.2f}{height:8.2f}{fit.before:12.0%}{fit.after:14.0%}{fit.pairs:12} boxes"
            )
        cameras.append(camera)
    if len(lines) == 1:
        raise SceneError(
            f"no camera of {scene.name} has ground truth, which --fit-boxes needs",
            remedy="leave --fit-boxes out, or add ground_truth: FILE to its cameras",
        )
    return replace(scene, cameras=tuple(cameras)), "\n".join(lines) + "\n"


def _boxes_of(passages: Sequence[Passage], camera: Camera) -> Table:
    tracklets = [p.tracklet for p in passages if p.tracklet.camera_id == camera.id]
    tables = [Table.of(camera.number, np.full(len(t), t.track_id), t.frame, t.xyxy) for t in tracklets]
    return Table.concatenate([Table.empty(), *tables])


def _fit(
    tracks: Table, gt: Table, size_wh: tuple[int, int] | None, min_iou: float = 0.5, min_pairs: int = _MIN_PAIRS
) -> _Fit:
    """The factors of one camera, whose boxes both tables hold."""
    boxes, true_boxes = mutual_best(tracks, gt)
    if len(boxes) < min_pairs:
        return _Fit((1.0, 1.0), len(boxes))
    sizes = np.broadcast_to(np.array(size_wh or (np.nan, np.nan), float), (len(boxes), 2))

    def matched(factors: tuple[float, float]) -> tuple[float, float]:
        """Share of pairs that match, and their mean IoU."""
        scale = np.broadcast_to(factors, (len(boxes), 2))
        iou = iou_pairs(clip_to_image(expand_boxes(boxes, scale), sizes), true_boxes)
        return float((iou >= min_iou).mean()), float(iou.mean())

    before, _ = matched((1.0, 1.0))
    factors = _best_factors(matched, before)
    return _Fit(factors, len(boxes), before, matched(factors)[0])


def mutual_best(tracks: Table, gt: Table) -> tuple[Array, Array]:
    """Boxes of both tables, of one camera, that are each other's best overlap in their frame: float64 (P, 4) each."""
    boxes = [np.zeros((0, 4))]
    true_boxes = [np.zeros((0, 4))]
    gt_rows_of = dict(_rows_by_frame(gt.frame))
    for frame, rows in _rows_by_frame(tracks.frame):
        gt_rows = gt_rows_of.get(frame)
        if gt_rows is None:
            continue
        iou = iou_matrix(tracks.xyxy[rows], gt.xyxy[gt_rows])
        best = iou.argmax(axis=1)
        mutual = (iou.argmax(axis=0)[best] == np.arange(len(rows))) & (iou.max(axis=1) > _LOOSE_IOU)
        boxes.append(tracks.xyxy[rows[mutual]])
        true_boxes.append(gt.xyxy[gt_rows[best[mutual]]])
    return np.concatenate(boxes), np.concatenate(true_boxes)


def _rows_by_frame(frame: Array) -> Iterator[tuple[int, Array]]:
    """(frame, its rows), in order of frame."""
    order = np.argsort(frame, kind="stable")
    bounds = np.flatnonzero(np.diff(frame[order])) + 1
    return ((int(frame[rows[0]]), rows) for rows in np.split(order, bounds) if len(rows))


def _best_factors(
    matched: Callable[[tuple[float, float]], tuple[float, float]], before: float
) -> tuple[float, float]:
    """Factors of width and height with which most boxes match.

    Args:
        matched: Factors → (share of pairs that match, their mean IoU).
        before: The share with unchanged boxes.
    """
    grid = {factors: matched(factors) for factors in product(_FACTORS.tolist(), repeat=2)}
    most = max(share for share, _ in grid.values())
    if most < before + _MIN_GAIN:
        return 1.0, 1.0

    # Near its maximum the count is a plateau; the mean IoU finds the middle of it.
    plateau = [factors for factors, (share, _) in grid.items() if share >= most - _MIN_GAIN / 2]
    width, height = max(plateau, key=lambda factors: (grid[factors][1], -factors[0], -factors[1]))
    return round(width, 2), round(height, 2)
