"""The official protocol: published scores, and each step by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtmc.errors import ConfigError, FormatError, SceneError
from mtmc.evaluate import evaluate_files
from mtmc.evaluate.aicity import filter_predictions, inside_roi, score_aicity, seen_by_several_cameras
from mtmc.evaluate.rois import read_rois
from mtmc.formats.table import Table

Find = Callable[[str], Path]


@pytest.mark.parametrize(
    ("cameras", "published"),
    [("1-5", (66.53, 53.08, 89.10)), ("S01", (66.53, 53.08, 89.10)), (None, (48.88, 53.08, 45.29))],
)
def test_the_published_scores_of_a_challenge_entry(
    shared: Find, cameras: str | None, published: tuple[float, float, float]
) -> None:
    result = evaluate_files(
        shared("data/aicity/ground_truth_train_v2.txt"),
        shared("data/aicity/submissions/S01_a.txt"),
        roi=shared("data/aicity/roi"),
        cameras=cameras,
        metrics=["identity"],
    )
    assert result.protocol == "aicity"
    found = result.overall
    assert tuple(round(100 * value, 2) for value in (found.idf1, found.idp, found.idr)) == published


def test_the_truth_scores_almost_full_marks_against_itself(shared: Find) -> None:
    truth = shared("data/aicity/ground_truth_train_v2.txt")
    result = evaluate_files(truth, truth, roi=shared("data/aicity/roi"), metrics=["identity"])
    assert result.overall.idf1 > 0.98


def one_box(box: list[float]) -> Table:
    return Table.of(1, [1], [0], [box])


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        ([10, 10, 20, 20], True),
        ([9, 10, 20, 20], False),  # left edge on column 9, outside the region
        ([9.99, 10, 20, 20], False),
        ([10, 10, 39, 29], True),
        ([10, 10, 40, 29], True),  # right edge beyond the image: does not count
        ([10, 10, 39, 30], True),
        ([-5, -5, 45, 35], True),  # no corner in the image
        ([-5, 5, 15, 15], False),  # the upper right corner (15, 5) is outside the region
    ],
)
def test_a_box_is_dropped_for_a_corner_outside_the_region(box: list[float], kept: bool) -> None:
    roi = np.zeros((30, 40), bool)
    roi[10:, 10:] = True
    assert len(inside_roi(one_box(box), {1: roi})) == kept


def test_corners_agree_with_a_plain_loop() -> None:
    rng = np.random.default_rng(2)
    roi = rng.random((30, 40)) < 0.8
    corner = rng.integers(-8, 40, (500, 2))
    boxes = np.hstack([corner, corner + rng.integers(1, 30, (500, 2))])
    table = Table.of(1, np.arange(500), np.zeros(500), boxes)

    def fine(box: np.ndarray) -> bool:
        corners = [(x, y) for x in box[::2] for y in box[1::2]]
        return all(roi[y, x] for x, y in corners if 0 <= x < 40 and 0 <= y < 30)

    assert inside_roi(table, {1: roi}).id.tolist() == [i for i, box in enumerate(boxes) if fine(box)]


def test_a_camera_without_region_is_an_error_unless_told_otherwise() -> None:
    with pytest.raises(ConfigError, match="every camera with predictions, got none for camera 1"):
        inside_roi(one_box([0, 0, 1, 1]), {})
    assert len(inside_roi(one_box([0, 0, 1, 1]), {}, skip_missing=True)) == 1


def test_identities_of_one_camera_go_even_if_another_has_no_truth() -> None:
    boxes = [[0, 0, 10, 10]] * 4
    predicted = Table.of([1, 1, 1, 9], [5, 5, 6, 6], [0, 1, 0, 0], boxes)
    assert seen_by_several_cameras(predicted).id.tolist() == [6, 6]
    kept, notes = filter_predictions(predicted, np.array([1]), None)
    assert kept.camera.tolist() == [1]
    assert kept.id.tolist() == [6]
    assert notes[0].startswith("no region of interest given")
    assert notes[1].startswith("2 of 4 predicted boxes dropped: of identities seen by one camera")


def test_every_step_says_what_it_dropped() -> None:
    """Six boxes: identity 5 in one camera alone, 6 in cameras 1, 2 and 9, twice in one frame of camera 2."""
    predicted = Table.of([1, 1, 1, 2, 2, 9], [5, 5, 6, 6, 6, 6], [0, 1, 0, 0, 0, 0], [[10, 10, 20, 20]] * 6)
    regions = dict.fromkeys((1, 2, 9), np.ones((50, 50), bool))
    _, notes = filter_predictions(predicted, np.array([1, 2]), regions)
    assert notes == (
        "0 of 6 predicted boxes dropped: outside the region of interest",
        "2 of 6 predicted boxes dropped: of identities seen by one camera only",
        "1 of 4 predicted boxes dropped: that repeat an identity in a frame",
        "1 of 3 predicted boxes dropped: in cameras that do not count",
    )
    with pytest.raises(ConfigError, match="got none for camera 9"):
        filter_predictions(predicted, np.array([1, 2]), {1: regions[1], 2: regions[2]})


def test_the_region_filter_comes_before_the_camera_count_and_repeats_go_last() -> None:
    roi = np.ones((50, 50), bool)
    roi[:, :5] = False
    boxes = [[0, 0, 10, 10], [10, 10, 20, 20], [10, 10, 20, 20], [10, 10, 20, 20], [10, 10, 21, 21]]
    predicted = Table.of([1, 2, 1, 2, 2], [5, 5, 6, 6, 6], [0, 0, 0, 0, 0], boxes)
    kept, _ = filter_predictions(predicted, np.array([1, 2]), {1: roi, 2: roi})
    assert kept.id.tolist() == [6, 6]  # 5 lost its box in camera 1, and with it the other
    assert kept.xyxy[:, 2].tolist() == [20, 20]  # the first of the repeated rows
    truth = Table.of([1, 2], [1, 1], [0, 0], boxes[2:4])
    assert score_aicity(truth, predicted, {1: roi, 2: roi}).idf1 == 1.0


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def test_regions_are_found_by_camera(tmp_path: Path) -> None:
    gray = np.full((20, 30), 255, np.uint8)
    gray[:, :16] = 0
    save(tmp_path / "c001.png", gray)
    save(tmp_path / "train" / "S01" / "c002" / "roi.jpg", np.dstack([gray] * 3))
    save(tmp_path / "c003.png", np.full((20, 30), 254, np.uint8))
    (tmp_path / "notes.txt").write_text("")
    rois = read_rois(tmp_path, [1, 2, 3])
    assert sorted(rois) == [1, 2, 3]
    assert rois[1].shape == rois[2].shape == (20, 30)
    np.testing.assert_array_equal(rois[1], gray == 255)
    assert rois[2][:, 24:].all()
    assert not rois[2][:, :16].any()
    assert not rois[3].any()
    assert list(read_rois({7: tmp_path / "c001.png"}, [7])) == [7]


def test_missing_and_broken_regions(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"got none for c004, c005; add an image such as c004\.png"):
        read_rois(tmp_path, [4, 5])
    assert read_rois(tmp_path, [4, 5], skip_missing=True) == {}
    with pytest.raises(FormatError, match="expected a folder of region images"):
        read_rois(tmp_path / "none", [4])
    (tmp_path / "c004.png").write_text("no image")
    with pytest.raises(SceneError, match=r"c004\.png: expected a region-of-interest image"):
        read_rois(tmp_path, [4])
    with pytest.raises(SceneError, match="found no file"):
        read_rois({4: tmp_path / "none.png"}, [4])
