"""Pairwise registration: the transform between two cameras' ground planes, from synchronous motion.

Each camera has a ground plane of its own (:mod:`mtmc.site.camera_model`), whose scale is known to some 10 %. If two
cameras see the same stretch of road, one similarity transform (rotation, scale, translation) maps the trajectories of
one onto those of the other at the same times. It is found by RANSAC (Fischler and Bolles 1981):

1. Every pair of trajectories with common samples proposes the transform that maps one onto the other.
2. A transform is scored by the pairs of trajectories that it brings together, matched one to one.
3. The best transforms are refitted to their inliers until the score no longer increases.

The search is repeated over clock offsets and over two focal lengths for each camera.

*Ambiguity.* If all co-observed vehicles drive in one direction, a clock offset δ has the same effect as a translation
by velocity · δ. In this case the given clock is kept, and the translation is corrected.

*Significance.* With embeddings, pairs are weighted by appearance, and the registration is valid if its inliers are
significantly more similar than non-matching pairs. Without embeddings, the number of inliers is compared with the
number that is found with a clock shifted so far that no pair can be the same vehicle.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np

from mtmc.geometry.ground import project
from mtmc.geometry.similarity2d import Similarity2D, as_complex, fit_groups
from mtmc.site.camera_model import GroundScale
from mtmc.site.matching import simultaneous_rows
from mtmc.site.similarity import similarity_zscore
from mtmc.site.trajectories import STEP_S, ImageTrajectory
from mtmc.types import Array

__all__ = [
    "MIN_SIMILARITY_ZSCORE",
    "MIN_SIMILAR_INLIERS",
    "CoObservations",
    "GroundSamples",
    "Registration",
    "co_observe",
    "refit_similarity",
    "register_cameras",
]

# Significance.
MIN_SIMILAR_INLIERS = 2.0  # with embeddings: inliers, weighted by appearance,
MIN_SIMILARITY_ZSCORE = 5.2  # and by how many standard deviations they are more similar than non-matching pairs
_MIN_INLIERS = 5.0  # without embeddings: inliers,
_MIN_INLIER_RATIO = 1.4  # and their ratio to the number expected by chance
_CONTROL_PARTS = (0.2, 0.4, 0.6, 0.8)  # shifts of the clock by parts of the recording, at which no inlier is real
_FULL_CONFIDENCE_INLIERS = 6.0
_MIN_EXPECTED = 0.5  # inliers by chance, at least

# Co-observed samples.
_MIN_STEP_M = 0.25  # motion between two samples; a stationary vehicle fits any transform
_MIN_COMMON_SAMPLES = 4
_MAX_COMMON_SAMPLES = 12  # more samples do not make a pair more certain
_MAX_DISTANCE_M = 4.0  # inlier distance
_MIN_SUPPORT = 0.35  # mean kernel value of an inlier pair

# Search.
_FOCALS = (0.65, 1.15)  # focal lengths that are tried, in image widths
_OFFSET_PENALTY = 0.12  # share by which a clock offset of 1 s or more must increase the score
_SCALE_RANGE = (0.68, 1.47)  # of one ground plane to the other: box sizes give each to some 10 %
_MIN_EXTENT_M = 2.0  # of the trajectories that propose a transform
_MAX_RESIDUAL_M, _MAX_RESIDUAL_SHARE = 1.5, 0.1  # of a proposed transform: a constant plus a share of the extent
_MAX_HYPOTHESES = 6000  # over all clock offsets and focal lengths
_REFINED_HYPOTHESES, _REFINEMENT_ROUNDS = 4, 6
_HYPOTHESES_PER_BATCH = 64

# Refit for other focal lengths.
_REFIT_ROUNDS = 15
_ONE_DIRECTION = 0.6  # ratio of mean velocity to mean speed from which all vehicles drive in one direction

PairOfIndices = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class CoObservations:
    """Pairs of trajectories with common samples: P pairs of E rows in all, sorted by pair and time.

    Attributes:
        trajectory_a, trajectory_b: int64 (P,), indices of the two trajectories.
        begin: int64 (P,), first row of each pair.
        row_a, row_b: int64 (E,), rows in the two cameras' samples.
        weight: float64 (P,) in [0, 1], how much the appearance supports that the pair is one vehicle.
    """

    trajectory_a: Array
    trajectory_b: Array
    begin: Array
    row_a: Array
    row_b: Array
    weight: Array

    @property
    def count(self) -> Array:
        """Rows of each pair: int64 (P,)."""
        return np.diff(np.append(self.begin, len(self.row_a)))

    def indices(self, chosen: Array) -> tuple[PairOfIndices, ...]:
        """The trajectories of chosen pairs, bool (P,)."""
        return tuple(zip(self.trajectory_a[chosen].tolist(), self.trajectory_b[chosen].tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """The transform from camera a's own ground plane to camera b's.

    Attributes:
        cameras: a and b.
        focal: Focal lengths of the two in image widths, of those that were tried.
        similarity: Positions on a's ground plane → positions on b's, meters.
        clock_b_minus_a_s: What must be added to a's clock to get b's.
        searched_b_minus_a_s: The offset at which the inliers were found. It differs where all vehicles drive in one
            direction, so that the given clock was kept and the translation was corrected.
        inliers: Co-observed pairs of trajectories, matched one to one and weighted by appearance and duration.
        expected_by_chance: Inliers expected if the two cameras shared no road; equal to ``inliers`` where there are
            too few to tell.
        pairs: Indices of the inliers' trajectories in a and in b.
        similarity_zscore: How much more similar the inliers are than non-matching pairs, in standard deviations;
            None without embeddings.
    """

    cameras: tuple[str, str]
    focal: tuple[float, float]
    similarity: Similarity2D
    clock_b_minus_a_s: float
    searched_b_minus_a_s: float
    inliers: float
    expected_by_chance: float
    pairs: tuple[PairOfIndices, ...]
    similarity_zscore: float | None = None

    @property
    def is_valid(self) -> bool:
        """Whether the inliers are significant."""
        if self.inliers < _MIN_INLIER_RATIO * self.expected_by_chance:
            return False
        if self.similarity_zscore is not None:
            return self.inliers >= MIN_SIMILAR_INLIERS and self.similarity_zscore >= MIN_SIMILARITY_ZSCORE
        return self.inliers >= _MIN_INLIERS

    @property
    def confidence(self) -> float:
        """Confidence in [0, 1]: the share of inliers beyond those expected by chance, reduced where they are few."""
        share = max(0.0, 1.0 - self.expected_by_chance / max(self.inliers, 1e-9))
        return share * min(1.0, self.inliers / _FULL_CONFIDENCE_INLIERS)

    def probability(self, tried: int) -> float:
        """Probability that the two views share road, where ``tried`` pairs of cameras were registered.

        With n inliers and λ expected by chance, the log likelihood ratio of Poisson counts is
        G = n ln(n/λ) − (n − λ), and the probability 1 / (1 + tried · e^−G): the best of many pairs by chance has many
        inliers, too. With embeddings it is 1 for a valid registration: its similarity is significant among any number
        of pairs, and its inliers are beyond those of controls with the same embeddings.
        """
        if self.similarity_zscore is not None:
            return float(self.is_valid)
        expected = max(self.expected_by_chance, _MIN_EXPECTED)
        if self.inliers <= expected:
            return 1 / (1 + tried)
        log_likelihood_ratio = self.inliers * np.log(self.inliers / expected) - (self.inliers - expected)
        return float(1 / (1 + tried * np.exp(-log_likelihood_ratio)))


# Samples and co-observations


@dataclass(frozen=True, slots=True, eq=False)
class GroundSamples:
    """The usable samples of a camera's trajectories on its ground plane, for each of F focal lengths.

    Attributes:
        tick: int64 (N,), times in multiples of :data:`~mtmc.site.trajectories.STEP_S`.
        trajectory: int64 (N,), ascending.
        position: complex128 (F, N), meters.
        is_moving: bool (N,), by the first focal length.
    """

    tick: Array
    trajectory: Array
    position: Array
    is_moving: Array

    @classmethod
    def of(
        cls, trajectories: Sequence[ImageTrajectory], scale: GroundScale, focals: Sequence[float]
    ) -> GroundSamples:
        """Samples whose box is complete and that are far enough below the horizon."""
        usable = [t.is_whole & scale.is_near(t.ground_point_px) for t in trajectories]
        tick = np.concatenate(
            [np.zeros(0, np.int64), *(t.tick[u] for t, u in zip(trajectories, usable, strict=True))]
        )
        trajectory = np.repeat(np.arange(len(trajectories)), [int(u.sum()) for u in usable])
        px = np.concatenate(
            [np.zeros((0, 2)), *(t.ground_point_px[u] for t, u in zip(trajectories, usable, strict=True))]
        )
        position = np.array([as_complex(project(px, scale.ground_from_image(focal))) for focal in focals])

        step_m = np.abs(np.diff(position[0], prepend=position[0, :1]))
        is_same_trajectory = np.diff(trajectory, prepend=-1) == 0
        moved_here = is_same_trajectory & (step_m > _MIN_STEP_M)
        is_moving = moved_here | np.append(moved_here[1:], False)
        return cls(tick, trajectory, position, is_moving)

    def velocities(self, trajectories: Iterable[int], focal: int) -> Array:
        """Mean velocities of some trajectories while they move: complex128 (K,), m/s; stationary ones are omitted."""
        velocity = []
        for index in sorted(set(trajectories)):
            rows = np.flatnonzero((self.trajectory == index) & self.is_moving)
            if len(rows) > 1:
                first, last = rows[0], rows[-1]
                displacement = self.position[focal, last] - self.position[focal, first]
                velocity.append(displacement / ((self.tick[last] - self.tick[first]) * STEP_S))
        return np.array(velocity, complex)


def co_observe(
    a: GroundSamples, b: GroundSamples, offset_ticks: int, similarity_weight: Array | None = None
) -> CoObservations:
    """Pairs of trajectories that both move at several common times.

    Args:
        a: Samples of one camera.
        b: Samples of the other.
        offset_ticks: What is added to a's clock.
        similarity_weight: float64 (A, B), weights of all pairs of trajectories; None: all 1.
    """
    moving_a, moving_b = np.flatnonzero(a.is_moving), np.flatnonzero(b.is_moving)
    index_a, index_b = simultaneous_rows(a.tick[moving_a], b.tick[moving_b], offset_ticks)
    row_a, row_b = moving_a[index_a], moving_b[index_b]

    key = a.trajectory[row_a] * (b.trajectory.max(initial=0) + 1) + b.trajectory[row_b]
    order = np.lexsort((row_a, key))
    row_a, row_b, key = row_a[order], row_b[order], key[order]
    keep = _evenly_spread(key)
    row_a, row_b, key = row_a[keep], row_b[keep], key[keep]

    _, begin = np.unique(key, return_index=True)
    trajectory_a, trajectory_b = a.trajectory[row_a[begin]], b.trajectory[row_b[begin]]
    weight = np.ones(len(begin)) if similarity_weight is None else similarity_weight[trajectory_a, trajectory_b]
    return CoObservations(trajectory_a, trajectory_b, begin, row_a, row_b, weight)


def _evenly_spread(group: Array) -> Array:
    """At most 12 rows of each group, evenly spread; groups of fewer than 4 rows are dropped: bool (N,).

    Args:
        group: int64 (N,), ascending.
    """
    _, number, size = np.unique(group, return_inverse=True, return_counts=True)
    size_of_row = size[number]
    rank = np.arange(len(group)) - (np.cumsum(size) - size)[number]
    kept = np.minimum(size, _MAX_COMMON_SAMPLES)[number]
    # Row r of n is kept where floor(r · kept / n) increases.
    increases = (rank * kept) // size_of_row != ((rank - 1) * kept) // size_of_row
    return np.asarray((size_of_row >= _MIN_COMMON_SAMPLES) & increases)


# Registration


def register_cameras(
    trajectories_a: Sequence[ImageTrajectory],
    trajectories_b: Sequence[ImageTrajectory],
    scales: tuple[GroundScale, GroundScale],
    max_clock_offset_s: float = 3.0,
    similarity_weight: Array | None = None,
) -> Registration | None:
    """Find the transform between two cameras' ground planes; None where no two trajectories can be one vehicle.

    Args:
        trajectories_a: Trajectories of camera a.
        trajectories_b: Trajectories of camera b.
        scales: The two cameras' own ground planes.
        max_clock_offset_s: How far the clocks may differ.
        similarity_weight: float64 (A, B) in [0, 1], by appearance, of all pairs of trajectories; None without
            embeddings.
    """
    a = GroundSamples.of(trajectories_a, scales[0], _FOCALS)
    b = GroundSamples.of(trajectories_b, scales[1], _FOCALS)
    if not len(a.tick) or not len(b.tick):
        return None
    found = _search(a, b, _clock_offsets(a, b, max_clock_offset_s), similarity_weight)
    if found is None:
        return None

    similarity = found.similarity
    offset_s = searched_s = found.offset_ticks * STEP_S
    if found.offset_ticks:
        velocity = b.velocities((j for _, j in found.pairs), found.focals[1])
        if _is_one_direction(velocity):
            similarity = _with_translation(similarity, -_median_velocity(velocity) * offset_s)
            offset_s = 0.0

    expected, zscore = _significance(a, b, found, similarity_weight)
    return Registration(
        (trajectories_a[0].camera_id, trajectories_b[0].camera_id),
        (_FOCALS[found.focals[0]], _FOCALS[found.focals[1]]),
        similarity,
        offset_s,
        searched_s,
        found.inliers,
        expected,
        found.pairs,
        zscore,
    )


def _with_translation(similarity: Similarity2D, added: complex) -> Similarity2D:
    return Similarity2D(similarity.rotation_scale, similarity.translation + added)


def _is_one_direction(velocity: Array) -> bool:
    """Whether |Σ v| ≥ 0.6 Σ |v|: at most one vehicle in five, perhaps a wrong match, drives the other way."""
    return bool(len(velocity) and abs(velocity.sum()) >= _ONE_DIRECTION * np.abs(velocity).sum())


def _median_velocity(velocity: Array) -> complex:
    """Componentwise median, 0 for no velocities."""
    return complex(np.median(velocity.real), np.median(velocity.imag)) if len(velocity) else 0j


def _clock_offsets(a: GroundSamples, b: GroundSamples, max_s: float) -> list[int]:
    """Clock offsets to try, ticks: even steps of one second at most from −``max_s`` to ``max_s``, with 0 among them.

    Offsets at which the two recordings have no time in common are left out.
    """
    longest_s = STEP_S * max(b.tick.max() - a.tick.min(), a.tick.max() - b.tick.min(), 0)
    reach_s = min(max_s, math.ceil(longest_s))
    return _to_ticks(np.linspace(-reach_s, reach_s, 2 * math.ceil(reach_s) + 1))


def _to_ticks(seconds: Array) -> list[int]:
    return [round(float(s) / STEP_S) for s in seconds]


def refit_similarity(
    registration: Registration,
    trajectories_a: Sequence[ImageTrajectory],
    trajectories_b: Sequence[ImageTrajectory],
    scales: tuple[GroundScale, GroundScale],
    focal: tuple[float, float],
) -> Similarity2D:
    """The transform of a registration for other focal lengths than those it was found with, from the same inliers.

    Iteratively reweighted least squares with Cauchy weights 1 / (1 + (distance / 4 m)²).
    """
    a = GroundSamples.of(trajectories_a, scales[0], [focal[0]])
    b = GroundSamples.of(trajectories_b, scales[1], [focal[1]])
    observed = co_observe(a, b, round(registration.searched_b_minus_a_s / STEP_S))
    inliers = set(registration.pairs)
    is_inlier = [pair in inliers for pair in observed.indices(np.ones(len(observed.begin), bool))]
    rows = np.repeat(is_inlier, observed.count)
    if not rows.any():
        return registration.similarity

    position_a, position_b = a.position[0][observed.row_a[rows]], b.position[0][observed.row_b[rows]]
    similarity, weight = registration.similarity, np.ones(len(position_a))
    for _ in range(_REFIT_ROUNDS):
        fitted = Similarity2D.fit(position_a, position_b, weight)
        if fitted is None:
            return registration.similarity
        similarity = fitted
        weight = 1 / (1 + (np.abs(similarity.apply(position_a) - position_b) / _MAX_DISTANCE_M) ** 2)

    corrected_s = registration.searched_b_minus_a_s - registration.clock_b_minus_a_s
    if corrected_s:  # all vehicles drive in one direction, and the given clock is kept
        velocity = b.velocities((j for _, j in inliers), 0)
        similarity = _with_translation(similarity, -_median_velocity(velocity) * corrected_s)
    return similarity


# Significance


def _significance(
    a: GroundSamples, b: GroundSamples, found: _Alignment, similarity_weight: Array | None
) -> tuple[float, float | None]:
    """Inliers expected by chance, and the z-score of their similarity."""
    zscore, least = None, _MIN_INLIERS
    if similarity_weight is not None and found.pairs:
        zscore = similarity_zscore(np.array([similarity_weight[pair] for pair in found.pairs]))
        least = MIN_SIMILAR_INLIERS
    if found.inliers < least:
        return found.inliers, zscore  # not valid in any case
    by_chance = [_inliers_by_chance(a, b, part, similarity_weight) for part in _CONTROL_PARTS]
    return float(np.median(by_chance)), zscore


def _inliers_by_chance(a: GroundSamples, b: GroundSamples, part: float, similarity_weight: Array | None) -> float:
    """Inliers where the times of b are shifted cyclically by a part of their duration, so that none is real."""
    duration = max(int(np.ptp(b.tick)), 1)
    shifted = b.tick.min() + (b.tick - b.tick.min() + round(part * duration)) % duration
    found = _search(a, replace(b, tick=shifted), _to_ticks(np.array([-1.0, 0.0, 1.0])), similarity_weight)
    return 0.0 if found is None else found.inliers


# RANSAC


class _Hypothesis(NamedTuple):
    """A transform, its inliers (weighted) and their trajectories."""

    similarity: Similarity2D
    inliers: float
    pairs: tuple[PairOfIndices, ...]


class _Alignment(NamedTuple):
    """The best hypothesis, its clock offset, and the indices of its two focal lengths."""

    similarity: Similarity2D
    inliers: float
    pairs: tuple[PairOfIndices, ...]
    offset_ticks: int
    focals: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class _MatchedPositions:
    """Co-observed samples on the ground planes of one focal length each: complex128 (E,), meters."""

    a: Array
    b: Array
    observed: CoObservations


def _search(
    a: GroundSamples, b: GroundSamples, offsets: Sequence[int], similarity_weight: Array | None
) -> _Alignment | None:
    """The best transform over clock offsets (ticks) and focal lengths; None where nothing is co-observed."""
    focal_pairs = list(product(range(len(_FOCALS)), repeat=2))
    max_hypotheses = max(1, _MAX_HYPOTHESES // (len(focal_pairs) * len(offsets)))
    best: _Alignment | None = None
    best_score = -1.0
    for offset in offsets:
        factor = 1.0 - _OFFSET_PENALTY * min(abs(offset) * STEP_S, 1.0)
        observed = co_observe(a, b, offset, similarity_weight)
        if not len(observed.begin):
            continue
        for focal_a, focal_b in focal_pairs:
            matched = _MatchedPositions(
                a.position[focal_a][observed.row_a], b.position[focal_b][observed.row_b], observed
            )
            for hypothesis in _best_hypotheses(matched, max_hypotheses):
                score = hypothesis.inliers * factor
                if score > best_score + 1e-9:
                    best_score, best = score, _Alignment(*hypothesis, offset, (focal_a, focal_b))
    return best


def _best_hypotheses(matched: _MatchedPositions, limit: int) -> Iterator[_Hypothesis]:
    """The refined hypotheses of the highest scores."""
    rotation_scale, translation = _propose(matched, limit)
    if not len(rotation_scale):
        return
    scores = _scores(matched, rotation_scale, translation)
    for k in np.argsort(-scores, kind="stable")[:_REFINED_HYPOTHESES].tolist():
        yield _refine(matched, Similarity2D(complex(rotation_scale[k]), complex(translation[k])))


def _propose(matched: _MatchedPositions, limit: int) -> tuple[Array, Array]:
    """The transforms of single pairs of trajectories, the longest first: complex (H,), complex (H,)."""
    fits = fit_groups(matched.a, matched.b, matched.observed.begin)
    scale = np.abs(fits.rotation_scale)
    is_plausible = (scale > _SCALE_RANGE[0]) & (scale < _SCALE_RANGE[1])
    is_plausible &= fits.residual < _MAX_RESIDUAL_M + _MAX_RESIDUAL_SHARE * fits.extent
    is_plausible &= fits.extent > _MIN_EXTENT_M
    chosen = np.flatnonzero(is_plausible)
    chosen = chosen[np.argsort(-fits.extent[chosen], kind="stable")][:limit]
    return fits.rotation_scale[chosen], fits.translation[chosen]


def _support(matched: _MatchedPositions, rotation_scale: Array, translation: Array) -> Array:
    """Support of each pair of trajectories for each transform: (H,) → float64 (H, P) in [0, 1].

    The mean over common samples of the kernel max(0, 1 − (distance / 4 m)²), times the pair's weight and its share
    of 12 samples; 0 where the mean is at most 0.35.
    """
    # In units of the inlier distance, single precision is exact to a hundredth of a millimeter, and twice as fast.
    a, b = (np.asarray(position / _MAX_DISTANCE_M, np.complex64) for position in (matched.a, matched.b))
    factor = np.asarray(rotation_scale, np.complex64)
    offset = np.asarray(translation / _MAX_DISTANCE_M, np.complex64)
    distance = factor[:, None] * a + offset[:, None] - b
    kernel = np.maximum(1 - distance.real**2 - distance.imag**2, 0)

    observed = matched.observed
    mean = np.add.reduceat(kernel, observed.begin, axis=1) / observed.count
    duration = np.minimum(observed.count, _MAX_COMMON_SAMPLES)
    return np.where(mean > _MIN_SUPPORT, mean * observed.weight * duration / _MAX_COMMON_SAMPLES, 0.0)


def _scores(matched: _MatchedPositions, rotation_scale: Array, translation: Array) -> Array:
    """Total support of the one-to-one matches under each transform: float64 (H,)."""
    scores = np.zeros(len(rotation_scale))
    for begin in range(0, len(rotation_scale), _HYPOTHESES_PER_BATCH):
        batch = slice(begin, begin + _HYPOTHESES_PER_BATCH)
        support = _support(matched, rotation_scale[batch], translation[batch])
        scores[batch] = np.where(_is_mutual_best(support, matched.observed), support, 0).sum(axis=1)
    return scores


def _is_mutual_best(support: Array, observed: CoObservations) -> Array:
    """Pairs whose support is positive and the greatest of both their trajectories: bool (H, P)."""
    is_best = support > 0
    for trajectory in (observed.trajectory_a, observed.trajectory_b):
        order = np.argsort(trajectory, kind="stable")
        begin = np.flatnonzero(np.diff(trajectory[order], prepend=-1))
        greatest = np.maximum.reduceat(support[:, order], begin, axis=1)
        group = np.searchsorted(trajectory[order][begin], trajectory)
        is_best &= support == greatest[:, group]
    return np.asarray(is_best)


def _refine(matched: _MatchedPositions, similarity: Similarity2D) -> _Hypothesis:
    """Refit the transform to its inliers until their support no longer increases.

    A pair of n samples has the weight √n: each sample weighs 1/√n.
    """
    count = matched.observed.count
    best = _Hypothesis(similarity, -1.0, ())
    for _ in range(_REFINEMENT_ROUNDS):
        support = _support(matched, np.array([similarity.rotation_scale]), np.array([similarity.translation]))
        is_inlier = _is_mutual_best(support, matched.observed)[0]
        score = float(support[0, is_inlier].sum())
        if score <= best.inliers + 1e-9:
            break
        best = _Hypothesis(similarity, score, matched.observed.indices(is_inlier))
        if not score:
            break  # nothing to refit to

        rows = np.repeat(is_inlier, count)
        weight = np.repeat(1 / np.sqrt(count), count)[rows]
        fitted = Similarity2D.fit(matched.a[rows], matched.b[rows], weight)
        if fitted is None or not _SCALE_RANGE[0] < abs(fitted.rotation_scale) < _SCALE_RANGE[1]:
            break
        similarity = fitted
    return best
