"""Adjacent cameras first: the steps of the winners of AI City 2021, track 3, and 2022, track 1.

As described by Liu et al. ("City-scale multi-camera vehicle tracking guided by crossroad zones", 2021) and, for the
votes of boxes, Yang et al. ("Box-grained reranking matching", 2022):

1. What a camera does to all its pictures is taken out of their embeddings (zones_bias.py).
2. Each pair of cameras that a link joins is looked at by itself, first in one direction, then in the other: of the
   tracklets that leave by the link's zone and those that come in by the other, pairs within the link's travel times
   are candidates. Without links every pair of cameras is adjacent, up to ``max_gap_s`` out of sight.
3. Their similarity is re-ranked by k-reciprocal neighbours among the tracklets of this pair and direction.
4. They are clustered with complete linkage. Two cameras and one tracklet of each make that a matching, the most alike
   first. Or else single boxes vote (zones_votes.py).
5. Pairs that share a tracklet are one identity. Identities of several cameras are clustered once more, by their mean
   embeddings and with a lower threshold, where a candidate pair of step 2 joins them.
6. What passes a camera twice is dissolved.

Travel times, zones and the order of cameras, which the winners wrote into their programs for one road, come from
``scene.yaml``. Their stricter threshold for the first pair of cameras belongs to that road and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtmc.associate.config import AssociateConfig, ZonesConfig
from mtmc.associate.gates import pairs_along_link, pairs_within_gap
from mtmc.associate.hierarchical_pairs import agglomerate_allowed
from mtmc.associate.similarity import Similarities, require_embeddings
from mtmc.associate.zones_bias import without_camera_bias
from mtmc.associate.zones_votes import Ballot, ballot
from mtmc.scene import Scene
from mtmc.types import Array, Passage
from reid.evaluation.rerank import k_reciprocal

__all__ = ["Direction", "directions", "reranked", "zones"]

_DIGITS = 9  # similarities closer than that are ties
_FADED = 3.0  # so many times ``soft_s`` outside of a window nothing is left

_Match = tuple[float, int, int]  # similarity and two rows


def zones(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> Array:
    """Label passages by these steps: int64 (N,), the first member of each's group.

    Args:
        passages: By (camera_id, track_id). Those without an embedding stay alone.
        scene: Its links say which cameras are adjacent.
        config: The choices.

    Raises:
        ConfigError: There are no embeddings, or no described boxes though ``matching`` asks for them.
        WeightsError: Embeddings of different sizes.
    """
    rules = config.zones
    embeddings = require_embeddings(passages, "zones")
    camera = np.unique([p.tracklet.camera_id for p in passages], return_inverse=True)[1]
    looks = without_camera_bias(embeddings, camera, rules)
    boxes = ballot(passages, camera, rules) if rules.matching == "boxes" else None
    described: Array = np.asarray(embeddings.any(axis=1) if boxes is None else boxes.count > 0)

    ways, matches = [], list[_Match]()
    taken: set[tuple[int, int]] = set()  # (row, other camera) that boxes have matched
    for way in directions(passages, scene, config):
        ways.append(way := way.of(np.asarray(described[way.pairs].all(axis=1))))
        if boxes is None:
            matches += _tracklets(way, looks, rules)
            continue
        free = [(a, way.to) not in taken and (b, way.start) not in taken for a, b in way.pairs.tolist()]
        found = _boxes(way.of(np.array(free, bool)), boxes, rules)
        taken |= {key for _, a, b in found for key in ((a, way.to), (b, way.start))}
        matches += found

    group = _union(matches, camera, rules.drop_repeated)
    return _merge(group, ways, looks, camera, rules)


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """The candidates of one way between two cameras.

    Attributes:
        start, to: Numbers of the cameras.
        pairs: int64 (P, 2), rows of the passages that leave and of those that come in; sorted, each once.
        late_s: float64 (P,), seconds outside of the travel time's window.
    """

    start: int
    to: int
    pairs: Array
    late_s: Array

    def of(self, chosen: Array) -> Direction:
        """These candidates only."""
        return replace(self, pairs=self.pairs[chosen], late_s=self.late_s[chosen])


def directions(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> Iterator[Direction]:
    """Candidates of every ordered pair of adjacent cameras; a pair's two directions follow each other."""
    camera = np.unique([p.tracklet.camera_id for p in passages], return_inverse=True)[1]
    start = np.array([p.tracklet.start_s for p in passages])
    end = np.array([p.tracklet.end_s for p in passages])
    slack = _FADED * config.zones.soft_s
    pairs, late = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for link in scene.links:
        wide = replace(link, min_s=link.min_s - slack, max_s=link.max_s + slack)
        pairs.append(pairs_along_link(wide, passages, start, end))
        travel = start[pairs[-1][:, 1]] - end[pairs[-1][:, 0]]
        late.append(np.maximum(np.maximum(link.min_s - travel, travel - link.max_s), 0.0))
    if not scene.links:
        pairs.append(pairs_within_gap(config.max_gap_s + slack, start, end))
        late.append(np.maximum(start[pairs[-1][:, 1]] - end[pairs[-1][:, 0]] - config.max_gap_s, 0.0))
    all_pairs, all_late = np.concatenate(pairs), np.concatenate(late)
    elsewhere = camera[all_pairs[:, 0]] != camera[all_pairs[:, 1]]
    all_pairs, all_late = all_pairs[elsewhere], all_late[elsewhere]
    order = np.lexsort([all_late, all_pairs[:, 1], all_pairs[:, 0]])
    all_pairs, all_late = all_pairs[order], all_late[order]
    new = np.diff(all_pairs, axis=0, prepend=-1).any(axis=1)
    all_pairs, all_late = all_pairs[new], all_late[new]
    way = camera[all_pairs] if len(all_pairs) else np.zeros((0, 2), np.int64)
    order = np.lexsort([way[:, 1] < way[:, 0], way.max(axis=1), way.min(axis=1)])
    edges = np.flatnonzero(np.diff(way[order], axis=0).any(axis=1)) + 1
    for rows in np.split(order, edges):
        if len(rows):
            a, b = way[rows[0]].tolist()
            yield Direction(a, b, all_pairs[rows], all_late[rows])


