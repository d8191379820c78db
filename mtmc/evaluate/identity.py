"""Identity scores: IDF1, IDP and IDR.

Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking", ECCV Workshops 2016.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mtmc.evaluate.assignment import best_matching
from mtmc.evaluate.match import Pairs
from mtmc.formats.table import Table

__all__ = ["Identity", "identity_scores"]


class Identity(NamedTuple):
    """Boxes under the best one-to-one matching of true to predicted identities, over all cameras and frames."""

    idtp: int
    idfp: int
    idfn: int

    @property
    def idp(self) -> float:
        """IDTP / (IDTP + IDFP), 0 without predictions."""
        return self.idtp / max(1, self.idtp + self.idfp)

    @property
    def idr(self) -> float:
        """IDTP / (IDTP + IDFN), 0 without truth."""
        return self.idtp / max(1, self.idtp + self.idfn)

    @property
    def idf1(self) -> float:
        """2 IDTP / (2 IDTP + IDFP + IDFN), 0 when there is nothing at all."""
        return 2 * self.idtp / max(1, 2 * self.idtp + self.idfp + self.idfn)


def identity_scores(truth: Table, predicted: Table, pairs: Pairs) -> Identity:
    """Score identities, given the pairs of boxes that overlap enough to be the same vehicle.

    The paper minimises false negatives plus false positives over matchings of identities. Every matched pair of
    identities lowers both by the frames in which they overlap, so the least cost is the matching with the most such
    frames, and identities that never overlap need not enter it.
    """
    idtp = 0
    if len(pairs):
        i = np.unique(truth.id[pairs.truth], return_inverse=True)[1]
        j = np.unique(predicted.id[pairs.predicted], return_inverse=True)[1]
        width = int(j.max()) + 1
        identity_pairs, frames = np.unique(i * width + j, return_counts=True)
        chosen = best_matching(identity_pairs // width, identity_pairs % width, frames.astype(float))
        idtp = int(frames[chosen].sum())
    return Identity(idtp, len(predicted) - idtp, len(truth) - idtp)
