"""Are two pictures of one vehicle? The pairs of queries and gallery, accepted from a threshold on: the exact ROC.

A pair that a protocol leaves out of the ranking is left out here, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.data.records import JUNK
from reid.evaluation.ranks import Blocks, Labels, members

__all__ = ["FALSE_ACCEPT_RATES", "Verification", "verify"]

Array = NDArray[Any]

#: At which reports state the share of accepted pairs of one vehicle.
FALSE_ACCEPT_RATES = (1e-4, 1e-3, 1e-2)


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """The ROC at the similarities of the pairs of one vehicle, from the strictest threshold to the loosest.

    Attributes:
        threshold: float (T,), falling, all different.
        true: int64 (T,), pairs of one vehicle that are at least as similar.
        false: int64 (T,), pairs of two vehicles that are.
        same: Pairs of one vehicle.
        different: Pairs of two vehicles.
    """

    threshold: Array
    true: Array
    false: Array
    same: int
    different: int

    def true_accept_rate(self, false_accept_rate: float) -> float | None:
        """Share of accepted pairs of one vehicle, at the loosest threshold that accepts no more of the others.

        None where there are too few pairs of two vehicles to tell: fewer than one over the rate.
        """
        allowed = false_accept_rate * self.different
        if allowed < 1 - 1e-9:
            return None
        # The product of a rate and a count may fall short of a whole number by rounding.
        strict_enough = int(np.searchsorted(self.false, np.floor(allowed + 1e-9), "right"))
        return float(self.true[strict_enough - 1] / self.same) if strict_enough else 0.0

    def equal_error(self) -> tuple[float, float]:
        """The equal error rate (EER), and the threshold that has it.

        The least share e for which some threshold refuses at most e of the pairs of one vehicle and accepts at most e
        of the pairs of two. It is reached where a pair of one vehicle is accepted, so that these thresholds suffice.
        """
        worse = np.maximum(1 - self.true / self.same, self.false / self.different)
        best = int(np.argmin(worse))
        return float(worse[best]), float(self.threshold[best])

    def __str__(self) -> str:
        """One line for a terminal, in percent."""
        error, threshold = self.equal_error()
        rates = [(rate, self.true_accept_rate(rate)) for rate in FALSE_ACCEPT_RATES]
        shares = ", ".join(f"{100 * found:.2f} at FAR {rate:g}" for rate, found in rates if found is not None)
        return (
            f"pairs: TAR {shares or 'unknown'}; EER {100 * error:.2f} at similarity {threshold:.3f}; "
            f"{self.same} of one vehicle, {self.different} of two"
        )

    def as_dict(self) -> dict[str, Any]:
        """For a JSON report: the rates by name, None where there are too few pairs, and the number of pairs."""
        rates = {f"tar_at_far_{rate:g}": self.true_accept_rate(rate) for rate in FALSE_ACCEPT_RATES}
        error, threshold = self.equal_error()
        return {**rates, "eer": error, "eer_threshold": threshold, "same": self.same, "different": self.different}


def verify(blocks: Callable[[], Blocks], query: Labels, gallery: Labels, *, camera_rule: bool) -> Verification:
    """Compare every query with every gallery entry, in the memory of one block.

    Args:
        blocks: Gives the similarities, the same at both calls; see :func:`reid.evaluation.ranks.similarity_blocks`.
        query: Of the queries; those of junk are left out.
        gallery: Of the gallery, likewise.
        camera_rule: Leave out pairs of one identity by one camera.

    Raises:
        ValueError: There is no pair of one vehicle, or none of two.
    """
    of_vehicle = members(query.vehicle_id, gallery.vehicle_id)
    counted = [
        right[gallery.camera_id[right] != query.camera_id[i]] if camera_rule else right
        for i, right in enumerate(of_vehicle)
    ]
    same = sum(map(len, counted))
    pairs = np.count_nonzero(query.vehicle_id != JUNK) * np.count_nonzero(gallery.vehicle_id != JUNK)
    different = int(pairs) - sum(map(len, of_vehicle))
    if not same or not different:
        raise ValueError(f"expected pairs of one vehicle and of two, got {same} and {different}")
    positive = np.concatenate([block[i - rows.start, counted[i]] for rows, block in blocks() for i in _numbers(rows)])
    threshold, number = np.unique(positive, return_counts=True)
    false = np.zeros(len(threshold), np.int64)
    for rows, block in blocks():
        block[:, gallery.vehicle_id == JUNK] = -np.inf
        block[query.vehicle_id[rows] == JUNK] = -np.inf
        for i in _numbers(rows):
            block[i - rows.start, of_vehicle[i]] = -np.inf
        # Sorting a block and looking up the thresholds is faster than looking up every pair among them.
        flat = block.reshape(-1)
        flat.sort()
        false += len(flat) - np.searchsorted(flat, threshold, "left")
    return Verification(threshold[::-1], np.cumsum(number[::-1]), false[::-1], same, different)


def _numbers(rows: slice) -> range:
    return range(rows.start, rows.stop)
