"""Scores of a run whose ground truth lies beside its videos."""

from __future__ import annotations

from mtmc.evaluate import Evaluation, evaluate_tables
from mtmc.formats.mot import read_mot
from mtmc.formats.table import Table
from mtmc.scene import Scene, read_roi

__all__ = ["score_rows", "score_scene"]


def score_scene(scene: Scene, predicted: Table) -> Evaluation | None:
    """Score by the official AI City protocol; None where no camera has ground truth.

    Scenes with a single annotated camera are scored plainly: the official filter would drop every vehicle of theirs.

    Raises:
        FormatError: A ground truth file is malformed.
    """
    annotated = [camera for camera in scene.cameras if camera.ground_truth is not None]
    if not annotated:
        return None
    truth = Table.concatenate([read_mot(c.ground_truth, c.number) for c in annotated if c.ground_truth is not None])
    rois = {camera.number: read_roi(camera.roi, official=True) for camera in annotated if camera.roi is not None}
    if len(annotated) == 1:
        return evaluate_tables(truth, predicted, protocol="plain")
    return evaluate_tables(truth, predicted, rois or None, protocol="aicity", skip_missing=True)


def score_rows(evaluation: Evaluation | None, scene: Scene) -> list[dict[str, str | float]] | None:
    """The scores as rows of a table: one for each camera, by its id, and one for all."""
    if evaluation is None:
        return None
    names = {camera.number: camera.id for camera in scene.cameras}
    titled = [*((names[n], scores) for n, scores in evaluation.per_camera.items()), ("all", evaluation.overall)]
    columns = {"IDF1": "idf1", "IDP": "idp", "IDR": "idr", "HOTA": "hota", "MOTA": "mota"}
    return [{"camera": name, **{c: getattr(s, field) for c, field in columns.items()}} for name, s in titled]
