"""The tracks that are alive, as parallel columns, and the rules by which they are confirmed and ended.

A track is **tentative** from its first box until ``n_init`` boxes in a row confirm it; a tentative track ends at its
first miss. A **confirmed** track that is not seen is *lost*, and ends when it has been unseen for too long.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from mtmc.track.costs import unit
from mtmc.types import Array

__all__ = ["Tracks", "remember"]


@dataclass(slots=True, eq=False)
class Tracks:
    """N living tracks of one camera, in order of birth.

    Attributes:
        id: int64 (N,), from 1, never given twice.
        hits: int64 (N,), boxes so far.
        seen: int64 (N,), frame of the latest box.
        confirmed: bool (N,).
        class_id: int64 (N,), class of the first box.
        feature: float32 (N, B, D), unit length: what the track remembers of its looks; B = 1 for a running mean.
        motion: float64 (N, 5, 4), see :mod:`mtmc.track.kalman`.
    """

    id: Array
    hits: Array
    seen: Array
    confirmed: Array
    class_id: Array
    feature: Array
    motion: Array

    @classmethod
    def none(cls) -> Tracks:
        """No tracks yet, whatever their features will be."""
        integers = np.zeros(0, np.int64)
        return cls(
            integers,
            integers,
            integers,
            np.zeros(0, bool),
            integers,
            np.zeros((0, 1, 0), np.float32),
            np.zeros((0, 5, 4)),
        )

    @classmethod
    def born(cls, first_id: int, frame: int, class_id: Array, feature: Array, motion: Array, n_init: int) -> Tracks:
        """Tracks that begin in ``frame``, numbered from ``first_id`` in the order of their boxes."""
        n = len(class_id)
        return cls(
            id=np.arange(first_id, first_id + n),
            hits=np.ones(n, np.int64),
            seen=np.full(n, frame),
            confirmed=np.full(n, n_init <= 1),
            class_id=class_id,
            feature=feature,
            motion=motion,
        )

    def __len__(self) -> int:
        return len(self.id)

    def __getitem__(self, rows: Array) -> Tracks:
        """The chosen tracks (boolean mask or indices), all columns together."""
        return Tracks(*[getattr(self, name)[rows] for name in _COLUMNS])

    def followed_by(self, younger: Tracks) -> Tracks:
        """These tracks and then the others."""
        if not len(self):
            return younger
        return Tracks(*[np.concatenate((getattr(self, name), getattr(younger, name))) for name in _COLUMNS])

    def mark_seen(self, rows: Array, frame: int, n_init: int) -> None:
        """Count a box of ``frame`` for each of the tracks ``rows`` and confirm those that have enough of them."""
        self.hits[rows] += 1
        self.seen[rows] = frame
        self.confirmed |= self.hits >= n_init


_COLUMNS = tuple(field.name for field in fields(Tracks))


def remember(feature: Array, hits: Array, new: Array, keep: float | None) -> Array:
    """What tracks remember after one more look at each.

    Args:
        feature: float32 (K, B, D).
        hits: int64 (K,), looks before this one.
        new: float32 (K, D), unit length.
        keep: Share of the running mean that stays; None replaces the oldest of B features instead.

    Returns:
        float32 (K, B, D), unit length.
    """
    if keep is None:
        feature = feature.copy()
        feature[np.arange(len(new)), hits % feature.shape[1]] = new
        return feature
    return unit(np.float32(keep) * feature + np.float32(1 - keep) * new[:, None])
