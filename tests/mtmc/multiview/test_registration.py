"""Calibration corrections: least squares against scipy, scale kept, and used only where held-out data improve."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from mtmc.multiview import registration
from mtmc.multiview.arrays import one_to_one
from mtmc.multiview.registration import CalibrationCorrection, fit_calibration_correction
from mtmc.multiview.trajectories import Trajectories, sample_trajectories
from mtmc.types import Array
from tests.mtmc.associate.test_graph import passage, town


def observed_town(seed: int, vehicles: int = 40, **options: object) -> tuple[Trajectories, Array]:
    passages, _ = town(np.random.default_rng(seed), vehicles, **options)
    camera = np.array([int(p.tracklet.camera_id[1]) for p in passages])
    return sample_trajectories(passages), camera


def test_a_correction_is_applied_sample_by_sample() -> None:
    trajectories, camera = observed_town(1, 3)
    correction = CalibrationCorrection(
        np.array([[0.0, 0.0], [5.0, -3.0], [1.0, 1.0]]),
        np.array([[0.0, 0.0], [1.0, 2.0], [-0.5, 0.0]]),
        np.array([0.0, 0.3, -0.1]),
        np.array([0.0, 0.0, 0.25]),
    )
    moved = correction.apply(trajectories, camera)
    for k in range(len(trajectories.owner)):
        c = camera[trajectories.owner[k]]
        offset = complex(*(trajectories.xy[k] - correction.center_m[c])) * np.exp(1j * correction.angle_rad[c])
        expected = complex(*correction.center_m[c]) + offset + complex(*correction.shift_m[c])
        expected += complex(*trajectories.velocity[k]) * correction.time_s[c]
        assert complex(*moved.xy[k]) == pytest.approx(expected)


def test_one_step_is_the_weighted_least_squares_solution() -> None:
    trajectories, camera = observed_town(2, 12)
    of_sample = camera[trajectories.owner]
    rng = np.random.default_rng(0)
    rows = np.stack([rng.choice(np.flatnonzero(of_sample == c), 60) for c in (0, 1)], axis=1)
    center = registration._mean_positions(trajectories, camera, 3)
    found = registration._solve(trajectories, trajectories, of_sample, center, rows, 5.0)

    gap = trajectories.xy[rows[:, 0]] - trajectories.xy[rows[:, 1]]
    weight = 1 / (1 + (np.hypot(*gap.T) / 5.0) ** 2)

    def residuals(unknowns: Array) -> Array:
        theta = unknowns.reshape(3, 4)
        moved = []
        for sample in rows.T:
            c = of_sample[sample]
            x, y = (trajectories.xy[sample] - center[c]).T
            turned = theta[c, 2, None] * np.stack([-y, x], axis=1)
            moved.append(theta[c, :2] + turned + theta[c, 3, None] * trajectories.velocity[sample])
        misfit = (gap + moved[0] - moved[1]) * np.sqrt(weight)[:, None]
        prior = theta * 5.0 / np.array([6.0, 6.0, 0.07, 0.4])
        return np.concatenate([misfit.ravel(), prior.ravel()])

    expected = least_squares(residuals, np.zeros(12)).x.reshape(3, 4)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_no_map_shrinks(seed: int) -> None:
    """Distances within a camera are kept, up to the shift in time along the road, whatever the data are."""
    trajectories, camera = observed_town(seed, bend=lambda c, xy: xy * (1.0, 1.2, 0.9)[c] + (0.0, 3.0, -2.0)[c])
    correction = registration._fit(trajectories, camera, 25.0)
    without_time = CalibrationCorrection(correction.center_m, correction.shift_m, correction.angle_rad, np.zeros(3))
    moved = without_time.apply(trajectories, camera)
    for c in range(3):
        rows = np.flatnonzero(camera[trajectories.owner] == c)[::7]
        before, after = (xy[rows, None] - xy[rows] for xy in (trajectories.xy, moved.xy))
        np.testing.assert_allclose(np.linalg.norm(after, axis=2), np.linalg.norm(before, axis=2), atol=1e-9)


def test_unrelated_vehicles_do_not_move_a_calibration() -> None:
    """Two cameras on one crossing by their calibrations, that in truth see different vehicles."""
    for seed in range(5):
        rng = np.random.default_rng(seed)
        passages = []
        for c in range(2):
            for k in range(60):
                time_s = rng.uniform(0, 120) + np.arange(0, 6, 0.1)
                direction = np.array([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)][rng.integers(4)])
                lane = rng.uniform(-8, 8) * np.array([-direction[1], direction[0]])
                path = np.linspace(-30, 30, 60)[:, None] * direction + lane
                passages.append(passage(f"c{c}", k + 1, time_s, path))
        camera = np.array([int(p.tracklet.camera_id[1]) for p in passages])
        found = fit_calibration_correction(sample_trajectories(passages), camera, 25.0)
        assert not found.shift_m.any()
        assert not found.angle_rad.any()
        assert not found.time_s.any()


def test_a_group_of_cameras_is_corrected_without_the_other() -> None:
    """Three cameras see one crossing, one of them 3 m off. Two others are far away and see no road in common."""
    shifted, _ = town(np.random.default_rng(3), bend=lambda c, xy: xy + 3.0 * (c == 1))
    far_away = [
        passage(f"c{c}", 1000 + k, 4.0 * k + np.arange(0, 5, 0.1), 500.0 + np.stack([np.arange(50.0)] * 2, axis=1))
        for c, k in ((3, 1), (4, 5))
    ]
    passages = [*shifted, *far_away]
    camera = np.array([int(p.tracklet.camera_id[1]) for p in passages])
    found = fit_calibration_correction(sample_trajectories(passages), camera, 25.0)
    difference = found.shift_m[1] - (found.shift_m[0] + found.shift_m[2]) / 2
    np.testing.assert_allclose(difference, [-3.0, -3.0], atol=0.3)
    assert not found.shift_m[3:].any()


def test_sightings_against_a_sum_by_hand() -> None:
    trajectories, camera = observed_town(4, 10)
    observed = registration.find_co_observations(trajectories, camera, 25.0)
    keys, odds = registration._sighting_odds(observed, camera, 1.5, 0.004)
    expected: dict[int, float] = {}
    for (i, j), d in zip(observed.pairs.tolist(), observed.distance_m.tolist(), strict=True):
        near, far = (np.exp(-(d**2) / 2 / s**2) / 2 / np.pi / s**2 / 0.004 for s in (1.5, 6.0))
        for own, other in ((i, j), (j, i)):
            key = own * 3 + int(camera[other])
            expected[key] = expected.get(key, 0.0) + 0.9 * near + 0.1 * far
    assert keys.tolist() == sorted(expected)
    np.testing.assert_allclose(odds, [expected[k] for k in sorted(expected)])


def test_greedy_matching_goes_on_after_a_pair_that_is_taken() -> None:
    """Costs ascend; the second pair's row is taken by the first pair, the third pair is free."""
    cost, row, column = np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1]), np.array([0, 1, 1])
    assert one_to_one(cost, row, column).tolist() == [0, 2]
    assert one_to_one(cost, row, column, np.array([False, True, True])).tolist() == [1]
    assert one_to_one(cost, row, np.array([0, 1, 2]), np.array([False, True, True])).tolist() == [1, 2]
