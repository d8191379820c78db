"""Scores of a run whose ground truth lies beside its videos."""

from __future__ import annotations

import numpy as np

from mtmc.evaluate import Evaluation, evaluate_tables
from mtmc.evaluate.load import truth_of
from mtmc.formats.table import Table
from mtmc.scene import Scene, read_roi

__all__ = ["score_rows", "score_scene"]


def score_scene(scene: Scene, predicted: Table) -> Evaluation | None:
    """Score by the official AI City protocol; None where no camera has ground truth.

    Scenes with a single annotated camera are scored plainly: the official filter would drop all of their vehicles.

    Raises:
        FormatError: A ground truth file is malformed, or no row of any of them counts.
    """
    if all(camera.ground_truth is None for camera in scene.cameras):
        return None
    truth = truth_of(scene.cameras)
    if len(np.unique(truth.table.camera)) == 1:
        return evaluate_tables(truth.table, predicted, protocol="plain", names=truth.names)
    rois = {number: read_roi(path, official=True) for number, path in truth.rois.items()}
    return evaluate_tables(
        truth.table, predicted, rois or None, protocol="aicity", skip_missing=True, names=truth.names
    )


def score_rows(evaluation: Evaluation | None, scene: Scene) -> list[dict[str, str | float]] | None:
    """The scores as rows of a table: one for each camera, by its id, and one for all."""
    if evaluation is None:
        return None
    names = {camera.number: camera.id for camera in scene.cameras}
    titled = [*((names[n], scores) for n, scores in evaluation.per_camera.items()), ("all", evaluation.overall)]
    columns = {"IDF1": "idf1", "IDP": "idp", "IDR": "idr", "HOTA": "hota", "MOTA": "mota"}
    return [{"camera": name, **{c: getattr(s, field) for c, field in columns.items()}} for name, s in titled]
