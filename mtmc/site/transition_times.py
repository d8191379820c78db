"""Whether vehicles go from an exit to an entry, and how long they take, told from moments and looks alone.

Of those who leave, a share takes the way, and comes in after about the same time; all others who come in have nothing
to do with them and come at random. What the moments of both speak for that, against nobody taking the way, is a
likelihood ratio, summed over all shares, times and spreads there may be (a Bayes factor). Looks count as far as one
vehicle's pairs give them more often than strangers' do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mtmc.types import Array

__all__ = ["TransitionEvidence", "transition_evidence"]

_CELL_S = 0.25
_SPREADS_S = (0.35, 0.7, 1.4, 2.8, 5.6)
_SHARES = (0.15, 0.3, 0.5, 0.7, 0.9)
_OUT_OF_SIGHT_S = 20.0  # how long is usual
_BOTH_IN_SIGHT_S = (
    3.0  # where views that share no ground see a vehicle at once after all: its nose here, its tail there
)


@dataclass(frozen=True, slots=True, eq=False)
class TransitionEvidence:
    """What M exits and N entries tell.

    Attributes:
        odds: Log odds of there being a way, where as many are as are not.
        belief: float64 (M, N), how sure each pair is one vehicle, if there is.
    """

    odds: float
    belief: Array


def transition_evidence(
    gap_s: Array, ratio: Array, span_s: float, limits_s: tuple[float, float]
) -> TransitionEvidence:
    """The evidence for a way from M exits to N entries.

    A vehicle leaves once and comes in once, so a queue cannot count all with all: what counts is the less of what
    those who leave and those who come in speak for.

    Args:
        gap_s: (M, N), seconds from each exit to each entry; inf where it cannot be one vehicle.
        ratio: (M, N), how many times as often one vehicle looks like that as two strangers.
        span_s: Length of the recording, seconds.
        limits_s: Least and greatest travel time.
    """
    low, high = limits_s
    times = np.arange(low, high + _CELL_S / 2, _CELL_S)
    row, column = np.nonzero((gap_s >= low) & (gap_s <= high))
    cell = np.round((gap_s[row, column] - low) / _CELL_S).astype(np.int64)
    rows, columns = gap_s.shape
    left, came = np.zeros((rows, len(times))), np.zeros((columns, len(times)))
    np.add.at(left, (row, cell), ratio[row, column])
    np.add.at(came, (column, cell), ratio[row, column])
    usual = np.exp(-np.where(times > 0, times / _OUT_OF_SIGHT_S, -times / _BOTH_IN_SIGHT_S))
    before = np.log(usual / usual.sum() / len(_SPREADS_S) / len(_SHARES))
    evidence, best = [], (-np.inf, 0.0, 1.0, 0.5)
    for spread in _SPREADS_S:
        leaver, comer = (
            gaussian_filter1d(count, spread / _CELL_S, axis=1, mode="constant") / _CELL_S * span_s / others
            for count, others in ((left, columns), (came, rows))
        )
        for share in _SHARES:
            of_comers = min(share * rows / columns, 0.95)
            told = np.minimum(
                np.log(1 - share + share * leaver).sum(axis=0), np.log(1 - of_comers + of_comers * comer).sum(axis=0)
            )
            told += before
            evidence.append(np.logaddexp.reduce(told))
            k = int(told.argmax())
            if told[k] > best[0]:
                best = (float(told[k]), float(times[k]), spread, share)
    _, middle, spread, share = best
    density = np.exp(-0.5 * np.square((gap_s - middle) / spread)) / (spread * np.sqrt(2 * np.pi))
    weight = share * density * ratio * span_s / columns
    belief = weight / (1 - share + np.where((gap_s >= low) & (gap_s <= high), weight, 0.0).sum(axis=1, keepdims=True))
    return TransitionEvidence(float(np.logaddexp.reduce(evidence)), belief)
