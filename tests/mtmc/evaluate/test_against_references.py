"""Equality with motmetrics and TrackEval, on real results and on random ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mtmc.evaluate import score
from mtmc.evaluate.load import load_pair
from mtmc.formats.any import read_any
from mtmc.formats.table import Table

Oracle = Callable[..., dict[str, float]]
Find = Callable[[str], Path]

MOTMETRICS = {name: name for name in ("idf1", "idp", "idr", "idtp", "idfp", "idfn", "mota")} | {
    "switches": "num_switches"
}
TRACKEVAL = {name.lower(): name for name in ("IDF1", "IDP", "IDR", "IDTP", "IDFP", "IDFN", "HOTA", "DetA", "AssA")}


def random_pair(seed: int, *, whole: bool = False) -> tuple[Table, Table]:
    """A few cameras of a few vehicles; predictions jitter, miss, switch and invent; either may be empty."""
    rng = np.random.default_rng(seed)
    cameras, frames, vehicles = rng.integers(1, 4), rng.integers(1, 9), rng.integers(0, 6)
    truth, predicted = [], []
    for camera in range(cameras):
        for vehicle in range(vehicles):
            corner, speed, size = rng.uniform(0, 90, 2), rng.normal(0, 8, 2), rng.uniform(20, 60, 2)
            alias = rng.integers(0, 8)
            for frame in range(rng.integers(0, frames), frames):
                box = np.concatenate([corner + speed * frame, size])
                if rng.random() < 0.9:
                    truth.append([camera, vehicle, frame, *box])
                if rng.random() < 0.8:
                    if rng.random() < 0.15:
                        alias = rng.integers(0, 8)
                    predicted.append([camera, alias, frame, *(box + rng.normal(0, 0.12, 4) * np.tile(size, 2))])
        for _ in range(rng.integers(0, 8)):
            box = [*rng.uniform(0, 120, 2), *rng.uniform(10, 60, 2)]
            predicted.append([camera, rng.integers(0, 12), rng.integers(0, frames), *box])
    return tuple(table(rows if rng.random() < 0.95 else [], rng, whole) for rows in (truth, predicted))


def table(rows: list[list[float]], rng: np.random.Generator, whole: bool) -> Table:
    """Rows in random order, each (camera, frame, id) once."""
    array = np.array(rows, float).reshape(-1, 7)
    _, first = np.unique(array[:, :3], axis=0, return_index=True)
    array = array[rng.permutation(first)]
    boxes = np.maximum(array[:, 3:], [-1e9, -1e9, 1, 1])
    boxes[:, 2:] += boxes[:, :2]
    return Table.of(array[:, 0], array[:, 1], array[:, 2], np.round(boxes) if whole else boxes)


def agree(
    truth: Table, predicted: Table, reference: dict[str, float], names: dict[str, str], min_iou: float = 0.5
) -> None:
    ours = score(truth, predicted, min_iou=min_iou)
    for mine, theirs in names.items():
        want = reference[theirs] if math.isfinite(reference[theirs]) else 0.0  # x / 0 is 0 here
        assert getattr(ours, mine) == pytest.approx(want, abs=1e-9), mine


@pytest.mark.parametrize("block", range(10))
def test_random_results_as_motmetrics(motmetrics_scores: Oracle, block: int) -> None:
    for seed in range(20 * block, 20 * block + 20):
        truth, predicted = random_pair(seed)
        agree(truth, predicted, motmetrics_scores(truth, predicted), MOTMETRICS)


def test_repeated_rows_as_motmetrics_without_them(motmetrics_scores: Oracle) -> None:
    """Rows that repeat an identity in a frame, wherever their box is, change nothing."""
    rng = np.random.default_rng(8)
    for seed in range(30):
        truth, predicted = random_pair(seed)
        doubled = [
            Table.concatenate(
                [t, t.with_columns(xyxy=t.xyxy + rng.normal(0, 5, t.xyxy.shape))[rng.random(len(t)) < 0.3]]
            )
            for t in (truth, predicted)
        ]
        agree(*doubled, motmetrics_scores(truth, predicted), MOTMETRICS)


def test_random_results_as_trackeval(trackeval_scores: Oracle) -> None:
    for seed in range(200):
        truth, predicted = random_pair(seed)
        agree(truth, predicted, trackeval_scores(truth, predicted), TRACKEVAL)


def test_whole_pixels_give_the_same_identities(motmetrics_scores: Oracle, trackeval_scores: Oracle) -> None:
    """Whole boxes put many pairs exactly on IoU 0.5. (MOTA and HOTA may then depend on how ties are broken.)"""
    names = ("idf1", "idp", "idr", "idtp", "idfp", "idfn")
    for seed in range(1000, 1025):
        truth, predicted = random_pair(seed, whole=True)
        agree(truth, predicted, motmetrics_scores(truth, predicted), {n: n for n in names})
        agree(truth, predicted, trackeval_scores(truth, predicted), {n: n.upper() for n in names})


def test_other_thresholds(motmetrics_scores: Oracle) -> None:
    for seed, min_iou in enumerate([0.1, 0.3, 0.35, 0.7, 0.95, 1.0]):
        truth, predicted = random_pair(seed)
        agree(truth, predicted, motmetrics_scores(truth, predicted, min_iou), MOTMETRICS, min_iou)


def test_decimals_on_the_threshold_fall_as_in_motmetrics(motmetrics_scores: Oracle) -> None:
    """Boxes such as (0.1, 0.2, 0.3, 0.6) and its lower half: an IoU of 0.5 up to rounding."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        boxes = np.round(rng.uniform(1, 300, (30, 4)), 1)
        halves = boxes.copy()
        halves[:, 3] = np.round(boxes[:, 3] / 2, 2)
        for table in (boxes, halves):
            table[:, 2:] += table[:, :2]
        truth = Table.of(1, np.arange(30), np.arange(30), boxes)
        predicted = Table.of(1, np.arange(30), np.arange(30), halves)
        assert score(truth, predicted).idtp == motmetrics_scores(truth, predicted)["idtp"]


@pytest.mark.parametrize(("name", "idf1"), [("TUD-Campus", 0.558), ("TUD-Stadtmitte", 0.645)])
def test_published_sequences(
    shared: Find, motmetrics_scores: Oracle, trackeval_scores: Oracle, name: str, idf1: float
) -> None:
    boxes = load_pair(shared(f"data/mot/{name}/gt.txt"), shared(f"data/mot/{name}/test.txt"))
    truth, predicted = (side.table for side in boxes)
    assert score(truth, predicted).idf1 == pytest.approx(idf1, abs=5e-4)
    agree(truth, predicted, motmetrics_scores(truth, predicted), MOTMETRICS)
    agree(truth, predicted, trackeval_scores(truth, predicted), TRACKEVAL | {"mota": "MOTA"})


def test_a_real_multi_camera_result(shared: Find, motmetrics_scores: Oracle, trackeval_scores: Oracle) -> None:
    """A part of a challenge entry that fits a test: three cameras, every eighth frame."""
    truth = read_any(shared("data/aicity/ground_truth_train_v2.txt"))
    predicted = read_any(shared("data/aicity/submissions/S01_a.txt"))
    truth, predicted = (t[(t.camera <= 3) & (t.frame % 8 == 0)] for t in (truth, predicted))
    agree(truth, predicted, motmetrics_scores(truth, predicted), MOTMETRICS)
    agree(truth, predicted, trackeval_scores(truth, predicted), TRACKEVAL)
