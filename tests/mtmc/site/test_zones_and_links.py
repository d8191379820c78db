"""Zones and links against places whose truth is written down here."""

from __future__ import annotations

import numpy as np
import pytest

from mtmc.geometry.zones import inside
from mtmc.site.config import SiteConfig
from mtmc.site.links import Event, find_links
from mtmc.site.similarity import centered_embeddings
from mtmc.site.transition_times import transition_evidence
from mtmc.site.zones import cluster_endpoints, find_zones, track_endpoints
from mtmc.types import Array, Passage
from tests.builders import tracklet
from tests.mtmc.site.world import passage

SIZE = (1000, 600)


def naive_cluster(px: Array, heading: Array, box: Array, least: int) -> list[set[int]]:
    """Density clusters straight from the definition: cores reached from cores, and what lies near a core."""

    def near(i: int, j: int) -> bool:
        gap = (px[i] - px[j]) / ((box[i] + box[j]) / 2 * [1.0, 0.8])
        stands = not heading[i].any() or not heading[j].any()
        return bool(np.hypot(*gap) < 0.75 and (stands or heading[i] @ heading[j] > 0.5))

    n = len(px)
    neighbors = [{j for j in range(n) if near(i, j)} for i in range(n)]
    cores = {i for i in range(n) if len(neighbors[i]) >= least}
    out, left = [], set(cores)
    while left:
        group, grow = set(), [min(left)]
        while grow:
            i = grow.pop()
            if i not in group:
                group.add(i)
                grow += [j for j in neighbors[i] & cores if j not in group]
        out.append(group)
        left -= group
    return out


@pytest.mark.parametrize("seed", range(5))
def test_clusters_are_those_of_the_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    px = rng.random((80, 2)) * 400
    angle = rng.integers(0, 4, 80) * np.pi / 2
    heading = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (rng.random(80) > 0.1)[:, None]
    box = rng.uniform(40, 90, (80, 2))
    label = cluster_endpoints(px, heading, box, min_neighbors=3)
    expected = naive_cluster(px, heading, box, least=3)
    assert label.max() + 1 == len(expected) > 1
    for group in expected:  # cores; an end near two clusters may belong to either
        [number] = set(label[sorted(group)].tolist())
        assert number >= 0
    sizes = np.bincount(label[label >= 0])
    assert (np.diff(sizes) <= 0).all()


def street(count: int, *, back: bool = False, first: int = 0, hidden_at: float | None = None) -> list[Passage]:
    """Vehicles from border to border at one height; some way behind an obstacle ends and begins there."""
    rng = np.random.default_rng(7 + back)
    out = []
    for k in range(count):
        top, start = 300 + 60 * back + rng.normal(0, 4), 40 + 55 * k
        spans = [(0.0, 940.0)] if hidden_at is None else [(0.0, hidden_at), (hidden_at + 90, 940.0)]
        for x1, x2 in spans:
            length = int((x2 - x1) / 20)
            lefts = (940 - x1, -20.0) if back else (x1, 20.0)
            delay = int(x1 / 20)
            way = tracklet(
                track_id=first + len(out) + 1,
                first=start + delay,
                length=length,
                start=(lefts[0], top),
                step=(lefts[1], 0),
                size=(60, 40),
            )
            out.append(passage(way))
    return out


def test_two_directions_make_two_entries_and_two_exits() -> None:
    passages = street(10) + street(10, back=True, first=10)
    ends = track_endpoints(passages, SIZE, (0.0, 200.0))
    zones = find_zones(ends, passages, SIZE, SiteConfig())
    found = {zone.name: zone for zone in zones}
    assert sorted((zone.role, zone.count) for zone in zones) == [("in", 10), ("in", 10), ("out", 10), ("out", 10)]
    # Feet are 30 px right of the left edge and 40 px below the top.
    expected = {
        "mid left in": (30, 340),
        "mid right out": (30 + 46 * 20, 340),
        "mid right in": (970, 400),
        "mid left out": (970 - 46 * 20, 400),
    }
    assert set(found) == set(expected)
    for name, spot in expected.items():
        assert inside(np.array([spot], float), found[name].polygon)[0]
        assert found[name].purity == 1.0
        assert found[name].confidence > 0.8


def test_an_obstacle_is_no_zone() -> None:
    """Few are lost behind it, most run through: purity tells; where all are lost it cannot."""
    passages = street(12) + street(4, first=100, hidden_at=400.0)
    ends = track_endpoints(passages, SIZE, (0.0, 200.0))
    zones = find_zones(ends, passages, SIZE, SiteConfig())
    assert sorted(zone.name for zone in zones) == ["mid left in", "mid right out"]
    loose = find_zones(ends, passages, SIZE, SiteConfig(min_purity=0.0))
    assert len(loose) == 4


def test_what_the_recording_cuts_is_no_end() -> None:
    [way] = street(1)
    span = (way.tracklet.start_s, way.tracklet.end_s + 30)
    assert [end.role for end in track_endpoints([way], SIZE, span)] == ["out"]


