"""Small corrections of ground-plane calibrations and clocks, from co-observations, without labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mtmc.multiview.arrays import mutual_nearest
from mtmc.multiview.co_observation import CoObservations, find_co_observations
from mtmc.multiview.trajectories import Trajectories
from mtmc.types import Array

__all__ = ["CalibrationCorrection", "fit_calibration_correction", "refine_calibration"]

_TERMS = 6  # of a polynomial of second degree in two coordinates
_UNKNOWNS = 2 * _TERMS + 1  # per camera: a polynomial for x, one for y, and a time
_ROBUST_SCALES_M = (12.0, 8.0, 6.0, 5.0, 4.0, 3.0, 3.0)  # of the Cauchy weights, round by round
_UNIT_M = 30.0  # coordinates of the polynomials are in units of this
_PRIOR_SHIFT_M, _PRIOR_BEND_M, _PRIOR_TIME_S = 6.0, 2.0, 0.4  # standard deviations of the errors expected
_SAMPLES_PER_PAIR = 12  # so that vehicles in a queue do not outvote those that drive past
_MIN_PAIRS = 3


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationCorrection:
    """Each camera's displacement on the ground, as a function of position and velocity.

    With u = (x − center) / 30 m and b(u) = (1, u₁, u₂, u₁², u₁u₂, u₂²), a sample at x with velocity v moves to

        x + (b·α, b·β) + v·τ.

    Attributes:
        center_m: float64 (C, 2), mean position of each camera's samples.
        coefficients: float64 (C, 13): α, β (6 each, meters) and τ (seconds).
    """

    center_m: Array
    coefficients: Array

    @classmethod
    def none(cls, cameras: int) -> CalibrationCorrection:
        """The correction that moves nothing."""
        return cls(np.zeros((cameras, 2)), np.zeros((cameras, _UNKNOWNS)))

    def basis(self, trajectories: Trajectories, camera: Array) -> Array:
        """b(u) of every sample: float64 (M, 6)."""
        x, y = ((trajectories.xy - self.center_m[camera[trajectories.owner]]) / _UNIT_M).T
        return np.column_stack([np.ones_like(x), x, y, x * x, x * y, y * y])

    def apply(self, trajectories: Trajectories, camera: Array) -> Trajectories:
        """The trajectories at their corrected positions.

        Args:
            trajectories: Of N passages.
            camera: int64 (N,).
        """
        if not len(trajectories.owner):
            return trajectories
        basis = self.basis(trajectories, camera)
        own = self.coefficients[camera[trajectories.owner]]
        by_position = [(basis * own[:, k : k + _TERMS]).sum(axis=1) for k in (0, _TERMS)]
        by_time = trajectories.velocity * own[:, -1, None]
        return trajectories.moved_to(trajectories.xy + (np.stack(by_position, axis=1) + by_time))


def refine_calibration(trajectories: Trajectories, camera: Array, max_distance_m: float) -> Trajectories:
    """The trajectories with :func:`fit_calibration_correction` applied."""
    return fit_calibration_correction(trajectories, camera, max_distance_m).apply(trajectories, camera)


def fit_calibration_correction(
    trajectories: Trajectories, camera: Array, max_distance_m: float
) -> CalibrationCorrection:
    """The correction under which vehicles that two cameras see at once coincide.

    Pairs that are mutually nearest are taken for one vehicle each. A correction of all cameras is fitted to them by
    robust least squares (one step of iteratively reweighted least squares, Cauchy weights). Both are repeated seven
    times with a shrinking scale. Small errors are expected beforehand, so that cameras without overlap are not moved
    at all, and a few accidental co-observations move little.

    Args:
        trajectories: Of N passages.
        camera: int64 (N,), from 0 to C − 1.
        max_distance_m: Largest distance of a co-observation.
    """
    cameras = int(camera.max(initial=-1)) + 1
    correction = CalibrationCorrection.none(cameras)
    if not len(trajectories.owner):
        return correction
    correction = CalibrationCorrection(_mean_positions(trajectories, camera, cameras), correction.coefficients)
    basis = correction.basis(trajectories, camera)
    corrected = trajectories
    for scale_m in _ROBUST_SCALES_M:
        observed = find_co_observations(corrected, camera, max_distance_m)
        chosen = mutual_nearest(observed.pairs, observed.distance_m, camera)
        if len(chosen) < _MIN_PAIRS:
            break
        rows = _evenly_spaced_rows(observed, chosen)
        coefficients = _solve_correction(trajectories, corrected, camera[trajectories.owner], basis, rows, scale_m)
        correction = CalibrationCorrection(correction.center_m, coefficients)
        corrected = correction.apply(trajectories, camera)
    return correction


def _mean_positions(trajectories: Trajectories, camera: Array, cameras: int) -> Array:
    """Mean position of each camera's samples, 0 where it has none: float64 (C, 2)."""
    of_sample = camera[trajectories.owner]
    count = np.maximum(np.bincount(of_sample, minlength=cameras), 1)
    sums = [np.bincount(of_sample, trajectories.xy[:, axis], cameras) for axis in (0, 1)]
    return np.stack([total / count for total in sums], axis=1)


