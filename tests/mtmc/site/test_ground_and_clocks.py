"""Ground and clocks learned from tracklets, against a world of which both are known."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from mtmc.geometry.clock import Clock
from mtmc.geometry.ground import project
from mtmc.scene import Camera, Scene
from mtmc.site.bundle_adjustment import bundle_adjust
from mtmc.site.camera_model import GroundScale, fit_ground_scale
from mtmc.site.clocks import fit_clocks
from mtmc.site.common_ground import learn_common_grounds
from mtmc.site.config import SiteConfig
from mtmc.site.learn import learn_scene
from mtmc.site.pose_graph import PairSimilarity, attach_camera, build_pose_graph
from mtmc.site.registration import fit_again, register
from mtmc.site.similarity import NEGATIVE_PAIR_WEIGHT, alike, centered_embeddings, likeness
from mtmc.site.trajectories import sample_trajectories
from mtmc.types import Array, Passage
from tests.mtmc.site.world import SIZE, Pinhole, crossroads_traffic, drive, watch
from tests.mtmc.site.world import passage as bare

CAMERAS = {
    "c001": Pinhole((-16.0, -14.0, 8.0), np.deg2rad(42), np.deg2rad(20)),
    "c002": Pinhole((15.0, 16.0, 7.0), np.deg2rad(225), np.deg2rad(18), 1250.0),
    "c003": Pinhole((-14.0, 17.0, 9.0), np.deg2rad(-50), np.deg2rad(22), 950.0),
}
#: What is put onto the clocks: offset at time 0 and rate.
WRONG = {"c001": (0.0, 0.0), "c002": (1.2, 0.0), "c003": (-0.9, 0.006)}


def traffic(wrong: dict[str, tuple[float, float]], *, flat: bool = False) -> list[Passage]:
    return [
        seen
        for number, (time_s, place) in enumerate(crossroads_traffic(40, seed=3), start=1)
        for name, camera in CAMERAS.items()
        if (seen := watch(camera, name, number, time_s, place, clock=wrong[name], flat=flat)) is not None
    ]


def aligned(ours: Array, truth: Array) -> tuple[Array, float]:
    """Distances after the best rotation, scale and shift (no reflection) of ours onto truth, and that scale."""
    a, b = (points[:, 0] + 1j * points[:, 1] for points in (ours, truth))
    turn = ((b - b.mean()) * (a - a.mean()).conj()).sum() / (np.abs(a - a.mean()) ** 2).sum()
    return np.abs(turn * (a - a.mean()) + b.mean() - b), abs(turn)


@pytest.fixture(scope="module")
def passages() -> list[Passage]:
    return traffic(dict.fromkeys(CAMERAS, (0.0, 0.0)))


def test_world_is_consistent() -> None:
    for camera in CAMERAS.values():
        ground = np.array([[0.0, 0.0], [5, 3], [-4, 6]])
        px, _ = camera.project(np.concatenate([ground, np.zeros((3, 1))], axis=1))
        np.testing.assert_allclose(project(px, camera.ground_from_image()), ground, atol=1e-9)


def test_horizon_and_camera_height_from_box_sizes(passages: list[Passage]) -> None:
    ways = sample_trajectories(passages, dict.fromkeys(CAMERAS, SIZE))
    for name, camera in CAMERAS.items():
        scale = fit_ground_scale(ways[name], SIZE)
        assert scale is not None
        # Rows of a tilted camera: the horizon lies focal · tan(tilt) above the middle.
        horizon = SIZE[1] / 2 - camera.focal_px * np.tan(camera.down)
        assert scale.horizon_px == pytest.approx(horizon, abs=45)
        assert scale.camera_m == pytest.approx(camera.eye[2], rel=0.25)
        assert scale.focal == pytest.approx(camera.focal_px / SIZE[0] / np.cos(camera.down), rel=0.4)


def check_one_ground(seen: list[Passage], scales: dict[str, GroundScale] | None, median_m: float) -> None:
    """The common ground that is learned, against the true one."""
    ways = sample_trajectories(seen, dict.fromkeys(CAMERAS, SIZE))
    scales = scales or {name: s for name in ways if (s := fit_ground_scale(ways[name], SIZE)) is not None}
    frames, _ = learn_common_grounds(ways, scales)
    assert set(frames[0].ground_from_image) == set(CAMERAS)
    ours, truth = [], []
    for name, camera in CAMERAS.items():
        px = np.concatenate([w.px[w.whole] for w in ways[name]])
        known = project(px, camera.ground_from_image())
        near = np.hypot(*known.T) < 35
        ours.append(project(px[near], frames[0].ground_from_image[name]))
        truth.append(known[near])
    away, size = aligned(np.concatenate(ours), np.concatenate(truth))
    assert np.median(away) < median_m
    assert np.percentile(away, 90) < 2.5
    assert size == pytest.approx(1.0, abs=0.35)  # metres rest on the size of a car
    assert max(abs(late) for late in frames[0].late_s.values()) < 0.3


@pytest.mark.parametrize("focal", [0.8, 0.9])
def test_one_ground_from_synchronous_motion(focal: float) -> None:
    """Of what stands on a line, from scales that are roughly right."""
    rough = {
        name: GroundScale(SIZE, SIZE[1] / 2 - c.focal_px * np.tan(c.down) + 15.0, 1.1 * c.eye[2], focal, 0.1, 100)
        for name, c in CAMERAS.items()
    }
    check_one_ground(traffic(dict.fromkeys(CAMERAS, (0.0, 0.0)), flat=True), rough, 1.0)


def test_one_ground_from_boxes_and_motion_of_cars(passages: list[Passage]) -> None:
    """A box stands where its car is nearest, up to 2.3 m before the middle: three views, three edges."""
    check_one_ground(passages, None, 1.8)


def test_views_without_common_road_share_no_ground() -> None:
    """The same streets, but one camera's vehicles are others, at other times."""
    first = traffic(dict.fromkeys(CAMERAS, (0.0, 0.0)))
    other = [
        seen
        for number, (time_s, place) in enumerate(crossroads_traffic(40, seed=77), start=1)
        if (seen := watch(CAMERAS["c002"], "c002", number, time_s, place)) is not None
    ]
    mixed = [p for p in first if p.tracklet.camera_id == "c001"] + other
    ways = sample_trajectories(mixed, {"c001": SIZE, "c002": SIZE})
    scales = {name: s for name in ways if (s := fit_ground_scale(ways[name], SIZE)) is not None}
    frames, tried = learn_common_grounds(ways, scales)
    assert frames == []
    assert all(r.sure < 0.6 for r in tried)


