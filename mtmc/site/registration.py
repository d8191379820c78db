"""Two views brought onto one ground from the synchronous motion of their vehicles.

Each picture has a rough ground of its own (:mod:`mtmc.site.camera_model`). If two cameras see one stretch of road,
some rotation, shift and scale lays one ground on the other such that vehicles drive along with each other at the same
moments. Any two ways that might be one vehicle give such a map; the one that makes most other ways meet is refined
(RANSAC over pairs of ways, Fischler and Bolles 1981).

Where all who meet drive one way, a clock that is behind and a place farther along cannot be told apart; the clock as
given stands, and the place is moved.

Where vehicles were described, those that look unlike each other hardly count, and the map is believed if those that
meet look alike. Else how many ways meet by accident is found by searching again with one camera's clock moved so far
that nothing can be the same vehicle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mtmc.geometry.ground import project
from mtmc.site.camera_model import GroundScale
from mtmc.site.similarity import NEGATIVE_PAIR_WEIGHT, likeness
from mtmc.site.trajectories import STEP_S, Trajectory
from mtmc.types import Array

__all__ = ["CoObservations", "GroundSamples", "Registration", "fit_again", "register"]

_LEAST_MET = 5.0  # vehicles; fewer are no registration
LEAST_ALIKE, LEAST_LIKENESS = 2.0, 5.2  # where looks decide: vehicles, and standard deviations
_LEAST_RATIO = 1.4  # of vehicles that meet to those that meet by accident
_FOCALS = (0.65, 1.15)  # focal lengths that are tried, in picture widths
_NEAR_M = 4.0  # ways that are nearer than this meet
_LEAST_MOTION_M = 0.25  # per step; what stands tells nothing
_LEAST_COMMON = 4
_LONGEST_USE = 12  # samples beyond that do not make a pair more certain
_LATE_COSTS = 0.12  # a difference of the clocks must bring this much more than none
_ONE_WAY = 0.6  # mean velocity over mean speed: one in five who comes back may be a mistake
_SCALES = (0.68, 1.47)  # of two grounds to one another: boxes tell sizes to a tenth or so
_HYPOTHESES = 6000
_BATCH = 64
_ACCIDENT_S = (35.0, 50.0)  # moves of the clock at which nothing is the same vehicle


@dataclass(frozen=True, slots=True, eq=False)
class CoObservations:
    """Pairs of ways and the moments they share, flattened: E rows sorted by pair.

    Attributes:
        first, second: int64 (P,), indices of the ways.
        start: int64 (P,), first row of each pair; rows of a pair are in order of time.
        row_first, row_second: int64 (E,), rows in the two cameras' stacks of samples.
        weight: float64 (P,), how much it says that the two meet, in [0, 1].
    """

    first: Array
    second: Array
    start: Array
    row_first: Array
    row_second: Array
    weight: Array


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """How two cameras' grounds lie on one another.

    Attributes:
        cameras: The two.
        focal: Focal lengths of the two in picture widths, as tried.
        turn: Complex factor of places on the first one's ground: rotation and scale onto the second one's.
        shift: Complex shift that follows, metres.
        late_s: The first clock plus this is the second clock.
        seen_late_s: The same, as it made most ways meet: another one where the clock stands and the place was moved.
        met: How many vehicles (ways of one camera matched one to one) meet; those that look unlike count less.
        accident: How many meet when they cannot be the same, or would count if they were strangers; where hardly any
            meet, as many as do.
        pairs: Which: (index in the first camera's ways, index in the second's).
        likeness: How much more alike they look than strangers, in standard deviations; None where nobody knows.
    """

    cameras: tuple[str, str]
    focal: tuple[float, float]
    turn: complex
    shift: complex
    late_s: float
    seen_late_s: float
    met: float
    accident: float
    pairs: tuple[tuple[int, int], ...]
    likeness: float | None = None

    @property
    def holds(self) -> bool:
        """Whether what meets can be no accident."""
        if self.likeness is not None:
            return self.met >= LEAST_ALIKE and self.likeness >= LEAST_LIKENESS
        return self.met >= _LEAST_MET and self.met >= _LEAST_RATIO * self.accident

    @property
    def sure(self) -> float:
        """Confidence in [0, 1]: the share of what meets that is no accident, small for few vehicles."""
        return max(0.0, 1.0 - self.accident / max(self.met, 1e-9)) * min(1.0, self.met / 6.0)


class GroundSamples:
    """All samples of a camera's ways that are of use, on grounds of several focal lengths.

    Attributes:
        tick, way: int64 (N,), moment and index of the way of each sample, sorted by way.
        place: complex128 (F, N), metres, one row per focal length tried.
        moves: bool (N,), on the ground of the middle focal length.
    """

    def __init__(self, ways: Sequence[Trajectory], scale: GroundScale, focals: Sequence[float]) -> None:
        usable = [way.whole & scale.near(way.px) for way in ways]
        self.tick = np.concatenate([np.zeros(0, np.int64), *(w.tick[u] for w, u in zip(ways, usable, strict=True))])
        self.way = np.repeat(np.arange(len(ways)), [int(u.sum()) for u in usable])
        px = np.concatenate([np.zeros((0, 2)), *(w.px[u] for w, u in zip(ways, usable, strict=True))])
        ground = [project(px, scale.ground_from_image(focal)) for focal in focals]
        self.place = np.array([g[:, 0] + 1j * g[:, 1] for g in ground])
        step = np.abs(np.diff(self.place[0], prepend=self.place[0, :1]))
        same = np.diff(self.way, prepend=-1) == 0
        moving = same & (step > _LEAST_MOTION_M)
        self.moves = moving | np.append(moving[1:], False)

    def velocities(self, pairs: Iterable[tuple[int, int]], focal: int) -> Array:
        """Of the second ways of some pairs, complex (K,), metres per second; who stands is left out."""
        velocity = []
        for way in sorted({second for _, second in pairs}):
            rows = np.flatnonzero((self.way == way) & self.moves)
            if len(rows) > 1:
                ends = self.place[focal, rows[[0, -1]]]
                velocity.append((ends[1] - ends[0]) / ((self.tick[rows[-1]] - self.tick[rows[0]]) * STEP_S))
        return np.array(velocity, complex)

    def meet(self, other: GroundSamples, late_ticks: int, alike: Array | None = None) -> CoObservations:
        """Pairs of ways with at least a few common moments at which both move, weighted by ``alike`` (W, W')."""
        a, b = np.flatnonzero(self.moves), np.flatnonzero(other.moves)
        b = b[np.argsort(other.tick[b], kind="stable")]
        low = np.searchsorted(other.tick[b], self.tick[a] + late_ticks, "left")
        high = np.searchsorted(other.tick[b], self.tick[a] + late_ticks, "right")
        count = high - low
        row_first = np.repeat(a, count)
        inner = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        row_second = b[np.repeat(low, count) + inner]
        key = self.way[row_first] * (other.way.max(initial=0) + 1) + other.way[row_second]
        order = np.lexsort((row_first, key))
        row_first, row_second, key = row_first[order], row_second[order], key[order]
        _, group, size = np.unique(key, return_inverse=True, return_counts=True)
        # Of long common ways a few moments, evenly spread, tell as much as all.
        rank = np.arange(len(group)) - (np.cumsum(size) - size)[group]
        part = np.minimum(size, _LONGEST_USE)[group]
        spread = (rank * part) // size[group] != ((rank - 1) * part) // size[group]
        keep = (size[group] >= _LEAST_COMMON) & spread
        row_first, row_second, key = row_first[keep], row_second[keep], key[keep]
        _, start = np.unique(key, return_index=True)
        first, second = self.way[row_first[start]], other.way[row_second[start]]
        weight = np.ones(len(start)) if alike is None else alike[first, second]
        return CoObservations(first, second, start, row_first, row_second, weight)


def register(
    first: Sequence[Trajectory],
    second: Sequence[Trajectory],
    scales: tuple[GroundScale, GroundScale],
    most_late_s: float = 3.0,
    alike: Array | None = None,
) -> Registration | None:
    """Find the map between two cameras' grounds; None where no two ways could be one vehicle.

    Args:
        first: Ways of one camera.
        second: Ways of the other.
        scales: The two cameras' own grounds.
        most_late_s: How far the clocks may differ.
        alike: float64 (W, W'), how alike each two ways' vehicles look, in [0, 1]; None: nobody knows.
    """
    stacks = tuple(GroundSamples(ways, scale, _FOCALS) for ways, scale in zip((first, second), scales, strict=True))
    if not all(len(stack.tick) for stack in stacks):
        return None
    lates = _ticks(np.arange(-most_late_s, most_late_s + 0.5, 1.0))
    found = _search(stacks, lates, alike)
    if found is None:
        return None
    score, late, focal, turn, shift, pairs = found
    late_s = seen_late_s = late * STEP_S
    if late and _one_way(driven := stacks[1].velocities(pairs, focal[1])):
        # A clock that is behind looks like a place farther along: the clock stands as given.
        shift, late_s = shift - _middle(driven) * late_s, 0.0
    accident, how_alike = score, None  # where hardly anything meets there is no need to look for accidents
    if alike is not None and pairs:
        weight = np.array([alike[pair] for pair in pairs])
        how_alike, accident = likeness(weight), score * min(1.0, NEGATIVE_PAIR_WEIGHT / float(weight.mean()))
    elif score >= _LEAST_MET:
        accident = float(np.median([_by_accident(stacks, sign * s) for s in _ACCIDENT_S for sign in (-1, 1)]))
    return Registration(
        (first[0].camera_id, second[0].camera_id),
        (_FOCALS[focal[0]], _FOCALS[focal[1]]),
        turn,
        shift,
        late_s,
        seen_late_s,
        score,
        accident,
        pairs,
        how_alike,
    )


def fit_again(
    found: Registration,
    first: Sequence[Trajectory],
    second: Sequence[Trajectory],
    scales: tuple[GroundScale, GroundScale],
    focal: tuple[float, float],
) -> tuple[complex, complex]:
    """Turn and shift of a registration for other focal lengths than it was found with, from the ways that met."""
    a, b = (GroundSamples(ways, scale, [f]) for ways, scale, f in zip((first, second), scales, focal, strict=True))
    meeting = a.meet(b, round(found.seen_late_s / STEP_S))
    met = set(found.pairs)
    chosen = [pair in met for pair in zip(meeting.first.tolist(), meeting.second.tolist(), strict=True)]
    count = np.diff(np.append(meeting.start, len(meeting.row_first)))
    rows = np.repeat(chosen, count)
    if not rows.any():
        return found.turn, found.shift
    za, zb = a.place[0][meeting.row_first[rows]], b.place[0][meeting.row_second[rows]]
    weight, turn, shift = np.ones(len(za)), 1 + 0j, 0j
    for _ in range(15):
        mean_a, mean_b = np.average(za, weights=weight), np.average(zb, weights=weight)
        turn = complex(
            (weight * (zb - mean_b) * (za - mean_a).conj()).sum() / (weight * np.abs(za - mean_a) ** 2).sum()
        )
        shift = complex(mean_b - turn * mean_a)
        weight = 1 / (1 + (np.abs(turn * za + shift - zb) / _NEAR_M) ** 2)
    if found.seen_late_s != found.late_s:
        shift -= _middle(b.velocities(met, 0)) * (found.seen_late_s - found.late_s)
    return turn, shift


def _one_way(velocity: Array) -> bool:
    """Whether all drive one way, or nearly all."""
    return bool(len(velocity) and abs(velocity.sum()) >= _ONE_WAY * np.abs(velocity).sum())


def _middle(velocity: Array) -> complex:
    return complex(np.median(velocity.real), np.median(velocity.imag)) if len(velocity) else 0j


def _by_accident(stacks: Sequence[GroundSamples], late_s: float) -> float:
    """How many meet where one clock is moved so far that none can, if as many were in both views as there are."""
    found = _search(stacks, _ticks(np.array([late_s - 1.0, late_s, late_s + 1.0])), None)
    if found is None:
        return 0.0
    together, then = (len(stacks[0].meet(stacks[1], tick).start) for tick in _ticks(np.array([0.0, late_s])))
    return found[0] * max(1.0, together / max(then, 1))


_Found = tuple[float, int, tuple[int, int], complex, complex, tuple[tuple[int, int], ...]]


def _ticks(seconds: Array) -> list[int]:
    return [round(float(s) / STEP_S) for s in seconds]


def _search(stacks: Sequence[GroundSamples], lates: Sequence[int], alike: Array | None) -> _Found | None:
    """The best map over clock differences and focal lengths."""
    a, b = stacks
    best: _Found | None = None
    most = -1.0
    for late in lates:
        worth = 1.0 - _LATE_COSTS * min(abs(late) * STEP_S, 1.0)
        meeting = a.meet(b, late, alike)
        if not len(meeting.start):
            continue
        for fa in range(len(_FOCALS)):
            for fb in range(len(_FOCALS)):
                za, zb = a.place[fa][meeting.row_first], b.place[fb][meeting.row_second]
                turn, shift = _hypotheses(za, zb, meeting, _HYPOTHESES // (len(_FOCALS) ** 2 * len(lates)))
                if not len(turn):
                    continue
                scores = _scores(za, zb, meeting, turn, shift)
                for k in np.argsort(-scores, kind="stable")[:4].tolist():
                    t, s, score, pairs = _refine(za, zb, meeting, complex(turn[k]), complex(shift[k]))
                    if score * worth > most + 1e-9:
                        most, best = score * worth, (score, late, (fa, fb), t, s, pairs)
    return best


def _hypotheses(za: Array, zb: Array, meeting: CoObservations, most: int) -> tuple[Array, Array]:
    """Similarities from single pairs of ways: complex (H,), (H,). Longest common ways first."""
    count = np.diff(np.append(meeting.start, len(za)))
    mean_a, mean_b = (np.add.reduceat(z, meeting.start) / count for z in (za, zb))
    ca, cb = za - np.repeat(mean_a, count), zb - np.repeat(mean_b, count)
    power_a, power_b = (np.add.reduceat(np.abs(c) ** 2, meeting.start) for c in (ca, cb))
    cross = np.add.reduceat(cb * ca.conj(), meeting.start)
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = cross / power_a
        left = np.sqrt(np.maximum(power_b - np.abs(cross) ** 2 / power_a, 0) / count)
    extent = np.sqrt(np.minimum(power_a, power_b) / count)
    fits = (np.abs(turn) > _SCALES[0]) & (np.abs(turn) < _SCALES[1]) & (left < 1.5 + 0.1 * extent) & (extent > 2.0)
    chosen = np.flatnonzero(fits)
    chosen = chosen[np.argsort(-extent[chosen], kind="stable")][:most]
    return turn[chosen], mean_b[chosen] - turn[chosen] * mean_a[chosen]


def _support(za: Array, zb: Array, meeting: CoObservations, turn: Array, shift: Array) -> Array:
    """How much each pair of ways meets under each map: (H,) → float64 (H, P), 1 for a long and close one."""
    # Single precision is a hundredth of a millimetre here, and twice as fast.
    a, b, t, s = (np.asarray(v / _NEAR_M, np.complex64) for v in (za, zb, turn * _NEAR_M, shift))
    gap = t[:, None] * a + s[:, None] - b
    kernel = np.maximum(1 - gap.real**2 - gap.imag**2, 0)
    total = np.add.reduceat(kernel, meeting.start, axis=1)
    count = np.diff(np.append(meeting.start, len(za)))
    mean = total / count
    return np.where(mean > 0.35, mean * meeting.weight * np.minimum(count, _LONGEST_USE) / _LONGEST_USE, 0.0)


def _scores(za: Array, zb: Array, meeting: CoObservations, turn: Array, shift: Array) -> Array:
    """Vehicles that meet under each map, one to one: float64 (H,)."""
    out = np.zeros(len(turn))
    for k in range(0, len(turn), _BATCH):
        support = _support(za, zb, meeting, turn[k : k + _BATCH], shift[k : k + _BATCH])
        out[k : k + _BATCH] = np.where(_mutual(support, meeting), support, 0).sum(axis=1)
    return out


def _mutual(support: Array, meeting: CoObservations) -> Array:
    """Correspondences whose support is the greatest of both its ways: bool (H, P)."""
    best = support > 0
    for way in (meeting.first, meeting.second):
        order = np.argsort(way, kind="stable")
        start = np.flatnonzero(np.diff(way[order], prepend=-1))
        most = np.maximum.reduceat(support[:, order], start, axis=1)
        best &= support == most[:, np.searchsorted(way[order][start], way)]
    return np.asarray(best)


def _refine(
    za: Array, zb: Array, meeting: CoObservations, turn: complex, shift: complex
) -> tuple[complex, complex, float, tuple[tuple[int, int], ...]]:
    """Fit the similarity again to what meets, until it stays."""
    count = np.diff(np.append(meeting.start, len(za)))
    best: tuple[complex, complex, float, tuple[tuple[int, int], ...]] = (turn, shift, -1.0, ())
    for _ in range(6):
        support = _support(za, zb, meeting, np.array([turn]), np.array([shift]))
        chosen = _mutual(support, meeting)[0]
        score = float(support[0, chosen].sum())
        if score <= best[2] + 1e-9:
            break
        pairs = tuple(zip(meeting.first[chosen].tolist(), meeting.second[chosen].tolist(), strict=True))
        best = (turn, shift, score, pairs)
        rows = np.repeat(chosen, count)
        weight = np.repeat(1 / np.sqrt(count), count)[rows]
        a, b = za[rows], zb[rows]
        mean_a, mean_b = np.average(a, weights=weight), np.average(b, weights=weight)
        power = (weight * np.abs(a - mean_a) ** 2).sum()
        if power < 1e-9:
            break
        turn = complex((weight * (b - mean_b) * (a - mean_a).conj()).sum() / power)
        if not _SCALES[0] < abs(turn) < _SCALES[1]:
            break
        shift = complex(mean_b - turn * mean_a)
    return best
