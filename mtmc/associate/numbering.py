"""The order of passages, labels of groups, and numbers for vehicles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from mtmc.types import Array, GlobalTrack, Passage

__all__ = ["in_order", "number", "subset_labels"]


def in_order(passages: Sequence[Passage]) -> list[Passage]:
    """Passages by (camera_id, track_id), which makes the result independent of the order they come in.

    Raises:
        ValueError: Two of them have the same camera_id and track_id.
    """
    ordered = sorted(passages, key=lambda p: (p.tracklet.camera_id, p.tracklet.track_id))
    for a, b in pairwise(ordered):
        if (a.tracklet.camera_id, a.tracklet.track_id) == (b.tracklet.camera_id, b.tracklet.track_id):
            raise ValueError(f"expected each tracklet once, got {a.tracklet.camera_id}/{a.tracklet.track_id} twice")
    return ordered


def number(passages: Sequence[Passage], labels: Array, keep_single_camera: bool = True) -> list[GlobalTrack]:
    """Vehicles numbered from 1 by first appearance: (start time, camera_id, track_id) of their first passage.

    Args:
        passages: N of them.
        labels: int (N,), equal for passages of one vehicle; below 0 are those that belong to none.
        keep_single_camera: Whether vehicles seen by one camera only are among the result.
    """
    groups: dict[int, list[Passage]] = defaultdict(list)
    for passage, label in zip(passages, labels.tolist(), strict=True):
        if label >= 0:
            groups[label].append(passage)
    vehicles = [sorted(group, key=_first_seen) for group in groups.values()]
    if not keep_single_camera:
        vehicles = [v for v in vehicles if len({p.tracklet.camera_id for p in v}) > 1]
    vehicles.sort(key=lambda vehicle: _first_seen(vehicle[0]))
    return [GlobalTrack(k, tuple(vehicle)) for k, vehicle in enumerate(vehicles, start=1)]


def _first_seen(passage: Passage) -> tuple[float, str, int]:
    return passage.tracklet.start_s, passage.tracklet.camera_id, passage.tracklet.track_id


def subset_labels(groups: DisjointSet) -> Array:
    """The smallest member of each item's subset, int64 (N,), of a disjoint set of the numbers from 0 to N − 1.

    >>> groups = DisjointSet(range(4))
    >>> groups.merge(3, 1)
    True
    >>> subset_labels(groups).tolist()
    [0, 1, 2, 1]
    """
    labels = np.empty(len(groups), np.int64)
    for members in groups.subsets():
        labels[list(members)] = min(members)
    return labels
