"""Vehicles as they may have been: random partitions of a run's passages that follow the probabilities of its links.

A run states one partition of its passages into vehicles, and ``results/links.parquet`` the calibrated probability p
of every pair of tracklets that it joined, or rejected in spite of positive log odds. :func:`sample_partitions` draws
S partitions together. In all of them the passages are apart at first, and the pairs are visited from the most
probable to the least. Before a pair is visited, a share q of the partitions has joined it already, through other
pairs, and in a share f its two groups can be one vehicle. It is joined in

    S · min(f, max(0, p − q))

of the latter, drawn at random, so that the share of partitions that join it is p wherever q ≤ p ≤ q + f.
Alternatives thereby exclude each other: if a passage is one vehicle with b with probability 0.6, and with c of the
same camera with probability 0.4, then c is joined in the very partitions in which b is not.

Sources: sequential sampling whose probabilities are updated after each decision, so that those of the units are as
given: Bondesson, Thorburn: A list sequential sampling method suitable for real-time sampling, Scandinavian Journal of
Statistics 35, 2008. Uncertain links as a problem of missing data, with one result for each of several imputed sets of
links: Goldstein, Harron, Wade: The analysis of record-linked data using multiple imputation with data value priors,
Statistics in Medicine 31, 2012.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.associate.tracklet_links import TrackletLinks
from mtmc.types import GlobalTrack, Passage

__all__ = ["LinkedPassages", "linked_passages", "sample_partitions"]

_LEAST_PROBABILITY = 0.01  # rarer pairs change no figure by a vehicle

_Group = frozenset[int]


@dataclass(frozen=True, slots=True, eq=False)
class LinkedPassages:
    """N passages of a run's vehicles, and the pairs of them that may be one vehicle.

    Attributes:
        passages: N passages.
        vehicle: The run's vehicle of each, N numbers.
        pairs: (i, j, p) with i < j: indices of two passages and the probability that they are one vehicle; the most
            probable pair first.
    """

    passages: Sequence[Passage]
    vehicle: Sequence[int]
    pairs: Sequence[tuple[int, int, float]]


def linked_passages(tracks: Iterable[GlobalTrack], links: TrackletLinks) -> LinkedPassages:
    """The passages of a run's vehicles with their links. Links of other passages are left out.

    Args:
        tracks: The vehicles.
        links: As the run wrote them.
    """
    members = [(track.global_id, passage) for track in tracks for passage in track.passages]
    index = {(p.tracklet.camera_id, p.tracklet.track_id): k for k, (_, p) in enumerate(members)}
    ends_a = zip(links.camera_a.tolist(), links.track_a.tolist(), strict=True)
    ends_b = zip(links.camera_b.tolist(), links.track_b.tolist(), strict=True)
    pairs = [
        (min(index[a], index[b]), max(index[a], index[b]), p)
        for a, b, p in zip(ends_a, ends_b, links.probability.tolist(), strict=True)
        if a in index and b in index and p >= _LEAST_PROBABILITY
    ]
    return LinkedPassages(
        passages=[passage for _, passage in members],
        vehicle=[vehicle for vehicle, _ in members],
        pairs=sorted(pairs, key=lambda pair: (-pair[2], pair)),
    )


def sample_partitions(linked: LinkedPassages, samples: int, seed: int = 0) -> list[list[tuple[int, ...]]]:
    """Random partitions of the passages into vehicles.

    Args:
        linked: N passages and their links.
        samples: Number of partitions.
        seed: Of the random numbers; the same arguments give the same partitions.

    Returns:
        For each partition its vehicles in order, each as the sorted indices of its passages.
    """
    rng = np.random.default_rng(seed)
    suggested = {(i, j) for i, j, _ in linked.pairs}
    partitions = [[frozenset([k]) for k in range(len(linked.passages))] for _ in range(samples)]
    for i, j, probability in linked.pairs:
        joined = sum(group_of[i] is group_of[j] for group_of in partitions)
        free = [
            group_of
            for group_of in partitions
            if group_of[i] is not group_of[j] and not _conflict(linked, suggested, group_of[i], group_of[j])
        ]
        wanted = max(0, round(probability * samples) - joined)
        for k in rng.permutation(len(free))[:wanted].tolist():
            _join(free[k], i, j)
    return [sorted({tuple(sorted(group)) for group in group_of}) for group_of in partitions]


def _join(group_of: list[_Group], i: int, j: int) -> None:
    both = group_of[i] | group_of[j]
    for member in both:
        group_of[member] = both


def _conflict(linked: LinkedPassages, suggested: set[tuple[int, int]], first: _Group, second: _Group) -> bool:
    """Whether two groups hold passages of one camera that neither the run nor a link suggests to be one vehicle."""
    return any(
        linked.passages[i].tracklet.camera_id == linked.passages[j].tracklet.camera_id
        and linked.vehicle[i] != linked.vehicle[j]
        and (min(i, j), max(i, j)) not in suggested
        for i in first
        for j in second
    )