def test_two_pairs_of_views_have_a_plane_each(passages: list[Passage]) -> None:
    """Another town of the same shape, at other times: nothing joins it to the first."""
    here = [p for p in passages if p.tracklet.camera_id != "c003"]
    names = {"c001": "c004", "c002": "c005"}
    there = [
        seen
        for number, (time_s, place) in enumerate(crossroads_traffic(40, seed=78), start=1)
        for name, other in names.items()
        if (seen := watch(CAMERAS[name], other, number, time_s, place)) is not None
    ]
    cameras = tuple(Camera(f"c{k:03}", k, Clock(10.0), size_wh=SIZE) for k in (1, 2, 4, 5))
    learned = learn_scene(Scene("x", Path(), cameras), [*here, *there])
    assert {c.id: c.ground_from_image is not None for c in learned.scene.cameras} == dict.fromkeys(
        ("c001", "c002", "c004", "c005"), True
    )
    plane = {c.id: c.ground_plane for c in learned.scene.cameras}
    assert plane["c001"] == plane["c002"] != plane["c004"] == plane["c005"]
    assert {p.cameras for p in learned.pair_clocks} == {("c001", "c002"), ("c004", "c005")}
    assert {(f.from_camera, f.to_camera) for f in learned.links if f.by == "ground"} <= {
        pair for a, b in (("c001", "c002"), ("c004", "c005")) for pair in ((a, b), (b, a))
    }


