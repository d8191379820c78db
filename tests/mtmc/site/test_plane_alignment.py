"""Ground planes aligned by transitions, against a street of which everything is known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, PlaneAlignment, Scene, load_scenes, write_scene
from mtmc.site import plane_alignment
from mtmc.site.camera_model import fit_ground_scale
from mtmc.site.learn import learn_scene
from mtmc.site.plane_alignment import (
    Endpoints,
    PlaneAlignmentEstimate,
    TransitionSet,
    _PlanePair,
    _rooted,
    align_planes,
    trajectory_endpoints,
)
from mtmc.site.report import report
from mtmc.site.trajectories import image_trajectories
from mtmc.types import Array, Passage
from tests.mtmc.site.world import SIZE, Pinhole, drive, watch

#: Two stretches of a street, 200 m apart, the second seen from its far end.
CAMERAS = {
    "c001": Pinhole((-30.0, -9.0, 8.0), 0.35, 0.3),
    "c002": Pinhole((230.0, -9.0, 8.0), np.pi - 0.35, 0.3),
}


def street(seed: int, *, same: bool = True) -> list[Passage]:
    """Forty vehicles, half in either direction; the second camera may see others, at other times."""
    rng = np.random.default_rng(seed)
    out = []
    for number in range(1, 41):
        east = number % 2 == 0
        line = np.array([[-60.0, -1.8], [260.0, -1.8]] if east else [[260.0, 1.8], [-60.0, 1.8]])
        start, speed = float(rng.uniform(0, 150)), float(rng.uniform(9, 14))
        embedding = rng.standard_normal(16)
        for name, camera in CAMERAS.items():
            if name == "c002" and not same:
                start, embedding = float(rng.uniform(0, 150)), rng.standard_normal(16)
            seen = embedding + 0.8 * rng.standard_normal(16)
            time_s, place = drive(line, start, speed)
            one = watch(
                camera, name, number, np.round(time_s, 1), place, embedding=(seen / np.linalg.norm(seen)).astype("f4")
            )
            if one is not None:
                out.append(one)
    return out


def scene() -> Scene:
    return Scene("street", Path(), tuple(Camera(c, k, Clock(10.0), size_wh=SIZE) for k, c in enumerate(CAMERAS, 1)))


def test_views_of_one_street_are_aligned_by_the_vehicles_that_both_see() -> None:
    learned = learn_scene(scene(), street(1))
    assert {c.ground_plane for c in learned.scene.cameras} == {"c001", "c002"}
    [found] = learned.alignments
    assert found.confidence > 0.99
    # The middles of what both cameras see are some 165 m apart; meters assume a car of usual size and a usual lens.
    assert found.distance_m == pytest.approx(165.0, rel=0.35)
    # A step east is a step into the picture for the first camera, out of it for the second.
    layout = learned.scene.plane_transforms()
    east = []
    for name, camera in CAMERAS.items():
        matrix = learned.scene.camera(name).ground_from_image
        assert matrix is not None
        west = -10.0 if name == "c001" else 210.0
        px, _ = camera.project(np.array([[west, 0.0, 0.0], [west + 5.0, 0.0, 0.0]]))
        homogeneous = np.concatenate([px, np.ones((2, 1))], axis=1) @ matrix.T
        ground = homogeneous[:, 0] / homogeneous[:, 2] + 1j * homogeneous[:, 1] / homogeneous[:, 2]
        _, turn, _ = layout[learned.scene.camera(name).ground_plane]
        east.append(turn * (ground[1] - ground[0]))
    assert abs(np.angle(east[1] / east[0])) < np.deg2rad(45)
    assert "c002 is connected with c001 by transitions, confidence" in report(learned)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_independent_traffic_gives_no_evidence(seed: int) -> None:
    """Vehicles and times are independent, but both streets are straight."""
    learned = learn_scene(scene(), street(seed, same=False))
    assert learned.alignments == ()


def test_the_order_of_passages_does_not_matter() -> None:
    passages = street(1)
    one, other = learn_scene(scene(), passages), learn_scene(scene(), passages[::-1])
    assert one.alignments == other.alignments
    given = learn_scene(one.scene, passages)  # a given alignment is kept
    assert given.alignments == ()
    assert given.scene.plane_alignments == one.scene.plane_alignments


def test_log_likelihood_ratio_against_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pair of cameras, vehicle by vehicle and share by share."""
    passages = street(3)
    trajectories = image_trajectories(passages, dict.fromkeys(CAMERAS, SIZE))
    gates = {}
    for name in CAMERAS:
        scale = fit_ground_scale(trajectories[name], SIZE)
        assert scale is not None
        gates[name] = trajectory_endpoints(trajectories[name], scale.is_near, scale.ground_from_image())
    leaving, coming = gates["c001"][1], gates["c002"][0]
    rng = np.random.default_rng(0)
    ratio = rng.uniform(0, 5, (len(leaving.time_s), len(coming.time_s)))
    turn, shift = np.exp(1j * np.array([0.3, 3.0])), np.array([60 + 20j, 10 + 120j])
    found = TransitionSet.between(leaving, coming, ratio, 150.0).log_likelihood_ratio(turn, shift)
    for k in range(2):
        assert found[k] == pytest.approx(naive(leaving, coming, ratio, turn[k], shift[k]), rel=1e-6)
    # In dense traffic only the first leaving vehicles are used.
    order = np.argsort(leaving.time_s, kind="stable")
    few = Endpoints(*(np.where(np.isin(np.arange(len(order)), order[:12]), v, np.nan) for v in (
        leaving.position, leaving.velocity, leaving.time_s)))  # fmt: skip
    some = sum(np.isfinite(coming.time_s) & (np.abs(coming.time_s - leaving.time_s[i]) <= 40) for i in order[:12])
    monkeypatch.setattr(plane_alignment, "_MAX_PAIRS", int(some.sum()))
    found = TransitionSet.between(leaving, coming, ratio, 150.0).log_likelihood_ratio(turn, shift)
    assert found == pytest.approx(TransitionSet.between(few, coming, ratio, 150.0).log_likelihood_ratio(turn, shift))


