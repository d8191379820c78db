"""Appearance on its own scale, in worlds whose true odds are known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import norm

from mtmc.multiview import appearance
from mtmc.multiview.appearance import (
    CameraMeans,
    appearance_log_odds,
    fit_appearance,
    remove_camera_mean,
    sample_negative_pairs,
)

NONE = np.zeros(0)


def true_odds(cosine, same, other, spread):
    """Log of two normal densities' ratio, as the world was made."""
    return ((cosine - other) ** 2 - (cosine - same) ** 2) / (2 * spread**2)


def world(rng, strangers_n, candidates, share, same=0.7, other=0.2, spread=0.12):
    alike = rng.random(candidates) < share
    cosine = rng.normal(np.where(alike, same, other), spread)
    return np.clip(cosine, -1, 1), np.clip(rng.normal(other, spread, strangers_n), -1, 1)


@pytest.mark.parametrize("start", [0, 40])
def test_the_odds_are_those_the_world_was_made_with(start):
    rng = np.random.default_rng(1)
    cosine, crowd = world(rng, 8000, 6000, 0.1)
    sure = rng.normal(0.7, 0.12, start)
    prior = np.full(len(cosine), np.log(0.1 / 0.9))
    found = appearance_log_odds(cosine, crowd, sure, prior, 0.5, 5.0)
    middle = np.abs(true_odds(cosine, 0.7, 0.2, 0.12)) < 4
    error = found[middle] - true_odds(cosine, 0.7, 0.2, 0.12)[middle]
    assert np.abs(error).mean() < 0.8


def test_pictures_of_one_vehicle_may_vary_more_than_those_of_two():
    """One vehicle 0.4 ± 0.2, two 0.0 ± 0.1, as embedders give them for cameras that look from several directions."""
    rng = np.random.default_rng(7)
    is_one = rng.random(4000) < 0.1
    cosine = np.where(is_one, rng.normal(0.4, 0.2, 4000), rng.normal(0.0, 0.1, 4000)).clip(-1, 1)
    negatives = rng.normal(0.0, 0.1, 8000)
    certain = rng.normal(0.5, 0.1, 60)  # nearly the same view, hence more similar than most
    found = appearance_log_odds(cosine, negatives, certain, np.full(4000, np.log(0.1 / 0.9)), 0.5, 8.0)
    true = norm.logpdf(cosine, 0.4, 0.2) - norm.logpdf(cosine, 0.0, 0.1)
    is_between = (cosine > 0.0) & (cosine < 0.3)  # where both are frequent
    assert np.abs(found - true)[is_between].mean() < 1.2


def test_a_prior_that_expects_too_many_matches_does_not_change_the_fit():
    rng = np.random.default_rng(8)
    cosine, negatives = world(rng, 8000, 6000, 0.1, spread=0.15)
    fitted = [
        appearance_log_odds(cosine, negatives, NONE, np.full(6000, np.log(0.1 / 0.9) + s), 0.5, 8.0)
        for s in (0.0, 2.0)
    ]
    np.testing.assert_allclose(fitted[0], fitted[1], atol=0.25)


def test_candidates_stand_in_for_strangers():
    rng = np.random.default_rng(2)
    cosine, _ = world(rng, 0, 6000, 0.05)
    found = appearance_log_odds(cosine, NONE, rng.normal(0.7, 0.12, 30), np.full(6000, np.log(0.05 / 0.95)), 0.5, 5.0)
    wrong = (found > 0) != (true_odds(cosine, 0.7, 0.2, 0.12) > 0)
    assert wrong.mean() < 0.03


def test_the_more_alike_the_better_and_never_beyond_the_limit():
    rng = np.random.default_rng(3)
    cosine, crowd = world(rng, 3000, 500, 0.2)
    cosine[:2] = -1.0, 1.0
    found = appearance_log_odds(cosine, crowd, NONE, np.zeros(500), 0.5, 3.0)
    assert (np.diff(found[np.argsort(cosine)]) >= -1e-12).all()
    assert np.abs(found).max() <= 3.0
    assert (found[0], found[1]) == (-3.0, 3.0)


def test_one_pair_in_ten_of_one_vehicle_has_nothing_in_common():
    """Nine in ten pairs of one vehicle are similar, one is as any two: the odds are those of that mixture."""
    rng = np.random.default_rng(5)
    is_one = rng.random(12000) < 0.1
    is_typical = is_one & (rng.random(12000) < 0.9)
    cosine = np.where(is_typical, rng.normal(0.7, 0.12, 12000), rng.normal(0.2, 0.12, 12000))
    prior, negatives = np.full(12000, np.log(0.1 / 0.9)), rng.normal(0.2, 0.12, 8000)
    found = appearance_log_odds(cosine, negatives, rng.normal(0.7, 0.12, 40), prior, 0.5, 5.0, 0.1)
    true = np.log(0.9 * np.exp(true_odds(cosine, 0.7, 0.2, 0.12)) + 0.1)
    assert np.abs(found - true)[true < 4].mean() < 0.1
    assert found.min() >= np.log(0.1)