def traffic(
    seed: int, seconds: float, travel: dict[tuple[str, str], tuple[float, float]], noise: float | None
) -> tuple[list[Event], list[Event], list[Array]]:
    """Exits a1, a2 of camera A, entries b1, b2 of camera B; travel (mean, deviation) between those that are linked.

    All other vehicles are seen by one camera only.
    """
    rng = np.random.default_rng(seed)
    leaving, coming, vectors = [], [], []

    def seen(camera: str, zone: str, time_s: float, face: Array, into: list[Event]) -> None:
        into.append(Event(camera, zone, len(vectors), time_s, time_s - 8.0 * (camera == "A")))
        vector = face + (noise or 0.0) * rng.normal(size=16)
        vectors.append(np.zeros(0) if noise is None else vector / np.linalg.norm(vector))

    for (a, b), (mean, deviation) in travel.items():
        for moment in np.sort(rng.uniform(0, seconds, int(seconds / 12))):
            face = rng.normal(size=16)
            seen("A", a, moment, face, leaving)
            seen("B", b, moment + rng.normal(mean, deviation), face, coming)
    for moment in rng.uniform(0, seconds, int(seconds / 10)):
        seen("A", ("a1", "a2")[int(rng.integers(2))], moment, rng.normal(size=16), leaving)
    for moment in rng.uniform(0, seconds, int(seconds / 10)):
        seen("B", ("b1", "b2")[int(rng.integers(2))], moment, rng.normal(size=16), coming)
    return leaving, coming, vectors


TRAVEL = {("a1", "b1"): (9.0, 0.6), ("a2", "b2"): (-3.0, 0.4)}


@pytest.mark.parametrize(("seconds", "noise"), [(600.0, None), (200.0, 0.5)])
def test_links_and_travel_times(seconds: float, noise: float | None) -> None:
    config = SiteConfig()
    leaving, coming, vectors = traffic(1, seconds, TRAVEL, noise)
    links = find_links(leaving, coming, {}, centered_embeddings({"": vectors})[""], seconds, config)
    assert {(f.from_zone, f.to_zone) for f in links} == set(TRAVEL)
    for link in links:
        mean, deviation = TRAVEL[link.from_zone, link.to_zone]
        assert link.typical_s == pytest.approx(mean, abs=0.3)
        assert link.spread_s == pytest.approx(deviation, abs=0.35)
        assert link.min_s < mean - 2 * deviation < mean + 2 * deviation < link.max_s
        assert link.max_s - link.min_s < 6
        assert 0.3 < link.share < 0.9  # 10 in 16 take it
        assert link.confidence > 0.5


@pytest.mark.parametrize("noise", [None, 0.5])
def test_chance_makes_hardly_any_links(noise: float | None) -> None:
    """Of 160 pairs of zones without traffic between them, two may be linked by chance, and none with confidence."""
    found = []
    for seed in range(40):
        leaving, coming, vectors = traffic(seed, 600.0, {}, noise)
        found += find_links(leaving, coming, {}, centered_embeddings({"": vectors})[""], 600.0, SiteConfig())
    assert len(found) <= 2
    assert all(link.confidence < 0.9 for link in found)


def test_a_minute_is_enough_with_looks() -> None:
    """Five vehicles on each link, among six that go nowhere: nearly all links are found, and no others."""
    right = wrong = 0
    for seed in range(20):
        leaving, coming, vectors = traffic(100 + seed, 60.0, TRAVEL, 0.5)
        for link in find_links(leaving, coming, {}, centered_embeddings({"": vectors})[""], 60.0, SiteConfig()):
            known = TRAVEL.get((link.from_zone, link.to_zone))
            right += known is not None and abs(link.typical_s - known[0]) < 1.0
            wrong += known is None
    assert right >= 36
    assert wrong == 0


def test_order_does_not_matter() -> None:
    leaving, coming, vectors = traffic(2, 300.0, TRAVEL, 0.5)
    faces = centered_embeddings({"": vectors})[""]
    first, second = (
        find_links(a, b, {}, faces, 300.0, SiteConfig())
        for a, b in ((leaving, coming), (leaving[::-1], coming[::-1]))
    )
    assert len(first) == 2
    assert [(f.from_zone, f.min_s, f.times_s.tolist()) for f in first] == [
        (f.from_zone, f.min_s, f.times_s.tolist()) for f in second
    ]


@pytest.mark.parametrize(("seed", "takes"), [(0, 0), (1, 3), (2, 6)])
def test_the_evidence_is_that_of_the_definition(seed: int, takes: int) -> None:
    """The sum over shares, times and spreads, term by term; times are rounded to a quarter of a second."""
    rng = np.random.default_rng(seed)
    left, came = np.sort(rng.uniform(0, 60, 7)), np.sort(rng.uniform(0, 60, 6))
    came[:takes] = left[:takes] + rng.normal(5, 0.5, takes)
    gap = np.round((came[None] - left[:, None]) * 4) / 4
    ratio = rng.uniform(0.2, 4.0, gap.shape)
    found = transition_evidence(gap, ratio, 60.0, (-10.0, 30.0))
    times = np.arange(-10, 30.01, 0.25)
    usual = [np.exp(-t / 20) if t > 0 else np.exp(t / 3) for t in times]
    total = 0.0
    for spread in (0.35, 0.7, 1.4, 2.8, 5.6):
        for share in (0.15, 0.3, 0.5, 0.7, 0.9):
            for time, weight in zip(times, usual, strict=True):
                density = np.where(
                    (gap >= -10) & (gap <= 30), np.exp(-0.5 * ((gap - time) / spread) ** 2) * ratio, 0.0
                )
                density /= spread * np.sqrt(2 * np.pi)
                by_leaver = np.prod([1 - share + share * row.sum() * 60 / 6 for row in density])
                back = min(share * 7 / 6, 0.95)
                by_comer = np.prod([1 - back + back * column.sum() * 60 / 7 for column in density.T])
                total += weight / sum(usual) / 25 * min(by_leaver, by_comer)
    assert found.log_bayes_factor == pytest.approx(np.log(total), abs=0.05)
    assert (found.log_bayes_factor > 3) == (takes == 6)
    if takes == 6:
        assert (np.diag(found.posterior)[:6] > 0.5).all()
        assert (found.posterior.sum(axis=1) <= 1 + 1e-9).all()
