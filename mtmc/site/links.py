"""Links: which zones vehicles go between from camera to camera, and their travel times.

Where two cameras share a ground plane, co-observed trajectories show which passages are one vehicle, and so which
zones are linked. Elsewhere a link is a significant transition by times and appearance
(:mod:`mtmc.site.transition_times`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np
from scipy.special import expit

from mtmc.multiview.arrays import one_to_one
from mtmc.site.config import SiteConfig
from mtmc.site.controls import mirrored_time_s
from mtmc.site.similarity import NEGATIVE_PAIR_WEIGHT, similarity_rank_weights
from mtmc.site.transition_times import transition_evidence
from mtmc.types import Array

__all__ = ["Event", "FoundLink", "find_links"]

_MIN_POSTERIOR = 0.5  # of a pair that counts as one vehicle
_FALSE_SHARE_OF_CO_OBSERVED = 0.05  # of co-observed pairs
_OUTLIER_SPREADS, _MIN_SPREAD_S = 6.0, 1.0  # travel times of co-observed pairs farther from the median are errors
_CONTROLS = 12  # repetitions with entries in reversed order of time, which show how many links are found by chance
_MARGIN_S, _MARGIN_SPREADS = 0.5, 0.5  # of a link's window beyond the observed travel times


@dataclass(frozen=True, slots=True)
class Event:
    """A vehicle enters a camera's view, or leaves it.

    Attributes:
        camera, zone: Where; "" outside all zones.
        passage: Index over the scene.
        time_s: When, in scene seconds.
        first_seen_s: When its passage began.
    """

    camera: str
    zone: str
    passage: int
    time_s: float
    first_seen_s: float


@dataclass(frozen=True, slots=True, eq=False)
class FoundLink:
    """A link and its evidence.

    Attributes:
        from_camera, from_zone, to_camera, to_zone: Its ends.
        times_s: float64 (K,), travel times of its vehicles, sorted.
        min_s, max_s: The window of travel times, with a margin.
        typical_s, spread_s: Median and robust spread.
        share: Share of the leaving vehicles that take it.
        expected_false: Expected number of wrong pairs among the K.
        p_false: Probability that there is no such link.
        evidence: Which cue decided: ``ground``, ``appearance`` or ``timing``.
        candidate_s: float64 (M,), all gaps that were considered, sorted.
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
    expected_false: float
    p_false: float
    evidence: str
    candidate_s: Array

    @property
    def confidence(self) -> float:
        """In [0, 1]."""
        return (1 - min(self.p_false, 1.0)) * (1 - self.expected_false / max(len(self.times_s), 1e-9))


@dataclass(frozen=True, slots=True, eq=False)
class _Ends:
    """M exits from one zone and N entries into another, which one link may join.

    Attributes:
        exits, entries: The events.
        gap_s: float64 (M, N), from each exit to each entry.
        is_possible: bool (M, N), the gap is within the limits of the configuration.
    """

    exits: Sequence[Event]
    entries: Sequence[Event]
    gap_s: Array
    is_possible: Array

    @classmethod
    def of(cls, exits: Sequence[Event], entries: Sequence[Event], config: SiteConfig) -> _Ends:
        exit_time_s, entry_time_s = (np.array([e.time_s for e in events]) for events in (exits, entries))
        gap_s = entry_time_s[None] - exit_time_s[:, None]
        return cls(exits, entries, gap_s, (gap_s >= -config.max_overlap_s) & (gap_s <= config.max_travel_time_s))


def find_links(
    leaving: Sequence[Event],
    entering: Sequence[Event],
    co_observed: Mapping[tuple[str, str], Collection[tuple[int, int]]],
    embeddings: Array,
    span_s: float,
    config: SiteConfig,
) -> list[FoundLink]:
    """Links between the zones of different cameras, of which few are expected to be false.

    Traffic of unrelated streets is not independent in a short recording: platoons that leave traffic lights follow
    each other at some constant gap by chance. How many links arise in this way is measured on the same traffic with
    the order of time reversed at one end (target and decoy, as in Elias and Gygi 2007), and links are kept up to the
    probability at which that share is small. Links by co-observation do not need this.

    Args:
        leaving: All exits of the scene; those outside zones have no links.
        entering: All its entries.
        co_observed: Pairs of passages that coincide on the ground plane, for each pair of cameras that shares one.
        embeddings: float64 (N, D), rows of :func:`mtmc.site.similarity.centered_embeddings` by passage.
        span_s: Duration of the recording.
        config: The settings.
    """
    by_ground = _co_observed_links(leaving, entering, co_observed, config)

    def significant(entries: Sequence[Event]) -> list[FoundLink]:
        return _significant_links(leaving, entries, co_observed, embeddings, span_s, config)

    found = significant(entering)
    by_chance: list[float] = []
    if found:
        controls = (significant(_mirrored(entering, part / _CONTROLS)) for part in range(_CONTROLS))
        by_chance = [link.p_false for control in controls for link in control]
    greatest = _threshold([link.p_false for link in found], by_chance, config.max_false_link_share)
    links = [*by_ground, *(link for link in found if link.p_false <= greatest)]
    return sorted(links, key=lambda f: (f.from_camera, f.from_zone, f.to_camera, f.to_zone))


