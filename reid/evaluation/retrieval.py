"""How well an embedder finds the same vehicle again: CMC, mAP and mINP, exact, by a protocol that the result names.

::

    crops ─► extract ─► Embeddings ─► evaluate(query, gallery, protocol) ─► RetrievalScores
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reid.data.records import JUNK, DatasetSplit, Record, Track, cameras, identities
from reid.errors import DataError
from reid.evaluation.bootstrap import identity_interval
from reid.evaluation.expansion import expanded
from reid.evaluation.protocols import PROTOCOLS, Protocol
from reid.evaluation.ranks import Labels, Ranks, positive_ranks, similarity_blocks, unit
from reid.evaluation.rerank import k_reciprocal
from reid.evaluation.verification import Verification, verify

__all__ = [
    "Embeddings",
    "RetrievalScores",
    "check_answerable",
    "evaluate",
    "evaluate_split",
    "pool",
    "verify_split",
]

Array = NDArray[Any]

#: Length of the CMC curve.
CMC_RANKS = 50
#: Exponent of the weighted query expansion, as published.
_EXPANSION_ALPHA = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """The features of N crops with what is known of them.

    Attributes:
        features: float (N, D), of any length; retrieval is by cosine.
        vehicle_id: int64 (N,).
        camera_id: int64 (N,).

    Raises:
        ValueError: The columns differ in length.
    """

    features: Array
    vehicle_id: Array
    camera_id: Array

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or not len(self.features) == len(self.vehicle_id) == len(self.camera_id):
            shapes = f"{self.features.shape}, {self.vehicle_id.shape} and {self.camera_id.shape}"
            raise ValueError(f"expected features (N, D) with N identities and N cameras, got {shapes}")

    @classmethod
    def of(cls, features: Array, records: Sequence[Record]) -> Embeddings:
        """Features in the order of their records."""
        return cls(features, identities(records), cameras(records))

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: Array) -> Embeddings:
        return Embeddings(self.features[rows], self.vehicle_id[rows], self.camera_id[rows])

    @property
    def labels(self) -> Labels:
        """Identities and cameras alone."""
        return Labels(self.vehicle_id, self.camera_id)


@dataclass(frozen=True, slots=True)
class RetrievalScores:
    """What one evaluation found; shares in 0…1.

    Attributes:
        protocol: Name of the protocol it was measured by.
        map: Mean average precision, by steps.
        map_trapezoid: The same with average precision by trapezoids.
        minp: Mean inverse negative penalty: how early the last right answer comes.
        cmc: Share of queries with a right answer among the first 1, 2, … 50.
        queries: Queries counted, over all draws and directions.
        unmatched: Queries without a right answer.
        draws: Evaluations averaged.
        map_std: Standard deviation of ``map`` over them.
        r1_std: Standard deviation of ``r1`` over them.
        seeds: Seeds of the draws; empty where nothing was drawn.
        map_interval: 95 % interval of ``map`` by bootstrap over identities; None if not asked for.
        r1_interval: Likewise of ``r1``.
    """

    protocol: str
    map: float
    map_trapezoid: float
    minp: float
    cmc: tuple[float, ...]
    queries: int
    unmatched: int
    draws: int = 1
    map_std: float = 0.0
    r1_std: float = 0.0
    seeds: tuple[int, ...] = ()
    map_interval: tuple[float, float] | None = None
    r1_interval: tuple[float, float] | None = None

    @property
    def r1(self) -> float:
        """Share of queries whose first answer is right."""
        return self.cmc[0]

    @property
    def r5(self) -> float:
        """Share of queries with a right answer among the first five."""
        return self.cmc[4]

    @property
    def r10(self) -> float:
        """Share of queries with a right answer among the first ten."""
        return self.cmc[9]

    def __str__(self) -> str:
        """One line for a terminal, in percent."""
        intervals = ""
        if self.map_interval and self.r1_interval:
            intervals = f"; 95 %: mAP {_percent(self.map_interval)}, R1 {_percent(self.r1_interval)}"
        spread = f" (std mAP {100 * self.map_std:.2f}, R1 {100 * self.r1_std:.2f})" if self.seeds else ""
        return (
            f"{self.protocol}: mAP {100 * self.map:.2f}, R1 {100 * self.r1:.2f}, R5 {100 * self.r5:.2f}, "
            f"R10 {100 * self.r10:.2f}{spread}, mINP {100 * self.minp:.2f}, "
            f"trapezoid mAP {100 * self.map_trapezoid:.2f}; "
            f"{self.queries} queries, {self.unmatched} without a right answer{intervals}"
        )

    def as_dict(self) -> dict[str, Any]:
        """For a JSON report: everything, and the usual ranks by name."""
        return {**asdict(self), "r1": self.r1, "r5": self.r5, "r10": self.r10}


def evaluate(
    query: Embeddings,
    gallery: Embeddings,
    protocol: Protocol = PROTOCOLS["market"],
    *,
    seed: int = 0,
    tracks: Sequence[Track] = (),
    distances: Array | None = None,
    bootstrap: int = 0,
) -> RetrievalScores:
    """Measure retrieval.

    Args:
        query: Crops to look for; without effect where the protocol draws queries from the pool.
        gallery: Crops to look among.
        protocol: How they meet.
        seed: Draw number t is made with seed ``seed + t``.
        tracks: Needed by a protocol of tracks.
        distances: (Q, G), used in place of those of the features, for example re-ranked ones; protocols without
            draws, directions or tracks only.
        bootstrap: Samples of identities for the intervals of mAP and rank 1; 0 for no intervals.

    Raises:
        DataError: No query has a right answer in the gallery.
        ValueError: Shapes disagree, a feature is not finite, or the protocol needs tracks and there are none.
    """
    if protocol.pool_queries:
        query = pool(query)
    if distances is not None:
        if protocol.draw != "none" or protocol.both_directions or protocol.tracks:
            raise ValueError(f"protocol {protocol.name} cannot be measured on given distances")
        if distances.shape != (len(query), len(gallery)):
            raise ValueError(f"expected distances ({len(query)}, {len(gallery)}), got {distances.shape}")
        return _scores(protocol, [_rank(query, gallery, protocol, distances)], (), bootstrap, seed)
    if protocol.tracks:
        if not tracks:
            raise ValueError(f"protocol {protocol.name} needs tracks")
        gallery = _track_embeddings(gallery, tracks, protocol.track_camera_shift)
        query = replace(query, features=unit(query.features))
    seeds = tuple(range(seed, seed + protocol.draws)) if protocol.draw != "none" else ()
    rounds = [_rank(q, g, protocol) for q, g in _rounds(query, gallery, protocol, seeds)]
    return _scores(protocol, rounds, seeds, bootstrap, seed)


def evaluate_split(
    split: DatasetSplit,
    query: Embeddings | None,
    gallery: Embeddings,
    *,
    seed: int = 0,
    rerank: bool = False,
    expand: int = 0,
    bootstrap: int = 0,
) -> list[RetrievalScores]:
    """Measure a data set by its own protocol, and also by track where it has tracks.

    Args:
        split: The data set.
        query: Of its queries; None where the protocol draws them out of the gallery.
        gallery: Of its gallery.
        seed: Of the protocol's draws, and of the bootstrap.
        rerank: Measure the protocol also with re-ranked distances, where it does not draw.
        expand: Measure it also with queries expanded by so many pictures, plainly and weighted; 0 for neither.
        bootstrap: Samples of identities for the intervals; 0 for none.

    Raises:
        DataError: See :func:`check_answerable`.
    """
    check_answerable(split)
    if query is not None and PROTOCOLS[split.protocol].pool_queries:
        query = pool(query)
    names = [split.protocol] + (["veri-track", "veri-track-released"] if split.tracks else [])
    chosen: dict[str, Any] = {"seed": seed, "bootstrap": bootstrap}
    scores = [evaluate(query or gallery, gallery, PROTOCOLS[n], tracks=split.tracks, **chosen) for n in names]
    protocol = replace(PROTOCOLS[split.protocol], both_directions=False)
    if query is None or protocol.draw != "none":
        return scores
    if rerank:
        named = replace(protocol, name=f"{protocol.name}, re-ranked")
        distances = k_reciprocal(unit(query.features), unit(gallery.features))
        scores.append(evaluate(query, gallery, named, distances=distances, **chosen))
    for alpha in (0.0, _EXPANSION_ALPHA) if expand else ():
        kind = f", α = {alpha:g}" if alpha else ""
        named = replace(protocol, name=f"{protocol.name}, expanded by {expand}{kind}")
        asked = replace(query, features=expanded(query.features, gallery.features, expand, alpha))
        scores.append(evaluate(asked, gallery, named, **chosen))
    return scores


def verify_split(
    split: DatasetSplit, query: Embeddings | None, gallery: Embeddings, *, seed: int = 0
) -> Verification:
    """Compare all pairs of a data set's queries and gallery by cosine; of a protocol that draws, those of one draw.

    Args:
        split: The data set.
        query: Of its queries; None where the protocol draws them out of the gallery.
        gallery: Of its gallery.
        seed: Of the draw.

    Raises:
        DataError: All pictures show one vehicle; or see :func:`check_answerable`.
    """
    check_answerable(split)
    protocol = PROTOCOLS[split.protocol]
    if query is not None and protocol.pool_queries:
        query = pool(query)
    seeds = () if protocol.draw == "none" else (seed,)
    asked, offered = next(_rounds(query or gallery, gallery, protocol, seeds))
    if len({*asked.vehicle_id.tolist(), *offered.vehicle_id.tolist()} - {JUNK}) < 2:
        raise DataError(
            f"{split.name}: all pictures show one vehicle, so there are no pairs of two to tell apart",
            remedy="give pictures of at least two vehicles, or leave --roc and --plots out",
        )
    features = unit(asked.features)  # thresholds hold for all queries, so all must have one length
    return verify(
        lambda: similarity_blocks(features, offered.features),
        asked.labels,
        offered.labels,
        camera_rule=protocol.camera_rule,
    )


def check_answerable(split: DatasetSplit) -> None:
    """Refuse a data set on which nothing can be measured, before anything is computed.

    Raises:
        DataError: There is nothing to look among or to look for, or no query has a right answer under the data set's
            protocol.
    """
    protocol = PROTOCOLS[split.protocol]
    if not split.gallery:
        raise DataError(
            f"{split.name} holds nothing out for retrieval: its gallery is empty",
            remedy="raise held_out, or choose another part of the data set",
        )
    if protocol.draw == "pool":
        numbers = np.unique(identities(split.gallery), return_counts=True)[1]
        if numbers.max() < 2:
            raise DataError(
                f"{split.name}: every identity has one picture, so there is nothing to find again",
                remedy="give at least two pictures of each vehicle",
            )
        return
    if not split.query:
        raise DataError(f"{split.name} has no queries", remedy="choose another part of the data set")
    seen = {(r.vehicle_id, r.camera_id) for r in split.gallery}
    cameras_of: dict[int, set[int]] = {}
    for vehicle, camera in seen:
        cameras_of.setdefault(vehicle, set()).add(camera)
    if not any(
        cameras_of.get(r.vehicle_id, set()) - ({r.camera_id} if protocol.camera_rule else set())
        for r in split.query
        if r.vehicle_id != JUNK
    ):
        raise _unanswerable(protocol)


def _unanswerable(protocol: Protocol) -> DataError:
    if protocol.camera_rule:
        return DataError(
            "no query has a right answer: the camera rule leaves out pictures by the query's own camera, and the "
            "gallery has no picture of a query's vehicle by another one",
            remedy="give pictures of the same vehicles by at least two cameras",
        )
    return DataError(
        "no query has a right answer in the gallery", remedy="give pictures of the same vehicles in both parts"
    )


def pool(crops: Embeddings) -> Embeddings:
    """One entry per identity and camera: the mean of its normalized features (multi-query)."""
    pairs = np.stack([crops.vehicle_id, crops.camera_id], axis=1)
    kept, group = np.unique(pairs, axis=0, return_inverse=True)
    order = np.argsort(group.reshape(-1), kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(group.reshape(-1)))[:-1])
    features = unit(crops.features)
    return Embeddings(np.stack([features[p].mean(axis=0) for p in parts]), kept[:, 0], kept[:, 1])


def _rounds(
    query: Embeddings, gallery: Embeddings, protocol: Protocol, seeds: Sequence[int]
) -> Iterator[tuple[Embeddings, Embeddings]]:
    if protocol.draw == "none":
        yield query, gallery
    for seed in seeds:
        chosen = _one_each(gallery.vehicle_id, np.random.default_rng(seed))
        yield (query if protocol.draw == "gallery" else gallery[~chosen]), gallery[chosen]
    if protocol.both_directions:
        yield gallery, query


def _one_each(vehicle_id: Array, rng: np.random.Generator) -> Array:
    """Choose one crop of each identity at random: bool (N,)."""
    order = rng.permutation(len(vehicle_id))
    chosen = np.zeros(len(vehicle_id), bool)
    chosen[order[np.unique(vehicle_id[order], return_index=True)[1]]] = True
    return chosen


class _Round(NamedTuple):
    """The ranks of the queries of one draw or direction, and whose pictures the queries are: int64 (Q,)."""

    ranks: Ranks
    vehicle_id: Array


def _rank(query: Embeddings, gallery: Embeddings, protocol: Protocol, distances: Array | None = None) -> _Round:
    blocks = (
        similarity_blocks(query.features, gallery.features, "euclidean" if protocol.tracks else "cosine")
        if distances is None
        else ((slice(i, i + 1), -distances[i : i + 1]) for i in range(len(distances)))
    )
    ranks = positive_ranks(blocks, query.labels, gallery.labels, camera_rule=protocol.camera_rule)
    return _Round(ranks, query.vehicle_id)


def _scores(
    protocol: Protocol, rounds: Sequence[_Round], seeds: tuple[int, ...], bootstrap: int, seed: int
) -> RetrievalScores:
    tables = []
    for ranks, _ in rounds:
        counted = len(ranks.count) if protocol.unmatched == "zero" else int(ranks.matched().sum())
        if not counted:
            raise _unanswerable(protocol)
        reached = np.bincount(np.minimum(ranks.first(), CMC_RANKS + 1), minlength=CMC_RANKS + 2)[1 : CMC_RANKS + 1]
        averages = [ranks.average_precision(rule).sum() / counted for rule in ("step", "trapezoid")]
        penalty = ranks.inverse_negative_penalty().sum() / counted
        tables.append(np.concatenate([[*averages, penalty], np.cumsum(reached) / counted]))
    mean, std = np.mean(tables, axis=0), np.std(tables, axis=0)
    intervals = _intervals(protocol, rounds, bootstrap, seed) if bootstrap else (None, None)
    return RetrievalScores(
        protocol.name,
        float(mean[0]),
        float(mean[1]),
        float(mean[2]),
        tuple(mean[3:].tolist()),
        queries=sum(len(r.count) if protocol.unmatched == "zero" else int(r.matched().sum()) for r, _ in rounds),
        unmatched=sum(int((~r.matched()).sum()) for r, _ in rounds),
        draws=len(rounds),
        map_std=float(std[0]),
        r1_std=float(std[3]),
        seeds=seeds,
        map_interval=intervals[0],
        r1_interval=intervals[1],
    )


def _intervals(protocol: Protocol, rounds: Sequence[_Round], draws: int, seed: int) -> list[tuple[float, float]]:
    """Intervals of mAP and rank 1; all queries of an identity, over all rounds, are drawn together."""
    values, identity = [], []
    for ranks, vehicle_id in rounds:
        counted = ranks.matched() | (protocol.unmatched == "zero")
        each = np.zeros((len(counted), 2))
        each[ranks.matched()] = np.stack([ranks.average_precision(), ranks.first() == 1], axis=1)
        values.append(each[counted])
        identity.append(vehicle_id[counted])
    low, high = identity_interval(np.concatenate(values), np.concatenate(identity), draws=draws, seed=seed)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _percent(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{100 * low:.2f} to {100 * high:.2f}"


def _track_embeddings(gallery: Embeddings, tracks: Sequence[Track], camera_shift: int) -> Embeddings:
    features = unit(gallery.features)
    return Embeddings(
        np.stack([features[list(t.items)].mean(axis=0) for t in tracks]),
        np.array([t.vehicle_id for t in tracks]),
        np.array([t.camera_id + camera_shift for t in tracks]),
    )
