"""The reference implementations, motmetrics and TrackEval, behind one call each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mtmc.formats.table import Table

Oracle = Callable[..., dict[str, float]]


def moments(truth: Table, predicted: Table) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of both tables for each camera and frame in order; rows keep their order."""
    groups: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
    for side, table in enumerate((truth, predicted)):
        for row, place in enumerate(zip(table.camera.tolist(), table.frame.tolist(), strict=True)):
            groups.setdefault(place, ([], []))[side].append(row)
    for place in sorted(groups):
        i, j = groups[place]
        yield np.array(i, int), np.array(j, int)


def xywh(table: Table, rows: np.ndarray) -> np.ndarray:
    boxes = table.xyxy[rows].copy()
    boxes[:, 2:] -= boxes[:, :2]
    return boxes


@pytest.fixture(scope="session")
def motmetrics_scores() -> Oracle:
    """idf1, idp, idr, idtp, idfp, idfn, mota and num_switches by motmetrics."""
    pytest.importorskip("pandas")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mm = pytest.importorskip("motmetrics")
    if not hasattr(np, "asfarray"):  # NumPy 2 lacks it, motmetrics 1.4 calls it
        mm.distances.np = SimpleNamespace(**vars(np), asfarray=lambda a: np.asarray(a, float))
    names = ["idf1", "idp", "idr", "idtp", "idfp", "idfn", "mota", "num_switches"]

    def compute(truth: Table, predicted: Table, min_iou: float = 0.5) -> dict[str, float]:
        accumulator = mm.MOTAccumulator()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number, (i, j) in enumerate(moments(truth, predicted)):
                distance = mm.distances.iou_matrix(xywh(truth, i), xywh(predicted, j), max_iou=1 - min_iou)
                accumulator.update(truth.id[i], predicted.id[j], distance, frameid=number)
            return dict(mm.metrics.create().compute(accumulator, metrics=names, return_dataframe=False))

    return compute


@pytest.fixture(scope="session")
def trackeval_scores() -> Oracle:
    """IDF1, IDP, IDR, IDTP, IDFP, IDFN, MOTA, HOTA, DetA and AssA by TrackEval, means over thresholds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trackeval = pytest.importorskip("trackeval")
    from trackeval.datasets._base_dataset import _BaseDataset
    from trackeval.metrics import CLEAR, HOTA, Identity

    del trackeval

    def compute(truth: Table, predicted: Table, min_iou: float = 0.5) -> dict[str, float]:
        true_ids, true_index = np.unique(truth.id, return_inverse=True)
        ids, index = np.unique(predicted.id, return_inverse=True)
        frames = list(moments(truth, predicted))
        data: dict[str, Any] = {
            "num_gt_dets": len(truth),
            "num_tracker_dets": len(predicted),
            "num_gt_ids": len(true_ids),
            "num_tracker_ids": len(ids),
            "num_timesteps": len(frames),
            "gt_ids": [true_index[i] for i, _ in frames],
            "tracker_ids": [index[j] for _, j in frames],
            "similarity_scores": [
                _BaseDataset._calculate_box_ious(truth.xyxy[i], predicted.xyxy[j], "x0y0x1y1") for i, j in frames
            ],
        }
        settings = {"THRESHOLD": min_iou, "PRINT_CONFIG": False}
        results: dict[str, Any] = {}
        for metric in (Identity(settings), CLEAR(settings), HOTA()):
            results |= metric.eval_sequence(data)
        return {name: float(np.mean(value)) for name, value in results.items()}

    return compute
