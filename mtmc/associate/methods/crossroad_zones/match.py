"""The steps of this method: candidates, re-ranking, one-to-one matching, merging. The package lists them in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from mtmc.associate.config import AssociateConfig, CrossroadZonesConfig
from mtmc.associate.gates import pairs_along_link, pairs_within_gap
from mtmc.associate.methods.crossroad_zones.box_voting import VotingBoxes, select_voting_boxes
from mtmc.associate.methods.crossroad_zones.camera_bias import remove_camera_bias
from mtmc.associate.methods.hierarchical import agglomerate_strict
from mtmc.associate.numbering import subset_labels
from mtmc.associate.similarity import Similarities, require_embeddings
from mtmc.scene import Scene
from mtmc.types import Array, Passage
from reid.evaluation.rerank import k_reciprocal

__all__ = ["Candidates", "candidates_by_direction", "crossroad_zones", "one_to_one", "reranked_similarity"]

_DIGITS = 9  # similarities closer than that are ties
_DECAY_TIMES = 3.0  # a candidate may be so many times ``time_decay_s`` outside of its travel time

_Match = tuple[float, int, int]  # similarity and two rows


def crossroad_zones(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> Array:
    """Label passages by these steps: int64 (N,), the first member of each passage's group.

    Args:
        passages: By (camera_id, track_id). Those without an embedding stay alone.
        scene: Its links say which cameras are adjacent.
        config: The settings; ``crossroad_zones``, and ``max_gap_s`` in a scene without links.

    Raises:
        ConfigError: There are no embeddings, or no described boxes though ``matching`` asks for them.
        WeightsError: Embeddings of different sizes.
    """
    rules = config.crossroad_zones
    embeddings = require_embeddings(passages, "crossroad_zones")
    camera = np.unique([p.tracklet.camera_id for p in passages], return_inverse=True)[1]
    features = remove_camera_bias(embeddings, camera, rules)
    boxes = select_voting_boxes(passages, camera, rules) if rules.matching == "boxes" else None
    described: Array = np.asarray(embeddings.any(axis=1) if boxes is None else boxes.count > 0)

    candidates: list[Candidates] = []
    matches: list[_Match] = []
    matched: set[tuple[int, int]] = set()  # (row, other camera) that boxes have matched in either direction
    for direction in candidates_by_direction(passages, scene, config):
        direction = direction.select(np.asarray(described[direction.pairs].all(axis=1)))
        candidates.append(direction)
        if boxes is None:
            matches += _match_tracklets(direction, features, rules)
            continue
        source, target = direction.from_camera, direction.to_camera
        free = [(a, target) not in matched and (b, source) not in matched for a, b in direction.pairs.tolist()]
        found = _match_boxes(direction.select(np.array(free, bool)), boxes, rules)
        matched |= {key for _, a, b in found for key in ((a, target), (b, source))}
        matches += found

    labels = _join_matches(matches, camera, rules.drop_repeated_cameras)
    return _merge_identities(labels, candidates, features, camera, rules)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The candidates of one direction between two cameras.

    Attributes:
        from_camera, to_camera: Numbers of the cameras.
        pairs: int64 (P, 2), rows of the passages that leave and of those that arrive; sorted, each once.
        outside_s: float64 (P,), seconds outside of the travel time's window, 0 within it.
    """

    from_camera: int
    to_camera: int
    pairs: Array
    outside_s: Array

    def select(self, chosen: Array) -> Candidates:
        """The chosen candidates only."""
        return replace(self, pairs=self.pairs[chosen], outside_s=self.outside_s[chosen])


