from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtmc.formats.table import Table
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Link, Scene, Zone
from mtmc.types import Passage, Tracklet
from tests.builders import tracklet
from tools.bench.perturb import PERTURBATIONS, Case, placed, withheld

FRAMES = 100
LEFT = Zone("left", np.array([[0.0, 0], [120, 0], [120, 400], [0, 400]]))


def scene() -> Scene:
    cameras = tuple(
        Camera(
            f"c{n:03d}",
            n,
            Clock(fps=10, start_s=n),
            size_wh=(1000, 500),
            frame_count=FRAMES,
            ground_from_image=np.diag([0.1, 0.1, 1.0]),
            zones=(LEFT,),
        )
        for n in (1, 2)
    )
    return Scene("two", Path(), cameras, links=(Link("c001", "", "c002", "", 0, 9),))


@pytest.fixture
def case() -> Case:
    """Ten vehicles in the first camera, five of them in the second too; the truth is what was tracked."""
    place = scene()
    tracklets: list[Tracklet] = []
    for n, count in ((1, 10), (2, 5)):
        for k in range(count):
            tracklets.append(
                tracklet(f"c{n:03d}", k + 1, first=5 * k, length=50, start=(50.0, 20.0 * k), step=(8, 1), start_s=n)
            )
    passages = [Passage(t, np.array([1.0, 0.0], np.float32), "", "", np.zeros((len(t), 2))) for t in tracklets]
    rows = [
        Table.of(int(t.camera_id[1:]), np.full(len(t), t.track_id), t.frame, t.xyxy)
        for t in tracklets
        if t.track_id <= 5
    ]
    known = placed(passages, place)
    return Case(place, known, tuple(p.tracklet for p in known), Table.concatenate(rows))


def test_a_place_gives_times_zones_and_ground(case: Case) -> None:
    first = case.passages[0]
    assert (first.entry, first.exit) == ("left", "")
    assert first.tracklet.time_s[0] == 1.0
    np.testing.assert_allclose(first.ground_m[0], [7.0, 3.0], atol=1e-6)  # the foot of a box at (50, 0), 40 × 30
    assert first.embedding.tolist() == [1.0, 0.0]
    bare = withheld(case.scene)
    assert bare.links == ()
    assert all(c.ground_from_image is None and not c.zones for c in bare.cameras)
    assert all(c.ground_from_image is not None and not c.zones for c in withheld(case.scene, ground=False).cameras)
    assert np.isnan(placed(case.passages, bare)[0].ground_m).all()


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_what_is_scored_goes_with_what_is_seen(case: Case, name: str) -> None:
    worse = PERTURBATIONS[name](case, 7)
    assert len(worse.passages) == len(worse.shown)
    keys = [(p.tracklet.camera_id, p.tracklet.track_id) for p in worse.passages]
    assert keys == [(t.camera_id, t.track_id) for t in worse.shown]
    assert len(set(keys)) == len(keys)
    assert [len(p.tracklet) for p in worse.passages] == [len(t) for t in worse.shown]
    truth = {(c, f): b for c, f, b in zip(case.truth.camera, case.truth.frame, case.truth.xyxy, strict=True)}
    assert set(zip(worse.truth.camera.tolist(), worse.truth.frame.tolist(), strict=True)) <= truth.keys()
    again = PERTURBATIONS[name](case, 7)
    for a, b in zip(worse.passages, again.passages, strict=True):
        np.testing.assert_array_equal(a.tracklet.time_s, b.tracklet.time_s)
        np.testing.assert_array_equal(a.ground_m, b.ground_m)


def test_clocks_move_as_a_whole_and_by_at_most_three_seconds(case: Case) -> None:
    worse = PERTURBATIONS["clocks off by up to 3 s"](case, 1)
    off: dict[str, set[float]] = {"c001": set(), "c002": set()}
    for before, after in zip(case.passages, worse.passages, strict=True):
        gap = np.round(after.tracklet.time_s - before.tracklet.time_s, 6)
        off[before.tracklet.camera_id] |= set(gap.tolist())
        np.testing.assert_array_equal(before.tracklet.frame, after.tracklet.frame)
    [one], [two] = off.values()
    assert one != two
    assert max(abs(one), abs(two)) <= 3.0
    assert worse.scene.cameras[0].clock.start_s == pytest.approx(1.0 + one)


