"""From two paths to scores: what ``mtmc evaluate`` does."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from mtmc.errors import ConfigError
from mtmc.evaluate.aicity import filter_predictions
from mtmc.evaluate.cameras import parse_cameras
from mtmc.evaluate.load import LoadedBoxes, load_pair
from mtmc.evaluate.motchallenge import identities_by_sequence, without_distractors
from mtmc.evaluate.reference import reference_scores
from mtmc.evaluate.report import Evaluation
from mtmc.evaluate.rois import read_rois
from mtmc.evaluate.rows import of_cameras
from mtmc.evaluate.scores import METRICS, score, score_per_camera
from mtmc.formats.mot import LARGEST
from mtmc.formats.table import Table
from mtmc.log import plural
from mtmc.scene.names import shown
from mtmc.types import Array

__all__ = ["PROTOCOLS", "evaluate_files", "evaluate_tables"]

PROTOCOLS = ("auto", "aicity", "plain", "mot")


def evaluate_files(
    truth_path: str | os.PathLike[str],
    predicted_path: str | os.PathLike[str],
    *,
    roi: str | os.PathLike[str] | None = None,
    cameras: str | None = None,
    protocol: str = "auto",
    min_iou: float = 0.5,
    metrics: Collection[str] = METRICS,
    truth_offset: int = 0,
    predicted_offset: int = 0,
    reference: bool = False,
    json_path: str | os.PathLike[str] | None = None,
    csv_path: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """Score predictions against ground truth, both in any layout that :func:`load_boxes` reads.

    Args:
        truth_path: Nine-column, MOT or Parquet file, or a folder of MOT files, of the ground truth; or the folder of
            a scene, whose regions of interest then count as they do in a run.
        predicted_path: A file or a folder of files of the predictions.
        roi: Folder of regions of interest (``NAME.png``, ``NAME/roi.jpg``); needs the AI City protocol.
        cameras: Which cameras' ground truth counts, as ``1-5``, ``S01`` or ``c001,north``; all of it by default.
        protocol: ``aicity`` applies the official filters to the predictions, ``plain`` compares as is, ``mot`` is the
            MOT challenge's (identities per sequence, no distractors), and ``auto`` is ``mot`` for the challenge's
            folders, else ``aicity`` when the ground truth has several cameras, else ``plain``.
        min_iou: Least IoU of two boxes of one vehicle.
        metrics: Which of :data:`mtmc.evaluate.scores.METRICS` to compute.
        truth_offset: Added to the frame numbers of the ground truth, 1 for files that count from 0.
        predicted_offset: The same for the predictions.
        reference: Score all cameras together once more with motmetrics.
        json_path: Where to write the scores as JSON, if anywhere.
        csv_path: Where to write them as CSV, if anywhere.

    Raises:
        FormatError: A file is missing or malformed.
        ConfigError: An option is impossible, or no ground truth is left.
        MissingDependency: A reference is asked for, and motmetrics is not installed.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"expected a protocol among {', '.join(PROTOCOLS)}, got {protocol}")
    for option, offset in (("--gt-offset", truth_offset), ("--pred-offset", predicted_offset)):
        if abs(offset) > LARGEST:
            message = f"{option}: expected a frame offset of at most {LARGEST} either way, got {offset}"
            raise ConfigError(message, remedy="give 1 for files whose frames count from 0")
    truth, predicted = load_pair(
        truth_path, predicted_path, truth_offset=truth_offset, predicted_offset=predicted_offset
    )
    if cameras is not None:
        truth = replace(truth, table=_of_wanted(truth, parse_cameras(cameras, truth.names)))
    protocol = _protocol(protocol, truth, roi is not None)
    notes: tuple[str, ...] = ()
    rois: Mapping[int, Array] | None = None
    if protocol == "aicity" and roi is not None:
        rois = read_rois(roi, np.unique(predicted.table.camera).tolist(), truth.names)
    elif protocol == "aicity" and truth.rois:
        rois = read_rois(truth.rois, truth.rois, truth.names, skip_missing=True)
        notes = (f"regions of interest are the scene's, of {plural(len(rois), 'camera')}",)
    elif protocol == "mot":
        kept, notes = without_distractors(predicted.table, truth.sources, truth.names, truth_offset)
        predicted = replace(predicted, table=kept)
    result = evaluate_tables(
        truth.table,
        predicted.table,
        rois,
        protocol=protocol,
        min_iou=min_iou,
        metrics=metrics,
        skip_missing=roi is None,
        names=truth.names,
        reference=reference,
    )
    result = replace(result, notes=(*notes, *result.notes))
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
    names: Mapping[int, str] | None = None,
    reference: bool = False,
) -> Evaluation:
    """Score tables by the ``aicity``, ``plain`` or ``mot`` protocol, over all cameras of the truth and for each.

    Predictions in cameras without ground truth do not count in any. With ``skip_missing``, those of a camera that
    has no region among ``rois`` all count. ``names`` are the cameras' own names by number, for the report, and
    ``reference`` has motmetrics score the same boxes.
    """
    cameras = np.unique(truth.camera)
    if protocol == "aicity":
        predicted, notes = filter_predictions(predicted, cameras, rois, skip_missing=skip_missing)
    else:
        kept = of_cameras(predicted, cameras)
        left_out = len(predicted) - len(kept)
        notes = (f"{left_out:,} predicted boxes left out: in cameras that do not count",) if left_out else ()
        predicted = kept
    if protocol == "mot":
        truth, predicted = identities_by_sequence(truth, predicted)
    return Evaluation(
        overall=score(truth, predicted, min_iou=min_iou, metrics=metrics),
        per_camera=score_per_camera(truth, predicted, min_iou=min_iou, metrics=metrics),
        protocol=protocol,
        min_iou=min_iou,
        notes=notes,
        names=names or {},
        reference=reference_scores(truth, predicted, min_iou) if reference else None,
    )


def _protocol(wanted: str, truth: LoadedBoxes, with_roi: bool) -> str:
    """The protocol to follow, in place of ``auto`` the one that fits the ground truth.

    Raises:
        ConfigError: Regions of interest are given to a protocol that has none.
    """
    several = len(np.unique(truth.table.camera)) > 1
    if wanted == "auto":
        wanted = "mot" if truth.is_mot_challenge else "aicity" if several or with_roi else "plain"
    if with_roi and wanted != "aicity":
        raise ConfigError(
            f"the {wanted} protocol knows no regions of interest", remedy="leave --roi out or use aicity"
        )
    return wanted


def _of_wanted(truth: LoadedBoxes, wanted: tuple[int, ...]) -> Table:
    """The ground truth of the wanted cameras, as far as there is any.

    Raises:
        ConfigError: There is none.
    """
    chosen = of_cameras(truth.table, np.array(wanted, np.int64))
    if not len(chosen):
        known = ", ".join(shown(camera, truth.names) for camera in np.unique(truth.table.camera).tolist())
        raise ConfigError("expected cameras with ground truth, got none", remedy=f"there is some of {known}")
    return chosen