def test_transitions_count_in_both_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their ratio is a multiple of the translation's real part; those that lead back see the inverse transform."""

    def transitions(factor: float) -> Any:
        return SimpleNamespace(log_likelihood_ratio=lambda rotation, translation: factor * translation.real)

    pair = _PlanePair((transitions(1.0), transitions(10.0)), (transitions(100.0),), 3 + 0j, 2j)
    monkeypatch.setattr(plane_alignment, "_TRANSFORMS_PER_BATCH", 1)
    found = pair.log_likelihood_ratio(np.array([0.0, np.pi / 2]), np.array([1.0, 1j]))
    # The translations are 3 + 1 − 2i = 4 − 2i and 3 + i − i·2i = 5 + i, those of the inverses −4 + 2i and −1 + 5i.
    assert found.tolist() == pytest.approx([11 * 4 - 100 * 4, 11 * 5 - 100 * 1])


def naive(leaving, coming, ratio: Array, turn: complex, shift: complex) -> float:  # type: ignore[no-untyped-def]
    def angle(v: complex, w: complex) -> float:
        return float(np.exp(3 * ((v * np.conj(w)).real / (abs(v) * abs(w)) - 1)))

    def moving(gates) -> list[int]:  # type: ignore[no-untyped-def]
        return [k for k in range(len(gates.time_s)) if np.isfinite(gates.time_s[k]) and abs(gates.velocity[k]) > 2]

    out, into = moving(leaving), moving(coming)
    heads, comes, density = {}, {}, {}
    for i in out:
        for j in into:
            step = turn * coming.position[j] + shift - leaving.position[i]
            heads[i, j] = angle(leaving.velocity[i], step)
            comes[i, j] = angle(turn * coming.velocity[j], step)
            gap = coming.time_s[j] - leaving.time_s[i]
            mps = max((abs(leaving.velocity[i]) + abs(coming.velocity[j])) / 2, 4.0)
            usual = (abs(step) + 4) / mps + 0.5
            density[i, j] = 0.0
            if 0.5 <= gap <= 40:
                straight = np.exp(-((np.log(gap / usual) / 0.2) ** 2) / 2) / (gap * 0.2 * np.sqrt(2 * np.pi))
                waits = np.exp(-(gap - usual) / 10) / 10 if gap > usual else 0.0
                density[i, j] = (0.75 * straight + 0.25 * waits) * ratio[i, j] * 80.0
    aims, leavers, hails, comers = {}, {}, {}, {}
    for i in out:
        around = [j for j in into if abs(coming.time_s[j] - leaving.time_s[i]) <= 40]
        total = sum(comes[i, j] for j in around)
        aims[i] = sum(comes[i, j] * heads[i, j] for j in around) / total
        leavers[i] = sum(comes[i, j] * density[i, j] for j in around) / max(total, 1)
    for j in into:
        around = [i for i in out if abs(coming.time_s[j] - leaving.time_s[i]) <= 40]
        total = sum(heads[i, j] for i in around)
        hails[j] = sum(comes[i, j] * heads[i, j] for i in around) / total
        comers[j] = sum(heads[i, j] * density[i, j] for i in around) / max(total, 1)
    values = []
    for share in (0.1, 0.3, 0.6, 0.9):
        back = min(share * max(sum(aims.values()), 1) / max(sum(hails.values()), 1), 0.95)
        values.append(
            min(
                sum(np.log(1 - share * aims[i] + share * aims[i] * leavers[i]) for i in out),
                sum(np.log(1 - back * hails[j] + back * hails[j] * comers[j]) for j in into),
            )
        )
    return float(np.log(np.mean(np.exp(values))))