def test_dropped_frames_are_nowhere_and_clocks_do_not_know(case: Case) -> None:
    worse = PERTURBATIONS["2 % of frames dropped"](case, 1)
    for number, camera_id in ((1, "c001"), (2, "c002")):
        have = {int(f) for t in worse.shown if t.camera_id == camera_id for f in t.frame}
        had = {int(f) for t in case.shown if t.camera_id == camera_id for f in t.frame}
        gone = had - have
        assert 1 <= len(gone) <= 2  # of a hundred frames
        assert not gone & set(worse.truth.frame[worse.truth.camera == number].tolist())
        for passage, shown in zip(worse.passages, worse.shown, strict=True):
            if shown.camera_id == camera_id:
                behind = [sum(g < f for g in gone) for f in shown.frame.tolist()]
                late = shown.frame - passage.tracklet.frame
                assert (late >= behind).all()  # frames that held nothing may be gone too
                assert late.max() <= 2
                np.testing.assert_allclose(passage.tracklet.time_s, number + passage.tracklet.frame / 10)


def test_a_dead_camera_is_the_busiest_one_and_its_second_half_is_not_asked_for(case: Case) -> None:
    worse = PERTURBATIONS["one camera dead for half the time"](case, 1)
    assert max(int(t.frame[-1]) for t in worse.shown if t.camera_id == "c001") == FRAMES // 2 - 1
    assert sum(len(t) for t in worse.shown if t.camera_id == "c002") == 5 * 50
    assert worse.truth.frame[worse.truth.camera == 1].max() == FRAMES // 2 - 1
    late = replace(case, truth=case.truth[(case.truth.camera == 2) | (case.truth.frame >= 50) | (case.truth.id > 2)])
    worse = PERTURBATIONS["one camera dead for half the time"](late, 1)
    assert set(worse.truth.id.tolist()) == {3, 4, 5}  # 1 and 2 are left to one camera


def test_a_moved_camera_shifts_what_is_seen_not_what_is_scored(case: Case) -> None:
    worse = PERTURBATIONS["one camera moved half-way"](case, 1)
    for before, after, shown in zip(case.passages, worse.passages, worse.shown, strict=True):
        np.testing.assert_array_equal(before.tracklet.xyxy, shown.xyxy)
        late = (shown.frame >= 50) & (shown.camera_id == "c001")
        shift = np.where(late[:, None], [50.0, 15.0], 0.0)
        np.testing.assert_allclose(after.tracklet.xyxy[:, :2] - shown.xyxy[:, :2], shift, atol=1e-4)
        np.testing.assert_allclose(after.ground_m - before.ground_m, shift / 10, atol=1e-4)


def boxes(case: Case, camera_id: str) -> list[tuple[float, ...]]:
    mine = [t for t in case.shown if t.camera_id == camera_id]
    return sorted((f, *box) for t in mine for f, box in zip(t.frame.tolist(), t.xyxy.tolist(), strict=True))


def test_split_tracklets_are_whole_together(case: Case) -> None:
    worse = PERTURBATIONS["20 % of tracklets split"](case, 1)
    assert len(worse.passages) == len(case.passages) + 3  # a fifth of fifteen
    for camera_id in ("c001", "c002"):
        assert boxes(case, camera_id) == boxes(worse, camera_id)
    short = [t for t in worse.shown if len(t) < 50]
    assert len(short) == 6
    assert min(len(t) for t in short) >= 12
    fresh = [p for p in worse.passages if p.tracklet.track_id > 10]
    assert [p.entry for p in fresh] == [""] * 3  # they begin in the middle of nowhere


def test_what_is_switched_off_is_gone(case: Case) -> None:
    worse = PERTURBATIONS["no appearance"](case, 1)
    assert all(len(p.embedding) == 0 for p in worse.passages)
    worse = PERTURBATIONS["no geometry"](case, 1)
    assert all(np.isnan(p.ground_m).all() and len(p.embedding) == 2 for p in worse.passages)
    assert all(c.ground_from_image is None and c.zones for c in worse.scene.cameras)
    assert worse.scene.links == case.scene.links
    assert [p.entry for p in worse.passages] == [p.entry for p in case.passages]
