"""One frame, a handful of boxes, each rule alone, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from mtmc.detect.filters import FilterConfig, filter_detections
from mtmc.errors import SceneError
from mtmc.types import Detections

SIZE = (100, 50)
OFF = {"nms_iou": None, "roi": "off"}


def ids(kept: Detections) -> list[int]:
    return kept.class_id.tolist()


def boxes(*rows: tuple[float, float, float, float], score: list[float] | None = None) -> Detections:
    """Numbered through their class, so that a test can say which are left."""
    return Detections.of(rows, score or [0.9] * len(rows), np.arange(len(rows)))


def test_confidence_is_inclusive() -> None:
    found = boxes((0, 0, 9, 9), (20, 0, 29, 9), (40, 0, 49, 9), score=[0.25, 0.5, 0.75])
    assert ids(filter_detections(found, FilterConfig(min_confidence=0.5, **OFF), SIZE)) == [1, 2]


def test_area_and_inverted_boxes() -> None:
    found = boxes((0, 0, 10, 10), (0, 0, 10, 9.9), (9, 9, 2, 2), (5, 5, 5, 9))
    assert ids(filter_detections(found, FilterConfig(**OFF), SIZE)) == [0, 1]
    assert ids(filter_detections(found, FilterConfig(min_area_px=100, **OFF), SIZE)) == [0]


def test_border() -> None:
    found = boxes(
        (2, 2, 98, 48), (1.9, 9, 20, 20), (9, 9, 98.1, 20), (9, 9, 20, 48.1), (9, 1, 20, 20), (-5, 9, 20, 20)
    )
    assert ids(filter_detections(found, FilterConfig(border_px=2, **OFF), SIZE)) == [0]
    assert ids(filter_detections(found, FilterConfig(**OFF), SIZE)) == [0, 1, 2, 3, 4, 5]


def test_region_by_foot_point() -> None:
    roi = np.zeros((50, 100), bool)
    roi[25:, :60] = True
    found = boxes(
        (10, 0, 20, 25),  # stands on row 24, just outside
        (10, 0, 20, 25.1),  # stands on row 25
        (40, 20, 80, 40),  # stands on column 60, just outside
        (39, 20, 80, 40),
        (10, 30, 30, 60),  # stands below the image: counts as on its last row
    )
    rules = FilterConfig(nms_iou=None, roi="foot")
    assert ids(filter_detections(found, rules, SIZE, roi)) == [1, 3, 4]
    assert ids(filter_detections(found, rules, SIZE)) == [0, 1, 2, 3, 4]


def test_region_by_share() -> None:
    roi = np.zeros((50, 100), bool)
    roi[:, :50] = True
    found = boxes((40, 10, 60, 20), (41, 10, 61, 20), (-20, 10, 52, 20), (120, 10, 140, 20))
    assert ids(filter_detections(found, FilterConfig(nms_iou=None, roi="share", roi_share=0.5), SIZE, roi)) == [0, 2]


def test_a_region_of_another_size_is_an_error() -> None:
    with pytest.raises(SceneError, match=r"expected a region of interest of 100×50 pixels.*got 50×100"):
        filter_detections(boxes((0, 0, 9, 9)), FilterConfig(), SIZE, np.ones((100, 50), bool))


def test_suppression_ignores_classes_keeps_the_order_and_comes_last() -> None:
    found = boxes((0, 0, 10, 10), (50, 0, 60, 10), (50, 0, 60, 10.5), (0, 0, 10, 10.5), score=[0.6, 0.5, 0.8, 0.9])
    assert ids(filter_detections(found, FilterConfig(nms_iou=0.7), SIZE)) == [2, 3]
    # Box 3, better than box 0, is out of the region: it must not take box 0 along.
    roi = np.ones((50, 100), bool)
    roi[10, :20] = False
    assert ids(filter_detections(found, FilterConfig(nms_iou=0.7), SIZE, roi)) == [0, 2]


def test_nothing_in_nothing_out() -> None:
    kept = filter_detections(Detections.empty(8), FilterConfig(border_px=1), SIZE, np.ones((50, 100), bool))
    assert len(kept) == 0
    assert kept.appearance.shape == (0, 8)


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(ValidationError):
        FilterConfig(min_score=0.5)  # type: ignore[call-arg]
