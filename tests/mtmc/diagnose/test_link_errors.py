"""Wrong and missing links of a hand-made run, with the reasons that association gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from mtmc.associate import AssociateConfig, associate
from mtmc.associate.config import GraphConfig
from mtmc.associate.graph import candidate_graph
from mtmc.diagnose.link_errors import find_link_errors
from mtmc.diagnose.link_evidence import LinkEvidence, link_explainer
from mtmc.diagnose.matched_run import MatchedRun
from mtmc.formats.table import Table
from mtmc.geometry.clock import Clock
from mtmc.scene import Camera, Link, Scene
from mtmc.types import Passage
from tests.builders import tracklet
from tests.mtmc.diagnose.worlds import hand_made_losses, hand_made_run, run_of


@dataclass(frozen=True)
class Always:
    """An explainer with the same evidence for every pair."""

    evidence: LinkEvidence
    unit: str = "points, 1 is enough"

    def explain(self, a: Passage, b: Passage) -> LinkEvidence:
        return self.evidence


LATE = Always(LinkEvidence("time gate", float("nan"), False, "place and time"))
ACCEPTED = Always(LinkEvidence("", 3.0, True, "appearance"))
REJECTED = Always(LinkEvidence("", 0.25, False, "appearance"))


def found(matched: MatchedRun, explainer: Always, tmp_path: Path) -> list[tuple[str, str, str, str, int]]:
    losses = hand_made_losses(matched)
    link_errors = find_link_errors(run_of(matched, tmp_path), matched, losses, explainer)
    return [(f.kind, f.reason, f.first.name, "" if f.second is None else f.second.name, f.boxes) for f in link_errors]


def test_the_errors_of_the_hand_made_run(tmp_path: Path) -> None:
    expected = [
        ("missed merge", "c002/3", "c001/2", 6),  # vehicle 2: 7 boxes in camera 1 under identity 2, 6 here under 4
        ("split", "c002/2", "c002/1", 4),  # vehicle 1: the fragment
        ("mixed tracklet", "c001/2", "c001", 3),
        ("mixed tracklet", "c001/3", "c001", 3),
    ]
    matched = hand_made_run()
    for explainer, reason in ((LATE, "time gate"), (REJECTED, "appearance"), (ACCEPTED, "rivals")):
        reasons = [reason, reason, "tracking", "tracking"]
        assert found(matched, explainer, tmp_path) == [
            (kind, why, *rest) for (kind, *rest), why in zip(expected, reasons, strict=True)
        ]


def test_sentences_name_what_a_tracklet_also_shows(tmp_path: Path) -> None:
    matched = hand_made_run()
    texts = [
        error.text
        for error in find_link_errors(run_of(matched, tmp_path), matched, hand_made_losses(matched), REJECTED)
    ]
    assert texts[0] == (
        "c002/3 and c001/2 show vehicle 2 and are two identities; 0.25 (points, 1 is enough); "
        "c001/2 also shows 3 boxes of vehicle 3"
    )
    assert texts[2] == "c001/2 shows vehicle 2 in 7 boxes and vehicle 3 in 3"


def test_vehicles_that_the_protocol_ignores_are_no_errors(tmp_path: Path) -> None:
    matched = hand_made_run()
    written = matched.written[
        ~((matched.written.camera == 1) & (matched.written.track_id == 3))
    ]  # vehicle 3 untracked
    lost = np.full(len(matched.truth), "tracking", dtype="<U20")
    for protocol, expected in (("aicity", []), ("plain", [3])):
        other = MatchedRun.of(matched.truth, written, Table.empty(), {}, protocol)
        link_errors = find_link_errors(run_of(other, tmp_path), other, lost, LATE)
        assert [f.first.vehicle for f in link_errors if f.kind == "missing tracklet"] == expected


def test_a_vehicle_under_the_identity_of_another_is_a_false_merge(tmp_path: Path) -> None:
    matched = hand_made_run()
    # vehicle 2 of camera 2 under identity 1, whose main vehicle is 1: once wrongly joined, once not joined
    wrong = matched.written.with_columns(id=np.where(matched.written.id == 4, 1, matched.written.id))
    matched = MatchedRun.of(matched.truth, wrong, Table.empty(), {}, "aicity")
    kinds = {
        (kind, reason, first, second, boxes)
        for kind, reason, first, second, boxes in found(matched, ACCEPTED, tmp_path)
    }
    assert ("false merge", "appearance", "c002/3", "c001/1", 6) in kinds
    assert ("missed merge", "rivals", "c002/3", "c001/2", 6) in kinds
    unlike = {(kind, reason) for kind, reason, *_ in found(matched, REJECTED, tmp_path)}
    assert ("false merge", "through a third") in unlike


def test_a_vehicle_without_a_tracklet_is_missing_for_the_reason_it_was_lost(tmp_path: Path) -> None:
    matched = hand_made_run()
    written = matched.written[~((matched.written.camera == 2) & (matched.written.track_id == 3))]
    matched = MatchedRun.of(matched.truth, written, Table.empty(), {}, "aicity")
    lost = np.full(len(matched.truth), "tracking", dtype="<U20")
    [error] = [
        f for f in find_link_errors(run_of(matched, tmp_path), matched, lost, LATE) if f.kind == "missing tracklet"
    ]
    assert (error.reason, error.boxes, error.first.vehicle, error.first.camera_id) == ("tracking", 10, 2, "c002")
    assert error.second is not None
    assert error.second.name == "c001/2"  # where it shows in most boxes
    assert error.first.time_s.tolist() == pytest.approx([f / 10 for f in range(10)])


def seen(
    camera: str,
    track: int,
    *,
    start_s: float = 0.0,
    embedding: tuple[float, float] = (1.0, 0.0),
    at_m: tuple[float, float] | None = None,
    entry: str = "",
    exit: str = "",
) -> Passage:
    """Ten boxes within a second; on the ground it drives 1 m per box to the east, from ``at_m``."""
    own = tracklet(camera, track, start_s=start_s)
    ground = np.full((10, 2), np.nan)
    if at_m is not None:
        ground = np.array(at_m) + np.arange(10)[:, None] * np.array([1.0, 0.0])
    vector = np.array(embedding, np.float32)
    return Passage(own, vector / np.float32(np.linalg.norm(vector)), entry, exit, ground)


def place(*links: Link) -> Scene:
    return Scene("place", Path(), tuple(Camera(f"c00{n}", n, Clock(10.0)) for n in (1, 2, 3)), links)


LINK = Link("c001", "out", "c002", "in", 2.0, 8.0)
HIERARCHICAL = AssociateConfig(method="hierarchical", min_similarity=0.5)

# (what differs of the second passage, the scene, the gate or "", whether it is enough); the first is c001/1, seen
# from 0 s to 0.9 s
GATES = {
    "similar": ({}, place(), "", True),
    "different": ({"embedding": (0.0, 1.0)}, place(), "", False),
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
    explainer = link_explainer([b, a], scene, HIERARCHICAL)
    evidence = explainer.explain(a, b)
    assert (evidence.gate, evidence.accepted) == (gate, enough)
    assert explainer.explain(b, a) == evidence or np.isnan(evidence.score)
    assert explainer.unit == "similarity, 0.50 is enough"
    # The explainer agrees with the method itself.
    assert (len(associate([a, b], scene, HIERARCHICAL)) == 1) == (enough and not gate)


def crossing() -> list[Passage]:
    """Six vehicles of two overlapping cameras, 40 m apart from each other, each with an embedding of its own."""
    angle = np.arange(6) / 6 * np.pi
    embeddings = [(float(np.cos(t)), float(np.sin(t))) for t in angle]
    return [
        seen(camera, k + 1, start_s=shift, embedding=embeddings[k], at_m=(40.0 * k + offset, 0.0))
        for camera, shift, offset in (("c001", 0.0, 0.0), ("c002", 0.5, 5.3))
        for k in range(6)
    ]


def test_the_graph_explains_with_the_log_odds_of_its_candidates() -> None:
    passages = crossing()
    config = AssociateConfig(min_similarity=0.5)
    explainer = link_explainer(passages, place(), config)
    ordered = sorted(passages, key=lambda p: (p.tracklet.camera_id, p.tracklet.track_id))
    found, _ = candidate_graph(ordered, place(), config)
    assert len(found.pairs) >= 6
    for (i, j), odds in zip(found.pairs.tolist(), found.log_odds.tolist(), strict=True):
        evidence = explainer.explain(ordered[j], ordered[i])
        assert (evidence.gate, evidence.score, evidence.accepted) == ("", odds, odds > 0)
    same = explainer.explain(passages[0], passages[6])
    assert same.accepted
    assert explainer.unit == "log odds, above 0 is enough"


def test_the_graph_names_the_gate_that_excludes_a_pair() -> None:
    passages = [*crossing(), seen("c003", 1, start_s=60.0), seen("c003", 2, start_s=400.0)]
    explainer = link_explainer(passages, place(), AssociateConfig())
    assert explainer.explain(passages[0], passages[1]).gate == "same camera"
    assert explainer.explain(passages[0], passages[9]).gate == "ground gate"  # 120 m away at the same moment
    assert explainer.explain(passages[0], passages[-1]).gate == "time gate"


def test_the_cue_is_the_one_that_decides() -> None:
    near = crossing()
    explainer = link_explainer(near, place(), AssociateConfig(min_similarity=0.5))
    assert explainer.explain(near[0], near[6]).cue == "place and time"
    # 24 vehicles with orthogonal embeddings and nothing else known
    distinct = [
        replace(seen(camera, k + 1), embedding=np.eye(24, dtype=np.float32)[k])
        for camera in ("c001", "c002")
        for k in range(24)
    ]
    sure = GraphConfig(appearance_outlier_rate=0.001)
    explainer = link_explainer(distinct, place(), AssociateConfig(min_similarity=0.5, graph=sure))
    other, same = explainer.explain(distinct[0], distinct[25]), explainer.explain(distinct[0], distinct[24])
    assert (other.accepted, other.gate, other.cue) == (False, "", "appearance")
    assert (same.accepted, same.gate, same.cue) == (True, "", "appearance")
