"""Registration, matching, pose graph and bundle adjustment on small inputs worked out by hand.

All cameras look straight ahead from 5 m, so that their own ground planes are known in closed form.
"""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.geometry.ground import project
from mtmc.geometry.similarity2d import Similarity2D, as_complex, as_xy
from mtmc.site.bundle_adjustment import CameraPose, Correspondences, ImageSamples, match_trajectories, residuals_m
from mtmc.site.camera_model import GroundScale, fit_ground_scale
from mtmc.site.common_ground import _common_ground
from mtmc.site.matching import best_of_both, simultaneous_rows
from mtmc.site.pose_graph import propagate_pose, spanning_forest
from mtmc.site.registration import (
    CoObservations,
    GroundSamples,
    Registration,
    _MatchedPositions,
    _propose,
    co_observe,
    register_cameras,
)
from mtmc.site.trajectories import STEP_S, ImageTrajectory
from mtmc.types import Array

SCALE = GroundScale((1000, 800), 100.0, 5.0, 0.65, 0.1, 100)
#: Positions on camera a's own ground plane → positions on camera b's.
TO_B = Similarity2D(np.exp(0.3j), 2 - 1j)
ROADS = [
    (-8 + 15j, 4 + 1j),
    (-6 + 26j, 5 - 1j),
    (7 + 18j, -5 + 0.5j),
    (6 + 30j, -4 - 2j),
    (0 + 14j, 0.5 + 5j),
    (3 + 32j, -0.5 - 5j),
    (-5 + 20j, 3 + 3j),
]


def seen(camera: str, number: int, position: Array, first_tick: int) -> ImageTrajectory:
    """A trajectory of given positions on the camera's own ground plane, meters."""
    px = project(as_xy(position), np.linalg.inv(SCALE.ground_from_image()))
    ticks = first_tick + np.arange(len(px))
    return ImageTrajectory(
        camera, number, ticks, px, np.full((len(px), 2), 60.0), np.ones(len(px), bool), np.zeros(0, "f4")
    )


def views(b_minus_a_ticks: int = 0) -> tuple[list[ImageTrajectory], list[ImageTrajectory]]:
    """Seven vehicles on different roads in both views; b's clock is ahead of a's."""
    a, b = [], []
    for number, (start, velocity) in enumerate(ROADS):
        position = start + velocity * STEP_S * np.arange(14)
        a.append(seen("a", number, position, 20 * number))
        b.append(seen("b", number, TO_B.apply(position), 20 * number + b_minus_a_ticks))
    return a, b


@pytest.mark.parametrize("ticks", [0, 4, -8])
def test_the_transform_and_the_clock_offset_are_found(ticks: int) -> None:
    a, b = views(ticks)
    found = register_cameras(a, b, (SCALE, SCALE))
    assert found is not None
    assert found.clock_b_minus_a_s == ticks * STEP_S
    assert found.pairs == tuple((k, k) for k in range(7))
    assert found.focal == (0.65, 0.65)
    assert found.similarity.rotation_scale == pytest.approx(TO_B.rotation_scale, abs=1e-6)
    assert found.similarity.translation == pytest.approx(TO_B.translation, abs=1e-5)
    assert found.inliers == pytest.approx(7.0, abs=1e-3)  # of 14 common samples 12 count, so each weighs 1


@pytest.mark.parametrize("max_clock_offset_s", [0.0, 0.5, 1.5, 3.7])
def test_equal_clocks_are_found_whatever_the_greatest_offset(max_clock_offset_s: float) -> None:
    a, b = views()
    found = register_cameras(a, b, (SCALE, SCALE), max_clock_offset_s)
    assert found is not None
    assert found.clock_b_minus_a_s == 0.0
    assert found.inliers == pytest.approx(7.0, abs=1e-3)


@pytest.mark.parametrize("ticks", [6, -6])
def test_the_greatest_offset_itself_is_tried(ticks: int) -> None:
    found = register_cameras(*views(ticks), (SCALE, SCALE), max_clock_offset_s=1.5)
    assert found is not None
    assert found.clock_b_minus_a_s == 1.5 * np.sign(ticks)


def test_more_offsets_than_hypotheses_find_the_transform() -> None:
    """Vehicles of 20 minutes: 2401 offsets have common times, and clocks that may differ by years add none."""
    start_tick = 800 * np.arange(7)
    first = [seen("a", k, v + w * STEP_S * np.arange(14), start_tick[k]) for k, (v, w) in enumerate(ROADS)]
    second = [
        seen("b", k, TO_B.apply(v + w * STEP_S * np.arange(14)), start_tick[k] + 4) for k, (v, w) in enumerate(ROADS)
    ]
    found = register_cameras(first, second, (SCALE, SCALE), max_clock_offset_s=1e8)
    assert found is not None
    assert found.clock_b_minus_a_s == 1.0
    assert found.pairs == tuple((k, k) for k in range(7))