def candidates_by_direction(
    passages: Sequence[Passage], scene: Scene, config: AssociateConfig
) -> Iterator[Candidates]:
    """Candidates of every ordered pair of adjacent cameras; the two directions of a pair follow each other."""
    camera = np.unique([p.tracklet.camera_id for p in passages], return_inverse=True)[1]
    pairs, outside_s = _feasible(passages, scene, config)
    between_cameras = camera[pairs[:, 0]] != camera[pairs[:, 1]]
    pairs, outside_s = pairs[between_cameras], outside_s[between_cameras]

    # A pair that several links allow counts once, by the link whose window it misses least.
    order = np.lexsort([outside_s, pairs[:, 1], pairs[:, 0]])
    pairs, outside_s = pairs[order], outside_s[order]
    is_first = np.diff(pairs, axis=0, prepend=-1).any(axis=1)
    pairs, outside_s = pairs[is_first], outside_s[is_first]

    cameras = camera[pairs] if len(pairs) else np.zeros((0, 2), np.int64)
    is_backward = cameras[:, 1] < cameras[:, 0]
    order = np.lexsort([is_backward, cameras.max(axis=1), cameras.min(axis=1)])
    bounds = np.flatnonzero(np.diff(cameras[order], axis=0).any(axis=1)) + 1
    for rows in np.split(order, bounds):
        if len(rows):
            from_camera, to_camera = cameras[rows[0]].tolist()
            yield Candidates(from_camera, to_camera, pairs[rows], outside_s[rows])


