"""What can never be one vehicle, whatever the log odds are, and what has to be, whatever they are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from mtmc.multiview.trajectories import Trajectories
from mtmc.types import Array

__all__ = ["Constraints"]

Pair = tuple[int, int]


class Constraints:
    """Rules about groups of N passages.

    ========================  ===========================================================================
    rule                      two passages, or groups, that are never one vehicle
    ========================  ===========================================================================
    ``cannot link``           pairs given from outside
    ``two identities``        passages whose identities stand already, and differ
    ``same image``            two tracklets of one camera at one time, unless they are duplicates
    ``two positions``         two positions on the ground at one time
    ``too fast``              farther apart on the ground than a vehicle can drive between them
    ``re-entry gap``          out of sight of all cameras for too long before returning to a camera
    ========================  ===========================================================================

    Passages that have to be one vehicle (``must_link``, or of one identity that stands) never conflict.

    Args:
        camera: int64 (N,).
        trajectories: Of the N passages, on common planes.
        max_distance_m: Farther apart at one time are two positions.
        max_speed_mps: Of a vehicle, between the end of one trajectory and the start of another.
        max_reentry_gap_s: Longest time out of sight before a vehicle returns to a camera.
        duplicates: Pairs (i, j), i < j, of one camera that may be in one image.
        must_link: Pairs that are one vehicle.
        cannot_link: Pairs that are two.
        identity: int64 (N,), identities that stand already, −1 where none does; None: nowhere.

    Raises:
        ValueError: ``must_link`` joins two identities that stand already.
    """

    def __init__(
        self,
        camera: Array,
        trajectories: Trajectories,
        *,
        max_distance_m: float,
        max_speed_mps: float,
        max_reentry_gap_s: float,
        duplicates: Iterable[Pair] = (),
        must_link: Iterable[Pair] = (),
        cannot_link: Iterable[Pair] = (),
        identity: Array | None = None,
    ) -> None:
        self.trajectories = trajectories
        self.max_distance_m, self.max_speed_mps = max_distance_m, max_speed_mps
        self.max_reentry_gap_s = max_reentry_gap_s
        self.duplicates = frozenset(duplicates)
        self.must_link = frozenset((min(p), max(p)) for p in must_link)
        self.cannot_link = frozenset((min(p), max(p)) for p in cannot_link)
        # Plain lists: single elements of arrays are slow to read.
        self._camera: list[int] = camera.tolist()
        self._start: list[float] = trajectories.start_s.tolist()
        self._end: list[float] = trajectories.end_s.tolist()
        self._identity: list[int] | None = None if identity is None else identity.tolist()
        self.groups = _linked_groups(len(camera), self.must_link, self._identity)
        self._group_of = {k: g for g, members in enumerate(self.groups) for k in members}
        self._check_identities()

    def replaced(
        self,
        *,
        duplicates: Iterable[Pair] | None = None,
        must_link: Iterable[Pair] | None = None,
        cannot_link: Iterable[Pair] | None = None,
        identity: Array | None = None,
    ) -> Constraints:
        """The same rules with some of the given pairs or identities replaced."""
        own_identity = None if self._identity is None else np.array(self._identity, np.int64)
        return Constraints(
            np.array(self._camera, np.int64),
            self.trajectories,
            max_distance_m=self.max_distance_m,
            max_speed_mps=self.max_speed_mps,
            max_reentry_gap_s=self.max_reentry_gap_s,
            duplicates=self.duplicates if duplicates is None else duplicates,
            must_link=self.must_link if must_link is None else must_link,
            cannot_link=self.cannot_link if cannot_link is None else cannot_link,
            identity=own_identity if identity is None else identity,
        )

    def conflict(self, first: list[int], second: list[int]) -> bool:
        """Whether two groups hold passages that cannot be one vehicle."""
        if any(self._pair_conflicts(i, j) for i in first for j in second):
            return True
        shared = {self._camera[i] for i in first} & {self._camera[j] for j in second}
        return any(self.has_reentry_gap(c, first + second) for c in shared)

    def rule(self, i: int, j: int) -> str:
        """Name of the rule by which two passages cannot be one vehicle, or ""."""
        if self._must_be_one(i, j):
            return ""
        if (min(i, j), max(i, j)) in self.cannot_link:
            return "cannot link"
        if self._have_two_identities(i, j):
            return "two identities"
        if self._camera[i] != self._camera[j]:
            if not self.is_too_far(i, j):
                return ""
            overlap = min(self._end[i], self._end[j]) - max(self._start[i], self._start[j])
            return "two positions" if overlap >= 0 else "too fast"
        if self._in_one_image(i, j):
            return "same image"
        return "re-entry gap" if self.has_reentry_gap(self._camera[i], [i, j]) else ""

    def _pair_conflicts(self, i: int, j: int) -> bool:
        """Whether one of the rules about pairs forbids two passages, all but the re-entry gap."""
        if self._group_of and self._must_be_one(i, j):
            return False
        if self.cannot_link and (min(i, j), max(i, j)) in self.cannot_link:
            return True
        if self._identity is not None and self._have_two_identities(i, j):
            return True
        return self._in_one_image(i, j) if self._camera[i] == self._camera[j] else self.is_too_far(i, j)

    def _must_be_one(self, i: int, j: int) -> bool:
        return i in self._group_of and self._group_of[i] == self._group_of.get(j)

    def _have_two_identities(self, i: int, j: int) -> bool:
        if self._identity is None:
            return False
        return self._identity[i] >= 0 and self._identity[j] >= 0 and self._identity[i] != self._identity[j]

    def _in_one_image(self, i: int, j: int) -> bool:
        """Whether two tracklets of one camera overlap in time and are no duplicates."""
        if self._start[j] < self._start[i]:
            i, j = j, i
        return self._start[j] <= self._end[i] and (min(i, j), max(i, j)) not in self.duplicates

    def is_too_far(self, i: int, j: int) -> bool:
        """Whether two passages were at two positions at one time, or too far apart for the time between them.

        At common times the median distance counts, else the distance from the end of one to the start of the other.
        """
        paths = self.trajectories
        if self._start[j] < self._start[i]:
            i, j = j, i
        if paths.first[i] < 0 or paths.plane[i] != paths.plane[j]:
            return False
        first_i, last_i, first_j, last_j = paths.first[i], paths.last[i], paths.first[j], paths.last[j]
        since = max(paths.tick[first_i], paths.tick[first_j])
        until = min(paths.tick[last_i], paths.tick[last_j])
        if since <= until:
            length = until - since + 1
            begin_i, begin_j = first_i + since - paths.tick[first_i], first_j + since - paths.tick[first_j]
            between = paths.xy[begin_i : begin_i + length] - paths.xy[begin_j : begin_j + length]
            return bool(np.median(np.hypot(*between.T)) > self.max_distance_m)
        gap_s = max(self._start[j] - self._end[i], 0.0)
        jump_m = np.hypot(*(paths.xy[first_j] - paths.xy[last_i]))
        return bool(jump_m > self.max_distance_m + self.max_speed_mps * gap_s)

    def has_reentry_gap(self, camera: int, group: list[int]) -> bool:
        """Whether a group left a camera, and the sight of all, for too long before it returned to that camera.

        A vehicle that waits behind an obstacle in one view, and is seen by another view meanwhile, may return.
        """
        seen = sorted((self._start[k], self._end[k], k) for k in group)
        in_sight_until = seen[0][1]
        hidden_s = 0.0  # since the camera's last tracklet
        last_of_camera = -1
        for start, end, k in seen:
            hidden_s += max(start - in_sight_until, 0.0)
            if self._camera[k] == camera:
                is_gap = last_of_camera >= 0 and hidden_s > self.max_reentry_gap_s
                if is_gap and not self._must_be_one(last_of_camera, k):
                    return True
                hidden_s, last_of_camera = 0.0, k
            in_sight_until = max(in_sight_until, end)
        return False

    def _check_identities(self) -> None:
        if self._identity is None:
            return
        for members in self.groups:
            standing = {self._identity[k] for k in members} - {-1}
            if len(standing) > 1:
                raise ValueError(f"must_link joins identities that stand already: {sorted(standing)}")


def _linked_groups(n: int, must_link: Collection[Pair], identity: Sequence[int] | None) -> list[list[int]]:
    """Groups of at least two passages that have to be one vehicle, each sorted, in order of their least member."""
    sets = DisjointSet(k for pair in must_link for k in pair)
    for i, j in must_link:
        sets.merge(i, j)
    first_of: dict[int, int] = {}
    for k, standing in enumerate(identity or ()):
        if standing < 0:
            continue
        sets.add(k)
        sets.merge(k, first_of.setdefault(standing, k))
    return sorted(sorted(group) for group in sets.subsets() if len(group) > 1)