def registration(inliers: float, chance: float, zscore: float | None = None) -> Registration:
    return Registration(("a", "b"), (0.65, 0.65), TO_B, 1.0, 1.0, inliers, chance, (), zscore)


def test_positions_that_no_transform_brings_near_are_no_registration() -> None:
    """Two positions of one moment stay 3.4 m apart under any transform, so that nothing is left to refit to."""
    position = np.linspace(-32, 32, 14) + 45j
    jagged = position + 3.4j * np.resize([1, -1, -1, 1], 14)
    found = register_cameras([seen("a", 0, position, 0)], [seen("b", 0, jagged, 0)], (SCALE, SCALE))
    assert found is None or not found.is_valid


@pytest.mark.parametrize(
    ("inliers", "chance", "zscore", "valid"),
    [
        (5.0, 3.5, None, True), (4.9, 0.0, None, False), (7.0, 5.1, None, False),
        (2.0, 1.4, 5.2, True), (2.0, 1.5, 5.2, False), (1.9, 0.0, 9.0, False), (9.0, 0.0, 5.1, False),
    ],
)  # fmt: skip
def test_significance(inliers: float, chance: float, zscore: float | None, valid: bool) -> None:
    assert registration(inliers, chance, zscore).is_valid is valid


def test_confidence_by_hand() -> None:
    assert registration(12.0, 3.0).confidence == 0.75
    assert registration(3.0, 1.5).confidence == 0.25
    assert registration(3.0, 4.0).confidence == 0.0


def test_common_samples_are_thinned_to_twelve_and_four_are_needed() -> None:
    a, b = (GroundSamples.of(trajectories, SCALE, [0.65]) for trajectories in views())
    everything = co_observe(a, b, 0)
    assert everything.count.tolist() == [12] * 7
    first_a, first_b = (GroundSamples.of(trajectories[:1], SCALE, [0.65]) for trajectories in views())
    assert co_observe(first_a, first_b, 10).count.tolist() == [4]
    assert len(co_observe(first_a, first_b, 11).count) == 0
    assert (a.tick[everything.row_a] == b.tick[everything.row_b]).all()


@pytest.mark.parametrize("known", ["a", "b"])
def test_poses_propagate_in_both_directions(known: str) -> None:
    """A vehicle has one position on the common ground plane and one time, whichever camera was known first."""
    a, b = views(4)
    edge = register_cameras(a, b, (SCALE, SCALE))
    assert edge is not None
    known_pose = CameraPose(0.65, 100.0, 0.0, Similarity2D(2j, 5 + 1j), 0.5)
    trajectories, scales = {"a": a, "b": b}, {"a": SCALE, "b": SCALE}
    pose = propagate_pose(edge, known, known_pose, 0.65, trajectories, scales)
    poses = {"a": known_pose, "b": pose} if known == "a" else {"a": pose, "b": known_pose}
    on_a, on_b = (as_complex(project(trajectories[c][0].ground_point_px, poses[c].matrix(SCALE))) for c in ("a", "b"))
    np.testing.assert_allclose(on_a, on_b, atol=1e-4)
    # Clock b is one second ahead of clock a.
    assert poses["a"].clock_correction_s - poses["b"].clock_correction_s == pytest.approx(1.0)

    samples = {c: ImageSamples.of(trajectories[c], SCALE) for c in ("a", "b")}
    matches = match_trajectories(("a", "b"), poses, samples, scales, 3.0)
    assert matches.trajectories == tuple((k, k) for k in range(7))
    assert np.bincount(matches.pair).tolist() == [8] * 7
    np.testing.assert_allclose(residuals_m(matches, poses, samples, scales), 0.0, atol=1e-3)


def test_residuals_follow_the_clock_by_the_velocity() -> None:
    """A vehicle at 4 m/s across the view: half a second of clock a moves it by 2 m."""
    [trajectory] = [seen("a", 0, -8 + 20j + 4 * STEP_S * np.arange(10), 0)]
    samples = dict.fromkeys("ab", ImageSamples.of([trajectory], SCALE))
    row = np.array([4])
    matches = Correspondences(("a", "b"), (row, row), np.zeros(1), np.zeros(1, int), ((0, 0),))
    own = CameraPose(0.65, 100.0, 0.0, Similarity2D(), 0.0)
    late = CameraPose(0.65, 100.0, 0.0, Similarity2D(), 0.5)
    scales = dict.fromkeys("ab", SCALE)
    np.testing.assert_allclose(residuals_m(matches, {"a": late, "b": own}, samples, scales), [[-2.0, 0]], atol=1e-9)
    np.testing.assert_allclose(residuals_m(matches, {"a": own, "b": late}, samples, scales), [[2.0, 0]], atol=1e-9)


