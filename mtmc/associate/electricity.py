"""The cross-camera rules of ELECTRICITY (Qian et al., CVPR Workshops 2020; AI City Challenge 2020, track 3).

Every tracklet is a query. Of each other camera it takes the nearest tracklet, if that is near enough; together they
are a group. A tracklet that is far from everything elsewhere is isolated and goes. Neither time nor the cameras'
places count.

``strict`` does what the released program does, mistakes included:

1. Queries come in the order of the file system; here by (camera_id, track_id), which stands in for it.
2. Tracklets with the same local number never match, although it means nothing in another camera.
3. Groups overwrite each other: a tracklet goes to a later group that holds it at a smaller distance than its present
   one does. So groups lose members, the result depends on the order, and belonging together is not transitive.
4. Unmatched tracklets keep their local number as identity: two of them in different cameras with the same number
   become one false vehicle.
5. Short tracklets take part and are dropped at the end.
6. The thresholds 12 and 100 are used as they are. They belong to features that are not of unit length.

The released program also numbers cars and trucks apart, so that even one camera has numbers twice; here a tracklet's
number is unique in its camera.

``fixed`` does what is meant: nothing hangs on numbers, short tracklets are left out first, and the choices of all
queries are joined in order of distance, as long as no vehicle gets two tracklets of one camera. ``calibrated`` is
``fixed`` with a threshold that fits the embeddings: two tracklets that one camera sees at the same time are certainly
different vehicles, so their distances tell how near strangers come.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mtmc.associate.config import AssociateConfig, ElectricityConfig
from mtmc.associate.gates import pairs_within_gap
from mtmc.associate.similarity import require_embeddings
from mtmc.errors import ConfigError
from mtmc.scene import Scene
from mtmc.types import Array, Passage

__all__ = ["electricity"]

_BLOCK = 4_000_000  # entries of a matrix product
_DIGITS = 9  # distances closer than that are ties
_LEAST_IMPOSTORS = 20  # pairs that a quantile needs


def electricity(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> Array:
    """Label passages by these rules: int64 (N,), −1 for those that are deleted.

    Args:
        passages: By (camera_id, track_id). One without an embedding is isolated.
        scene: Says nothing here.
        config: The choices; ``threshold`` stands in where too few impostors are seen for a quantile.

    Raises:
        ConfigError: There are no embeddings, or no described boxes though ``boxes`` asks for them.
        WeightsError: Embeddings of different sizes.
    """
    rules = config.electricity
    known = _Distances.of(passages, rules)
    camera = np.unique([p.tracklet.camera_id for p in passages], return_inverse=True)[1]
    number = np.array([p.tracklet.track_id for p in passages])
    long = np.array([len(p.tracklet) >= rules.min_boxes for p in passages])
    if rules.mode == "strict":
        distance, nearest = _nearest(known, camera, np.ones(len(passages), bool), number)
        labels = _overwrite(distance, nearest, number, rules.match_distance)
        return np.where(long & ~_isolated(distance, rules.isolation_distance), labels, -1)

    match, isolation = rules.match_distance, rules.isolation_distance
    if rules.mode == "calibrated":
        ratio = isolation / match if match else np.inf
        alike = 2 * (1 - config.threshold) * rules.scale**2
        match = _calibrated(known, passages, camera, rules, alike)
        isolation = match * ratio
    distance, nearest = _nearest(known, camera, long, None)
    labels = _join(distance, nearest, camera, match)
    return np.where(long & ~_isolated(distance, isolation), labels, -1)


@dataclass(frozen=True, slots=True, eq=False)
class _Distances:
    """Distances of queries to tracklets, computed by blocks of queries.

    Attributes:
        query: float64 (N, D), one row per tracklet; of zeros where nothing is known.
        gallery: float64 (G, D), ordered by tracklet, no row of zeros.
        owner: int64 (G,), the tracklet of each.
    """

    query: Array
    gallery: Array
    owner: Array

    @classmethod
    def of(cls, passages: Sequence[Passage], rules: ElectricityConfig) -> _Distances:
        """Embeddings against embeddings, or first boxes against all others, times the scale."""
        if not rules.boxes:
            rows = require_embeddings(passages, "electricity") * rules.scale
            owner = np.flatnonzero(rows.any(axis=1))
            return cls(rows, rows[owner], owner)
        seen = [p.tracklet.appearance[p.tracklet.appearance.any(axis=1)].astype(np.float64) for p in passages]
        sizes = {rows.shape[1] for rows in seen if len(rows)}
        if len(sizes) != 1:
            raise ConfigError(
                f"associate.electricity.boxes: expected described boxes of one size, got {sorted(sizes) or 'none'}",
                remedy="set embed.every_box, or associate.electricity.boxes=false",
            )
        first = np.zeros((len(passages), sizes.pop()))
        for row, boxes in zip(first, seen, strict=True):
            row[:] = boxes[0] if len(boxes) else 0.0
        gallery = np.concatenate([boxes[1:].reshape(-1, first.shape[1]) for boxes in seen])
        owner = np.repeat(np.arange(len(passages)), [max(len(boxes) - 1, 0) for boxes in seen])
        return cls(first * rules.scale, gallery * rules.scale, owner)

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """Rows of queries, and their distance to each tracklet: float64 (n, N), infinite where nothing is known."""
        count = len(self.query)
        square = np.einsum("gd,gd->g", self.gallery, self.gallery)
        present, first = np.unique(self.owner, return_index=True)
        size = max(1, _BLOCK // max(len(self.gallery), count))
        for start in range(0, count, size):
            rows = np.arange(start, min(start + size, count))
            out = np.full((len(rows), count), np.inf)
            if len(present):
                query = self.query[rows]
                gap = np.einsum("qd,qd->q", query, query)[:, None] + square - 2 * query @ self.gallery.T
                out[:, present] = np.round(np.maximum(np.minimum.reduceat(gap, first, axis=1), 0.0), _DIGITS)
            out[~self.query[rows].any(axis=1)] = np.inf
            yield rows, out


def _nearest(known: _Distances, camera: Array, takes_part: Array, number: Array | None) -> tuple[Array, Array]:
    """The nearest tracklet of each other camera: float64 (N, C) distances, infinite for none; int64 (N, C) rows.

    Of equally near ones the first counts. Where ``number`` is given, equal ones never match.
    """
    bounds = np.searchsorted(camera, np.arange(camera.max() + 2))
    distance = np.full((len(camera), len(bounds) - 1), np.inf)
    nearest = np.zeros(distance.shape, np.int64)
    for rows, block in known.blocks():
        block[:, ~takes_part] = np.inf
        block[~takes_part[rows]] = np.inf
        block[camera[rows][:, None] == camera] = np.inf
        if number is not None:
            block[number[rows][:, None] == number] = np.inf
        for c, (first, last) in enumerate(pairwise(bounds.tolist())):
            best = np.argmin(block[:, first:last], axis=1)
            nearest[rows, c] = first + best
            distance[rows, c] = block[np.arange(len(rows)), first + best]
    return distance, nearest


def _isolated(distance: Array, limit: float) -> Array:
    return np.asarray(~((distance <= limit) & np.isfinite(distance)).any(axis=1))


def _overwrite(distance: Array, nearest: Array, number: Array, match: float) -> Array:
    """Query by query, a new identity for its group; each member takes it if that brings it nearer."""
    label = number.astype(np.int64)
    held = np.full(len(label), np.inf)  # the distance at which each has its present identity
    latest = int(label.max())
    for query in range(len(label)):
        chosen = np.flatnonzero((distance[query] <= match) & np.isfinite(distance[query]))
        if not len(chosen):
            continue
        latest += 1
        members = [query, *nearest[query, chosen].tolist()]
        for member, far in zip(members, [distance[query].min(), *distance[query, chosen]], strict=True):
            if far < held[member]:
                label[member], held[member] = latest, far
    return label


def _join(distance: Array, nearest: Array, camera: Array, match: float) -> Array:
    """The choices of all queries, nearest first, unless a vehicle would get two tracklets of one camera."""
    query, column = np.nonzero((distance <= match) & np.isfinite(distance))
    chosen, far = nearest[query, column], distance[query, column]
    group = list(range(len(camera)))
    members = [[k] for k in group]
    cameras = [{c} for c in camera.tolist()]
    for k in np.lexsort([np.maximum(query, chosen), np.minimum(query, chosen), far]).tolist():
        a, b = sorted((group[query[k]], group[chosen[k]]))
        if a != b and cameras[a].isdisjoint(cameras[b]):
            for member in members[b]:
                group[member] = a
            members[a] += members[b]
            cameras[a] |= cameras[b]
    return np.array(group, np.int64)


def _calibrated(
    known: _Distances, passages: Sequence[Passage], camera: Array, rules: ElectricityConfig, otherwise: float
) -> float:
    """The match distance: a low quantile of the distances between vehicles that one camera sees at one time."""
    if rules.calibrated_distance is not None:
        return rules.calibrated_distance
    start = np.array([p.tracklet.start_s for p in passages])
    end = np.array([p.tracklet.end_s for p in passages])
    partners: list[list[int]] = [[] for _ in passages]
    for c in np.unique(camera):
        rows = np.flatnonzero(camera == c)
        for a, b in rows[pairs_within_gap(0.0, start[rows], end[rows])].tolist():
            partners[a].append(b)
            partners[b].append(a)
    seen = np.concatenate(
        [row[partners[k]] for rows, block in known.blocks() for k, row in zip(rows, block, strict=True)]
    )
    seen = seen[np.isfinite(seen)]
    return float(np.quantile(seen, rules.impostor_quantile)) if len(seen) >= 2 * _LEAST_IMPOSTORS else otherwise
