"""Wrong and missing links: found in a world worked out by hand, with the reasons association gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.config import GraphConfig
from mtmc.associate.graph import candidate_graph
from mtmc.diagnose.case import Case
from mtmc.diagnose.faults import find_faults
from mtmc.diagnose.reasons import Opinion, judge_of
from mtmc.formats.table import Table
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Link, Scene
from mtmc.types import Passage
from tests.builders import tracklet
from tests.mtmc.diagnose.worlds import hand_case, hand_lost, run_of


@dataclass(frozen=True)
class Always:
    """A judge of one mind."""

    opinion: Opinion
    unit: str = "points, 1 is enough"

    def ask(self, a: Passage, b: Passage) -> Opinion:
        return self.opinion


LATE = Always(Opinion("time gate", float("nan"), False, "place and time"))
ALIKE = Always(Opinion("", 3.0, True, "appearance"))
UNLIKE = Always(Opinion("", 0.25, False, "appearance"))


def found(case: Case, judge: Always, tmp_path: Path) -> list[tuple[str, str, str, str, int]]:
    faults = find_faults(run_of(case, tmp_path), case, hand_lost(case), judge)
    return [(f.kind, f.reason, f.first.name, "" if f.second is None else f.second.name, f.boxes) for f in faults]


def test_the_faults_of_the_hand_made_world(tmp_path: Path) -> None:
    expected = [
        ("missed merge", "c002/3", "c001/2", 6),  # vehicle 2: 7 boxes in camera 1 under identity 2, 6 here under 4
        ("split", "c002/2", "c002/1", 4),  # vehicle 1: the fragment
        ("mixed tracklet", "c001/2", "c001", 3),
        ("mixed tracklet", "c001/3", "c001", 3),
    ]
    case = hand_case()
    for judge, reason in ((LATE, "time gate"), (UNLIKE, "appearance"), (ALIKE, "rivals")):
        reasons = [reason, reason, "tracking", "tracking"]
        assert found(case, judge, tmp_path) == [
            (kind, why, *rest) for (kind, *rest), why in zip(expected, reasons, strict=True)
        ]


def test_sentences_name_what_a_tracklet_also_shows(tmp_path: Path) -> None:
    case = hand_case()
    texts = [fault.text for fault in find_faults(run_of(case, tmp_path), case, hand_lost(case), UNLIKE)]
    assert texts[0] == (
        "c002/3 and c001/2 show vehicle 2 and are two; 0.25 (points, 1 is enough); "
        "c001/2 also shows 3 boxes of vehicle 3"
    )
    assert texts[2] == "c001/2 shows vehicle 2 in 7 boxes and vehicle 3 in 3"


def test_what_could_not_count_is_no_fault(tmp_path: Path) -> None:
    case = hand_case()
    written = case.written[~((case.written.camera == 1) & (case.written.track_id == 3))]  # vehicle 3 untracked
    lost = np.full(len(case.truth), "tracking", dtype="<U20")
    for protocol, expected in (("aicity", []), ("plain", [3])):
        other = Case.of(case.truth, written, Table.empty(), {}, protocol)
        faults = find_faults(run_of(other, tmp_path), other, lost, LATE)
        assert [f.first.vehicle for f in faults if f.kind == "missing tracklet"] == expected


def test_a_vehicle_under_another_s_identity_is_a_false_merge(tmp_path: Path) -> None:
    case = hand_case()
    # vehicle 2 of camera 2 under identity 1, whose main vehicle is 1: once wrongly joined, once not joined
    wrong = case.written.with_columns(id=np.where(case.written.id == 4, 1, case.written.id))
    case = Case.of(case.truth, wrong, Table.empty(), {}, "aicity")
    kinds = {
        (kind, reason, first, second, boxes) for kind, reason, first, second, boxes in found(case, ALIKE, tmp_path)
    }
    assert ("false merge", "appearance", "c002/3", "c001/1", 6) in kinds
    assert ("missed merge", "rivals", "c002/3", "c001/2", 6) in kinds
    unlike = {(kind, reason) for kind, reason, *_ in found(case, UNLIKE, tmp_path)}
    assert ("false merge", "through a third") in unlike


def test_a_vehicle_without_a_tracklet_is_missing_for_the_reason_it_was_lost(tmp_path: Path) -> None:
    case = hand_case()
    written = case.written[~((case.written.camera == 2) & (case.written.track_id == 3))]
    case = Case.of(case.truth, written, Table.empty(), {}, "aicity")
    lost = np.full(len(case.truth), "tracking", dtype="<U20")
    [fault] = [f for f in find_faults(run_of(case, tmp_path), case, lost, LATE) if f.kind == "missing tracklet"]
    assert (fault.reason, fault.boxes, fault.first.vehicle, fault.first.camera_id) == ("tracking", 10, 2, "c002")
    assert fault.second is not None
    assert fault.second.name == "c001/2"  # where it shows in most boxes
    assert fault.first.time_s.tolist() == pytest.approx([f / 10 for f in range(10)])


def seen(
    camera: str,
    track: int,
    *,
    start_s: float = 0.0,
    look: tuple[float, float] = (1.0, 0.0),
    at_m: tuple[float, float] | None = None,
    entry: str = "",
    exit: str = "",
) -> Passage:
    """Ten boxes within a second; on the ground it drives 1 m per box to the east, from ``at_m``."""
    own = tracklet(camera, track, start_s=start_s)
    ground = np.full((10, 2), np.nan)
    if at_m is not None:
        ground = np.array(at_m) + np.arange(10)[:, None] * np.array([1.0, 0.0])
    vector = np.array(look, np.float32)
    return Passage(own, vector / np.float32(np.linalg.norm(vector)), entry, exit, ground)


def place(*links: Link) -> Scene:
    return Scene("place", Path(), tuple(Camera(f"c00{n}", n, Clock(10.0)) for n in (1, 2, 3)), links)


LINK = Link("c001", "out", "c002", "in", 2.0, 8.0)
HIERARCHICAL = AssociateConfig(method="hierarchical", min_similarity=0.5)

# (what differs of the second passage, the scene, the gate or "", whether it is enough); the first is c001/1, seen
# from 0 s to 0.9 s
GATES = {
    "alike": ({}, place(), "", True),
    "unlike": ({"look": (0.0, 1.0)}, place(), "", False),
    "too late": ({"start_s": 130.0}, place(), "time gate", False),
    "same camera": ({"camera": "c001", "start_s": 5.0}, place(), "same camera", False),
    "far away": ({"at_m": (30.0, 0.0)}, place(), "ground gate", False),
    "along the link": ({"start_s": 5.0, "entry": "in"}, place(LINK), "", True),
    "too late for the link": ({"start_s": 20.0, "entry": "in"}, place(LINK), "time gate", False),
    "by another zone": ({"start_s": 5.0, "entry": "side"}, place(LINK), "link gate", False),
    "no link there": ({"camera": "c003", "start_s": 5.0}, place(LINK), "link gate", False),
}


@pytest.mark.parametrize("name", GATES)
def test_gates_and_similarity_of_methods_with_a_threshold(name: str) -> None:
    change, scene, gate, enough = GATES[name]
    a = seen("c001", 1, exit="out", at_m=(0.0, 0.0))
    b = seen(str(change.pop("camera", "c002")) if "camera" in change else "c002", 2, **change)  # type: ignore[arg-type]
    judge = judge_of([b, a], scene, HIERARCHICAL)
    opinion = judge.ask(a, b)
    assert (opinion.gate, opinion.enough) == (gate, enough)
    assert judge.ask(b, a) == opinion or np.isnan(opinion.value)
    assert judge.unit == "similarity, 0.50 is enough"
    # the judge and the method itself are of one mind
    assert (len(associate([a, b], scene, HIERARCHICAL)) == 1) == (enough and not gate)


def crossing() -> list[Passage]:
    """Six vehicles of two overlapping cameras, 40 m apart from each other, with looks of their own."""
    angle = np.arange(6) / 6 * np.pi
    looks = [(float(np.cos(t)), float(np.sin(t))) for t in angle]
    return [
        seen(camera, k + 1, start_s=shift, look=looks[k], at_m=(40.0 * k + offset, 0.0))
        for camera, shift, offset in (("c001", 0.0, 0.0), ("c002", 0.5, 5.3))
        for k in range(6)
    ]


def test_the_graph_is_asked_for_its_own_odds() -> None:
    passages = crossing()
    config = AssociateConfig(min_similarity=0.5)
    judge = judge_of(passages, place(), config)
    ordered = sorted(passages, key=lambda p: (p.tracklet.camera_id, p.tracklet.track_id))
    found, _ = candidate_graph(ordered, place(), config)
    assert len(found.pairs) >= 6
    for (i, j), odds in zip(found.pairs.tolist(), found.log_odds.tolist(), strict=True):
        opinion = judge.ask(ordered[j], ordered[i])
        assert (opinion.gate, opinion.value, opinion.enough) == ("", odds, odds > 0)
    same = judge.ask(passages[0], passages[6])
    assert same.enough
    assert judge.unit == "log odds, above 0 is enough"


def test_the_graph_tells_which_gate_is_shut() -> None:
    passages = [*crossing(), seen("c003", 1, start_s=60.0), seen("c003", 2, start_s=400.0)]
    judge = judge_of(passages, place(), AssociateConfig())
    assert judge.ask(passages[0], passages[1]).gate == "same camera"
    assert judge.ask(passages[0], passages[9]).gate == "ground gate"  # 120 m away at the same moment
    assert judge.ask(passages[0], passages[-1]).gate == "time gate"


def test_looks_or_place_whichever_decides() -> None:
    near = crossing()
    judge = judge_of(near, place(), AssociateConfig(min_similarity=0.5))
    assert judge.ask(near[0], near[6]).cue == "place and time"
    # 24 vehicles of which nothing but looks is known, none like another
    strangers = [
        replace(seen(camera, k + 1), embedding=np.eye(24, dtype=np.float32)[k])
        for camera in ("c001", "c002")
        for k in range(24)
    ]
    sure = GraphConfig(appearance_outlier_rate=0.001)
    judge = judge_of(strangers, place(), AssociateConfig(min_similarity=0.5, graph=sure))
    other, same = judge.ask(strangers[0], strangers[25]), judge.ask(strangers[0], strangers[24])
    assert (other.enough, other.gate, other.cue) == (False, "", "appearance")
    assert (same.enough, same.gate, same.cue) == (True, "", "appearance")