def test_two_sharp_heaps_are_told_apart():
    """24 vehicles without anything in common in two cameras: 24 cosines of 1 among 552 that are all the same."""
    cosine = np.repeat([1.0, -1 / 23], [24, 552])
    found = appearance_log_odds(cosine, NONE, np.ones(24), np.full(576, -3.0), 0.5, 5.0)
    assert set(found.tolist()) == {5.0, -5.0}
    assert (found > 0).tolist() == (cosine == 1.0).tolist()


def test_where_nothing_is_known_nothing_is_said():
    assert appearance_log_odds(np.full(3, np.nan), NONE, NONE, np.zeros(3), 0.5, 5.0).tolist() == [0.0, 0.0, 0.0]
    found = appearance_log_odds(np.array([0.9, np.nan, 0.1]), NONE, NONE, np.zeros(3), 0.5, 5.0)
    assert found[0] > 0 > found[2]
    assert found[1] == 0.0


def test_strangers_are_pairs_of_two_cameras_that_are_no_candidates():
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((9, 4)).astype(np.float32)
    vectors[3] = 0
    camera = np.array([0, 0, 1, 1, 2, 2, 0, 1, 2])
    keys = np.sort([0 * 9 + 2, 4 * 9 + 7])
    expected = [
        vectors[i] @ vectors[j]
        for i, j in combinations(range(9), 2)
        if camera[i] != camera[j] and i * 9 + j not in keys and 3 not in (i, j)
    ]
    np.testing.assert_allclose(np.sort(sample_negative_pairs(vectors, camera, keys)), np.sort(expected), rtol=1e-5)
    assert len(sample_negative_pairs(vectors[:1], camera[:1], NONE.astype(np.int64))) == 0


def test_what_a_camera_adds_to_all_is_taken_out():
    rng = np.random.default_rng(5)
    look = rng.standard_normal((400, 16))
    tint = 3 * rng.standard_normal((2, 16))
    camera = np.repeat([0, 1], 400)
    vectors = np.concatenate([look + tint[0], look + tint[1]])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    clear = remove_camera_mean(vectors.astype(np.float32), camera)
    np.testing.assert_allclose(np.linalg.norm(clear, axis=1), 1, atol=1e-5)

    def first(vectors):
        """Share of vehicles whose most alike in the other camera is themselves."""
        return (np.argmax(vectors[:400] @ vectors[400:].T, axis=1) == np.arange(400)).mean()

    assert first(clear) > first(vectors)
    assert first(clear) > 0.95
    assert not remove_camera_mean(np.zeros((3, 4), np.float32), np.zeros(3, np.int64)).any()


def test_means_of_cameras_by_hand():
    """One embedding in each of two cameras, 20 times the overall mean beside it; a component may be 0."""
    found = CameraMeans.fit(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), np.array([0, 1, 1]))
    assert found.overall.tolist() == [0.5, 0.5]
    expected = [[(1 + 20 * 0.5) / 21, 20 * 0.5 / 21], [20 * 0.5 / 21, (1 + 20 * 0.5) / 21]]
    np.testing.assert_allclose(found.mean, expected, rtol=1e-6)


def test_without_candidates_all_pairs_of_two_cameras_are_of_two_vehicles():
    found = sample_negative_pairs(np.eye(3, dtype=np.float32), np.array([0, 0, 1]), np.zeros(0, np.int64))
    assert found.tolist() == [0.0, 0.0]


def test_of_too_few_pairs_the_thresholds_normal_distributions_stay():
    """With the threshold 0.5, two vehicles have 0.25 ± 1.2 · 0.2, one is uniform from 0.25 + 2 · 0.2 to 1."""
    model = fit_appearance(np.array([0.25]), NONE, NONE, np.array([-8.0]), 0.5, 8.0)
    low, high = model.log_odds(np.array([0.6, 0.8]))
    one, two = norm((0.65 + 1) / 2, 0.35 / np.sqrt(12)), norm(0.25, 0.24)
    expected = one.logpdf(0.8) - one.logpdf(0.6) - two.logpdf(0.8) + two.logpdf(0.6)
    assert high - low == pytest.approx(expected, rel=1e-3)


def test_pairs_are_counted_by_cosine_and_prior(monkeypatch):
    """Prior log odds are counted in eighths from −8 to 4, cosines in steps of 0.005, in blocks of any length."""
    monkeypatch.setattr(appearance, "_PAIRS_PER_BLOCK", 2)
    cosine, prior = np.array([0.5, -1.0, 0.5, 0.501, 1.0]), np.array([0.0, -20.0, 0.05, 0.0, 9.0])
    cell, count, cell_prior = appearance._histogram(cosine, prior)
    assert list(zip(cell.tolist(), count.tolist(), cell_prior.tolist(), strict=True)) == [
        (0, 1.0, -8.0),
        (300, 3.0, 0.0),
        (400, 1.0, 4.0),
    ]


def test_the_tail_of_a_density_has_a_share_of_its_own():
    """Three values at 0.2: a share 1 / √4 of the density, and at 0.8 all of it, is the normal tail of σ = 0.15."""
    typical = appearance._Normal(0.2, 0.1)
    found = appearance._smoothed_log_density(np.array([240] * 3), np.ones(3), typical)
    assert np.exp(found[360]) == pytest.approx(0.5 * norm.pdf(0.8, 0.2, 0.15), rel=1e-4)