def _mirrored(events: Sequence[Event], part: float) -> list[Event]:
    """The events of each camera at :func:`mtmc.site.controls.mirrored_time_s`."""
    mirrored = []
    for of_camera in _by_camera(events).values():
        moved_s = mirrored_time_s(np.array([event.time_s for event in of_camera]), part)
        mirrored += [
            replace(event, time_s=float(t), first_seen_s=float(t))
            for event, t in zip(of_camera, moved_s, strict=True)
        ]
    return mirrored


def _threshold(p_false: Sequence[float], by_chance: Sequence[float], max_false_share: float) -> float:
    """The greatest probability of a false link up to which at most a share of the links is expected by chance.

    The share is (1 + n) / K over the number of links found, with n links in K controls (one is added, since a share
    of 0 cannot be known from a few controls).

    Args:
        p_false: Of the links found.
        by_chance: Of those found in all controls together.
        max_false_share: The greatest share.

    >>> _threshold([0.01, 0.02, 0.2], [0.1] * 12, 0.1)
    0.02
    >>> _threshold([0.01, 0.02, 0.2], [0.005] * 12, 0.1)
    0.0
    """
    greatest = 0.0
    for count, p in enumerate(sorted(p_false), start=1):
        expected = (1 + sum(q <= p for q in by_chance)) / _CONTROLS
        if expected <= max_false_share * count:
            greatest = p
    return greatest


def _co_observed_links(
    leaving: Sequence[Event],
    entering: Sequence[Event],
    co_observed: Mapping[tuple[str, str], Collection[tuple[int, int]]],
    config: SiteConfig,
) -> list[FoundLink]:
    """Links of cameras that share a ground plane, by co-observed passages."""
    links = []
    for a, b, exits, entries in _camera_pairs(leaving, entering):
        if (a, b) in co_observed:
            same = _is_co_observed(exits, entries, co_observed[a, b])
            links += [
                _co_observed_link(ends, same[rows], config) for ends, rows in _zone_pairs(exits, entries, config)
            ]
    return [link for link in links if link is not None]


def _significant_links(
    leaving: Sequence[Event],
    entering: Sequence[Event],
    co_observed: Collection[tuple[str, str]],
    embeddings: Array,
    span_s: float,
    config: SiteConfig,
) -> list[FoundLink]:
    """Links of the other cameras, each of two zones by itself."""
    zones = {(event.camera, event.zone) for event in entering if event.zone}
    links = []
    for a, b, exits, entries in _camera_pairs(leaving, entering):
        if (a, b) in co_observed:
            continue
        # An exit leads to about one of all entries.
        log_prior_odds = -float(np.log(max(sum(camera != a for camera, _ in zones), 1)))
        ratio, cue = _appearance_ratio(exits, entries, embeddings)
        links += [
            _significant_link(ends, ratio[rows], log_prior_odds, cue, span_s, config)
            for ends, rows in _zone_pairs(exits, entries, config)
        ]
    return [link for link in links if link is not None]


def _camera_pairs(
    leaving: Sequence[Event], entering: Sequence[Event]
) -> Iterator[tuple[str, str, list[Event], list[Event]]]:
    """Two different cameras, the exits of the first and the entries of the second."""
    exits_of, entries_of = _by_camera(leaving), _by_camera(entering)
    for a, b in product(exits_of, entries_of):
        if a != b:
            yield a, b, exits_of[a], entries_of[b]


def _zone_pairs(
    exits: Sequence[Event], entries: Sequence[Event], config: SiteConfig
) -> Iterator[tuple[_Ends, tuple[Array, ...]]]:
    """The ends of every exit zone with every entry zone of two cameras, and their place in a matrix of all."""
    for rows, columns in product(_rows_by_zone(exits), _rows_by_zone(entries)):
        yield _Ends.of([exits[k] for k in rows], [entries[k] for k in columns], config), np.ix_(rows, columns)


def _by_camera(events: Sequence[Event]) -> dict[str, list[Event]]:
    ordered: dict[str, list[Event]] = {}
    for event in sorted(events, key=lambda e: (e.camera, e.zone, e.time_s, e.passage)):
        ordered.setdefault(event.camera, []).append(event)
    return ordered


def _rows_by_zone(events: Sequence[Event]) -> list[list[int]]:
    """Indices of each zone's events."""
    rows: dict[str, list[int]] = {}
    for k, event in enumerate(events):
        if event.zone:
            rows.setdefault(event.zone, []).append(k)
    return list(rows.values())


