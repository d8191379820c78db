"""Which pairs of passages can be one vehicle, by time and by the way between cameras.

Pairs are found by binary search in sorted times, so their cost grows with what is possible, not with N².
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mtmc.associate.config import AssociateConfig
from mtmc.scene import Link, Scene
from mtmc.types import Array, Passage

__all__ = ["along", "by_camera", "distinct", "expand", "feasible_pairs", "within"]


def feasible_pairs(passages: Sequence[Passage], scene: Scene, config: AssociateConfig) -> Array:
    """Pairs that time allows: int64 (P, 2) indices into ``passages``, first < second, sorted, each once.

    With links, a pair is possible if one of them leads from the exit of one passage to the entry of the other and
    the travel time is within its window; a passage whose zone nobody saw fits any zone. Without links, any two
    cameras are possible up to ``max_gap_s`` out of sight.
    """
    start = np.array([p.tracklet.start_s for p in passages])
    end = np.array([p.tracklet.end_s for p in passages])
    camera = np.unique([p.tracklet.camera_id for p in passages], return_inverse=True)[1]
    if scene.links:
        seen = by_camera(passages)
        pairs = np.concatenate([along(link, passages, start, end, seen) for link in scene.links])
    else:
        pairs = within(config.max_gap_s, start, end)
    pairs = pairs[_possible_cameras(pairs, camera, start, end, config.once_per_camera)]
    return _sorted_once(pairs, len(passages))


def within(max_gap_s: float, start: Array, end: Array) -> Array:
    """Pairs whose later start follows the earlier one's end by at most ``max_gap_s`` (overlaps included)."""
    order = np.argsort(start, kind="stable")
    first = np.arange(len(order)) + 1
    last = np.searchsorted(start[order], end[order] + max_gap_s, side="right")
    earlier, later = expand(first, last)
    return np.stack([order[earlier], order[later]], axis=1)


def along(
    link: Link, passages: Sequence[Passage], start: Array, end: Array, seen: Mapping[str, Array] | None = None
) -> Array:
    """Pairs that went along a link within its travel times.

    Args:
        link: The link.
        passages: N of them.
        start: float64 (N,), when each was seen first, seconds.
        end: float64 (N,), when last.
        seen: :func:`by_camera` of the passages, for those who ask for many links.
    """
    seen = by_camera(passages) if seen is None else seen
    none = np.zeros(0, np.int64)
    leaving, coming = seen.get(link.from_camera, none), seen.get(link.to_camera, none)
    leaving = leaving[_flags(_fits(passages[k].exit, link.from_zone) for k in leaving.tolist())]
    coming = coming[_flags(_fits(passages[k].entry, link.to_zone) for k in coming.tolist())]
    coming = coming[np.argsort(start[coming], kind="stable")]
    first = np.searchsorted(start[coming], end[leaving] + link.min_s, side="left")
    last = np.searchsorted(start[coming], end[leaving] + link.max_s, side="right")
    from_row, to_row = expand(first, last)
    return np.stack([leaving[from_row], coming[to_row]], axis=1)


def by_camera(passages: Sequence[Passage]) -> dict[str, Array]:
    """Indices of each camera's passages, in order: int64 arrays."""
    rows: dict[str, list[int]] = {}
    for k, passage in enumerate(passages):
        rows.setdefault(passage.tracklet.camera_id, []).append(k)
    return {camera: np.array(indices, np.int64) for camera, indices in rows.items()}


def _fits(seen: str, wanted: str) -> bool:
    return not seen or not wanted or seen == wanted


def _flags(values: Iterator[bool]) -> Array:
    return np.fromiter(values, bool)


def expand(first: Array, last: Array) -> tuple[Array, Array]:
    """Ranges [first, last) of each row, written out: (row of each element, the element)."""
    count = np.maximum(last - first, 0)
    row = np.repeat(np.arange(len(first)), count)
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return row, first[row] + offset


def distinct(values: Array) -> Array:
    """Each of the whole numbers ≥ 0 once, sorted; for millions of them faster than :func:`numpy.unique`."""
    ordered = np.sort(values)
    new = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered[new]


def _possible_cameras(pairs: Array, camera: Array, start: Array, end: Array, once: bool) -> Array:
    """Which pairs are of two cameras, or, where vehicles may return, of one camera at different times."""
    a, b = pairs.T
    elsewhere = camera[a] != camera[b]
    if once:
        return np.asarray(elsewhere)
    apart = (start[a] > end[b]) | (start[b] > end[a])
    return np.asarray(elsewhere | ((a != b) & apart))


def _sorted_once(pairs: Array, n: int) -> Array:
    keys = distinct(pairs.min(axis=1) * n + pairs.max(axis=1))
    return np.stack(np.divmod(keys, max(n, 1)), axis=1)
