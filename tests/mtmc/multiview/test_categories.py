"""Class and color: the ratio against sums over all vehicles of a small world, and what fitting makes of labels."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.multiview.categories import CategoryModel, fit_categories


def one_hot(labels: np.ndarray, size: int = 3) -> np.ndarray:
    return np.eye(size)[labels]


def world(
    rng: np.random.Generator, n: int, agreement: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """n vehicles in two cameras: labels, cameras, all pairs of two cameras and whether each is one vehicle."""
    label = rng.choice(3, n, p=[0.7, 0.2, 0.1])
    other = np.where(rng.random(n) < agreement, label, rng.choice(3, n, p=[0.7, 0.2, 0.1]))
    pairs = np.stack(np.meshgrid(np.arange(n), n + np.arange(n), indexing="ij"), axis=-1).reshape(-1, 2)
    camera = np.repeat([0, 1], n)
    return one_hot(np.concatenate([label, other])), camera, pairs, pairs[:, 0] + n == pairs[:, 1]


def test_the_ratio_is_that_of_the_world() -> None:
    """Rare labels that agree say more than common ones, as much as the frequencies of 4000 true pairs."""
    rng = np.random.default_rng(1)
    probability, camera, _, _ = world(rng, 4000, 0.7)
    true_pairs = np.stack([np.arange(4000), 4000 + np.arange(4000)], axis=1)
    model = fit_categories(probability, camera, true_pairs, np.ones(4000))
    assert model is not None
    first, second = probability[:4000].argmax(axis=1), probability[4000:].argmax(axis=1)
    found = model.log_ratio(probability, camera, true_pairs)
    for k in range(3):
        for m in range(3):
            rows = (first == k) & (second == m)
            expected = rows.mean() / ((first == k).mean() * (second == m).mean())
            assert np.exp(found[rows]) == pytest.approx(expected, rel=0.15)


def test_unrelated_pairs_have_the_ratio_one_on_average() -> None:
    rng = np.random.default_rng(2)
    probability, camera, pairs, _ = world(rng, 60, 0.0)
    model = fit_categories(probability, camera, pairs, np.full(len(pairs), 1 / 60))
    assert model is not None
    assert np.exp(model.log_ratio(probability, camera, pairs)).mean() == pytest.approx(1.0, abs=0.05)


def test_labels_that_do_not_agree_are_learned_to_mean_little() -> None:
    rng = np.random.default_rng(3)
    noise = []
    for agreement in (0.0, 0.95):
        probability, camera, pairs, is_true = world(rng, 100, agreement)
        model = fit_categories(probability, camera, pairs[is_true], np.ones(100))
        assert model is not None
        noise.append(float(model.noise))
    assert noise[0] > 0.8
    assert noise[1] < 0.3


def test_a_camera_that_labels_all_the_same_forbids_nothing() -> None:
    """All are trucks to the second camera: a car of the first is as likely among them as a truck."""
    labels = np.array([0, 0, 0, 1, 1, *[1] * 200])
    camera = np.repeat([0, 1], [5, 200])
    probability = one_hot(labels)
    pairs = np.array([[0, 6], [3, 6]])
    model = fit_categories(probability, camera, pairs, np.array([0.5, 0.5]))
    assert model is not None
    assert np.abs(model.log_ratio(probability, camera, pairs)).max() < 0.2


def test_nothing_is_said_without_labels() -> None:
    probability = np.zeros((4, 3))
    pairs = np.array([[0, 2], [1, 3]])
    assert fit_categories(probability, np.array([0, 0, 1, 1]), pairs, np.ones(2)) is None
    model = CategoryModel(np.full((2, 3), 1 / 3), np.full(3, 1 / 3), np.array(0.2))
    probability[0, 1] = 1.0  # of one passage only
    assert model.log_ratio(probability, np.array([0, 0, 1, 1]), pairs).tolist() == [0.0, 0.0]
