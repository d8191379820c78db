"""Who is matched with whom in one frame, and in which order.

=====  =======================================================  =====================================================
round  ``deepsort``                                             ``jde``
=====  =======================================================  =====================================================
first  confirmed tracks by appearance within the motion gate,   confirmed tracks by appearance fused with motion,
       the most recently seen choose first                      all at once
then   tentative tracks, and confirmed ones seen a frame ago,   confirmed tracks seen a frame ago, by overlap
       by overlap
then   (low-scoring boxes) confirmed tracks seen a frame ago, by overlap
last                                                            tentative tracks, by overlap
=====  =======================================================  =====================================================

Where boxes come without appearance the first round goes by motion alone: the squared Mahalanobis distance.

Sources: N. Wojke et al. (2017), section 2.2-2.3 and listing 1; Z. Wang et al., "Towards Real-Time Multi-Object
Tracking" (2020), section 3.4; for low-scoring boxes Y. Zhang et al., "ByteTrack" (2022); for grown boxes F. Yang et
al., "Hard to Track Objects with Irregular Motions and Similar Appearances? Make It Easier by Buffering the Matching
Space" (2023).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mtmc.geometry.boxes import expand
from mtmc.track import costs, kalman
from mtmc.track.assignment import assign
from mtmc.track.config import TrackConfig
from mtmc.track.lifecycle import Tracks
from mtmc.types import Array, Detections

__all__ = ["ROUNDS", "Matching"]


class Matching:
    """The matching of one frame: what is matched so far, and the rounds that match more.

    Args:
        tracks: Living tracks, predicted to this frame.
        detections: Its boxes.
        looks: Their appearance, of unit length.
        xyah: The boxes as the motion filter sees them.
        frame: Number of the frame.
        previous: Number of the frame that was looked at before it.
        config: Limits and gates.
        noise: Of the motion filter.
    """

    def __init__(
        self,
        tracks: Tracks,
        detections: Detections,
        looks: Array,
        xyah: Array,
        frame: int,
        previous: int,
        config: TrackConfig,
        noise: kalman.Noise,
    ) -> None:
        self.tracks, self.config = tracks, config
        self.recent = tracks.seen == previous
        self.high = detections.score >= config.high_score
        self.track_of = np.full(len(detections), -1)
        self._detections, self._looks, self._xyah, self._noise = detections, looks, xyah, noise
        self._age = frame - tracks.seen
        self._free = np.ones(len(tracks), bool)

    def pairs(self) -> tuple[Array, Array]:
        """What is matched: rows of detections and rows of tracks, int64 (K,) each."""
        boxes = (self.track_of >= 0).nonzero()[0]
        return boxes, self.track_of[boxes]

    def by_appearance(self, rows: Array, *, fused: bool = False, recent_first: bool = False) -> None:
        """Match confident boxes by looks within the motion gate; by motion alone where there are no looks."""
        tracks, config = self.tracks, self.config
        has_looks = self._looks.shape[1] > 0

        def distance(i: Array, j: Array) -> Array:
            motion = kalman.mahalanobis(tracks.motion[i], self._xyah[j], self._noise)
            if not has_looks:
                return motion
            unlike = costs.cosine_distance(tracks.feature[i], self._looks[j])
            if fused:
                unlike = costs.fused_distance(unlike, motion, config.motion_weight)
            return costs.gated(unlike, motion, config.gate_chi2)

        limit = config.appearance_max_distance if has_looks else config.motion_gate_chi2
        self._match(rows, self.high, distance, limit, recent_first)

    def by_overlap(self, rows: Array, boxes: Array, limit: float) -> None:
        """Match by overlap of the predicted boxes of tracks ``rows`` with the detected ``boxes`` (masks).

        Where a track has one box its velocity is not known, and both boxes are grown before they are compared.
        """
        scale = self.config.newborn_scale

        def distance(i: Array, j: Array) -> Array:
            predicted, detected = kalman.boxes(self.tracks.motion[i]), self._detections.xyxy[j]
            cost = costs.iou_distance(predicted, detected)
            newborn = self.tracks.hits[i] == 1
            if scale > 1 and newborn.any():
                cost[newborn] = costs.iou_distance(expand(predicted[newborn], scale), expand(detected, scale))
            return cost

        self._match(rows, boxes, distance, limit)

    def _match(
        self,
        rows: Array,
        boxes: Array,
        distance: Callable[[Array, Array], Array],
        limit: float,
        recent_first: bool = False,
    ) -> None:
        i = (rows & self._free).nonzero()[0]
        j = (boxes & (self.track_of < 0)).nonzero()[0]
        if not (len(i) and len(j)):
            return
        cost = distance(i, j)
        if self.config.same_class:
            same = self.tracks.class_id[i][:, None] == self._detections.class_id[j]
            cost = np.where(same, cost, np.inf)
        a, b = assign(cost, limit, rank=self._age[i] if recent_first else None)
        self.track_of[j[b]] = i[a]
        self._free[i[a]] = False


def _deepsort(m: Matching) -> None:
    confirmed, config = m.tracks.confirmed, m.config
    m.by_appearance(confirmed, recent_first=True)
    m.by_overlap(~confirmed | m.recent, m.high, config.iou_max_distance)
    if config.high_score > 0:
        m.by_overlap(confirmed & m.recent, ~m.high, config.low_iou_max_distance)


def _jde(m: Matching) -> None:
    confirmed, config = m.tracks.confirmed, m.config
    m.by_appearance(confirmed, fused=True)
    m.by_overlap(confirmed & m.recent, m.high, config.iou_max_distance)
    if config.high_score > 0:
        m.by_overlap(confirmed & m.recent, ~m.high, config.low_iou_max_distance)
    m.by_overlap(~confirmed, m.high, config.tentative_iou_max_distance)


#: ``association`` → the rounds it consists of.
ROUNDS: dict[str, Callable[[Matching], None]] = {"deepsort": _deepsort, "jde": _jde}
