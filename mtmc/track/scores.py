"""Which scores of a detector are high, by the distribution of the scores.

Detectors disagree on what a score means: what one gives to a vehicle in plain view, another gives to a shadow. So the
limit between high and low scores follows from the distribution of all scores that a tracker has seen.
"""

from __future__ import annotations

import numpy as np

from mtmc.types import Array

__all__ = ["ScoreHistogram", "split_scores"]

_N_BINS = 100
#: A score is high from this share of the mean high score on, even where the distribution has its gap above it.
_HIGH_SHARE = 0.75
#: The limit is computed again when this share of scores has been added.
_GROWTH = 1.05


def split_scores(counts: Array, high_share: float = _HIGH_SHARE) -> float:
    """The limit between low and high scores: histogram over [0, 1], int64 (B,) → score.

    Otsu's limit divides the scores into two classes so that the variance between the classes is largest. It lies in
    the gap of a distribution with two peaks. Where there is a single peak it would cut that in two, so the limit is
    at most ``high_share`` of the mean of the upper class. 0 where all scores fall into one bin.

    Source: N. Otsu, "A Threshold Selection Method from Gray-Level Histograms" (1979).

    >>> counts = np.zeros(10, np.int64)
    >>> counts[[1, 2, 8, 9]] = 5, 5, 10, 30
    >>> round(split_scores(counts), 2)
    0.6
    """
    n_bins = len(counts)
    center = (np.arange(n_bins) + 0.5) / n_bins
    weighted = counts * center
    below = counts.cumsum()[:-1]
    sum_below = weighted.cumsum()[:-1]
    total, total_sum = counts.sum(), weighted.sum()

    above = total - below
    is_split = (below > 0) & (above > 0)
    if not is_split.any():
        return 0.0
    weighted_difference = np.square(total_sum * below - total * sum_below)
    between = np.divide(weighted_difference, below * above, out=np.zeros(n_bins - 1), where=is_split)

    # Empty bins between the classes divide them equally well: the limit is the middle of the gap.
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    middle = int(best[len(best) // 2])
    high_mean = (total_sum - sum_below[middle]) / above[middle]
    return float(min((middle + 1) / n_bins, high_share * high_mean))


class ScoreHistogram:
    """The scores seen so far, and the limit from which on they are high."""

    def __init__(self) -> None:
        self.limit = 0.0
        self._counts = np.zeros(_N_BINS, np.int64)
        self._total = 0
        self._total_at_limit = 0.0

    def add(self, score: Array) -> None:
        """Take note of the scores of a frame: (N,), in [0, 1]."""
        bins = np.minimum(score * _N_BINS, _N_BINS - 1).astype(np.intp)
        np.add.at(self._counts, bins, 1)
        self._total += len(score)
        if self._total > self._total_at_limit * _GROWTH:
            self.limit = split_scores(self._counts)
            self._total_at_limit = self._total
