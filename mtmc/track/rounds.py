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

Where boxes come without appearance the first round goes by overlap with the predicted box.

Sources: N. Wojke et al. (2017), section 2.2-2.3 and listing 1; Z. Wang et al., "Towards Real-Time Multi-Object
Tracking" (2020), section 3.4; for low-scoring boxes Y. Zhang et al., "ByteTrack" (2022).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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
        detections: Its boxes; appearance of unit length or absent.
        frame: Its number.
        previous: Number of the frame before it that was looked at.
        config: Limits and gates.
        noise: Of the motion filter.
    """

    def __init__(
        self,
        tracks: Tracks,
        detections: Detections,
        frame: int,
        previous: int,
        config: TrackConfig,
        noise: kalman.Noise,
    ) -> None:
        self.tracks, self.detections, self.config = tracks, detections, config
        self.age = frame - tracks.seen
        self.recent = tracks.seen == previous
        self.high = detections.score >= config.high_score
        self.track_of = np.full(len(detections), -1)
        self._free = np.ones(len(tracks), bool)
        self._noise = noise
        self.xyah = kalman.measure(detections.xyxy)
        self._predicted = kalman.boxes(tracks.motion)

    def pairs(self) -> tuple[Array, Array]:
        """What is matched: rows of detections and rows of tracks, int64 (K,) each."""
        boxes = np.flatnonzero(self.track_of >= 0)
        return boxes, self.track_of[boxes]

    def by_appearance(self, rows: Array, *, fused: bool, recent_first: bool) -> None:
        """Match by looks within the motion gate; by overlap where there are no looks."""
        tracks, config = self.tracks, self.config
        has_looks = self.detections.appearance.shape[1] > 0

        def distance(i: Array, j: Array) -> Array:
            motion = kalman.mahalanobis(tracks.motion[i], self.xyah[j], self._noise)
            if has_looks:
                unlike = costs.cosine_distance(tracks.feature[i], self.detections.appearance[j])
            else:
                unlike = costs.iou_distance(self._predicted[i], self.detections.xyxy[j])
            if fused and has_looks:
                unlike = costs.fused_distance(unlike, motion, config.motion_weight)
            return costs.gated(unlike, motion, config.gate_chi2)

        limit = config.appearance_max_distance if has_looks else config.motion_max_distance
        self._match(rows, self.high, distance, limit, recent_first)

    def by_overlap(self, rows: Array, boxes: Array, limit: float, *, recent_first: bool = False) -> None:
        """Match by overlap of the predicted boxes of tracks ``rows`` with the detected ``boxes`` (masks)."""

        def distance(i: Array, j: Array) -> Array:
            return costs.iou_distance(self._predicted[i], self.detections.xyxy[j])

        self._match(rows, boxes, distance, limit, recent_first)

    def _match(
        self, rows: Array, boxes: Array, distance: Callable[[Array, Array], Array], limit: float, recent_first: bool
    ) -> None:
        i = np.flatnonzero(rows & self._free)
        j = np.flatnonzero(boxes & (self.track_of < 0))
        if not (len(i) and len(j)):
            return
        cost = distance(i, j)
        if self.config.same_class:
            same = self.tracks.class_id[i][:, None] == self.detections.class_id[j]
            cost = np.where(same, cost, np.inf)
        a, b = assign(cost, limit, rank=self.age[i] if recent_first else None)
        self.track_of[j[b]] = i[a]
        self._free[i[a]] = False


def _deepsort(m: Matching) -> None:
    confirmed, config = m.tracks.confirmed, m.config
    m.by_appearance(confirmed, fused=False, recent_first=True)
    m.by_overlap(~confirmed | m.recent, m.high, config.iou_max_distance)
    m.by_overlap(confirmed & m.recent, ~m.high, config.low_iou_max_distance)


def _jde(m: Matching) -> None:
    confirmed, config = m.tracks.confirmed, m.config
    m.by_appearance(confirmed, fused=True, recent_first=False)
    m.by_overlap(confirmed & m.recent, m.high, config.iou_max_distance)
    m.by_overlap(confirmed & m.recent, ~m.high, config.low_iou_max_distance)
    m.by_overlap(~confirmed, m.high, config.tentative_iou_max_distance)


#: ``association`` → the rounds it consists of.
ROUNDS: dict[str, Callable[[Matching], None]] = {"deepsort": _deepsort, "jde": _jde}
