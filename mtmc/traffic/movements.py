"""Movements: each vehicle's pass through the view of one camera, the unit that traffic counts are made of.

A vehicle that leaves a view and returns has turned round, one that was hidden has not. Where positions on the ground
are known, the two are told apart by the length of the path in between: of all arcs over a chord of length d that turn
by no more than half a circle, the half circle is the longest, so that a vehicle at mean speed v was hidden for a gap
Δt if

    v Δt ≤ (π / 2) d.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.traffic.ground_paths import GroundPath, ground_path
from mtmc.types import CLASSES, Array, GlobalTrack, Passage

__all__ = ["Movement", "movement_passages", "movement_paths", "movements_of"]

#: A vehicle that is out of a camera's view for longer than this has left and returned.
MAX_GAP_S = 30.0

#: A vehicle that is out of view for less than this has not left and returned, but was hidden.
MIN_RETURN_S = 3.0

_SPEED_WINDOW_S = 1.0  # in which the speed before and after a gap is measured


@dataclass(frozen=True, slots=True)
class Movement:
    """One pass of a vehicle through the view of a camera.

    Attributes:
        vehicle: Identity of the vehicle, the same in all cameras.
        vehicle_class: Its class, the majority over its boxes in all cameras.
        camera: Name of the camera.
        entry_zone, exit_zone: Names of the zones it entered and left by, "" where unknown.
        enter_s, leave_s: Scene time of its first and last box, seconds.
        speed_kmh: Mean speed on the ground, NaN without calibration.
        tracklets: Number of tracklets it consists of.
        standing_s: Time for which it stands (slower than 5 km/h for at least 2 s), NaN without calibration.
        color: Its color, the majority over its boxes in all cameras, "" without an attribute network.
        entry_kmh, exit_kmh: Speed within three seconds of its first and of its last box, NaN where its position is
            not sure then.
    """

    vehicle: int
    vehicle_class: str
    camera: str
    entry_zone: str
    exit_zone: str
    enter_s: float
    leave_s: float
    speed_kmh: float
    tracklets: int
    standing_s: float = math.nan
    color: str = ""
    entry_kmh: float = math.nan
    exit_kmh: float = math.nan


def movements_of(tracks: Iterable[GlobalTrack], max_gap_s: float = MAX_GAP_S) -> list[Movement]:
    """The movements of all vehicles, by vehicle and time.

    Tracklets of a vehicle in one camera belong to one movement, unless the gap between them is longer than
    ``max_gap_s``, or it is longer than :data:`MIN_RETURN_S`, the earlier one ends in an exit zone and the later one
    starts in an entry zone, and the vehicle was not hidden in between.

    Args:
        tracks: Vehicles with their passages.
        max_gap_s: Longest gap within a movement, seconds.
    """
    return [movement for movement, _ in movement_passages(tracks, max_gap_s)]


def movement_paths(tracks: Iterable[GlobalTrack], max_gap_s: float = MAX_GAP_S) -> list[tuple[Movement, GroundPath]]:
    """The same movements, each with its path on the ground; arguments as of :func:`movements_of`."""
    return [(movement, _path_of(passages)) for movement, passages in movement_passages(tracks, max_gap_s)]


def movement_passages(
    tracks: Iterable[GlobalTrack], max_gap_s: float = MAX_GAP_S
) -> list[tuple[Movement, Sequence[Passage]]]:
    """The same movements, each with its passages in order of time; arguments as of :func:`movements_of`."""
    movements = []
    for track in tracks:
        by_camera: dict[str, list[Passage]] = defaultdict(list)
        for passage in track.passages:
            by_camera[passage.tracklet.camera_id].append(passage)
        for passages in by_camera.values():
            for group in _split_at_returns(passages, max_gap_s):
                movements.append((_movement(track, group), group))
    return sorted(movements, key=lambda pair: (pair[0].vehicle, pair[0].enter_s, pair[0].leave_s, pair[0].camera))


def _split_at_returns(passages: Sequence[Passage], max_gap_s: float) -> list[list[Passage]]:
    """Passages of one vehicle in one camera, in groups of one movement each."""
    ordered = sorted(passages, key=lambda p: (p.tracklet.start_s, p.tracklet.track_id))
    groups = [[ordered[0]]]
    end_s = ordered[0].tracklet.end_s
    for passage in ordered[1:]:
        earlier = max(groups[-1], key=lambda p: p.tracklet.end_s)
        gap_s = passage.tracklet.start_s - end_s
        has_zones = bool(earlier.exit and passage.entry)
        is_return = has_zones and gap_s > MIN_RETURN_S and not _was_hidden(earlier, passage)
        if is_return or gap_s > max_gap_s:
            groups.append([])
        groups[-1].append(passage)
        end_s = max(p.tracklet.end_s for p in groups[-1])
    return groups


def _was_hidden(earlier: Passage, later: Passage) -> bool:
    """Whether v Δt ≤ (π / 2) d, with v the mean of the speeds before and after; False without positions.

    Δt and d are those between the last known position of the earlier one and the first of the later one.
    """
    before_s, before_m = _known_positions(earlier)
    after_s, after_m = _known_positions(later)
    if not (len(before_s) and len(after_s)):
        return False
    recent, soon = before_s >= before_s[-1] - _SPEED_WINDOW_S, after_s <= after_s[0] + _SPEED_WINDOW_S
    speed_mps = (_speed_mps(before_s[recent], before_m[recent]) + _speed_mps(after_s[soon], after_m[soon])) / 2
    distance_m = float(np.linalg.norm(after_m[0] - before_m[-1]))
    return bool(speed_mps * (after_s[0] - before_s[-1]) <= math.pi / 2 * distance_m)


def _known_positions(passage: Passage) -> tuple[Array, Array]:
    """Times (L,) and positions (L, 2) of the boxes whose position is known."""
    is_known = np.isfinite(passage.ground_m).all(axis=1)
    return passage.tracklet.time_s[is_known], passage.ground_m[is_known]


def _speed_mps(time_s: Array, ground_m: Array) -> float:
    """Distance between the first and the last of the positions divided by its time; NaN for a single one."""
    if len(time_s) < 2:
        return math.nan
    return float(np.linalg.norm(ground_m[-1] - ground_m[0]) / (time_s[-1] - time_s[0]))


def _movement(vehicle: GlobalTrack, passages: Sequence[Passage]) -> Movement:
    first = min(passages, key=lambda p: p.tracklet.start_s)
    last = max(passages, key=lambda p: p.tracklet.end_s)
    path = _path_of(passages)
    return Movement(
        vehicle=vehicle.global_id,
        vehicle_class=CLASSES[vehicle.class_id],
        camera=first.tracklet.camera_id,
        entry_zone=first.entry,
        exit_zone=last.exit,
        enter_s=first.tracklet.start_s,
        leave_s=last.tracklet.end_s,
        speed_kmh=3.6 * path.speed_mps,
        tracklets=len(passages),
        standing_s=path.standing_s(),
        color=vehicle.color,
        entry_kmh=3.6 * path.speed_at(first.tracklet.start_s),
        exit_kmh=3.6 * path.speed_at(last.tracklet.end_s),
    )


def _path_of(passages: Sequence[Passage]) -> GroundPath:
    time_s = np.concatenate([p.tracklet.time_s for p in passages])
    ground_m = np.concatenate([p.ground_m for p in passages])
    order = np.argsort(time_s, kind="stable")
    return ground_path(time_s[order], ground_m[order])
