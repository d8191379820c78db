r"""Clock offset and drift of cameras that share a ground plane.

Association estimates offsets that jump where a recording lost frames (:mod:`mtmc.multiview.clock_sync`). A scene
file needs what holds for the whole recording, with standard errors: a constant offset and a constant drift.
Therefore there are two estimators.

1. *Search.* For each pair of cameras, a Hough transform over offset and drift finds the line at which most
   trajectories of one camera coincide with one of the other.
2. *Robust line.* Each pair of coinciding trajectories k gives a time difference dₖ of its own, along its velocity.
   A displacement (x, y) between the two calibrations looks like a time difference, with opposite signs for opposite
   directions, and is fitted along, with a prior of 2 m:  dₖ = offset + drift (tₖ − t̄) + (x, y)·vₖ / |vₖ|² + noise.
3. *Reconciliation.* Weighted least squares over all pairs of a group gives one offset and drift for each camera,
   relative to the camera from which the others differ least.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from mtmc.geometry.ground import project
from mtmc.geometry.similarity2d import as_complex
from mtmc.site.matching import best_of_both, simultaneous_rows
from mtmc.site.trajectories import STEP_S, ImageTrajectory
from mtmc.types import Array

__all__ = ["ClockFit", "PairClock", "co_observed_pairs", "fit_clocks", "fit_pair_clock"]

_MAX_DISTANCE_M = 5.0
_MIN_COMMON_SAMPLES, _MAX_COMMON_SAMPLES = 4, 12
_SPEED_RANGE_MPS = 2.0, 60.0  # a slow vehicle gives no precise time; a faster one is an error of the tracker

# The search.
_DRIFTS = np.arange(-0.06, 0.0601, 0.005)
_DRIFT_GAIN, _DRIFT_MIN_GAIN = 0.12, 1.0  # by which a drift must increase the score: a share, and an amount
_MIN_SCORE = 2.0
_SEARCHED_REACH = 3  # time differences are searched to this multiple of the greatest offset, as drift adds to it

# The robust line.
_MIN_PAIRS = 5
_DISPLACEMENT_SIGMA_M = 2.0  # of two calibrations
_LINE_ROUNDS, _LINE_OUTLIER, _MIN_SPREAD_S = 30, 1.5, 0.01

# Reconciliation.
_RECONCILE_ROUNDS, _RECONCILE_OUTLIER = 20, 4.0
_MIN_ERROR_SHARE = 0.25  # of the median standard error: no pair of cameras counts as more exact


@dataclass(frozen=True, slots=True)
class PairClock:
    """Two cameras' clocks: clock b = clock a + offset + drift · (time − middle).

    Attributes:
        cameras: a and b.
        offset_s, offset_error_s: b − a at ``middle_s``, and its standard error.
        drift, drift_error: Seconds per second, and its standard error.
        middle_s: Mean time of the pairs of trajectories.
        pairs: Number of pairs of trajectories.
        spread_s: Robust spread of their time differences.
    """

    cameras: tuple[str, str]
    offset_s: float
    offset_error_s: float
    drift: float
    drift_error: float
    middle_s: float
    pairs: int
    spread_s: float


@dataclass(frozen=True, slots=True)
class ClockFit:
    """The correction of a camera's clock: offset + drift · (time − middle) must be added to it.

    Attributes:
        camera: Its id.
        reference: The camera of its group whose clock is taken as correct.
        offset_s, error_s: At ``middle_s``, with its standard error.
        drift, drift_error: Seconds per second, with its standard error.
        middle_s: The time for which the offset holds.
        pairs: Number of pairs of trajectories.
    """

    camera: str
    reference: str
    offset_s: float
    error_s: float
    drift: float
    drift_error: float
    middle_s: float
    pairs: int


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """Samples of a camera's moving trajectories on the ground plane.

    Attributes:
        trajectory, tick: int64 (N,).
        position, velocity: complex128 (N,), meters, meters per second.
    """

    trajectory: Array
    tick: Array
    position: Array
    velocity: Array

    @classmethod
    def of(cls, trajectories: Sequence[ImageTrajectory], ground_from_image: Array) -> _Samples:
        parts = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0, complex), np.zeros(0, complex))]
        for index, t in enumerate(trajectories):
            position = as_complex(project(t.ground_point_px, ground_from_image))
            velocity = np.gradient(position, t.tick * STEP_S)
            speed = np.abs(velocity)
            has_usual_speed = (speed > _SPEED_RANGE_MPS[0]) & (speed < _SPEED_RANGE_MPS[1])
            rows = np.flatnonzero(t.is_whole & np.isfinite(position) & has_usual_speed)
            parts.append((np.full(len(rows), index), t.tick[rows], position[rows], velocity[rows]))
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def mean_time_s(self) -> dict[int, float]:
        """By trajectory."""
        return {
            k: float(self.tick[self.trajectory == k].mean()) * STEP_S for k in np.unique(self.trajectory).tolist()
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Coincidences:
    """Trajectories of two cameras that run along each other at one clock offset, P mutually best pairs.

    Attributes:
        trajectory_a, trajectory_b: int64 (P,).
        support: float64 (P,) in [0, 1].
        further_offset_s: float64 (P,), what the offset of each pair is beyond the tried one, by its velocity.
        slowness: complex128 (P,), seconds per meter in the direction of travel, v / |v|².
        support_a: float64 (A,), the support of each trajectory of a.
    """

    trajectory_a: Array
    trajectory_b: Array
    support: Array
    further_offset_s: Array
    slowness: Array
    support_a: Array


def fit_pair_clock(
    cameras: tuple[str, str],
    trajectories_a: Sequence[ImageTrajectory],
    trajectories_b: Sequence[ImageTrajectory],
    ground_from_image: tuple[Array, Array],
    max_offset_s: float = 5.0,
) -> PairClock | None:
    """Offset and drift between two cameras' clocks; None where too few trajectories coincide.

    Args:
        cameras: a and b.
        trajectories_a: Of camera a.
        trajectories_b: Of camera b.
        ground_from_image: Homographies of both to one ground plane.
        max_offset_s: Greatest offset that is searched.
    """
    a = _Samples.of(trajectories_a, ground_from_image[0])
    b = _Samples.of(trajectories_b, ground_from_image[1])
    if not len(a.tick) or not len(b.tick):
        return None
    reach = round(max_offset_s / STEP_S)
    offsets = np.arange(-_SEARCHED_REACH * reach, _SEARCHED_REACH * reach + 1)
    found = [_coincide(a, b, int(offset)) for offset in offsets]
    mean_time_s = a.mean_time_s()
    line = _search_line(found, mean_time_s, reach)
    if line is None:
        return None

    offset_at_zero_s, drift = line
    used: set[tuple[int, int]] = set()
    rows: list[tuple[float, float, complex]] = []
    for offset, coincidences in zip(offsets, found, strict=True):
        columns = (coincidences.trajectory_a, coincidences.trajectory_b, coincidences.support)
        for k, (i, j, support) in enumerate(zip(*(values.tolist() for values in columns), strict=True)):
            offset_on_line = (offset_at_zero_s + drift * mean_time_s[i]) / STEP_S
            if abs(offset - offset_on_line) <= 0.5 and support > 0 and (i, j) not in used:
                used.add((i, j))
                difference_s = offset * STEP_S + coincidences.further_offset_s[k]
                rows.append((mean_time_s[i], difference_s, coincidences.slowness[k]))
    if len(rows) < _MIN_PAIRS:
        return None
    time_s, difference_s, slowness = (np.array(column) for column in zip(*rows, strict=True))
    return _fit_line(cameras, time_s, difference_s, slowness)


def co_observed_pairs(
    trajectories_a: Sequence[ImageTrajectory],
    trajectories_b: Sequence[ImageTrajectory],
    ground_from_image: tuple[Array, Array],
) -> list[tuple[int, int]]:
    """Indices of trajectories of two cameras that run along each other on the ground plane, one to one."""
    a = _Samples.of(trajectories_a, ground_from_image[0])
    b = _Samples.of(trajectories_b, ground_from_image[1])
    if not len(a.tick) or not len(b.tick):
        return []
    found = _coincide(a, b, 0)
    return list(zip(found.trajectory_a.tolist(), found.trajectory_b.tolist(), strict=True))


def _coincide(a: _Samples, b: _Samples, offset: int) -> _Coincidences:
    """Trajectories that run along each other when ``offset`` ticks are added to a's clock.

    The mean over common samples of min(distance / 5 m, 2)² must be less than 1.
    """
    row_a, row_b = simultaneous_rows(a.tick, b.tick, offset)
    difference = b.position[row_b] - a.position[row_a]
    velocity = (a.velocity[row_a] + b.velocity[row_b]) / 2

    trajectories_b = b.trajectory.max() + 1
    key, pair = np.unique(a.trajectory[row_a] * trajectories_b + b.trajectory[row_b], return_inverse=True)
    count = np.maximum(np.bincount(pair, minlength=len(key)), 1)
    squares = np.minimum(np.abs(difference) / _MAX_DISTANCE_M, 2.0) ** 2
    mean = np.bincount(pair, squares, minlength=len(key)) / count
    is_near = (count >= _MIN_COMMON_SAMPLES) & (mean < 1)
    support = np.where(is_near, (1 - mean) * np.minimum(count, _MAX_COMMON_SAMPLES) / _MAX_COMMON_SAMPLES, 0.0)
    index_a, index_b = np.divmod(key, trajectories_b)
    chosen = best_of_both(support, index_a, index_b)

    # If b is ahead of a along the velocity at this offset, the true offset is smaller by difference / speed.
    along = np.bincount(pair, (difference * velocity.conj()).real, minlength=len(key))
    power = np.maximum(np.bincount(pair, np.abs(velocity) ** 2, minlength=len(key)), 1e-9)
    further_offset_s = np.clip(-along / power, -1.0, 1.0)
    total_velocity = np.bincount(pair, velocity.real, len(key)) + 1j * np.bincount(pair, velocity.imag, len(key))
    slowness = total_velocity / power

    support_a = np.zeros(a.trajectory.max() + 1)
    np.maximum.at(support_a, index_a[chosen], support[chosen])
    return _Coincidences(
        index_a[chosen], index_b[chosen], support[chosen], further_offset_s[chosen], slowness[chosen], support_a
    )


def _search_line(
    found: Sequence[_Coincidences], mean_time_s: Mapping[int, float], reach: int
) -> tuple[float, float] | None:
    """The offset at time 0 in seconds and the drift with the greatest support; None without any.

    Args:
        found: Coincidences at all offsets from −3 · reach to 3 · reach.
        mean_time_s: Of each trajectory of the first camera.
        reach: Greatest offset in ticks.
    """
    support = np.array([coincidences.support_a for coincidences in found])  # (offset, trajectory)
    trajectory = np.array(sorted(mean_time_s))
    time_s = np.array([mean_time_s[k] for k in trajectory.tolist()])
    middle_s = time_s.mean()
    best: dict[bool, tuple[float, float, float]] = {}  # by whether there is a drift
    for drift in _DRIFTS:
        for offset in range(-reach, reach + 1):
            row = np.round(offset + drift * (time_s - middle_s) / STEP_S).astype(int) + _SEARCHED_REACH * reach
            is_inside = (row >= 0) & (row < len(support))
            score = float(support[row[is_inside], trajectory[is_inside]].sum())
            # Of equal scores the smaller offset wins.
            entry = (score - 1e-6 * abs(offset), offset * STEP_S - drift * middle_s, float(drift))
            drifts = abs(drift) > 1e-9
            if drifts not in best or entry[0] > best[drifts][0]:
                best[drifts] = entry
    steady, drifting = best[False], best[True]
    prefers_drift = drifting[0] > (1 + _DRIFT_GAIN) * steady[0] + _DRIFT_MIN_GAIN
    score, offset_s, drift = drifting if prefers_drift else steady
    if score < _MIN_SCORE:
        return None
    return offset_s, drift if prefers_drift else 0.0


def _fit_line(cameras: tuple[str, str], time_s: Array, difference_s: Array, slowness: Array) -> PairClock:
    """Iteratively reweighted least squares with Cauchy weights: offset, drift and displacement.

    Args:
        cameras: a and b.
        time_s: float64 (P,), mean time of each pair of trajectories.
        difference_s: float64 (P,), its time difference.
        slowness: complex128 (P,), v / |v|².
    """
    middle_s = float(time_s.mean())
    design = np.stack([np.ones_like(time_s), time_s - middle_s, slowness.real, slowness.imag], axis=1)
    weight = np.ones_like(time_s)
    solution = np.array([np.median(difference_s), 0.0, 0.0, 0.0])
    spread = 0.1  # seconds, until the first residuals show it
    prior = np.zeros(4)
    for _ in range(_LINE_ROUNDS):
        # Only the displacement has a prior. Its precision is in units of the residuals' variance.
        prior = np.array([0.0, 0.0, 1.0, 1.0]) * (spread / _DISPLACEMENT_SIGMA_M) ** 2
        weighted = design * weight[:, None]
        information = weighted.T @ design + np.diag(prior)
        solution = np.linalg.pinv(information) @ (weighted.T @ difference_s)

        # Cauchy weights from a spread that outliers do not move: 1.4826 × the median is σ of a normal distribution.
        residual = difference_s - design @ solution
        spread = max(1.4826 * float(np.median(np.abs(residual))), _MIN_SPREAD_S)
        weight = 1 / (1 + (residual / (_LINE_OUTLIER * spread)) ** 2)

    # Standard errors belong to the last weights, which the last solution does not have yet.
    information = (design * weight[:, None]).T @ design + np.diag(prior)
    covariance = np.linalg.pinv(information)
    standard_errors = spread * np.sqrt(np.diag(covariance))
    offset_s, drift, *_ = solution.tolist()
    offset_error_s, drift_error, *_ = standard_errors.tolist()
    return PairClock(cameras, offset_s, offset_error_s, drift, drift_error, middle_s, len(time_s), spread)


def fit_clocks(
    trajectories: Mapping[str, Sequence[ImageTrajectory]],
    ground_from_image: Mapping[str, Array],
    max_offset_s: float = 5.0,
) -> tuple[list[ClockFit], list[PairClock]]:
    """Clock corrections of all cameras of a ground plane that share road with another one, and of all pairs.

    Args:
        trajectories: By camera.
        ground_from_image: By camera, to one ground plane.
        max_offset_s: Greatest offset of two clocks that is searched.
    """
    cameras = sorted(camera for camera in trajectories if camera in ground_from_image)
    pairs = []
    for a, b in combinations(cameras, 2):
        homographies = ground_from_image[a], ground_from_image[b]
        pair = fit_pair_clock((a, b), trajectories[a], trajectories[b], homographies, max_offset_s)
        if pair is not None:
            pairs.append(pair)

    groups = DisjointSet(sorted({camera for pair in pairs for camera in pair.cameras}))
    for pair in pairs:
        groups.merge(*pair.cameras)
    fits: list[ClockFit] = []
    for group in sorted(sorted(subset) for subset in groups.subsets()):
        fits += _reconcile(group, [pair for pair in pairs if pair.cameras[0] in group])
    return sorted(fits, key=lambda fit: fit.camera), pairs


def _reconcile(group: Sequence[str], pairs: Sequence[PairClock]) -> list[ClockFit]:
    """Clock corrections of a group, relative to the camera from which the others differ least in total."""
    middle_s = float(np.average([p.middle_s for p in pairs], weights=[p.pairs for p in pairs]))
    offset_s = np.array([p.offset_s + p.drift * (middle_s - p.middle_s) for p in pairs])
    offset_error_s = np.array([p.offset_error_s for p in pairs])
    drift, drift_error = np.array([p.drift for p in pairs]), np.array([p.drift_error for p in pairs])

    offsets_to_first, _ = _solve_differences(group, pairs, offset_s, offset_error_s, reference=0)
    drifts_to_first, _ = _solve_differences(group, pairs, drift, drift_error, reference=0)
    offset_spread, drift_spread = (
        np.abs(values[:, None] - values).sum(axis=1) for values in (offsets_to_first, drifts_to_first)
    )
    reference = int(np.argmin(offset_spread + abs(middle_s) * drift_spread))

    offsets, offset_errors = _solve_differences(group, pairs, offset_s, offset_error_s, reference)
    drifts, drift_errors = _solve_differences(group, pairs, drift, drift_error, reference)
    return [
        ClockFit(
            camera,
            group[reference],
            float(offsets[k]),
            float(offset_errors[k]),
            float(drifts[k]),
            float(drift_errors[k]),
            middle_s,
            sum(p.pairs for p in pairs if camera in p.cameras),
        )
        for k, camera in enumerate(group)
    ]


def _solve_differences(
    group: Sequence[str], pairs: Sequence[PairClock], b_minus_a: Array, error: Array, reference: int
) -> tuple[Array, Array]:
    """Corrections x of the cameras from the differences of pairs, x_a − x_b = b − a, with x = 0 for the reference.

    Weighted least squares, iteratively reweighted with Cauchy weights against single wrong pairs. Where the pairs
    disagree by more than their standard errors, the errors are scaled up (Birge ratio).

    Returns:
        float64 (C,), corrections; float64 (C,), standard errors.
    """
    index = {camera: k for k, camera in enumerate(group)}
    design = np.zeros((len(pairs), len(group)))
    for row, pair in zip(design, pairs, strict=True):
        a, b = pair.cameras
        row[index[a]], row[index[b]] = 1.0, -1.0
    is_free = np.arange(len(group)) != reference
    design = design[:, is_free]

    sigma = np.maximum(error, 1e-6 + _MIN_ERROR_SHARE * np.median(error))
    weight, residual, solution = 1 / sigma**2, np.zeros_like(b_minus_a), np.zeros(is_free.sum())
    for _ in range(_RECONCILE_ROUNDS):
        inverse = np.linalg.pinv((design * weight[:, None]).T @ design)
        solution = inverse @ (design.T @ (weight * b_minus_a))
        residual = b_minus_a - design @ solution
        weight = 1 / sigma**2 / (1 + (residual / (_RECONCILE_OUTLIER * sigma)) ** 2)

    degrees_of_freedom = len(pairs) - len(group) + 1
    scale = 1.0
    if degrees_of_freedom > 0:
        scale = max(1.0, float(np.sqrt((weight * residual**2).sum() / degrees_of_freedom)))
    values, errors = np.zeros(len(group)), np.zeros(len(group))
    values[is_free] = solution
    errors[is_free] = scale * np.sqrt(np.diag(np.linalg.pinv((design * weight[:, None]).T @ design)))
    return values, errors