def _feasible(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> tuple[Array, Array]:
    """Pairs (earlier, later) that links or ``max_gap_s`` allow, and their seconds outside of the allowed window."""
    start = np.array([p.tracklet.start_s for p in passages])
    end = np.array([p.tracklet.end_s for p in passages])
    slack_s = _DECAY_TIMES * config.crossroad_zones.time_decay_s
    if not scene.links:
        pairs = pairs_within_gap(config.max_gap_s + slack_s, start, end)
        gap_s = start[pairs[:, 1]] - end[pairs[:, 0]]
        return pairs, np.maximum(gap_s - config.max_gap_s, 0.0)

    all_pairs, all_outside_s = [], []
    for link in scene.links:
        widened = replace(link, min_s=link.min_s - slack_s, max_s=link.max_s + slack_s)
        pairs = pairs_along_link(widened, passages, start, end)
        travel_s = start[pairs[:, 1]] - end[pairs[:, 0]]
        all_pairs.append(pairs)
        all_outside_s.append(np.maximum(np.maximum(link.min_s - travel_s, travel_s - link.max_s), 0.0))
    return np.concatenate(all_pairs), np.concatenate(all_outside_s)


def reranked_similarity(a: Array, b: Array, rules: CrossroadZonesConfig, copies: int = 1) -> Array:
    """Similarity of vectors (A, D) to others (B, D): float64 (A, B), at most 1.

    Args:
        a: Unit vectors.
        b: Unit vectors.
        rules: Whether and how to re-rank. A neighborhood is at most a quarter of all vectors, so that not every
            vector is a neighbor.
        copies: How often each vector is there, 2 if ``a`` and ``b`` are the same ones.
    """
    if not rules.rerank:
        return np.asarray(a @ b.T)
    k1 = copies * min(rules.k1, max(1, (len(a) + len(b)) // (4 * copies)))
    k2 = min(copies * rules.k2, k1)
    a_to_b = k_reciprocal(a, b, k1, k2, rules.rerank_weight)
    b_to_a = k_reciprocal(b, a, k1, k2, rules.rerank_weight)
    return np.asarray(1.0 - (a_to_b.astype(np.float64) + b_to_a.T) / 2)


def _match_tracklets(direction: Candidates, features: Array, rules: CrossroadZonesConfig) -> list[_Match]:
    """Complete linkage of the tracklets of two cameras."""
    if not len(direction.pairs):
        return []
    first, row = np.unique(direction.pairs[:, 0], return_inverse=True)
    second, column = np.unique(direction.pairs[:, 1], return_inverse=True)
    similarity = reranked_similarity(features[first], features[second], rules)[row, column]
    similarity = similarity * _time_decay(direction, rules)
    return one_to_one(direction.pairs, np.where(similarity >= rules.pair_similarity, similarity, -np.inf))


def _match_boxes(direction: Candidates, boxes: VotingBoxes, rules: CrossroadZonesConfig) -> list[_Match]:
    """Tracklets of two cameras by the votes of their boxes."""
    if not len(direction.pairs):
        return []
    first, row = np.unique(direction.pairs[:, 0], return_inverse=True)
    second, column = np.unique(direction.pairs[:, 1], return_inverse=True)
    allowed = np.zeros((len(first), len(second)))
    allowed[row, column] = _time_decay(direction, rules)
    rows_first, rows_second = boxes.rows_of(first), boxes.rows_of(second)
    similarity = reranked_similarity(boxes.vectors[rows_first], boxes.vectors[rows_second], rules)
    votes, share = boxes.votes(similarity, first, second, allowed, rules.top_k)
    enough = (votes >= rules.min_votes) & (share >= rules.vote_ratio)
    return one_to_one(direction.pairs, np.where(enough, share, -np.inf)[row, column])


def one_to_one(pairs: Array, similarity: Array) -> list[_Match]:
    """Greedy one-to-one matching: the most similar pair first, ties by row; pairs of similarity −∞ never match."""
    matches: list[_Match] = []
    used: set[int] = set()
    similarity = np.round(similarity, _DIGITS)
    for k in np.lexsort([pairs[:, 1], pairs[:, 0], -similarity]).tolist():
        a, b = pairs[k].tolist()
        if np.isfinite(similarity[k]) and a not in used and b not in used:
            used |= {a, b}
            matches.append((float(similarity[k]), a, b))
    return matches


def _time_decay(direction: Candidates, rules: CrossroadZonesConfig) -> Array:
    """Factor exp(−t / time_decay_s) of a candidate t seconds outside of its window: float64 (P,)."""
    if not rules.time_decay_s:
        return np.ones(len(direction.outside_s))
    return np.exp(-direction.outside_s / rules.time_decay_s)


def _join_matches(matches: list[_Match], camera: Array, drop_repeated_cameras: bool) -> Array:
    """Identities of tracklets that matches join, with one tracklet of a camera at most: int64 (N,).

    An identity with two tracklets of one camera is dissolved if ``drop_repeated_cameras``, else the match that would
    cause it is refused, the least similar first.
    """
    groups = DisjointSet(range(len(camera)))
    for _, a, b in sorted(matches, key=lambda match: (-match[0], *match[1:])):
        cameras_a, cameras_b = ({int(camera[k]) for k in groups.subset(x)} for x in (a, b))
        if drop_repeated_cameras or cameras_a.isdisjoint(cameras_b):
            groups.merge(a, b)

    labels = subset_labels(groups)
    for members in groups.subsets():
        rows = np.array(sorted(members))
        if len(np.unique(camera[rows])) < len(rows):
            labels[rows] = rows
    return labels


def _merge_identities(
    labels: Array, candidates: list[Candidates], features: Array, camera: Array, rules: CrossroadZonesConfig
) -> Array:
    """Second clustering: identities of several cameras that a candidate pair joins, by their mean embedding."""
    names, size = np.unique(labels, return_counts=True)
    names = names[size > 1]
    if len(names) < 2:
        return labels
    members = [np.flatnonzero(labels == name) for name in names]
    mean = np.stack([features[rows].sum(axis=0) for rows in members])
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    mean = mean / np.where(length > 0, length, 1.0)

    identity_of = np.full(len(labels), -1)
    for k, rows in enumerate(members):
        identity_of[rows] = k
    pairs = np.sort(identity_of[np.concatenate([direction.pairs for direction in candidates])], axis=1)
    pairs = np.unique(pairs[(pairs[:, 0] >= 0) & (pairs[:, 0] != pairs[:, 1])], axis=0)
    cameras = [set(camera[rows].tolist()) for rows in members]
    disjoint = [cameras[a].isdisjoint(cameras[b]) for a, b in pairs.tolist()]
    pairs = pairs[np.array(disjoint, bool)]
    if not len(pairs):
        return labels

    value = reranked_similarity(mean, mean, rules, copies=2)[pairs[:, 0], pairs[:, 1]]
    nothing = np.zeros((0, 2), np.int64)
    similarities = Similarities(mean, pairs, value, np.ones(len(pairs), bool), nothing)
    merged = agglomerate_strict(similarities, rules.merge_similarity, "complete")
    out = labels.copy()
    for k, rows in enumerate(members):
        out[rows] = names[merged[k]]
    return out
