"""A linear projection behind a frozen feature, learned from pictures without identities.

What changes a feature although the vehicle stays the same (exposure, tint, blur, few pixels, compression, a part cut
off) is learned from two views of each picture: the plain one x and one changed at random x′. With the covariance of
those changes, averaged over pools of pictures and shrunk towards a multiple of the identity,

    S = (1 − λ) S̄ + λ tr(S̄)/d · I        S̄ = mean over pools of Σ (x − x′)(x − x′)ᵀ / 2n

the projection first makes them equally strong in all directions, y = S^(−1/2) (x − μ). It then keeps the directions
eᵢ in which pictures differ most, and halves their spread on the logarithmic scale so that none dominates:

    zᵢ = tᵢ^(−1/4) eᵢᵀ y        T = covariance of y over all pictures, T eᵢ = tᵢ eᵢ

It is linear discriminant analysis with every picture as a class of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from mtmc.types import Array

__all__ = ["Projection", "fit_gate", "fit_projection", "unit"]

_SHRINKAGE = 0.1  # λ: some thousand pictures do not determine all directions of a feature
_GATE_PENALTY = 1e-3
_EVEN = 0.25  # exponent of tᵢ; 0 keeps the spreads of the directions, 1/2 makes them equal


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """``x @ matrix + offset``.

    Attributes:
        matrix: float64 (d, k).
        offset: float64 (k,).
    """

    matrix: Array
    offset: Array

    def __call__(self, features: Array) -> Array:
        """Unit rows (N, d) → (N, k)."""
        return np.asarray(features @ self.matrix + self.offset)


def unit(features: Array) -> Array:
    """Rows of length 1, float64."""
    features = np.asarray(features, np.float64)
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12))


def fit_projection(pools: Sequence[tuple[Array, Array]], dim: int) -> Projection:
    """Learn the projection from pools of pictures.

    Args:
        pools: For each pool the features of its pictures as they are, and those after a random change: unit rows,
            both (n, d).
        dim: Directions to keep, at most d.
    """
    plain = np.concatenate([features for features, _ in pools])
    mean = plain.mean(axis=0)

    changes = np.mean([_covariance_of_changes(*pool) for pool in pools], axis=0)
    size = len(changes)
    shrunk = (1 - _SHRINKAGE) * changes + _SHRINKAGE * np.trace(changes) / size * np.eye(size)
    strength, axes = np.linalg.eigh(shrunk)
    whiten = axes * strength**-0.5 @ axes.T

    spread, directions = np.linalg.eigh(np.cov((plain - mean) @ whiten, rowvar=False))
    strongest = np.argsort(-spread)[:dim]
    matrix = whiten @ directions[:, strongest] * spread[strongest] ** -_EVEN
    return Projection(matrix, -mean @ matrix)


def fit_gate(real: Array, rendered: Array) -> Projection:
    """Log odds that a picture is rendered, by logistic regression in which both kinds have the same weight.

    The sum of squares of β counts by 0.001.

    Args:
        real: Unit rows (n, d).
        rendered: Unit rows (m, d).
    """
    features = np.concatenate([real, rendered])
    is_rendered = np.repeat([0.0, 1.0], [len(real), len(rendered)])
    weight = np.repeat([0.5 / len(real), 0.5 / len(rendered)], [len(real), len(rendered)])

    def loss(beta: Array) -> tuple[float, Array]:
        log_odds = features @ beta[:-1] + beta[-1]
        error = weight * (expit(log_odds) - is_rendered)
        penalty = _GATE_PENALTY * beta[:-1]
        value = weight @ (np.logaddexp(0, log_odds) - is_rendered * log_odds) + penalty @ beta[:-1]
        return float(value), np.append(features.T @ error + 2 * penalty, error.sum())

    found = minimize(loss, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return Projection(found[:-1, None], found[-1:])


def _covariance_of_changes(plain: Array, changed: Array) -> Array:
    difference = plain - changed
    return np.asarray(difference.T @ difference / (2 * len(difference)))
