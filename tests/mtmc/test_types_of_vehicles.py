"""The class of a vehicle in all cameras."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mtmc.types import CLASSES, GlobalTrack, Passage
from tests.builders import tracklet


def passage(name: str, boxes: int) -> Passage:
    one = dataclasses.replace(tracklet(length=boxes), class_id=CLASSES.index(name))
    return Passage(one, np.zeros(0, np.float32), "", "", np.full((boxes, 2), np.nan))


@pytest.mark.parametrize(
    ("passages", "expected"),
    [
        ([("car", 5)], "car"),
        ([("vehicle", 50), ("truck", 3)], "truck"),
        ([("vehicle", 5)], "vehicle"),
        ([("truck", 3), ("car", 4), ("truck", 3)], "truck"),
        ([("truck", 3), ("car", 3)], "car"),
    ],
)
def test_most_boxes_decide_and_a_type_is_better_than_none(passages: list[tuple[str, int]], expected: str) -> None:
    track = GlobalTrack(1, tuple(passage(name, boxes) for name, boxes in passages))
    assert CLASSES[track.class_id] == expected
