"""Travel times against a twin that weighs every hypothesis in plain Python, and what they say of related cameras."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from mtmc.associate.transitions import LINK, UNCONSTRAINED, Transitions
from mtmc.associate.travel_times import Sightings, TravelTimes, fit_travel_times

WIDTHS = (0.4, 0.8, 1.6, 3.2, 6.4, 12.8)
SHARES = (0.1, 0.3, 0.6, 0.9)
SPAN_S = 120.0


def two_cameras(
    rng: np.random.Generator, shared: int, alone: int, travel_s: float = 20.0
) -> tuple[Sightings, np.ndarray]:
    """Vehicles of camera 0 of which ``shared`` reach camera 1, where ``alone`` others arrive; the vehicle of each."""
    leave = np.sort(rng.uniform(2, SPAN_S - 25, shared + alone))
    arrive = np.concatenate([leave[:shared] + rng.normal(travel_s, 0.5, shared), rng.uniform(2, SPAN_S, alone)])
    vehicle = np.concatenate([np.arange(shared + alone), np.arange(shared), 1000 + np.arange(alone)])
    start_s = np.concatenate([leave - 1.0, arrive])
    camera = np.repeat([0, 1], [shared + alone, shared + alone])
    return Sightings(camera, np.arange(len(camera)), start_s, start_s + 1.0), vehicle


def transitions_between(sightings: Sightings, longest_s: float = 60.0, kind: int = UNCONSTRAINED) -> Transitions:
    pairs = [
        (a, b)
        for a, b in product(np.flatnonzero(sightings.camera == 0), np.flatnonzero(sightings.camera == 1))
        if sightings.start_s[a] < sightings.start_s[b] <= sightings.end_s[a] + longest_s
    ]
    return Transitions.of(
        np.array(pairs, np.int64).reshape(-1, 2),
        np.zeros(len(pairs), np.int64),
        sightings.start_s,
        sightings.end_s,
        np.full(len(pairs), -2.0),
        np.array([0.2]),
        np.array([[kind, 0, 1]]),
    )


# The twin


def normal(x: float, sigma: float) -> float:
    return math.exp(-0.5 * (x / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))


def below(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))


def twin(trips: Transitions, seen: Sightings) -> tuple[float, list[float]]:
    """Posterior probability that the only route exists, and the log-likelihood ratio of each pair.

    The rate of arrivals is constant here: the worlds are chosen so that no kernel is likelier.
    """
    begins = {c: min(seen.start_s[seen.camera == c]) + 0.6 for c in (0, 1)}
    ends = {c: max(seen.end_s[seen.camera == c]) - 0.6 for c in (0, 1)}
    arrivals = [k for k in np.flatnonzero(seen.camera == 1) if seen.start_s[k] >= begins[1]]
    departures = [k for k in np.flatnonzero(seen.camera == 0) if seen.end_s[k] <= ends[0]]
    time = [seen.start_s[k] for k in arrivals]
    rate = max(len(arrivals) - 1, 0.5) / (max(time) - min(time) + 2)
    watched = (min(seen.start_s[seen.camera == 1]) - 1, max(seen.start_s[seen.camera == 1]) + 1)
    pairs = list(zip(trips.a.tolist(), trips.b.tolist(), trips.time_s.tolist(), strict=True))
    targets = sorted({b for _, b, _ in pairs})
    of_target = {b: [(t, a in departures) for a, other, t in pairs if other == b] for b in targets}
    lags = [t for _, _, t in pairs]
    window = max(lags) - min(lags) + 1

    hypotheses: list[tuple[str, float, float, float, float]] = [
        ("known", 0.0, 0.0, share, 0.5 / 4) for share in SHARES
    ]
    for width in WIDTHS:
        places = [round(t / width) for t in lags]
        means = [k * width for k in range(min(places) - 3, max(places) + 4)]
        total = sum(1 / (10 + abs(mean)) for mean in means)
        for mean, share in product(means, SHARES):
            hypotheses.append(("normal", width, mean, share, 0.5 / 6 / (10 + abs(mean)) / total / 4))

    def density(kind: str, width: float, mean: float, t: float) -> float:
        if kind == "known":
            return 1 / window
        return normal(t - mean, width) if abs(round(t / width) - round(mean / width)) <= 3 else 0.0

    weighed = []
    for kind, width, mean, share, prior in hypotheses:
        expected = 0.0
        for k in departures:
            if kind == "known":
                first, last = seen.end_s[k] + min(lags), seen.end_s[k] + max(lags)
                expected += max(min(last, watched[1]) - max(first, watched[0]), 0) / (last - first + 1)
            else:
                at = seen.end_s[k] + mean
                expected += below((watched[1] - at) / width) - below((watched[0] - at) / width)
        explained = min(share * expected / len(arrivals), 0.95)
        terms = {}
        for b in targets:
            total = sum(density(kind, width, mean, t) for t, departs in of_target[b] if departs)
            terms[b] = math.log(1 - explained + share * total / rate) if b in arrivals else 0.0
        log_l = sum(terms.values()) + sum(math.log(1 - explained) for b in arrivals if b not in targets)
        log_l -= share * expected - explained * len(arrivals)
        weighed.append((kind, width, mean, share, explained, terms, math.log(prior) + log_l))

    evidence = sum(math.exp(one[-1]) for one in weighed)
    exists = 0.5 / 10.5
    for _ in range(50):
        exists = (exists * evidence / (1 - exists + exists * evidence) + 0.5) / (1 + 10.5)
    posterior = exists * evidence / (1 - exists + exists * evidence)

    ratios = []
    for _, b, t in pairs:
        weights = [exists * math.exp(one[-1] - one[5][b]) for one in weighed]
        total = 1 - exists + sum(weights)
        rows = zip(weights, weighed, strict=True)
        mixed = sum(w * one[3] / (1 - one[4]) * density(one[0], one[1], one[2], t) for w, one in rows)
        ratios.append(math.log(mixed / total / rate))
    return posterior, ratios


@pytest.mark.parametrize("shared", [0, 4, 12])
def test_against_every_hypothesis_in_plain_python(shared: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtmc.associate.travel_times._RATE_WIDTHS_S", ())  # a constant rate
    seen, _ = two_cameras(np.random.default_rng([7, shared]), shared, 12 - shared)
    trips = transitions_between(seen)
    fitted = fit_travel_times(trips, seen)
    exists, ratios = twin(trips, seen)
    assert fitted.existence() == pytest.approx([exists], abs=1e-5)
    np.testing.assert_allclose(fitted.log_odds(trips, seen), ratios, atol=0.01)  # without negligible hypotheses


# What it is for


def test_related_cameras_are_found_and_the_true_pairs_stand_out() -> None:
    seen, vehicle = two_cameras(np.random.default_rng(1), 25, 8)
    trips = transitions_between(seen)
    fitted = fit_travel_times(trips, seen)
    assert fitted.existence()[0] > 0.9
    is_true = vehicle[trips.a] == vehicle[trips.b]
    log_odds = fitted.log_odds(trips, seen)
    assert np.median(log_odds[is_true]) > 1.0
    assert np.quantile(log_odds[~is_true], 0.9) < -3.0


def test_unrelated_cameras_stay_unrelated() -> None:
    """Of forty pairs of cameras with nothing in common, none has a transition likelier than not."""
    for seed in range(40):
        seen, _ = two_cameras(np.random.default_rng([2, seed]), 0, 25)
        trips = transitions_between(seen)
        assert fit_travel_times(trips, seen).log_odds(trips, seen).max() < 0.0, seed


def test_one_platoon_in_each_camera_is_no_relation() -> None:
    """Eight vehicles within ten seconds in either camera, which a constant rate would take for the same."""
    rng = np.random.default_rng(3)
    leave, arrive = np.sort(rng.uniform(20, 30, 8)), np.sort(rng.uniform(50, 60, 8))
    others = [np.array([2.0, 100.0]), np.array([2.0, 100.0])]
    start_s = np.concatenate([leave, others[0], arrive, others[1]])
    seen = Sightings(np.repeat([0, 1], 10), np.arange(20), start_s, start_s + 1.0)
    trips = transitions_between(seen)
    assert fit_travel_times(trips, seen).existence()[0] < 0.5


def test_similar_pairs_are_evidence_too() -> None:
    """Times that say nothing, and a likelihood ratio of other cues that is large for the true pairs."""
    rng = np.random.default_rng(4)
    leave = np.sort(rng.uniform(2, 80, 20))
    arrive = leave + rng.uniform(3, 35, 20)
    start_s = np.concatenate([leave, arrive])
    seen = Sightings(np.repeat([0, 1], 20), np.arange(40), start_s, start_s + 1.0)
    trips = transitions_between(seen)
    is_true = trips.b == trips.a + 20
    assert fit_travel_times(trips, seen).existence()[0] < 0.5
    assert fit_travel_times(trips, seen, np.where(is_true, 200.0, 0.3)).existence()[0] > 0.9


def test_no_arrival_is_evidence_for_itself() -> None:
    """The only arrival on a route is worth what it would be worth if it had not been fitted to, and no more."""
    seen, _ = two_cameras(np.random.default_rng(5), 10, 5)
    trips = transitions_between(seen)
    fitted = fit_travel_times(trips, seen)
    unknown = TravelTimes(
        **{name: getattr(fitted, name) for name in TravelTimes.__slots__ if name not in ("camera", "track")},
        camera=np.zeros(0, np.int64),
        track=np.zeros(0, np.int64),
    )
    assert (unknown.log_odds(trips, seen) - fitted.log_odds(trips, seen)).max() > 0.1


def test_a_route_that_was_not_fitted_keeps_its_prior() -> None:
    seen, _ = two_cameras(np.random.default_rng(6), 10, 5)
    fitted = fit_travel_times(transitions_between(seen), seen)
    link = transitions_between(seen, kind=LINK)
    np.testing.assert_array_equal(fitted.log_odds(link, seen), link.log_odds)


def test_nothing_is_fitted_to_nothing() -> None:
    seen = Sightings(np.zeros(2, np.int64), np.arange(2), np.array([0.0, 5.0]), np.array([1.0, 6.0]))
    none = Transitions.concatenate([])
    fitted = fit_travel_times(none, seen)
    assert len(fitted.log_odds(none, seen)) == len(fitted.existence()) == 0
