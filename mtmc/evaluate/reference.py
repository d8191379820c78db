"""The same boxes scored once more by motmetrics, an independent implementation, for comparison."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from mtmc.errors import MissingDependency
from mtmc.evaluate.rows import frame_keys, without_repeats
from mtmc.formats.table import Table
from mtmc.types import Array

__all__ = ["REFERENCE_COLUMNS", "reference_scores"]

#: Field of :class:`mtmc.evaluate.Scores` → name of the same in motmetrics. It has no HOTA.
REFERENCE_COLUMNS = {
    "idf1": "idf1",
    "idp": "idp",
    "idr": "idr",
    "mota": "mota",
    "idtp": "idtp",
    "idfp": "idfp",
    "idfn": "idfn",
    "switches": "num_switches",
}


def reference_scores(truth: Table, predicted: Table, min_iou: float = 0.5) -> dict[str, float]:
    """Identity scores, MOTA and identity switches by motmetrics, by the names that :class:`Scores` gives them.

    As in :func:`mtmc.evaluate.score`, cameras are laid end to end and a row that repeats an identity in a frame does
    not count.

    Raises:
        MissingDependency: motmetrics is not installed.
    """
    motmetrics = _import_motmetrics()
    truth, predicted = without_repeats(truth), without_repeats(predicted)
    accumulator = motmetrics.MOTAccumulator()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # motmetrics uses what pandas and NumPy have deprecated
        for number, (i, j) in enumerate(_frames(truth, predicted)):
            distance = motmetrics.distances.iou_matrix(_xywh(truth, i), _xywh(predicted, j), max_iou=1 - min_iou)
            accumulator.update(truth.id[i], predicted.id[j], distance, frameid=number)
        found = motmetrics.metrics.create().compute(
            accumulator, metrics=list(REFERENCE_COLUMNS.values()), return_dataframe=False
        )
    return {field: float(found[name]) for field, name in REFERENCE_COLUMNS.items()}


def _import_motmetrics() -> Any:
    """motmetrics, made to work with NumPy 2, which lacks a function that it calls."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import motmetrics
    except ImportError:
        raise MissingDependency.of("motmetrics", "reference", "the comparison with a reference") from None
    if not hasattr(np, "asfarray"):
        motmetrics.distances.np = SimpleNamespace(**vars(np), asfarray=lambda values: np.asarray(values, float))
    return motmetrics


def _frames(truth: Table, predicted: Table) -> Iterator[tuple[Array, Array]]:
    """Rows of both tables in each (camera, frame), in order; a frame's rows keep the order of their table."""
    true_key, predicted_key = frame_keys(truth, predicted)
    true_order, predicted_order = np.argsort(true_key, kind="stable"), np.argsort(predicted_key, kind="stable")
    keys = np.unique(np.concatenate([true_key, predicted_key]))
    true_bounds = np.searchsorted(true_key[true_order], [keys, keys + 1])
    predicted_bounds = np.searchsorted(predicted_key[predicted_order], [keys, keys + 1])
    for a, b, c, d in zip(*true_bounds.tolist(), *predicted_bounds.tolist(), strict=True):
        yield true_order[a:b], predicted_order[c:d]


def _xywh(table: Table, rows: Array) -> Array:
    boxes = table.xyxy[rows].copy()
    boxes[:, 2:] -= boxes[:, :2]
    return boxes
