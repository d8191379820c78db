"""Appearance: embeddings, their cosines, and the log-likelihood ratio of a cosine.

The cosines of an embedder have no scale of their own. Two sets of pairs give one. Pairs that no route connects are of
two vehicles (negatives): their cosines show what different vehicles look like in these cameras. The candidate pairs
are a mixture of one vehicle and two, of which expectation maximization finds the first part, starting from pairs that
are certain, and weighing each pair by what motion says about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import expit

from mtmc.errors import WeightsError
from mtmc.types import Array, Passage

__all__ = [
    "AppearanceModel",
    "CameraMeans",
    "appearance_log_odds",
    "embeddings_of",
    "fit_appearance",
    "pair_cosines",
    "remove_camera_mean",
    "sample_negative_pairs",
]

_GRID = np.linspace(-1.0, 1.0, 401)  # of cosines
_EM_ROUNDS = 60
_NEGATIVES = 60_000  # pairs sampled
_MIN_NEGATIVES = 1500  # from so many on they have a density of their own
_MIN_MATCHES = 15  # certain pairs that give a start
_START_WEIGHT = 5.0  # w, pseudo-count of the start
_MIN_SIGMA = 0.04  # of a density
_NEWTON_STEPS, _MIN_SHIFT = 3, -6.0  # of the prior log odds
_CAMERA_PRIOR = 20.0  # passages of a camera that count as much as all other cameras' mean

_PAIRS_PER_BLOCK = 200_000
_ROWS_PER_BLOCK = 2_000  # of embeddings
_PASSAGES_PER_PRODUCT = 128

_PRIOR_LOW, _PRIOR_HIGH, _PRIOR_STEPS = -8.0, 4.0, 8  # prior log odds are counted in eighths between these


# Embeddings


def embeddings_of(passages: Sequence[Passage], dtype: type = np.float64) -> Array:
    """Embeddings as rows: (N, D) of ``dtype``, zeros where a passage has none.

    Raises:
        WeightsError: They are of different sizes.
    """
    sizes = sorted({len(p.embedding) for p in passages} - {0})
    if len(sizes) > 1:
        raise WeightsError(
            f"expected embeddings of one size, got {' and '.join(map(str, sizes))}",
            remedy="describe all cameras with the same weights",
        )
    rows: Array = np.zeros((len(passages), sizes[0] if sizes else 0), dtype)
    for row, passage in zip(rows, passages, strict=True):
        if len(passage.embedding):
            row[:] = passage.embedding
    return rows


@dataclass(frozen=True, slots=True, eq=False)
class CameraMeans:
    """What all embeddings of a camera have in common: its light and its viewpoint.

    Attributes:
        mean: float32 (C, D), one row per camera, drawn towards the overall mean where a camera has few embeddings.
        overall: float32 (D,), for cameras without embeddings.
    """

    mean: Array
    overall: Array

    @classmethod
    def fit(cls, embeddings: Array, camera: Array) -> CameraMeans:
        """With n embeddings of mean m in a camera and an overall mean M: (n·m + 20·M) / (n + 20).

        Args:
            embeddings: (N, D), rows of zeros are ignored.
            camera: int64 (N,), from 0 to C − 1.
        """
        vectors = embeddings.astype(np.float32, copy=False)
        is_known = np.asarray(vectors.any(axis=1))
        # Rows of zeros add nothing to the sum.
        overall = vectors.sum(axis=0, dtype=np.float64) / max(is_known.sum(), 1)
        mean = np.tile(overall.astype(np.float32), (int(camera.max(initial=-1)) + 1, 1))
        for c in np.unique(camera[is_known]):
            own = vectors[np.flatnonzero(is_known & (camera == c))]
            share = len(own) / (len(own) + _CAMERA_PRIOR)
            mean[c] = (share * own.mean(axis=0) + (1 - share) * overall).astype(np.float32)
        return cls(mean, overall.astype(np.float32))

    def remove(self, embeddings: Array, camera: Array) -> Array:
        """Unit vectors without their camera's mean: float32 (N, D). Rows of zeros stay zero."""
        out = embeddings.astype(np.float32)
        is_known = np.asarray(out.any(axis=1))
        for c in np.unique(camera[is_known]):
            rows = np.flatnonzero(is_known & (camera == c))
            own = out[rows]
            own -= self.mean[c]
            own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-9)
            out[rows] = own
        return out


