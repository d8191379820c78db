"""Bundle adjustment: the cameras of one ground plane are refined together.

Eight unknowns of each camera are adjusted until the trajectories of one vehicle coincide on the ground plane: focal
length, horizon, roll, rotation, scale, two coordinates of the translation, and clock. The minimized function is

    Σ_pairs Σ_samples ρ(‖g_a(t) − g_b(t)‖) / n_pair + Σ_cameras Σ_unknowns (3 (x − x₀) / σ)²

    ρ(d) = d² / (1 + d²/D²)

with the ground positions g, the inlier distance D of the round, the number n of samples of a pair of trajectories,
and the values x₀ that single-view calibration and registration gave. Which trajectories are one vehicle is decided
anew in every round, with a decreasing D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import least_squares

from mtmc.geometry.ground import project
from mtmc.geometry.similarity2d import Similarity2D
from mtmc.site.camera_model import GroundScale
from mtmc.site.matching import best_of_both, simultaneous_rows
from mtmc.site.trajectories import STEP_S, ImageTrajectory
from mtmc.types import Array

__all__ = [
    "CameraPose",
    "Correspondences",
    "ImageSamples",
    "bundle_adjust",
    "match_trajectories",
    "residuals_m",
]

_INLIER_DISTANCES_M = (8.0, 6.0, 5.0, 4.0, 3.5, 3.0)  # round by round
_MIN_PAIRS = 2  # of trajectories, for two cameras to be compared
_MIN_COMMON_SAMPLES, _MAX_COMMON_SAMPLES = 4, 12  # more do not make a pair more certain
_USED_SAMPLES = 8  # of a pair of trajectories
_MIN_STEP_PX = 1.0  # motion between two samples

# The unknowns of a camera, in the order of the vector of unknowns, with the standard deviation of their prior:
# registration has found rotation and translation, which therefore are free.
_PRIOR_SIGMA = {
    "log_focal": 0.4,
    "horizon": 0.05,  # image heights from the single-view calibration
    "roll": 0.05,  # radians
    "rotation": np.inf,  # radians
    "log_scale": 0.2,
    "x": np.inf,  # 10 m
    "y": np.inf,  # 10 m
    "clock": np.nan,  # seconds; one of the two below
}
_UNKNOWNS = tuple(_PRIOR_SIGMA)
_GAUGE = ("rotation", "x", "y", "clock")  # fixed for the first camera: they define the common ground plane
_SEARCHED_CLOCK_SIGMA_S, _GIVEN_CLOCK_SIGMA_S = 1.5, 0.4
_PRIOR_WEIGHT = 3.0
_METERS_PER_UNIT = 10.0  # of the unknowns x and y
_MAX_EVALUATIONS = 20
_FAR_M = 1e3  # stands for positions beyond the horizon


@dataclass(frozen=True, slots=True)
class CameraPose:
    """The unknowns of one camera.

    Attributes:
        focal: Focal length in image widths.
        horizon_px: Row of the horizon.
        roll: Of the camera, radians.
        to_common: Positions on the camera's own ground plane → positions on the common one, meters.
        clock_correction_s: What must be added to the camera's clock.
    """

    focal: float
    horizon_px: float
    roll: float
    to_common: Similarity2D
    clock_correction_s: float = 0.0

    def matrix(self, scale: GroundScale) -> Array:
        """Homography from pixels to meters on the common ground plane: float64 (3, 3)."""
        own_from_image = scale.ground_from_image(self.focal, self.horizon_px, self.roll)
        return np.asarray(self.to_common.matrix() @ own_from_image)


@dataclass(frozen=True, slots=True, eq=False)
class ImageSamples:
    """The usable samples of a camera's trajectories in its image.

    Attributes:
        trajectory: int64 (N,), index of the trajectory.
        tick: int64 (N,), times in multiples of :data:`~mtmc.site.trajectories.STEP_S`.
        px: float64 (N, 2).
        velocity_px: float64 (N, 2), pixels per second.
    """

    trajectory: Array
    tick: Array
    px: Array
    velocity_px: Array

    @classmethod
    def of(cls, trajectories: Sequence[ImageTrajectory], scale: GroundScale) -> ImageSamples:
        """Samples of moving vehicles whose box is complete and that are far enough below the horizon."""
        parts = []
        for index, t in enumerate(trajectories):
            velocity = np.gradient(t.ground_point_px, t.tick * STEP_S, axis=0)
            is_moving = np.hypot(*velocity.T) * STEP_S > _MIN_STEP_PX
            rows = np.flatnonzero(t.is_whole & scale.is_near(t.ground_point_px) & is_moving)
            parts.append((np.full(len(rows), index), t.tick[rows], t.ground_point_px[rows], velocity[rows]))
        return cls(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class Correspondences:
    """Samples of two cameras that show one vehicle at one time, up to the clocks: R rows.

    Attributes:
        cameras: a and b.
        rows: int64 (R,) each, rows of the two cameras' samples.
        b_minus_a_s: float64 (R,), difference of the sampling times by the given clocks.
        pair: int64 (R,), index in ``trajectories``.
        trajectories: Indices of the trajectories in a and in b of each pair.
    """

    cameras: tuple[str, str]
    rows: tuple[Array, Array]
    b_minus_a_s: Array
    pair: Array
    trajectories: tuple[tuple[int, int], ...]


def bundle_adjust(
    poses: dict[str, CameraPose],
    trajectories: Mapping[str, Sequence[ImageTrajectory]],
    scales: Mapping[str, GroundScale],
) -> tuple[dict[str, CameraPose], list[Correspondences]]:
    """Refined poses, and the correspondences they rest on. The first camera by name defines the common ground plane.

    Args:
        poses: By camera, approximate.
        trajectories: By camera.
        scales: By camera.
    """
    samples = {camera: ImageSamples.of(trajectories[camera], scales[camera]) for camera in poses}
    start_clock_s = {camera: pose.clock_correction_s for camera, pose in poses.items()}
    correspondences: list[Correspondences] = []
    previous: list[tuple[tuple[int, int], ...]] = []
    for distance_m in _INLIER_DISTANCES_M:
        matches = [
            match_trajectories((a, b), poses, samples, scales, distance_m) for a, b in combinations(sorted(poses), 2)
        ]
        correspondences = [match for match in matches if len(match.trajectories) >= _MIN_PAIRS]
        matched = [match.trajectories for match in correspondences]
        if not correspondences or matched == previous:
            break
        previous = matched
        problem = _Problem(poses, samples, scales, correspondences, distance_m, start_clock_s)
        poses = problem.solve()
    return poses, correspondences


# Matching


def match_trajectories(
    cameras: tuple[str, str],
    poses: Mapping[str, CameraPose],
    samples: Mapping[str, ImageSamples],
    scales: Mapping[str, GroundScale],
    max_distance_m: float,
) -> Correspondences:
    """Trajectories of two cameras that run along each other on the ground plane, each with its best partner.

    The mean over common samples of min(distance / D, 2)² must be less than 1. The score of a pair of trajectories is
    one minus this mean, times the number of common samples up to 12.

    Args:
        cameras: a and b.
        poses: By camera.
        samples: By camera.
        scales: By camera.
        max_distance_m: D.
    """
    a, b = (samples[camera] for camera in cameras)
    clock_b_minus_a_s = poses[cameras[0]].clock_correction_s - poses[cameras[1]].clock_correction_s
    row_a, row_b = simultaneous_rows(a.tick, b.tick, round(clock_b_minus_a_s / STEP_S))
    position_a, position_b = (
        project(s.px, poses[camera].matrix(scales[camera])) for s, camera in zip((a, b), cameras, strict=True)
    )
    distance_m = np.hypot(*(position_a[row_a] - position_b[row_b]).T)

    trajectories_b = b.trajectory.max(initial=0) + 1
    key, pair_of_row = np.unique(a.trajectory[row_a] * trajectories_b + b.trajectory[row_b], return_inverse=True)
    count = np.bincount(pair_of_row, minlength=len(key))
    squares = np.bincount(pair_of_row, np.minimum(distance_m / max_distance_m, 2.0) ** 2, minlength=len(key))
    mean = squares / np.maximum(count, 1)
    is_near = (count >= _MIN_COMMON_SAMPLES) & (mean < 1.0)
    score = np.where(is_near, (1.0 - mean) * np.minimum(count, _MAX_COMMON_SAMPLES), 0.0)

    index_a, index_b = np.divmod(key, trajectories_b)
    chosen = np.flatnonzero(best_of_both(score, index_a, index_b))
    rows, pair = _evenly_spread_rows(pair_of_row, chosen)
    row_a, row_b = row_a[rows], row_b[rows]
    difference_s = b.tick[row_b] * STEP_S - a.tick[row_a] * STEP_S
    members = tuple(zip(index_a[chosen].tolist(), index_b[chosen].tolist(), strict=True))
    return Correspondences(cameras, (row_a, row_b), difference_s, pair, members)


def _evenly_spread_rows(pair_of_row: Array, chosen: Array) -> tuple[Array, Array]:
    """At most 8 rows of each chosen pair, evenly spread, and the number of the pair: int64 (R,), int64 (R,)."""
    rows, pair = [np.zeros(0, int)], [np.zeros(0, int)]
    for number, k in enumerate(chosen.tolist()):
        of_pair = np.flatnonzero(pair_of_row == k)
        steps = np.linspace(0, len(of_pair) - 1, min(len(of_pair), _USED_SAMPLES)).round().astype(int)
        rows.append(of_pair[steps])
        pair.append(np.full(len(steps), number))
    return np.concatenate(rows), np.concatenate(pair)


def residuals_m(
    matches: Correspondences,
    poses: Mapping[str, CameraPose],
    samples: Mapping[str, ImageSamples],
    scales: Mapping[str, GroundScale],
) -> Array:
    """Differences of the ground positions of corresponding samples, a − b: float64 (R, 2), meters.

    Ticks coincide only to a quarter of a second once the clocks are corrected. The sample of a is therefore moved
    along its velocity in the image by the time that is left.
    """
    (a, b), (row_a, row_b) = matches.cameras, matches.rows
    time_left_s = matches.b_minus_a_s + poses[b].clock_correction_s - poses[a].clock_correction_s
    px_a = samples[a].px[row_a] + samples[a].velocity_px[row_a] * time_left_s[:, None]
    position_a = project(px_a, poses[a].matrix(scales[a]))
    position_b = project(samples[b].px[row_b], poses[b].matrix(scales[b]))
    return position_a - position_b


# Least squares


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """One round's least-squares problem.

    Attributes:
        poses: Start values by camera.
        samples: By camera.
        scales: By camera, the origin of the prior.
        correspondences: Of pairs of cameras.
        distance_m: Distance from which the loss no longer grows.
        start_clock_s: Clock corrections by registration, by camera.
    """

    poses: Mapping[str, CameraPose]
    samples: Mapping[str, ImageSamples]
    scales: Mapping[str, GroundScale]
    correspondences: Sequence[Correspondences]
    distance_m: float
    start_clock_s: Mapping[str, float]

    def solve(self) -> dict[str, CameraPose]:
        """The poses of the least error.

        The finite-difference Jacobian is dense: a sparsity pattern (``jac_sparsity``) groups its columns, which
        changes results in their last digits and saves nothing for the usual two to six cameras.
        """
        start = self._to_vector(self.poses)
        is_free = np.ones(len(start), bool)
        is_free[[_UNKNOWNS.index(name) for name in _GAUGE]] = False  # of the first camera

        def with_fixed(free: Array) -> Array:
            unknowns = start.copy()
            unknowns[is_free] = free
            return unknowns

        def errors(free: Array) -> Array:
            return self._errors(with_fixed(free))

        found = least_squares(
            errors,
            start[is_free],
            x_scale="jac",
            tr_solver="lsmr",
            max_nfev=_MAX_EVALUATIONS,
        )
        return self._to_poses(with_fixed(found.x))

    def _errors(self, unknowns: Array) -> Array:
        poses = self._to_poses(unknowns)
        parts = [_PRIOR_WEIGHT * (unknowns - self._prior_mean()) / self._prior_sigma()]
        parts += [self._weighted_residuals(matches, poses) for matches in self.correspondences]
        return np.asarray(np.nan_to_num(np.concatenate(parts), nan=_FAR_M))

    def _weighted_residuals(self, matches: Correspondences, poses: Mapping[str, CameraPose]) -> Array:
        """Residuals of bounded length d / √(1 + d²/D²); each pair of trajectories weighs 1: float64 (2R,)."""
        residual = residuals_m(matches, poses, self.samples, self.scales)
        length = np.minimum(np.nan_to_num(np.hypot(*residual.T), nan=_FAR_M), _FAR_M)
        bounded = length / np.sqrt(1 + (length / self.distance_m) ** 2)
        weight = 1 / np.sqrt(np.bincount(matches.pair)[matches.pair])
        return np.asarray((residual / np.maximum(length, 1e-9)[:, None] * (bounded * weight)[:, None]).ravel())

    def _prior_mean(self) -> Array:
        means = []
        for camera in sorted(self.poses):
            mean = dict.fromkeys(_UNKNOWNS, 0.0)
            mean["log_focal"] = np.log(self.scales[camera].focal)
            mean["clock"] = self.start_clock_s[camera]
            means.append(list(mean.values()))
        return np.concatenate(means)

    def _prior_sigma(self) -> Array:
        """Standard deviations of the prior.

        A clock that registration left as it was is held harder: where there are few correspondences, a clock error
        could otherwise compensate for an error of the translation.
        """
        sigmas = []
        for camera in sorted(self.poses):
            clock_sigma_s = _SEARCHED_CLOCK_SIGMA_S if self.start_clock_s[camera] else _GIVEN_CLOCK_SIGMA_S
            sigmas.append(list((_PRIOR_SIGMA | {"clock": clock_sigma_s}).values()))
        return np.concatenate(sigmas)

    def _to_vector(self, poses: Mapping[str, CameraPose]) -> Array:
        """All cameras' unknowns, camera by camera in order of name: float64 (8C,)."""
        return np.concatenate([_unknowns_of(poses[camera], self.scales[camera]) for camera in sorted(poses)])

    def _to_poses(self, unknowns: Array) -> dict[str, CameraPose]:
        rows = unknowns.reshape(-1, len(_UNKNOWNS))
        return {
            camera: _pose_of(row, self.scales[camera]) for camera, row in zip(sorted(self.poses), rows, strict=True)
        }


