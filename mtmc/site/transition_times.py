r"""Whether vehicles go from an exit to an entry, and how long they take, from times and appearance alone.

*Model.* Of the M vehicles that leave, a share s makes the transition, with travel times N(τ, σ²). All other
entering vehicles are independent of them. With the gap t_ij from exit i to entry j, the ratio q_ij = w_ij / w₀ of
similarity weights, the duration T of the recording and N entering vehicles, the likelihood ratio of the exits
against no transition is

    Λ(s, τ, σ) = Π_i [ 1 − s + s · Σ_j N(t_ij; τ, σ²) q_ij T / N ],

and likewise for the entries, with the share s M / N and T / M. The smaller of the two counts: a vehicle leaves once
and enters once, and in a queue every vehicle could otherwise be paired with all others.

*Bayes factor.* Λ is averaged over s, over σ, and over τ with the prior exp(−τ / 20 s) for τ > 0 (short times out of
sight are more likely) and exp(τ / 3 s) for τ ≤ 0 (both cameras see the vehicle at once).

*Posterior.* With the most likely s, τ, σ, exit i and entry j are one vehicle with the probability
s N_ij q_ij T / N / (1 − s + Σ_j s N_ij q_ij T / N).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mtmc.types import Array

__all__ = ["TransitionEvidence", "transition_evidence"]

_CELL_S = 0.25  # spacing of τ, to which gaps are rounded
_SIGMAS_S = (0.35, 0.7, 1.4, 2.8, 5.6)
_SHARES = (0.15, 0.3, 0.5, 0.7, 0.9)
_MAX_ENTERING_SHARE = 0.95
_MEAN_TIME_OUT_OF_SIGHT_S = 20.0
_MEAN_TIME_IN_BOTH_S = 3.0  # for views that share no ground plane


@dataclass(frozen=True, slots=True, eq=False)
class TransitionEvidence:
    """What M exits and N entries say about a transition.

    Attributes:
        log_bayes_factor: Of a transition against none.
        posterior: float64 (M, N), probability of each pair to be one vehicle if there is a transition.
    """

    log_bayes_factor: float
    posterior: Array


@dataclass(frozen=True, slots=True)
class _TimeDistribution:
    """Share s, mean τ and standard deviation σ of the travel times."""

    share: float
    mean_s: float
    sigma_s: float


def transition_evidence(
    gap_s: Array, ratio: Array, span_s: float, limits_s: tuple[float, float]
) -> TransitionEvidence:
    """The Bayes factor of a transition from M exits to N entries. Equations in the module's docstring.

    Args:
        gap_s: float64 (M, N), seconds from each exit to each entry; inf where they cannot be one vehicle.
        ratio: float64 (M, N), q.
        span_s: T, seconds.
        limits_s: Least and greatest travel time.
    """
    low, high = limits_s
    times_s = np.arange(low, high + _CELL_S / 2, _CELL_S)
    of_exits, of_entries = _histograms(gap_s, ratio, limits_s, len(times_s))
    exits, entries = gap_s.shape
    log_prior = _log_prior(times_s)

    log_evidence, best_value, best = [], -np.inf, _TimeDistribution(0.5, 0.0, 1.0)
    for sigma_s in _SIGMAS_S:
        exit_ratio = _smoothed(of_exits, sigma_s) * span_s / entries
        entry_ratio = _smoothed(of_entries, sigma_s) * span_s / exits
        for share in _SHARES:
            entering_share = min(share * exits / entries, _MAX_ENTERING_SHARE)
            by_exits = np.log(1 - share + share * exit_ratio).sum(axis=0)
            by_entries = np.log(1 - entering_share + entering_share * entry_ratio).sum(axis=0)
            log_ratio = np.minimum(by_exits, by_entries) + log_prior
            log_evidence.append(np.logaddexp.reduce(log_ratio))
            k = int(log_ratio.argmax())
            if log_ratio[k] > best_value:
                best_value, best = float(log_ratio[k]), _TimeDistribution(share, float(times_s[k]), sigma_s)
    posterior = _posterior(gap_s, ratio, span_s, limits_s, best)
    return TransitionEvidence(float(np.logaddexp.reduce(log_evidence)), posterior)


def _histograms(gap_s: Array, ratio: Array, limits_s: tuple[float, float], cells: int) -> tuple[Array, Array]:
    """Weighted gaps by cell of each exit and of each entry: float64 (M, cells), float64 (N, cells)."""
    low, high = limits_s
    row, column = np.nonzero((gap_s >= low) & (gap_s <= high))
    cell = np.round((gap_s[row, column] - low) / _CELL_S).astype(np.int64)
    exits, entries = gap_s.shape
    of_exits, of_entries = np.zeros((exits, cells)), np.zeros((entries, cells))
    np.add.at(of_exits, (row, cell), ratio[row, column])
    np.add.at(of_entries, (column, cell), ratio[row, column])
    return of_exits, of_entries


def _log_prior(times_s: Array) -> Array:
    """Logarithm of the prior of τ, σ and s, at each τ: float64 (K,)."""
    density = np.exp(-np.where(times_s > 0, times_s / _MEAN_TIME_OUT_OF_SIGHT_S, -times_s / _MEAN_TIME_IN_BOTH_S))
    return np.asarray(np.log(density / density.sum() / len(_SIGMAS_S) / len(_SHARES)))


def _smoothed(histogram: Array, sigma_s: float) -> Array:
    """Convolution with N(0, σ²), per second."""
    return np.asarray(gaussian_filter1d(histogram, sigma_s / _CELL_S, axis=1, mode="constant") / _CELL_S)


def _posterior(
    gap_s: Array, ratio: Array, span_s: float, limits_s: tuple[float, float], times: _TimeDistribution
) -> Array:
    """Probability of each pair to be one vehicle: float64 (M, N)."""
    density = np.exp(-0.5 * np.square((gap_s - times.mean_s) / times.sigma_s)) / (times.sigma_s * np.sqrt(2 * np.pi))
    weight = times.share * density * ratio * span_s / gap_s.shape[1]
    is_possible = (gap_s >= limits_s[0]) & (gap_s <= limits_s[1])
    total = np.where(is_possible, weight, 0.0).sum(axis=1, keepdims=True)
    return np.asarray(weight / (1 - times.share + total))
