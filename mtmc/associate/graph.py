"""The project's own association: a sparse graph of candidate pairs, log odds for each, a constrained solver.

::

    ways.py       where each passage was at common moments
    meetings.py   who was near whom in two cameras; small errors of calibrations and clocks taken out
    courses.py    who drives on where another was lost
    doubles.py    one vehicle tracked twice at once
    travel.py     who can have come from whom along a link, or over a distance, and the times learned on the way
    planes.py     grounds that lie roughly to one another laid out on one, and journeys between them
    looks.py      appearance, on a scale that the passages give
    evidence.py   cues as log odds, which add up
    solve.py      groups with the most in their favour that nothing forbids

A pair is a candidate if two cameras saw something near one place at one moment, or if one passage can be the other's
continuation: along a link of the scene, or over the ground, or, where neither is known, within ``max_gap_s``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mtmc.associate.aligned_planes import cross_plane_transitions, to_common_plane
from mtmc.associate.config import GraphConfig
from mtmc.associate.continuations import continuation_candidates
from mtmc.associate.correlation_clustering import PairwiseLogOdds, greedy_edge_contraction, local_search
from mtmc.associate.duplicates import duplicate_candidates
from mtmc.associate.transitions import (
    Transitions,
    ground_transitions,
    link_transitions,
    pool_co_observed,
    refit_transition_times,
    unconstrained_transitions,
)
from mtmc.multiview.appearance import (
    appearance_log_odds,
    embeddings_of,
    pair_cosines,
    remove_camera_mean,
    sample_negative_pairs,
)
from mtmc.multiview.arrays import group_median, mutual_nearest, unique_sorted
from mtmc.multiview.clock_sync import estimate_clock_offsets
from mtmc.multiview.co_observation import find_co_observations
from mtmc.multiview.likelihoods import co_observation_log_odds, heading_log_odds, iou_log_odds
from mtmc.multiview.registration import refine_calibration
from mtmc.multiview.trajectories import Trajectories, ground_planes_of, sample_trajectories
from mtmc.scene import Scene
from mtmc.types import Array, Passage

__all__ = ["Graph", "group"]

_MOVING_MPS = 2.0
_ENOUGH = 15  # pairs that give a scale
_LIMIT = 20.0  # of log odds
_BROKEN = 1.0  # log odds against two tracklets of one camera being one vehicle, where nothing else is known
_UNLINKED = 1.5  # log odds against a journey that no link names, where links are known
_SIGMA_M, _PER_M2 = 1.5, 0.002  # where nobody was met


class Graph:
    """Candidate pairs of N passages with their log odds, and what can never be one vehicle."""

    def __init__(
        self,
        passages: Sequence[Passage],
        scene: Scene,
        config: GraphConfig,
        *,
        max_gap_s: float,
        max_speed_mps: float,
        max_ground_m: float | None,
        match_similarity: float,
    ) -> None:
        self.passages, self.scene, self.config = passages, scene, config
        self.max_gap_s, self.max_speed_mps, self.match_similarity = max_gap_s, max_speed_mps, match_similarity
        names = [p.tracklet.camera_id for p in passages]
        self.names, camera = np.unique(names, return_inverse=True)
        self.camera = camera.astype(np.int64)
        use_ground = max_ground_m is not None
        ways = sample_trajectories(passages if use_ground else [])
        if use_ground and len(ways.owner):
            ways = self._agree(ways)
        if not use_ground:
            blank = np.full(len(passages), -1)
            start = np.array([p.tracklet.start_s for p in passages])
            end = np.array([p.tracklet.end_s for p in passages])
            ways = Trajectories(ways.owner, ways.tick, ways.xy, ways.velocity, blank, blank, blank, start, end)
        self._plane = ways.plane  # before some are laid out on others
        self.ways = to_common_plane(ways, ground_planes_of(passages), scene.plane_transforms())
        self.start, self.end = ways.start_s, ways.end_s
        self._when = self.camera.tolist(), self.start.tolist(), self.end.tolist()
        pairs, overlap = duplicate_candidates(passages, self.camera)
        near = np.array([not self._elsewhere(i, j) for i, j in pairs.tolist()], bool)
        self._doubles, self._double_odds = pairs[near], iou_log_odds(overlap[near])
        self._one = set(map(tuple, self._doubles.tolist()))
        self.sigma_m, self.per_m2 = _SIGMA_M, _PER_M2
        self._solve()

    def _agree(self, ways: Trajectories) -> Trajectories:
        """Ways with what overlapping views show of clocks and calibrations taken out.

        Each is found better once the other is known, hence twice; the second time what is left of both is small.
        """
        late = np.zeros(len(self.passages))
        placed = ways
        for reach_m in (6.0, 3.0) if self.config.correct_clocks else (0.0,):
            if reach_m:
                offsets = estimate_clock_offsets(placed, self.camera, reach_m)
                if offsets is not None:
                    late = late + offsets.at((placed.start_s + placed.end_s) / 2, self.camera)
                    ways = placed = sample_trajectories(self.passages, late)
            if self.config.register_cameras:
                placed = refine_calibration(ways, self.camera, self.config.radius_m)
        return placed

    def _solve(self) -> None:
        """Candidates and their log odds, the second time with the travel times that the first solution found."""
        n = len(self.passages)
        meetings, met_odds, sure = self._meetings()
        courses, course_odds = self._courses()
        embeddings = remove_camera_mean(embeddings_of(self.passages, np.float32), self.camera)
        trips = self._trips(embeddings)
        parts = _keys(meetings, n), _keys(courses, n), _keys(trips, n), _keys(self._doubles, n)
        together = self._together((parts[0], parts[1], parts[3]), (met_odds, course_odds, self._double_odds))
        keys = unique_sorted(np.concatenate(parts))
        at_meeting, at_course, at_trip, at_double = (np.searchsorted(keys, k).astype(np.int32) for k in parts)
        del parts
        self.pairs = np.empty((len(keys), 2), np.int32)
        np.divmod(keys, n, out=(self.pairs[:, 0], self.pairs[:, 1]), casting="same_kind")
        looks = self._cosines(embeddings, keys, sure)
        del embeddings
        labels: Array = np.zeros(0, np.int64)
        for last in (False, True) if self.config.learn_times and len(trips.a) else (True,):
            trip_odds = (
                refit_transition_times(trips, labels[trips.a] == labels[trips.b]) if len(labels) else trips.log_odds
            )
            trip_odds = pool_co_observed(trips, trip_odds, together)
            odds = np.full(len(keys), -np.inf)
            np.maximum.at(odds, at_course, course_odds)
            np.maximum.at(odds, at_trip, trip_odds)
            odds[at_meeting] = met_odds  # what was seen at one moment is judged by that moment
            if looks is not None:
                alike = appearance_log_odds(
                    *looks, odds, self.match_similarity, self.config.appearance_limit, self.config.unlike
                )
                alike *= self.config.appearance
                odds += alike
                del alike
            odds[at_double] = self._double_odds  # boxes on each other show the same pixels: looks add nothing
            del trip_odds
            odds += self.config.bias
            known = PairwiseLogOdds(n, keys, np.clip(odds, -_LIMIT, _LIMIT, out=odds))
            labels = greedy_edge_contraction(known, self.excluded)
            if last:  # times are learned well enough without
                labels = local_search(known, labels, self.excluded)
                self.odds = known.values
            del known, odds
        self.labels = labels

    def _together(self, keys: Sequence[Array], odds: Sequence[Array]) -> Array:
        """Labels int64 (N,) of passages that are one vehicle by what the ground and the moment tell alone."""
        known = unique_sorted(np.concatenate(keys))
        values = np.full(len(known), -np.inf)
        for key, value in zip(keys, odds, strict=True):
            np.maximum.at(values, np.searchsorted(known, key), np.clip(value, -_LIMIT, _LIMIT))
        return greedy_edge_contraction(PairwiseLogOdds(len(self.passages), known, values), self.excluded)

    def _meetings(self) -> tuple[Array, Array, Array]:
        """Pairs seen near each other at one moment, their log odds, and those beyond doubt."""
        config, ways = self.config, self.ways
        none = np.zeros((0, 2), np.int64)
        if not len(ways.owner):
            return none, np.zeros(0), none
        found = find_co_observations(ways, self.camera, config.radius_m)
        if not len(found.pairs):
            return none, np.zeros(0), none
        nearest = mutual_nearest(found.pairs, found.distance_m, self.camera)
        residual = found.distance_m[nearest]
        self.sigma_m = float(np.clip(np.median(residual) / np.sqrt(2 * np.log(2)), config.least_sigma_m, 5.0))
        size = np.diff(found.begin)
        strangers = size.sum() - size[nearest].sum()
        witnesses = len(unique_sorted(found.rows.ravel()))
        self.per_m2 = max(float(strangers), 1.0) * 2 / max(witnesses, 1) / (np.pi * config.radius_m**2)
        self.per_m2 = float(np.clip(self.per_m2, 2e-4, 0.02))
        odds = co_observation_log_odds(found.distance_m, self.sigma_m, self.per_m2)
        odds = np.maximum(odds, -12.0) + self._headings(found.rows, found.begin)
        sure = found.pairs[nearest][(odds[nearest] > 3.0) & (size[nearest] >= 3)]
        return found.pairs, odds, sure

    def _headings(self, row: Array, begin: Array) -> Array:
        """Log odds of the directions in which two moved at the same moments, where both did: (P,)."""
        v, w = self.ways.velocity[row[:, 0]], self.ways.velocity[row[:, 1]]
        speed = np.hypot(*v.T), np.hypot(*w.T)
        moving = np.minimum(*speed) > _MOVING_MPS
        cosine = np.where(moving, (v * w).sum(axis=1) / np.maximum(speed[0] * speed[1], 1e-9), np.nan)
        known = np.where(np.isnan(cosine), 2.0, cosine)  # beyond all cosines, so the median of few tells
        middle = group_median(known, begin)
        share = np.add.reduceat(moving.astype(float), begin[:-1]) / np.diff(begin) if len(row) else np.zeros(0)
        middle = np.where(share > 0.5, np.minimum(middle, 1.0), np.nan)
        return np.nan_to_num(heading_log_odds(middle, self.config.heading), nan=0.0)

    def _courses(self) -> tuple[Array, Array]:
        """Continuations over the ground, within a camera or from one to the next.

        A tracker loses few of those it could go on with, so that one of them in the same camera is less likely.
        """
        found = continuation_candidates(
            self.ways,
            self.camera,
            max_extrapolation_s=self.config.continue_s,
            max_reentry_gap_s=self.config.join_s,
            sigma_m=self.sigma_m,
            extrapolation_sigma_mps=self.config.drift_mps,
            per_m2=self.per_m2,
        )
        a, b = self.camera[found.pairs.T]
        return found.pairs, (found.position + found.heading) - _BROKEN * (a == b)

    def _trips(self, embeddings: Array) -> Transitions:
        """Journeys along the links; from plane to plane; to and from others, by distance or by nothing but time."""
        config = self.config
        where = {name: k for k, name in enumerate(self.names)}
        open_ = ~np.eye(len(self.names), dtype=bool)
        for link in self.scene.links:
            if link.from_camera in where and link.to_camera in where:
                a, b = where[link.from_camera], where[link.to_camera]
                open_[a, b] = open_[b, a] = False
        parts = []
        if self.scene.links:
            parts.append(link_transitions(self.passages, self.scene, self.start, self.end, config.link_slack_s))
        longest = config.unlinked_s if self.scene.links else self.max_gap_s
        linked = len(parts)
        placed, near = self._on_one_plane(self._plane), self._on_one_plane(self.ways.plane)
        if longest and (open_ & placed).any():
            parts.append(
                ground_transitions(
                    open_ & placed, self.camera, self.ways, longest, config.typical_mps, config.heading / 2
                )
            )
        unplaced = ~near & ~np.eye(len(self.names), dtype=bool)
        if longest and unplaced.any():  # whose overlap no ground tells
            parts.append(unconstrained_transitions(unplaced, self.camera, self.start, self.end, longest, embeddings))
        if linked:  # most journeys are along the links
            parts[linked:] = [replace(p, log_odds=p.log_odds - np.float32(_UNLINKED)) for p in parts[linked:]]
        near &= ~placed & ~np.eye(len(self.names), dtype=bool)
        if longest and near.any():
            parts.append(cross_plane_transitions(near, self.camera, self.ways, longest, embeddings))
        return Transitions.concatenate(parts)

    def _on_one_plane(self, of: Array) -> Array:
        """Which cameras see one ground plane, bool (C, C), given that of each passage."""
        plane = np.full(len(self.names), -1)
        np.maximum.at(plane, self.camera, of)
        return np.asarray((plane[:, None] == plane) & (plane >= 0))

    def _cosines(self, embeddings: Array, keys: Array, sure: Array) -> tuple[Array, Array, Array] | None:
        """Cosines of the candidates, of strangers, and of pairs beyond doubt; None without any appearance."""
        if not self.config.appearance or not embeddings.shape[1]:
            return None
        cosine = pair_cosines(embeddings, self.pairs, self.start)
        same = _finite(pair_cosines(embeddings, sure, self.start))
        if len(same) < _ENOUGH:  # those that are each other's most alike, and more than most, are a start, too
            least = np.quantile(_finite(cosine), 0.75) if np.isfinite(cosine).any() else 1.0
            alike = np.flatnonzero(cosine >= least)
            same = cosine[alike[mutual_nearest(self.pairs[alike], -cosine[alike], self.camera)]]
        return cosine, sample_negative_pairs(embeddings, self.camera, keys), same

    def excluded(self, these: list[int], those: list[int]) -> bool:
        """Whether two groups hold passages that cannot be one vehicle.

        Nothing is in two places at once, nor faster than vehicles are, nor in one picture twice, but for boxes that
        lie on each other; and nobody comes back to a camera that he was out of sight of for longer than ``join_s``.
        """
        if any(self._apart(i, j) for i in these for j in those):
            return True
        camera = self._when[0]
        shared = {camera[i] for i in these} & {camera[j] for j in those}
        return any(self._away(c, these + those) for c in shared)

    def _apart(self, i: int, j: int) -> bool:
        """Whether two passages were in two places at once, or too far apart for the time between them."""
        camera, start, end = self._when
        if start[j] < start[i]:
            i, j = j, i
        if camera[i] == camera[j]:
            return start[j] <= end[i] and (min(i, j), max(i, j)) not in self._one
        return self._elsewhere(i, j)

    def _elsewhere(self, i: int, j: int) -> bool:
        """Whether ``i``, and ``j`` who came no earlier, were in two places on the ground."""
        ways = self.ways
        if ways.first[i] < 0 or ways.plane[i] != ways.plane[j]:
            return False
        a, b = slice(ways.first[i], ways.last[i] + 1), slice(ways.first[j], ways.last[j] + 1)
        lo, hi = max(ways.tick[a.start], ways.tick[b.start]), min(ways.tick[a.stop - 1], ways.tick[b.stop - 1])
        if lo <= hi:
            first = ways.xy[a.start + lo - ways.tick[a.start] : a.start + hi - ways.tick[a.start] + 1]
            second = ways.xy[b.start + lo - ways.tick[b.start] : b.start + hi - ways.tick[b.start] + 1]
            return bool(np.median(np.hypot(*(first - second).T)) > self.config.radius_m)
        gap = max(self._when[1][j] - self._when[2][i], 0.0)
        jump = np.hypot(*(ways.xy[b.start] - ways.xy[a.stop - 1]))
        return bool(jump > self.config.radius_m + self.max_speed_mps * gap)

    def _away(self, camera: int, group: list[int]) -> bool:
        """Whether a group left a camera, and everybody's sight, for longer than ``join_s`` before it came back."""
        of, start, end = self._when
        seen = sorted((start[k], end[k], k) for k in group)
        sight = seen[0][1]  # until when anybody saw it, so far
        hidden, here = 0.0, False  # since this camera saw it
        for since, until, k in seen:
            hidden += max(since - sight, 0.0)
            if of[k] == camera:
                if here and hidden > self.config.join_s:
                    return True
                hidden, here = 0.0, True
            sight = max(sight, until)
        return False


def _finite(values: Array) -> Array:
    return np.asarray(values[np.isfinite(values)])


def _keys(pairs: Array | Transitions, n: int) -> Array:
    a, b = (pairs.a, pairs.b) if isinstance(pairs, Transitions) else pairs.T
    return np.asarray(np.minimum(a, b).astype(np.int64) * n + np.maximum(a, b))


def group(graph: Graph) -> Array:
    """The solution of a graph: labels int64 (N,)."""
    return graph.labels