def test_simultaneous_rows_and_best_pairs_against_all_pairs() -> None:
    rng = np.random.default_rng(4)
    tick_a, tick_b = rng.integers(0, 12, 15), rng.integers(0, 12, 18)
    expected = {(i, j) for i in range(15) for j in range(18) if tick_b[j] == tick_a[i] + 3}
    assert set(zip(*(rows.tolist() for rows in simultaneous_rows(tick_a, tick_b, 3)), strict=True)) == expected

    score, i, j = rng.integers(0, 5, 30).astype(float), rng.integers(0, 6, 30), rng.integers(0, 6, 30)
    naive = [
        s > 0 and s == score[i == p].max() and s == score[j == q].max() for s, p, q in zip(score, i, j, strict=True)
    ]
    assert best_of_both(score, i, j).tolist() == naive


def test_a_spanning_forest_has_no_cycle_and_all_nodes() -> None:
    edges, root = spanning_forest([("d", "c"), ("b", "a"), ("c", "d"), ("a", "c"), ("d", "b"), ("y", "x")])
    assert edges == [0, 1, 3, 5]
    assert root == {"a": "a", "b": "a", "c": "a", "d": "a", "x": "x", "y": "x"}


def test_a_camera_height_at_its_limit_is_not_determined() -> None:
    """Boxes of equal size at all rows: nothing grows towards the camera, so the search ends at its limit."""
    tracks = []
    for number in range(12):
        px = np.stack([200.0 + 30 * number + 6.0 * np.arange(20), np.full(20, 300.0 + 30 * number)], axis=1)
        box = np.full((20, 2), 8.0)
        tracks.append(
            ImageTrajectory("a", number, np.arange(20), px, box, np.ones(20, bool), np.zeros(0, np.float32))
        )
    scale = fit_ground_scale(tracks, (1000, 800))
    assert scale is not None
    assert "camera_height_m" in scale.at_bound
    assert scale.camera_height_m == pytest.approx(100.0, rel=0.01)


def test_in_one_direction_the_translation_is_corrected_instead_of_the_clock() -> None:
    """Lanes of one road at different speeds, b's clock one second ahead: the median vehicle coincides as given."""
    speeds = [3.0, 4.0, 6.5, 7.0, 7.5, 10.0, 11.0]
    a, b = [], []
    for number, speed in enumerate(speeds):
        position = -9 + (14 + 2.5 * number) * 1j + speed * STEP_S * np.arange(10)
        a.append(seen("a", number, position, 20 * number))
        b.append(seen("b", number, TO_B.apply(position), 20 * number + 4))
    found = register_cameras(a, b, (SCALE, SCALE))
    assert found is not None
    assert (found.clock_b_minus_a_s, found.searched_b_minus_a_s) == (0.0, 1.0)
    behind = TO_B.translation - TO_B.rotation_scale * 7.0
    assert found.similarity.translation == pytest.approx(behind, abs=1e-3)


def test_transforms_are_proposed_by_long_trajectories_of_a_plausible_scale() -> None:
    """Three pairs: one shifted by 5 m, one three times as long in view b, one of only half a meter."""
    line = 4.0 * np.arange(5) + 0j
    a, b = np.concatenate([line, line, line / 32]), np.concatenate([line + 5j, 3 * line, line / 32])
    index, rows = np.arange(3), np.arange(15)
    observed = CoObservations(index, index, 5 * index, rows, rows, np.ones(3))
    rotation_scale, translation = _propose(_MatchedPositions(a, b, observed), 10)
    assert rotation_scale.tolist() == pytest.approx([1.0])
    assert translation.tolist() == pytest.approx([5j])


def test_trajectories_that_coincide_with_one_of_any_camera_are_counted_once() -> None:
    """Trajectories 0 and 1 of camera a coincide with two of b, 1 and 2 with two of c."""
    a, b = views()
    trajectories, scales = {"a": a, "b": b, "c": b}, dict.fromkeys("abc", SCALE)
    poses = dict.fromkeys("abc", CameraPose(0.65, 100.0, 0.0, Similarity2D()))
    row = np.array([0, 14])
    matches = [
        Correspondences(("a", "b"), (row, row), np.zeros(2), np.arange(2), ((0, 0), (1, 1))),
        Correspondences(("a", "c"), (row, row), np.zeros(2), np.arange(2), ((1, 1), (2, 2))),
    ]
    assert _common_ground(poses, matches, trajectories, scales, ()).co_observed == {"a": 3, "b": 2, "c": 2}
