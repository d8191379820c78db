"""What a journal demands of association, and vehicle numbers that stay as they are where nothing has changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from mtmc.errors import ConfigError
from mtmc.types import Array
from mtmc.view.journal import Entry, Track, Tracklets

__all__ = [
    "Corrections",
    "answers",
    "check_consistent",
    "checked_vehicles",
    "contradictions",
    "corrections_of",
    "counting_entries",
    "stable_ids",
]

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Corrections:
    """Pairs of passages, by index with the smaller one first.

    Attributes:
        must_link: One vehicle.
        cannot_link: Two vehicles.
        numbers: Of vehicles, each by one passage of it; later ones stand before earlier ones.
    """

    must_link: frozenset[Pair] = field(default_factory=frozenset)
    cannot_link: frozenset[Pair] = field(default_factory=frozenset)
    numbers: tuple[tuple[int, int], ...] = ()

    def groups(self, n: int) -> Array:
        """The least passage of those that must be one vehicle with each of N passages: int64 (N,)."""
        return _closure(n, self.must_link)

    def known(self, n: int) -> set[Pair]:
        """Pairs of groups of :meth:`groups` that are two vehicles."""
        group = self.groups(n)
        return {_ordered(int(group[i]), int(group[j])) for i, j in self.cannot_link}


def counting_entries(entries: Iterable[Entry]) -> list[Entry]:
    """Those that no other counting entry undoes, undos among them: an undo can be undone.

    >>> entries = [Entry(1, "same"), Entry(2, "undo", undoes=1), Entry(3, "undo", undoes=2)]
    >>> [entry.sequence for entry in counting_entries(entries)]
    [1, 3]
    """
    undone: set[int] = set()
    found = []
    for entry in sorted(entries, key=lambda e: -e.sequence):
        if entry.sequence in undone:
            continue
        undone.add(entry.undoes)
        found.append(entry)
    return found[::-1]


def answers(entries: Iterable[Entry]) -> list[Entry]:
    """The counting entries that are no undos."""
    return [entry for entry in counting_entries(entries) if entry.action != "undo"]


def corrections_of(
    entries: Iterable[Entry], index: Mapping[Track, int], deleted: Collection[Track] = frozenset()
) -> Corrections:
    """What the counting entries say of passages.

    Args:
        entries: Of a journal.
        index: Of each passage by (camera_id, track_id).
        deleted: Tracklets that were deleted: what entries say of them no longer counts.

    Raises:
        ConfigError: An entry names a tracklet that the run does not have.
    """
    active = answers(entries)

    def pairs(name: str) -> frozenset[Pair]:
        named: Iterable[Tracklets] = (pair for entry in active for pair in getattr(entry, name))
        present = (pair for pair in named if pair[:2] not in deleted and pair[2:] not in deleted)
        return frozenset(_indexed(pair, index) for pair in present)

    numbered = [entry for entry in active[::-1] if entry.action == "assign" and entry.number]
    return Corrections(
        must_link=pairs("must_link"),
        cannot_link=pairs("cannot_link"),
        numbers=tuple((index[track], e.number) for e in numbered for track in e.tracks if track not in deleted),
    )


def checked_vehicles(entries: Iterable[Entry], vehicle: Mapping[Track, int]) -> frozenset[int]:
    """Vehicles that a person has checked as they are: with the same tracklets and the same boxes of them.

    Args:
        entries: Of a journal.
        vehicle: Number of the vehicle of each tracklet.

    >>> checks = [Entry(1, "check", tracks=(("a", 1), ("b", 1))), Entry(2, "check", tracks=(("a", 2),))]
    >>> sorted(checked_vehicles(checks, {("a", 1): 7, ("b", 1): 7, ("a", 2): 8, ("b", 2): 8}))
    [7]
    """
    entries = list(entries)
    changes = [entry for entry in entries if entry.action in ("cut", "boxes", "undo")]
    checked = set()
    for mark in answers(entries):
        earlier = [entry for entry in changes if entry.sequence < mark.sequence]
        if mark.action == "check" and _changes_of(mark.tracks, earlier) == _changes_of(mark.tracks, changes):
            checked.add(frozenset(mark.tracks))
    members: dict[int, set[Track]] = {}
    for track, number in vehicle.items():
        members.setdefault(number, set()).add(track)
    return frozenset(number for number, tracks in members.items() if tracks in checked)


def _changes_of(tracks: Collection[Track], entries: Iterable[Entry]) -> list[int]:
    """Which counting entries cut some of these tracklets or give them boxes."""
    counting = (entry for entry in answers(entries) if entry.action in ("cut", "boxes"))
    return [entry.sequence for entry in counting if not set(tracks).isdisjoint(entry.tracks)]


def check_consistent(
    entries: Sequence[Entry], index: Mapping[Track, int], deleted: Collection[Track] = frozenset()
) -> None:
    """Check that the last entry does not make two tracklets one vehicle and two at the same time.

    Raises:
        ConfigError: It does; the message names the answers that it contradicts.
    """
    clashing = contradictions(entries, index, deleted)
    if not clashing:
        return
    counted_before = {entry.sequence for entry in answers(entries[:-1])}
    numbers = [str(number) for number in clashing if number in counted_before]
    raise ConfigError(
        f"this contradicts answer{'s' * (len(numbers) > 1)} {', '.join(numbers)}"
        if numbers
        else "this says of two tracklets that they are one vehicle, and that they are two",
        remedy="undo an earlier answer first",
    )


def contradictions(
    entries: Iterable[Entry], index: Mapping[Track, int], deleted: Collection[Track] = frozenset()
) -> list[int]:
    """Numbers of the answers by which two tracklets have to be one vehicle and two at the same time."""
    entries = list(entries)
    corrections = corrections_of(entries, index, deleted)
    group = corrections.groups(len(index))
    clash = {(i, j) for i, j in corrections.cannot_link if group[i] == group[j]}
    disputed = {int(group[i]) for i, _ in clash}
    about = [(e.sequence, corrections_of([e], index, deleted)) for e in answers(entries)] if clash else []
    return [number for number, said in about if _is_about(said, disputed, group, clash)]


def _is_about(said: Corrections, disputed: set[int], group: Array, clash: set[Pair]) -> bool:
    return any(int(group[i]) in disputed for i, _ in said.must_link) or not clash.isdisjoint(said.cannot_link)


def stable_ids(labels: Array, before: Array, weight: Array, numbers: Sequence[tuple[int, int]] = ()) -> Array:
    """Numbers of groups, as many as possible as they were: int64 (N,).

    Numbers that were given stand before all others. The other groups and earlier numbers are matched one to one,
    those first that have most in common. Groups that are left get new numbers, in order of their first passage.

    Args:
        labels: int (N,), the groups.
        before: int (N,), earlier numbers, 0 where there was none.
        weight: int (N,), how much each passage counts: its boxes.
        numbers: Of groups, each by a passage of it; of two that exclude each other the first one counts.

    >>> stable_ids(np.array([0, 0, 2, 3]), np.array([7, 8, 8, 0]), np.array([5, 9, 3, 1])).tolist()
    [8, 8, 9, 10]
    """
    has_number = before > 0
    pairs = np.stack([before[has_number], labels[has_number]], axis=1).reshape(-1, 2)
    unique, place = np.unique(pairs, axis=0, return_inverse=True)
    common = np.bincount(place.reshape(-1), weight[has_number], minlength=len(unique))
    number_of: dict[int, int] = {}
    taken: set[int] = set()
    for passage, number in numbers:
        label = int(labels[passage])
        if label not in number_of and number not in taken:
            number_of[label] = number
            taken.add(number)
    for row in np.lexsort([unique[:, 1], unique[:, 0], -common]).tolist():
        number, label = unique[row].tolist()
        if label not in number_of and number not in taken:
            number_of[label] = number
            taken.add(number)
    free = (number for number in count(int(before.max(initial=0)) + 1) if number not in taken)
    for label in labels.tolist():
        if label not in number_of:
            number_of[label] = next(free)
    return np.array([number_of[label] for label in labels.tolist()], np.int64)


def _closure(n: int, pairs: Iterable[Pair]) -> Array:
    sets = DisjointSet(k for pair in pairs for k in pair)
    for i, j in pairs:
        sets.merge(i, j)
    least = np.arange(n)
    for members in sets.subsets():
        least[list(members)] = min(members)
    return least


def _indexed(pair: Tracklets, index: Mapping[Track, int]) -> Pair:
    camera_a, track_a, camera_b, track_b = pair
    for name in ((camera_a, track_a), (camera_b, track_b)):
        if name not in index:
            raise ConfigError(f"expected a tracklet of the run, got {name[0]}/{name[1]}")
    return _ordered(index[camera_a, track_a], index[camera_b, track_b])


def _ordered(i: int, j: int) -> Pair:
    return (i, j) if i < j else (j, i)
