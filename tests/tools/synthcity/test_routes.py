from __future__ import annotations

import numpy as np

from mtmc.geometry.zones import inside
from tools.synthcity.routes import Passing, find_links, find_zones


def passing(vehicle: int, start_s: float, end_s: float, entry: str = "west in", leave: str = "east out") -> Passing:
    at = np.array([100.0 + vehicle, 200.0])
    return Passing(vehicle, entry, leave, start_s, end_s, at, at + np.array([300.0, 10.0 * vehicle]))


def test_zones_hold_the_places_they_come_from() -> None:
    ways = [passing(1, 0, 5), passing(2, 3, 8), passing(3, 4, 9, entry="")]
    zones = dict(find_zones(ways, (960, 540)))
    assert list(zones) == ["east out", "west in"]
    assert inside(np.array([w.end_px for w in ways]), zones["east out"]).all()
    assert inside(np.array([ways[0].start_px, ways[1].start_px]), zones["west in"]).all()


def test_links_are_the_ways_taken_at_least_twice() -> None:
    first = [passing(1, 0, 5), passing(2, 3, 8), passing(3, 4, 9), passing(4, 0, 4, leave="")]
    second = [passing(1, 12, 15), passing(2, 16, 20), passing(3, 12, 14, entry="north in"), passing(4, 9, 12)]
    links = find_links({"c001": first, "c002": second})
    assert links == [{"from": ["c001", "east out"], "to": ["c002", "west in"], "min_s": 6.5, "max_s": 8.5}]
