r"""Small corrections of ground-plane calibrations and clocks, from co-observations, without labels.

Each camera's map is turned and shifted as a whole. Its scale is kept: under a smaller map all vehicles would be
nearer to each other, and any two cameras would agree better.

A correction is used only where it predicts co-observations that it was not fitted to. The recording is divided into
blocks of time. What is fitted to the even blocks is tried on the odd ones, and the other way round, against the given
calibration. Passage i of a camera, which another camera should see too, has the log likelihood ratio

.. math:: L_i = \log\Bigl(1 - s + s \sum_j N_2(d_{ij}; σ^2) / n\Bigr)

with the distances d_ij to the other camera's passages at the same time, n unrelated vehicles per square meter, and
the precision σ that either calibration has in the blocks that it was fitted to. A passage without a counterpart
counts against a calibration, as one with a counterpart counts for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mtmc.multiview.arrays import mutual_nearest
from mtmc.multiview.co_observation import CoObservations, find_co_observations
from mtmc.multiview.likelihoods import co_observation_log_odds
from mtmc.multiview.trajectories import TICK_S, Trajectories
from mtmc.types import Array

__all__ = ["CalibrationCorrection", "fit_calibration_correction"]

_UNKNOWNS = 4  # per camera: a shift along x and y, an angle, and a time
_ROBUST_SCALES_M = (12.0, 8.0, 6.0, 5.0, 4.0, 3.0, 3.0)  # of the Cauchy weights, round by round
_PRIOR = np.array([6.0, 6.0, 0.07, 0.4])  # standard deviations of the errors expected: meters, radians, seconds
_SAMPLES_PER_PAIR = 12  # so that vehicles in a queue do not outvote those that drive past
_MIN_PAIRS = 3

_BLOCK_S = 10.0  # of time, fitted to or tried on
_SHARED = 0.5  # s, share of the passages that the other camera sees, too
_MIN_SIGMA_M = 0.5
_SIGNIFICANT_SIGMAS = 3.0  # by which the gain of a correction must exceed 0


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationCorrection:
    """Each camera's displacement on the ground: a rotation about its center, a shift, and a time.

    A sample at x with velocity v moves to

        center + R(angle) (x − center) + shift + v·time.

    Attributes:
        center_m: float64 (C, 2), mean position of each camera's samples.
        shift_m: float64 (C, 2).
        angle_rad: float64 (C,).
        time_s: float64 (C,).
    """

    center_m: Array
    shift_m: Array
    angle_rad: Array
    time_s: Array

    @classmethod
    def of_unknowns(cls, center_m: Array, unknowns: Array) -> CalibrationCorrection:
        """From the solution of a fit: float64 (C, 4), shifts, angle, time."""
        return cls(center_m, unknowns[:, :2], unknowns[:, 2], unknowns[:, 3])

    def apply(self, trajectories: Trajectories, camera: Array) -> Trajectories:
        """The trajectories at their corrected positions.

        Args:
            trajectories: Of N passages.
            camera: int64 (N,).
        """
        if not len(trajectories.owner):
            return trajectories
        of_sample = camera[trajectories.owner]
        x, y = (trajectories.xy - self.center_m[of_sample]).T
        cosine, sine = np.cos(self.angle_rad)[of_sample], np.sin(self.angle_rad)[of_sample]
        turned = np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=1)
        moved = self.center_m[of_sample] + turned + self.shift_m[of_sample]
        return trajectories.moved_to(moved + trajectories.velocity * self.time_s[of_sample, None])

    def only_for(self, is_used: Array) -> CalibrationCorrection:
        """The same for some cameras, bool (C,), and none for the others."""
        return CalibrationCorrection(
            self.center_m,
            np.where(is_used[:, None], self.shift_m, 0.0),
            np.where(is_used, self.angle_rad, 0.0),
            np.where(is_used, self.time_s, 0.0),
        )


def fit_calibration_correction(
    trajectories: Trajectories, camera: Array, max_distance_m: float
) -> CalibrationCorrection:
    """The correction under which co-observed vehicles coincide, where held-out co-observations improve.

    Groups of cameras that co-observe vehicles are corrected together, or not at all.

    Args:
        trajectories: Of N passages.
        camera: int64 (N,), from 0 to C − 1.
        max_distance_m: Largest distance of a co-observation.
    """
    cameras = int(camera.max(initial=-1)) + 1
    correction = _fit(trajectories, camera, max_distance_m)
    if not len(trajectories.owner):
        return correction

    group = _groups_of_cameras(trajectories, camera, max_distance_m, cameras)
    gain, variance = np.zeros(cameras), np.zeros(cameras)
    block = (trajectories.tick * TICK_S / _BLOCK_S).astype(np.int64) % 2
    for held_out in (0, 1):
        fitted_to = trajectories.only(block != held_out)
        tried_on = trajectories.only(block == held_out)
        of_group, gain_of_passage = _held_out_gains(fitted_to, tried_on, camera, max_distance_m, group)
        gain += np.bincount(of_group, gain_of_passage, cameras)
        variance += np.bincount(of_group, gain_of_passage**2, cameras)

    # A vehicle counts from both sides of a pair of cameras. Both terms are the same, which doubles the variance.
    is_significant = gain > _SIGNIFICANT_SIGMAS * np.sqrt(2 * variance)
    return correction.only_for(is_significant[group])


# The fit


def _fit(trajectories: Trajectories, camera: Array, max_distance_m: float) -> CalibrationCorrection:
    """The correction that fits best, by robust least squares.

    Pairs that are mutually nearest are taken for one vehicle each. A correction of all cameras is fitted to them (one
    step of iteratively reweighted least squares, Cauchy weights). Both are repeated seven times with a shrinking
    scale. Small errors are expected beforehand, so that cameras without overlap are not moved at all.
    """
    cameras = int(camera.max(initial=-1)) + 1
    center_m = _mean_positions(trajectories, camera, cameras)
    correction = CalibrationCorrection.of_unknowns(center_m, np.zeros((cameras, _UNKNOWNS)))
    corrected = trajectories
    for scale_m in _ROBUST_SCALES_M:
        observed = find_co_observations(corrected, camera, max_distance_m)
        chosen = mutual_nearest(observed.pairs, observed.distance_m, camera)
        if len(chosen) < _MIN_PAIRS:
            break
        rows = _evenly_spaced_rows(observed, chosen)
        unknowns = _solve(trajectories, corrected, camera[trajectories.owner], center_m, rows, scale_m)
        correction = CalibrationCorrection.of_unknowns(center_m, unknowns)
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


def _solve(
    trajectories: Trajectories, corrected: Trajectories, camera: Array, center_m: Array, rows: Array, scale_m: float
) -> Array:
    """One weighted least-squares step: float64 (C, 4).

    For each pair of samples (a, b), both axes ask for d_a(θ) − d_b(θ) = x_b − x_a, where d is the displacement, which
    is linear in the unknowns θ for small angles. With rows J and right-hand sides g, Cauchy weights
    w = 1 / (1 + (r / scale)²) of the present residuals r, and a normal prior with standard deviations s,

        (Jᵀ W J + diag(scale² / s²)) θ = Jᵀ W g.

    Args:
        trajectories: As calibrated.
        corrected: At the positions of the round before.
        camera: int64 (M,), of each sample.
        center_m: float64 (C, 2), about which the cameras are turned.
        rows: int64 (Q, 2), pairs of samples.
        scale_m: Residual at which a pair counts half.
    """
    cameras = len(center_m)
    a, b = rows.T
    residual = np.hypot(*(corrected.xy[a] - corrected.xy[b]).T)
    weight = 1 / (1 + (residual / scale_m) ** 2)

    normal = np.diag(np.tile(scale_m**2 / _PRIOR**2, cameras))
    right = np.zeros(_UNKNOWNS * cameras)
    from_center = trajectories.xy - center_m[camera]
    for axis in (0, 1):
        derivative = _displacement_derivative(from_center, trajectories.velocity, axis)
        jacobian = _jacobian(derivative, camera, rows, cameras)
        gap = trajectories.xy[b, axis] - trajectories.xy[a, axis]
        normal += jacobian.T @ (weight[:, None] * jacobian)
        right += jacobian.T @ (weight * gap)
    return np.linalg.solve(normal, right).reshape(cameras, _UNKNOWNS)


def _displacement_derivative(from_center: Array, velocity: Array, axis: int) -> Array:
    """Derivative of each sample's displacement along one axis by its camera's four unknowns: float64 (M, 4).

    A small angle φ moves (x, y) by φ (−y, x).
    """
    derivative = np.zeros((len(from_center), _UNKNOWNS))
    derivative[:, axis] = 1.0
    derivative[:, 2] = -from_center[:, 1] if axis == 0 else from_center[:, 0]
    derivative[:, 3] = velocity[:, axis]
    return derivative


def _jacobian(derivative: Array, camera: Array, rows: Array, cameras: int) -> Array:
    """Derivative of d_a − d_b along one axis by all unknowns: float64 (Q, 4 C).

    Args:
        derivative: float64 (M, 4), of each sample's displacement.
        camera: int64 (M,).
        rows: int64 (Q, 2), samples a and b.
        cameras: C.
    """
    jacobian = np.zeros((len(rows), cameras, _UNKNOWNS))
    line = np.arange(len(rows))
    jacobian[line, camera[rows[:, 0]]] = derivative[rows[:, 0]]
    jacobian[line, camera[rows[:, 1]]] -= derivative[rows[:, 1]]
    return jacobian.reshape(len(rows), -1)


# Whether held-out co-observations improve


def _groups_of_cameras(trajectories: Trajectories, camera: Array, max_distance_m: float, cameras: int) -> Array:
    """Number of the group of each camera: int64 (C,). Cameras with co-observed vehicles are in one group."""
    pairs = camera[find_co_observations(trajectories, camera, max_distance_m).pairs]
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(cameras, cameras))
    return np.asarray(connected_components(graph, directed=False)[1]).astype(np.int64)


def _held_out_gains(
    fitted_to: Trajectories, tried_on: Trajectories, camera: Array, max_distance_m: float, group: Array
) -> tuple[Array, Array]:
    """Gain in log likelihood of a correction over the given calibration, for each passage in another camera's view.

    Args:
        fitted_to: The samples to which the correction is fitted.
        tried_on: The samples that it is tried on.
        camera: int64 (N,).
        max_distance_m: Largest distance of a co-observation.
        group: int64 (C,), of each camera.

    Returns:
        int64 (K,), group of the camera of each passage; float64 (K,), its gain.
    """
    correction = _fit(fitted_to, camera, max_distance_m)
    corrected = correction.apply(tried_on, camera)
    sigma_given_m = _precision_m(fitted_to, camera, max_distance_m)
    sigma_corrected_m = _precision_m(correction.apply(fitted_to, camera), camera, max_distance_m)
    given_pairs = find_co_observations(tried_on, camera, max_distance_m)
    per_m2 = _clutter_per_m2(given_pairs, max_distance_m)

    key_given, odds_given = _sighting_odds(given_pairs, camera, sigma_given_m, per_m2)
    corrected_pairs = find_co_observations(corrected, camera, max_distance_m)
    key_corrected, odds_corrected = _sighting_odds(corrected_pairs, camera, sigma_corrected_m, per_m2)

    # A passage that only one of both calibrations brings near another camera's has no counterpart under the other.
    keys = np.union1d(key_given, key_corrected)
    nothing = np.log(1 - _SHARED)
    gain = np.zeros(len(keys))
    gain += _filled(keys, key_corrected, np.log(1 - _SHARED + _SHARED * odds_corrected), nothing)
    gain -= _filled(keys, key_given, np.log(1 - _SHARED + _SHARED * odds_given), nothing)
    passage = keys // (int(camera.max()) + 1)
    return group[camera[passage]], gain


def _precision_m(trajectories: Trajectories, camera: Array, max_distance_m: float) -> float:
    """Standard deviation along one axis, by the median distance of mutually nearest pairs (Rayleigh: σ √(2 ln 2))."""
    observed = find_co_observations(trajectories, camera, max_distance_m)
    nearest = mutual_nearest(observed.pairs, observed.distance_m, camera)
    if not len(nearest):
        return _MIN_SIGMA_M
    return max(float(np.median(observed.distance_m[nearest]) / np.sqrt(2 * np.log(2))), _MIN_SIGMA_M)


def _clutter_per_m2(observed: CoObservations, max_distance_m: float) -> float:
    """Vehicles of another camera per square meter around a vehicle: the mean over all passages with any."""
    passages_near = 2 * len(observed.pairs) / max(len(np.unique(observed.pairs)), 1)
    return float(max(passages_near, 1.0) / (np.pi * max_distance_m**2))


def _sighting_odds(observed: CoObservations, camera: Array, sigma_m: float, per_m2: float) -> tuple[Array, Array]:
    """Σ_j N₂(d_ij; σ²) / n of each passage i and other camera.

    Returns:
        int64 (K,), passage · C + other camera, sorted; float64 (K,).
    """
    odds = np.exp(co_observation_log_odds(observed.distance_m, sigma_m, per_m2))
    cameras = int(camera.max()) + 1
    first, second = observed.pairs.T
    key = np.concatenate([first * cameras + camera[second], second * cameras + camera[first]])
    keys, index = np.unique(key, return_inverse=True)
    return keys, np.bincount(index, np.tile(odds, 2), len(keys))


def _filled(keys: Array, known_keys: Array, values: Array, missing: float) -> Array:
    """The values at all keys, ``missing`` where none is known: float64 (K,)."""
    out = np.full(len(keys), missing)
    out[np.searchsorted(keys, known_keys)] = values
    return out
