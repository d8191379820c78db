"""Travel times: whether vehicles take a route at all, what share of them does, and after how long they arrive.

Nothing but times may be known of a route, and two cameras need not have any vehicle in common. Each route is a
choice between many hypotheses: that its two ends are unrelated, and that some share of the vehicles arrives after a
time with some mean and some spread. Arrivals are a Poisson process. With the rate r of unrelated arrivals, the share
s of the departures a that take the route, and the density f of their travel times, the rate at an arrival b is

    λ_b = (1 − ρ) r_b + s Σ_a A_ab f(t_ab),   ρ = s · (departures that can be seen to arrive) / (arrivals),

where A_ab is the likelihood ratio of all other cues (appearance, class). Compared with unrelated ends, the
log-likelihood ratio of a hypothesis h is

    L_h = Σ_b log[1 − ρ_h + s_h Σ_a A_ab f_h(t_ab) / r_b].

Its posterior weight is w_h ∝ prior_h · exp(L_h). The average over all hypotheses makes up the log-likelihood ratio of
a pair. The weights in it leave out the term of b, so that no arrival is evidence for the route that explains it:

    travel_time = log Σ_h w_h(without b) · s_h f_h(t_ab) / ((1 − ρ_h) r_b).

Sources: Neyman, Scott: Statistical approach to problems of cosmology, 1958 (the process); Makris, Ellis, Black:
Bridging the gaps between cameras, CVPR 2004 (travel times from unlabeled departures and arrivals).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import expit, logsumexp, ndtr

from mtmc.associate.transitions import CROSS_PLANE, GROUND, LINK, UNCONSTRAINED, Transitions
from mtmc.types import Array

__all__ = ["Sightings", "TravelTimes", "fit_travel_times"]

#: Prior shares of the routes that exist, by kind, as pseudo-counts of routes that do and do not.
_EXISTING = {LINK: (9.0, 1.0), GROUND: (5.0, 5.0), CROSS_PLANE: (3.0, 7.0), UNCONSTRAINED: (0.5, 10.0)}
_EXISTENCE_ROUNDS = 50

_SHARES = np.array([0.1, 0.3, 0.6, 0.9])  # s of the hypotheses
_WIDTHS_S = np.array([0.4, 0.8, 1.6, 3.2, 6.4, 12.8])  # standard deviations of f; means are multiples of them
_NEAR_WIDTHS = 3  # a normal density ends so many standard deviations from its mean
_USUAL_TIME_S = 10.0  # the prior density of a mean falls with 1 / (10 s + |mean|)
_KNOWN = -1  # in place of a width: the density that is known beforehand
_KNOWN_WEIGHT = 0.5  # prior weight of that density
_MAX_EXPLAINED = 0.95  # largest ρ
_NEGLIGIBLE = np.log(1e-7)  # weight of a hypothesis that is left out

_RATE_WIDTHS_S = (20.0, 8.0, 4.0, 2.0)  # of the kernels that smooth the rate of arrivals
_CONSTANT_RATE_WEIGHT = 0.2
_MAX_SMOOTHED = 3_000  # with more arrivals, the rate is taken for constant
_MIN_COVERED = 0.3  # share of a kernel inside the time watched
_MIN_WATCHED_S = 5.0
_EDGE_S = 0.6  # what begins, or ends, so near to the edge of a recording was there before, or stays
_LOWEST = -30.0  # log-likelihood ratio of a time that no hypothesis allows


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """When N passages were seen, and by which camera.

    Attributes:
        camera: int64 (N,), index of each passage's camera.
        track: int64 (N,), its track id, unique within the camera.
        start_s: float64 (N,).
        end_s: float64 (N,).
    """

    camera: Array
    track: Array
    start_s: Array
    end_s: Array


@dataclass(frozen=True, slots=True, eq=False)
class TravelTimes:
    """Posterior weights of the hypotheses about R routes, K hypotheses in all.

    Attributes:
        route_key: int64 (R, 3), as in :class:`Transitions`.
        log_unrelated: float64 (R,), log posterior probability that no vehicle takes the route.
        begin: int64 (R + 1,), where each route's hypotheses begin and the last one's end.
        width: int64 (K,), index of the standard deviation; −1 for the density that is known beforehand.
        mean: int64 (K,), mean travel time as a multiple of the standard deviation.
        share: float64 (K,), s.
        explained: float64 (K,), ρ.
        log_weight: float64 (K,), log posterior weight.
        camera: int64 (F,), cameras of the passages to which this was fitted.
        track: int64 (F,), their track ids.
    """

    route_key: Array
    log_unrelated: Array
    begin: Array
    width: Array
    mean: Array
    share: Array
    explained: Array
    log_weight: Array
    camera: Array
    track: Array

    def log_odds(self, transitions: Transitions, sightings: Sightings, ratio: Array | None = None) -> Array:
        """Log-likelihood ratios of transitions, weighted by how likely their routes exist: float64 (T,).

        Routes that were not there when this was fitted keep their prior log odds.

        Args:
            transitions: T of them.
            sightings: Of N passages.
            ratio: float64 (T,), likelihood ratio of all other cues; None: 1 everywhere.
        """
        out = transitions.log_odds.astype(float)
        known_as = {tuple(key): k for k, key in enumerate(self.route_key.tolist())}
        was_fitted = self._was_fitted(sightings)
        for route in _routes_of(transitions, sightings, ratio):
            k = known_as.get(route.key)
            if k is not None:
                out[route.rows] = self._log_odds_of(k, route, was_fitted[route.arrival] & route.is_arrival)
        return out

    def existence(self) -> Array:
        """Posterior probability that vehicles take each route: float64 (R,)."""
        return np.asarray(-np.expm1(self.log_unrelated))

    def _was_fitted(self, sightings: Sightings) -> Array:
        """Which passages are among those that this was fitted to: bool (N,)."""
        fitted = set(zip(self.camera.tolist(), self.track.tolist(), strict=True))
        names = zip(sightings.camera.tolist(), sightings.track.tolist(), strict=True)
        return np.array([name in fitted for name in names], bool)

    def _log_odds_of(self, k: int, route: _Route, is_evidence: Array) -> Array:
        """Log-likelihood ratios of the pairs of one route: float64 (P,).

        Args:
            k: The route's number here.
            route: Its pairs.
            is_evidence: bool (B,), arrivals whose own terms are in the weights, and are taken out of them.
        """
        mine = slice(int(self.begin[k]), int(self.begin[k + 1]))
        width, mean = self.width[mine], self.mean[mine]
        share, explained = self.share[mine], self.explained[mine]

        sums = np.zeros((len(route.arrival), len(width)))
        for w in np.unique(width).tolist():
            columns = np.flatnonzero(width == w)
            sums[:, columns] = _columns_at(*_density_sums(route, w), mean[columns])
        own_term = np.log(1 - explained + share * sums / route.rate[:, None])

        log_weight = self.log_weight[mine] - own_term * is_evidence[:, None]
        log_total = np.logaddexp(self.log_unrelated[k], logsumexp(log_weight, axis=1)) if len(width) else 0.0
        weight = np.exp(log_weight - np.reshape(log_total, (-1, 1))) * share / (1 - explained)

        density = np.zeros(len(route.time_s))
        for w in np.unique(width).tolist():
            columns = np.flatnonzero(width == w)
            density += _mixture_density(route, w, mean[columns], weight[:, columns])
        with np.errstate(divide="ignore"):
            log_odds = np.log(density) - np.log(route.rate[route.target])
        return np.asarray(np.maximum(log_odds, _LOWEST))


def fit_travel_times(transitions: Transitions, sightings: Sightings, ratio: Array | None = None) -> TravelTimes:
    """Weigh all hypotheses about each route by the arrivals that they explain.

    The prior probability that a route exists is estimated for all routes of a kind together, by expectation
    maximization with a beta prior. Where no route stands out, the estimate falls towards zero.

    Args:
        transitions: T candidates.
        sightings: Of N passages.
        ratio: float64 (T,), likelihood ratio of all other cues; None: 1 everywhere.
    """
    routes = list(_routes_of(transitions, sightings, ratio))
    tested = [_tested_hypotheses(route) for route in routes]
    log_evidence = np.array([logsumexp(one.log_weight) for one in tested])
    kind = np.array([route.key[0] for route in routes], np.int64)
    existing = _existing_shares(kind, log_evidence)

    log_total = np.logaddexp(np.log1p(-existing), np.log(existing) + log_evidence)
    log_unrelated = np.log1p(-existing) - log_total
    kept = []
    for one, shift in zip(tested, (np.log(existing) - log_total).tolist(), strict=True):
        posterior = one.log_weight + shift
        kept.append(one.only(posterior > _NEGLIGIBLE, posterior))
    together = _Hypotheses.concatenate(kept)
    return TravelTimes(
        route_key=np.array([route.key for route in routes], np.int64).reshape(-1, 3),
        log_unrelated=log_unrelated,
        begin=np.cumsum([0, *(len(one.width) for one in kept)]),
        width=together.width,
        mean=together.mean,
        share=together.share,
        explained=together.explained,
        log_weight=together.log_weight,
        camera=sightings.camera,
        track=sightings.track,
    )


def _existing_shares(kind: Array, log_evidence: Array) -> Array:
    """Prior probability that a route of each kind exists, for every route: float64 (R,).

    With the pseudo-counts (α, β) of a kind, p = (Σ posterior + α) / (routes + α + β).
    """
    out = np.zeros(len(kind))
    for one in np.unique(kind).tolist():
        present, absent = _EXISTING[one]
        rows = np.flatnonzero(kind == one)
        share = present / (present + absent)
        for _ in range(_EXISTENCE_ROUNDS):
            posterior = expit(np.log(share) - np.log1p(-share) + log_evidence[rows])
            share = (posterior.sum() + present) / (len(rows) + present + absent)
        out[rows] = share
    return out


# Hypotheses about one route


@dataclass(frozen=True, slots=True, eq=False)
class _Hypotheses:
    """K hypotheses; the columns are those of :class:`TravelTimes`."""

    width: Array
    mean: Array
    share: Array
    explained: Array
    log_weight: Array

    def only(self, keep: Array, log_weight: Array) -> _Hypotheses:
        """Some of them, with other weights."""
        return _Hypotheses(
            self.width[keep], self.mean[keep], self.share[keep], self.explained[keep], log_weight[keep]
        )

    @classmethod
    def concatenate(cls, parts: list[_Hypotheses]) -> _Hypotheses:
        """All of all parts, in order."""
        integers, floats = np.zeros(0, np.int64), np.zeros(0)
        return cls(
            np.concatenate([integers, *(p.width for p in parts)]),
            np.concatenate([integers, *(p.mean for p in parts)]),
            np.concatenate([floats, *(p.share for p in parts)]),
            np.concatenate([floats, *(p.explained for p in parts)]),
            np.concatenate([floats, *(p.log_weight for p in parts)]),
        )


def _tested_hypotheses(route: _Route) -> _Hypotheses:
    """All hypotheses about a route, weighted by prior and likelihood."""
    known = _weighed(route, _KNOWN, np.log(_KNOWN_WEIGHT))
    log_prior = np.log((1 - _KNOWN_WEIGHT) / len(_WIDTHS_S))
    normals = [_weighed(route, w, log_prior) for w in range(len(_WIDTHS_S))]
    return _Hypotheses.concatenate([known, *normals])


def _weighed(route: _Route, width: int, log_prior: float) -> _Hypotheses:
    """The hypotheses of one width, any mean and share, weighted by prior and likelihood.

    Args:
        route: R arrivals B.
        width: Index of the standard deviation, or −1.
        log_prior: Of this width.
    """
    first, sums = _density_sums(route, width)
    mean = first + np.arange(sums.shape[1])
    log_prior_of_mean = log_prior + _log_prior_of_means(mean, width) - np.log(len(_SHARES))
    expected = _expected_arrivals(route, mean, width)

    parts = []
    for share in _SHARES.tolist():
        explained = np.minimum(share * expected / route.arrivals, _MAX_EXPLAINED)
        term = np.log(1 - explained + share * sums[route.is_arrival] / route.rate[route.is_arrival, None])
        without_departure = route.arrivals - int(route.is_arrival.sum())
        log_likelihood = term.sum(axis=0) + without_departure * np.log(1 - explained)
        log_likelihood -= share * expected - explained * route.arrivals  # arrivals that there should be beyond these
        parts.append(
            _Hypotheses(
                np.full(len(mean), width),
                mean,
                np.full(len(mean), share),
                explained,
                log_prior_of_mean + log_likelihood,
            )
        )
    return _Hypotheses.concatenate(parts)


def _log_prior_of_means(mean: Array, width: int) -> Array:
    """Log prior of the means of one width, which falls with 1 / (10 s + |mean|): float64 (M,)."""
    if width == _KNOWN:
        return np.zeros(1)
    log_prior = -np.log(_USUAL_TIME_S + np.abs(mean * _WIDTHS_S[width]))
    return np.asarray(log_prior - logsumexp(log_prior))


def _expected_arrivals(route: _Route, mean: Array, width: int) -> Array:
    """Number of departures whose arrival would fall into the time that the arriving camera watched: float64 (M,)."""
    watched_from, watched_until = route.watched_s
    if width == _KNOWN:
        earliest, latest = route.left_s + route.time_s.min(), route.left_s + route.time_s.max()
        seen_s = np.clip(np.minimum(latest, watched_until) - np.maximum(earliest, watched_from), 0.0, None)
        seen = seen_s / (latest - earliest + 1.0) if route.key[0] == UNCONSTRAINED else seen_s > 0
        return np.array([float(seen.sum())])
    arrives_s = route.left_s[:, None] + mean * _WIDTHS_S[width]
    after_end = ndtr((watched_until - arrives_s) / _WIDTHS_S[width])
    before_start = ndtr((watched_from - arrives_s) / _WIDTHS_S[width])
    return np.asarray((after_end - before_start).sum(axis=0))


def _density_sums(route: _Route, width: int) -> tuple[int, Array]:
    """Σ_a A_ab f(t_ab) of each arrival b, for all means of one width that are near any pair.

    Returns:
        The first mean as a multiple of the width, and float64 (B, M), one column per mean from there on.
    """
    size = len(route.arrival)
    if width == _KNOWN:
        return 0, np.bincount(route.target, route.ratio * route.known, minlength=size)[:, None]
    place = np.round(route.time_s / _WIDTHS_S[width]).astype(np.int64)
    first = int(place.min()) - _NEAR_WIDTHS
    means = int(place.max()) + _NEAR_WIDTHS - first + 1
    sums = np.zeros(size * means)
    for mean, density in _near_means(route.time_s, place, width):
        sums += np.bincount(route.target * means + mean - first, route.ratio * density, minlength=len(sums))
    return first, sums.reshape(size, means)


def _mixture_density(route: _Route, width: int, mean: Array, weight: Array) -> Array:
    """Σ_h w_h f_h(t_ab) over the hypotheses of one width, with weights for each arrival: float64 (P,).

    Args:
        route: P pairs, B arrivals.
        width: Index of the standard deviation, or −1.
        mean: int64 (K,), of the hypotheses; several have the same.
        weight: float64 (B, K).
    """
    if width == _KNOWN:
        return np.asarray(weight.sum(axis=1)[route.target] * route.known)
    first, means = int(mean.min()), int(np.ptp(mean)) + 1
    of_mean = np.zeros((means, len(weight)))
    np.add.at(of_mean, mean - first, weight.T)
    place = np.round(route.time_s / _WIDTHS_S[width]).astype(np.int64)
    out = np.zeros(len(route.time_s))
    for near, density in _near_means(route.time_s, place, width):
        column = near - first
        is_inside = (column >= 0) & (column < means)
        out += np.where(is_inside, of_mean[np.clip(column, 0, means - 1), route.target] * density, 0.0)
    return out


def _near_means(time_s: Array, place: Array, width: int) -> Iterator[tuple[Array, Array]]:
    """The means near each time, one after the other, int64 (P,), and the normal density about them, float64 (P,)."""
    sigma = float(_WIDTHS_S[width])
    for step in range(-_NEAR_WIDTHS, _NEAR_WIDTHS + 1):
        mean = place + step
        z = time_s / sigma - mean
        yield mean, np.exp(-0.5 * z * z) / (sigma * np.sqrt(2 * np.pi))


def _columns_at(first: int, sums: Array, mean: Array) -> Array:
    """Columns of :func:`_density_sums` for given means, 0 for means that no pair is near: float64 (B, K)."""
    column = mean - first
    is_inside = (column >= 0) & (column < sums.shape[1])
    return np.where(is_inside, sums[:, np.clip(column, 0, sums.shape[1] - 1)], 0.0)


# Routes


@dataclass(frozen=True, slots=True, eq=False)
class _Route:
    """P pairs of departures and arrivals on one route.

    Attributes:
        key: As in :class:`Transitions`.
        rows: int64 (P,), rows of the transitions.
        time_s: float64 (P,), t.
        ratio: float64 (P,), A; 0 for vehicles that were still in the picture when the recording ended.
        known: float64 (P,), density of t that is known beforehand, per second.
        target: int64 (P,), which of the arrivals each pair ends with.
        arrival: int64 (B,), passages that arrive.
        is_arrival: bool (B,), which of these were not there already when the recording began.
        rate: float64 (B,), r, unrelated arrivals per second.
        arrivals: How many passages arrive at the route's end, whether they are in a pair or not; at least 1.
        left_s: float64 (D,), when vehicles departed.
        watched_s: From when until when the arriving camera saw anything.
    """

    key: tuple[int, int, int]
    rows: Array
    time_s: Array
    ratio: Array
    known: Array
    target: Array
    arrival: Array
    is_arrival: Array
    rate: Array
    arrivals: int
    left_s: Array
    watched_s: tuple[float, float]


def _routes_of(transitions: Transitions, sightings: Sightings, ratio: Array | None) -> Iterator[_Route]:
    """Each route that has pairs, one after the other."""
    ratio = np.ones(len(transitions.a)) if ratio is None else ratio
    of_camera = [np.flatnonzero(sightings.camera == c) for c in range(int(sightings.camera.max(initial=-1)) + 1)]
    is_arrival, is_departure = _seen_to_begin_and_end(sightings, of_camera)
    camera_rate = _arrival_rates_of_cameras(transitions, sightings, of_camera, is_arrival)
    order = np.argsort(transitions.route, kind="stable")
    edges = np.searchsorted(transitions.route[order], np.arange(len(transitions.per_s) + 1))
    for number, (begin, end) in enumerate(pairwise(edges.tolist())):
        if begin == end:
            continue
        rows = order[begin:end]
        kind, *place = transitions.route_key[number].tolist()
        arrival, target = np.unique(transitions.b[rows], return_inverse=True)
        if kind == LINK:  # a link leads from zone to zone, other routes from camera to camera
            leaving, arriving = np.unique(transitions.a[rows]), arrival
            rate = _arrival_rates(sightings.start_s[arrival], is_arrival[arrival])
        else:
            leaving, arriving = of_camera[place[0]], of_camera[place[1]]
            rate = camera_rate[arrival]
        seen_s = sightings.start_s[of_camera[sightings.camera[arrival[0]]]]
        yield _Route(
            key=(kind, place[0], place[1]),
            rows=rows,
            time_s=transitions.time_s[rows].astype(float),
            ratio=np.where(is_departure[transitions.a[rows]], _at_most_one_on_average(ratio[rows], target), 0.0),
            known=_known_density(transitions, rows, number, kind),
            target=target,
            arrival=arrival,
            is_arrival=is_arrival[arrival],
            rate=rate,
            arrivals=max(int(is_arrival[arriving].sum()), 1),
            left_s=sightings.end_s[leaving[is_departure[leaving]]],
            watched_s=(float(seen_s.min()) - 1.0, float(seen_s.max()) + 1.0),
        )


def _at_most_one_on_average(ratio: Array, target: Array) -> Array:
    """Likelihood ratios divided by their mean over pairs of two vehicles, if that is above 1: float64 (P,).

    At most the likeliest pair of each arrival is one vehicle; all others are two. Where many vehicles are similar, as
    those of a fleet are, the mean is large, and similarity is weak evidence.

    Args:
        ratio: float64 (P,).
        target: int64 (P,), arrival of each pair, from 0 to B − 1.
    """
    likeliest = np.zeros(int(target.max(initial=-1)) + 1)
    np.maximum.at(likeliest, target, ratio)
    others = len(ratio) - len(likeliest)
    mean = (ratio.sum() - likeliest.sum()) / max(others, 1)
    return np.asarray(ratio / max(float(mean), 1.0))


def _known_density(transitions: Transitions, rows: Array, route: int, kind: int) -> Array:
    """Density of the travel time that is known beforehand, per second: float64 (P,). It is uniform if nothing is."""
    if kind == UNCONSTRAINED:
        return np.full(len(rows), 1 / (float(np.ptp(transitions.time_s[rows])) + 1.0))
    return np.asarray(np.exp(transitions.log_odds[rows].astype(float)) * transitions.per_s[route])


def _seen_to_begin_and_end(sightings: Sightings, of_camera: list[Array]) -> tuple[Array, Array]:
    """Passages that began after their camera's first, and that ended before its last: bool (N,) both.

    What is in the picture when a recording begins did not arrive then.
    """
    begins, ends = np.ones(len(sightings.camera), bool), np.ones(len(sightings.camera), bool)
    for rows in of_camera:
        if len(rows):
            begins[rows] = sightings.start_s[rows] >= sightings.start_s[rows].min() + _EDGE_S
            ends[rows] = sightings.end_s[rows] <= sightings.end_s[rows].max() - _EDGE_S
    return begins, ends


def _arrival_rates_of_cameras(
    transitions: Transitions, sightings: Sightings, of_camera: list[Array], is_arrival: Array
) -> Array:
    """:func:`_arrival_rates` of each camera to which a route leads as a whole: float64 (N,), 0 elsewhere."""
    rate = np.zeros(len(sightings.camera))
    leads_to_camera = transitions.route_key[:, 0] != LINK
    for c in np.unique(transitions.route_key[leads_to_camera, 2]).tolist():
        rows = of_camera[c]
        rate[rows] = _arrival_rates(sightings.start_s[rows], is_arrival[rows])
    return rate


def _arrival_rates(start_s: Array, is_arrival: Array) -> Array:
    """Arrivals per second about each passage, without itself: float64 (N,).

    Vehicles come in platoons. A kernel estimate of the rate follows them, with the width under which each arrival is
    likeliest given all others; a constant rate is one of the choices. Two cameras are thus not taken for related
    because each of them saw one platoon.
    """
    rate = np.full(len(start_s), max(int(is_arrival.sum()) - 1, 0.5) / _watched_s(start_s[is_arrival]))
    time_s = start_s[is_arrival]
    if not 3 <= len(time_s) <= _MAX_SMOOTHED:
        return rate
    constant = best = rate[is_arrival]
    between = time_s[:, None] - time_s
    for width in _RATE_WIDTHS_S:
        kernel = np.exp(-0.5 * np.square(between / width)) / (width * np.sqrt(2 * np.pi))
        np.fill_diagonal(kernel, 0.0)
        covered = ndtr((time_s.max() - time_s) / width) - ndtr((time_s.min() - time_s) / width)
        smooth = (kernel / np.maximum(covered, _MIN_COVERED)).sum(axis=1)
        candidate = _CONSTANT_RATE_WEIGHT * constant + (1 - _CONSTANT_RATE_WEIGHT) * smooth
        if np.log(candidate).sum() > np.log(best).sum():
            best = candidate
    rate[is_arrival] = best
    return rate


def _watched_s(start_s: Array) -> float:
    """Length of the time in which passages began, at least some seconds."""
    return max(float(np.ptp(start_s)) if len(start_s) else 0.0, _MIN_WATCHED_S) + 2.0