def remove_camera_mean(embeddings: Array, camera: Array) -> Array:
    """:meth:`CameraMeans.remove` with the means of the same embeddings: float32 (N, D)."""
    return CameraMeans.fit(embeddings, camera).remove(embeddings, camera)


# Cosines of pairs


def pair_cosines(embeddings: Array, pairs: Array, start_s: Array) -> Array:
    """Cosine of each pair: (P,) of the embeddings' own precision, NaN where one has no embedding.

    Passages that start together share most of their partners. Blocks of them in order of time therefore make dense
    matrix products.

    Args:
        embeddings: (N, D), unit rows or zeros.
        pairs: int (P, 2).
        start_s: float64 (N,).
    """
    out = np.full(len(pairs), np.nan, embeddings.dtype)
    block_of_passage = np.empty(len(start_s), np.int32)
    block_of_passage[np.argsort(start_s, kind="stable")] = np.arange(len(start_s)) // _PASSAGES_PER_PRODUCT
    block_of_pair = block_of_passage[pairs[:, 0]]
    edges = np.cumsum(np.bincount(block_of_pair))
    is_known = np.asarray(embeddings.any(axis=1))
    for block in np.split(np.argsort(block_of_pair, kind="stable"), edges[:-1]):
        block = block[is_known[pairs[block]].all(axis=1)]
        first, row = np.unique(pairs[block, 0], return_inverse=True)
        second, column = np.unique(pairs[block, 1], return_inverse=True)
        out[block] = (embeddings[first] @ embeddings[second].T)[row, column]
    return out