@pytest.mark.parametrize(("same", "together"), [(True, True), (False, False)])
def test_looks_decide_whether_two_views_share_road(passages: list[Passage], same: bool, together: bool) -> None:
    """The same motion twice: vehicles that look like themselves in both views, or like anybody."""
    rng = np.random.default_rng(5)
    vehicles = rng.standard_normal((99, 16))
    described = []
    for passage in passages:
        vehicle = vehicles[passage.tracklet.track_id] if same else rng.standard_normal(16)
        look = vehicle + 0.7 * rng.standard_normal(16) + 2.0  # what they share, cameras take out
        described.append(replace(passage, embedding=(look / np.linalg.norm(look)).astype(np.float32)))
    ways = sample_trajectories(described, dict.fromkeys(CAMERAS, SIZE))
    scales = {name: s for name in ways if (s := fit_ground_scale(ways[name], SIZE)) is not None}
    looks = centered_embeddings({c: [way.embedding for way in mine] for c, mine in ways.items()})
    a, b = "c001", "c002"
    found = register(ways[a], ways[b], (scales[a], scales[b]), alike=alike(looks[a], looks[b]))
    assert found is not None
    assert found.holds is together
    if together:
        assert all(ways[a][i].track_id == ways[b][j].track_id for i, j in found.pairs)


@pytest.mark.parametrize(("same", "joins"), [(True, True), (False, False)])
def test_a_camera_joins_a_ground_by_all_its_views_together(passages: list[Passage], same: bool, joins: bool) -> None:
    """Registrations that do not hold alone: those that meet look alike in both other views, or in neither."""
    ways = sample_trajectories(passages, dict.fromkeys(CAMERAS, SIZE))
    scales = {name: s for name in ways if (s := fit_ground_scale(ways[name], SIZE)) is not None}

    def looks(a: str, b: str) -> Array:
        one = np.array([[first.track_id == second.track_id for second in ways[b]] for first in ways[a]])
        return np.where(one & (same or "c003" not in (a, b)), 0.9, NEGATIVE_PAIR_WEIGHT)

    _, tried = learn_common_grounds(ways, scales, alike=looks)
    doubtful = [replace(r, likeness=4.0) if "c003" in r.cameras else r for r in tried]
    ((poses, _),) = build_pose_graph(doubtful, ways, scales)
    assert sorted(poses) == ["c001", "c002"]
    found = attach_camera("c003", poses, doubtful, ways, scales, looks)
    assert (found is not None) is joins
    if found is None:
        return
    ours, truth = [], []
    for name, pose in {**poses, "c003": found[0]}.items():
        px = np.concatenate([w.px[w.whole] for w in ways[name]])
        known = project(px, CAMERAS[name].ground_from_image())
        near = np.hypot(*known.T) < 25
        ours.append(project(px[near], pose.matrix(scales[name])))
        truth.append(known[near])
    away, _ = aligned(np.concatenate(ours), np.concatenate(truth))
    assert np.median(away) < 2.0  # not adjusted yet


