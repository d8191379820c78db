"""Hand-computed scores, and what must not change them."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtmc.errors import ConfigError
from mtmc.evaluate import Scores, score, score_per_camera
from mtmc.evaluate import match as match_module
from mtmc.evaluate.hota import _share
from mtmc.evaluate.match import Pairs, overlapping_pairs
from mtmc.evaluate.rows import joint_key, without_repeats
from mtmc.formats.table import Table
from mtmc.geometry.boxes import iou_matrix

BOX = [10.0, 10.0, 30.0, 20.0]


def track(camera: int, identity: int, frames: range, box: list[float] = BOX) -> Table:
    return Table.of(camera, [identity] * len(frames), list(frames), [box] * len(frames))


def test_by_hand() -> None:
    """One vehicle of ten frames; predicted as 1 for six frames and as 2 for three, and 3 is invented twice."""
    truth = track(1, 7, range(10))
    parts = [track(1, 1, range(6)), track(1, 2, range(6, 9)), track(1, 3, range(2), [500, 500, 510, 510])]
    found = score(truth, Table.concatenate(parts))
    assert (found.idtp, found.idfp, found.idfn) == (6, 5, 4)
    assert found.idf1 == 12 / 21
    assert (found.idp, found.idr) == (6 / 11, 6 / 10)
    assert found.switches == 1
    assert found.mota == pytest.approx(1 - (1 + 2 + 1) / 10)
    assert found.deta == pytest.approx(9 / 12)
    assert found.assa == pytest.approx((6 * 6 / 10 + 3 * 3 / 10) / 9)
    assert found.hota == pytest.approx(math.sqrt(9 / 12 * (4.5 / 9)))


def test_an_identity_is_matched_once_over_all_cameras() -> None:
    """Two cameras see vehicle 7; a prediction that renames it in the second camera is right only in the first."""
    truth = Table.concatenate([track(1, 7, range(6)), track(2, 7, range(4))])
    renamed = Table.concatenate([track(1, 1, range(6)), track(2, 2, range(4))])
    assert score(truth, renamed).idf1 == 0.6
    assert score(truth, truth).idf1 == score(truth, truth).hota == score(truth, truth).mota == 1.0
    each = score_per_camera(truth, renamed)
    assert {camera: s.idf1 for camera, s in each.items()} == {1: 1.0, 2: 1.0}


def test_frames_of_other_cameras_do_not_meet() -> None:
    assert score(track(1, 7, range(5)), track(2, 7, range(5))).idtp == 0


@pytest.mark.parametrize(("true_rows", "predicted_rows"), [(0, 0), (3, 0), (0, 3)])
def test_nothing_scores_zero(true_rows: int, predicted_rows: int) -> None:
    found = score(track(1, 7, range(true_rows)), track(1, 7, range(predicted_rows)))
    assert found == Scores(0, 0, 0, 0, 0, 0, 0, 0, predicted_rows, true_rows, 0)


def test_a_repeated_row_counts_once_and_the_first_stands() -> None:
    truth = track(1, 7, range(4))
    doubled = Table.concatenate([truth, track(1, 7, range(4), [500, 500, 510, 510]), truth])
    assert score(truth, doubled) == score(truth, truth)
    assert score(doubled, truth) == score(truth, truth)
    assert without_repeats(doubled).xyxy.tolist() == truth.xyxy.tolist()
    assert without_repeats(truth) is truth


def test_order_and_numbering_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 100, (60, 2))
    truth = Table.of(
        rng.integers(1, 3, 60), rng.integers(0, 9, 60), rng.integers(0, 9, 60), np.hstack([corner, corner + 40])
    )
    predicted = truth.with_columns(
        id=(truth.id + rng.integers(0, 2, 60)) % 9, xyxy=truth.xyxy + rng.normal(0, 4, (60, 4))
    )
    truth, predicted = without_repeats(truth), without_repeats(predicted)
    shuffled = predicted[rng.permutation(len(predicted))]
    renamed = shuffled.with_columns(id=shuffled.id * 10**17 - 5)
    shifted = truth.with_columns(frame=truth.frame + 10**12), renamed.with_columns(frame=renamed.frame + 10**12)
    want, got = score(truth, predicted), score(*shifted)
    assert (got.idtp, got.idfp, got.idfn, got.switches) == (want.idtp, want.idfp, want.idfn, want.switches)
    assert got.hota == pytest.approx(want.hota, abs=1e-12)


def test_only_the_metrics_asked_for() -> None:
    truth = track(1, 7, range(4))
    found = score(truth, truth, metrics=["identity"])
    assert found.idf1 == 1.0
    assert math.isnan(found.hota)
    assert math.isnan(found.mota)
    assert found.switches == -1
    assert math.isnan(score(truth, truth, metrics=["hota"]).idf1)


def test_a_box_that_two_identities_matched_last_goes_to_one_of_them() -> None:
    """Prediction 9 followed vehicle 1, then vehicle 2; where both overlap its one box, one of them is a miss."""
    truth = Table.of(1, [1, 2, 1, 2], [0, 1, 2, 2], [BOX] * 4)
    found = score(truth, track(1, 9, range(3)), metrics=["clear"])
    assert (found.mota, found.switches) == (0.75, 0)


def test_most_boxes_are_matched_even_if_they_overlap_less() -> None:
    """One pair overlaps wholly; two others, which it excludes, by 0.4 each. The two are matched."""
    boxes = [[0.0, 0, 10, 10], [4.3, 0, 14.3, 10]]
    truth = Table.of(1, [1, 2], [0, 0], boxes)
    predicted = Table.of(1, [1, 2], [0, 0], [[-4.3, 0, 5.7, 10], boxes[0]])
    assert score(truth, predicted, min_iou=0.3, metrics=["clear"]).mota == 1.0


@pytest.mark.parametrize("options", [{"min_iou": 0.0}, {"min_iou": 1.5}, {"metrics": ["idf1"]}])
def test_impossible_options(options: dict) -> None:
    with pytest.raises(ConfigError, match="expected"):
        score(Table.empty(), Table.empty(), **options)


@st.composite
def crowded(draw: st.DrawFn) -> Table:
    rows = draw(st.integers(0, 12))
    numbers = lambda low, high, n=1: np.array(  # noqa: E731
        draw(st.lists(st.integers(low, high), min_size=rows * n, max_size=rows * n)), float
    ).reshape(rows, n)
    corner, size = numbers(-3, 6, 2), numbers(1, 6, 2)
    return Table.of(numbers(1, 2)[:, 0], numbers(0, 3), numbers(0, 2), np.hstack([corner, corner + size]) / 3)


@settings(max_examples=150, deadline=None)
@given(crowded(), crowded(), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from([1, 7, 1 << 19]))
def test_pairs_are_those_of_the_full_table(truth: Table, predicted: Table, min_iou: float, at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(match_module, "_CANDIDATES_AT_ONCE", at_once)
        pairs = overlapping_pairs(truth, predicted, min_iou)
    iou = iou_matrix(truth.xyxy, predicted.xyxy)
    together = (truth.camera[:, None] == predicted.camera) & (truth.frame[:, None] == predicted.frame)
    want = {(i, j) for i, j in np.argwhere(together & (iou > 0) & (1 - iou <= 1 - min_iou)).tolist()}
    assert set(zip(pairs.truth.tolist(), pairs.predicted.tolist(), strict=True)) == want
    assert len(pairs) == len(want)
    np.testing.assert_array_equal(pairs.iou, iou[pairs.truth, pairs.predicted])
    assert (np.diff(pairs.frame_key) >= 0).all()


def test_joint_keys_order_like_their_columns() -> None:
    for scale in (1, 10**15):
        columns = np.array(list(product([-2, 0, 5], repeat=3)), np.int64) * scale
        key = joint_key(*columns[np.random.default_rng(1).permutation(27)].T)
        assert len(set(key.tolist())) == 27
        assert (np.diff(joint_key(*columns.T)) > 0).all()


def test_shares_of_overlaps() -> None:
    """Prediction 0 overlaps two true boxes; an overlap below the precision of the numbers counts as 0."""
    pairs = Pairs(np.array([0, 1, 2]), np.array([0, 0, 1]), np.array([0.6, 0.2, 1e-17]), np.zeros(3, np.int64))
    assert _share(track(1, 7, range(3)), track(1, 1, range(2)), pairs).tolist() == pytest.approx([0.75, 0.25, 0.0])
