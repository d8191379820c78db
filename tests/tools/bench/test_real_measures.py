"""Counts of a tracker on annotated frames, against tables worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtmc.formats.table import Table
from tools.bench.real_measures import (
    IdentityCounts,
    count_detections,
    count_tracks,
    match_boxes,
    repeated_identities,
    share_in_several_cameras,
)

LEFT, RIGHT, FAR = (0, 0, 10, 10), (20, 0, 30, 10), (100, 100, 110, 110)


def table(*rows: tuple[int, int, tuple[float, float, float, float], float]) -> Table:
    """Rows of (frame, identity, box, score)."""
    frame, identity, box, score = zip(*rows, strict=True)
    return Table.of(1, identity, frame, np.array(box, float), score=score)


def test_boxes_are_matched_one_to_one_and_a_second_box_on_a_vehicle_is_wrong() -> None:
    truth = table((0, 1, LEFT, 1), (0, 2, RIGHT, 1))
    found = table((0, -1, LEFT, 0.9), (0, -1, (1, 0, 11, 10), 0.8), (0, -1, FAR, 0.7))
    counts = count_detections(truth, found)
    assert (counts.boxes, counts.matched, counts.found) == (2, 1, 3)
    assert (counts.recall, counts.precision) == (0.5, pytest.approx(1 / 3))


def test_most_boxes_are_matched_before_the_greatest_overlap() -> None:
    # Each found box lies 5 to the right of its vehicle and is exactly where the next one is: three matches of an
    # overlap of one half, or two perfect ones.
    truth = table(*[(0, i, (5 * i, 0, 5 * i + 15, 10), 1) for i in range(3)])
    found = table(*[(0, -1, (5 * i + 5, 0, 5 * i + 20, 10), 1) for i in range(3)])
    matching = match_boxes(truth, found)
    assert matching.truth.tolist() == matching.found.tolist() == [0, 1, 2]


def test_frames_without_a_row_and_ignored_rows_are_not_judged() -> None:
    truth = table((0, 1, LEFT, 1), (0, -1, (90, 90, 200, 200), 0), (0, 3, RIGHT, 0))
    found = table(
        (0, -1, LEFT, 1),  # right
        (0, -1, FAR, 1),  # inside the region
        (0, -1, RIGHT, 1),  # on a vehicle that does not count
        (0, -1, (50, 50, 60, 60), 1),  # wrong
        (7, -1, LEFT, 1),  # a frame that was not annotated
    )
    assert match_boxes(truth, found).judged.tolist() == [True, False, False, True, False]
    assert count_detections(truth, found).precision == 0.5


def test_a_box_that_matches_counts_though_it_lies_in_an_ignored_region() -> None:
    truth = table((0, 1, FAR, 1), (0, -1, (90, 90, 200, 200), 0))
    assert count_detections(truth, table((0, -1, FAR, 1))).found == 1


def test_least_overlap_is_one_half() -> None:
    truth = table((0, 1, (0, 0, 12, 10), 1))
    assert count_detections(truth, table((0, -1, (4, 0, 16, 10), 1))).matched == 1  # 80 / 160
    assert count_detections(truth, table((0, -1, (4.1, 0, 16.1, 10), 1))).matched == 0


def test_switch_hand_over_fragment_and_gap() -> None:
    """Vehicle 1 is 5, missed for two frames, then 6; vehicle 2 is 6, later 5 as well."""
    truth = table(*[(f, 1, LEFT, 1) for f in range(6)], *[(f, 2, RIGHT, 1) for f in range(6)])
    tracks = table(
        *[(f, 5, LEFT, 1) for f in (0, 1)],
        *[(f, 6, LEFT, 1) for f in (4, 5)],
        *[(f, 6, RIGHT, 1) for f in (0, 1, 2)],
        *[(f, 5, RIGHT, 1) for f in (3, 4, 5)],
    )
    # Vehicle 1 changes from 5 to 6 and vehicle 2 from 6 to 5; 5 goes over from vehicle 1 to 2, and 6 from 2 to 1.
    assert count_tracks(truth, tracks, tracks).identity == IdentityCounts(2, 2, 2, 1, 2)


def test_a_new_identity_is_a_switch_and_no_hand_over() -> None:
    truth = table(*[(f, 1, LEFT, 1) for f in range(4)])
    tracks = table((0, 5, LEFT, 1), (1, 5, LEFT, 1), (2, 8, LEFT, 1), (3, 8, LEFT, 1))
    assert count_tracks(truth, tracks, tracks).identity == IdentityCounts(1, 1, 0, 0, 0)


def test_an_identity_is_kept_where_another_box_overlaps_more() -> None:
    truth = table((0, 1, LEFT, 1), (1, 1, LEFT, 1))
    tracks = table((0, 5, LEFT, 1), (1, 5, (2, 0, 12, 10), 1), (1, 6, LEFT, 1))
    counts = count_tracks(truth, tracks, tracks)
    assert counts.identity == IdentityCounts(1, 0, 0, 0, 0)
    assert counts.boxes.found == 3


def test_vehicles_that_were_not_annotated_at_first_or_last_are_no_gap() -> None:
    truth = table(*[(f, 1, LEFT, 1) for f in range(5)])
    counts = count_tracks(truth, table((2, 5, LEFT, 1)), table((2, -1, LEFT, 1)))
    assert counts.identity == IdentityCounts(1, 0, 0, 0, 0)
    assert counts.boxes.recall == 0.2


def test_interpolated_boxes_and_the_share_of_detections_that_tracks_keep() -> None:
    truth = table(*[(f, 1, LEFT, 1) for f in range(5)])
    detections = table(*[(f, -1, LEFT, 0.9) for f in (0, 1, 2, 4)], (3, -1, FAR, 0.9))
    tracks = table((0, 5, LEFT, 0.9), (1, 5, LEFT, 0), (2, 5, FAR, 0), (3, 5, LEFT, 0), (4, 5, LEFT, 0.9))
    counts = count_tracks(truth, tracks, detections)
    assert (counts.interpolated, counts.interpolated_right) == (3, 2)
    assert counts.interpolated_precision == pytest.approx(2 / 3)
    assert (counts.detected, counts.kept) == (4, 2)
    assert counts.kept_share == 0.5


def test_without_identities_there_are_none_to_count() -> None:
    truth = table((0, -1, LEFT, 1), (1, -1, LEFT, 1))
    tracks = table((0, 5, LEFT, 1), (1, 6, LEFT, 1))
    counts = count_tracks(truth, tracks, tracks)
    assert counts.identity is None
    assert counts.boxes.recall == 1.0


def test_nothing_found() -> None:
    truth = table((0, 1, LEFT, 1))
    counts = count_tracks(truth, Table.empty(), Table.empty())
    assert counts.boxes.recall == 0.0
    assert math.isnan(counts.boxes.precision)
    assert math.isnan(counts.kept_share)
    assert math.isnan(counts.interpolated_precision)


def test_repeated_identities_are_counted_by_camera_and_frame() -> None:
    tracks = table((0, 5, LEFT, 1), (0, 5, RIGHT, 1), (0, 5, FAR, 1), (1, 5, LEFT, 1), (0, 6, LEFT, 1))
    assert repeated_identities(tracks) == 2
    elsewhere = tracks.with_columns(camera=np.array([1, 2, 3, 1, 1]))
    assert repeated_identities(elsewhere) == 0


def test_share_in_several_cameras() -> None:
    tracks = table((0, 5, LEFT, 1), (3, 5, LEFT, 1), (0, 6, LEFT, 1), (1, 7, LEFT, 1)).with_columns(
        camera=np.array([1, 2, 1, 2])
    )
    assert share_in_several_cameras(tracks) == (1, 3)
    assert share_in_several_cameras(Table.empty()) == (0, 0)
