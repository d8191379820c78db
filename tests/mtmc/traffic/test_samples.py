"""Samples of movements: which ends of a movement are missing, and that links and zones are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mtmc.associate.candidates import CUES
from mtmc.associate.tracklet_links import TrackletLinks
from mtmc.traffic.samples import View, sample_movements
from mtmc.types import GlobalTrack, Passage
from tests.builders import tracklet

VIEW = View(first_s=0.0, last_s=600.0, size_wh=(640, 480))


def passage(
    camera: str, track: int, start_s: float, entry: str, exit: str, left: float = 200.0, step: float = 1.0
) -> Passage:
    own = tracklet(camera, track, start_s=start_s, start=(left, 200.0), step=(step, 0.0))
    return Passage(own, np.zeros(0, np.float32), entry, exit, np.full((10, 2), np.nan))


def links(*pairs: tuple[tuple[str, int], tuple[str, int], float]) -> TrackletLinks:
    count = len(pairs)
    return TrackletLinks(
        camera_a=np.array([a[0] for a, _, _ in pairs], np.str_),
        track_a=np.array([a[1] for a, _, _ in pairs], np.int64),
        camera_b=np.array([b[0] for _, b, _ in pairs], np.str_),
        track_b=np.array([b[1] for _, b, _ in pairs], np.int64),
        global_id=np.zeros(count, np.int64),
        probability=np.array([p for _, _, p in pairs], np.float64),
        log_odds=np.zeros(count),
        cues={name: np.zeros(count) for name in CUES},
        rule=np.zeros(count, np.str_),
    )


def vehicles(passages: Sequence[Passage]) -> list[GlobalTrack]:
    return [GlobalTrack(k, (p,)) for k, p in enumerate(passages, start=1)]


@pytest.mark.parametrize(
    ("cut", "drawn"),
    [
        (passage("a", 9, 100.0, "n", ""), "s"),  # lost within the image
        (passage("a", 9, 100.0, "n", "", left=586.0, step=1.0), ""),  # its last box ends at 635 of 640
        (passage("a", 9, 100.0, "n", "", left=580.0), "s"),  # at 629
        (passage("a", 9, 598.5, "n", ""), ""),  # in view when the recording ends
        (passage("b", 9, 100.0, "n", ""), ""),  # a camera of which nothing is known
    ],
)
def test_a_missing_exit_is_drawn(cut: Passage, drawn: str) -> None:
    whole = [passage("a", k, 10.0 * k, "n", "s") for k in range(1, 5)]
    samples = sample_movements(vehicles([*whole, cut]), links(), {"a": VIEW})
    zones = {next(m.exit_zone for m in sample if m.enter_s == cut.tracklet.start_s) for sample in samples.completed}
    assert zones == {drawn}
    assert {m.exit_zone for sample in samples.seen for m in sample} == {"s", ""}


@pytest.mark.parametrize(
    ("cut", "drawn"),
    [
        (passage("a", 9, 100.0, "", "s"), "n"),
        (passage("a", 9, 100.0, "", "s", left=4.0), ""),
        (passage("a", 9, 0.5, "", "s"), ""),
    ],
)
def test_a_missing_entry_is_drawn(cut: Passage, drawn: str) -> None:
    whole = [passage("a", k, 10.0 * k, "n", "s") for k in range(1, 5)]
    samples = sample_movements(vehicles([*whole, cut]), links(), {"a": VIEW})
    zones = {next(m.entry_zone for m in sample if m.enter_s == cut.tracklet.start_s) for sample in samples.completed}
    assert zones == {drawn}


def test_links_are_drawn_and_vehicles_keep_apart() -> None:
    passages = [passage("a", 1, 10.0, "n", "s"), passage("b", 1, 20.0, "n", "s"), passage("b", 2, 30.0, "n", "s")]
    found = sample_movements(vehicles(passages), links((("a", 1), ("b", 1), 0.7), (("a", 1), ("b", 2), 0.3)), {})
    with_first = 0
    for sample in found.seen:
        assert len(sample) == 3
        vehicle_of = {(m.camera, m.enter_s): m.vehicle for m in sample}
        assert len(set(vehicle_of.values())) == 2  # 0.7 + 0.3 = 1
        with_first += vehicle_of["a", 10.0] == vehicle_of["b", 20.0]
    assert with_first / len(found.seen) == pytest.approx(0.7)
    again = sample_movements(vehicles(passages), links((("a", 1), ("b", 1), 0.7), (("a", 1), ("b", 2), 0.3)), {})
    assert repr(again) == repr(found)  # with NaN for speeds