def reranked(a: Array, b: Array, rules: ZonesConfig, copies: int = 1) -> Array:
    """Similarity of vectors (A, D) to others (B, D): float64 (A, B), at most 1.

    Args:
        a: Unit vectors.
        b: Unit vectors.
        rules: Whether and how to re-rank. Neighbourhoods are at most a quarter of all, lest all be neighbours.
        copies: How often each vector is there, 2 if ``a`` and ``b`` are the same ones.
    """
    if not rules.rerank:
        return np.asarray(a @ b.T)
    k1 = copies * min(rules.k1, max(1, (len(a) + len(b)) // (4 * copies)))
    k2 = copies * rules.k2
    there = k_reciprocal(a, b, k1, min(k2, k1), rules.rerank_weight)
    back = k_reciprocal(b, a, k1, min(k2, k1), rules.rerank_weight)
    return np.asarray(1.0 - (there.astype(np.float64) + back.T) / 2)


def _tracklets(way: Direction, looks: Array, rules: ZonesConfig) -> list[_Match]:
    """Complete linkage of the tracklets of two cameras."""
    if not len(way.pairs):
        return []
    first, row = np.unique(way.pairs[:, 0], return_inverse=True)
    second, column = np.unique(way.pairs[:, 1], return_inverse=True)
    similarity = reranked(looks[first], looks[second], rules)[row, column] * _fading(way, rules)
    return one_to_one(way.pairs, np.where(similarity >= rules.pair_similarity, similarity, -np.inf))


def _boxes(way: Direction, boxes: Ballot, rules: ZonesConfig) -> list[_Match]:
    """Tracklets of two cameras by the votes of their boxes."""
    if not len(way.pairs):
        return []
    first, row = np.unique(way.pairs[:, 0], return_inverse=True)
    second, column = np.unique(way.pairs[:, 1], return_inverse=True)
    allowed = np.zeros((len(first), len(second)))
    allowed[row, column] = _fading(way, rules)
    here, there = boxes.rows_of(first), boxes.rows_of(second)
    similarity = reranked(boxes.vectors[here], boxes.vectors[there], rules)
    votes, share = boxes.votes(similarity, first, second, allowed, rules.top_k)
    enough = (votes >= rules.min_votes) & (share >= rules.vote_ratio)
    return one_to_one(way.pairs, np.where(enough, share, -np.inf)[row, column])


def one_to_one(pairs: Array, similarity: Array) -> list[_Match]:
    """The most alike first, each row once, ties by row; pairs of similarity −∞ never."""
    out: list[_Match] = []
    used: set[int] = set()
    similarity = np.round(similarity, _DIGITS)
    for k in np.lexsort([pairs[:, 1], pairs[:, 0], -similarity]).tolist():
        a, b = pairs[k].tolist()
        if np.isfinite(similarity[k]) and a not in used and b not in used:
            used |= {a, b}
            out.append((float(similarity[k]), a, b))
    return out


def _fading(way: Direction, rules: ZonesConfig) -> Array:
    return np.exp(-way.late_s / rules.soft_s) if rules.soft_s else np.ones(len(way.late_s))


def _union(matches: list[_Match], camera: Array, drop_repeated: bool) -> Array:
    """Identities of tracklets that matches join, none of which passes a camera twice: int64 (N,).

    Either what would is dissolved, or the match that would make it so is refused, the least alike first.
    """
    group = list(range(len(camera)))
    members = [[k] for k in group]
    for _, a, b in sorted(matches, key=lambda match: (-match[0], *match[1:])):
        first, second = sorted((group[a], group[b]))
        meet = not set(camera[members[first]].tolist()).isdisjoint(camera[members[second]].tolist())
        if first == second or (meet and not drop_repeated):
            continue
        for member in members[second]:
            group[member] = first
        members[first] += members[second]
        members[second] = []
    for rows in members:
        if len(np.unique(camera[rows])) < len(rows):
            for member in rows:
                group[member] = member
    return np.array(group, np.int64)


def _merge(group: Array, ways: list[Direction], looks: Array, camera: Array, rules: ZonesConfig) -> Array:
    """Second clustering: identities of several cameras that a candidate pair joins, by their mean embedding."""
    names, size = np.unique(group, return_counts=True)
    names = names[size > 1]
    if len(names) < 2:
        return group
    rows = [np.flatnonzero(group == name) for name in names]
    mean = np.stack([looks[r].sum(axis=0) for r in rows])
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    mean = mean / np.where(length > 0, length, 1.0)
    place = np.full(len(group), -1)
    for k, r in enumerate(rows):
        place[r] = k
    pairs = np.sort(place[np.concatenate([way.pairs for way in ways])], axis=1)
    pairs = np.unique(pairs[(pairs[:, 0] >= 0) & (pairs[:, 0] != pairs[:, 1])], axis=0)
    visits = [set(camera[r].tolist()) for r in rows]
    pairs = np.array([(a, b) for a, b in pairs.tolist() if visits[a].isdisjoint(visits[b])], np.int64).reshape(-1, 2)
    if not len(pairs):
        return group
    value = reranked(mean, mean, rules, copies=2)[pairs[:, 0], pairs[:, 1]]
    known = Similarities(mean, pairs, value, np.ones(len(pairs), bool), np.zeros((0, 2), np.int64))
    merged = agglomerate_allowed(known, rules.merge_similarity, "complete")
    out = group.copy()
    for k, r in enumerate(rows):
        out[r] = names[merged[k]]
    return out
