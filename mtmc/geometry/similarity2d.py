"""Similarity transforms of the plane: rotation, uniform scale and translation.

Positions (x, y) are complex numbers z = x + iy, so that one complex factor rotates and scales:
``f(z) = rotation_scale · z + translation``. The argument of the factor is the angle, its magnitude is the scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mtmc.types import Array

__all__ = ["Similarity2D", "SimilarityFits", "as_complex", "as_xy", "fit_groups"]

_MIN_POWER = 1e-9  # weighted squared extent below which all source points coincide


def as_complex(xy: Array) -> Array:
    """Positions as complex numbers: float64 (…, 2) → complex128 (…)."""
    return np.asarray(xy[..., 0] + 1j * xy[..., 1])


def as_xy(position: Array) -> Array:
    """The inverse of :func:`as_complex`: complex128 (…) → float64 (…, 2)."""
    return np.stack([position.real, position.imag], axis=-1)


@dataclass(frozen=True, slots=True)
class Similarity2D:
    """The transform ``f(z) = rotation_scale · z + translation`` of positions z = x + iy.

    Attributes:
        rotation_scale: Complex factor s·exp(iα) of the scale s and the rotation α.
        translation: Complex translation after it, in the unit of the target.

    >>> quarter_turn = Similarity2D(1j, 2 + 0j)
    >>> quarter_turn.apply(np.array([1 + 0j, 1 + 1j])).tolist()
    [(2+1j), (1+1j)]
    """

    rotation_scale: complex = 1 + 0j
    translation: complex = 0j

    def apply(self, position: Array) -> Array:
        """Transformed positions: complex128 (…) → complex128 (…)."""
        return np.asarray(self.rotation_scale * position + self.translation)

    def compose(self, first: Similarity2D) -> Similarity2D:
        """The transform that applies ``first`` and then this one.

        >>> Similarity2D(2 + 0j, 1 + 0j).compose(Similarity2D(1j, 3 + 0j))
        Similarity2D(rotation_scale=2j, translation=(7+0j))
        """
        return Similarity2D(
            self.rotation_scale * first.rotation_scale,
            self.rotation_scale * first.translation + self.translation,
        )

    def inverse(self) -> Similarity2D:
        """The transform that undoes this one.

        >>> shrunk = Similarity2D(2 + 0j, 4 + 2j).inverse()
        >>> shrunk.apply(np.array([4 + 2j, 6 + 2j])).tolist()
        [0j, (1+0j)]
        """
        return Similarity2D(1 / self.rotation_scale, -self.translation / self.rotation_scale)

    def matrix(self) -> Array:
        """The same transform as a homography: float64 (3, 3)."""
        a, b = self.rotation_scale, self.translation
        return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0.0, 0.0, 1.0]])

    @classmethod
    def fit(cls, source: Array, target: Array, weight: Array) -> Similarity2D | None:
        r"""The transform with the least weighted squared distance from source to target, in closed form.

        With weighted means s̄ and t̄:  rotation_scale = Σ w (t − t̄)·conj(s − s̄) / Σ w |s − s̄|²,
        translation = t̄ − rotation_scale · s̄.

        Args:
            source: complex128 (N,), N ≥ 1.
            target: complex128 (N,).
            weight: float64 (N,), not negative.

        Returns:
            None where all source points coincide.

        Source: Umeyama: Least-squares estimation of transformation parameters between two point patterns, 1991; in
        the plane, and without reflections, the singular value decomposition reduces to a complex quotient.

        """
        source_mean = np.average(source, weights=weight)
        target_mean = np.average(target, weights=weight)
        power = (weight * np.abs(source - source_mean) ** 2).sum()
        if power < _MIN_POWER:
            return None
        rotation_scale = complex((weight * (target - target_mean) * (source - source_mean).conj()).sum() / power)
        return cls(rotation_scale, complex(target_mean - rotation_scale * source_mean))


class SimilarityFits(NamedTuple):
    """Least-squares transforms of G groups of points (:func:`fit_groups`).

    Attributes:
        rotation_scale, translation: complex128 (G,); not finite where the source points of a group coincide.
        residual: float64 (G,), root mean squared distance that is left.
        extent: float64 (G,), root mean squared distance of the points from their mean, the smaller of both sides.
    """

    rotation_scale: Array
    translation: Array
    residual: Array
    extent: Array


def fit_groups(source: Array, target: Array, begin: Array) -> SimilarityFits:
    """:meth:`Similarity2D.fit` of many groups at once, all weights equal.

    The residual of the least-squares transform is r² = (Σ|t − t̄|² − |Σ (t − t̄)·conj(s − s̄)|² / Σ|s − s̄|²) / n.

    Args:
        source: complex128 (N,), group after group.
        target: complex128 (N,).
        begin: int64 (G,), first row of each group.
    """
    count = np.diff(np.append(begin, len(source)))
    source_mean, target_mean = (np.add.reduceat(points, begin) / count for points in (source, target))
    source_offset = source - np.repeat(source_mean, count)
    target_offset = target - np.repeat(target_mean, count)
    source_power, target_power = (
        np.add.reduceat(np.abs(offset) ** 2, begin) for offset in (source_offset, target_offset)
    )
    product = np.add.reduceat(target_offset * source_offset.conj(), begin)
    with np.errstate(divide="ignore", invalid="ignore"):
        rotation_scale = product / source_power
        residual = np.sqrt(np.maximum(target_power - np.abs(product) ** 2 / source_power, 0) / count)
        translation = target_mean - rotation_scale * source_mean
    extent = np.sqrt(np.minimum(source_power, target_power) / count)
    return SimilarityFits(rotation_scale, translation, residual, extent)
