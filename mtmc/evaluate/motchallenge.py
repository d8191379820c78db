"""The MOT challenge's evaluation of several sequences, as TrackEval computes it.

Sequences have nothing in common: identity 1 of one is not identity 1 of another, so that identities are matched
within a sequence only. Ground truth from MOT16 on has a class in its eighth column. Boxes of the classes that look
like pedestrians without counting as such are no truth, and a prediction that matches one of them is taken out before
scoring, so that it is no false positive either.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mtmc.evaluate.assignment import best_matching
from mtmc.evaluate.match import overlapping_pairs
from mtmc.evaluate.rows import joint_key
from mtmc.formats.mot import COLUMNS, LAYOUT, read_mot
from mtmc.formats.table import Table
from mtmc.formats.text import read_numbers
from mtmc.types import Array

__all__ = ["identities_by_sequence", "without_distractors"]

#: Person on a vehicle, static person, distractor and reflection.
DISTRACTORS = (2, 7, 8, 12)
#: Vehicles are distractors in MOT20 only.
DISTRACTORS_OF_MOT20 = (*DISTRACTORS, 6)
_MATCH_IOU = 0.5


def identities_by_sequence(truth: Table, predicted: Table) -> tuple[Table, Table]:
    """Both tables with identities that no two sequences share; a sequence is what has one camera number."""
    return _unique_identities(truth), _unique_identities(predicted)


def _unique_identities(table: Table) -> Table:
    return table.with_columns(id=joint_key(table.camera, table.id))


def without_distractors(
    predicted: Table, sources: Mapping[int, Path], names: Mapping[int, str], frame_offset: int = 0
) -> tuple[Table, tuple[str, ...]]:
    """The predictions without those that match a distractor of the ground truth, and a note if any were taken out.

    In every frame, predictions and all boxes of the truth, those that do not count included, are matched one to one
    with the greatest total overlap at IoU ≥ 0.5.

    Args:
        predicted: The predictions.
        sources: Ground truth file of each sequence, by number; those without a class column have no distractors.
        names: Names of the sequences by number; MOT20's have one more class of distractors.
        frame_offset: Added to the frame numbers of the ground truth.

    Raises:
        FormatError: A file cannot be read.
    """
    drop = np.zeros(len(predicted), bool)
    for number, path in sources.items():
        is_distractor = _is_distractor(path, names.get(number, ""))
        rows = np.flatnonzero(predicted.camera == number)
        if not is_distractor.any() or not len(rows):
            continue
        boxes = read_mot(path, number, frame_offset)
        pairs = overlapping_pairs(boxes, predicted[rows], _MATCH_IOU)
        chosen = best_matching(pairs.truth, pairs.predicted, pairs.iou)
        matched = pairs.predicted[chosen][is_distractor[pairs.truth[chosen]]]
        drop[rows[matched]] = True
    if not drop.any():
        return predicted, ()
    note = f"{int(drop.sum()):,} of {len(drop):,} predicted boxes dropped: they match distractors of the ground truth"
    return predicted[~drop], (note,)


def _is_distractor(path: str | os.PathLike[str], name: str) -> Array:
    """Which rows of a ground truth file, as ``read_mot`` gives them, are distractors: bool (R,)."""
    numbers = read_numbers(path, COLUMNS, LAYOUT)
    numbers = numbers[(numbers[:, 4:6] > 0).all(axis=1)]
    if numbers.shape[1] not in (8, 9):
        return np.zeros(len(numbers), bool)
    classes = DISTRACTORS_OF_MOT20 if name.startswith("MOT20") else DISTRACTORS
    return np.isin(numbers[:, 7], classes)
