"""All scores of one result against its ground truth."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from mtmc.errors import ConfigError
from mtmc.evaluate.clear import clear_scores
from mtmc.evaluate.hota import hota_scores
from mtmc.evaluate.identity import identity_scores
from mtmc.evaluate.match import overlapping_pairs
from mtmc.evaluate.rows import of_cameras, without_repeats
from mtmc.formats.table import Table

__all__ = ["METRICS", "Scores", "score", "score_per_camera"]

METRICS = ("identity", "hota", "clear")


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores over some cameras; ratios, percent only when printed. NaN and −1 where a metric was not asked for.

    Attributes:
        idf1: Of true and predicted boxes together, the share whose identity is right; in [0, 1].
        idp: Of the predicted boxes, that share.
        idr: Of the true boxes, that share.
        hota: Geometric mean of detection and association, averaged over thresholds; in [0, 1].
        deta: Its detection part.
        assa: Its association part.
        mota: 1 − (misses + false positives + switches) / true boxes; at most 1, negative when errors prevail.
        idtp: Boxes of matched identities that overlap.
        idfp: Predicted boxes that do not.
        idfn: True boxes that do not.
        switches: How often a true identity changed its predicted one.
    """

    idf1: float
    idp: float
    idr: float
    hota: float
    deta: float
    assa: float
    mota: float
    idtp: int
    idfp: int
    idfn: int
    switches: int


def score(truth: Table, predicted: Table, *, min_iou: float = 0.5, metrics: Collection[str] = METRICS) -> Scores:
    """Compare all rows of two tables; identities are global, boxes are compared within a (camera, frame).

    A row that repeats an identity in the same camera and frame does not count, in either table: the first stands.

    Args:
        truth: True identities.
        predicted: Predicted identities.
        min_iou: Least IoU of two boxes of one vehicle, for identity scores and MOTA; in (0, 1].
        metrics: Which of :data:`METRICS` to compute. The others are NaN and −1.

    Raises:
        ConfigError: ``min_iou`` or a metric makes no sense.
    """
    _check(min_iou, metrics)
    truth, predicted = without_repeats(truth), without_repeats(predicted)
    pairs = overlapping_pairs(truth, predicted, 0.0 if "hota" in metrics else min_iou)
    close = pairs.at_least(min_iou) if "hota" in metrics else pairs
    nan = math.nan
    hota, deta, assa = hota_scores(truth, predicted, pairs) if "hota" in metrics else (nan, nan, nan)
    mota, _, _, switches = clear_scores(truth, predicted, close) if "clear" in metrics else (nan, -1, -1, -1)
    if "identity" in metrics:
        found = identity_scores(truth, predicted, close)
        identity = (found.idf1, found.idp, found.idr, *found)
    else:
        identity = (nan, nan, nan, -1, -1, -1)
    return Scores(*identity[:3], hota, deta, assa, mota, *identity[3:], switches)


def score_per_camera(
    truth: Table,
    predicted: Table,
    *,
    cameras: Iterable[int] | None = None,
    min_iou: float = 0.5,
    metrics: Collection[str] = METRICS,
) -> dict[int, Scores]:
    """:func:`score` for each camera by itself, all cameras of the truth if none are named."""
    chosen = np.unique(truth.camera).tolist() if cameras is None else sorted(cameras)
    return {
        camera: score(
            of_cameras(truth, np.array([camera])),
            of_cameras(predicted, np.array([camera])),
            min_iou=min_iou,
            metrics=metrics,
        )
        for camera in chosen
    }


def _check(min_iou: float, metrics: Collection[str]) -> None:
    if not 0 < min_iou <= 1:
        raise ConfigError(f"expected a least IoU above 0 and up to 1, got {min_iou}", remedy="the usual one is 0.5")
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise ConfigError(f"expected metrics among {', '.join(METRICS)}, got {unknown[0]}")
