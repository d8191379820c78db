"""Roughly how grounds that share no road lie to one another, from the journeys between them.

If one ground is turned and moved some way, each vehicle that leaves one view for the other has a distance to drive,
and so a time to come, and both its ends point along the way. Of all turns and moves there are, the one is taken under
which most of those who leave come in about when and where they should, looks counting as far as one vehicle's pairs
give them more often than strangers' do. Both directions and all zones have their say together, so a few vehicles tell
more of it than of any single link.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np

from mtmc.geometry.ground import project
from mtmc.multiview.likelihoods import ENDPOINT_KAPPA, drive_density, vector_cosine
from mtmc.progress import progress_bar
from mtmc.scene import PlaneAlignment
from mtmc.site.pose_graph import spanning_forest
from mtmc.site.similarity import NEGATIVE_PAIR_WEIGHT
from mtmc.site.trajectories import STEP_S, Trajectory
from mtmc.types import Array

__all__ = ["Endpoints", "PlaneAlignmentEstimate", "align_planes", "trajectory_endpoints"]

_LEAST_ODDS = -2.0  # log odds of a alignment against nobody going between; the views of one place are likely linked
_GAP_S = 0.5, 40.0  # times out of sight
_MOVING_MPS = 2.0
_LEAST_SAMPLES, _MOST_SAMPLES = 4, 7  # of a way, that give its place and velocity at one end
_SHARES = (0.1, 0.3, 0.6, 0.9)  # of those who head for the other ground, that arrive there
_TURNS, _HEADINGS, _METRES = 24, 24, np.geomspace(20.0, 250.0, 16)
_BATCH = 32
_MOST_PAIRS = 12_000  # of those who leave and those who come: what these do not tell, more will not
_FEW = 1.0  # vehicles; fewer tell nothing of how many come by
_FINER, _ROUNDS = 8, 5  # the best on the grid, and how often each is looked at more closely
_STEP_RAD, _STEP_M = 0.13, 15.0


@dataclass(frozen=True, slots=True, eq=False)
class Endpoints:
    """Where, when and how fast W vehicles of one camera came into or went out of its ground.

    Attributes:
        place: complex128 (W,), metres; NaN where a way says nothing.
        velocity: complex128 (W,), metres per second.
        time_s: float64 (W,).
    """

    place: Array
    velocity: Array
    time_s: Array


@dataclass(frozen=True, slots=True)
class PlaneAlignmentEstimate:
    """A alignment, and how sure it is.

    Attributes:
        alignment: What is written.
        metres: From the middle of one ground's ways to the middle of the other's.
        odds: Log odds of it against nobody going between, all plane_alignments there may be taken together.
    """

    alignment: PlaneAlignment
    metres: float
    odds: float

    @property
    def sure(self) -> float:
        """Confidence in [0, 1]."""
        return float(1 / (1 + np.exp(-self.odds)))


def trajectory_endpoints(
    ways: Sequence[Trajectory], near: Callable[[Array], Array], matrix: Array
) -> tuple[Endpoints, Endpoints]:
    """Where a camera's vehicles came in and went out, by straight lines through first and last samples.

    Args:
        ways: W of them.
        near: Which of (K, 2) pixels are near enough to tell a place.
        matrix: Pixels → metres.
    """
    out = []
    for part in (slice(None, _MOST_SAMPLES), slice(-_MOST_SAMPLES, None)):
        place, velocity = np.full((2, len(ways)), np.nan, complex)
        time_s = np.full(len(ways), np.nan)
        for k, way in enumerate(ways):
            use = np.flatnonzero(way.whole & near(way.px))
            if len(use) < _LEAST_SAMPLES:
                continue
            use = use[part]
            ground, when = project(way.px[use], matrix), way.tick[use] * STEP_S
            z, since = ground[:, 0] + 1j * ground[:, 1], when - when.mean()
            v = (since * (z - z.mean())).sum() / np.square(since).sum()
            at = 0 if part.start is None else -1
            place[k], velocity[k], time_s[k] = z.mean() + v * since[at], v, when[at]
        out.append(Endpoints(place, velocity, time_s))
    return out[0], out[1]


def align_planes(
    planes: Mapping[str, Mapping[str, tuple[Endpoints, Endpoints]]],
    alike: Callable[[str, str], Array | None],
    span_s: float,
) -> list[PlaneAlignmentEstimate]:
    """Placements that join the planes into trees, the surest first.

    Args:
        planes: Entries and exits by camera, by plane.
        alike: Of two cameras, how alike the vehicles of their ways look: (W, W') in [0, 1], or None.
        span_s: Length of the recording, seconds.
    """
    found = []
    pairs = list(combinations(sorted(planes), 2))
    with progress_bar("grounds laid out", unit="pair") as progress:
        for number, (onto, plane) in enumerate(pairs, start=1):
            one = _place(plane, onto, planes, alike, span_s)
            if one is not None:
                found.append(one)
            progress(number, len(pairs))
    found.sort(key=lambda f: (-f.odds, f.alignment.reference_plane, f.alignment.plane))
    edges, _ = spanning_forest([(one.alignment.reference_plane, one.alignment.plane) for one in found])
    return _rooted([found[k] for k in edges])


def _rooted(edges: Sequence[PlaneAlignmentEstimate]) -> list[PlaneAlignmentEstimate]:
    """The same trees with every plane placed once at most."""
    out: list[PlaneAlignmentEstimate] = []
    waiting = sorted(edges, key=lambda e: (e.alignment.reference_plane, e.alignment.plane))
    placed: set[str] = set()
    while waiting:
        edge = next((e for e in waiting if {e.alignment.reference_plane, e.alignment.plane} & placed), waiting[0])
        waiting.remove(edge)
        p = edge.alignment
        if p.plane in placed:  # turn it round
            turn = np.exp(-1j * np.deg2rad(p.rotation_deg))
            p = PlaneAlignment(
                p.reference_plane, p.plane, -p.rotation_deg, _metres(-turn * complex(*p.translation_m))
            )
        placed |= {p.reference_plane, p.plane}
        out.append(PlaneAlignmentEstimate(p, edge.metres, edge.odds))
    return out


def _metres(shift: complex) -> tuple[float, float]:
    return (round(float(shift.real), 1), round(float(shift.imag), 1))


def _place(
    plane: str,
    onto: str,
    planes: Mapping[str, Mapping[str, tuple[Endpoints, Endpoints]]],
    alike: Callable[[str, str], Array | None],
    span_s: float,
) -> PlaneAlignmentEstimate | None:
    """The likeliest alignment of one plane on another; None where nobody can have gone between."""
    there: list[TransitionSet] = []
    back: list[TransitionSet] = []
    for a, b in product(sorted(planes[onto]), sorted(planes[plane])):
        (in_a, out_a), (in_b, out_b) = planes[onto][a], planes[plane][b]
        weight = alike(a, b)
        ratio = np.ones((len(in_a.time_s), len(in_b.time_s))) if weight is None else weight / NEGATIVE_PAIR_WEIGHT
        there.append(TransitionSet(out_a, in_b, ratio, span_s))
        back.append(TransitionSet(out_b, in_a, ratio.T, span_s))
    if not any(drives.weight.any() for drives in (*there, *back)):
        return None
    middle, centre = (
        complex(np.nanmean(np.concatenate([gate.place for gate, _ in planes[name].values()])))
        for name in (onto, plane)
    )

    def told(angle: Array, offset: Array) -> Array:
        """Log odds of turning the plane about its middle, which is then moved to ``offset`` from the other's."""
        turn = np.exp(1j * angle)
        shift, total = middle + offset - turn * centre, np.zeros(len(turn))
        for begin in range(0, len(turn), _BATCH):
            t, s = turn[begin : begin + _BATCH], shift[begin : begin + _BATCH]
            total[begin : begin + _BATCH] = sum(d.told(t, s) for d in there)
            total[begin : begin + _BATCH] += sum(d.told(1 / t, -s / t) for d in back)
        return total

    angle, heading, metres = (
        axis.ravel()
        for axis in np.meshgrid(
            2 * np.pi * np.arange(_TURNS) / _TURNS,
            2 * np.pi * np.arange(_HEADINGS) / _HEADINGS,
            _METRES,
            indexing="ij",
        )
    )
    offset = metres * np.exp(1j * heading)
    values = told(angle, offset)
    odds = float(np.logaddexp.reduce(values) - np.log(len(values)))
    if odds < _LEAST_ODDS:
        return None
    best = (-np.inf, 0.0, 0j)
    for k in np.argsort(-values, kind="stable")[:_FINER].tolist():
        best = max(best, _finer((values[k], angle[k], offset[k]), told), key=lambda one: one[0])
    _, turned, moved = best
    shift = middle + moved - np.exp(1j * turned) * centre
    degrees = round(float(np.rad2deg(turned)), 1)
    return PlaneAlignmentEstimate(
        PlaneAlignment(plane, onto, degrees, _metres(complex(shift))), float(abs(moved)), odds
    )


def _finer(
    start: tuple[float, float, complex], told: Callable[[Array, Array], Array]
) -> tuple[float, float, complex]:
    """The best alignment near another one, in steps that grow smaller: what it tells, its turn and its offset."""
    value, angle, offset = start
    steps = np.array(list(product((-1, 0, 1), repeat=3)))
    for level in range(_ROUNDS):
        size = 0.5**level
        angles = angle + size * _STEP_RAD * steps[:, 0]
        offsets = offset + size * _STEP_M * (steps[:, 1] + 1j * steps[:, 2])
        values = told(angles, offsets)
        k = int(values.argmax())
        if values[k] > value:
            value, angle, offset = float(values[k]), float(angles[k]), complex(offsets[k])
    return value, angle, offset


class TransitionSet:
    """Those who may have left one camera's ground for that of another, and all who came within the time it may take.

    E pairs of M who left and N who came, in order of who left. What is asked of everybody who came is asked of those
    who came less than the longest time before or after, so that a long recording costs no more by the minute than a
    short one.
    """

    def __init__(self, leaving: Endpoints, coming: Endpoints, ratio: Array, span_s: float) -> None:
        left, came = (_moving(gates) for gates in (leaving, coming))
        when, then = leaving.time_s[left], coming.time_s[came]
        low = np.searchsorted(then, when - _GAP_S[1], "left")
        high = np.searchsorted(then, when + _GAP_S[1], "right")
        count = high - low
        use = np.cumsum(count) <= _MOST_PAIRS
        left, low, count = left[use], low[use], count[use]
        row = np.repeat(left, count)
        column = came[np.repeat(low, count) + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)]
        self.by_leaver, self.by_comer = _Groups(row), _Groups(column)
        self.out, self.out_v = leaving.place[row], leaving.velocity[row]
        self.into, self.into_v = coming.place[column], coming.velocity[column]
        gap = coming.time_s[column] - leaving.time_s[row]
        self.seconds = np.clip(gap, *_GAP_S)
        self.weight = np.where(gap == self.seconds, ratio[row, column] * min(span_s, 2 * _GAP_S[1]), 0.0)
        self.mps = 0.5 * (np.abs(self.out_v) + np.abs(self.into_v))

    def told(self, turn: Array, shift: Array) -> Array:
        """Log odds of plane_alignments (H,) of the ground that is come to, against nobody going there: (H,).

        One vehicle's time and looks are weighed against those of anybody who comes in where and as it should: the
        directions of roads alone speak for nothing. A queue cannot count all with all: of what those who leave and
        those who come tell, the less counts.
        """
        if not self.weight.any():
            return np.zeros(len(turn))
        step = turn[:, None] * self.into + shift[:, None] - self.out  # (H, E)
        heads = np.exp(ENDPOINT_KAPPA * (vector_cosine(self.out_v, step) - 1))
        comes = np.exp(ENDPOINT_KAPPA * (vector_cosine((turn / np.abs(turn))[:, None] * self.into_v, step) - 1))
        density = drive_density(self.seconds, np.abs(step), self.mps) * self.weight
        aims, leavers = _told_by(density, comes, heads, self.by_leaver)
        hails, comers = _told_by(density, heads, comes, self.by_comer)
        many, few = (np.maximum(part.sum(axis=1, keepdims=True), _FEW) for part in (aims, hails))
        values = []
        for share in _SHARES:
            back = np.minimum(share * many / few, 0.95)
            values.append(
                np.minimum(
                    np.log1p(share * aims * (leavers - 1)).sum(axis=1),
                    np.log1p(back * hails * (comers - 1)).sum(axis=1),
                )
            )
        return np.asarray(np.logaddexp.reduce(values, axis=0) - np.log(len(_SHARES)))


