"""From two paths to scores: what ``mtmc evaluate`` does."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

import numpy as np

from mtmc.errors import ConfigError
from mtmc.evaluate.aicity import filter_predictions
from mtmc.evaluate.cameras import parse_cameras
from mtmc.evaluate.load import load_pair
from mtmc.evaluate.report import Evaluation
from mtmc.evaluate.rois import read_rois
from mtmc.evaluate.rows import of_cameras
from mtmc.evaluate.scores import METRICS, score, score_per_camera
from mtmc.formats.table import Table
from mtmc.types import Array

__all__ = ["PROTOCOLS", "evaluate_files", "evaluate_tables"]

PROTOCOLS = ("auto", "aicity", "plain")


def evaluate_files(
    truth_path: str | os.PathLike[str],
    predicted_path: str | os.PathLike[str],
    *,
    roi: str | os.PathLike[str] | None = None,
    cameras: str | None = None,
    protocol: str = "auto",
    min_iou: float = 0.5,
    metrics: Collection[str] = METRICS,
    json_path: str | os.PathLike[str] | None = None,
    csv_path: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """Score predictions against ground truth, both in any layout that :func:`load_table` reads.

    Args:
        truth_path: Nine-column, MOT or Parquet file, or a folder of MOT files, of the ground truth.
        predicted_path: The same for the predictions.
        roi: Folder of regions of interest (``c006.png``, ``c006/roi.jpg``); needs the AI City protocol.
        cameras: Which cameras' ground truth counts, as ``1-5``, ``S01`` or ``c001,c002``; all of it by default.
        protocol: ``aicity`` applies the official filters to the predictions, ``plain`` compares as is, and ``auto``
            is ``aicity`` when the ground truth has several cameras.
        min_iou: Least IoU of two boxes of one vehicle.
        metrics: Which of :data:`mtmc.evaluate.scores.METRICS` to compute.
        json_path: Where to write the scores as JSON, if anywhere.
        csv_path: Where to write them as CSV, if anywhere.

    Raises:
        FormatError: A file is missing or malformed.
        ConfigError: An option is impossible, or no ground truth is left.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"expected a protocol among {', '.join(PROTOCOLS)}, got {protocol}")
    wanted = None if cameras is None else parse_cameras(cameras)
    truth, predicted = load_pair(truth_path, predicted_path)
    truth = _of_wanted(truth, wanted)
    several = len(np.unique(truth.camera)) > 1
    if protocol == "auto":
        protocol = "aicity" if several or roi is not None else "plain"
    if roi is not None and protocol == "plain":
        raise ConfigError("the plain protocol knows no regions of interest", remedy="leave --roi out or use aicity")
    rois = None if roi is None else read_rois(roi, np.unique(predicted.camera).tolist())
    result = evaluate_tables(truth, predicted, rois, protocol=protocol, min_iou=min_iou, metrics=metrics)
    if json_path is not None:
        result.write_json(json_path)
    if csv_path is not None:
        result.write_csv(csv_path)
    return result


def evaluate_tables(
    truth: Table,
    predicted: Table,
    rois: Mapping[int, Array] | None = None,
    *,
    protocol: str = "plain",
    min_iou: float = 0.5,
    metrics: Collection[str] = METRICS,
    skip_missing: bool = False,
) -> Evaluation:
    """Score tables by the ``aicity`` or the ``plain`` protocol, over all cameras of the truth and for each.

    Predictions in cameras without ground truth do not count in either. With ``skip_missing``, those of a camera that
    has no region among ``rois`` all count.
    """
    cameras = np.unique(truth.camera)
    if protocol == "aicity":
        predicted, notes = filter_predictions(predicted, cameras, rois, skip_missing=skip_missing)
    else:
        kept = of_cameras(predicted, cameras)
        left_out = len(predicted) - len(kept)
        notes = (f"{left_out:,} predicted boxes left out: in cameras that do not count",) if left_out else ()
        predicted = kept
    overall = score(truth, predicted, min_iou=min_iou, metrics=metrics)
    each = score_per_camera(truth, predicted, min_iou=min_iou, metrics=metrics)
    return Evaluation(overall, each, protocol, min_iou, notes)


def _of_wanted(truth: Table, wanted: tuple[int, ...] | None) -> Table:
    """The ground truth of the wanted cameras, as far as there is any.

    Raises:
        ConfigError: There is none.
    """
    if wanted is None:
        return truth
    chosen = of_cameras(truth, np.array(wanted, np.int64))
    if not len(chosen):
        known = ", ".join(f"c{camera:03d}" for camera in np.unique(truth.camera).tolist())
        raise ConfigError("expected cameras with ground truth, got none", remedy=f"there is some of {known}")
    return chosen