def _unknowns_of(pose: CameraPose, scale: GroundScale) -> Array:
    """The unknowns of a camera in the order of ``_UNKNOWNS``: float64 (8,)."""
    rotation_scale, translation = pose.to_common.rotation_scale, pose.to_common.translation
    values = {
        "log_focal": np.log(pose.focal),
        "horizon": (pose.horizon_px - scale.horizon_px) / scale.size_wh[1],
        "roll": pose.roll,
        "rotation": np.angle(rotation_scale),
        "log_scale": np.log(abs(rotation_scale)),
        "x": translation.real / _METERS_PER_UNIT,
        "y": translation.imag / _METERS_PER_UNIT,
        "clock": pose.clock_correction_s,
    }
    return np.array([values[name] for name in _UNKNOWNS])


def _pose_of(unknowns: Array, scale: GroundScale) -> CameraPose:
    """The inverse of :func:`_unknowns_of`."""
    value = dict(zip(_UNKNOWNS, unknowns, strict=True))
    to_common = Similarity2D(
        complex(np.exp(value["log_scale"] + 1j * value["rotation"])),
        complex(_METERS_PER_UNIT * value["x"], _METERS_PER_UNIT * value["y"]),
    )
    return CameraPose(
        float(np.exp(value["log_focal"])),
        float(scale.horizon_px + value["horizon"] * scale.size_wh[1]),
        float(value["roll"]),
        to_common,
        float(value["clock"]),
    )