def sample_negative_pairs(embeddings: Array, camera: Array, keys: Array) -> Array:
    """Cosines of pairs of two cameras that are no candidates, hence of two vehicles: float32 (S,).

    Args:
        embeddings: (N, D), unit rows or zeros.
        camera: int64 (N,).
        keys: int64 (P,), sorted, ``first * N + second`` of the candidates.
    """
    n = len(camera)
    furthest = max(n - 1, 1)
    count = min(furthest, -(-_NEGATIVES // n))
    steps = np.unique(np.linspace(1, furthest, count)).astype(np.int64)
    is_known = np.asarray(embeddings.any(axis=1))
    out = [np.zeros(0, np.float32)]
    for step in steps.tolist():
        a = np.arange(n - step)
        b = a + step
        is_negative = (camera[a] != camera[b]) & is_known[a] & is_known[b] & ~_is_among(a * n + b, keys)
        a, b = a[is_negative], b[is_negative]
        for begin in range(0, len(a), _ROWS_PER_BLOCK):
            block = slice(begin, begin + _ROWS_PER_BLOCK)
            out.append(np.einsum("ij,ij->i", embeddings[a[block]], embeddings[b[block]]))
    return np.concatenate(out)


def _is_among(values: Array, ordered: Array) -> Array:
    """Whether each value occurs in a sorted array: bool (K,)."""
    if not len(ordered):
        return np.zeros(len(values), bool)
    at = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return np.asarray(ordered[at] == values)


# The log-likelihood ratio of a cosine


@dataclass(frozen=True, slots=True, eq=False)
class AppearanceModel:
    """The log-likelihood ratio of one vehicle to two, as a function of the cosine.

    Attributes:
        log_ratio: float64 (401,), at cosines from −1 to 1 in steps of 0.005, ascending.
    """

    log_ratio: Array

    @classmethod
    def uninformative(cls) -> AppearanceModel:
        """The model that gives 0 for every cosine."""
        return cls(np.zeros(len(_GRID)))

    def log_odds(self, cosine: Array) -> Array:
        """Log-likelihood ratios, linearly interpolated, 0 where a cosine is NaN: float64 (P,)."""
        out = np.zeros(len(cosine))
        for begin in range(0, len(cosine), _PAIRS_PER_BLOCK):
            block = slice(begin, begin + _PAIRS_PER_BLOCK)
            out[block] = np.nan_to_num(np.interp(cosine[block], _GRID, self.log_ratio))
        return out


@dataclass(frozen=True, slots=True)
class _Normal:
    mean: float
    sigma: float

    def log_density(self, values: Array) -> Array:
        z = (values - self.mean) / self.sigma
        return np.asarray(-0.5 * np.square(z) - np.log(self.sigma * np.sqrt(2 * np.pi)))


def appearance_log_odds(
    cosine: Array,
    negatives: Array,
    matches: Array,
    prior: Array,
    threshold: float,
    limit: float,
    outlier_rate: float = 0.0,
) -> Array:
    """:func:`fit_appearance` applied to the cosines it was fitted to: float64 (P,)."""
    return fit_appearance(cosine, negatives, matches, prior, threshold, limit, outlier_rate).log_odds(cosine)


def fit_appearance(
    cosine: Array,
    negatives: Array,
    matches: Array,
    prior: Array,
    threshold: float,
    limit: float,
    outlier_rate: float = 0.0,
) -> AppearanceModel:
    r"""Fit the densities of cosines of one vehicle, f₁, and of two, f₀, by expectation maximization.

    Candidate k has the cosine cₖ and the prior log odds λₖ of all other cues. In a share ε of one vehicle's pairs the
    pictures have no more in common than those of two vehicles (partly hidden, mixed up, seen from behind), so that
    their density is (1 − ε) f₁ + ε f₀. f₁ is normal, N(μ, σ²). f₀ is a smoothed histogram of
    the negatives and of the candidates weighted by 1 − pₖ: candidates may be of other cameras than most negatives.

    E step:  Λₖ = log[(1 − ε) f₁(cₖ) / f₀(cₖ) + ε],   pₖ = sigmoid(λₖ + δ + Λₖ)
             qₖ = pₖ (1 − ε) f₁(cₖ) / ((1 − ε) f₁(cₖ) + ε f₀(cₖ))

    M step:  μ  = (Σ qₖ cₖ + w μ₀) / (Σ qₖ + w)
             σ² = (Σ qₖ (cₖ − μ)² + w (σ₀² + (μ₀ − μ)²)) / (Σ qₖ + w)
             δ ≤ 0  so that Σ sigmoid(λₖ + δ) = Σ pₖ

    (μ₀, σ₀) are the median and the spread of pairs that are certain, w = 5. σ has no upper bound: pictures of one
    vehicle from several directions may vary more than those of two vehicles. δ corrects a prior that expects too many
    matches: without it, f₁ would widen until it holds them. It is never above 0, since vehicles of one kind that no
    camera shares would then pass for matches, and no part of the result, which is Λ as a function of the cosine,
    where log f₁/f₀ is made to rise and limited. Appearance never counts against a pair by more than log ε.

    Args:
        cosine: (P,) of the candidates, NaN where unknown.
        negatives: (S,), cosines of pairs of two vehicles.
        matches: (K,), cosines of pairs that are one vehicle beyond doubt.
        prior: (P,), log odds by all other cues.
        threshold: The embedder's own threshold, used where there are too few pairs of any kind.
        limit: Largest absolute value.
        outlier_rate: ε in [0, 1).

    Source: Dempster, Laird, Rubin: Maximum likelihood from incomplete data via the EM algorithm, 1977; for δ,
    Saerens, Latinne, Decaestecker: Adjusting the outputs of a classifier to new a priori probabilities, 2002.
    """
    # Only duplicates have a prior of −∞: their boxes show the same pixels, of one vehicle or of two.
    is_used = np.isfinite(cosine) & (prior > -np.inf)
    if not is_used.any():
        return AppearanceModel.uninformative()
    rows = slice(None) if is_used.all() else np.flatnonzero(is_used)  # millions of pairs need no copy
    enough_negatives = len(negatives) >= _MIN_NEGATIVES
    background = negatives if enough_negatives else np.concatenate([negatives, cosine[rows]])
    enough_background = len(background) >= 10 * _MIN_MATCHES
    typical = _typical_negative(background) if enough_background else _Normal(threshold - 0.25, 0.2)
    start = _typical_match(matches, typical, threshold)

    cell, count, cell_prior = _histogram(cosine[rows], prior[rows])
    log_negative = _Normal(typical.mean, 1.2 * typical.sigma).log_density(_GRID)
    if enough_background:
        log_negative = _smoothed_log_density(_nearest_cell(background), np.ones(len(background)), typical)
    # Matches among the background would pass for similar vehicles; a straight tail has no room for them.
    most = np.full(len(_GRID), np.inf) if enough_negatives or not enough_background else _log_tail(background)
    log_negative = np.minimum(log_negative, most)
    all_cells, is_two = np.concatenate([_nearest_cell(negatives), cell]), np.ones(len(negatives))
    match, shift = start, 0.0
    for _ in range(_EM_ROUNDS):
        ratio = _log_ratio(match, log_negative, typical.mean, limit)
        mixed = _with_outliers(ratio, outlier_rate)
        matching = expit(cell_prior + shift + mixed[cell]) * count
        shift = _updated_shift(cell_prior, shift, matching, count)
        typical_share = np.exp(np.log1p(-outlier_rate) + ratio - mixed)
        match = _updated_match(cell, matching * typical_share[cell], start, typical)
        if enough_background:
            weights = np.concatenate([is_two, count - matching])
            log_negative = np.minimum(_smoothed_log_density(all_cells, weights, typical), most)
    return AppearanceModel(_with_outliers(_log_ratio(match, log_negative, typical.mean, limit), outlier_rate))


def _updated_shift(prior: Array, shift: float, matching: Array, count: Array) -> float:
    """The δ ≤ 0 at which the prior expects as many matches as were found: Σ sigmoid(λₖ + δ) = Σ pₖ, by Newton steps.

    Args:
        prior: float64 (K,), λ of each cell of the histogram.
        shift: δ of the round before.
        matching: float64 (K,), Σ pₖ of the pairs in each.
        count: float64 (K,), pairs in each.
    """
    for _ in range(_NEWTON_STEPS):
        p = expit(prior + shift)
        surplus, slope = count @ p - matching.sum(), max(count @ (p * (1 - p)), 1e-9)
        shift = float(np.clip(shift - surplus / slope, _MIN_SHIFT, 0.0))
    return shift


def _with_outliers(log_ratio: Array, rate: float) -> Array:
    """log[(1 − ε) r + ε] of likelihood ratios r: float64 (401,)."""
    if not rate:
        return log_ratio
    return np.asarray(np.logaddexp(np.log1p(-rate) + log_ratio, np.log(rate)))


def _log_ratio(match: _Normal, log_negative: Array, center: float, limit: float) -> Array:
    """Log f₁/f₀ that rises with the cosine, is limited, and is 1 on average for two vehicles: float64 (401,).

    The average Σ f₀ (f₁/f₀) is 1. Making the ratio rise enlarges it where few pairs were seen; what the average then
    exceeds 1 by is taken off again, so that many unrelated pairs do not seem to hold more matches than they should.
    """
    ratio = np.clip(_rising_log_ratio(match, log_negative, center), -limit, limit)
    average = np.exp(log_negative + ratio).sum() / np.exp(log_negative).sum()
    return np.asarray(ratio - max(np.log(average), 0.0))


def _log_tail(background: Array) -> Array:
    """Log of the exponential tail that continues a distribution beyond its 90 % quantile: float64 (401,) on the grid.

    With the quantiles q₇₅ and q₉₀, β = (q₉₀ − q₇₅) / log(0.25 / 0.1), the density is 0.25 / β · exp(−(c − q₇₅) / β).
    A normal distribution lies below it. Up to q₉₀ there is no bound: +∞.
    """
    low, high = np.quantile(background, [0.75, 0.9])
    beta = max(float(high - low) / np.log(0.25 / 0.1), 0.01)
    tail = np.log(0.25 / beta) - (_GRID - low) / beta
    return np.where(high < _GRID, tail, np.inf)


def _typical_negative(background: Array) -> _Normal:
    """Median of pairs that are mostly of two vehicles, and the spread below it, where none are of one vehicle."""
    center = float(np.median(background))
    below = background[background <= center] - center
    return _Normal(center, max(float(np.sqrt(np.mean(np.square(below)))), _MIN_SIGMA / 2))


def _typical_match(matches: Array, negative: _Normal, threshold: float) -> _Normal:
    """Where expectation maximization starts: from certain pairs, else between the embedder's threshold and 1."""
    if len(matches) >= _MIN_MATCHES:
        return _Normal(float(np.median(matches)), max(float(np.std(matches)), _MIN_SIGMA))
    least = min(max(threshold, negative.mean + 2 * negative.sigma), 1 - 2 * _MIN_SIGMA)
    return _Normal((least + 1) / 2, (1 - least) / np.sqrt(12))


def _histogram(cosine: Array, prior: Array) -> tuple[Array, Array, Array]:
    """Pairs counted by cosine and prior log odds, so that a round costs the same for millions of them.

    Returns:
        int64 (K,), cell of the cosine on the grid; float64 (K,), number of pairs; float64 (K,), prior log odds.
    """
    levels = round((_PRIOR_HIGH - _PRIOR_LOW) * _PRIOR_STEPS) + 1
    count = np.zeros(len(_GRID) * levels, np.int64)
    for begin in range(0, len(cosine), _PAIRS_PER_BLOCK):
        block = slice(begin, begin + _PAIRS_PER_BLOCK)
        limited = np.clip(prior[block], _PRIOR_LOW, _PRIOR_HIGH)
        level = np.round((limited - _PRIOR_LOW) * _PRIOR_STEPS).astype(np.int64)
        count += np.bincount(_nearest_cell(cosine[block]) * levels + level, minlength=len(count))
    occupied = np.flatnonzero(count)
    return occupied // levels, count[occupied].astype(float), _PRIOR_LOW + occupied % levels / _PRIOR_STEPS


def _updated_match(cell: Array, matching: Array, start: _Normal, negative: _Normal) -> _Normal:
    """The M step of :func:`fit_appearance`, with lower bounds of the mean and the spread.

    Args:
        cell: int64 (K,), cells of the histogram.
        matching: float64 (K,), Σ qₖ of the pairs in each.
        start: (μ₀, σ₀).
        negative: One vehicle is at least one spread more similar than two usually are.
    """
    values = _GRID[cell]
    total = matching.sum() + _START_WEIGHT
    mean = float((matching @ values + _START_WEIGHT * start.mean) / total)
    squares = matching @ np.square(values - mean) + _START_WEIGHT * (start.sigma**2 + (start.mean - mean) ** 2)
    return _Normal(max(mean, negative.mean + negative.sigma), max(float(np.sqrt(squares / total)), _MIN_SIGMA))


def _rising_log_ratio(match: _Normal, log_negative: Array, center: float) -> Array:
    """Log f₁ − log f₀ on the grid, made to rise with the cosine: float64 (401,).

    It is reliable at the negatives' center, where most pairs are. It is made to rise above that and to fall below it,
    so that accidents of the tails stay in the tails.
    """
    ratio = match.log_density(_GRID) - log_negative
    middle = int(np.searchsorted(_GRID, center))
    ratio[middle:] = np.maximum.accumulate(ratio[middle:])
    ratio[: middle + 1] = np.minimum.accumulate(ratio[middle::-1])[::-1]
    return np.asarray(ratio)


def _nearest_cell(values: Array) -> Array:
    """The grid point nearest to each value: int64."""
    return np.clip(np.round((values + 1) / 2 * (len(_GRID) - 1)), 0, len(_GRID) - 1).astype(np.int64)


def _smoothed_log_density(cell: Array, weight: Array, typical: _Normal) -> Array:
    """Logarithm of a kernel density estimate on the grid, mixed with a wide normal tail where little was seen.

    The width is Silverman's 0.9 σ n^(−1/5), the share of the tail 1 / √(n + 1).
    """
    spacing, total = _GRID[1] - _GRID[0], float(weight.sum()) + 1e-9
    count = np.bincount(cell, weight, minlength=len(_GRID))
    width = max(0.9 * typical.sigma * total**-0.2, 0.01)
    smooth = gaussian_filter1d(count, width / spacing, mode="constant") / (total * spacing)
    tail = np.exp(_Normal(typical.mean, 1.5 * typical.sigma).log_density(_GRID))
    tail_share = 1 / np.sqrt(total + 1)
    return np.asarray(np.log((1 - tail_share) * smooth + tail_share * tail + 1e-9))
