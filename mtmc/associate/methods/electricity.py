"""The cross-camera rules of ELECTRICITY (Qian et al., CVPR Workshops 2020; AI City Challenge 2020, track 3).

Every tracklet is a query. From each other camera it selects the nearest tracklet, if that is near enough; the query
and the selected tracklets form a group. A tracklet that is far from every tracklet of the other cameras is isolated
and is deleted. Times and positions are not used.

``strict`` does what the released program does, mistakes included:

1. Queries come in the order of the file system; here by (camera_id, track_id), which stands in for it.
2. Tracklets with the same track number never match, although the number means nothing in another camera.
3. Groups overwrite each other: a tracklet moves to a later group that contains it at a smaller distance than its
   present one does. Groups therefore lose members, the result depends on the order, and the relation is not
   transitive.
4. Unmatched tracklets keep their track number as identity: two of them in different cameras with the same number
   become one false vehicle.
5. Short tracklets take part and are dropped at the end.
6. The thresholds 12 and 100 are used as they are. They belong to features that are not of unit length.

The released program also numbers cars and trucks separately, so that even one camera has numbers twice; here a
tracklet's number is unique in its camera.

``fixed`` does what is meant: nothing depends on numbers, short tracklets are removed first, and the selections of all
queries are joined in order of distance, as long as no vehicle gets two tracklets of one camera. ``calibrated`` is
``fixed`` with a threshold that fits the embeddings: two tracklets that one camera sees at the same time are certainly
different vehicles, so their distances are a sample of the distances of negative pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from mtmc.associate.config import AssociateConfig, ElectricityConfig
from mtmc.associate.gates import pairs_within_gap
from mtmc.associate.numbering import subset_labels
from mtmc.associate.similarity import require_embeddings
from mtmc.errors import ConfigError
from mtmc.scene import Scene
from mtmc.types import Array, Passage

__all__ = ["electricity"]

_BLOCK = 4_000_000  # entries of a matrix product
_DIGITS = 9  # distances closer than that are ties
_MIN_NEGATIVES = 20  # pairs that a quantile needs


def electricity(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> Array:
    """Label passages by these rules: int64 (N,), −1 for those that are deleted.

    Args:
        passages: By (camera_id, track_id). One without an embedding is isolated.
        scene: Not used by these rules.
        config: The settings; ``threshold`` is used where there are too few negative pairs for a quantile.

    Raises:
        ConfigError: There are no embeddings, or no described boxes though ``per_box`` asks for them.
        WeightsError: Embeddings of different sizes.
    """
    rules = config.electricity
    distances = _Distances.of(passages, rules)
    camera = np.unique([p.tracklet.camera_id for p in passages], return_inverse=True)[1]
    track_number = np.array([p.tracklet.track_id for p in passages])
    long_enough = np.array([len(p.tracklet) >= rules.min_boxes for p in passages])
    if rules.mode == "strict":
        distance, nearest = _nearest(distances, camera, np.ones(len(passages), bool), track_number)
        labels = _overwrite(distance, nearest, track_number, rules.match_distance)
        return np.where(long_enough & ~_isolated(distance, rules.isolation_distance), labels, -1)

    match_distance, isolation_distance = rules.match_distance, rules.isolation_distance
    if rules.mode == "calibrated":
        ratio = isolation_distance / match_distance if match_distance else np.inf
        # The squared distance of two vectors of length ``scale`` whose cosine is the threshold.
        fallback = 2 * (1 - config.threshold) * rules.scale**2
        match_distance = _calibrated(distances, passages, camera, rules, fallback)
        isolation_distance = match_distance * ratio
    distance, nearest = _nearest(distances, camera, long_enough, None)
    labels = _join(distance, nearest, camera, match_distance)
    return np.where(long_enough & ~_isolated(distance, isolation_distance), labels, -1)


@dataclass(frozen=True, slots=True, eq=False)
class _Distances:
    """Squared Euclidean distances of queries to tracklets, computed by blocks of queries.

    Attributes:
        query: float64 (N, D), one row per tracklet; zeros where there is no embedding.
        gallery: float64 (G, D), ordered by tracklet, no row of zeros.
        owner: int64 (G,), the tracklet of each row of the gallery.
    """

    query: Array
    gallery: Array
    owner: Array

    @classmethod
    def of(cls, passages: Sequence[Passage], rules: ElectricityConfig) -> _Distances:
        """Embeddings against embeddings, or first boxes against all others, times the scale."""
        if not rules.per_box:
            embeddings = require_embeddings(passages, "electricity") * rules.scale
            owner = np.flatnonzero(embeddings.any(axis=1))
            return cls(embeddings, embeddings[owner], owner)

        features = [p.tracklet.appearance[p.tracklet.appearance.any(axis=1)].astype(np.float64) for p in passages]
        sizes = {rows.shape[1] for rows in features if len(rows)}
        if len(sizes) != 1:
            raise ConfigError(
                f"associate.electricity.per_box: expected described boxes of one size, got {sorted(sizes) or 'none'}",
                remedy="set embed.per_detection, or associate.electricity.per_box=false",
            )
        first_boxes = np.zeros((len(passages), sizes.pop()))
        for row, boxes in zip(first_boxes, features, strict=True):
            row[:] = boxes[0] if len(boxes) else 0.0
        other_boxes = np.concatenate([boxes[1:].reshape(-1, first_boxes.shape[1]) for boxes in features])
        owner = np.repeat(np.arange(len(passages)), [max(len(boxes) - 1, 0) for boxes in features])
        return cls(first_boxes * rules.scale, other_boxes * rules.scale, owner)

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """Rows of queries, and their distance to each tracklet: float64 (n, N), infinite where it is not known."""
        count = len(self.query)
        gallery_square = np.einsum("gd,gd->g", self.gallery, self.gallery)
        present, first = np.unique(self.owner, return_index=True)
        block_size = max(1, _BLOCK // max(len(self.gallery), count))
        for start in range(0, count, block_size):
            rows = np.arange(start, min(start + block_size, count))
            distance = np.full((len(rows), count), np.inf)
            if len(present):
                query = self.query[rows]
                query_square = np.einsum("qd,qd->q", query, query)
                square = query_square[:, None] + gallery_square - 2 * query @ self.gallery.T
                nearest_box = np.minimum.reduceat(square, first, axis=1)
                distance[:, present] = np.round(np.maximum(nearest_box, 0.0), _DIGITS)
            distance[~self.query[rows].any(axis=1)] = np.inf
            yield rows, distance


def _nearest(
    distances: _Distances, camera: Array, takes_part: Array, track_number: Array | None
) -> tuple[Array, Array]:
    """The nearest tracklet of each other camera: float64 (N, C) distances, infinite for none; int64 (N, C) rows.

    Of equally near ones the first counts. Where ``track_number`` is given, equal ones never match.
    """
    bounds = np.searchsorted(camera, np.arange(camera.max() + 2))
    distance = np.full((len(camera), len(bounds) - 1), np.inf)
    nearest = np.zeros(distance.shape, np.int64)
    for rows, block in distances.blocks():
        block[:, ~takes_part] = np.inf
        block[~takes_part[rows]] = np.inf
        block[camera[rows][:, None] == camera] = np.inf
        if track_number is not None:
            block[track_number[rows][:, None] == track_number] = np.inf
        for c, (first, last) in enumerate(pairwise(bounds.tolist())):
            best = np.argmin(block[:, first:last], axis=1)
            nearest[rows, c] = first + best
            distance[rows, c] = block[np.arange(len(rows)), first + best]
    return distance, nearest


def _isolated(distance: Array, limit: float) -> Array:
    return np.asarray(~((distance <= limit) & np.isfinite(distance)).any(axis=1))


def _overwrite(distance: Array, nearest: Array, track_number: Array, match_distance: float) -> Array:
    """Query by query, a new identity for its group; each member takes it if that is nearer than its present one."""
    label = track_number.astype(np.int64)
    label_distance = np.full(len(label), np.inf)  # the distance at which each tracklet got its present identity
    latest = int(label.max())
    for query in range(len(label)):
        chosen = np.flatnonzero((distance[query] <= match_distance) & np.isfinite(distance[query]))
        if not len(chosen):
            continue
        latest += 1
        members = [query, *nearest[query, chosen].tolist()]
        member_distances = [distance[query].min(), *distance[query, chosen]]
        for member, member_distance in zip(members, member_distances, strict=True):
            if member_distance < label_distance[member]:
                label[member], label_distance[member] = latest, member_distance
    return label


def _join(distance: Array, nearest: Array, camera: Array, match_distance: float) -> Array:
    """Join the selections of all queries, nearest first, unless a vehicle would get two tracklets of one camera."""
    query, column = np.nonzero((distance <= match_distance) & np.isfinite(distance))
    selected = nearest[query, column]
    order = np.lexsort([np.maximum(query, selected), np.minimum(query, selected), distance[query, column]])

    groups = DisjointSet(range(len(camera)))
    for a, b in zip(query[order].tolist(), selected[order].tolist(), strict=True):
        if groups.connected(a, b):
            continue
        cameras_a, cameras_b = ({int(camera[k]) for k in groups.subset(x)} for x in (a, b))
        if cameras_a.isdisjoint(cameras_b):
            groups.merge(a, b)
    return subset_labels(groups)


def _calibrated(
    distances: _Distances, passages: Sequence[Passage], camera: Array, rules: ElectricityConfig, fallback: float
) -> float:
    """The match distance: a low quantile of the distances of negative pairs, which one camera sees at one time."""
    if rules.calibrated_distance is not None:
        return rules.calibrated_distance
    start = np.array([p.tracklet.start_s for p in passages])
    end = np.array([p.tracklet.end_s for p in passages])
    negatives: list[list[int]] = [[] for _ in passages]
    for c in np.unique(camera):
        rows = np.flatnonzero(camera == c)
        for a, b in rows[pairs_within_gap(0.0, start[rows], end[rows])].tolist():
            negatives[a].append(b)
            negatives[b].append(a)
    sample = np.concatenate(
        [row[negatives[k]] for rows, block in distances.blocks() for k, row in zip(rows, block, strict=True)]
    )
    sample = sample[np.isfinite(sample)]
    # Every pair is in the sample in both directions.
    enough = len(sample) >= 2 * _MIN_NEGATIVES
    return float(np.quantile(sample, rules.negative_quantile)) if enough else fallback