def _evenly_spaced_rows(observed: CoObservations, chosen: Array) -> Array:
    """Samples of the chosen pairs, at most a dozen of each, spread over its ticks: int64 (Q, 2)."""
    picked = []
    for k in chosen.tolist():
        first, last = observed.begin[k], observed.begin[k + 1] - 1
        count = min(_SAMPLES_PER_PAIR, last - first + 1)
        picked.append(np.unique(np.linspace(first, last, count).astype(np.int64)))
    return np.asarray(observed.rows[np.concatenate(picked)])


def _solve_correction(
    trajectories: Trajectories, corrected: Trajectories, camera: Array, basis: Array, rows: Array, scale_m: float
) -> Array:
    """One weighted least-squares step: float64 (C, 13).

    For each pair of samples (a, b), both axes ask for d_a(θ) − d_b(θ) = x_b − x_a, where d is the displacement, which
    is linear in the coefficients θ. With rows J and right-hand sides g, Cauchy weights w = 1 / (1 + (r / scale)²) of
    the present residuals r, and a normal prior with standard deviations s,

        (Jᵀ W J + diag(scale² / s²)) θ = Jᵀ W g.

    Args:
        trajectories: As calibrated.
        corrected: At the positions of the round before.
        camera: int64 (M,), of each sample.
        basis: float64 (M, 6).
        rows: int64 (Q, 2), pairs of samples.
        scale_m: Residual at which a pair counts half.
    """
    cameras = int(camera.max()) + 1
    a, b = rows.T
    residual = np.hypot(*(corrected.xy[a] - corrected.xy[b]).T)
    weight = 1 / (1 + (residual / scale_m) ** 2)

    normal = np.zeros((_UNKNOWNS * cameras, _UNKNOWNS * cameras))
    right = np.zeros(_UNKNOWNS * cameras)
    for axis in (0, 1):
        jacobian = _jacobian(trajectories.velocity[:, axis], camera, basis, rows, axis)
        gap = trajectories.xy[b, axis] - trajectories.xy[a, axis]
        normal += jacobian.T @ (weight[:, None] * jacobian)
        right += jacobian.T @ (weight * gap)

    polynomial_prior = [_PRIOR_SHIFT_M] + [_PRIOR_BEND_M] * (_TERMS - 1)
    prior = np.array([*polynomial_prior, *polynomial_prior, _PRIOR_TIME_S])
    normal += np.diag(np.tile(scale_m**2 / prior**2, cameras))
    return np.linalg.solve(normal, right).reshape(cameras, _UNKNOWNS)


def _jacobian(velocity: Array, camera: Array, basis: Array, rows: Array, axis: int) -> Array:
    """Derivative of d_a − d_b along one axis by all coefficients: float64 (Q, 13 C).

    Args:
        velocity: float64 (M,), along the axis.
        camera: int64 (M,).
        basis: float64 (M, 6).
        rows: int64 (Q, 2), samples a and b.
        axis: 0 or 1.
    """
    cameras = int(camera.max()) + 1
    jacobian = np.zeros((len(rows), _UNKNOWNS * cameras))
    line = np.arange(len(rows))
    for sample, sign in ((rows[:, 0], 1.0), (rows[:, 1], -1.0)):
        # A camera's coefficients are the polynomial of x, that of y, and the time.
        first_column = _UNKNOWNS * camera[sample]
        first_term = first_column + _TERMS * axis
        time_column = first_column + _UNKNOWNS - 1

        for k in range(_TERMS):
            jacobian[line, first_term + k] += sign * basis[sample, k]
        jacobian[line, time_column] += sign * velocity[sample]
    return jacobian
