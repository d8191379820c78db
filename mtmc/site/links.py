"""Which zones are linked across cameras, and how long vehicles take.

Where views share ground, ways that meet on it tell which pairs are one vehicle, and so which zones are linked. Else
the moments tell, and looks where vehicles are described (:mod:`mtmc.site.transition_times`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import expit

from mtmc.site.config import SiteConfig
from mtmc.site.similarity import NEGATIVE_PAIR_WEIGHT, alike
from mtmc.site.transition_times import transition_evidence
from mtmc.types import Array

__all__ = ["Event", "FoundLink", "find_links"]

_SURE = 0.5  # belief in a pair that counts as one vehicle


@dataclass(frozen=True, slots=True)
class Event:
    """A vehicle comes in or goes out.

    Attributes:
        camera, zone: Where; no zone: "".
        passage: Index over the scene.
        time_s: When, in scene seconds.
        since_s: When it was seen first.
    """

    camera: str
    zone: str
    passage: int
    time_s: float
    since_s: float


@dataclass(frozen=True, slots=True, eq=False)
class FoundLink:
    """A link.

    Attributes:
        from_camera, from_zone, to_camera, to_zone: Its ends.
        times_s: float64 (K,), travel times in its window, sorted.
        min_s, max_s: The window with some room on either side.
        typical_s, spread_s: Median and robust spread.
        share: Share of those leaving that take it.
        expected: How many of the times are expected to be accidents.
        chance: Probability that there is no such link.
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


def find_links(
    leaving: Sequence[Event],
    coming: Sequence[Event],
    met: Mapping[tuple[str, str], Collection[tuple[int, int]]],
    faces: Array,
    span_s: float,
    config: SiteConfig,
) -> list[FoundLink]:
    """Links between the zones of different cameras.

    Args:
        leaving: All exits of the scene; there are no links from those in no zone.
        coming: All its entries.
        met: Pairs of passages that met on the ground, by camera pair, where two views share it.
        faces: float (N, D), rows of :func:`mtmc.site.similarity.centered_embeddings`; D = 0 without embeddings.
        span_s: Length of the recording.
        config: The choices.
    """
    exits, entries = _by_camera(leaving), _by_camera(coming)
    zones = {camera: len({e.zone for e in events if e.zone}) for camera, events in entries.items()}
    out = []
    for a, b in product(exits, entries):
        if a == b:
            continue
        rows, columns = exits[a], entries[b]
        told, by = _ratio(rows, columns, met.get((a, b)), faces)
        # One way out leads to about one way in, of all those there are.
        prior = -float(np.log(max(sum(count for camera, count in zones.items() if camera != a), 1)))
        for mine, theirs in product(_zones(rows), _zones(columns)):
            these, those, pairs = [rows[k] for k in mine], [columns[k] for k in theirs], told[np.ix_(mine, theirs)]
            if by == "ground":
                found = _of_meetings(these, those, pairs > 0, config)
            else:
                found = _of_moments(these, those, pairs, prior, by, span_s, config)
            if found is not None:
                out.append(found)
    return sorted(out, key=lambda f: (f.from_camera, f.from_zone, f.to_camera, f.to_zone))


def _ratio(
    exits: Sequence[Event], entries: Sequence[Event], met: Collection[tuple[int, int]] | None, faces: Array
) -> tuple[Array, str]:
    """How many times as likely as strangers each pair is one vehicle, (M, N), and what tells."""
    if met is not None:
        row, column = ({e.passage: k for k, e in enumerate(events)} for events in (exits, entries))
        same = np.zeros((len(exits), len(entries)))
        for i, j in met:
            if i in row and j in column:
                same[row[i], column[j]] = 1.0
        return same, "ground"
    weight = alike(faces[[e.passage for e in exits]], faces[[e.passage for e in entries]])
    if weight is None:
        return np.ones((len(exits), len(entries))), "timing"
    return weight / NEGATIVE_PAIR_WEIGHT, "looks"


def _by_camera(events: Sequence[Event]) -> dict[str, list[Event]]:
    out: dict[str, list[Event]] = {}
    for event in sorted(events, key=lambda e: (e.camera, e.zone, e.time_s, e.passage)):
        out.setdefault(event.camera, []).append(event)
    return out


def _zones(events: Sequence[Event]) -> list[list[int]]:
    """Places of each zone's events."""
    out: dict[str, list[int]] = {}
    for k, event in enumerate(events):
        if event.zone:
            out.setdefault(event.zone, []).append(k)
    return list(out.values())


def _gaps(exits: Sequence[Event], entries: Sequence[Event], config: SiteConfig) -> tuple[Array, Array]:
    """Seconds from each exit to each entry, and which are possible: (M, N)."""
    gap = np.array([e.time_s for e in entries])[None] - np.array([e.time_s for e in exits])[:, None]
    return gap, (gap >= -config.max_overlap_s) & (gap <= config.max_travel_time_s)


def _of_meetings(
    exits: Sequence[Event], entries: Sequence[Event], same: Array, config: SiteConfig
) -> FoundLink | None:
    """The link of those who met on the ground, who are hardly ever accidents."""
    gap, possible = _gaps(exits, entries, config)
    row, column = np.nonzero(possible & same)
    times = gap[row, column]
    if not len(times):
        return None
    unusual = np.abs(times - np.median(times))
    chosen = _one_to_one(unusual, unusual <= 6.0 * max(_spread(times), 1.0), row, column)
    return _link(exits, entries, times[chosen], 0.05 * len(times), 0.0, "ground", times, config)


def _of_moments(
    exits: Sequence[Event],
    entries: Sequence[Event],
    ratio: Array,
    prior: float,
    by: str,
    span_s: float,
    config: SiteConfig,
) -> FoundLink | None:
    """The link that moments and looks speak for."""
    gap, possible = _gaps(exits, entries, config)
    # Who came into the second view first goes the other way, even where both views see him at once.
    possible &= np.array([e.since_s for e in exits])[:, None] < np.array([e.since_s for e in entries])[None]
    row, column = np.nonzero(possible)
    if len(row) < config.min_support:
        return None
    found = transition_evidence(
        np.where(possible, gap, np.inf), ratio, span_s, (-config.max_overlap_s, config.max_travel_time_s)
    )
    chance = float(expit(-(found.odds + prior)))
    if chance > config.max_false_link_probability:
        return None
    belief = found.belief[row, column]
    chosen = _one_to_one(-belief, belief >= _SURE, row, column)
    times = gap[row, column]
    return _link(exits, entries, times[chosen], float((1 - belief[chosen]).sum()), chance, by, times, config)


def _link(
    exits: Sequence[Event],
    entries: Sequence[Event],
    taken: Array,
    expected: float,
    chance: float,
    by: str,
    times: Array,
    config: SiteConfig,
) -> FoundLink | None:
    if len(taken) < config.min_support:
        return None
    taken = np.sort(taken)
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
        expected,
        chance,
        by,
        np.sort(times),
    )  # fmt: skip


def _spread(times: Array) -> float:
    return float(1.4826 * np.median(np.abs(times - np.median(times))))


def _one_to_one(cost: Array, allowed: Array, row: Array, column: Array) -> Array:
    """Each exit and each entry once, the cheapest pairs first: int64 (K,), sorted."""
    used_row, used_column, out = set(), set(), []
    for k in np.argsort(cost, kind="stable").tolist():
        if allowed[k] and row[k] not in used_row and column[k] not in used_column:
            used_row.add(row[k])
            used_column.add(column[k])
            out.append(k)
    return np.array(sorted(out), np.int64)