def test_every_plane_is_aligned_once_and_an_inverted_alignment_leads_back() -> None:
    edges = [
        PlaneAlignmentEstimate(PlaneAlignment("b", "a", 30.0, (10.0, 5.0)), 11.0, 3.0),
        PlaneAlignmentEstimate(PlaneAlignment("b", "c", 90.0, (0.0, 20.0)), 20.0, 2.0),
    ]
    plane_alignments = [found.alignment for found in _rooted(edges)]
    assert plane_alignments == [
        PlaneAlignment("b", "a", 30.0, (10.0, 5.0)),
        PlaneAlignment("c", "b", -90.0, (-20.0, 0.0)),
    ]
    there = np.exp(1j * np.pi / 2) * (3 + 4j) + 20j  # a place on b, seen on c
    assert np.exp(-1j * np.pi / 2) * there + complex(-20, 0) == pytest.approx(3 + 4j)


@pytest.mark.parametrize(
    ("planes", "by_chance", "is_written"), [(2, 1e-3, True), (3, 1e-3, True), (4, 1e-3, False), (2, 20.0, False)]
)
def test_the_more_planes_and_the_better_a_control_the_less_likely_two_planes_are_connected(
    planes: int, by_chance: float, is_written: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A likelihood ratio of 20 is a probability of 0.95 with two planes, 0.91 with three, 0.87 with four.

    Where traffic in reversed order of time has the same likelihood ratio, it is no evidence.
    """
    names = "abcd"[:planes]
    nothing = np.zeros(1), np.zeros(1)
    pair = _PlanePair((), (), 0j, 50 + 0j)
    ratios = {("a", "b"): 20.0, ("a", "b reversed"): by_chance}
    asked: list[tuple[str, str]] = []

    def pair_of(reference: str, plane: str, similarity: object, span_s: float) -> _PlanePair:
        asked.append((reference, plane))
        return pair

    def ratio_of(self: _PlanePair, rotation_rad: Array, offset: Array) -> Array:
        return np.full(len(rotation_rad), np.log(ratios.get(asked[-1], 1e-3)))

    monkeypatch.setattr(plane_alignment, "_plane_pair", pair_of)
    monkeypatch.setattr(_PlanePair, "log_likelihood_ratio", ratio_of)
    monkeypatch.setattr(plane_alignment, "_mirrored", lambda plane, part: f"{plane} reversed")
    monkeypatch.setattr(plane_alignment, "_grid", lambda: nothing)
    found = align_planes({name: name for name in names}, lambda a, b: None, 60.0)  # type: ignore[misc]
    assert [(e.alignment.reference_plane, e.alignment.plane) for e in found] == ([("a", "b")] if is_written else [])
    assert all(e.confidence == pytest.approx(1 / (1 + (planes - 1) / 20)) for e in found)


def test_no_planes() -> None:
    assert align_planes({}, lambda a, b: None, 60.0) == []


def test_written_and_loaded(tmp_path: Path) -> None:
    (tmp_path / "c001_det.txt").write_text("")
    (tmp_path / "c002_det.txt").write_text("")
    learned = learn_scene(scene(), street(1)).scene
    text = "cameras: [{id: c001, detections: [c001_det.txt]}, {id: c002, detections: [c002_det.txt]}]"
    (tmp_path / "scene.yaml").write_text(text)
    [bare] = load_scenes(tmp_path)
    cameras = tuple(
        type(c)(
            **{
                **{name: getattr(c, name) for name in c.__slots__},
                "ground_from_image": learned.camera(c.id).ground_from_image,
                "ground_plane": learned.camera(c.id).ground_plane,
            }
        )
        for c in bare.cameras
    )
    write_scene(
        Scene("street", tmp_path, cameras, plane_alignments=learned.plane_alignments), tmp_path / "scene.yaml"
    )
    [again] = load_scenes(tmp_path)
    assert again.plane_alignments == learned.plane_alignments
    assert again.plane_transforms() == learned.plane_transforms()
