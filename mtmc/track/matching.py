"""Data association in one frame: which tracks are matched to which detections, in which order.

``staged`` (the default):

1. confirmed tracks by appearance within the motion gate, in a cascade: the most recently seen tracks first;
2. confirmed tracks by IoU: first those matched in the previous frame, then others of similar appearance;
3. low-scoring detections with confirmed tracks matched in the previous frame, by IoU;
4. tentative tracks with all detections that are left, by IoU: first where common motion
   (:mod:`mtmc.track.common_motion`) has taken them, then where they were.

``deepsort``, as published:

1. as above;
2. tentative tracks, and confirmed ones matched in the previous frame, by IoU;
3. as above.

``jde``, as published:

1. confirmed tracks by appearance fused with motion, all at once;
2. confirmed tracks matched in the previous frame, by IoU;
3. as above;
4. tentative tracks, by IoU.

Detections without appearance features are matched by motion alone in the first stage, by the squared Mahalanobis
distance.

Sources: N. Wojke et al. (2017), section 2.2-2.3 and listing 1; Z. Wang et al., "Towards Real-Time Multi-Object
Tracking" (2020), section 3.4; for low-scoring detections Y. Zhang et al., "ByteTrack" (2022); for enlarged boxes F.
Yang et al., "Hard to Track Objects with Irregular Motions and Similar Appearances? Make It Easier by Buffering the
Matching Space" (2023).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mtmc.geometry.boxes import expand, iou_pairs
from mtmc.track import costs, kalman
from mtmc.track.assignment import assign
from mtmc.track.config import TrackConfig
from mtmc.track.track_state import Tracks
from mtmc.types import Array, Detections

__all__ = ["MATCHING_STRATEGIES", "Matching"]

#: Seconds between frames at which ``buffer_scale`` is meant.
_STEP_S = 0.1


class Matching:
    """The matches of one frame so far, and the stages that add to them.

    Args:
        tracks: Living tracks, predicted to this frame.
        detections: Detections of this frame.
        features: Their appearance features, of unit length.
        xyah: Their boxes as the Kalman filter measures them.
        high: bool (M,), detections with a high score.
        previous: Number of the frame that was processed before this one.
        elapsed_s: Seconds since that frame.
        config: Limits and gates.
        noise: Noise of the Kalman filter.

    Attributes:
        recent: bool (N,), tracks that were matched in the previous frame.
        newest: bool (N,), tracks of a single detection.
        high: bool (M,), detections with a high score.
        track_of: int64 (M,), the track matched to each detection, −1 for none.
    """

    def __init__(
        self,
        tracks: Tracks,
        detections: Detections,
        features: Array,
        xyah: Array,
        high: Array,
        previous: int,
        elapsed_s: float,
        config: TrackConfig,
        noise: kalman.Noise,
    ) -> None:
        self.tracks = tracks
        self.config = config
        self.recent = tracks.last_seen == previous
        self.high = high
        self.track_of = np.full(len(detections), -1)
        self._detections = detections
        self._features = features
        self._xyah = xyah
        self._noise = noise
        self.newest = tracks.hits == 1
        self._elapsed_s = elapsed_s
        self._scale = 1 + (config.buffer_scale - 1) * max(elapsed_s / _STEP_S, 1)
        self._unmatched = np.ones(len(tracks), bool)
        self._iou_distance: Array | None = None

    def pairs(self) -> tuple[Array, Array]:
        """The matches: rows of detections and rows of tracks, int64 (K,) each."""
        matched = (self.track_of >= 0).nonzero()[0]
        return matched, self.track_of[matched]

    def is_complete(self) -> bool:
        """Whether no later stage can add a match: every detection has one."""
        return bool((self.track_of >= 0).all())

    def by_appearance(self, tracks: Array, *, fused: bool = False, cascade: bool = False) -> None:
        """Match high-scoring detections by appearance within the motion gate, or by motion where there is none.

        Args:
            tracks: bool (N,), the tracks that take part.
            fused: Whether the cosine distance is fused with the Mahalanobis distance.
            cascade: Whether tracks that were seen more recently choose first.
        """
        config = self.config
        has_features = self._features.shape[1] > 0

        def distance(i: Array, j: Array) -> Array:
            motion = kalman.mahalanobis(self.tracks.state.take(i, axis=0), self._xyah[j], self._noise)
            if not has_features:
                return motion
            appearance = self._appearance_distance(i, j)
            if fused:
                appearance = costs.fused_distance(appearance, motion, config.motion_weight)
            return costs.gated(appearance, motion, config.mahalanobis_gate)

        limit = config.appearance_max_distance if has_features else config.motion_only_gate
        self._match(tracks, self.high, distance, limit, cascade)

    def by_iou(self, tracks: Array, detections: Array, limit: float, *, with_appearance: bool = False) -> None:
        """Match by 1 − IoU of predicted and detected boxes.

        Args:
            tracks: bool (N,), the tracks that take part.
            detections: bool (M,), the detections that take part.
            limit: Pairs at or above this distance are not matched.
            with_appearance: Whether appearance, where there is any, must agree as well.
        """

        def distance(i: Array, j: Array) -> Array:
            cost = self._iou_distances()[i[:, None], j]
            if with_appearance and self._features.shape[1]:
                appearance = self._appearance_distance(i, j)
                cost = costs.gated(cost, appearance, self.config.appearance_max_distance)
            return cost

        self._match(tracks, detections, distance, limit)

    def _iou_distances(self) -> Array:
        """1 − IoU of all pairs that are left at the first call, for it and later stages: float64 (N, M).

        The velocity of a track with a single detection is unknown, so both boxes are enlarged before they are
        compared, the more the longer ago it was. Infinity where one of a pair is matched.
        """
        if self._iou_distance is None:
            i, j = self._unmatched.nonzero()[0], (self.track_of < 0).nonzero()[0]
            predicted, detected = kalman.to_xyxy(self.tracks.state.take(i, axis=0)), self._detections.xyxy[j][None]
            enlarged = self.newest[i]
            if self._scale > 1 and enlarged.any():
                predicted[enlarged] = expand(predicted[enlarged], self._scale)
                detected = np.where(enlarged[:, None, None], expand(detected, self._scale), detected)
            self._iou_distance = np.full((len(self.tracks), len(self._detections)), np.inf)
            self._iou_distance[i[:, None], j] = 1 - iou_pairs(predicted[:, None], detected)
        return self._iou_distance

    def by_earlier_place(self, limit: float) -> None:
        """Match the newest tracks that have not moved as others do: by 1 − IoU with the box where they were.

        Args:
            limit: Pairs at or above this distance are not matched.
        """

        def distance(i: Array, j: Array) -> Array:
            earlier = kalman.move(self.tracks.state.take(i, axis=0), -self._elapsed_s)
            boxes = expand(kalman.to_xyxy(earlier), self._scale)
            return costs.iou_distance(boxes, expand(self._detections.xyxy[j], self._scale))

        if self.tracks.has_prior.any():
            self._match(self.newest & self.tracks.has_prior, np.ones_like(self.high), distance, limit)

    def _appearance_distance(self, i: Array, j: Array) -> Array:
        return costs.cosine_distance(self.tracks.features.take(i, axis=0), self._features.take(j, axis=0))

    def _match(
        self,
        tracks: Array,
        detections: Array,
        distance: Callable[[Array, Array], Array],
        limit: float,
        cascade: bool = False,
    ) -> None:
        i = (tracks & self._unmatched).nonzero()[0]
        if not len(i):
            return
        j = (detections & (self.track_of < 0)).nonzero()[0]
        if not len(j):
            return

        cost = distance(i, j)
        if self.config.same_class:
            same = self.tracks.class_id[i][:, None] == self._detections.class_id[j]
            cost = np.where(same, cost, np.inf)

        rows, columns = assign(cost, limit, rank=-self.tracks.last_seen[i] if cascade else None)
        self.track_of[j[columns]] = i[rows]
        self._unmatched[i[rows]] = False


def _staged(matching: Matching) -> None:
    config, confirmed = matching.config, matching.tracks.confirmed
    matching.by_appearance(confirmed, cascade=True)
    if matching.is_complete():
        return
    matching.by_iou(confirmed & matching.recent, matching.high, config.iou_max_distance)
    matching.by_iou(confirmed & ~matching.recent, matching.high, config.iou_max_distance, with_appearance=True)
    _low_by_iou(matching)
    matching.by_iou(~confirmed, np.ones_like(matching.high), config.iou_max_distance)
    matching.by_earlier_place(config.iou_max_distance)


def _deepsort(matching: Matching) -> None:
    config, confirmed = matching.config, matching.tracks.confirmed
    matching.by_appearance(confirmed, cascade=True)
    matching.by_iou(~confirmed | matching.recent, matching.high, config.iou_max_distance)
    _low_by_iou(matching)


def _jde(matching: Matching) -> None:
    config, confirmed = matching.config, matching.tracks.confirmed
    matching.by_appearance(confirmed, fused=True)
    matching.by_iou(confirmed & matching.recent, matching.high, config.iou_max_distance)
    _low_by_iou(matching)
    matching.by_iou(~confirmed, matching.high, config.tentative_iou_max_distance)


def _low_by_iou(matching: Matching) -> None:
    if not matching.high.all():
        recent = matching.tracks.confirmed & matching.recent
        matching.by_iou(recent, ~matching.high, matching.config.low_iou_max_distance)


#: ``track.association`` → the stages it consists of.
MATCHING_STRATEGIES: dict[str, Callable[[Matching], None]] = {
    "staged": _staged,
    "deepsort": _deepsort,
    "jde": _jde,
}