def test_where_all_drive_one_way_clocks_stand_as_given() -> None:
    """Views along a street, the second where the first one ends: two seconds later, or 60 m farther on?"""
    rng = np.random.default_rng(9)
    cameras = {"c001": Pinhole((-75.0, -9.0, 8.0), 0.15, 0.3), "c002": Pinhole((-15.0, -9.0, 8.0), 0.15, 0.3)}
    seen = []
    for number in range(1, 31):
        time_s, place = drive(np.array([[-90.0, 0.0], [60.0, 0.0]]), 5.0 * number, 30.0)
        look = rng.standard_normal(16).astype(np.float32)
        look /= np.linalg.norm(look)
        for name, camera in cameras.items():
            if (one := watch(camera, name, number, time_s, place, embedding=look)) is not None:
                seen.append(one)
    ways = sample_trajectories(seen, dict.fromkeys(cameras, SIZE))
    scales = {name: s for name in ways if (s := fit_ground_scale(ways[name], SIZE)) is not None}
    looks = centered_embeddings({c: [way.embedding for way in mine] for c, mine in ways.items()})
    found = register(
        ways["c001"], ways["c002"], (scales["c001"], scales["c002"]), alike=alike(looks["c001"], looks["c002"])
    )
    assert found is not None
    assert found.holds
    assert found.late_s == 0.0
    # A place in the first view's middle, as it lies on the ground of the second.
    px, _ = cameras["c001"].project(np.array([[-45.0, 0.0, 0.0]]))
    there, _ = cameras["c002"].project(np.array([[15.0, 0.0, 0.0]]))
    here, ahead = (
        complex(*project(point, scales[name].ground_from_image(focal))[0])
        for point, name, focal in zip((px, there), cameras, found.focal, strict=True)
    )
    assert abs(ahead - (found.turn * here + found.shift)) == pytest.approx(
        60.0, rel=0.35
    )  # metres rest on a car's size
    # Fitted again, by those who met a while later, it is the same map.
    turn, shift = fit_again(found, ways["c001"], ways["c002"], (scales["c001"], scales["c002"]), found.focal)
    assert found.seen_late_s != 0.0
    assert abs(turn * here + shift - ahead) == pytest.approx(abs(found.turn * here + found.shift - ahead), abs=2.0)
    assert turn == pytest.approx(found.turn, abs=0.05)


def test_vehicles_that_nobody_described_weigh_as_strangers() -> None:
    rng = np.random.default_rng(6)
    first, second = rng.standard_normal((40, 8)), rng.standard_normal((30, 8))
    weight = alike(first, second)
    assert weight is not None
    assert weight.mean() == pytest.approx(NEGATIVE_PAIR_WEIGHT, abs=0.01)
    assert likeness(weight.ravel()) == pytest.approx(0, abs=0.5)
    blank = np.vstack([first, np.zeros(8)])
    assert (alike(blank, second)[-1] == NEGATIVE_PAIR_WEIGHT).all()  # type: ignore[index]
    assert alike(np.zeros((2, 8)), second) is None
    assert alike(np.zeros((2, 0)), np.zeros((3, 0))) is None


@pytest.mark.parametrize("ground", ["keep", "learn"])
def test_clock_offsets_and_drift(ground: str) -> None:
    wrong = traffic(WRONG)
    cameras = tuple(
        Camera(name, k, Clock(10.0), size_wh=SIZE, ground_from_image=c.ground_from_image())
        for k, (name, c) in enumerate(CAMERAS.items(), start=1)
    )
    learned = learn_scene(Scene("x", Path(), cameras), wrong, SiteConfig(ground=ground))
    fits = {fit.camera: fit for fit in learned.clocks}
    assert set(fits) == set(CAMERAS)
    base = next(fit.reference for fit in fits.values())
    for name, fit in fits.items():
        # What was put on at that moment, against the reference; to be taken off again.
        offset, rate = (WRONG[name][k] - WRONG[base][k] for k in range(2))
        assert fit.offset_s == pytest.approx(-(offset + rate * fit.middle_s), abs=0.12)
        assert fit.rate == pytest.approx(-rate, abs=0.0015)
    assert set(learned.applied) == set(CAMERAS) - {base}


def test_a_clock_that_no_registration_moved_is_held_harder() -> None:
    ways = sample_trajectories(
        traffic({"c001": (0.0, 0.0), "c002": (0.3, 0.0), "c003": (0.0, 0.0)}), dict.fromkeys(CAMERAS, SIZE)
    )
    ways = {name: ways[name] for name in ("c001", "c002")}
    scales = {name: s for name in ways if (s := fit_ground_scale(ways[name], SIZE)) is not None}
    found = register(ways["c001"], ways["c002"], (scales["c001"], scales["c002"]))
    assert found is not None
    behind = []
    for start_s in (0.0, 0.01):
        [(poses, _)] = build_pose_graph([replace(found, late_s=start_s)], ways, scales)
        behind.append(-bundle_adjust(poses, ways, scales)[0]["c002"].late_s)
    assert behind == pytest.approx([0.3, 0.3], abs=0.03)  # twenty vehicles outweigh either
    assert behind[0] < behind[1]