def _moving(gates: Endpoints) -> Array:
    """Indices of those that move, in order of time."""
    known = np.flatnonzero(np.isfinite(gates.time_s) & (np.abs(gates.velocity) > _MOVING_MPS))
    return known[np.argsort(gates.time_s[known], kind="stable")]


class _Groups:
    """Sums over the pairs of each vehicle of one side."""

    def __init__(self, vehicle: Array) -> None:
        self.order = np.argsort(vehicle, kind="stable")
        self.start = np.flatnonzero(np.diff(vehicle[self.order], prepend=-1))

    def sum(self, values: Array) -> Array:
        """(H, E) → (H, K), K vehicles that have pairs."""
        return np.add.reduceat(values[:, self.order], self.start, axis=1)


def _told_by(density: Array, theirs: Array, mine: Array, groups: _Groups) -> tuple[Array, Array]:
    """Of each of one side, how well it heads for those of the other that may be it, and how likely it is one of them.

    Args:
        density: (H, E), of time and looks, 1 on average for strangers.
        theirs: (H, E), how well the other's direction agrees with the way.
        mine: (H, E), how well its own does.
        groups: The pairs of each of this side.
    """
    total = groups.sum(theirs)
    safe = np.maximum(total, 1e-9)
    return groups.sum(theirs * mine) / safe, groups.sum(theirs * density) / np.maximum(total, _FEW)