def _is_co_observed(exits: Sequence[Event], entries: Sequence[Event], pairs: Collection[tuple[int, int]]) -> Array:
    """Which exits and entries are of co-observed passages: bool (M, N)."""
    row, column = ({e.passage: k for k, e in enumerate(events)} for events in (exits, entries))
    same = np.zeros((len(exits), len(entries)), bool)
    for i, j in pairs:
        if i in row and j in column:
            same[row[i], column[j]] = True
    return same


def _appearance_ratio(
    exits: Sequence[Event], entries: Sequence[Event], embeddings: Array
) -> tuple[Array, Literal["appearance", "timing"]]:
    """Similarity weights relative to those of non-matching pairs, (M, N), 1 without embeddings; and the cue."""
    rows, columns = ([e.passage for e in events] for events in (exits, entries))
    weight = similarity_rank_weights(embeddings[rows], embeddings[columns])
    if weight is None:
        return np.ones((len(exits), len(entries))), "timing"
    return weight / NEGATIVE_PAIR_WEIGHT, "appearance"


def _co_observed_link(ends: _Ends, same: Array, config: SiteConfig) -> FoundLink | None:
    """The link of co-observed passages, which are rarely wrong.

    Args:
        ends: M exits and N entries.
        same: bool (M, N), which are of co-observed passages.
        config: The settings.
    """
    row, column = np.nonzero(ends.is_possible & same)
    times_s = ends.gap_s[row, column]
    if not len(times_s):
        return None
    deviation_s = np.abs(times_s - np.median(times_s))
    is_usual = deviation_s <= _OUTLIER_SPREADS * max(_robust_spread(times_s), _MIN_SPREAD_S)
    chosen = one_to_one(deviation_s, row, column, is_usual)
    expected_false = _FALSE_SHARE_OF_CO_OBSERVED * len(times_s)
    return _link(ends, times_s[chosen], times_s, expected_false, 0.0, "ground", config)


def _significant_link(
    ends: _Ends, ratio: Array, log_prior_odds: float, evidence: str, span_s: float, config: SiteConfig
) -> FoundLink | None:
    """The link of a significant transition by times and appearance.

    Args:
        ends: M exits and N entries.
        ratio: float64 (M, N), similarity weights relative to those of non-matching pairs.
        log_prior_odds: Of a link.
        evidence: The cue.
        span_s: Duration of the recording.
        config: The settings.
    """
    # A vehicle that the second camera saw first makes the opposite transition, even where both see it at once.
    exit_first_s, entry_first_s = (
        np.array([e.first_seen_s for e in events]) for events in (ends.exits, ends.entries)
    )
    is_possible = ends.is_possible & (exit_first_s[:, None] < entry_first_s[None])
    row, column = np.nonzero(is_possible)
    if len(row) < config.min_support:
        return None
    gap_s = np.where(is_possible, ends.gap_s, np.inf)
    found = transition_evidence(gap_s, ratio, span_s, (-config.max_overlap_s, config.max_travel_time_s))
    p_false = float(expit(-(found.log_bayes_factor + log_prior_odds)))
    if p_false > config.max_false_link_probability:
        return None
    posterior = found.posterior[row, column]
    chosen = one_to_one(-posterior, row, column, posterior >= _MIN_POSTERIOR)
    times_s = ends.gap_s[row, column]
    expected_false = float((1 - posterior[chosen]).sum())
    return _link(ends, times_s[chosen], times_s, expected_false, p_false, evidence, config)


def _link(
    ends: _Ends,
    times_s: Array,
    candidate_s: Array,
    expected_false: float,
    p_false: float,
    evidence: str,
    config: SiteConfig,
) -> FoundLink | None:
    """The link with its window of travel times; None of too few vehicles."""
    if len(times_s) < config.min_support:
        return None
    times_s = np.sort(times_s)
    spread_s = _robust_spread(times_s)
    margin_s = _MARGIN_S + _MARGIN_SPREADS * spread_s
    return FoundLink(
        ends.exits[0].camera,
        ends.exits[0].zone,
        ends.entries[0].camera,
        ends.entries[0].zone,
        times_s,
        float(np.floor(10 * (times_s[0] - margin_s)) / 10),
        float(np.ceil(10 * (times_s[-1] + margin_s)) / 10),
        float(np.median(times_s)),
        spread_s,
        min(1.0, len(times_s) / len(ends.exits)),
        expected_false,
        p_false,
        evidence,
        np.sort(candidate_s),
    )


def _robust_spread(times_s: Array) -> float:
    """1.4826 × median absolute deviation, the standard deviation of a normal distribution."""
    return float(1.4826 * np.median(np.abs(times_s - np.median(times_s))))
