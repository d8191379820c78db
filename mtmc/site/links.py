"""Which zones are linked across cameras, and how long vehicles take.

Pairs of one camera's exits and another's entries differ by the travel time if they are one vehicle, and by anything
if they are not. Where views share ground, ways that meet on it tell which pairs are one vehicle; else, where
vehicles are described, pairs that are most alike both ways; else every pair is a candidate. Of these, a window in
which more differences fall than chance would put there makes a link (a scan statistic, Kulldorff 1997, with Poisson
counts and a Bonferroni correction over windows and zone pairs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import poisson

from mtmc.site.config import SiteConfig
from mtmc.types import Array

__all__ = ["Event", "FoundLink", "find_links", "mutual_matches"]

_WIDTHS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


@dataclass(frozen=True, slots=True)
class Event:
    """A vehicle comes in or goes out: camera, zone, passage (index over the scene) and time in scene seconds."""

    camera: str
    zone: str
    passage: int
    time_s: float


@dataclass(frozen=True, slots=True, eq=False)
class FoundLink:
    """A link.

    Attributes:
        from_camera, from_zone, to_camera, to_zone: Its ends.
        times_s: float64 (K,), travel times in its window, sorted.
        min_s, max_s: The window with some room on either side.
        typical_s, spread_s: Median and robust spread.
        share: Share of those leaving that take it.
        expected: How many times chance would have put there.
        chance: Probability of as many by accident, corrected for all that was tried.
        by: What told which pairs are one vehicle: ``ground``, ``looks`` or ``timing``.
        all_s: float64 (M,), all differences that were looked at.
    """

    from_camera: str
    from_zone: str
    to_camera: str
    to_zone: str
    times_s: Array
    min_s: float
    max_s: float
    typical_s: float
    spread_s: float
    share: float
    expected: float
    chance: float
    by: str
    all_s: Array

    @property
    def sure(self) -> float:
        """Confidence in [0, 1]."""
        return (1 - min(self.chance, 1.0)) * (1 - self.expected / max(len(self.times_s), 1e-9))


def mutual_matches(
    leaving: Sequence[Event], coming: Sequence[Event], embeddings: Sequence[Array], window_s: tuple[float, float]
) -> set[tuple[int, int]]:
    """Pairs of passages that are each other's most alike among all that time allows.

    Args:
        leaving: Exits of one camera.
        coming: Entries of another.
        embeddings: Unit vectors of all passages of the scene; of size 0 where there is none.
        window_s: Differences (coming − leaving) that are possible.
    """
    rows = [e for e in leaving if len(embeddings[e.passage])]
    columns = [e for e in coming if len(embeddings[e.passage])]
    if not rows or not columns:
        return set()
    looks_a = np.array([embeddings[e.passage] for e in rows], float)
    looks_b = np.array([embeddings[e.passage] for e in columns], float)
    # A camera's own tint is in all its vectors: without it the vehicles differ more.
    alike = (looks_a - looks_a.mean(axis=0)) @ (looks_b - looks_b.mean(axis=0)).T
    gap = np.array([e.time_s for e in columns])[None] - np.array([e.time_s for e in rows])[:, None]
    alike = np.where((gap >= window_s[0]) & (gap <= window_s[1]), alike, -np.inf)
    best_b, best_a = alike.argmax(axis=1), alike.argmax(axis=0)
    return {
        (rows[i].passage, columns[j].passage)
        for i, j in enumerate(best_b.tolist())
        if np.isfinite(alike[i, j]) and best_a[j] == i
    }


def find_links(
    leaving: Sequence[Event],
    coming: Sequence[Event],
    known: Mapping[tuple[str, str], set[tuple[int, int]]],
    by: Mapping[tuple[str, str], str],
    span_s: float,
    config: SiteConfig,
) -> list[FoundLink]:
    """Links between the zones of different cameras.

    Args:
        leaving: All exits of the scene; those in no zone are left out.
        coming: All its entries.
        known: By camera pair, the pairs of passages that seem to be one vehicle; a missing pair of cameras means
            that every pair of passages is a candidate.
        by: By camera pair, what ``known`` comes from.
        span_s: Length of the recording.
        config: The choices.
    """
    exits, entries = _by_zone(leaving), _by_zone(coming)
    tried = [(a, b) for a in exits for b in entries if a[0] != b[0]]
    out = []
    for a, b in tried:
        cameras = (a[0], b[0])
        found = _link(exits[a], entries[b], known.get(cameras), by.get(cameras, "timing"), span_s, len(tried), config)
        if found is not None:
            out.append(found)
    return sorted(out, key=lambda f: (f.from_camera, f.from_zone, f.to_camera, f.to_zone))


def _by_zone(events: Sequence[Event]) -> dict[tuple[str, str], list[Event]]:
    out: dict[tuple[str, str], list[Event]] = {}
    for event in sorted(events, key=lambda e: (e.camera, e.zone, e.time_s, e.passage)):
        if event.zone:
            out.setdefault((event.camera, event.zone), []).append(event)
    return out


def _link(
    exits: Sequence[Event],
    entries: Sequence[Event],
    known: set[tuple[int, int]] | None,
    by: str,
    span_s: float,
    tried: int,
    config: SiteConfig,
) -> FoundLink | None:
    low, high = -config.longest_overlap_s, config.longest_travel_s
    gap = np.array([e.time_s for e in entries])[None] - np.array([e.time_s for e in exits])[:, None]
    row, column = np.nonzero((gap >= low) & (gap <= high))
    times = gap[row, column]
    if known is not None:
        keep = [
            (exits[i].passage, entries[j].passage) in known
            for i, j in zip(row.tolist(), column.tolist(), strict=True)
        ]
        row, column, times = row[keep], column[keep], times[keep]
    if len(times) < config.least_count:
        return None
    if by == "ground":  # pairs that met on the ground are hardly ever accidents
        expected, chance = 0.05 * len(times), 0.0
        inside = np.abs(times - np.median(times)) <= 6.0 * max(_spread(times), 1.0)
    else:
        # Chance puts differences anywhere in the window; of all pairs in proportion to both rates.
        rate = len(exits) * len(entries) / span_s if known is None else len(times) / (high - low)
        window = _scan(times, row, column, rate, tried, (low, high))
        if window is None:
            return None
        start, width, expected, chance = window
        if chance > config.max_chance:
            return None
        inside = (times >= start) & (times <= start + width)
    chosen = _one_to_one(np.flatnonzero(inside), times, row, column)
    if len(chosen) < config.least_count:
        return None
    taken = np.sort(times[chosen])
    spread = _spread(taken)
    room = 0.5 + 0.5 * spread
    return FoundLink(
        exits[0].camera, exits[0].zone, entries[0].camera, entries[0].zone,
        taken,
        float(np.floor(10 * (taken[0] - room)) / 10),
        float(np.ceil(10 * (taken[-1] + room)) / 10),
        float(np.median(taken)),
        spread,
        min(1.0, len(taken) / len(exits)),
        float(expected),
        float(chance),
        by,
        np.sort(times),
    )  # fmt: skip


def _spread(times: Array) -> float:
    return float(1.4826 * np.median(np.abs(times - np.median(times))))


def _scan(
    times: Array, row: Array, column: Array, rate: float, tried: int, limits: tuple[float, float]
) -> tuple[float, float, float, float] | None:
    """The window (start, width, expected count, corrected chance) that chance explains least."""
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    best: tuple[float, float, float, float, float] | None = None
    windows = sum((limits[1] - limits[0]) / (0.5 * width) for width in _WIDTHS_S)
    for width in _WIDTHS_S:
        last = np.searchsorted(ordered, ordered + width, "right")
        expected = rate * width
        size = last - np.arange(len(ordered))
        # A vehicle leaves once and comes in once, so a queue cannot count all with all: what counts is at most the
        # number of differences. Windows whose number alone could not win need no closer look.
        for k in np.argsort(-size, kind="stable").tolist():
            if size[k] < 2 or size[k] <= expected or (best is not None and _excess(size[k], expected) <= best[0]):
                break
            part = order[k : last[k]]
            count = min(len(np.unique(row[part])), len(np.unique(column[part])))
            if count < 2 or count <= expected:
                continue
            excess = _excess(count, expected)
            if best is None or excess > best[0] + 1e-9:
                chance = min(1.0, float(poisson.sf(count - 1, expected)) * windows * tried)
                best = (excess, float(ordered[k]), width, expected, chance)
    return None if best is None else best[1:]


def _excess(count: int, expected: float) -> float:
    """Log likelihood ratio of a Poisson count above what is expected."""
    return float(count * np.log(count / expected) - (count - expected))


def _one_to_one(candidates: Array, times: Array, row: Array, column: Array) -> Array:
    """Each exit and each entry once, those nearest to the median first."""
    middle = np.median(times[candidates]) if len(candidates) else 0.0
    used_row, used_column, out = set(), set(), []
    for k in candidates[np.argsort(np.abs(times[candidates] - middle), kind="stable")].tolist():
        if row[k] not in used_row and column[k] not in used_column:
            used_row.add(row[k])
            used_column.add(column[k])
            out.append(k)
    return np.array(sorted(out), np.int64)
