"""Similarity transforms against matrices and a general least-squares solver."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.geometry.ground import project
from mtmc.geometry.similarity2d import Similarity2D, as_complex, as_xy, fit_groups

ONE = Similarity2D(1.5 * np.exp(0.4j), 3 - 2j)
OTHER = Similarity2D(0.7 * np.exp(-1.1j), -5 + 1j)


def test_apply_compose_and_inverse_are_those_of_the_matrices() -> None:
    xy = np.random.default_rng(0).normal(size=(6, 2))
    np.testing.assert_allclose(as_xy(ONE.apply(as_complex(xy))), project(xy, ONE.matrix()))
    np.testing.assert_allclose(ONE.compose(OTHER).matrix(), ONE.matrix() @ OTHER.matrix())
    np.testing.assert_allclose(ONE.inverse().matrix(), np.linalg.inv(ONE.matrix()), atol=1e-12)


def test_the_weighted_fit_is_that_of_a_linear_solver() -> None:
    """rotation_scale = a + ib and translation = c + id solve x' = a x − b y + c, y' = b x + a y + d."""
    rng = np.random.default_rng(1)
    source, noise = rng.normal(size=(9, 2)), rng.normal(0, 0.3, (9, 2))
    target = as_xy(ONE.apply(as_complex(source))) + noise
    weight = rng.uniform(0.1, 2.0, 9)
    x, y, one, zero = source[:, 0], source[:, 1], np.ones(9), np.zeros(9)
    design = np.concatenate([np.stack([x, -y, one, zero], axis=1), np.stack([y, x, zero, one], axis=1)])
    root = np.sqrt(np.tile(weight, 2))
    a, b, c, d = np.linalg.lstsq(design * root[:, None], target.T.ravel() * root, rcond=None)[0]
    fitted = Similarity2D.fit(as_complex(source), as_complex(target), weight)
    assert fitted is not None
    assert fitted.rotation_scale == pytest.approx(complex(a, b))
    assert fitted.translation == pytest.approx(complex(c, d))
    assert Similarity2D.fit(np.array([1j, 1j]), np.array([0j, 1j]), np.ones(2)) is None


def test_groups_are_fitted_one_by_one() -> None:
    rng = np.random.default_rng(2)
    source, target = (as_complex(rng.normal(size=(12, 2))) for _ in range(2))
    fits = fit_groups(source, target, np.array([0, 5]))
    for k, rows in enumerate((slice(0, 5), slice(5, 12))):
        own = Similarity2D.fit(source[rows], target[rows], np.ones(len(source[rows])))
        assert own is not None
        assert fits.rotation_scale[k] == pytest.approx(own.rotation_scale)
        assert fits.translation[k] == pytest.approx(own.translation)
        distance = np.abs(own.apply(source[rows]) - target[rows])
        assert fits.residual[k] == pytest.approx(np.sqrt(np.mean(distance**2)))
        extents = [np.sqrt(np.mean(np.abs(p[rows] - p[rows].mean()) ** 2)) for p in (source, target)]
        assert fits.extent[k] == pytest.approx(min(extents))