def test_calibrations_that_are_off_are_no_reason_to_set_a_clock() -> None:
    """Two metres: a quarter of a second for all who drive one way, and as much the other way for who returns."""
    ways = sample_trajectories(traffic(dict.fromkeys(CAMERAS, (0.0, 0.0)), flat=True), dict.fromkeys(CAMERAS, SIZE))
    ground = {name: camera.ground_from_image() for name, camera in CAMERAS.items()}
    ground["c002"] = np.array([[1.0, 0, 2.0], [0, 1, 0], [0, 0, 1]]) @ ground["c002"]
    fits, _ = fit_clocks(ways, ground)
    assert {fit.camera for fit in fits} == set(CAMERAS)
    for fit in fits:
        assert abs(fit.offset_s) < 0.01
        assert abs(fit.rate) < 0.0005


def test_right_clocks_are_left_alone(passages: list[Passage]) -> None:
    ways = sample_trajectories(passages, dict.fromkeys(CAMERAS, SIZE))
    fits, pairs = fit_clocks(ways, {name: c.ground_from_image() for name, c in CAMERAS.items()})
    assert len(pairs) == 3
    assert max(abs(fit.offset_s) for fit in fits) < 0.05
    assert max(abs(fit.rate) for fit in fits) < 0.0005


def test_looks_stay_with_their_ways_when_a_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short tracklet is a way or none, by where the clock's ticks fall; the looks of others must not move up."""
    faces = np.random.default_rng(5).normal(size=(200, 16)).astype(np.float32)
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    seen = [replace(p, embedding=faces[p.tracklet.track_id]) for p in traffic(WRONG)]
    here = [p for p in seen if p.tracklet.camera_id != "c003"]
    short = [_brief(p, k) for k, p in enumerate(p for p in here if p.tracklet.camera_id == "c002")]
    away = [
        replace(p, tracklet=replace(p.tracklet, camera_id="c004")) for p in seen if p.tracklet.camera_id == "c003"
    ]
    away = [replace(p, tracklet=replace(p.tracklet, time_s=p.tracklet.time_s + 40.0)) for p in away]
    cameras = tuple(Camera(f"c{k:03}", k, Clock(10.0), size_wh=SIZE) for k in (1, 2, 4))
    asked: dict[str, int] = {}

    def asks(planes: dict, alike: PairSimilarity, span_s: float) -> list:  # type: ignore[type-arg]
        gates = {camera: known[0] for ground in planes.values() for camera, known in ground.items()}
        for a, b in combinations(sorted(gates), 2):
            weight = alike(a, b)
            assert weight is not None
            assert weight.shape == (len(gates[a].time_s), len(gates[b].time_s))
        asked.update({camera: len(gate.time_s) for camera, gate in gates.items()})
        return []

    monkeypatch.setattr("mtmc.site.learn.align_planes", asks)
    passages = [*here, *short, *away]
    learned = learn_scene(Scene("x", Path(), cameras), passages)
    assert learned.applied
    assert set(asked) == {"c001", "c002", "c004"}
    before = sample_trajectories(passages, dict.fromkeys(asked, SIZE))
    assert {camera: len(mine) for camera, mine in before.items()} != asked


def _brief(whole: Passage, number: int) -> Passage:
    """Seven boxes of a tracklet from somewhere in its middle, as another one."""
    first = len(whole.tracklet) // 3 + number % 5
    return bare(replace(whole.tracklet[first : first + 7], track_id=100 + number), whole.embedding)
