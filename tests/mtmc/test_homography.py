"""Homographies of matched points: exact ones come back, wrong pairs are left out, bad configurations are refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mtmc.errors import SceneError
from mtmc.geometry.ground import project
from mtmc.geometry.homography import fit_homography

#: A road seen from a pole, in pixels of a map.
TRUE = np.array([[0.9, 1.4, -200.0], [0.05, 4.0, -600.0], [1e-4, 4e-3, 0.4]])
POINTS = np.array(
    [(100, 700), (640, 690), (1200, 640), (300, 450), (900, 430), (640, 300), (500, 520), (780, 380), (1000, 560)],
    np.float64,
)


def normalized(matrix: np.ndarray) -> np.ndarray:
    return matrix / matrix[2, 2]


@pytest.mark.parametrize("count", [4, 5, 6, 9])
def test_exact_points_give_the_homography(count: int) -> None:
    fit = fit_homography(POINTS[:count], project(POINTS[:count], TRUE))
    assert normalized(fit.target_from_source) == pytest.approx(normalized(TRUE), rel=1e-6)
    assert fit.rms_error_px < 1e-6
    assert fit.is_inlier.all()


def test_the_error_is_the_least_displacement_of_both_points() -> None:
    """Against a search over the true positions of both points of every pair."""
    from scipy.optimize import minimize

    noisy = POINTS + np.random.default_rng(1).normal(size=POINTS.shape)
    target = project(POINTS, TRUE) + np.random.default_rng(2).normal(size=POINTS.shape)
    fit = fit_homography(noisy, target)
    for point, other, error in zip(noisy, target, fit.error_px, strict=True):

        def squared(place: np.ndarray, point: np.ndarray = point, other: np.ndarray = other) -> float:
            moved = project(place, fit.target_from_source) - other
            return float(((place - point) ** 2).sum() + (moved**2).sum())

        assert error**2 == pytest.approx(minimize(squared, point, method="Nelder-Mead").fun, rel=0.03, abs=1e-6)


def test_noise_is_averaged() -> None:
    """The corners that the fit predicts are better than those of OpenCV's fit of the error in one picture."""
    errors = {"ours": [], "one picture": []}
    grid = np.stack(np.meshgrid([150, 640, 1150], [330, 480, 690]), axis=-1).reshape(-1, 2).astype(float)
    truth = project(grid, TRUE)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        source, target = (p + rng.normal(size=p.shape) for p in (POINTS, project(POINTS, TRUE)))
        fits = {
            "ours": fit_homography(source, target).target_from_source,
            "one picture": cv2.findHomography(source, target)[0],
        }
        for name, matrix in fits.items():
            errors[name].append(np.abs(project(grid, matrix) - truth).mean())
    assert np.median(errors["ours"]) < np.median(errors["one picture"])


@pytest.mark.parametrize("wrong", [0, 3, 8])
def test_a_wrong_pair_is_left_out(wrong: int) -> None:
    rng = np.random.default_rng(0)
    source, target = POINTS + rng.normal(size=POINTS.shape), project(POINTS, TRUE)
    target[wrong] += [120.0, -60.0]
    fit = fit_homography(source, target)
    assert np.flatnonzero(~fit.is_inlier).tolist() == [wrong]
    assert fit.error_px[wrong] > 20
    assert fit.rms_error_px < 2.5
    without = fit_homography(np.delete(source, wrong, 0), np.delete(target, wrong, 0))
    assert project(POINTS, fit.target_from_source) == pytest.approx(
        project(POINTS, without.target_from_source), abs=0.1
    )


def test_many_points_are_sampled_the_same_every_time() -> None:
    rng = np.random.default_rng(3)
    source = rng.uniform([0, 300], [1280, 720], size=(40, 2))
    target = project(source, TRUE) + rng.normal(size=source.shape)
    target[:12] += rng.uniform(80, 200, size=(12, 2))
    fit, again = fit_homography(source, target), fit_homography(source, target)
    assert fit.target_from_source.tobytes() == again.target_from_source.tobytes()
    assert not fit.is_inlier[:12].any()
    assert fit.is_inlier[12:].mean() > 0.9


LINE = np.array([[0.0, 0.0], [100, 50], [200, 100], [400, 200], [600, 300]])


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (POINTS[:3], POINTS[:3], "expected at least four pairs of points, got 3; match more points"),
        (POINTS[:4], POINTS[:5], "expected pairs of points"),
        (np.array([[np.nan, 1.0], *POINTS[:4]]), POINTS[:5], "expected points with finite coordinates"),
        (LINE, POINTS[:5], "do not determine a homography: they lie on a line; spread them"),
        (POINTS[:5], LINE, "do not determine a homography: they lie on a line"),
        (np.array([*LINE[:4], [0.0, 300.0]]), POINTS[:5], "do not determine a homography"),
        (np.array([[0.0, 0], [0, 0], [0, 0], [10, 10]]), POINTS[:4], "do not determine a homography"),
        (
            np.array([[0.0, 0], [100, 0], [100, 100], [0, 100]]),
            np.array([[0.0, 0], [100, 100], [100, 0], [0, 100]]),
            "no homography has the points on one side of the horizon; check that each pair",
        ),
    ],
)
def test_what_does_not_determine_a_homography_is_refused(source, target, message: str) -> None:
    with pytest.raises(SceneError, match=message):
        fit_homography(source, target)
