"""Counts and medians with 90 % intervals, from S samples of what the movements may have been.

**Counts.** Samples differ in links and missing zones. Of what they all have, a share is wrong too: vehicles that were
never detected, detections of no vehicle, boxes in the wrong zone. With ρ the rate of such errors in either direction,
a count k of a sample stands for

    k − A + B,   A, B ~ Binomial(k, ρ).

The estimate is the mean over the samples, the interval goes from the 5 % to the 95 % quantile of these numbers. The
rate cannot be estimated from a run alone. ``python -m tools.bench.traffic`` measured it on scenes of its own: of
estimates k and true counts c, Σ (k − c)² = 2 ρ (1 − ρ) Σ c.

**Medians.** A median varies with the vehicles that happened to drive, too. Of n independent values the number K below
the median of their distribution is binomial with p = 1/2, so that this median lies between the order statistics x_(K)
and x_(K+1), with x_(0) = −∞ and x_(n+1) = ∞. The interval goes from the 5 % quantile of x_(K) to the 95 % quantile of
x_(K+1), both over K and over the samples. With a single sample it is the interval of a median from order statistics.

Sources: Rubin: Multiple imputation for nonresponse in surveys, 1987 (samples of what is missing); David, Nagaraja:
Order statistics, 2003, section 7.1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.stats import binom

from mtmc.types import Array

__all__ = ["MISCOUNT_RATE", "MISROUTE_RATE", "UNKNOWN", "Estimate", "estimate_counts", "estimate_median"]

# Both rates are constants from two simulated scenes, crossroads 92002 and roundabout 92001; no run changes them.

#: Share of counted vehicles that should not have been counted where they were, and number of vehicles that were not
#: counted, as a share of those that were.
MISCOUNT_RATE = 0.06

#: The same of vehicles from one place to another, which are wrong also where a link is missing altogether.
MISROUTE_RATE = 0.23

_LOW, _HIGH = 0.05, 0.95

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 90 % interval.

    Attributes:
        value: The estimate, NaN where it cannot be estimated.
        low, high: Ends of the interval, NaN where they cannot be estimated.
    """

    value: float
    low: float
    high: float


#: Unknown.
UNKNOWN = Estimate(math.nan, math.nan, math.nan)


def estimate_counts(
    samples: Sequence[Mapping[_Key, int]], miscount_rate: float = MISCOUNT_RATE, seed: int = 0
) -> dict[_Key, Estimate]:
    """Estimates of all counts that any sample has; a key that a sample lacks counts 0 there.

    Args:
        samples: The counts of each sample.
        miscount_rate: ρ.
        seed: Of the random numbers; the same arguments give the same estimates.

    >>> estimate_counts([{"a": 2}, {"a": 3}], miscount_rate=0.0)
    {'a': Estimate(value=2.5, low=2.0, high=3.0)}
    """
    rng = np.random.default_rng(seed)
    keys = dict.fromkeys(key for sample in samples for key in sample)
    return {key: _of_counts(np.array([sample.get(key, 0) for sample in samples]), miscount_rate, rng) for key in keys}


def _of_counts(counts: Array, miscount_rate: float, rng: np.random.Generator) -> Estimate:
    corrected = counts - rng.binomial(counts, miscount_rate) + rng.binomial(counts, miscount_rate)
    low, high = np.quantile(corrected, [_LOW, _HIGH], method="inverted_cdf").tolist()
    return Estimate(float(counts.mean()), float(low), float(high))


def estimate_median(samples: Sequence[Sequence[float]]) -> Estimate:
    """The median of the distribution that the values are drawn from.

    Args:
        samples: The values of each sample, at least one; equal samples may be many, as they are computed once.

    Returns:
        The median of the samples' medians; an end of the interval is NaN where no value bounds it, as with fewer than
        five values.
    """
    weights = Counter(tuple(sorted(values)) for values in samples)
    medians = np.median(np.repeat([np.median(values) for values in weights], list(weights.values())))
    at = np.unique(np.concatenate([np.array(values) for values in weights]))

    below_all, lower_is_at_most, upper_is_at_most = 0.0, np.zeros(len(at)), np.zeros(len(at))
    for values, weight in weights.items():
        n, share = len(values), weight / len(samples)
        at_most = np.searchsorted(values, at, side="right")  # values up to each position
        below_all += share * 0.5**n
        lower_is_at_most += share * binom.cdf(at_most, n, 0.5)  # P(x_(K) ≤ at)
        upper_is_at_most += share * binom.cdf(at_most - 1, n, 0.5)  # P(x_(K+1) ≤ at)
    low = math.nan if below_all >= _LOW else float(at[np.argmax(lower_is_at_most >= _LOW)])
    high = math.nan if upper_is_at_most[-1] < _HIGH else float(at[np.argmax(upper_is_at_most >= _HIGH)])
    return Estimate(float(medians), low, high)
