"""Which pairs of passages can be one vehicle, by time and by the links between cameras.

Pairs are found by binary search in sorted times, so their cost grows with what is possible, not with N².
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mtmc.associate.config import AssociateConfig
from mtmc.multiview.arrays import ranges, unique_sorted
from mtmc.scene import Link, Scene
from mtmc.types import Array, Passage

__all__ = ["feasible_pairs", "group_by_camera", "pairs_along_link", "pairs_within_gap"]


def feasible_pairs(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> Array:
    """Pairs that time allows: int64 (P, 2) indices into ``passages``, first < second, sorted, each once.

    With links, a pair is possible if one of them leads from the exit of one passage to the entry of the other and
    the travel time is within its window; a passage whose zone is unknown fits any zone. Without links, any two
    cameras are possible up to ``max_gap_s`` out of sight.
    """
    start = np.array([p.tracklet.start_s for p in passages])
    end = np.array([p.tracklet.end_s for p in passages])
    camera = np.unique([p.tracklet.camera_id for p in passages], return_inverse=True)[1]
    if scene.links:
        seen = group_by_camera(passages)
        pairs = np.concatenate([pairs_along_link(link, passages, start, end, seen) for link in scene.links])
    else:
        pairs = pairs_within_gap(config.max_gap_s, start, end)
    pairs = pairs[_possible_cameras(pairs, camera, start, end, config.hierarchical.once_per_camera)]
    return _sorted_once(pairs, len(passages))


def pairs_within_gap(max_gap_s: float, start: Array, end: Array) -> Array:
    """Pairs whose later start follows the earlier one's end by at most ``max_gap_s`` (overlaps included)."""
    order = np.argsort(start, kind="stable")
    first = np.arange(len(order)) + 1
    last = np.searchsorted(start[order], end[order] + max_gap_s, side="right")
    earlier, later = ranges(first, last)
    return np.stack([order[earlier], order[later]], axis=1)


def pairs_along_link(
    link: Link, passages: Sequence[Passage], start: Array, end: Array, seen: Mapping[str, Array] | None = None
) -> Array:
    """Pairs that can have taken a link within its travel times.

    Args:
        link: The link.
        passages: N of them.
        start: float64 (N,), when each was seen first, seconds.
        end: float64 (N,), when last.
        seen: :func:`group_by_camera` of the passages, for callers with many links.
    """
    seen = group_by_camera(passages) if seen is None else seen
    none = np.zeros(0, np.int64)
    leaving, arriving = seen.get(link.from_camera, none), seen.get(link.to_camera, none)
    leaving = leaving[_flags(_fits(passages[k].exit, link.from_zone) for k in leaving.tolist())]
    arriving = arriving[_flags(_fits(passages[k].entry, link.to_zone) for k in arriving.tolist())]
    arriving = arriving[np.argsort(start[arriving], kind="stable")]
    first = np.searchsorted(start[arriving], end[leaving] + link.min_s, side="left")
    last = np.searchsorted(start[arriving], end[leaving] + link.max_s, side="right")
    from_row, to_row = ranges(first, last)
    return np.stack([leaving[from_row], arriving[to_row]], axis=1)


def group_by_camera(passages: Sequence[Passage]) -> dict[str, Array]:
    """Indices of each camera's passages, in order: int64 arrays."""
    rows: dict[str, list[int]] = {}
    for k, passage in enumerate(passages):
        rows.setdefault(passage.tracklet.camera_id, []).append(k)
    return {camera: np.array(indices, np.int64) for camera, indices in rows.items()}


def _fits(seen: str, wanted: str) -> bool:
    return not seen or not wanted or seen == wanted


def _flags(values: Iterator[bool]) -> Array:
    return np.fromiter(values, bool)


def _possible_cameras(pairs: Array, camera: Array, start: Array, end: Array, once: bool) -> Array:
    """Which pairs are of two cameras, or, where vehicles may return, of one camera at different times."""
    a, b = pairs.T
    other_camera = camera[a] != camera[b]
    if once:
        return np.asarray(other_camera)
    one_after_the_other = (start[a] > end[b]) | (start[b] > end[a])
    return np.asarray(other_camera | ((a != b) & one_after_the_other))


def _sorted_once(pairs: Array, n: int) -> Array:
    keys = unique_sorted(pairs.min(axis=1) * n + pairs.max(axis=1))
    return np.stack(np.divmod(keys, max(n, 1)), axis=1)
