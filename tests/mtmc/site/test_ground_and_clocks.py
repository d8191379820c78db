"""Ground and clocks learned from tracklets, against a world of which both are known."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from mtmc.geometry.clock import Clock
from mtmc.geometry.ground import project
from mtmc.geometry.similarity2d import as_complex
from mtmc.scene import Camera, Scene
from mtmc.site import clocks, common_ground
from mtmc.site.bundle_adjustment import bundle_adjust
from mtmc.site.camera_model import GroundScale, fit_ground_scale
from mtmc.site.clocks import PairClock, fit_clocks
from mtmc.site.common_ground import CommonGround, learn_common_grounds
from mtmc.site.config import SiteConfig
from mtmc.site.learn import learn_scene
from mtmc.site.pose_graph import PairSimilarity, attach_camera, build_pose_graph
from mtmc.site.registration import refit_similarity, register_cameras
from mtmc.site.similarity import NEGATIVE_PAIR_WEIGHT, centered_embeddings, similarity_rank_weights, similarity_zscore
from mtmc.site.trajectories import ImageTrajectory, image_trajectories
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


def fit_scales(trajectories: dict[str, list[ImageTrajectory]]) -> dict[str, GroundScale]:
    scales = {name: fit_ground_scale(ts, SIZE) for name, ts in trajectories.items()}
    return {name: scale for name, scale in scales.items() if scale is not None}


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
    trajectories = image_trajectories(passages, dict.fromkeys(CAMERAS, SIZE))
    for name, camera in CAMERAS.items():
        scale = fit_ground_scale(trajectories[name], SIZE)
        assert scale is not None
        # Rows of a tilted camera: the horizon lies focal · tan(tilt) above the middle.
        horizon = SIZE[1] / 2 - camera.focal_px * np.tan(camera.down)
        assert scale.horizon_px == pytest.approx(horizon, abs=45)
        assert scale.camera_height_m == pytest.approx(camera.eye[2], rel=0.25)
        assert scale.focal == pytest.approx(camera.focal_px / SIZE[0] / np.cos(camera.down), rel=0.4)


def check_one_ground(seen: list[Passage], scales: dict[str, GroundScale] | None, median_m: float) -> None:
    """The common ground that is learned, against the true one."""
    trajectories = image_trajectories(seen, dict.fromkeys(CAMERAS, SIZE))
    scales = scales or {
        name: s for name in trajectories if (s := fit_ground_scale(trajectories[name], SIZE)) is not None
    }
    ground_planes, _ = learn_common_grounds(trajectories, scales)
    assert set(ground_planes[0].ground_from_image) == set(CAMERAS)
    ours, truth = [], []
    for name, camera in CAMERAS.items():
        px = np.concatenate([w.ground_point_px[w.is_whole] for w in trajectories[name]])
        known = project(px, camera.ground_from_image())
        near = np.hypot(*known.T) < 35
        ours.append(project(px[near], ground_planes[0].ground_from_image[name]))
        truth.append(known[near])
    distance, size = aligned(np.concatenate(ours), np.concatenate(truth))
    assert np.median(distance) < median_m
    assert np.percentile(distance, 90) < 2.5
    assert size == pytest.approx(1.0, abs=0.35)  # meters assume cars of usual size
    assert max(abs(late) for late in ground_planes[0].clock_correction_s.values()) < 0.3


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
    trajectories = image_trajectories(mixed, {"c001": SIZE, "c002": SIZE})
    scales = fit_scales(trajectories)
    ground_planes, tried = learn_common_grounds(trajectories, scales)
    assert ground_planes == []
    assert all(r.confidence < 0.6 for r in tried)


def test_two_pairs_of_views_have_a_plane_each(passages: list[Passage]) -> None:
    """Another town of the same shape, at other times, without any connection to the first."""
    first_town = [p for p in passages if p.tracklet.camera_id != "c003"]
    names = {"c001": "c004", "c002": "c005"}
    second_town = [
        seen
        for number, (time_s, place) in enumerate(crossroads_traffic(40, seed=78), start=1)
        for name, other in names.items()
        if (seen := watch(CAMERAS[name], other, number, time_s, place)) is not None
    ]
    cameras = tuple(Camera(f"c{k:03}", k, Clock(10.0), size_wh=SIZE) for k in (1, 2, 4, 5))
    learned = learn_scene(Scene("x", Path(), cameras), [*first_town, *second_town])
    assert {c.id: c.ground_from_image is not None for c in learned.scene.cameras} == dict.fromkeys(
        ("c001", "c002", "c004", "c005"), True
    )
    plane = {c.id: c.ground_plane for c in learned.scene.cameras}
    assert plane["c001"] == plane["c002"] != plane["c004"] == plane["c005"]
    assert {p.cameras for p in learned.clocks.pairs} == {("c001", "c002"), ("c004", "c005")}
    assert {(f.from_camera, f.to_camera) for f in learned.links if f.evidence == "ground"} <= {
        pair for a, b in (("c001", "c002"), ("c004", "c005")) for pair in ((a, b), (b, a))
    }


@pytest.mark.parametrize(("same", "together"), [(True, True), (False, False)])
def test_embeddings_decide_whether_two_views_share_road(passages: list[Passage], same: bool, together: bool) -> None:
    """The same motion twice: vehicles with the same embedding in both views, or a random one."""
    rng = np.random.default_rng(5)
    vehicles = rng.standard_normal((99, 16))
    described = []
    for passage in passages:
        vehicle = vehicles[passage.tracklet.track_id] if same else rng.standard_normal(16)
        embedding = vehicle + 0.7 * rng.standard_normal(16) + 2.0  # the common part is removed by camera
        described.append(replace(passage, embedding=(embedding / np.linalg.norm(embedding)).astype(np.float32)))
    trajectories = image_trajectories(described, dict.fromkeys(CAMERAS, SIZE))
    scales = fit_scales(trajectories)
    embeddings = centered_embeddings({c: [t.embedding for t in ts] for c, ts in trajectories.items()})
    a, b = "c001", "c002"
    weight = similarity_rank_weights(embeddings[a], embeddings[b])
    found = register_cameras(trajectories[a], trajectories[b], (scales[a], scales[b]), similarity_weight=weight)
    assert found is not None
    assert found.is_valid is together
    if together:
        assert all(trajectories[a][i].track_id == trajectories[b][j].track_id for i, j in found.pairs)


@pytest.mark.parametrize(("same", "joins"), [(True, True), (False, False)])
def test_a_camera_is_attached_by_several_views_together(passages: list[Passage], same: bool, joins: bool) -> None:
    """Registrations that are not valid alone: inliers are similar in both other views, or in neither."""
    trajectories = image_trajectories(passages, dict.fromkeys(CAMERAS, SIZE))
    scales = fit_scales(trajectories)

    def weights(a: str, b: str) -> Array:
        one = np.array(
            [[first.track_id == second.track_id for second in trajectories[b]] for first in trajectories[a]]
        )
        return np.where(one & (same or "c003" not in (a, b)), 0.9, NEGATIVE_PAIR_WEIGHT)

    _, tried = learn_common_grounds(trajectories, scales, similarity=weights)
    doubtful = [replace(r, similarity_zscore=4.0) if "c003" in r.cameras else r for r in tried]
    ((poses, _),) = build_pose_graph(doubtful, trajectories, scales)
    assert sorted(poses) == ["c001", "c002"]
    found = attach_camera("c003", poses, doubtful, trajectories, scales, weights)
    assert (found is not None) is joins
    if found is None:
        return
    ours, truth = [], []
    for name, pose in {**poses, "c003": found[0]}.items():
        px = np.concatenate([w.ground_point_px[w.is_whole] for w in trajectories[name]])
        known = project(px, CAMERAS[name].ground_from_image())
        near = np.hypot(*known.T) < 25
        ours.append(project(px[near], pose.matrix(scales[name])))
        truth.append(known[near])
    distance, _ = aligned(np.concatenate(ours), np.concatenate(truth))
    assert np.median(distance) < 2.0  # not adjusted yet


def test_where_all_drive_in_one_direction_the_given_clock_is_kept() -> None:
    """Views along a street, the second where the first one ends: two seconds later, or 60 m farther on?"""
    rng = np.random.default_rng(9)
    cameras = {"c001": Pinhole((-75.0, -9.0, 8.0), 0.15, 0.3), "c002": Pinhole((-15.0, -9.0, 8.0), 0.15, 0.3)}
    seen = []
    for number in range(1, 31):
        time_s, place = drive(np.array([[-90.0, 0.0], [60.0, 0.0]]), 5.0 * number, 30.0)
        embedding = rng.standard_normal(16).astype(np.float32)
        embedding /= np.linalg.norm(embedding)
        for name, camera in cameras.items():
            if (one := watch(camera, name, number, time_s, place, embedding=embedding)) is not None:
                seen.append(one)
    trajectories = image_trajectories(seen, dict.fromkeys(cameras, SIZE))
    scales = fit_scales(trajectories)
    embeddings = centered_embeddings({c: [t.embedding for t in ts] for c, ts in trajectories.items()})
    weight = similarity_rank_weights(embeddings["c001"], embeddings["c002"])
    both_scales = scales["c001"], scales["c002"]
    found = register_cameras(trajectories["c001"], trajectories["c002"], both_scales, similarity_weight=weight)
    assert found is not None
    assert found.is_valid
    assert found.clock_b_minus_a_s == 0.0
    # A place in the first view's middle, as it lies on the ground of the second.
    px, _ = cameras["c001"].project(np.array([[-45.0, 0.0, 0.0]]))
    target_px, _ = cameras["c002"].project(np.array([[15.0, 0.0, 0.0]]))
    position, target = (
        as_complex(project(point, scales[name].ground_from_image(focal)))
        for point, name, focal in zip((px, target_px), cameras, found.focal, strict=True)
    )
    # Meters assume a car of usual size.
    assert abs(target - found.similarity.apply(position)) == pytest.approx(60.0, rel=0.35)
    # The refit to the same focal lengths uses the offset at which the inliers were found, and is the same transform.
    again = refit_similarity(found, trajectories["c001"], trajectories["c002"], both_scales, found.focal)
    assert found.searched_b_minus_a_s != 0.0
    assert abs(again.apply(position) - found.similarity.apply(position)) < 2.0
    assert again.rotation_scale == pytest.approx(found.similarity.rotation_scale, abs=0.05)


def test_vehicles_without_embedding_weigh_as_non_matching_pairs() -> None:
    rng = np.random.default_rng(6)
    first, second = rng.standard_normal((40, 8)), rng.standard_normal((30, 8))
    weight = similarity_rank_weights(first, second)
    assert weight is not None
    assert weight.mean() == pytest.approx(NEGATIVE_PAIR_WEIGHT, abs=0.01)
    assert similarity_zscore(weight.ravel()) == pytest.approx(0, abs=0.5)
    blank = np.vstack([first, np.zeros(8)])
    assert (similarity_rank_weights(blank, second)[-1] == NEGATIVE_PAIR_WEIGHT).all()  # type: ignore[index]
    assert similarity_rank_weights(np.zeros((2, 8)), second) is None
    assert similarity_rank_weights(np.zeros((2, 0)), np.zeros((3, 0))) is None


@pytest.mark.parametrize("ground", ["keep", "learn"])
def test_clock_offsets_and_drift(ground: str) -> None:
    wrong = traffic(WRONG)
    cameras = tuple(
        Camera(name, k, Clock(10.0), size_wh=SIZE, ground_from_image=c.ground_from_image())
        for k, (name, c) in enumerate(CAMERAS.items(), start=1)
    )
    learned = learn_scene(Scene("x", Path(), cameras), wrong, SiteConfig(ground=ground))
    fits = {fit.camera: fit for fit in learned.clocks.fits}
    assert set(fits) == set(CAMERAS)
    base = next(fit.reference for fit in fits.values())
    for name, fit in fits.items():
        # What was put on at that moment, against the reference; to be taken off again.
        offset, rate = (WRONG[name][k] - WRONG[base][k] for k in range(2))
        assert fit.offset_s == pytest.approx(-(offset + rate * fit.middle_s), abs=0.12)
        assert fit.drift == pytest.approx(-rate, abs=0.0015)
    assert set(learned.clocks.updated) == set(CAMERAS) - {base}


def test_a_clock_that_registration_kept_has_the_stronger_prior() -> None:
    trajectories = image_trajectories(
        traffic({"c001": (0.0, 0.0), "c002": (0.3, 0.0), "c003": (0.0, 0.0)}), dict.fromkeys(CAMERAS, SIZE)
    )
    trajectories = {name: trajectories[name] for name in ("c001", "c002")}
    scales = fit_scales(trajectories)
    found = register_cameras(trajectories["c001"], trajectories["c002"], (scales["c001"], scales["c002"]))
    assert found is not None
    behind = []
    for start_s in (0.0, 0.01):
        [(poses, _)] = build_pose_graph([replace(found, clock_b_minus_a_s=start_s)], trajectories, scales)
        behind.append(-bundle_adjust(poses, trajectories, scales)[0]["c002"].clock_correction_s)
    assert behind == pytest.approx([0.3, 0.3], abs=0.03)  # twenty vehicles outweigh either
    assert behind[0] < behind[1]


def test_calibration_errors_do_not_change_a_clock() -> None:
    """Two meters: a quarter of a second in one direction of travel, and as much with the other sign in the other."""
    trajectories = image_trajectories(
        traffic(dict.fromkeys(CAMERAS, (0.0, 0.0)), flat=True), dict.fromkeys(CAMERAS, SIZE)
    )
    ground = {name: camera.ground_from_image() for name, camera in CAMERAS.items()}
    ground["c002"] = np.array([[1.0, 0, 2.0], [0, 1, 0], [0, 0, 1]]) @ ground["c002"]
    fits, _ = fit_clocks(trajectories, ground)
    assert {fit.camera for fit in fits} == set(CAMERAS)
    for fit in fits:
        assert abs(fit.offset_s) < 0.01
        assert abs(fit.drift) < 0.0005


def test_correct_clocks_are_kept(passages: list[Passage]) -> None:
    trajectories = image_trajectories(passages, dict.fromkeys(CAMERAS, SIZE))
    fits, pairs = fit_clocks(trajectories, {name: c.ground_from_image() for name, c in CAMERAS.items()})
    assert len(pairs) == 3
    assert max(abs(fit.offset_s) for fit in fits) < 0.05
    assert max(abs(fit.drift) for fit in fits) < 0.0005


def test_similarity_follows_the_trajectories_when_a_clock_is_corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short tracklet has a trajectory or none, by its ticks; the embeddings of others must not move up."""
    embeddings = np.random.default_rng(5).normal(size=(200, 16)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    seen = [replace(p, embedding=embeddings[p.tracklet.track_id]) for p in traffic(WRONG)]
    here = [p for p in seen if p.tracklet.camera_id != "c003"]
    short = [_brief(p, k) for k, p in enumerate(p for p in here if p.tracklet.camera_id == "c002")]
    away = [
        replace(p, tracklet=replace(p.tracklet, camera_id="c004")) for p in seen if p.tracklet.camera_id == "c003"
    ]
    away = [replace(p, tracklet=replace(p.tracklet, time_s=p.tracklet.time_s + 40.0)) for p in away]
    cameras = tuple(Camera(f"c{k:03}", k, Clock(10.0), size_wh=SIZE) for k in (1, 2, 4))
    counts: dict[str, int] = {}

    def check_shapes(planes: dict, similarity: PairSimilarity, span_s: float, _: float) -> list:  # type: ignore[type-arg]
        gates = {camera: known[0] for ground in planes.values() for camera, known in ground.items()}
        for a, b in combinations(sorted(gates), 2):
            weight = similarity(a, b)
            assert weight is not None
            assert weight.shape == (len(gates[a].time_s), len(gates[b].time_s))
        counts.update({camera: len(gate.time_s) for camera, gate in gates.items()})
        return []

    monkeypatch.setattr("mtmc.site.learn.align_planes", check_shapes)
    passages = [*here, *short, *away]
    learned = learn_scene(Scene("x", Path(), cameras), passages)
    assert learned.clocks.updated
    assert set(counts) == {"c001", "c002", "c004"}
    before = image_trajectories(passages, dict.fromkeys(counts, SIZE))
    assert {camera: len(mine) for camera, mine in before.items()} != counts


def _brief(whole: Passage, number: int) -> Passage:
    """Seven boxes of a tracklet from somewhere in its middle, as another one."""
    first = len(whole.tracklet) // 3 + number % 5
    return bare(replace(whole.tracklet[first : first + 7], track_id=100 + number), whole.embedding)


def test_every_group_of_cameras_has_clocks_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clock b is 2 s ahead of a, d 1 s behind c; nothing connects the two pairs."""
    ahead_s = {("a", "b"): 2.0, ("c", "d"): -1.0}
    known = {pair: PairClock(pair, s, 0.1, 0.0, 0.001, 50.0, 10, 0.1) for pair, s in ahead_s.items()}
    monkeypatch.setattr(clocks, "fit_pair_clock", lambda cameras, *_: known.get(cameras))
    fits, pairs = fit_clocks(dict.fromkeys("abcd", ()), dict.fromkeys("abcd", np.eye(3)))
    assert pairs == list(known.values())
    assert [fit.camera for fit in fits] == ["a", "b", "c", "d"]
    assert [fit.reference for fit in fits] == ["a", "a", "c", "c"]
    assert [fit.offset_s for fit in fits] == pytest.approx([0.0, -2.0, 0.0, 1.0])


def test_the_ground_plane_of_most_cameras_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    planes = [CommonGround({}, {}, dict.fromkeys(cameras, 5), 0.5, {}, ()) for cameras in ("cd", "bg", "aef")]
    monkeypatch.setattr(common_ground, "_join", lambda *_: planes.copy())
    found, _ = learn_common_grounds({}, {})
    assert ["".join(sorted(plane.co_observed)) for plane in found] == ["aef", "bg", "cd"]
