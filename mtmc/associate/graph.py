"""The project's own association: a sparse graph of candidate pairs, log odds for each, a constrained solver.

::

    ways.py       where each passage was at common moments
    meetings.py   who was near whom in two cameras; small errors of calibrations and clocks taken out
    evidence.py   cues as log odds, which add up
    solve.py      groups with the most in their favour that nothing forbids

A pair is a candidate if two cameras saw something near one place at one moment, or if one passage can be the other's
continuation: along a link of the scene, or over the ground, or, where neither is known, within ``max_gap_s``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtmc.associate.clocks import clock_shifts
from mtmc.associate.config import GraphConfig
from mtmc.associate.distance import embeddings_of, pair_cosines
from mtmc.associate.evidence import appearance_odds, heading_odds, place_odds, time_odds, window_odds
from mtmc.associate.gates import along, within
from mtmc.associate.meetings import find_meetings, group_median, mutual_best, register
from mtmc.associate.solve import contract, improve
from mtmc.associate.ways import TICK_S, Ways, sample_ways
from mtmc.scene import Link, Scene
from mtmc.types import Array, Passage

__all__ = ["Graph", "group"]

_MOVING_MPS = 2.0
_ENOUGH = 15  # pairs that give a scale


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
        self.camera = np.unique(names, return_inverse=True)[1].astype(np.int64)
        use_ground = max_ground_m is not None
        ways = sample_ways(passages if use_ground else [])
        if use_ground and len(ways.owner):
            ways = self._agree(ways)
        if not use_ground:
            blank = np.full(len(passages), -1)
            start = np.array([p.tracklet.start_s for p in passages])
            end = np.array([p.tracklet.end_s for p in passages])
            ways = Ways(ways.owner, ways.tick, ways.xy, ways.velocity, blank, blank, start, end)
        self.ways = ways
        self.start, self.end = ways.start_s, ways.end_s
        self.embeddings = embeddings_of(passages)
        self.pairs, self.odds = self._candidates()

    def _agree(self, ways: Ways) -> Ways:
        """Ways with what overlapping views show of clocks and calibrations taken out.

        Each is found better once the other is known, hence twice; the second time what is left of both is small.
        """
        late = np.zeros(len(self.passages))
        placed = ways
        for reach_m in (6.0, 3.0) if self.config.correct_clocks else (0.0,):
            if reach_m:
                late = late + clock_shifts(placed, self.camera, reach_m)
                ways = placed = sample_ways(self.passages, late)
            if self.config.register_cameras:
                placed = register(ways, self.camera, self.config.radius_m)
        return placed

    def _candidates(self) -> tuple[Array, Array]:
        meeting_pairs, meeting_odds, sure = self._meetings()
        motion = [(meeting_pairs, meeting_odds), *self._continuations()]
        pairs = np.concatenate([p for p, _ in motion])
        odds = np.concatenate([o for _, o in motion])
        pairs, odds = _strongest(pairs, odds, len(self.passages))
        seen = _keys(meeting_pairs, len(self.passages))
        # what was seen at one moment is judged by that moment, not as a continuation
        both = np.isin(_keys(pairs, len(self.passages)), seen)
        odds[both] = meeting_odds[np.searchsorted(seen, _keys(pairs[both], len(self.passages)))]
        if self.config.appearance and self.embeddings.shape[1]:
            odds = odds + self.config.appearance * self._appearance(pairs, sure)
        return pairs, np.clip(odds + self.config.bias, -20.0, 20.0)

    def _meetings(self) -> tuple[Array, Array, Array]:
        """Pairs seen near each other at one moment, their log odds, and those beyond doubt."""
        config, ways = self.config, self.ways
        none = np.zeros((0, 2), np.int64)
        if not len(ways.owner):
            return none, np.zeros(0), none
        found = find_meetings(ways, self.camera, config.radius_m)
        if not len(found.pairs):
            return none, np.zeros(0), none
        nearest = mutual_best(found.pairs, found.metres, self.camera)
        residual = found.metres[nearest]
        self.sigma_m = float(np.clip(np.median(residual) / np.sqrt(2 * np.log(2)), config.least_sigma_m, 5.0))
        size = np.diff(found.begin)
        strangers = size.sum() - size[nearest].sum()
        witnesses = len(np.unique(found.row))
        self.per_m2 = max(float(strangers), 1.0) * 2 / max(witnesses, 1) / (np.pi * config.radius_m**2)
        self.per_m2 = float(np.clip(self.per_m2, 2e-4, 0.02))
        odds = place_odds(found.metres, self.sigma_m, self.per_m2)
        odds = np.maximum(odds, -12.0) + self._headings(found.row, found.begin)
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
        return np.nan_to_num(heading_odds(middle, self.config.heading), nan=0.0)

    def _continuations(self) -> list[tuple[Array, Array]]:
        out = [self._steady_course()]
        out += [self._by_link(link) for link in self.scene.links]
        if not len(self.ways.owner):
            out.append(self._by_time())
        return [(p, o) for p, o in out if len(p)]

    def _steady_course(self) -> tuple[Array, Array]:
        """Continuations over the ground: where the one's course and the other's, run on to the middle, meet."""
        config, ways = self.config, self.ways
        none = np.zeros((0, 2), np.int64), np.zeros(0)
        if not len(ways.owner):
            return none
        pairs = within(config.continue_s, self.start, self.end)
        a, b = pairs.T
        gap = self.start[b] - self.end[a]
        same = self.camera[a] == self.camera[b]
        ok = (
            (ways.first[a] >= 0)
            & (ways.first[b] >= 0)
            & (gap > -2 * TICK_S)
            & (~same | ((gap > 0) & (gap <= config.join_s)))
        )
        a, b, same = a[ok], b[ok], same[ok]
        if not len(a):
            return none
        out_row, in_row = ways.last[a], ways.first[b]
        gap = np.maximum((ways.tick[in_row] - ways.tick[out_row]) * TICK_S, 0.0)
        v, w = ways.velocity[out_row], ways.velocity[in_row]
        meet_a = ways.xy[out_row] + v * (gap / 2)[:, None]
        meet_b = ways.xy[in_row] - w * (gap / 2)[:, None]
        error = np.hypot(*(meet_a - meet_b).T)
        speed = np.maximum(np.hypot(*v.T), np.hypot(*w.T))
        sigma = getattr(self, "sigma_m", 1.5) + config.drift_mps * gap + 0.1 * speed * gap
        near = error < 4 * sigma
        a, b, error, sigma, speed, out_row, in_row = (x[near] for x in (a, b, error, sigma, speed, out_row, in_row))
        odds = place_odds(error, sigma, getattr(self, "per_m2", 0.002))
        both = np.minimum(np.hypot(*ways.velocity[out_row].T), np.hypot(*ways.velocity[in_row].T)) > _MOVING_MPS
        cosine = (ways.velocity[out_row] * ways.velocity[in_row]).sum(axis=1) / np.maximum(speed**2, 1e-9)
        odds += np.where(both, heading_odds(np.clip(cosine, -1, 1), 1.0), 0.0)
        return np.stack([np.minimum(a, b), np.maximum(a, b)], axis=1), odds

    def _by_link(self, link: Link) -> tuple[Array, Array]:
        """Continuations along a link of the scene."""
        pairs = along(link, self.passages, self.start, self.end)
        if not len(pairs):
            return pairs, np.zeros(0)
        a, b = pairs.T
        arriving = len(np.unique(b))
        span = max(self.end.max() - self.start.min(), 1.0)
        per_s = max(arriving, 1) / span
        travel = self.start[b] - self.end[a]
        if link.typical_s is not None and link.spread_s is not None:
            odds = time_odds(travel, link.typical_s, max(link.spread_s, 0.5), per_s)
        else:
            odds = np.full(len(a), float(window_odds(link.max_s - link.min_s, per_s)))
        unseen = np.array(
            [not self.passages[i].exit or not self.passages[j].entry for i, j in zip(a, b, strict=True)]
        )
        odds = np.clip(odds, -6.0, 3.0) - np.where(unseen, 1.0, 0.0)
        if link.share is not None:
            odds += np.log(max(link.share, 0.05))
        return np.stack([np.minimum(a, b), np.maximum(a, b)], axis=1), odds

    def _by_time(self) -> tuple[Array, Array]:
        """Nothing is known of the place: any two cameras, within the longest time out of sight."""
        pairs = within(self.max_gap_s, self.start, self.end)
        pairs = pairs[self.camera[pairs[:, 0]] != self.camera[pairs[:, 1]]]
        pairs = np.sort(pairs, axis=1)
        cameras = max(int(self.camera.max(initial=0)), 1)
        rivals = max(2 * len(pairs) / max(len(self.passages), 1) / cameras, 1.0)
        return pairs, np.full(len(pairs), -np.log(rivals))

    def _appearance(self, pairs: Array, sure: Array) -> Array:
        """Log odds of the cosines, on a scale that the data themselves give.

        Most candidates are different vehicles, so the bulk of the cosines says what those look like. Pairs beyond
        doubt on the ground say what one vehicle looks like; where there are too few, pairs that are each other's most
        alike do, and among very few vehicles the embedder's own threshold.
        """
        cosine = pair_cosines(self.embeddings, pairs, self.start)
        known = np.flatnonzero(np.isfinite(cosine))
        if not len(known):
            return np.zeros(len(pairs))
        other, spread = _centre(cosine[known])
        same = pair_cosines(self.embeddings, sure, self.start)
        same = same[np.isfinite(same)]
        if len(same) < _ENOUGH:
            same = cosine[known[mutual_best(pairs[known], -cosine[known], self.camera)]]
        if len(same) < _ENOUGH:
            same = np.array([2 * self.match_similarity - other])
        high = max(float(np.median(same)), other + 0.05)
        return appearance_odds(cosine, high, other, max(spread, 0.05), self.config.appearance_limit)

    def excluded(self, these: list[int], those: list[int]) -> bool:
        """Whether two groups hold passages that cannot be one vehicle."""
        return any(self._impossible(i, j) for i in these for j in those)

    def _impossible(self, i: int, j: int) -> bool:
        start, end = self.start, self.end
        if start[j] < start[i]:
            i, j = j, i
        gap = start[j] - end[i]
        if self.camera[i] == self.camera[j]:
            return bool(gap <= 0 or gap > self.config.join_s)
        ways = self.ways
        if ways.first[i] < 0 or ways.first[j] < 0:
            return False
        a, b = slice(ways.first[i], ways.last[i] + 1), slice(ways.first[j], ways.last[j] + 1)
        lo, hi = max(ways.tick[a.start], ways.tick[b.start]), min(ways.tick[a.stop - 1], ways.tick[b.stop - 1])
        if lo <= hi:
            first = ways.xy[a.start + lo - ways.tick[a.start] : a.start + hi - ways.tick[a.start] + 1]
            second = ways.xy[b.start + lo - ways.tick[b.start] : b.start + hi - ways.tick[b.start] + 1]
            return bool(np.median(np.hypot(*(first - second).T)) > self.config.radius_m)
        jump = np.hypot(*(ways.xy[b.start] - ways.xy[a.stop - 1]))
        return bool(jump > self.config.radius_m + self.max_speed_mps * max(gap, 0.0))


def _centre(values: Array) -> tuple[float, float]:
    """Median, and standard deviation from the values below it, which no pairs of one vehicle spoil."""
    middle = float(np.median(values))
    below = middle - values[values <= middle]
    return middle, float(np.sqrt(np.mean(below**2)))


def _keys(pairs: Array, n: int) -> Array:
    return np.asarray(pairs[:, 0] * n + pairs[:, 1])


def _strongest(pairs: Array, odds: Array, n: int) -> tuple[Array, Array]:
    """Each pair once, with the most that any way between the two says for it."""
    order = np.lexsort([-odds, _keys(pairs, n)])
    pairs, odds = pairs[order], odds[order]
    new = np.flatnonzero(np.diff(_keys(pairs, n), prepend=-1))
    return pairs[new], odds[new].copy()


def group(graph: Graph) -> Array:
    """The solver on a graph: labels int64 (N,)."""
    n = len(graph.passages)
    labels = contract(n, graph.pairs, graph.odds, graph.excluded)
    return improve(labels, graph.pairs, graph.odds, graph.excluded)
